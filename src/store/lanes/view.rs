//! What a read sees: the database, and the messages that its index does not name yet.

use rusqlite::{Connection, OptionalExtension};

use super::{Entry, PendingIndex};
use crate::ids::{Lane, MessageId};
use crate::store::{Result, Source};

#[derive(Clone, Copy)]
pub(crate) struct View<'c> {
    /// Inside a transaction.
    pub(in crate::store) connection: &'c Connection,
    pending: &'c PendingIndex,
    /// Messages of the open transaction itself, in the order of their ids.
    added: &'c [Entry],
}

impl<'c> View<'c> {
    pub(crate) fn new(
        connection: &'c Connection,
        pending: &'c PendingIndex,
        added: &'c [Entry],
    ) -> View<'c> {
        View {
            connection,
            pending,
            added,
        }
    }

    /// The ids from `from` on that may be in a lane and are not in the index.
    fn fresh(
        &self,
        lane: Lane,
        from: MessageId,
    ) -> impl DoubleEndedIterator<Item = MessageId> + 'c {
        let added = self.added.iter().filter(move |(of, _)| *of == lane);
        let added = added.map(|(_, id)| *id).filter(move |id| *id >= from);
        self.pending.from(lane, from).chain(added)
    }

    /// The first id of a lane at or above `from`; its message may be gone by now.
    pub(crate) fn first(&self, lane: Lane, from: MessageId) -> Result<Option<MessageId>> {
        let indexed = match from <= self.pending.indexed {
            true => self.connection.value(
                "SELECT message_id FROM lane_message
                 WHERE lane = ?1 AND message_id BETWEEN ?2 AND ?3
                 ORDER BY message_id LIMIT 1",
                (lane, from, self.pending.indexed),
            )?,
            false => None,
        };
        Ok(indexed.or_else(|| self.fresh(lane, from).next()))
    }

    /// Messages of a lane from `from` on, oldest first, until `each` returns false.
    pub(crate) fn up(
        &self,
        lane: Lane,
        from: MessageId,
        mut each: impl FnMut(&rusqlite::Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        if from <= self.pending.indexed {
            let mut statement = self.connection.prepare_cached(
                "SELECT m.id, m.timestamp, m.body, m.media_id, m.lane
                 FROM lane_message l CROSS JOIN message m ON m.id = l.message_id
                 WHERE l.lane = ?1 AND l.message_id BETWEEN ?2 AND ?3 ORDER BY l.message_id",
            )?;
            let mut rows = statement.query((lane, from, self.pending.indexed))?;
            while let Some(row) = rows.next()? {
                if !each(row)? {
                    return Ok(());
                }
            }
        }
        for id in self.fresh(lane, from) {
            if self.message(id, &mut each)? == Some(false) {
                break;
            }
        }
        Ok(())
    }

    /// Ids and TimeStamps of a lane's messages below `below`, newest first, until `each` returns false.
    pub(crate) fn down(
        &self,
        lane: Lane,
        below: MessageId,
        mut each: impl FnMut(MessageId, i64) -> bool,
    ) -> Result<()> {
        for id in self.fresh(lane, MessageId::NONE).rev() {
            if id < below
                && let Some(timestamp) = self.message(id, |row| row.get(1))?
                && !each(id, timestamp)
            {
                return Ok(());
            }
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT m.id, m.timestamp
             FROM lane_message l CROSS JOIN message m ON m.id = l.message_id
             WHERE l.lane = ?1 AND l.message_id < ?2 AND l.message_id <= ?3
             ORDER BY l.message_id DESC",
        )?;
        let mut rows = statement.query((lane, below, self.pending.indexed))?;
        while let Some(row) = rows.next()? {
            if !each(row.get(0)?, row.get(1)?) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn newest(&self, lane: Lane, below: MessageId) -> Result<Option<(MessageId, i64)>> {
        let mut newest = None;
        self.down(lane, below, |id, timestamp| {
            newest = Some((id, timestamp));
            false
        })?;
        Ok(newest)
    }

    /// How many messages a lane has above `after`, up to `upto`; those that another process has
    /// removed just now may be among them.
    pub(crate) fn count(&self, lane: Lane, after: MessageId, upto: MessageId) -> Result<i64> {
        let indexed: i64 = self.connection.one(
            "SELECT count(*) FROM lane_message
             WHERE lane = ?1 AND message_id > ?2 AND message_id <= ?3",
            (lane, after, upto.min(self.pending.indexed)),
        )?;
        let fresh = self.fresh(lane, after.next());
        let fresh = fresh.take_while(|id| *id <= upto).count();
        Ok(indexed + i64::try_from(fresh).unwrap_or(i64::MAX))
    }

    /// Bytes of the text of a lane's messages above `after`. The text itself is not read.
    pub(crate) fn text(&self, lane: Lane, after: MessageId) -> Result<u64> {
        let indexed: i64 = match after < self.pending.indexed {
            true => self.connection.one(
                "SELECT coalesce(sum(octet_length(m.body)), 0)
                 FROM lane_message l CROSS JOIN message m ON m.id = l.message_id
                 WHERE l.lane = ?1 AND l.message_id > ?2 AND l.message_id <= ?3",
                (lane, after, self.pending.indexed),
            )?,
            false => 0,
        };
        let mut bytes = u64::try_from(indexed).unwrap_or(0);
        let mut one = self
            .connection
            .prepare_cached("SELECT octet_length(body) FROM message WHERE id = ?1")?;
        for id in self.fresh(lane, after.next()) {
            let size: Option<u32> = one.query_row([id], |row| row.get(0)).optional()?;
            bytes = bytes.saturating_add(size.unwrap_or(0).into());
        }
        Ok(bytes)
    }

    /// A message by its id, as [`View::up`] hands it over; None when it is gone.
    pub(crate) fn message<T>(
        &self,
        id: MessageId,
        each: impl FnOnce(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.connection
            .prepare_cached(
                "SELECT id, timestamp, body, media_id, lane FROM message WHERE id = ?1",
            )?
            .query_row([id], each)
            .optional()
    }
}
