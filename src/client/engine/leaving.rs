//! The end: when it is time to leave, what is told of what was not sent, and the good-bye.

use std::time::{Duration, Instant};

use super::requests::RequestKind;
use super::{ClientSession, Engine, SLOW_TICK, SessionPhase, Waiter};
use crate::client::connection::ServerConnection;
use crate::client::options::Exit;
use crate::protocol::Request;

/// How long leaving waits for what is not acknowledged.
const QUIT_PATIENCE: Duration = Duration::from_secs(10);

/// How long leaving waits for the server's good-bye.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

impl Engine {
    pub(super) fn quit(&mut self, waiter: Waiter) {
        self.quitting = Some((Instant::now() + QUIT_PATIENCE, waiter));
    }

    pub(super) fn look_at_quitting(&mut self, now: Instant) {
        let is_online = self.is_online();
        let is_done = self.outbox.is_empty() && self.deferred.is_empty() && !self.is_busy();
        let ClientSession {
            phase,
            connection,
            credentials,
            errand,
            ..
        } = &mut self.session;
        match &mut self.quitting {
            Some(_) if matches!(phase, SessionPhase::Leaving(..)) => {}
            Some(_) if is_done => self.leave(Exit::Done),
            // Nothing is tried, so nothing is to be waited for.
            Some(_)
                if matches!(phase, SessionPhase::Guest | SessionPhase::Idle)
                    && credentials.is_none()
                    && errand.is_none() =>
            {
                self.give_up("nobody is logged in", Exit::Login);
            }
            Some((time, _)) if *time <= now => {
                // A long file takes its time; as long as something moves, it is waited for.
                let moves =
                    |connection: &mut ServerConnection| connection.silence(now) < QUIT_PATIENCE;
                if is_online && connection.as_mut().is_some_and(moves) {
                    *time = now + SLOW_TICK;
                } else {
                    self.give_up("there was no connection", Exit::Unreachable);
                }
            }
            _ => {}
        }
    }

    fn is_busy(&self) -> bool {
        self.session.errand.is_some()
            || self.is_pending(&[
                RequestKind::Foreground,
                RequestKind::Download,
                RequestKind::ChatNames,
                RequestKind::Opening,
            ])
    }

    pub(super) fn give_up(&mut self, why: &str, exit: Exit) {
        let (unconfirmed, unsent) = self.outbox.give_up();
        let exit = match exit {
            Exit::Unreachable if unconfirmed.is_empty() && unsent.is_empty() => Exit::Done,
            exit => exit,
        };
        let strict = std::mem::replace(&mut self.options.strict, false);
        for message in unconfirmed {
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
    pub(super) fn leave(&mut self, exit: Exit) {
        let exit = match self.wrong {
            Some(wrong) if self.options.remembers && exit == Exit::Done => wrong,
            _ => exit,
        };
        match self.session.phase {
            SessionPhase::Leaving(..) => {}
            SessionPhase::Online => {
                self.confirm_shown();
                self.request(&Request::Logout {}, RequestKind::Foreground, |engine, _| {
                    if let SessionPhase::Leaving(_, exit) = engine.session.phase {
                        engine.ended = Some(exit);
                    }
                });
                self.session.phase = SessionPhase::Leaving(Instant::now() + LEAVE_PATIENCE, exit);
            }
            _ => self.ended = self.ended.or(Some(exit)),
        }
    }
}
