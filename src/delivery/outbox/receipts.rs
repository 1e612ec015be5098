//! What counts as received in one login (contract, section 6, `135`): what the peer's TCP has
//! acknowledged, or, from the first `135` on, what that says.

use super::Outbox;
use crate::guard::log_limit::log_limited;
use crate::ids::{LoginNumber, MessageId, Position, UserId};
use crate::net::connection::{Arrivals, WriteGuard};
use crate::store::{Store, StoreError};
use crate::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// How a login counts. Changed by the login's own session alone, read by whoever writes to it.
#[derive(Default)]
pub(crate) struct Receipts {
    /// Among all logins; see [`crate::store::Store::begin_login`].
    number: AtomicU64,
    /// Where the login began: as far back as its first `135` may set the position.
    start: AtomicI64,
    /// Only `135` moves the user's position. Read and set under the connection's lock.
    explicit: AtomicBool,
    /// `135` was used in this login.
    used: AtomicBool,
    /// The store knows that the next login is to begin like this one; nothing but `135` has moved
    /// the position since it does.
    recorded: AtomicBool,
    /// The login is over; an operator may end it before its session does.
    ended: AtomicBool,
}

impl Arrivals for Store {
    fn arrived(&self, user: UserId, login: LoginNumber, position: Position) {
        self.note_arrived(user, login, position);
    }
}

impl Receipts {
    /// For a mark: whose login it is of.
    pub(crate) fn number(&self) -> LoginNumber {
        self.number.load(Ordering::Acquire)
    }

    pub(crate) fn are_explicit(&self) -> bool {
        self.explicit.load(Ordering::Acquire)
    }
}

impl Outbox {
    /// `135` was used on the connection before the login: nothing is to count without it, from the
    /// first byte on. Called before [`Outbox::begin`].
    pub(crate) fn expect_receipts(&self) {
        self.receipts.explicit.store(true, Ordering::Release);
        self.receipts.used.store(true, Ordering::Release);
    }

    /// The login begins at the message `start`; `explicit` when the last one has used `135`. No
    /// push of it is out yet.
    pub(super) fn begin_receipts(&self, start: MessageId, explicit: bool) {
        let receipts = &self.receipts;
        receipts.start.store(start.number(), Ordering::Release);
        receipts.recorded.store(explicit, Ordering::Release);
        let plain = !explicit && !receipts.are_explicit();
        let number = self.store.begin_login(self.user(), start, plain);
        receipts.number.store(number, Ordering::Release);
        let mut writing = self.connection.lock();
        writing.report_to(Box::new(self.store.clone()));
        if !plain {
            self.count_explicitly(&mut writing);
            drop(writing);
            if !explicit && let Err(error) = self.record(start) {
                // It holds for this login, and the first 135 tries again.
                log_limited!(
                    Warn,
                    "that user {} uses 135 is not kept: {error}",
                    self.user()
                );
            }
        }
    }

    /// From now on only `135` moves the user's position.
    pub(crate) fn count_explicitly(&self, writing: &mut WriteGuard<'_>) {
        self.receipts.explicit.store(true, Ordering::Release);
        writing.count_explicitly(self.user());
    }

    /// A `135` of the login, once [`Outbox::count_explicitly`] was called: its program has read all
    /// up to `message`; None where the `135` names no message, or is refused. False when the login
    /// has ended. When it fails, the next `135` is the first one.
    pub(crate) fn received(&self, message: Option<MessageId>) -> Result<bool, StoreError> {
        let receipts = &self.receipts;
        if receipts.recorded.load(Ordering::Acquire) {
            if let Some(message) = message {
                self.store
                    .note_delivered(self.user(), Position { message, event: 0 });
            }
        } else {
            let start = MessageId::new(receipts.start.load(Ordering::Acquire));
            if !self.record(message.map_or(start, |message| message.max(start)))? {
                return Ok(false);
            }
        }
        receipts.used.store(true, Ordering::Release);
        Ok(true)
    }

    /// Sets the position, also back; false when the login has ended.
    fn record(&self, position: MessageId) -> Result<bool, StoreError> {
        let kept = self
            .store
            .receive_explicitly(self.user(), position, || self.has_ended())?;
        self.receipts.recorded.store(kept, Ordering::Release);
        Ok(kept)
    }

    /// The login is over: called before its name is free. With `in_order` its client ended it, by a
    /// request or behind a whole line. One that could have sent a `135` and did not has gone back
    /// to logins without; an end amid a line, a reset or the server's own doing says nothing.
    pub(crate) fn end_receipts(&self, in_order: bool) {
        let receipts = &self.receipts;
        if receipts.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        let used = receipts.used.load(Ordering::Acquire);
        let plain = in_order && !used && receipts.recorded.load(Ordering::Acquire);
        self.store.end_login(self.user(), receipts.number(), plain);
    }
}
