//! Positions in the database: tables `delivery`, `login_start` and `explicit_receipt`.

use rusqlite::Connection;

use super::{Snapshot, Start};
use crate::ids::{MessageId, UserId};
use crate::store::clock::milliseconds;
use crate::store::{Result, Source, StoreError, Tx, asked};

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
        } else if position.message > MessageId::NONE {
            message.execute((user, position.message))?;
        }
        if position.event > 0 {
            asked::arrived(connection, *user, position.event, milliseconds())?;
            event.execute((user, position.event))?;
        }
        match unsaved.start {
            Start::Stays => {}
            Start::Is(start) => connection.run(
                "INSERT OR REPLACE INTO login_start (user_id, message_id, since)
                     SELECT id, ?2, ?3 FROM user WHERE id = ?1 AND mapped IS NOT NULL",
                (user, start, milliseconds()),
            )?,
            Start::Goes => forget_start(connection, *user)?,
        }
        if unsaved.plain {
            connection.run("DELETE FROM explicit_receipt WHERE user_id = ?1", [user])?;
        }
    }
    Ok(())
}

fn set(connection: &Connection, user: UserId, message: MessageId) -> Result<()> {
    connection.run(
        "INSERT OR REPLACE INTO delivery (user_id, message_id)
         SELECT id, ?2 FROM user WHERE id = ?1 AND mapped IS NOT NULL",
        (user, message),
    )
}

fn forget_start(connection: &Connection, user: UserId) -> Result<()> {
    connection.run("DELETE FROM login_start WHERE user_id = ?1", [user])
}

/// From now on, and in the next login, only `135` counts as received by `user`; everything up to
/// `message` has been.
pub(super) fn receive_explicitly(
    tx: &mut Tx<'_>,
    user: UserId,
    message: MessageId,
) -> Result<(), StoreError> {
    set(tx.connection, user, message)?;
    forget_start(tx.connection, user)?;
    Ok(tx.run(
        "INSERT OR IGNORE INTO explicit_receipt (user_id)
         SELECT id FROM user WHERE id = ?1 AND mapped IS NOT NULL",
        [user],
    )?)
}

/// Whether the last login of `user` has used `135`, as far as that is saved.
pub(super) fn is_explicit(source: &impl Source, user: UserId) -> Result<bool> {
    source.has("SELECT 1 FROM explicit_receipt WHERE user_id = ?1", [user])
}

/// At the start of a server nobody is logged in.
pub(crate) fn forget_starts(connection: &Connection) -> Result<()> {
    if connection.has("SELECT 1 FROM login_start LIMIT 1", [])? {
        connection.run("DELETE FROM login_start", [])?;
    }
    Ok(())
}

/// Up to where messages have arrived at `user` for good: nothing brings them again. It is a saved
/// position, since one that is only in memory may be lost.
///
/// A login that has had something since before `settled` (milliseconds since 1970) holds nothing any
/// more: whoever wants to count by `135` has begun by then, and a person may stay logged in for years.
pub(crate) fn surely(source: &impl Source, user: UserId, settled: i64) -> Result<MessageId> {
    let start = source.value(
        "SELECT message_id FROM login_start WHERE user_id = ?1 AND since > ?2",
        (user, settled),
    )?;
    Ok(saved(source, user)?.min(start.unwrap_or(MessageId::MAX)))
}

pub(crate) fn saved(source: &impl Source, user: UserId) -> Result<MessageId> {
    Ok(source
        .value("SELECT message_id FROM delivery WHERE user_id = ?1", [user])?
        .unwrap_or_default())
}
