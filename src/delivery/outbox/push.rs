//! Pushes that are written by whoever brings them.
//!
//! Sessions push after the same COMMIT, each on its own thread, so two pushes to one recipient may
//! come in the wrong order, or at the same moment. Then one of them is left with the outbox, for
//! the session that fills the gap or is writing just now: it writes both at once. A push that is
//! known to be followed by another one of the same COMMIT is left as well: many senders to one
//! recipient cost one write then, and the recipient one read. Nobody waits, and the store is not
//! read for what is already here.

use std::borrow::Cow;
use std::sync::Arc;

use super::{CHANNEL, CHANNEL_BYTES, Outbox, State};
use crate::ids::MessageId;
use crate::net::connection::WriteGuard;
use crate::store::deliveries::Position;
use crate::sync::atomic::Ordering;
use crate::sync::lock;

/// Messages of one transaction to one recipient, as they go over the wire.
pub(crate) struct Push<'a> {
    /// The message before `first` to the same recipient, [`MessageId::MAX`] when not known.
    pub(crate) previous: MessageId,
    /// The first message's id.
    pub(crate) first: MessageId,
    /// The last message's id.
    pub(crate) last: MessageId,
    /// Another sender of the same transaction brings a newer push to the same recipient: the two
    /// may go out as one.
    pub(crate) followed: bool,
    /// The `220` lines; of whoever brings the push, until it has to wait.
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl Push<'_> {
    /// The push with its lines for itself.
    pub(crate) fn kept(self) -> Push<'static> {
        let Push {
            previous,
            first,
            last,
            followed,
            bytes,
        } = self;
        Push {
            previous,
            first,
            last,
            followed,
            bytes: Cow::Owned(bytes.into_owned()),
        }
    }
}

/// So many pushes are written although another one is known to follow, or so many bytes. Few enough
/// to leave room for those that come while these are being written.
const ENOUGH: usize = CHANNEL.div_ceil(4) + 1;
const ENOUGH_BYTES: usize = CHANNEL_BYTES / 4;

/// Pushes that came before the one they follow, before one that follows them, or while another was
/// being written.
#[derive(Default)]
pub(crate) struct ReorderBuffer {
    /// In the order of their messages.
    pushes: Vec<Push<'static>>,
    bytes: usize,
    /// Somebody is writing, and looks here afterwards.
    sending: bool,
    /// The first message of those that the last sweep found.
    found: Option<MessageId>,
}

impl ReorderBuffer {
    pub(crate) fn clear(&mut self) {
        self.pushes = Vec::new();
        self.bytes = 0;
    }

    /// For a sweep: gives up on what the one before has found already, which is read from the store
    /// then. Under load there is always something that has come just now.
    pub(crate) fn is_overdue(&mut self) -> bool {
        let oldest = self.pushes.first().map(|push| push.first);
        let overdue = !self.sending && oldest.is_some() && oldest == self.found;
        self.found = oldest;
        if overdue {
            self.clear();
        }
        overdue
    }

    /// Adds a push; false when there are too many.
    fn add(&mut self, push: Push<'static>) -> bool {
        self.bytes += push.bytes.len();
        let at = self
            .pushes
            .partition_point(|other| other.first < push.first);
        self.pushes.insert(at, push);
        self.pushes.len() <= CHANNEL && self.bytes <= CHANNEL_BYTES
    }

    /// How many pushes follow `reached` without a gap; none while one more is known to come that
    /// can go out with them, unless there are enough.
    fn due(&self, mut reached: MessageId) -> usize {
        let (mut due, mut bytes) = (0, 0);
        for (index, push) in self.pushes.iter().enumerate() {
            if push.previous > reached {
                break;
            }
            bytes += push.bytes.len();
            let enough = index + 1 >= ENOUGH || bytes >= ENOUGH_BYTES;
            // What was read from the store meanwhile waits for nothing.
            if enough || !push.followed || push.first <= reached {
                due = index + 1;
            }
            reached = reached.max(push.last);
        }
        due
    }

