//! The connection to the server: how it is made, how it logs in, how it is lost and made anew.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use super::requests::{Asker, RequestKind};
use super::{CommandOutcome, Engine, EngineInput, Output, Waiter};
use crate::auth::names;
use crate::client::answers::{Incoming, ServerAnswer};
use crate::client::command::Command;
use crate::client::connection::{ConnectionEvent, ServerConnection};
use crate::client::link::{self, Link};
use crate::client::options::Exit;
use crate::protocol::{Request, Status};

/// The pause before the first new attempt, doubled by each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Silence after which the server is asked for a sign of life.
const QUIET: Duration = Duration::from_secs(30);

/// Silence after which the connection is given up.
const DEAD: Duration = Duration::from_secs(60);

/// The same while a login waits for its answer.
const LOGIN_DEAD: Duration = Duration::from_secs(300);

/// Says that nothing was received: there is no such chat.
const NOTHING: Request<'static> = Request::Received {
    chat: 0,
    timestamp: 0,
};

#[derive(Default)]
pub(super) struct ClientSession {
    pub(super) phase: SessionPhase,
    pub(super) connection: Option<ServerConnection>,
    /// Grows with each attempt, so that news of an older connection are known as such.
    pub(super) number: u64,
    attempts: u32,
    pub(super) credentials: Option<(String, Zeroizing<String>)>,
    pub(super) errand: Option<(Command, Waiter)>,
    pub(super) was_online: bool,
}

#[derive(Default)]
pub(super) enum SessionPhase {
    /// No connection, and none wanted before there is a login to try.
    #[default]
    Idle,
    /// No connection; the next attempt is due then.
    Waiting(Instant),
    Connecting,
    Guest,
    LoggingIn,
    Online,
    /// Said good-bye; gone at that time at the latest.
    Leaving(Instant, Exit),
}

fn no_thread(error: &io::Error) -> String {
    format!("no connection: a thread cannot be started: {error}")
}

impl Engine {
    pub(super) fn connect(&mut self) {
        self.session.number += 1;
        self.session.phase = SessionPhase::Connecting;
        let (number, outlet) = (self.session.number, self.outlet.clone());
        let address = self.options.address.clone();
        let security = self.options.security.clone();
        let attempt = thread::Builder::new()
            .name("connector".to_owned())
            .spawn(move || {
                let result = link::connect(&address, &security);
                // The engine may have ended meanwhile.
                let _ = outlet.send(EngineInput::Connected(number, result));
            });
        if let Err(error) = attempt {
            self.connected(number, Err(no_thread(&error)));
        }
    }

    pub(super) fn connected(&mut self, number: u64, result: Result<Arc<dyn Link>, String>) {
        let connecting = matches!(self.session.phase, SessionPhase::Connecting);
        if number != self.session.number || !connecting {
            return;
        }
        let (outlet, backpressure) = (self.outlet.clone(), self.front.backpressure());
        let tell = move |event| {
            backpressure.wait();
            outlet.send(EngineInput::Network(number, event)).is_ok()
        };
        let start = |link| ServerConnection::start(link, tell).map_err(|error| no_thread(&error));
        match result.and_then(start) {
            Ok(connection) => {
                self.session.connection = Some(connection);
                self.session.phase = SessionPhase::Guest;
                match self.session.errand.take() {
                    Some((errand, waiter)) => self.errand(errand, waiter),
                    None => self.log_in(Waiter::default()),
                }
            }
            Err(error) if self.session.was_online => self.wait_and_retry(&error),
            Err(error) => {
                self.session.phase = SessionPhase::Idle;
                self.problem(error, Exit::Unreachable);
                if let Some((_, waiter)) = self.session.errand.take() {
                    waiter.tell(CommandOutcome::Unreachable);
                }
            }
        }
    }

