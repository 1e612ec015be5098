//! What an operator does to accounts, and finding what is old enough to go.

use rusqlite::Row;

use crate::ids::{ChatId, Lane, MediaId, MessageId, UserId};
use crate::store::clock::milliseconds;
use crate::store::commit::text_quota;
use crate::store::lanes::View;
use crate::store::{Result, Source, StoreError, Tx, chats, deliveries, messages, users};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: UserId,
    pub(crate) name: String,
    /// What the account is found by, see [`names`](crate::store::open::names).
    pub(crate) mapped: String,
    /// When it was registered, in UTC as ISO 8601 has it.
    pub(crate) created: String,
}

pub(crate) fn accounts(source: &impl Source) -> Result<Vec<Listed>> {
    source.rows(
        "SELECT id, name, mapped,
           strftime('%Y-%m-%dT%H:%M:%SZ', created / 1000, 'unixepoch')
         FROM user WHERE mapped IS NOT NULL ORDER BY mapped",
        [],
    )
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) listed: Listed,
    pub(crate) email: String,
    pub(crate) gender: String,
    /// Confirmed ones.
    pub(crate) contacts: i64,
    /// Requests of others, without an answer.
    pub(crate) requests: i64,
    pub(crate) chats: i64,
    /// Messages that have not arrived at the user, as far as that is saved.
    pub(crate) undelivered: i64,
    /// Own text that the others have not received.
    pub(crate) text_bytes: u64,
    pub(crate) media_bytes: i64,
}

impl TryFrom<&Row<'_>> for Listed {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> Result<Self> {
        Ok(Listed {
            id: row.get(0)?,
            name: row.get(1)?,
            mapped: row.get(2)?,
            created: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        })
    }
}

/// One account by its keys, see [`users::by_name`].
pub(crate) fn details(view: &View<'_>, keys: &[impl AsRef<str>]) -> Result<Option<Details>> {
    let Some(id) = users::id_of(view, keys)? else {
        return Ok(None);
    };
    let (listed, email, gender) = view
        .connection
        .prepare_cached(
            "SELECT id, name, mapped,
               strftime('%Y-%m-%dT%H:%M:%SZ', created / 1000, 'unixepoch'), email, gender
             FROM user WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.try_into()?, row.get(4)?, row.get(5)?)))?;
    let number = |sql: &str| -> Result<i64> { view.one(sql, [id]) };
    Ok(Some(Details {
        listed,
        email,
        gender,
        contacts: number("SELECT count(*) FROM contact WHERE user_id = ?1 AND since IS NOT NULL")?,
        requests: number("SELECT count(*) FROM contact WHERE contact_id = ?1 AND since IS NULL")?,
        chats: number("SELECT count(*) FROM member WHERE user_id = ?1 AND listed = 1")?,
        undelivered: undelivered(view, id)?,
        text_bytes: text_quota::waiting(view, id, |_| MessageId::NONE)?.bytes,
        media_bytes: number("SELECT coalesce(max(bytes), 0) FROM media_use WHERE user_id = ?1")?,
    }))
}

pub(crate) fn undelivered(view: &View<'_>, user: UserId) -> Result<i64> {
    let saved = deliveries::saved(view, user)?;
    let mut count = 0;
    for (lane, cleared) in chats::lanes_to(view, user)? {
        count += view.count(lane, saved.max(cleared), MessageId::MAX)?;
    }
    Ok(count)
}

/// Gives an account another name; false when another account has it.
pub(crate) fn rename(
    tx: &mut Tx<'_>,
    user: UserId,
    name: &str,
    mapped: &str,
) -> Result<bool, StoreError> {
    for key in [name, mapped] {
        let owner = users::id_of(tx.connection, &[key])?;
        if owner.is_some_and(|owner| owner != user) {
            return Ok(false);
        }
    }
    let renamed = tx.change(
        "UPDATE user SET name = ?2, mapped = ?3 WHERE id = ?1 AND mapped IS NOT NULL",
        (user, name, mapped),
    )?;
    Ok(renamed == 1)
}

