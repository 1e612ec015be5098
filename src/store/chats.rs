//! Chats and what they are to their members.

use super::{Result, Source, StoreError, Tx, contacts, users};
use crate::ids::{ChatId, Lane, MessageId, UserId};
use crate::store::commit::cache::CachedChat;
use crate::store::lanes::View;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// No such chat, or the user has deleted it.
    NotFound,
    /// A chat of two others.
    Denied,
    Member {
        creator: bool,
        /// Messages up to this id are gone for the user.
        cleared: MessageId,
    },
}

pub(crate) fn access(source: &impl Source, user: UserId, chat: ChatId) -> Result<Access> {
    let Some((creator, other)) = members(source, chat)? else {
        return Ok(Access::NotFound);
    };
    if user != creator && user != other {
        return Ok(Access::Denied);
    }
    let member: Option<(MessageId, bool)> = source.row(
        "SELECT cleared_id, listed FROM member WHERE user_id = ?1 AND chat_id = ?2",
        (user, chat),
    )?;
    Ok(match member {
        Some((cleared, true)) => Access::Member {
            creator: user == creator,
            cleared,
        },
        _ => Access::NotFound,
    })
}

/// The chats in a user's list, oldest first.
pub(crate) fn of(source: &impl Source, user: UserId) -> Result<Vec<ChatId>> {
    source.values(
        "SELECT chat_id FROM member WHERE user_id = ?1 AND listed = 1 ORDER BY chat_id",
        [user],
    )
}

/// The lanes of messages to a user, listed or not, and up to where each is gone for the user.
pub(crate) fn lanes_to(source: &impl Source, user: UserId) -> Result<Vec<(Lane, MessageId)>> {
    let chats: Vec<(ChatId, UserId, MessageId)> = source.rows(
        "SELECT m.chat_id, c.creator_id, m.cleared_id FROM member m JOIN chat c ON c.id = m.chat_id
         WHERE m.user_id = ?1",
        [user],
    )?;
    let lane = |(chat, creator, cleared)| (Lane::of(chat, creator == user), cleared);
    Ok(chats.into_iter().map(lane).collect())
}

/// Shown names of a chat's creator and other member.
pub(crate) fn names(source: &impl Source, chat: ChatId) -> Result<(String, String)> {
    let (creator, other) = members(source, chat)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok((
        users::shown_name(source, creator)?,
        users::shown_name(source, other)?,
    ))
}

