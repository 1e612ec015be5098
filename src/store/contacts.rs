//! Contacts: requests, confirmations, and the events that tell of them.

use rusqlite::Connection;

use super::{Result, Source, StoreError, Tx, asked, users};
use crate::ids::UserId;
use crate::store::clock::milliseconds;

pub(crate) struct Contact {
    pub(crate) name: String,
    /// When both sides had confirmed, in milliseconds since 1970.
    pub(crate) since: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requested {
    /// Deleted account.
    Nobody,
    NoRoom,
    Unchanged,
    Recorded,
    /// Recorded, and the other side is not told: see `asked`.
    Quietly,
    /// Limit of requests without an answer.
    TooMany,
}

/// Records that `user` wants `contact`; a wish from both sides makes contacts. `most` limits requests
/// without an answer; 0 is no limit. `online` says whether a `233` reaches `contact` at once.
pub(crate) fn request(
    tx: &mut Tx<'_>,
    user: UserId,
    contact: UserId,
    most: u32,
    online: bool,
) -> Result<Requested, StoreError> {
    let connection = tx.connection;
    if !users::exists(connection, contact)? || !users::exists(connection, user)? {
        return Ok(Requested::Nobody);
    }
    if wants(connection, user, contact)? {
        return Ok(Requested::Unchanged);
    }
    if !tx.has_room()? {
        return Ok(Requested::NoRoom);
    }
    let wanted = wants(connection, contact, user)?;
    if !wanted && most > 0 && open(connection, user)? >= most {
        return Ok(Requested::TooMany);
    }
    connection.run(
        "INSERT INTO contact (user_id, contact_id) VALUES (?1, ?2)",
        (user, contact),
    )?;
    // Whatever was before: `user` wants to hear of `contact` again.
    asked::forget(tx, contact, user)?;
    if wanted {
        asked::forget(tx, user, contact)?;
        connection.run(
            "UPDATE contact SET since = ?3
             WHERE (user_id = ?1 AND contact_id = ?2) OR (user_id = ?2 AND contact_id = ?1)",
            (user, contact, tx.now()),
        )?;
        tx.forget_chat_between(user, contact)?;
    } else if !asked::is_told(tx, user, contact, online)? {
        return Ok(Requested::Quietly);
    }
    connection.run(
        "INSERT INTO contact_event (user_id, contact_id) VALUES (?1, ?2)",
        (contact, user),
    )?;
    Ok(Requested::Recorded)
}

/// Whether `user` has asked for `contact`, answered or not.
fn wants(connection: &Connection, user: UserId, contact: UserId) -> Result<bool> {
    connection.has(
        "SELECT 1 FROM contact WHERE user_id = ?1 AND contact_id = ?2",
        (user, contact),
    )
}

/// Open requests of a user. It reads all of the user's contacts, a few pages.
fn open(connection: &Connection, user: UserId) -> Result<u32> {
    connection.one(
        "SELECT count(*) FROM contact WHERE user_id = ?1 AND since IS NULL",
        [user],
    )
}

/// `user` ends whatever relation there is with `contact`; false when there is none. Who declines a
/// request hears of the other's requests no more. `online` says whether `contact` is logged in, and
/// so may have been told of a request that `user` withdraws.
pub(crate) fn end(
    tx: &mut Tx<'_>,
    user: UserId,
    contact: UserId,
    online: bool,
) -> Result<bool, StoreError> {
    let theirs = wants(tx.connection, contact, user)?;
    let both = theirs && wants(tx.connection, user, contact)?;
    if !remove(tx, user, contact)? {
        return Ok(false);
    }
    if both {
        // Neither has declined a request, so the other's next one is told, once.
    } else if theirs {
        asked::declined(tx, contact, user)?;
    } else if online {
        asked::told(tx, user, contact)?;
    }
    Ok(true)
}

/// Takes away what is between two users; false when nothing is.
pub(crate) fn remove(tx: &mut Tx<'_>, user: UserId, contact: UserId) -> Result<bool, StoreError> {
    let removed = tx.change(
        "DELETE FROM contact
         WHERE (user_id = ?1 AND contact_id = ?2) OR (user_id = ?2 AND contact_id = ?1)",
        (user, contact),
    )?;
    if removed == 0 {
        return Ok(false);
    }
    // What was not told yet is not true any more.
    let mut events = tx
        .connection
        .prepare_cached("DELETE FROM contact_event WHERE user_id = ?1 AND contact_id = ?2")?;
    events.execute((user, contact))?;
    events.execute((contact, user))?;
    tx.forget_chat_between(user, contact)?;
    Ok(true)
}

pub(crate) fn confirmed(source: &impl Source, a: UserId, b: UserId) -> Result<bool> {
    source.has(
        "SELECT 1 FROM contact WHERE user_id = ?1 AND contact_id = ?2 AND since IS NOT NULL",
        (a, b),
    )
}

/// Confirmed contacts, by id.
pub(crate) fn of(source: &impl Source, user: UserId) -> Result<Vec<UserId>> {
    source.values(
        "SELECT c.contact_id FROM contact c JOIN user u ON u.id = c.contact_id
         WHERE c.user_id = ?1 AND c.since IS NOT NULL AND u.mapped IS NOT NULL
         ORDER BY c.contact_id",
        [user],
    )
}

/// One contact of a user; since is 0 when the contact ended a moment ago.
pub(crate) fn one(source: &impl Source, user: UserId, contact: UserId) -> Result<Contact> {
    let since: Option<Option<i64>> = source.value(
        "SELECT since FROM contact WHERE user_id = ?1 AND contact_id = ?2",
        (user, contact),
    )?;
    Ok(Contact {
        name: users::shown_name(source, contact)?,
        since: since.flatten().unwrap_or(0),
    })
}

/// A `233` to be sent: where to go on (an event's id, or the asker's of an open request), and the name
/// in it.
pub(crate) type ContactEvent<K> = (K, String);

/// Contact events above `after`, oldest first.
pub(crate) fn events(
    source: &impl Source,
    user: UserId,
    after: i64,
    limit: u32,
) -> Result<Vec<ContactEvent<i64>>> {
    source.rows(
        "SELECT e.id, u.name FROM contact_event e JOIN user u ON u.id = e.contact_id
         WHERE e.user_id = ?1 AND e.id > ?2 AND u.mapped IS NOT NULL
         ORDER BY e.id LIMIT ?3",
        (user, after, limit),
    )
}

/// The same up to `upto`, without open requests, which are told at each login anyway.
pub(crate) fn settled_events(
    source: &impl Source,
    user: UserId,
    after: i64,
    upto: i64,
    limit: u32,
) -> Result<Vec<ContactEvent<i64>>> {
    source.rows(
        "SELECT e.id, u.name FROM contact_event e JOIN user u ON u.id = e.contact_id
         WHERE e.user_id = ?1 AND e.id > ?2 AND e.id <= ?3 AND u.mapped IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM contact c WHERE c.user_id = e.contact_id
                           AND c.contact_id = e.user_id AND c.since IS NULL)
         ORDER BY e.id LIMIT ?4",
        (user, after, upto, limit),
    )
}

/// Who wants `user` and has no answer yet, by the asker's id, above `after`; without those of whom
/// `user` is not to be told, see `asked`.
pub(crate) fn open_requests(
    source: &impl Source,
    user: UserId,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<ContactEvent<UserId>>> {
    source.rows(
        "SELECT c.user_id, u.name FROM contact c JOIN user u ON u.id = c.user_id
         WHERE c.contact_id = ?1 AND c.since IS NULL AND c.user_id > ?2
           AND u.mapped IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM asked a WHERE a.user_id = c.user_id
                           AND a.contact_id = c.contact_id
                           AND (a.declined OR (a.quiet AND abs(?4 - a.told) < ?5)))
         ORDER BY c.user_id LIMIT ?3",
        (
            user,
            after.map_or(0, UserId::number),
            limit,
            milliseconds(),
            asked::DAY,
        ),
    )
}

/// 0 when there is none.
pub(crate) fn newest_event(source: &impl Source, user: UserId) -> Result<i64> {
    Ok(source
        .value(
            "SELECT id FROM contact_event WHERE user_id = ?1 ORDER BY id DESC LIMIT 1",
            [user],
        )?
        .unwrap_or(0))
}
