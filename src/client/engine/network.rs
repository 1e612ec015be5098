//! The engine's connection: how it is got, how it logs in, how it is lost.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::{ChatsFor, ContactsFor, Engine, Front, Outcome, Output, Purpose, State, Waiter};
use crate::auth::names;
use crate::client::answers::{Answer, Taken};
use crate::client::command::Command;
use crate::client::connection::{Connection, Happened};
use crate::client::link;
use crate::client::link::{Link, LinkError};
use crate::client::options::Exit;
use crate::protocol::{Request, Status};

/// The pause before the first new attempt, doubled by each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// After so long without a sign of life the server is asked for one.
const QUIET: Duration = Duration::from_secs(30);

/// After so long without one the connection is given up.
const DEAD: Duration = Duration::from_secs(60);

/// The same while a login waits for its answer.
const LOGIN_DEAD: Duration = Duration::from_secs(300);

/// Says that nothing was received: there is no such chat.
const NOTHING: Request<'static> = Request::Received {
    chat: 0,
    timestamp: 0,
};

impl<F: Front> Engine<F> {
    /// Begins an attempt.
    pub(super) fn connect(&mut self) {
        self.number += 1;
        self.state = State::Connecting;
        let (number, outlet) = (self.number, self.outlet.clone());
        let address = self.options.address.clone();
        let security = self.options.security.clone();
        let attempt = thread::Builder::new()
            .name("connector".to_owned())
            .spawn(move || {
                let result = link::connect(&address, &security);
                // The engine may have ended meanwhile.
                let _ = outlet.send(super::Input::Connected(number, result));
            });
        if let Err(error) = attempt {
            self.connected(number, Err(error.into()));
        }
    }

    pub(super) fn connected(&mut self, number: u64, result: Result<Link, LinkError>) {
        if number != self.number || !matches!(self.state, State::Connecting) {
            return;
        }
        let (outlet, brake) = (self.outlet.clone(), self.front.brake());
        let tell = move |happened| {
            brake.wait();
            outlet.send(super::Input::Net(number, happened)).is_ok()
        };
        match result.and_then(|link| Ok(Connection::start(link, tell)?)) {
            Ok(connection) => {
                self.connection = Some(connection);
                self.alive = (Instant::now(), 0, 0);
                self.state = State::Guest;
                match self.errand.take() {
                    Some((errand, waiter)) => self.command(errand, waiter),
                    None if self.credentials.is_some() => self.log_in(None),
                    None => {}
                }
            }
            Err(error) if self.was_online => self.wait_and_retry(&error.to_string()),
            Err(error) => {
                self.state = State::Idle;
                let waiter = self.errand.take().and_then(|(_, waiter)| waiter);
                let address = &self.options.address;
                let text = match error {
                    LinkError::Unreachable(error) => {
                        format!("{address} cannot be reached: {error}")
                    }
                    LinkError::Insecure(why) => format!("no connection to {address}: {why}"),
                };
                self.problem(text, Exit::Unreachable);
                self.finish(waiter, Outcome::Unreachable);
            }
        }
    }

    /// Sends a request. Without a connection it is dropped, and what waits for it told so.
    pub(super) fn send(&mut self, request: &Request<'_>, purpose: Purpose) -> Option<(u64, u64)> {
        self.connection.as_ref()?;
        let mut line = Vec::new();
        request.format(&mut line);
        self.answers.expect(request, purpose);
        if self.options.raw {
            // Passwords stay off the screen.
            let line = match request.has_password() {
                true => format!("{} {} ...", request.number(), request.name()).into_bytes(),
                false => line.trim_ascii_end().to_vec(),
            };
            self.show(Output::Raw { sent: true, line });
        }
        let length = line.len() as u64;
        let awaits_media = self.awaits_media();
        let connection = self.connection.as_mut()?;
        // Before the request leaves: its answer may be quick.
        connection.await_media(awaits_media);
        let end = connection.send(line);
        Some((end - length, end))
    }

    /// Sends the login, and right before it a `135` of no chat: it is refused, and makes the server
    /// count as received in the login only what is told it. Where the login has come, so has it.
    pub(super) fn log_in(&mut self, waiter: Waiter) {
        let Some((user, password)) = self.credentials.clone() else {
            return;
        };
        self.state = State::LoggingIn;
        let login = Request::Login {
            user: user.as_str().into(),
            password: password.as_str().into(),
        };
        self.send(&NOTHING, Purpose::Received);
        self.send(&login, Purpose::Login(waiter));
    }

