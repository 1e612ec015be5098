//! Messages: sending, backlog, history.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::chats;
use super::{Result, StoreError, Tx};
use crate::guard::log_limit::log_limited;
use crate::ids::{ChatId, Lane, MediaId, MessageId, UserId};
use crate::store::chats::Access;
use crate::store::lanes::View;

/// TimeStamps further ahead of the clock than this come from a clock that was wrong, in milliseconds;
/// a burst in one chat is ahead by a millisecond a message.
const AHEAD: i64 = 24 * 3_600 * 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Kept(Kept),
    /// No chat, or deleted by the sender.
    NotFound,
    /// A chat of two others.
    Denied,
    /// The other account or the contact is gone.
    NoContact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) id: MessageId,
    pub(crate) timestamp: i64,
    pub(crate) recipient: UserId,
    pub(crate) media: Option<MediaId>,
    /// The message before it to the same recipient, where it is known.
    pub(crate) previous: Option<MessageId>,
}

pub(crate) fn send(
    tx: &mut Tx<'_>,
    sender: UserId,
    chat: ChatId,
    body: &str,
    media: Option<MediaId>,
) -> Result<Sent, StoreError> {
    let mut insert = Insert::new(tx)?;
    send_by(tx, &mut insert, sender, chat, body, media)
}

/// The statement that keeps a message, looked up once for many of them.
pub(crate) struct Insert<'c>(rusqlite::CachedStatement<'c>);

