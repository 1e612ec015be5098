//! What was asked before, so that nobody can be pestered by asking again.
//!
//! - Who has declined somebody's request is not told of their requests any more, until asking them
//!   of their own accord.
//! - Who withdraws a request and makes it again is told of once a day.
//!
//! The asker is answered as ever and sees no difference.

use rusqlite::Connection;

use super::{Result, Source, StoreError, Tx};
use crate::ids::UserId;

/// Milliseconds between two tellings of a request that is withdrawn and made again.
pub(crate) const DAY: i64 = 24 * 3_600_000;

/// Whether `contact` is to be told of the request that `user` makes now. `online` says whether a
/// `233` reaches `contact` at once; otherwise it counts as told when it has arrived.
pub(crate) fn is_told(
    tx: &Tx<'_>,
    user: UserId,
    contact: UserId,
    online: bool,
) -> Result<bool, StoreError> {
    let (connection, now) = (tx.connection, tx.now());
    // What is older says nothing any more. A clock that was set may have left it in the future.
    connection.run(
        "DELETE FROM asked WHERE user_id = ?1 AND declined = 0 AND abs(?2 - told) >= ?3",
        (user, now, DAY),
    )?;
    let declined: Option<bool> = connection.value(
        "SELECT declined FROM asked WHERE user_id = ?1 AND contact_id = ?2",
        (user, contact),
    )?;
    match declined {
        Some(true) => {}
        Some(false) => connection.run(
            "UPDATE asked SET quiet = 1 WHERE user_id = ?1 AND contact_id = ?2",
            (user, contact),
        )?,
        None if online => told(tx, user, contact)?,
        None => {}
    }
    Ok(declined.is_none())
}

/// `contact` has been told of a request of `user`'s just now; what is noted already stays.
pub(crate) fn told(tx: &Tx<'_>, user: UserId, contact: UserId) -> Result<()> {
    tx.run(
        "INSERT INTO asked (user_id, contact_id, told) VALUES (?1, ?2, ?3)
         ON CONFLICT (user_id, contact_id) DO NOTHING",
        (user, contact, tx.now()),
    )
}

/// The `233` up to `event` have arrived, so `contact` has been told; to be run before they are removed.
pub(crate) fn arrived(
    connection: &Connection,
    contact: UserId,
    event: i64,
    now: i64,
) -> Result<()> {
    connection.run(
        "INSERT INTO asked (user_id, contact_id, told)
         SELECT e.contact_id, e.user_id, ?3 FROM contact_event e
         JOIN contact c ON c.user_id = e.contact_id AND c.contact_id = e.user_id
         WHERE e.user_id = ?1 AND e.id <= ?2 AND c.since IS NULL
         ON CONFLICT (user_id, contact_id) DO NOTHING",
        (contact, event, now),
    )
}

/// `contact` does not want to hear of requests of `user`'s any more.
pub(crate) fn declined(tx: &Tx<'_>, user: UserId, contact: UserId) -> Result<()> {
    tx.run(
        "INSERT INTO asked (user_id, contact_id, told, declined) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (user_id, contact_id) DO UPDATE SET declined = 1",
        (user, contact, tx.now()),
    )
}

/// Forgets what `user` has asked `contact`: it was answered, or `contact` wants to hear of it again.
pub(crate) fn forget(tx: &Tx<'_>, user: UserId, contact: UserId) -> Result<()> {
    tx.run(
        "DELETE FROM asked WHERE user_id = ?1 AND contact_id = ?2",
        (user, contact),
    )
}

/// A batch of what a deleted account has asked and been asked goes; false when nothing is left.
pub(crate) fn depart(connection: &Connection, user: UserId, batch: u32) -> Result<bool> {
    let by = connection.change(
        "DELETE FROM asked WHERE user_id = ?1 AND contact_id IN
         (SELECT contact_id FROM asked WHERE user_id = ?1 LIMIT ?2)",
        (user, batch),
    )?;
    let of = connection.change(
        "DELETE FROM asked WHERE contact_id = ?1 AND user_id IN
         (SELECT user_id FROM asked WHERE contact_id = ?1 LIMIT ?2)",
        (user, batch),
    )?;
    Ok(by + of > 0)
}