    /// Asks for a sign of life, unless one is awaited. Not by `134`, which is answered without a
    /// login as well: this is refused, by 407 if the login has ended.
    pub(super) fn ping(&mut self) {
        let ping = |purpose: &Purpose| matches!(purpose, Purpose::Ping);
        let asked = self.answers.waiting().any(ping);
        if !asked && matches!(self.state, State::Online) {
            self.send(&NOTHING, Purpose::Ping);
        }
    }

    pub(super) fn logged_in(&mut self, answer: Answer, waiter: Waiter) {
        let (status, name) = match answer {
            Answer::Login(status, name) => (Some(status), name),
            Answer::Refused(reason) => (None, reason.unwrap_or_default()),
            _ => (None, String::new()),
        };
        match status {
            Some(Status::Ok) => {
                self.state = State::Online;
                self.attempts = 0;
                self.book.own = name;
                let text = match self.was_online {
                    true => "connected again".to_owned(),
                    false => format!("logged in as {}", self.book.own),
                };
                self.was_online = true;
                self.note(text);
                self.finish(waiter, Outcome::Fine);
                self.look_up();
                self.run_later(true);
            }
            // The server has not noticed yet that the old connection is gone, or is just full.
            Some(Status::UsernameAlreadyLoggedIn) | None if self.was_online => {
                self.drop_connection();
                self.wait_and_retry("the server does not take the login yet");
            }
            _ => {
                self.state = State::Guest;
                self.credentials = None;
                let text = match status {
                    Some(Status::UsernameAlreadyLoggedIn) => {
                        format!("{name} is logged in elsewhere (405)")
                    }
                    Some(Status::PasswordWrong) => {
                        "no such user, or wrong password (406)".to_owned()
                    }
                    Some(status) => format!("the login was refused ({status})"),
                    None if name.is_empty() => "the server refused the login".to_owned(),
                    None => format!("the server refused the login: {name}"),
                };
                let again = if self.was_online {
                    "; /login tries again"
                } else {
                    ""
                };
                self.problem(format!("{text}{again}"), Exit::Login);
                self.finish(waiter, Outcome::Refused(status));
            }
        }
    }

    pub(super) fn net(&mut self, happened: Happened) {
        let line = match happened {
            Happened::Line(line) => line,
            Happened::Ended(reason) => return self.lose(&reason),
        };
        if self.options.raw {
            let line = line.clone();
            self.show(Output::Raw { sent: false, line });
        }
        match self.answers.take(&line) {
            Ok(Taken::Push(push)) => self.pushed(push),
            Ok(Taken::Answer(purpose, answer)) => {
                self.answered(purpose, answer);
                let awaited = self.awaits_media();
                if let Some(connection) = &self.connection {
                    connection.await_media(awaited);
                }
            }
            Ok(Taken::More) => {}
            Ok(Taken::Unasked(reason)) => {
                let reason = reason.unwrap_or_else(|| "it may be full".to_owned());
                self.problem(
                    format!("the server refused the connection: {reason}"),
                    Exit::Login,
                );
            }
            Err(_) => self.lose("the server sent something that makes no sense here"),
        }
    }

    pub(super) fn drop_connection(&mut self) -> Vec<Purpose> {
        self.connection = None;
        // What still comes from it is not for us any more.
        self.number += 1;
        self.unnamed.clear();
        self.asked_chats = false;
        self.settling.clear();
        self.uploads.clear();
        self.download_told = None;
        self.reads.clear();
        self.outbox.lost();
        self.answers.lost()
    }

    /// The connection is gone.
    pub(super) fn lose(&mut self, reason: &str) {
        let purposes = self.drop_connection();
        if let State::Leaving(_, exit) = self.state {
            self.ended = Some(exit);
            return;
        }
        let was_guest = matches!(self.state, State::Guest);
        self.state = State::Idle;
        for purpose in purposes {
            self.lost_answer(purpose);
        }
        if self.was_online && self.credentials.is_some() {
            self.wait_and_retry(reason);
        } else if !was_guest {
            self.problem(
                format!("the connection was lost: {reason}"),
                Exit::Unreachable,
            );
        } else if self.options.strict {
            self.problem(reason.to_owned(), Exit::Unreachable);
        }
    }

