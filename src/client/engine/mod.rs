//! The engine: what the client knows and does, whoever looks on. It connects, logs in, sends what
//! is typed, shows what arrives, and reconnects when the connection is lost.
//!
//! One thread runs it: `engine` beside a terminal, the main thread in scripts. It is told everything
//! through one channel ([`EngineInput`]) and never blocks on the network, so nobody at a terminal
//! waits for that. No other thread sees what it holds, so there is no lock; `Frontend` is its only
//! way out.
//!
//! - `requests`: requests in flight, each with what to do with its answer. To be read first.
//! - `network`: connecting, logging in, losing the connection. `leaving`: the end.
//! - `commands`, `sending`, `media`: what each command sends, and does with the answer.
//! - `arrivals`: pushes. `transfers`: progress of long uploads and downloads.
//! - `front`: what is shown.

mod arrivals;
mod commands;
mod front;
mod leaving;
mod media;
mod network;
mod requests;
mod sending;
mod transfers;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::client::answers::Answers;
use crate::client::command::Command;
use crate::client::connection::ConnectionEvent;
use crate::client::link::{Address, Link, Security};
use crate::client::options::Exit;
use crate::client::outbox::{ClientOutbox, OutgoingMessage};
pub(crate) use crate::client::roster::KnownNames;
use crate::client::roster::Roster;
use crate::protocol::Status;
use arrivals::PushArrivals;
pub(crate) use front::{Backpressure, Frontend, Output};
use media::MediaCache;
use network::{ClientSession, SessionPhase};
use requests::PendingRequest;
use transfers::Transfers;

/// Inputs that may wait; the server is slowed down beyond them.
const INBOX: usize = 64;

/// Messages that may be unacknowledged before the next typed line has to wait.
const OUTBOX_MAX: usize = 256;

/// How often progress is looked at while something large is under way.
const TICK: Duration = Duration::from_millis(250);

/// How often a connection is looked at otherwise.
const SLOW_TICK: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(crate) struct EngineOptions {
    pub(crate) address: Address,
    pub(crate) security: Security,
    pub(crate) raw: bool,
    pub(crate) fetch_media: bool,
    /// Whether to show what arrives, and confirm it to the server. If not, it comes again.
    pub(crate) listens: bool,
    /// For scripts: whether to end at the first thing that goes wrong, and write over files.
    pub(crate) strict: bool,
    /// Whether the first thing that goes wrong decides the exit code, if all else goes well.
    pub(crate) remembers: bool,
    pub(crate) deadline: Option<Instant>,
}

pub(crate) enum EngineInput {
    Command(Command, Waiter),
    /// What became of the attempt with this number.
    Connected(u64, Result<Arc<dyn Link>, String>),
    Network(u64, ConnectionEvent),
    /// Something went wrong before it came to be a command.
    Wrong(Exit),
    /// What was among the unshown has been shown.
    Shown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandOutcome {
    /// Carried out, or it goes on by itself.
    Fine,
    /// The server refused, with a status if it has one for that. Why has been shown.
    Refused(Option<Status>),
    /// It needs a connection, and there is none. That has been shown.
    Unreachable,
    Ended(Exit),
}

/// Who gave a command, if somebody waits for its end. Its drop says that all is well, or goes on by
/// itself.
#[derive(Clone, Default)]
pub(crate) struct Waiter(Option<Sender<CommandOutcome>>);

impl Waiter {
    pub(crate) fn new() -> (Waiter, Receiver<CommandOutcome>) {
        let (sender, outcome) = bounded(1);
        (Waiter(Some(sender)), outcome)
    }

    fn tell(self, outcome: CommandOutcome) {
        if let Some(waiter) = self.0 {
            // Whoever gave the command may have stopped waiting.
            let _ = waiter.try_send(outcome);
        }
    }
}

pub(crate) struct Engine {
    front: Box<dyn Frontend>,
    options: EngineOptions,
    inbox: Receiver<EngineInput>,
    /// The inbox's other end, for the threads of a connection.
    outlet: Sender<EngineInput>,
    session: ClientSession,
    pending: Answers<PendingRequest>,
    roster: Roster,
    current: Option<i64>,
    outbox: ClientOutbox,
    arrivals: PushArrivals,
    media: MediaCache,
    transfers: Transfers,
    shown: u64,
    /// Commands that wait for the first login, or until a chat is open.
    deferred: VecDeque<(Command, Waiter)>,
    /// Whoever typed the last line and waits for room in the outbox.
    crowded: Waiter,
    /// Leaving, when all is acknowledged or at that time.
    quitting: Option<(Instant, Waiter)>,
    wrong: Option<Exit>,
    ended: Option<Exit>,
}

impl Engine {
    pub(crate) fn new(
        front: impl Frontend + 'static,
        options: EngineOptions,
    ) -> (Engine, Sender<EngineInput>) {
        let (outlet, inbox) = bounded(INBOX);
        let engine = Engine {
            front: Box::new(front),
            options,
            inbox,
            outlet: outlet.clone(),
            session: ClientSession::default(),
            pending: Answers::default(),
            roster: Roster::default(),
            current: None,
            outbox: ClientOutbox::default(),
            arrivals: PushArrivals::default(),
            media: MediaCache::default(),
            transfers: Transfers::default(),
            shown: 0,
            deferred: VecDeque::new(),
            crowded: Waiter::default(),
            quitting: None,
            wrong: None,
            ended: None,
        };
        (engine, outlet)
    }

