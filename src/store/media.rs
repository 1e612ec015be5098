//! Media, kept in parts so that neither a transaction nor a reader handles a whole one.

use rusqlite::Connection;

use super::chats;
use super::{Result, Source, StoreError, Tx, messages};
use crate::ids::{ChatId, MediaId, MessageId, UserId};
use crate::store::chats::Access;
use crate::store::commit::quota;

/// Bytes of one part, a little less where a character would be cut.
pub(crate) const PART: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) id: MediaId,
    pub(crate) chat: ChatId,
    /// It must be quoted on the wire.
    pub(crate) quoted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    Found(Media),
    /// None, or its message is gone for the user.
    NotFound,
    /// It was sent into a chat of two others.
    Denied,
}

pub(crate) fn find(source: &impl Source, user: UserId, media: MediaId) -> Result<Lookup> {
    let row: Option<(ChatId, MessageId, bool)> = source.row(
        "SELECT chat_id, message_id, quoted FROM media
         WHERE id = ?1 AND message_id IS NOT NULL",
        [media],
    )?;
    let Some((chat, message, quoted)) = row else {
        return Ok(Lookup::NotFound);
    };
    let Some((creator, other)) = chats::members(source, chat)? else {
        return Ok(Lookup::NotFound);
    };
    if user != creator && user != other {
        return Ok(Lookup::Denied);
    }
    // Not listed any more, yet the message may be there for the other side.
    Ok(match chats::access(source, user, chat)? {
        Access::Member { cleared, .. } if message > cleared => Lookup::Found(Media {
            id: media,
            chat,
            quoted,
        }),
        _ => Lookup::NotFound,
    })
}

/// One part of media; None behind the last one.
pub(crate) fn part(source: &impl Source, media: MediaId, part: u32) -> Result<Option<String>> {
    source.value(
        "SELECT data FROM media_part WHERE media_id = ?1 AND part = ?2",
        (media, part),
    )
}

/// None when the owner's media would take up more than they may.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    owner: UserId,
    chat: ChatId,
    size: usize,
    quoted: bool,
) -> Result<Option<MediaId>, StoreError> {
    let limits = tx.cache.limits;
    if limits.media_quota > 0 {
        let used = used(tx.connection, owner)?;
        if !quota::has_media_quota(&limits, owner, used, size as u64) {
            return Ok(None);
        }
    }
    tx.run(
        "INSERT INTO media (owner_id, chat_id, size, quoted) VALUES (?1, ?2, ?3, ?4)",
        (owner, chat, i64::try_from(size).unwrap_or(i64::MAX), quoted),
    )?;
    let media = MediaId::new(tx.connection.last_insert_rowid());
    tx.cache.uploading.insert(media);
    Ok(Some(media))
}

/// Bytes of a user's media, those included whose message is still to come or already gone.
pub(crate) fn used(connection: &Connection, user: UserId) -> Result<u64> {
    let bytes: Option<i64> =
        connection.value("SELECT bytes FROM media_use WHERE user_id = ?1", [user])?;
    Ok(bytes
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(0))
}

pub(crate) fn add(
    tx: &mut Tx<'_>,
    media: MediaId,
    part: u32,
    data: &str,
) -> Result<(), StoreError> {
    Ok(tx.run(
        "INSERT INTO media_part (media_id, part, data) VALUES (?1, ?2, ?3)",
        (media, part, data),
    )?)
}

/// Sends the message that the media belongs to; on a refusal the media is left for purging.
pub(crate) fn finish(
    tx: &mut Tx<'_>,
    sender: UserId,
    chat: ChatId,
    body: &str,
    media: MediaId,
) -> Result<messages::Sent, StoreError> {
    let sent = messages::send(tx, sender, chat, body, Some(media))?;
    match sent {
        messages::Sent::Kept(kept) => tx.run(
            "UPDATE media SET message_id = ?2 WHERE id = ?1",
            (media, kept.id),
        )?,
        _ => tx.purge_soon(),
    }
    tx.cache.uploading.remove(&media);
    Ok(sent)
}

pub(crate) fn abandon(tx: &mut Tx<'_>, media: MediaId) {
    tx.cache.uploading.remove(&media);
    tx.purge_soon();
}