    /// An answer will not come any more.
    pub(super) fn lost_answer(&mut self, purpose: Purpose) {
        let (what, waiter) = match purpose {
            Purpose::Login(waiter) | Purpose::Register { waiter, .. } => (None, waiter),
            Purpose::Chats(ChatsFor::Show(waiter)) => (Some("/chats".to_owned()), waiter),
            Purpose::Chats(ChatsFor::Opening(opening)) | Purpose::Create(opening) => {
                self.run_later(false);
                (Some(format!("/chat {}", opening.name)), opening.waiter)
            }
            Purpose::Contacts(ContactsFor::Show(waiter)) => (Some("/contacts".to_owned()), waiter),
            Purpose::People { show: true, waiter } => (Some("/people".to_owned()), waiter),
            Purpose::Confirm { name, waiter } => (Some(format!("/add {name}")), waiter),
            Purpose::Remove { name, waiter } => (Some(format!("/remove {name}")), waiter),
            Purpose::Delete { waiter, .. } => (Some("/delete".to_owned()), waiter),
            Purpose::Passwd { waiter, .. } => (Some("/passwd".to_owned()), waiter),
            Purpose::History(waiter) => (Some("/history".to_owned()), waiter),
            Purpose::Save { media, waiter, .. } => (Some(format!("/save {media}")), waiter),
            Purpose::Facts(media) => {
                self.curious.push_front(media);
                return;
            }
            _ => return,
        };
        if let Some(what) = what {
            let text = format!("no answer to {what}: the connection was lost; look, and repeat it");
            self.problem(text, Exit::Unreachable);
        }
        self.finish(waiter, Outcome::Unreachable);
    }

    fn wait_and_retry(&mut self, reason: &str) {
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.attempts.min(10))
            .min(LONGEST_PAUSE);
        // Up to a quarter more, so that not all clients of a server come back at once.
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = clock.map_or(0, |time| time.subsec_nanos());
        let pause = pause + pause.mul_f64(f64::from(nanos % 1000) / 4000.0);
        // Said when it begins, and when it has lasted.
        if matches!(self.attempts, 0 | 5) {
            let unsent = match self.outbox.len() {
                0 => String::new(),
                count => format!("; not acknowledged: {count}"),
            };
            self.note(format!("not connected ({reason}); trying again{unsent}"));
        }
        self.attempts = self.attempts.saturating_add(1);
        self.state = State::Waiting(Instant::now() + pause);
    }

    /// Whether the server is still there.
    pub(super) fn look_at_connection(&mut self, now: Instant) {
        let Some(connection) = &self.connection else {
            return;
        };
        let (received, arrived) = (connection.received(), connection.arrived());
        // Where nothing is taken from the network, nothing can come.
        if (received, arrived) != (self.alive.1, self.alive.2) || self.front.brake().is_on() {
            self.alive = (now, received, arrived);
            return;
        }
        let silent = now.saturating_duration_since(self.alive.0);
        let dead = match self.state {
            State::Online => DEAD,
            // A password takes the server its time, and more so when many wait.
            State::LoggingIn => LOGIN_DEAD,
            _ => return,
        };
        if silent > dead {
            self.lose("the server does not answer");
        } else if silent > QUIET {
            self.ping();
        }
    }

    /// A login or a registration: needs a connection, not a login.
    pub(super) fn errand(&mut self, command: Command, waiter: Waiter) {
        match self.state {
            State::Guest => match command {
                Command::Login { user, password } => {
                    self.credentials = Some((user, password.into()));
                    self.log_in(waiter);
                }
                Command::Register {
                    user,
                    password,
                    email,
                    gender,
                } => {
                    // The server decides; its packet has no place for a reason.
                    let faults = (
                        names::username(&user).err(),
                        names::password(&password).err(),
                    );
                    let request = Request::RegisterAccount {
                        user: user.into(),
                        password: password.into(),
                        email: email.into(),
                        gender: gender.into(),
                    };
                    self.send(&request, Purpose::Register { faults, waiter });
                }
                _ => {}
            },
            State::Connecting => self.errand = Some((command, waiter)),
            State::Idle | State::Waiting(_) => {
                self.errand = Some((command, waiter));
                self.connect();
            }
            State::LoggingIn | State::Online | State::Leaving(..) => {
                self.note("logged in already");
                self.finish(waiter, Outcome::Fine);
            }
        }
    }
}
