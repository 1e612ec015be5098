//! The reorder buffer: pushes that came before the one they follow, before one that goes out with
//! them, or while nobody could write. A value: no lock, no clock, no input or output.
//!
//! Sessions push after the same COMMIT, each on its own thread, so two pushes to one recipient may
//! come in the wrong order, or at the same moment. One of them waits here, and both go out in one
//! write: nobody waits, and the store is not read for what is already here. A push with more coming
//! waits as well, so many senders to one recipient cost one write, and the recipient one read.

use std::borrow::Cow;

use crate::ids::MessageId;

/// Messages of one transaction to one recipient, as they go over the wire.
pub(crate) struct Push<'a> {
    /// The message before `first` to the same recipient, where it is known.
    pub(crate) previous: Option<MessageId>,
    /// The first message's id.
    pub(crate) first: MessageId,
    /// The last message's id.
    pub(crate) last: MessageId,
    /// Another sender of the same transaction brings a newer push to the same recipient.
    pub(crate) more_coming: bool,
    /// The `220` lines; of whoever brings the push, until it has to wait.
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl Push<'_> {
    pub(super) fn into_owned(self) -> Push<'static> {
        Push {
            bytes: Cow::Owned(self.bytes.into_owned()),
            ..self
        }
    }
}

/// Pushes that may wait.
pub(super) const PUSHES: usize = 64;

/// Bytes that may wait here, and as many in the channel to the catch-up thread.
pub(super) const BYTES: usize = 256 << 10;

/// From so many bytes on, pushes are due although more is coming: few enough to leave room for what
/// comes while these are being written.
const ENOUGH_BYTES: usize = BYTES / 4;

/// What of the buffer is to be sent.
pub(super) enum Due {
    Nothing,
    /// Pushes that follow each other, as one.
    Push(Push<'static>),
    /// The messages sent so far end within a push: only the store can tell them apart.
    Overlap,
}

pub(super) struct ReorderBuffer {
    /// In the order of their messages.
    pushes: Vec<Push<'static>>,
    bytes: usize,
    /// How many pushes may wait.
    bound: usize,
    /// The first message at the last sweep.
    oldest: Option<MessageId>,
}

impl ReorderBuffer {
    pub(super) fn new(bound: usize) -> ReorderBuffer {
        ReorderBuffer {
            pushes: Vec::new(),
            bytes: 0,
            bound,
            oldest: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pushes.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.pushes = Vec::new();
        self.bytes = 0;
    }

    /// Adds a push; false when there are too many.
    pub(super) fn add(&mut self, push: Push<'_>) -> bool {
        self.bytes += push.bytes.len();
        let at = self
            .pushes
            .partition_point(|other| other.first < push.first);
        self.pushes.insert(at, push.into_owned());
        self.pushes.len() <= self.bound && self.bytes <= BYTES
    }

    /// Takes out what follows `cursor` without a gap, and drops what is at or below it.
    pub(super) fn take_due(&mut self, cursor: MessageId) -> Due {
        let mut due: Vec<_> = self.pushes.drain(..self.due(cursor)).collect();
        self.bytes -= size(&due);
        due.retain(|push| push.last > cursor);
        let mut due = due.into_iter();
        let Some(mut all) = due.next() else {
            return Due::Nothing;
        };
        if all.first <= cursor {
            return Due::Overlap;
        }
        let rest = due.as_slice();
        if let Some(newest) = rest.last() {
            (all.last, all.more_coming) = (newest.last, newest.more_coming);
            let bytes = all.bytes.to_mut();
            bytes.reserve_exact(size(rest));
            rest.iter()
                .for_each(|push| bytes.extend_from_slice(&push.bytes));
        }
        Due::Push(all)
    }

    /// How many pushes follow `cursor` without a gap; none while one more is coming that can go out
    /// with them, unless there are enough.
    fn due(&self, mut cursor: MessageId) -> usize {
        let (mut due, mut bytes) = (0, 0);
        for (index, push) in self.pushes.iter().enumerate() {
            if push.previous.is_none_or(|previous| previous > cursor) {
                break;
            }
            bytes += push.bytes.len();
            let enough = index >= self.bound.div_ceil(4) || bytes >= ENOUGH_BYTES;
            // What was read from the store meanwhile waits for nothing.
            if enough || !push.more_coming || push.first <= cursor {
                due = index + 1;
            }
            cursor = cursor.max(push.last);
        }
        due
    }

    /// For a sweep: whether what it finds first has waited since the one before. Under load there is
    /// always something that has come just now.
    pub(super) fn has_waited(&mut self) -> bool {
        let oldest = self.pushes.first().map(|push| push.first);
        let before = std::mem::replace(&mut self.oldest, oldest);
        oldest.is_some() && oldest == before
    }
}

fn size(pushes: &[Push<'_>]) -> usize {
    pushes.iter().map(|push| push.bytes.len()).sum()
}

#[cfg(test)]
mod tests;