    pub(super) fn network_event(&mut self, event: ConnectionEvent) {
        let line = match event {
            ConnectionEvent::Line(line) => line,
            ConnectionEvent::Ended(reason) => return self.lose(&reason),
        };
        if self.options.raw {
            let line = line.clone();
            self.show(Output::Raw { sent: false, line });
        }
        match self.pending.take(&line) {
            Ok(Incoming::Push(push)) => self.pushed(push),
            Ok(Incoming::Answer(request, answer)) => self.answered(request, answer),
            Ok(Incoming::More) => {}
            Ok(Incoming::Unasked(reason)) => {
                let reason = reason.unwrap_or_else(|| "it may be full".to_owned());
                let text = format!("the server refused the connection: {reason}");
                self.problem(text, Exit::Login);
            }
            Err(_) => self.lose("the server sent something that makes no sense here"),
        }
    }

    /// A login or a registration: needs a connection, not a login.
    pub(super) fn errand(&mut self, command: Command, waiter: Waiter) {
        match (&self.session.phase, command) {
            (SessionPhase::Guest, Command::Login { user, password }) => {
                self.session.credentials = Some((user, password.into()));
                self.log_in(waiter);
            }
            (SessionPhase::Guest, command) => self.register(command, waiter),
            (SessionPhase::Connecting, command) => self.session.errand = Some((command, waiter)),
            (SessionPhase::Idle | SessionPhase::Waiting(_), command) => {
                self.session.errand = Some((command, waiter));
                self.connect();
            }
            (SessionPhase::LoggingIn | SessionPhase::Online | SessionPhase::Leaving(..), _) => {
                self.note("logged in already");
            }
        }
    }

    fn register(&mut self, command: Command, waiter: Waiter) {
        let Command::Register {
            user,
            password,
            email,
            gender,
        } = command
        else {
            return;
        };
        let mut asker = Asker::new("", "not registered", waiter);
        asker.faults = (
            names::username(&user).err(),
            names::password(&password).err(),
        );
        let request = Request::RegisterAccount {
            user: user.into(),
            password: password.into(),
            email: email.into(),
            gender: gender.into(),
        };
        self.ask(&request, asker, |_, answer| answer.ok());
    }

    /// Sends the login, if there is one to try, and right before it a `135` of no chat: it is
    /// refused, and makes the server count as received in the login only what is confirmed. Where
    /// the login has come, so has it.
    fn log_in(&mut self, waiter: Waiter) {
        let Some((user, password)) = self.session.credentials.clone() else {
            return;
        };
        self.session.phase = SessionPhase::LoggingIn;
        let login = Request::Login {
            user: user.as_str().into(),
            password: password.as_str().into(),
        };
        self.request(&NOTHING, RequestKind::Background, |_, _| {});
        let then = |engine: &mut Engine, answer| match answer {
            Some(ServerAnswer::Login(Status::Ok, name)) => engine.logged_in(name),
            Some(answer) => engine.login_refused(answer, waiter),
            None => waiter.tell(CommandOutcome::Unreachable),
        };
        self.send(&login, RequestKind::Foreground, then);
    }

    fn logged_in(&mut self, name: String) {
        self.session.phase = SessionPhase::Online;
        self.session.attempts = 0;
        let is_first = !std::mem::replace(&mut self.session.was_online, true);
        self.roster.own = name;
        self.note(match is_first {
            true => format!("logged in as {}", self.roster.own),
            false => "connected again".to_owned(),
        });
        self.ask_chat_names();
        let background = RequestKind::Background;
        let contacts = Request::RequestOwnContactList {};
        self.request(&contacts, background, |engine, answer| {
            let _ = engine.take_contacts(answer);
        });
        // All users are for TAB alone, and may be many: once is enough.
        if is_first && !self.options.strict {
            let people = Request::RequestContactList {};
            self.request(&people, background, |engine, answer| {
                let _ = engine.take_people(answer);
            });
        }
        self.look_up_unconfirmed();
        self.run_deferred(true);
    }

