//! What one slice of retention does to the database: the walks up the ids of messages and media.

use std::collections::HashMap;
use std::time::Instant;

use rusqlite::types::FromSql;
use rusqlite::{Row, ToSql};

use crate::ids::{ChatId, Lane, MediaId, MessageId, UserId};
use crate::store::{Result, Source, StoreError, Tx, chats, deliveries, users};

mod held;

const BATCH: u32 = 64;

/// A TimeStamp so far ahead comes from a clock that was wrong, and must not end the walk.
const WRONG_CLOCK: i64 = 24 * 3_600 * 1_000;

/// What is known of a lane during one slice; nobody else writes meanwhile.
#[derive(Clone, Copy)]
struct Known {
    /// All messages up to this id have arrived, or never will.
    arrived: MessageId,
    /// A reply is being read from its chat.
    pinned: bool,
    newest: MessageId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AgeVerdict {
    Remove,
    Hold,
    /// It is not old, nor is anything behind it.
    Stop,
}

/// One slice of a pass, inside an open transaction.
pub(crate) struct Slice<'s, 'c, P> {
    tx: &'s mut Tx<'c>,
    /// In milliseconds since 1970.
    pub(crate) now: i64,
    pinned: P,
    deadline: Instant,
    /// Messages and media that may still be looked at.
    left: u32,
    lanes: HashMap<Lane, Known>,
    /// How much older than its limit something may be, in milliseconds; None for any.
    pub(crate) span: Option<i64>,
    /// Something was, and ended the walk.
    pub(crate) too_old: bool,
    pub(crate) messages: u64,
    /// Of how many messages that stay the media were removed.
    pub(crate) media: u64,
}

impl<'s, 'c, P: Fn(ChatId) -> bool> Slice<'s, 'c, P> {
    /// `pinned` tells whether a reply is being read from a chat.
    pub(crate) fn new(
        tx: &'s mut Tx<'c>,
        now: i64,
        pinned: P,
        deadline: Instant,
        most: u32,
    ) -> Slice<'s, 'c, P> {
        Slice {
            tx,
            now,
            pinned,
            deadline,
            left: most,
            lanes: HashMap::new(),
            span: None,
            too_old: false,
            messages: 0,
            media: 0,
        }
    }

    /// Counts a step; true when it was the slice's last.
    fn is_over(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0 || Instant::now() >= self.deadline
    }

    /// Walks up rows by their ids, from where the last walk ended, until `take` finds one that is
    /// not old; true when there may be more that are.
    fn walk<I: FromSql + ToSql + Copy + PartialOrd, R>(
        &mut self,
        mark: &str,
        find: &str,
        read: impl Fn(&Row<'_>) -> Result<(I, R)>,
        take: impl Fn(&mut Self, I, R) -> Result<AgeVerdict, StoreError>,
    ) -> Result<bool, StoreError> {
        let connection = self.tx.connection;
        let mut find = connection.prepare_cached(find)?;
        let mut upto: I = connection.one("SELECT value FROM counter WHERE name = ?1", [mark])?;
        let began = upto;
        let more = 'walk: loop {
            let rows: Vec<(I, R)> = find
                .query_map((upto, BATCH), &read)?
                .collect::<Result<_, _>>()?;
            if rows.is_empty() {
                break false;
            }
            for (id, row) in rows {
                if take(self, id, row)? == AgeVerdict::Stop {
                    break 'walk false;
                }
                upto = id;
                if self.is_over() {
                    break 'walk true;
                }
            }
        };
        if upto > began {
            connection.set_counter(mark, upto)?;
        }
        Ok(more)
    }

