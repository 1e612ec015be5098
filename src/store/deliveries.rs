//! How far messages and contact events have arrived at each user.
//!
//! Positions are noted in memory when a peer's TCP acknowledges, or a program says so by `135`, and
//! saved along with whatever transaction comes next.
//!
//! A position grows, with one exception: the first `135` of a login sets it to its message, also
//! back, as far as where the login began (contract, section 6). So while TCP alone has spoken for a
//! login, what is above its start may come again, and is not to be removed: the start is in the
//! table `login_start` from the first position on that the login saves, and `surely` looks there.
//! Who has used `135` stands in `explicit_receipt`, and the next login begins so.

use std::collections::HashMap;

use super::{Store, StoreError};
use crate::ids::{LoginNumber, MessageId, Position, UserId};
use crate::sync::atomic::Ordering;
use crate::sync::lock;
pub(crate) use table::{forget_starts, save, saved, surely};

mod table;

/// What is old and may still be taken back, or was found to have arrived late, stays so long, in
/// milliseconds.
pub(crate) const GRACE: i64 = 24 * 3_600 * 1_000;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How far the user has been served, saved or not. Saved contact events are gone from the
    /// database, so their number is only that of the unsaved ones.
    pub(crate) position: Position,
    /// The last login has used `135`.
    pub(crate) explicit: bool,
}

/// A user's newest login since the start of the server.
#[derive(Default)]
struct Login {
    number: LoginNumber,
    /// The newest message written to a connection of the user's, of whatever login.
    sent: MessageId,
    /// As far as its first `135` may take the position back; None when that cannot be any more.
    start: Option<MessageId>,
    /// The start is saved, or about to be.
    noted: bool,
}

/// Change of a user's row of `login_start`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Stays,
    Is(MessageId),
    Goes,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unsaved {
    position: Position,
    /// The message replaces the saved one, also where it is older.
    back: bool,
    start: Start,
    /// The last login has not used `135`.
    plain: bool,
}

impl From<Position> for Unsaved {
    fn from(position: Position) -> Self {
        Unsaved {
            position,
            ..Unsaved::default()
        }
    }
}

#[derive(Default)]
pub(crate) struct Deliveries {
    unsaved: HashMap<UserId, Unsaved>,
    /// 48 bytes for each user who has logged in.
    logins: HashMap<UserId, Login>,
    last: LoginNumber,
}

pub(crate) type Snapshot = Vec<(UserId, Unsaved)>;

impl Deliveries {
    pub(crate) fn note(&mut self, user: UserId, position: Position) {
        self.unsaved
            .entry(user)
            .or_default()
            .position
            .raise(position);
    }

    /// Notes what the peer's TCP has acknowledged of a login. Of an earlier one than the last it
    /// counts no more: that one has been sent the same again, and may have said otherwise by `135`.
    pub(crate) fn note_arrived(&mut self, user: UserId, number: LoginNumber, position: Position) {
        let login = self.logins.get_mut(&user);
        let Some(login) = login.filter(|login| login.number == number) else {
            return;
        };
        let unsaved = self.unsaved.entry(user).or_default();
        unsaved.position.raise(position);
        if position.message > MessageId::NONE
            && let Some(start) = login.start
            && !login.noted
        {
            unsaved.start = Start::Is(start);
            login.noted = true;
        }
    }

    pub(crate) fn note_sent(&mut self, user: UserId, message: MessageId) {
        let sent = &mut self.logins.entry(user).or_default().sent;
        *sent = message.max(*sent);
    }

    pub(crate) fn sent(&self, user: UserId) -> MessageId {
        self.logins
            .get(&user)
            .map_or(MessageId::NONE, |login| login.sent)
    }

    /// `start` is where the login begins, if its first `135` may take the position back to there.
    pub(crate) fn begin(&mut self, user: UserId, start: Option<MessageId>) -> LoginNumber {
        self.last += 1;
        let login = self.logins.entry(user).or_default();
        login.number = self.last;
        login.start = start;
        login.noted = false;
        self.last
    }

    /// The login ends; `plain` when its client has shown that it does not use `135`.
    pub(crate) fn end(&mut self, user: UserId, number: LoginNumber, plain: bool) {
        let login = self.logins.get(&user);
        if login.is_some_and(|login| login.number == number) {
            self.settle_start(user);
            if plain {
                self.unsaved.entry(user).or_default().plain = true;
            }
        }
    }

    /// The first `135` of a login sets its user's position to `message`, also back.
    pub(crate) fn set_back(&mut self, user: UserId, message: MessageId) {
        self.settle_start(user);
        let unsaved = self.unsaved.entry(user).or_default();
        unsaved.position.message = message;
        unsaved.back = true;
        unsaved.plain = false;
    }