/// Old messages of one lane that have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OldLane {
    lane: Lane,
    upto: MessageId,
    pub(crate) messages: i64,
}

/// Messages older than `before` (milliseconds since 1970) that have arrived, in the next `count` chats
/// above `after`; gives the last chat looked at too.
pub(crate) fn old_lanes(
    view: &View<'_>,
    after: Option<ChatId>,
    count: u32,
    before: i64,
) -> Result<(Option<ChatId>, Vec<OldLane>)> {
    let chats: Vec<(ChatId, UserId, UserId)> = view.rows(
        "SELECT id, creator_id, other_id FROM chat WHERE id > ?1 ORDER BY id LIMIT ?2",
        (after.map_or(0, ChatId::number), count),
    )?;
    let mut old = Vec::new();
    for &(chat, creator, other) in &chats {
        for (to_creator, recipient) in [(true, creator), (false, other)] {
            let lane = Lane::of(chat, to_creator);
            let first_kept = messages::first_at(view, lane, before)?;
            let upto = first_kept.previous().min(arrived(view, recipient, before)?);
            let messages = view.count(lane, MessageId::NONE, upto)?;
            if messages > 0 {
                old.push(OldLane {
                    lane,
                    upto,
                    messages,
                });
            }
        }
    }
    Ok((chats.last().map(|(chat, ..)| *chat), old))
}

/// Up to where messages older than `before` have arrived at a user for good; nothing waits for a
/// deleted account. Whoever removes what is younger than a day wants it gone that soon.
fn arrived(source: &impl Source, user: UserId, before: i64) -> Result<MessageId> {
    if users::exists(source, user)? {
        let a_day_ago = milliseconds().saturating_sub(deliveries::GRACE);
        deliveries::surely(source, user, before.max(a_day_ago))
    } else {
        Ok(MessageId::MAX)
    }
}

/// Orders that old messages be purged. Arrived for good, they stay so, whatever has happened since.
pub(crate) fn doom_messages(tx: &mut Tx<'_>, old: &[OldLane]) -> Result<(), StoreError> {
    for lane_of in old {
        chats::keep_timestamp(tx, lane_of.lane.chat())?;
        chats::doom(tx, lane_of.lane, lane_of.upto)?;
    }
    Ok(())
}

/// Media of such messages, among the next `count` above `after`; gives the last one looked at too.
pub(crate) fn old_media(
    source: &impl Source,
    after: Option<MediaId>,
    count: u32,
    before: i64,
) -> Result<(Option<MediaId>, Vec<MediaId>)> {
    let mut last = None;
    let mut old = Vec::new();
    let mut statement = source.connection().prepare_cached(
        "SELECT a.id, m.id, m.timestamp, m.lane, c.creator_id, c.other_id FROM media a
         LEFT JOIN message m ON m.id = a.message_id LEFT JOIN chat c ON c.id = m.lane / 2
         WHERE a.id > ?1 ORDER BY a.id LIMIT ?2",
    )?;
    let mut rows = statement.query((after.map_or(0, MediaId::number), count))?;
    while let Some(row) = rows.next()? {
        let media: MediaId = row.get(0)?;
        last = Some(media);
        let (message, timestamp): (Option<MessageId>, Option<i64>) = (row.get(1)?, row.get(2)?);
        let (Some(message), Some(timestamp)) = (message, timestamp) else {
            // Loose already, or about to be.
            continue;
        };
        let to_creator = row.get::<_, Lane>(3)?.to_creator();
        let recipient: Option<UserId> = row.get(if to_creator { 4 } else { 5 })?;
        let (true, Some(recipient)) = (timestamp < before, recipient) else {
            continue;
        };
        if message <= arrived(source, recipient, before)? {
            old.push(media);
        }
    }
    Ok((last, old))
}

/// Takes media from their messages, so that they are purged; to fetch one is `412` from then on.
pub(crate) fn doom_media(tx: &mut Tx<'_>, media: &[MediaId]) -> Result<(), StoreError> {
    for media in media {
        tx.run("UPDATE media SET message_id = NULL WHERE id = ?1", [media])?;
    }
    Ok(())
}