    /// True when there may be more that are old.
    pub(crate) fn messages(&mut self, cutoff: i64) -> Result<bool, StoreError> {
        type FoundOld = (Lane, i64, Option<MediaId>);
        self.walk(
            "kept_message",
            "SELECT id, lane, timestamp, media_id FROM message WHERE id > ?1 ORDER BY id LIMIT ?2",
            |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?))),
            |slice, id, (lane, timestamp, media): FoundOld| {
                let verdict = slice.judge(lane, id, timestamp, cutoff)?;
                match verdict {
                    AgeVerdict::Stop => {}
                    AgeVerdict::Remove => slice.remove(id, lane, timestamp, media)?,
                    AgeVerdict::Hold => slice.tx.run(
                        "INSERT INTO held_lane (lane, upto) VALUES (?1, ?2)
                             ON CONFLICT (lane) DO UPDATE
                             SET upto = max(upto, excluded.upto), arrived = NULL",
                        (lane, id),
                    )?,
                }
                Ok(verdict)
            },
        )
    }

    pub(crate) fn media(&mut self, cutoff: i64) -> Result<bool, StoreError> {
        self.walk(
            "kept_media",
            "SELECT id, message_id FROM media WHERE id > ?1 ORDER BY id LIMIT ?2",
            |row| Ok((row.get(0)?, row.get(1)?)),
            |slice, id, message: Option<MessageId>| {
                let verdict = slice.judge_media(id, message, cutoff)?;
                match verdict {
                    AgeVerdict::Stop => {}
                    AgeVerdict::Remove => slice.loosen(id)?,
                    AgeVerdict::Hold => slice.tx.run(
                        "INSERT OR IGNORE INTO held_media (media_id) VALUES (?1)",
                        [id],
                    )?,
                }
                Ok(verdict)
            },
        )
    }

    fn judge_media(
        &mut self,
        id: MediaId,
        message: Option<MessageId>,
        cutoff: i64,
    ) -> Result<AgeVerdict, StoreError> {
        if self.tx.cache.uploading.contains(&id) {
            // Looked at again once it has a message. (Should it never get one, it holds nothing up.)
            return Ok(AgeVerdict::Hold);
        }
        Ok(match self.message_of(message)? {
            Some((message, lane, timestamp)) => self.judge(lane, message, timestamp, cutoff)?,
            // It goes by itself.
            None => AgeVerdict::Remove,
        })
    }

    fn judge(
        &mut self,
        lane: Lane,
        id: MessageId,
        timestamp: i64,
        cutoff: i64,
    ) -> Result<AgeVerdict, StoreError> {
        if timestamp >= cutoff {
            let wrong = timestamp > self.now.saturating_add(WRONG_CLOCK);
            return Ok(if wrong {
                AgeVerdict::Hold
            } else {
                AgeVerdict::Stop
            });
        }
        let known = self.lane(lane)?;
        Ok(if known.arrived >= id && !known.pinned {
            let limit = self.span.map(|span| cutoff.saturating_sub(span));
            if limit.is_some_and(|limit| timestamp < limit) {
                self.too_old = true;
                return Ok(AgeVerdict::Stop);
            }
            AgeVerdict::Remove
        } else {
            AgeVerdict::Hold
        })
    }

    fn lane(&mut self, lane: Lane) -> Result<Known, StoreError> {
        if let Some(known) = self.lanes.get(&lane) {
            return Ok(*known);
        }
        let connection = self.tx.connection;
        let chat = lane.chat();
        let newest = self.tx.view().newest(lane, MessageId::MAX)?;
        let arrived = match chats::members(connection, chat)? {
            Some((creator, other)) => {
                let recipient = if lane.to_creator() { creator } else { other };
                self.arrived(recipient, chat)?
            }
            None => MessageId::MAX,
        };
        let known = Known {
            arrived,
            pinned: (self.pinned)(chat),
            newest: newest.map_or(MessageId::NONE, |(id, _)| id),
        };
        self.lanes.insert(lane, known);
        Ok(known)
    }

    /// How far the messages of a chat have arrived at a member, or never will: the account is gone,
    /// or the member has deleted the chat up to there.
    fn arrived(&self, user: UserId, chat: ChatId) -> Result<MessageId, StoreError> {
        let connection = self.tx.connection;
        if !users::exists(connection, user)? {
            return Ok(MessageId::MAX);
        }
        let cleared: Option<MessageId> = connection.value(
            "SELECT cleared_id FROM member WHERE user_id = ?1 AND chat_id = ?2",
            (user, chat),
        )?;
        let settled = self.now.saturating_sub(deliveries::GRACE);
        Ok(deliveries::surely(connection, user, settled)?.max(cleared.unwrap_or_default()))
    }

    fn message_of(
        &self,
        message: Option<MessageId>,
    ) -> Result<Option<(MessageId, Lane, i64)>, StoreError> {
        let Some(id) = message else {
            return Ok(None);
        };
        Ok(self.tx.row(
            "SELECT id, lane, timestamp FROM message WHERE id = ?1",
            [id],
        )?)
    }

    /// Removes a message; its media are left for purging.
    fn remove(
        &mut self,
        id: MessageId,
        lane: Lane,
        timestamp: i64,
        media: Option<MediaId>,
    ) -> Result<(), StoreError> {
        if self.lane(lane)?.newest <= id {
            // With it goes what told the chat's last TimeStamp, and those must not go back.
            self.tx.run(
                "UPDATE chat SET last_timestamp = max(last_timestamp, ?2) WHERE id = ?1",
                (lane.chat(), timestamp),
            )?;
        }
        self.tx.remove_message(lane, id)?;
        if let Some(media) = media {
            self.unlink(media)?;
        }
        self.messages += 1;
        Ok(())
    }

    fn loosen(&mut self, media: MediaId) -> Result<(), StoreError> {
        self.media += u64::from(self.unlink(media)?);
        Ok(())
    }

    fn unlink(&mut self, media: MediaId) -> Result<bool, StoreError> {
        let unlinked = self.tx.change(
            "UPDATE media SET message_id = NULL WHERE id = ?1 AND message_id IS NOT NULL",
            [media],
        )?;
        if unlinked > 0 {
            self.tx.purge_soon();
        }
        Ok(unlinked > 0)
    }
}