    /// Takes those out that are due.
    fn take_due(&mut self, reached: MessageId) -> Vec<Push<'static>> {
        let due = self.due(reached);
        let due: Vec<_> = self.pushes.drain(..due).collect();
        self.bytes -= due.iter().map(|push| push.bytes.len()).sum::<usize>();
        due
    }

    fn take(&mut self) -> Vec<Push<'static>> {
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
    pub(crate) fn push(self: &Arc<Self>, mut push: Push<'_>) {
        {
            let mut state = lock(&self.state);
            if !self.may_send(&state) || push.previous == MessageId::MAX {
                return self.queue(&mut state, push);
            }
            let early = &state.early;
            let follows = push.previous <= self.cursor();
            if early.sending || !early.pushes.is_empty() || !follows || push.followed {
                match self.leave(&mut state, push.kept()) {
                    Some(due) => push = due,
                    None => return,
                }
            }
            state.early.sending = true;
        }
        self.send(push);
    }

    /// Whether nothing has to go out before a push that follows the cursor.
    fn may_send(&self, state: &State) -> bool {
        self.open.load(Ordering::Acquire) && !state.behind && !state.events && !state.looking
    }

    /// Leaves a push for others, unless it makes something due: that is for the caller to write.
    fn leave(self: &Arc<Self>, state: &mut State, push: Push<'static>) -> Option<Push<'static>> {
        if !state.early.add(push) {
            state.early.clear();
            state.behind = true;
            self.wake(state);
            return None;
        }
        if state.early.sending {
            return None;
        }
        let due = self.gather(state);
        if due.is_none() {
            self.note_early(state);
        }
        due
    }

    /// What those pushes wait for is on its way; should it never come, a sweep notices.
    pub(crate) fn note_early(self: &Arc<Self>, state: &mut State) {
        if !state.early.pushes.is_empty() {
            self.note(state);
        }
    }

    /// Writes a push that follows the cursor, and with it what has come early.
    fn send(self: &Arc<Self>, mut push: Push<'_>) {
        let free = self
            .connection
            .try_lock()
            .filter(|connection| !connection.has_pending());
        let Some(mut writing) = free else {
            let mut state = lock(&self.state);
            self.queue(&mut state, push);
            return self.stop_sending(&mut state);
        };
        {
            // Looked at again with the wire held: the login may have ended since, and a push of it
            // would come after its 213, or to the next login; or something has to go out before.
            let mut state = lock(&self.state);
            if !self.may_send(&state) {
                drop(writing);
                if self.open.load(Ordering::Acquire) {
                    self.queue(&mut state, push);
                }
                return self.stop_sending(&mut state);
            }
        }
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
    fn write_now(&self, writing: &mut WriteGuard<'_>, push: &Push<'_>) -> Written {
        // Others move the cursor only with the wire's lock, or past what is not there any more.
        let reached = self.cursor();
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

    /// What is due of what has come early, as one push.
    fn gather(self: &Arc<Self>, state: &mut State) -> Option<Push<'static>> {
        let reached = self.cursor();
        let mut due = state.early.take_due(reached);
        due.retain(|push| push.last > reached);
        if due.first().is_some_and(|push| push.first <= reached) {
            // The writer's, and so is what follows it.
            for push in due {
                self.queue(state, push);
            }
            return None;
        }
        let mut due = due.into_iter();
        let mut all = due.next()?;
        let rest = due.as_slice();
        if let Some(newest) = rest.last() {
            all.last = newest.last;
            let bytes = all.bytes.to_mut();
            bytes.reserve_exact(rest.iter().map(|push| push.bytes.len()).sum());
            rest.iter()
                .for_each(|push| bytes.extend_from_slice(&push.bytes));
        }
        Some(all)
    }

    /// Makes way for the next one to push.
    fn stop_sending(self: &Arc<Self>, state: &mut State) {
        state.early.sending = false;
        if self.may_send(state) {
            self.note_early(state);
        } else {
            // What has to go out first is the writer's business.
            for push in state.early.take() {
                self.queue(state, push);
            }
        }
    }

    /// For the writer, when it has written something: what has come early may follow now.
    pub(crate) fn push_early(self: &Arc<Self>) {
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

#[cfg(test)]
mod tests;