    fn login_refused(&mut self, answer: ServerAnswer, waiter: Waiter) {
        let (status, text) = match answer {
            ServerAnswer::Login(status, name) => {
                let text = match status {
                    Status::UsernameAlreadyLoggedIn => {
                        format!("{name} is logged in elsewhere (405)")
                    }
                    Status::PasswordWrong => "no such user, or wrong password (406)".to_owned(),
                    status => format!("the login was refused ({status})"),
                };
                (Some(status), text)
            }
            ServerAnswer::Refused(Some(reason)) => {
                (None, format!("the server refused the login: {reason}"))
            }
            _ => (None, "the server refused the login".to_owned()),
        };
        let again = self.session.was_online;
        // The server has not noticed yet that the old connection is gone, or is just full.
        if again && matches!(status, Some(Status::UsernameAlreadyLoggedIn) | None) {
            self.drop_connection();
            return self.wait_and_retry("the server does not take the login yet");
        }
        self.session.phase = SessionPhase::Guest;
        self.session.credentials = None;
        let again = if again { "; /login tries again" } else { "" };
        self.problem(format!("{text}{again}"), Exit::Login);
        waiter.tell(CommandOutcome::Refused(status));
    }

    /// Asks for a sign of life, unless one is awaited. Not by `134`, which is answered without a
    /// login as well: this is refused, by 407 if the login has ended.
    pub(super) fn ping(&mut self) {
        if self.is_online() && !self.is_pending(&[RequestKind::Ping]) {
            self.request(&NOTHING, RequestKind::Ping, |_, _| {});
        }
    }

    pub(super) fn look_at_connection(&mut self, now: Instant) {
        let Some(connection) = &mut self.session.connection else {
            return;
        };
        // Where nothing is taken from the network, nothing can come.
        if self.front.backpressure().is_on() {
            return connection.assume_alive(now);
        }
        let silent = connection.silence(now);
        let dead = match self.session.phase {
            SessionPhase::Online => DEAD,
            // A password takes the server its time, and more so when many wait.
            SessionPhase::LoggingIn => LOGIN_DEAD,
            _ => return,
        };
        if silent > dead {
            self.lose("the server does not answer");
        } else if silent > QUIET {
            self.ping();
        }
    }

    pub(super) fn lose(&mut self, reason: &str) {
        let requests = self.drop_connection();
        if let SessionPhase::Leaving(_, exit) = self.session.phase {
            self.ended = Some(exit);
            return;
        }
        let was_guest = matches!(self.session.phase, SessionPhase::Guest);
        self.session.phase = SessionPhase::Idle;
        for request in requests {
            (request.then)(self, None);
        }
        if self.session.was_online && self.session.credentials.is_some() {
            self.wait_and_retry(reason);
        } else if !was_guest {
            let text = format!("the connection was lost: {reason}");
            self.problem(text, Exit::Unreachable);
        } else if self.options.strict {
            self.problem(reason, Exit::Unreachable);
        }
    }

    fn wait_and_retry(&mut self, reason: &str) {
        let attempts = self.session.attempts;
        let pause = FIRST_PAUSE
            .saturating_mul(1 << attempts.min(10))
            .min(LONGEST_PAUSE);
        // Up to a quarter more, so that not all clients of a server come back at once.
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = clock.map_or(0, |time| time.subsec_nanos());
        let pause = pause + pause.mul_f64(f64::from(nanos % 1000) / 4000.0);
        // Said when it begins, and when it has lasted.
        if matches!(attempts, 0 | 5) {
            let unsent = match self.outbox.len() {
                0 => String::new(),
                count => format!("; not acknowledged: {count}"),
            };
            self.note(format!("not connected ({reason}); trying again{unsent}"));
        }
        self.session.attempts = attempts.saturating_add(1);
        self.session.phase = SessionPhase::Waiting(Instant::now() + pause);
    }
}