/// Creator and other member.
pub(crate) fn members(source: &impl Source, chat: ChatId) -> Result<Option<(UserId, UserId)>> {
    source.row(
        "SELECT creator_id, other_id FROM chat WHERE id = ?1",
        [chat],
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    NotConfirmed,
    NoRoom,
    /// The chat is in the asker's list now, whether it was there before or not.
    Listed,
}

/// Puts the one chat between two users into the asker's list, creating it where needed.
pub(crate) fn create(
    tx: &mut Tx<'_>,
    user: UserId,
    contact: UserId,
) -> Result<Created, StoreError> {
    let connection = tx.connection;
    if !contacts::confirmed(connection, user, contact)? {
        return Ok(Created::NotConfirmed);
    }
    if let Some(chat) = tx.chat_between(user, contact)? {
        list(tx, user, chat)?;
        return Ok(Created::Listed);
    }
    if !tx.has_room()? {
        return Ok(Created::NoRoom);
    }
    connection.run(
        "INSERT INTO chat (creator_id, other_id) VALUES (?1, ?2)",
        (user, contact),
    )?;
    let chat = connection.last_insert_rowid();
    let mut member = connection
        .prepare_cached("INSERT INTO member (user_id, chat_id, other_id) VALUES (?1, ?2, ?3)")?;
    member.execute((user, chat, contact))?;
    member.execute((contact, chat, user))?;
    Ok(Created::Listed)
}

pub(crate) fn list(tx: &mut Tx<'_>, user: UserId, chat: ChatId) -> Result<(), StoreError> {
    tx.run(
        "UPDATE member SET listed = 1 WHERE user_id = ?1 AND chat_id = ?2",
        (user, chat),
    )?;
    tx.cache.chats.remove(&chat);
    Ok(())
}

/// Takes a chat out of a member's list, with its messages up to now; ends it when the other side
/// is gone too. Nothing is done unless this returns [`Access::Member`].
pub(crate) fn delete(tx: &mut Tx<'_>, user: UserId, chat: ChatId) -> Result<Access, StoreError> {
    let access = access(tx.connection, user, chat)?;
    if matches!(access, Access::Member { .. }) {
        leave(tx, user, chat)?;
    }
    Ok(access)
}

/// Ends a member's side of a chat, listed or not.
pub(crate) fn leave(tx: &mut Tx<'_>, user: UserId, chat: ChatId) -> Result<(), StoreError> {
    let connection = tx.connection;
    let newest = tx.cache.ids.newest();
    let rest: Option<(MessageId, bool)> = connection.row(
        // A deleted account is no member any more, even if its rows are still to be taken away.
        "SELECT m.cleared_id, m.listed FROM member m JOIN user u ON u.id = m.user_id
         WHERE m.chat_id = ?1 AND u.mapped IS NOT NULL AND m.user_id =
           (SELECT other_id FROM member WHERE user_id = ?2 AND chat_id = ?1)",
        (chat, user),
    )?;
    let upto = match rest {
        Some((cleared, true)) => {
            connection.run(
                "UPDATE member SET listed = 0, cleared_id = ?3
                 WHERE user_id = ?1 AND chat_id = ?2",
                (user, chat, newest),
            )?;
            keep_timestamp(tx, chat)?;
            cleared
        }
        _ => {
            let (creator, other) = members(connection, chat)?.unwrap_or((user, user));
            let mut member = connection
                .prepare_cached("DELETE FROM member WHERE user_id = ?1 AND chat_id = ?2")?;
            member.execute((creator, chat))?;
            member.execute((other, chat))?;
            connection.run("DELETE FROM chat WHERE id = ?1", [chat])?;
            newest
        }
    };
    if upto > MessageId::NONE {
        doom(tx, Lane::of(chat, true), upto)?;
        doom(tx, Lane::of(chat, false), upto)?;
        tx.purge_soon();
    }
    tx.cache.chats.remove(&chat);
    Ok(())
}

/// Orders that the messages of a lane up to `upto` be purged.
pub(crate) fn doom(tx: &Tx<'_>, lane: Lane, upto: MessageId) -> Result<()> {
    tx.run(
        "INSERT INTO purge (lane, upto) VALUES (?1, ?2)
         ON CONFLICT (lane) DO UPDATE SET upto = max(upto, excluded.upto)",
        (lane, upto),
    )
}

/// Notes the last TimeStamp with the chat itself: TimeStamps must not go back when its newest
/// message is purged.
pub(crate) fn keep_timestamp(tx: &Tx<'_>, chat: ChatId) -> Result<()> {
    tx.run(
        "UPDATE chat SET last_timestamp = ?2 WHERE id = ?1",
        (chat, last_timestamp(&tx.view(), chat)?),
    )
}

/// The TimeStamp that the next message of a chat must pass.
pub(crate) fn last_timestamp(view: &View<'_>, chat: ChatId) -> Result<i64> {
    let mut last = view
        .value("SELECT last_timestamp FROM chat WHERE id = ?1", [chat])?
        .unwrap_or(0);
    for to_creator in [true, false] {
        let newest = view.newest(Lane::of(chat, to_creator), MessageId::MAX)?;
        last = last.max(newest.map_or(0, |(_, timestamp)| timestamp));
    }
    Ok(last)
}

pub(crate) fn load(view: &View<'_>, chat: ChatId) -> Result<Option<CachedChat>> {
    let Some((creator, other)) = members(view, chat)? else {
        return Ok(None);
    };
    let is_listed = |user: UserId| {
        let sql = "SELECT listed FROM member WHERE user_id = ?1 AND chat_id = ?2";
        Ok::<bool, rusqlite::Error>(view.value(sql, (user, chat))?.unwrap_or(false))
    };
    Ok(Some(CachedChat {
        creator,
        other,
        last_timestamp: last_timestamp(view, chat)?,
        open: users::exists(view, creator)?
            && users::exists(view, other)?
            && contacts::confirmed(view, creator, other)?,
        listed: [is_listed(creator)?, is_listed(other)?],
    }))
}
