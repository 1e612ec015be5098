//! Pushes that are written by whoever brings them.
//!
//! Sessions push after the same COMMIT, each on its own thread, so two pushes to one recipient may
//! come in the wrong order, or at the same moment. Then one of them is left with the outbox, for
//! the session that fills the gap or is writing just now: it writes both at once. Nobody waits,
//! and the store is not read for what is already here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::outbox::{CHANNEL, CHANNEL_BYTES, Outbox, Push, State};
use super::wire::Writing;
use crate::store::deliveries::Position;
use crate::store::{MessageId, lock};

/// Pushes that came before the one they follow, or while another was being written.
#[derive(Default)]
pub(super) struct Early {
    pushes: Vec<Push>,
    bytes: usize,
    /// Somebody is writing, and looks here afterwards.
    sending: bool,
    /// The next sweep looks whether the gap was filled.
    noted: bool,
}

impl Early {
    pub(super) fn clear(&mut self) {
        self.pushes = Vec::new();
        self.bytes = 0;
    }

    /// For a sweep: gives up on what has waited for it, which is read from the store then.
    pub(super) fn is_overdue(&mut self) -> bool {
        self.noted = false;
        let overdue = !self.sending && !self.pushes.is_empty();
        if overdue {
            self.clear();
        }
        overdue
    }

    /// Adds a push; false when there are too many.
    fn add(&mut self, push: Push) -> bool {
        self.bytes += push.bytes.len();
        self.pushes.push(push);
        self.pushes.len() <= CHANNEL && self.bytes <= CHANNEL_BYTES
    }

    /// Takes a push out that follows `reached`.
    fn next(&mut self, reached: MessageId) -> Option<Push> {
        let at = self
            .pushes
            .iter()
            .position(|push| push.previous <= reached)?;
        let push = self.pushes.swap_remove(at);
        self.bytes -= push.bytes.len();
        Some(push)
    }

    fn take(&mut self) -> Vec<Push> {
        self.bytes = 0;
        std::mem::take(&mut self.pushes)
    }
}

/// How far [`Outbox::write_now`] came.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Written {
    All,
    /// The kernel has not taken all: the writer has to wait for it.
    Stuck,
    /// The cursor is within the push: what is left of it is read from the store.
    Within,
    Gone,
}

impl Outbox {
    /// Sends or queues messages that were committed. Never waits.
    pub fn push(self: &Arc<Self>, push: Push) {
        {
            let mut state = lock(&self.state);
            if !self.may_send(&state) || push.previous == MessageId::MAX {
                return self.queue(&mut state, push);
            }
            let follows = push.previous <= self.cursor.load(Ordering::Acquire);
            if state.early.sending || !follows {
                return self.leave(&mut state, push);
            }
            state.early.sending = true;
        }
        self.send(push);
    }

    /// Whether nothing has to go out before a push that follows the cursor.
    fn may_send(&self, state: &State) -> bool {
        self.open.load(Ordering::Acquire) && !state.behind && !state.events && !state.looking
    }

    /// Leaves a push for others.
    fn leave(self: &Arc<Self>, state: &mut State, push: Push) {
        if !state.early.add(push) {
            state.early.clear();
            state.behind = true;
            return self.wake(state);
        }
        if !state.early.sending && !state.early.noted {
            // The push before it is on its way; should it never come, a sweep notices.
            state.early.noted = true;
            self.threads.try_later(self);
        }
    }

    /// Writes a push that follows the cursor, and with it what has come early.
    fn send(self: &Arc<Self>, mut push: Push) {
        let free = self.wire.try_lock().filter(|wire| !wire.has_pending());
        let Some(mut writing) = free else {
            let mut state = lock(&self.state);
            self.queue(&mut state, push);
            return self.stop_sending(&mut state);
        };
        loop {
            let written = self.write_now(&mut writing, &push);
            let mut state = lock(&self.state);
            if written == Written::All
                && self.may_send(&state)
                && let Some(next) = self.gather(&mut state)
            {
                push = next;
                continue;
            }
            // With both locks held, so that the next one to push finds the wire free.
            drop(writing);
            match written {
                Written::Within => self.queue(&mut state, push),
                Written::Stuck => {
                    state.stuck = true;
                    self.wake(&mut state);
                }
                Written::All | Written::Gone => {}
            }
            return self.stop_sending(&mut state);
        }
    }

    /// Writes what of a push was not sent by others, as much as the kernel takes at once.
    fn write_now(&self, writing: &mut Writing<'_>, push: &Push) -> Written {
        // Others move the cursor only with the wire's lock, or past what is not there any more.
        let reached = self.cursor.load(Ordering::Acquire);
        if push.last <= reached {
            return Written::All;
        }
        if push.first <= reached {
            return Written::Within;
        }
        let Ok(all) = writing.try_write(&push.bytes) else {
            return Written::Gone;
        };
        let position = Position {
            message: push.last,
            event: 0,
        };
        self.note_sent(writing, position);
        if all { Written::All } else { Written::Stuck }
    }

    /// What has come early and follows the cursor now, as one push.
    fn gather(self: &Arc<Self>, state: &mut State) -> Option<Push> {
        let mut reached = self.cursor.load(Ordering::Acquire);
        let mut all: Option<Push> = None;
        while let Some(next) = state.early.next(reached) {
            if next.last <= reached {
                continue;
            }
            if next.first <= reached {
                self.queue(state, next);
                break;
            }
            reached = next.last;
            match &mut all {
                None => all = Some(next),
                Some(all) => {
                    all.last = next.last;
                    all.bytes.extend_from_slice(&next.bytes);
                }
            }
        }
        all
    }

    /// Makes way for the next one to push.
    fn stop_sending(self: &Arc<Self>, state: &mut State) {
        state.early.sending = false;
        if self.may_send(state) {
            if !state.early.pushes.is_empty() && !state.early.noted {
                state.early.noted = true;
                self.threads.try_later(self);
            }
        } else {
            // What has to go out first is the writer's business.
            for push in state.early.take() {
                self.queue(state, push);
            }
        }
    }

    /// For the writer, when it has written something: what has come early may follow now.
    pub(super) fn push_early(self: &Arc<Self>) {
        let early = {
            let mut state = lock(&self.state);
            if state.early.sending || !self.may_send(&state) {
                return;
            }
            state.early.take()
        };
        for push in early {
            self.push(push);
        }
    }
}