impl<'c> Insert<'c> {
    pub(crate) fn new(tx: &Tx<'c>) -> Result<Insert<'c>> {
        tx.connection
            .prepare_cached(
                "INSERT INTO message (id, lane, timestamp, body, media_id)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .map(Insert)
    }
}

pub(crate) fn send_by(
    tx: &mut Tx<'_>,
    insert: &mut Insert<'_>,
    sender: UserId,
    chat: ChatId,
    body: &str,
    media: Option<MediaId>,
) -> Result<Sent, StoreError> {
    let known = match tx.cache.chats.get(&chat) {
        Some(known) => *known,
        None => match chats::load(&tx.view(), chat)? {
            Some(known) => known,
            None => return Ok(Sent::NotFound),
        },
    };
    let from_creator = sender == known.creator;
    if !from_creator && sender != known.other {
        tx.cache.chats.insert(chat, known);
        return Ok(Sent::Denied);
    }
    let (mine, theirs) = if from_creator { (0, 1) } else { (1, 0) };
    if !known.listed[mine] {
        return Ok(Sent::NotFound);
    }
    if !known.open {
        return Ok(Sent::NoContact);
    }
    let recipient = if from_creator {
        known.other
    } else {
        known.creator
    };
    let mut known = known;
    if !known.listed[theirs] {
        chats::list(tx, recipient, chat)?;
        known.listed[theirs] = true;
    }
    let id = tx.cache.ids.take();
    let timestamp = tx.now().max(known.last_timestamp + 1);
    if timestamp > tx.now().saturating_add(AHEAD) {
        log_limited!(
            Warn,
            "the messages of chat {chat} are dated more than a day ahead, by a clock that was wrong; \
             see docs/RELIABILITY.md, \"Dates that are ahead\""
        );
    }
    let lane = Lane::of(chat, !from_creator);
    insert.0.execute((id, lane, timestamp, body, media))?;
    tx.cache.added.push((lane, id));
    known.last_timestamp = timestamp;
    tx.cache.chats.insert(chat, known);
    Ok(Sent::Kept(Kept {
        id,
        timestamp,
        recipient,
        media,
        previous: tx.follow(recipient, id),
    }))
}

pub(crate) struct Stored<'r> {
    pub(crate) id: MessageId,
    pub(crate) chat: ChatId,
    /// It went to the chat's creator, not from them.
    pub(crate) to_creator: bool,
    pub(crate) timestamp: i64,
    pub(crate) body: &'r str,
    pub(crate) media: Option<MediaId>,
}

/// Hands messages to `user` above `after` to `each`, oldest first, until it returns false; returns
/// whether there are more.
///
/// A user's backlog is spread over one lane of each of the user's chats. The lanes are merged by
/// a heap of their next ids, so that neither a sort nor a second index is needed.
pub(crate) fn backlog(
    view: &View<'_>,
    user: UserId,
    after: MessageId,
    mut each: impl FnMut(Stored<'_>) -> bool,
) -> Result<bool> {
    let mut heads = BinaryHeap::new();
    for (lane, cleared) in chats::lanes_to(view, user)? {
        if let Some(head) = view.first(lane, after.max(cleared).next())? {
            heads.push(Reverse((head, lane)));
        }
    }
    let mut more = false;
    while let Some(Reverse((head, lane))) = heads.pop() {
        // This lane's messages come next, up to the first one of another lane.
        let other = heads.peek().map_or(MessageId::MAX, |Reverse((id, _))| *id);
        view.up(lane, head, |row| {
            let id: MessageId = row.get(0)?;
            if id > other {
                heads.push(Reverse((id, lane)));
                return Ok(false);
            }
            more = !each(stored(row)?);
            Ok(!more)
        })?;
        if more {
            break;
        }
    }
    Ok(more)
}

fn stored<'r>(row: &'r rusqlite::Row<'_>) -> Result<Stored<'r>> {
    let lane: Lane = row.get(4)?;
    Ok(Stored {
        id: row.get(0)?,
        chat: lane.chat(),
        to_creator: lane.to_creator(),
        timestamp: row.get(1)?,
        body: row.get_ref(2)?.as_str()?,
        media: row.get(3)?,
    })
}

/// The ids of the newest `count` messages of a chat older than the TimeStamp `before` (0: the
/// newest) and above `cleared`, oldest first.
pub(crate) fn history(
    view: &View<'_>,
    chat: ChatId,
    before: i64,
    count: u32,
    cleared: MessageId,
) -> Result<Vec<MessageId>> {
    let count = count as usize;
    let mut ids = Vec::new();
    for to_creator in [true, false] {
        let lane = Lane::of(chat, to_creator);
        let below = match before {
            0 => MessageId::MAX,
            _ => first_at(view, lane, before)?,
        };
        let enough = ids.len() + count;
        if enough == ids.len() {
            break;
        }
        view.down(lane, below, |id, _| {
            if id > cleared {
                ids.push(id);
            }
            id > cleared && ids.len() < enough
        })?;
    }
    ids.sort_unstable();
    let surplus = ids.len().saturating_sub(count);
    ids.drain(..surplus);
    Ok(ids)
}

/// Error when the message is gone.
pub(crate) fn one<T>(view: &View<'_>, id: MessageId, f: impl FnOnce(Stored<'_>) -> T) -> Result<T> {
    view.message(id, |row| Ok(f(stored(row)?)))?
        .ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// The newest message to a member of a chat at or before a TimeStamp, for `135`.
pub(crate) fn newest_upto(
    view: &View<'_>,
    user: UserId,
    chat: ChatId,
    timestamp: i64,
) -> Result<Result<Option<MessageId>, Access>> {
    let access = chats::access(view, user, chat)?;
    let Access::Member { creator, .. } = access else {
        return Ok(Err(access));
    };
    let lane = Lane::of(chat, creator);
    let above = first_at(view, lane, timestamp.saturating_add(1))?;
    let newest = view.newest(lane, above)?;
    Ok(Ok(newest.map(|(id, _)| id)))
}

/// An id of a lane such that exactly the messages below it are older than `timestamp`.
///
/// Within a lane TimeStamps grow with ids, so a bisection over ids finds the place in some forty
/// steps, however long the chat; a second index would cost every message instead.
pub(crate) fn first_at(view: &View<'_>, lane: Lane, timestamp: i64) -> Result<MessageId> {
    let at = |from: MessageId| -> Result<Option<(MessageId, i64)>> {
        let mut found = None;
        view.up(lane, from, |row| {
            found = Some((row.get(0)?, row.get(1)?));
            Ok(false)
        })?;
        Ok(found)
    };
    let (Some((mut low, _)), Some((newest, _))) =
        (at(MessageId::NONE)?, view.newest(lane, MessageId::MAX)?)
    else {
        return Ok(MessageId::MAX);
    };
    // Invariant: messages below low are older than timestamp, those at or above high are not.
    let mut high = newest.next();
    while low < high {
        let middle = MessageId::new(low.number() + (high.number() - low.number()) / 2);
        match at(middle)? {
            Some((id, time)) if time < timestamp => low = id.next(),
            _ => high = middle,
        }
    }
    Ok(low)
}
