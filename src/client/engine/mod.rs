//! What the client knows and does, whoever looks on: connects, logs in, sends what is typed, shows
//! what arrives, and when the connection is lost gets a new one.
//!
//! One thread, told everything through one channel. It never blocks on the network.

mod acting;
mod answering;
mod arriving;
mod network;
mod transfers;
mod types;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use zeroize::Zeroizing;

use crate::client::answers::{Answers, Line};
use crate::client::command::Command;
use crate::client::connection::Connection;
use crate::client::options::Exit;
use crate::client::outbox::{Message, Outbox};
use crate::client::roster::Book;
pub use crate::client::roster::Names;
pub use types::{After, Brake, Done, Front, Input, Options, Outcome, Output, Waiter};
use types::{ChatsFor, ContactsFor, Opening, Purpose, State, Upload};

/// Inputs that may wait; the server is slowed down beyond them.
const INBOX: usize = 64;

/// Messages that may be unacknowledged before the next typed line has to wait.
const OUTBOX_MAX: usize = 256;

/// How often progress is looked at while something large is under way.
const TICK: Duration = Duration::from_millis(250);

/// How often a connection is looked at otherwise.
const SLOW_TICK: Duration = Duration::from_secs(5);

/// How long leaving waits for what is not acknowledged.
const QUIT_PATIENCE: Duration = Duration::from_secs(10);

/// How long leaving waits for the server's good-bye.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
pub struct Engine<F> {
    front: F,
    options: Options,
    inbox: Receiver<Input>,
    outlet: Sender<Input>,
    state: State,
    ended: Option<Exit>,
    /// The first thing that went wrong.
    wrong: Option<Exit>,

    connection: Option<Connection>,
    /// Grows with each attempt, so that news of an older connection are known as such.
    number: u64,
    attempts: u32,
    answers: Answers<Purpose>,
    credentials: Option<(String, Zeroizing<String>)>,
    /// A login or registration that waits for a connection.
    errand: Option<(Command, Waiter)>,
    was_online: bool,
    /// The last sign of life, and the counts of bytes by which it is known.
    alive: (Instant, u64, u64),

    book: Book,
    current: Option<i64>,
    outbox: Outbox,
    /// Pages of history of chats with doubts, oldest first.
    settling: HashMap<i64, Vec<Line>>,
    /// Pushes that wait for the list of chats, to have names.
    unnamed: VecDeque<crate::protocol::PushPacket<'static>>,
    asked_chats: bool,
    /// Whether all users have been asked for, for TAB: once is enough, they may be many.
    asked_people: bool,
    /// How many things whoever looks on was given to show.
    given: u64,
    /// Messages that were not told to the server as received: what `given` was with each, its
    /// ChatID and TimeStamp.
    reads: VecDeque<(u64, i64, i64)>,
    /// Media to be looked at, and what is known.
    curious: VecDeque<i64>,
    facts: HashMap<i64, (Option<String>, usize)>,
    cache: VecDeque<(i64, String)>,
    uploads: VecDeque<Upload>,
    download_told: Option<Instant>,
    /// Whether a chat is being opened.
    opening: bool,
    /// Commands that wait for that, so that no line goes to another chat than its writer meant, or
    /// for the first login.
    later: VecDeque<(Command, Waiter)>,
    /// Whoever typed the last line and waits for room in the outbox.
    crowded: Option<Waiter>,
    /// Leaving, when all is acknowledged or at that time.
    quitting: Option<(Instant, Waiter)>,
}

impl<F: Front> Engine<F> {
    /// An engine that does nothing before it runs, and the way to tell it something.
    pub fn new(front: F, options: Options) -> (Engine<F>, Sender<Input>) {
        let (outlet, inbox) = bounded(INBOX);
        let engine = Engine {
            front,
            options,
            inbox,
            outlet: outlet.clone(),
            state: State::Idle,
            ended: None,
            wrong: None,
            connection: None,
            number: 0,
            attempts: 0,
            answers: Answers::default(),
            credentials: None,
            errand: None,
            was_online: false,
            alive: (Instant::now(), 0, 0),
            book: Book::default(),
            current: None,
            outbox: Outbox::default(),
            settling: HashMap::new(),
            unnamed: VecDeque::new(),
            asked_chats: false,
            asked_people: false,
            given: 0,
            reads: VecDeque::new(),
            curious: VecDeque::new(),
            facts: HashMap::new(),
            cache: VecDeque::new(),
            uploads: VecDeque::new(),
            download_told: None,
            opening: false,
            later: VecDeque::new(),
            crowded: None,
            quitting: None,
        };
        (engine, outlet)
    }

    /// The names for TAB.
    pub fn names(&self) -> Names {
        self.book.names.clone()
    }

    /// Runs until the user or whoever looks on wants an end.
    pub fn run(mut self) -> Exit {
        self.connect();
        while self.ended.is_none() {
            match self.inbox.recv_timeout(self.pause()) {
                Ok(Input::Command(command, waiter)) => self.command(command, waiter),
                Ok(Input::Wrong(exit)) => {
                    self.wrong.get_or_insert(exit);
                }
                Ok(Input::Connected(number, result)) => self.connected(number, result),
                Ok(Input::Net(number, happened)) if number == self.number => self.net(happened),
                // Of a connection that was given up; or for whoever looks around below.
                Ok(Input::Net(..) | Input::Shown) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.ended = Some(Exit::Failed),
            }
            self.look_around();
        }
        let exit = self.ended.unwrap_or(Exit::Done);
        if let Some((_, waiter)) = self.quitting.take() {
            self.finish(waiter, Outcome::Ended(exit));
        }
        exit
    }