    pub(crate) fn names(&self) -> KnownNames {
        self.roster.names.clone()
    }

    pub(crate) fn run(mut self) -> Exit {
        self.connect();
        let exit = loop {
            if let Some(exit) = self.ended {
                break exit;
            }
            match self.inbox.recv_timeout(self.pause()) {
                Ok(EngineInput::Command(command, waiter)) => self.command(command, waiter),
                Ok(EngineInput::Wrong(exit)) => {
                    self.wrong.get_or_insert(exit);
                }
                Ok(EngineInput::Connected(number, result)) => self.connected(number, result),
                Ok(EngineInput::Network(number, event)) if number == self.session.number => {
                    self.network_event(event);
                }
                // Of a connection that was given up; or for whoever looks around below.
                Ok(EngineInput::Network(..) | EngineInput::Shown)
                | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.ended = Some(Exit::Failed),
            }
            self.look_around();
        };
        if let Some((_, waiter)) = self.quitting.take() {
            waiter.tell(CommandOutcome::Ended(exit));
        }
        exit
    }

    fn pause(&self) -> Duration {
        let large = self.transfers.is_uploading() || self.awaits_media();
        let phase_ends = match self.session.phase {
            SessionPhase::Waiting(time) | SessionPhase::Leaving(time, _) => Some(time),
            _ => None,
        };
        let quitting = self.quitting.as_ref().map(|(time, _)| *time);
        let times = [self.options.deadline, quitting, phase_ends];
        let next = times.into_iter().flatten().min();
        let pause = if large { TICK } else { SLOW_TICK };
        next.map_or(pause, |time| {
            pause.min(time.saturating_duration_since(Instant::now()))
        })
    }

    fn look_around(&mut self) {
        let now = Instant::now();
        if self.inbox.is_empty() {
            self.confirm_shown();
        }
        match self.session.phase {
            SessionPhase::Waiting(time) if time <= now => self.connect(),
            SessionPhase::Leaving(time, exit) if time <= now => self.ended = Some(exit),
            _ => {}
        }
        self.pump();
        self.look_at_connection(now);
        if let Some(connection) = &self.session.connection {
            for text in self.transfers.report(connection, now) {
                self.note(text);
            }
        }
        if self.options.deadline.is_some_and(|time| time <= now) {
            self.options.deadline = None;
            self.give_up("the time was up", Exit::TimedOut);
        }
        self.look_at_quitting(now);
        if self.outbox.len() < OUTBOX_MAX {
            self.crowded = Waiter::default();
        }
    }

    fn show(&mut self, output: Output) {
        self.shown += 1;
        if let ControlFlow::Break(exit) = self.front.show(output) {
            self.leave(exit);
        }
    }

    fn note(&mut self, text: impl Into<String>) {
        self.show(Output::Note(text.into()));
    }

    /// Tells of something that went wrong. A script ends by that.
    fn problem(&mut self, text: impl Into<String>, exit: Exit) {
        self.failed(Output::Problem(text.into()), exit);
    }

    fn unsent(&mut self, message: OutgoingMessage, why: &str, exit: Exit) {
        let why = why.to_owned();
        self.failed(Output::Unsent { message, why }, exit);
    }

    fn failed(&mut self, output: Output, exit: Exit) {
        self.wrong.get_or_insert(exit);
        self.show(output);
        if self.options.strict {
            self.leave(exit);
        }
    }

    fn set_current(&mut self, chat: Option<i64>) {
        self.current = chat;
        let name = chat.map(|chat| self.roster.partner(chat));
        self.roster.names.set_current(name);
    }

    fn drop_connection(&mut self) -> Vec<PendingRequest> {
        self.session.connection = None;
        // What still comes from it is not for us any more.
        self.session.number += 1;
        self.arrivals = PushArrivals::default();
        self.transfers = Transfers::default();
        self.outbox.lost();
        self.pending.lost()
    }
}
