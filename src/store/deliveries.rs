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

use rusqlite::Connection;

use super::{Source, StoreError, Tx, asked};
use crate::ids::{MessageId, UserId};
use crate::store::commit::tx::milliseconds;

/// Everything up to here has arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The newest message that has arrived, with all before it.
    pub(crate) message: MessageId,
    /// The newest contact event that has arrived, with all before it.
    pub(crate) event: i64,
}

impl Position {
    /// Moves up to `other`, never back.
    pub(crate) fn raise(&mut self, other: Position) {
        self.message = self.message.max(other.message);
        self.event = self.event.max(other.event);
    }
}

/// What is old and may still be taken back, or was found to have arrived late, stays so long, in
/// milliseconds.
pub(crate) const GRACE: i64 = 24 * 3_600 * 1_000;

/// Numbers the logins of one run of the server, in the order in which they begin.
pub(crate) type LoginNumber = u64;

/// Where a user's next login goes on.
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

/// What becomes of a user's row of `login_start`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Stays,
    Is(MessageId),
    Goes,
}

/// What of a user is not saved yet.
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

/// The positions that are not saved yet, and the logins that they are of.
#[derive(Default)]
pub(crate) struct Deliveries {
    unsaved: HashMap<UserId, Unsaved>,
    /// 48 bytes for each user who has logged in.
    logins: HashMap<UserId, Login>,
    last: LoginNumber,
}

/// What one transaction saves.
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
        let Some(login) = self.logins.get_mut(&user) else {
            return;
        };
        if login.number != number {
            return;
        }
        let unsaved = self.unsaved.entry(user).or_default();
        unsaved.position.raise(position);
        if position.message > 0
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
        self.logins.get(&user).map_or(0, |login| login.sent)
    }

    /// A login begins. `start` is where, if its first `135` may take the position back to there.
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
        if self
            .logins
            .get(&user)
            .is_none_or(|login| login.number != number)
        {
            return;
        }
        let noted = self.settle_start(user);
        if noted || plain {
            let unsaved = self.unsaved.entry(user).or_default();
            if noted {
                unsaved.start = Start::Goes;
            }
            unsaved.plain |= plain;
        }
    }

    /// The first `135` of a login sets its user's position to `message`, also back.
    pub(crate) fn set_back(&mut self, user: UserId, message: MessageId) {
        let noted = self.settle_start(user);
        let unsaved = self.unsaved.entry(user).or_default();
        unsaved.position.message = message;
        unsaved.back = true;
        unsaved.plain = false;
        if noted {
            unsaved.start = Start::Goes;
        }
    }

    /// Nothing goes back to where the login began any more; whether the database may know of it.
    fn settle_start(&mut self, user: UserId) -> bool {
        let Some(login) = self.logins.get_mut(&user) else {
            return false;
        };
        login.start = None;
        std::mem::take(&mut login.noted)
    }

    pub(crate) fn unsaved(&self, user: UserId) -> Unsaved {
        self.unsaved.get(&user).copied().unwrap_or_default()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.unsaved.iter().map(|(user, at)| (*user, *at)).collect()
    }

    /// Forgets what was committed, unless it has moved on since.
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
    /// How a user stands who is saved so.
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

/// Writes positions into the open transaction.
pub(crate) fn save(connection: &Connection, positions: &Snapshot) -> Result<(), StoreError> {
    if positions.is_empty() {
        return Ok(());
    }
    // An account may have been deleted meanwhile.
    let mut message = connection.prepare_cached(
        "INSERT INTO delivery (user_id, message_id)
         SELECT id, ?2 FROM user WHERE id = ?1 AND mapped IS NOT NULL
         ON CONFLICT (user_id) DO UPDATE SET message_id = max(message_id, excluded.message_id)",
    )?;
    let mut event =
        connection.prepare_cached("DELETE FROM contact_event WHERE user_id = ?1 AND id <= ?2")?;
    for (user, unsaved) in positions {
        let position = unsaved.position;
        if unsaved.back {
            set(connection, *user, position.message)?;
        } else if position.message > 0 {
            message.execute((user, position.message))?;
        }
        if position.event > 0 {
            asked::arrived(connection, *user, position.event, milliseconds())?;
            event.execute((user, position.event))?;
        }
        match unsaved.start {
            Start::Stays => {}
            Start::Is(start) => {
                connection.run(
                    "INSERT OR REPLACE INTO login_start (user_id, message_id, since)
                         SELECT id, ?2, ?3 FROM user WHERE id = ?1 AND mapped IS NOT NULL",
                    (user, start, milliseconds()),
                )?;
            }
            Start::Goes => forget_start(connection, *user)?,
        }
        if unsaved.plain {
            connection.run("DELETE FROM explicit_receipt WHERE user_id = ?1", [user])?;
        }
    }
    Ok(())
}

fn set(connection: &Connection, user: UserId, message: MessageId) -> rusqlite::Result<()> {
    connection.run(
        "INSERT OR REPLACE INTO delivery (user_id, message_id)
             SELECT id, ?2 FROM user WHERE id = ?1 AND mapped IS NOT NULL",
        (user, message),
    )?;
    Ok(())
}

fn forget_start(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    connection.run("DELETE FROM login_start WHERE user_id = ?1", [user])?;
    Ok(())
}

/// From now on, and in the next login, only `135` counts as received by `user`; everything up to
/// `message` has been.
pub(crate) fn receive_explicitly(
    tx: &mut Tx<'_>,
    user: UserId,
    message: MessageId,
) -> Result<(), StoreError> {
    set(tx.connection, user, message)?;
    forget_start(tx.connection, user)?;
    tx.run(
        "INSERT OR IGNORE INTO explicit_receipt (user_id)
             SELECT id FROM user WHERE id = ?1 AND mapped IS NOT NULL",
        [user],
    )?;
    Ok(())
}

/// Whether the last login of `user` has used `135`, as far as that is saved.
pub(crate) fn is_explicit(source: &impl Source, user: UserId) -> rusqlite::Result<bool> {
    source.has("SELECT 1 FROM explicit_receipt WHERE user_id = ?1", [user])
}

/// At the start of a server nobody is logged in.
pub(crate) fn forget_starts(connection: &Connection) -> rusqlite::Result<()> {
    let some = connection
        .prepare("SELECT 1 FROM login_start LIMIT 1")?
        .exists([])?;
    if some {
        connection.execute("DELETE FROM login_start", [])?;
    }
    Ok(())
}

/// Up to where messages have arrived at `user` for good: nothing brings them again. It is a saved
/// position, since one that is only in memory may be lost.
///
/// A login that has had something since before `settled` (milliseconds since 1970) holds nothing any
/// more: whoever wants to count by `135` has begun by then, and a person may stay logged in for years.
pub(crate) fn surely(
    source: &impl Source,
    user: UserId,
    settled: i64,
) -> rusqlite::Result<MessageId> {
    let connection = source.connection();
    let start = connection.value(
        "SELECT message_id FROM login_start WHERE user_id = ?1 AND since > ?2",
        (user, settled),
    )?;
    Ok(saved(connection, user)?.min(start.unwrap_or(MessageId::MAX)))
}

/// The saved position; 0 when nothing has arrived yet.
pub(crate) fn saved(source: &impl Source, user: UserId) -> rusqlite::Result<MessageId> {
    Ok(source
        .value("SELECT message_id FROM delivery WHERE user_id = ?1", [user])?
        .unwrap_or(0))
}

#[cfg(test)]
mod tests;