    /// Nothing goes back to where the login began any more; the database, if it may know of it,
    /// forgets it.
    fn settle_start(&mut self, user: UserId) {
        if let Some(login) = self.logins.get_mut(&user) {
            login.start = None;
            if std::mem::take(&mut login.noted) {
                self.unsaved.entry(user).or_default().start = Start::Goes;
            }
        }
    }

    pub(crate) fn unsaved(&self, user: UserId) -> Unsaved {
        self.unsaved.get(&user).copied().unwrap_or_default()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.unsaved.iter().map(|(user, at)| (*user, *at)).collect()
    }

    pub(crate) fn saved(&mut self, snapshot: &Snapshot) {
        for (user, was) in snapshot {
            let Some(now) = self.unsaved.get_mut(user) else {
                continue;
            };
            if now == was {
                self.unsaved.remove(user);
                continue;
            }
            // From the saved position on it only has to be raised.
            now.back &= now.position.message < was.position.message || !was.back;
            now.plain &= !was.plain;
            if now.start == was.start {
                now.start = Start::Stays;
            }
        }
    }
}

impl Unsaved {
    pub(crate) fn on(self, saved: MessageId, explicit: bool) -> Standing {
        let message = match self.back {
            true => self.position.message,
            false => saved.max(self.position.message),
        };
        Standing {
            position: Position {
                message,
                event: self.position.event,
            },
            explicit: explicit && !self.plain,
        }
    }
}

impl Store {
    /// Notes that everything up to `position` has been received by `user`; saved along with the
    /// next transaction, or by itself without an fsync when there is none for a while.
    pub(crate) fn note_delivered(&self, user: UserId, position: Position) {
        lock(&self.inner.shared.deliveries).note(user, position);
        self.save_events_soon(position);
    }

    pub(crate) fn note_arrived(&self, user: UserId, login: LoginNumber, position: Position) {
        lock(&self.inner.shared.deliveries).note_arrived(user, login, position);
        self.save_events_soon(position);
    }

    fn save_events_soon(&self, position: Position) {
        if position.event > 0 {
            self.save_soon();
        }
    }

    /// Has the next transaction save positions: what a user has seen in a session that is over
    /// should not come again, even after a crash.
    pub(crate) fn save_soon(&self) {
        self.inner.shared.urgent.store(true, Ordering::Release);
    }

    pub(crate) fn note_sent(&self, user: UserId, message: MessageId) {
        lock(&self.inner.shared.deliveries).note_sent(user, message);
    }

    /// Newest message written to a connection of `user`'s since the start.
    pub(crate) fn sent(&self, user: UserId) -> MessageId {
        lock(&self.inner.shared.deliveries).sent(user)
    }

    pub(crate) fn standing(&self, user: UserId) -> Result<Standing, StoreError> {
        // What is not saved is read first: it leaves that map only after it was committed, so
        // the read that follows sees it then.
        let unsaved = lock(&self.inner.shared.deliveries).unsaved(user);
        self.read(|view| Ok(unsaved.on(saved(view, user)?, table::is_explicit(view, user)?)))
    }

    /// A login of `user` begins, at the message `start`. With `plain`, what the peer's TCP
    /// acknowledges counts as received in it, until its first `135`.
    pub(crate) fn begin_login(&self, user: UserId, start: MessageId, plain: bool) -> LoginNumber {
        lock(&self.inner.shared.deliveries).begin(user, plain.then_some(start))
    }

    /// With `plain`, what the next login's peer acknowledges counts again.
    pub(crate) fn end_login(&self, user: UserId, login: LoginNumber, plain: bool) {
        lock(&self.inner.shared.deliveries).end(user, login, plain);
        self.save_soon();
    }

    /// The first `135` of a login sets the position of `user` to `message`, also back, and from
    /// there on, the next login included, only `135` moves it. `ended` tells whether the login is
    /// over: another one may have begun then, and nothing is done. Returns after the COMMIT; when
    /// it fails, the position has gone back all the same, in memory.
    pub(crate) fn receive_explicitly(
        &self,
        user: UserId,
        message: MessageId,
        ended: impl FnOnce() -> bool,
    ) -> Result<bool, StoreError> {
        {
            let mut deliveries = lock(&self.inner.shared.deliveries);
            if ended() {
                return Ok(false);
            }
            // First: what the transactions before the job's save of the old position is
            // overwritten by it, and those from there on save the new one.
            deliveries.set_back(user, message);
        }
        self.write(3, move |tx| table::receive_explicitly(tx, user, message))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
