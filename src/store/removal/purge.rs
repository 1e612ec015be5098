//! Removing what nobody can see any more, in small steps between other work.

use std::time::Instant;

use rusqlite::Connection;

use crate::ids::{ChatId, Lane, MediaId, MessageId, UserId};
use crate::store::{Source, StoreError, Tx, asked, chats};

/// Messages looked at in one statement; a step goes on until its deadline.
const BATCH: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    /// Only chats that are being read.
    Pinned,
    /// The deadline passed.
    Work,
}

/// Removes deleted accounts, messages of doomed lanes and loose media, until `deadline`.
pub(crate) fn step(
    tx: &mut Tx<'_>,
    pinned: impl Fn(ChatId) -> bool,
    deadline: Instant,
) -> Result<Left, StoreError> {
    let is_over = || Instant::now() >= deadline;
    let mut left = Left::Nothing;
    for kind in [accounts, lanes, media] {
        match kind(tx, &pinned, &is_over)? {
            Left::Nothing => {}
            Left::Pinned => left = Left::Pinned,
            Left::Work => return Ok(Left::Work),
        }
    }
    Ok(left)
}

fn accounts(
    tx: &mut Tx<'_>,
    _: &dyn Fn(ChatId) -> bool,
    is_over: &dyn Fn() -> bool,
) -> Result<Left, StoreError> {
    while let Some(user) =
        tx.value::<UserId>("SELECT user_id FROM departure ORDER BY user_id LIMIT 1", [])?
    {
        while account(tx, user)? {
            if is_over() {
                return Ok(Left::Work);
            }
        }
        tx.run("DELETE FROM departure WHERE user_id = ?1", [user])?;
    }
    Ok(Left::Nothing)
}

fn lanes(
    tx: &mut Tx<'_>,
    pinned: &dyn Fn(ChatId) -> bool,
    is_over: &dyn Fn() -> bool,
) -> Result<Left, StoreError> {
    let mut left = Left::Nothing;
    let mut last = None;
    while let Some((lane, upto)) = tx.row(
        "SELECT lane, upto FROM purge WHERE lane > ?1 ORDER BY lane LIMIT 1",
        [last.map_or(0, Lane::number)],
    )? {
        last = Some(lane);
        if pinned(lane.chat()) {
            left = Left::Pinned;
            continue;
        }
        if is_over() {
            return Ok(Left::Work);
        }
        while messages(tx, lane, upto)? {
            if is_over() {
                return Ok(Left::Work);
            }
        }
        tx.run(
            "DELETE FROM purge WHERE lane = ?1 AND upto = ?2",
            (lane, upto),
        )?;
    }
    Ok(left)
}

fn media(
    tx: &mut Tx<'_>,
    pinned: &dyn Fn(ChatId) -> bool,
    is_over: &dyn Fn() -> bool,
) -> Result<Left, StoreError> {
    let connection = tx.connection;
    let mut left = Left::Nothing;
    let mut last = None;
    while let Some((media, chat)) = connection.row(
        "SELECT id, chat_id FROM media WHERE message_id IS NULL AND id > ?1
          ORDER BY id LIMIT 1",
        [last.map_or(0, MediaId::number)],
    )? {
        last = Some(media);
        if tx.cache.uploading.contains(&media) {
            continue;
        }
        if pinned(chat) {
            left = Left::Pinned;
            continue;
        }
        if is_over() {
            return Ok(Left::Work);
        }
        while part(connection, media)? {
            if is_over() {
                return Ok(Left::Work);
            }
        }
        connection.run("DELETE FROM media WHERE id = ?1", [media])?;
    }
    Ok(left)
}

/// Takes away a batch of a deleted account's contacts, events and chats; false when none is left.
fn account(tx: &mut Tx<'_>, user: UserId) -> Result<bool, StoreError> {
    let connection = tx.connection;
    let mut contacts: Vec<UserId> = connection.values(
        "SELECT contact_id FROM contact WHERE user_id = ?1 LIMIT ?2",
        (user, BATCH),
    )?;
    contacts.extend(connection.values::<UserId>(
        "SELECT user_id FROM contact WHERE contact_id = ?1 AND since IS NULL LIMIT ?2",
        (user, BATCH),
    )?);
    for contact in &contacts {
        crate::store::contacts::remove(tx, user, *contact)?;
    }
    let chats: Vec<ChatId> = connection.values(
        "SELECT chat_id FROM member WHERE user_id = ?1 AND listed = 1 LIMIT ?2",
        (user, BATCH),
    )?;
    for chat in &chats {
        chats::leave(tx, user, *chat)?;
    }
    let events = connection.change(
        "DELETE FROM contact_event WHERE id IN
         (SELECT id FROM contact_event WHERE user_id = ?1 LIMIT ?2)",
        (user, BATCH),
    )?;
    let asked = asked::depart(connection, user, BATCH)?;
    Ok(!contacts.is_empty() || !chats.is_empty() || events > 0 || asked)
}

/// False when no message is left.
fn messages(tx: &mut Tx<'_>, lane: Lane, upto: MessageId) -> Result<bool, StoreError> {
    let mut rows: Vec<(MessageId, Option<MediaId>)> = Vec::new();
    // The pending index still names what is gone, and is not to be looked through anew for each batch.
    let from = match tx.cache.purged {
        Some((of, upto)) if of == lane => upto,
        _ => MessageId::NONE,
    };
    tx.view().up(lane, from, |row| {
        let id = row.get(0)?;
        if id <= upto {
            rows.push((id, row.get(3)?));
        }
        Ok(id < upto && rows.len() < BATCH as usize)
    })?;
    let connection = tx.connection;
    for (id, attached) in &rows {
        tx.remove_message(lane, *id)?;
        if let Some(attached) = attached {
            connection.run(
                "UPDATE media SET message_id = NULL WHERE id = ?1",
                [attached],
            )?;
        }
    }
    if let Some((last, _)) = rows.last() {
        tx.cache.purged = Some((lane, *last));
    }
    Ok(!rows.is_empty())
}

/// False when no part is left.
fn part(connection: &Connection, media: MediaId) -> Result<bool, StoreError> {
    let removed = connection.change(
        "DELETE FROM media_part WHERE media_id = ?1
         AND part = (SELECT min(part) FROM media_part WHERE media_id = ?1)",
        [media],
    )?;
    Ok(removed > 0)
}