    /// How long nothing needs to be done by itself.
    fn pause(&self) -> Duration {
        let large = !self.uploads.is_empty() || self.awaits_media();
        let mut pause = if large { TICK } else { SLOW_TICK };
        let mut until = |time: Option<Instant>| {
            if let Some(time) = time {
                pause = pause.min(time.saturating_duration_since(Instant::now()));
            }
        };
        until(self.options.deadline);
        until(self.quitting.as_ref().map(|(time, _)| *time));
        match self.state {
            State::Waiting(time) | State::Leaving(time, _) => until(Some(time)),
            _ => {}
        }
        pause
    }

    /// Whatever is due by now, whoever caused it.
    fn look_around(&mut self) {
        let now = Instant::now();
        if self.inbox.is_empty() {
            self.tell_received();
        }
        match self.state {
            State::Waiting(time) if time <= now => self.connect(),
            State::Leaving(time, exit) if time <= now => self.ended = Some(exit),
            _ => {}
        }
        self.pump();
        self.look_at_connection(now);
        self.look_at_transfers(now);
        if self.options.deadline.is_some_and(|time| time <= now) {
            self.options.deadline = None;
            self.give_up("the time was up", Exit::TimedOut);
        }
        let done = self.outbox.is_empty() && self.later.is_empty() && !self.is_busy();
        match self.quitting {
            Some(_) if matches!(self.state, State::Leaving(..)) => {}
            Some(_) if done => self.leave(Exit::Done),
            // Nothing is tried, so nothing is to be waited for.
            Some(_)
                if matches!(self.state, State::Guest | State::Idle)
                    && self.credentials.is_none()
                    && self.errand.is_none() =>
            {
                self.give_up("nobody is logged in", Exit::Login);
            }
            // A long file takes its time; as long as something moves, it is waited for.
            Some((ref mut time, _))
                if *time <= now
                    && matches!(self.state, State::Online)
                    && now.saturating_duration_since(self.alive.0) < QUIT_PATIENCE =>
            {
                *time = now + SLOW_TICK;
            }
            Some((time, _)) if time <= now => {
                self.give_up("there was no connection", Exit::Unreachable);
            }
            _ => {}
        }
        if self.outbox.len() < OUTBOX_MAX
            && let Some(waiter) = self.crowded.take()
        {
            self.finish(waiter, Outcome::Fine);
        }
    }

    fn show(&mut self, output: Output) {
        self.given += 1;
        if let After::End(exit) = self.front.show(output) {
            self.leave(exit);
        }
    }

    fn note(&mut self, text: impl Into<String>) {
        self.show(Output::Note(text.into()));
    }

    /// Tells of something that went wrong. A script ends by that.
    fn problem(&mut self, text: impl Into<String>, exit: Exit) {
        self.wrong.get_or_insert(exit);
        self.show(Output::Problem(text.into()));
        if self.options.strict {
            self.leave(exit);
        }
    }

    fn unsent(&mut self, message: Message, why: &str, exit: Exit) {
        let why = why.to_owned();
        self.wrong.get_or_insert(exit);
        self.show(Output::Unsent { message, why });
        if self.options.strict {
            self.leave(exit);
        }
    }

    fn finish(&mut self, waiter: Waiter, outcome: Outcome) {
        if let Some(waiter) = waiter {
            let chat = self.current.map(|chat| self.book.partner(chat));
            // Whoever gave the command may have stopped waiting.
            let _ = waiter.try_send(Done { chat, outcome });
        }
    }

    /// Ends with what is unsent shown.
    fn give_up(&mut self, why: &str, exit: Exit) {
        let (doubtful, unsent) = self.outbox.give_up();
        let exit = match exit {
            Exit::Unreachable if doubtful.is_empty() && unsent.is_empty() => Exit::Done,
            exit => exit,
        };
        let strict = std::mem::replace(&mut self.options.strict, false);
        for message in doubtful {
            let why = format!("{why}, so nobody can say whether it was kept");
            self.unsent(message, &why, exit);
        }
        for message in unsent {
            self.unsent(message, why, exit);
        }
        self.options.strict = strict;
        self.leave(exit);
    }

    /// Says good-bye. The first reason to leave is the one that counts.
    fn leave(&mut self, exit: Exit) {
        let exit = match self.wrong {
            Some(wrong) if self.options.remembers && exit == Exit::Done => wrong,
            _ => exit,
        };
        match self.state {
            State::Leaving(..) => {}
            State::Online => {
                self.tell_received();
                self.send(&crate::protocol::Request::Logout {}, Purpose::Logout);
                self.state = State::Leaving(Instant::now() + LEAVE_PATIENCE, exit);
            }
            _ => self.ended = self.ended.or(Some(exit)),
        }
    }
}
