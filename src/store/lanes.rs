//! Which messages a lane has.
//!
//! The index of the lanes, `lane_message`, is kept behind the messages: a commit only appends to
//! `message`, and what it has appended stays in memory, in the [`PendingIndex`], until there is enough to
//! be put into the index as one sorted run. Each message that went into the index by itself would
//! dirty a page of its own, which is then written to the log and once more to the database; a
//! sorted run changes each page once. (Measured: docs/PERFORMANCE.md.)
//!
//! - **Nothing new has to be safe.** The row of `message` says all; the tail is read back at a
//!   start. `counter` has the row `indexed`: up to that id the index is complete. Rows above it are
//!   of a run that did not come to its end, and nobody looks at them.
//! - **One moment.** A read takes the tail first and begins its transaction then. So whatever the
//!   tail names is in the snapshot, and what has left the tail since is in it too: in the tail that
//!   was taken. What was committed later is not seen at all.
//! - **Removed messages** are taken from both tables, and may stay in the tail; a reader passes
//!   over what has no row, and a run leaves it out.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::Tx;
use crate::ids::MessageId;
pub(crate) use indexing::{Indexing, index_all};

mod indexing;

/// A lane, and a message in it.
pub(crate) type Entry = (i64, MessageId);

/// The newest messages, which are not in the index yet. It is never changed, only replaced.
#[derive(Debug, Default)]
pub(crate) struct PendingIndex {
    /// The index is complete up to this message.
    indexed: MessageId,
    /// Each in the order of its entries; all ids of a part are above those of the one before.
    parts: Vec<Arc<Vec<Entry>>>,
    len: usize,
}

impl PendingIndex {
    /// What the database has above the index.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<PendingIndex> {
        let indexed = connection
            .prepare_cached("SELECT value FROM counter WHERE name = 'indexed'")?
            .query_row([], |row| row.get(0))?;
        let nothing = PendingIndex {
            indexed,
            ..PendingIndex::default()
        };
        nothing.caught_up(connection)
    }

    /// This tail with what has come since it was loaded. How far the index has come since then does
    /// not matter to it.
    pub(crate) fn caught_up(&self, connection: &Connection) -> rusqlite::Result<PendingIndex> {
        let newest = self.entries().iter().map(|(_, id)| *id).max();
        let mut entries = connection
            .prepare_cached("SELECT lane, id FROM message WHERE id > ?1 ORDER BY id")?
            .query_map([newest.unwrap_or(self.indexed)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<Vec<Entry>>>()?;
        entries.sort_unstable();
        Ok(self.with(entries, 0))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it, part by part.
    fn entries(&self) -> Vec<Entry> {
        let all = self.parts.iter().flat_map(|part| part.iter());
        all.copied().collect()
    }

    /// This tail with newer messages, in order. The first `fixed` parts stay as they are; of the
    /// others each is more than twice as long as the next one, so that there are few to look
    /// through, and little to copy at a commit.
    fn with(&self, mut entries: Vec<Entry>, fixed: usize) -> PendingIndex {
        let len = self.len + entries.len();
        let mut parts = self.parts.clone();
        while parts.len() > fixed
            && let Some(last) = parts.last()
            && last.len() <= 2 * entries.len()
        {
            entries.extend_from_slice(last);
            // Two runs in order, which this sort recognises.
            entries.sort();
            parts.pop();
        }
        parts.push(Arc::new(entries));
        PendingIndex {
            indexed: self.indexed,
            parts,
            len,
        }
    }

    /// The messages of a lane from `from` on, oldest first.
    fn from(&self, lane: i64, from: MessageId) -> impl DoubleEndedIterator<Item = MessageId> + '_ {
        self.parts.iter().flat_map(move |part| {
            let begin = part.partition_point(|entry| *entry < (lane, from));
            let end = part.partition_point(|entry| *entry <= (lane, MessageId::MAX));
            part[begin..end].iter().map(|(_, id)| *id)
        })
    }
}

/// The database and the messages that its index does not name yet, at one moment.
#[derive(Clone, Copy)]
pub(crate) struct View<'c> {
    /// The connection, inside a transaction.
    pub(crate) connection: &'c Connection,
    tail: &'c PendingIndex,
    /// Messages of the open transaction itself, in the order of their ids.
    pending: &'c [Entry],
}

impl<'c> View<'c> {
    pub(crate) fn new(
        connection: &'c Connection,
        tail: &'c PendingIndex,
        pending: &'c [Entry],
    ) -> View<'c> {
        View {
            connection,
            tail,
            pending,
        }
    }

    /// The ids from `from` on that may be in a lane and are not in the index.
    fn fresh(&self, lane: i64, from: MessageId) -> impl DoubleEndedIterator<Item = MessageId> + 'c {
        let pending = self.pending.iter().filter(move |(of, _)| *of == lane);
        let pending = pending.map(|(_, id)| *id).filter(move |id| *id >= from);
        self.tail.from(lane, from).chain(pending)
    }

    /// The first id of a lane at or above `from`; its message may be gone by now.
    pub(crate) fn first(&self, lane: i64, from: MessageId) -> rusqlite::Result<Option<MessageId>> {
        let indexed = match from <= self.tail.indexed {
            true => self
                .connection
                .prepare_cached(
                    "SELECT message_id FROM lane_message
                     WHERE lane = ?1 AND message_id BETWEEN ?2 AND ?3
                     ORDER BY message_id LIMIT 1",
                )?
                .query_row((lane, from, self.tail.indexed), |row| row.get(0))
                .optional()?,
            false => None,
        };
        Ok(indexed.or_else(|| self.fresh(lane, from).next()))
    }

    /// Hands the messages of a lane from `from` on, oldest first, to `each`, until it returns
    /// false.
    pub(crate) fn up(
        &self,
        lane: i64,
        from: MessageId,
        mut each: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<()> {
        if from <= self.tail.indexed {
            let mut run = self.connection.prepare_cached(
                "SELECT m.id, m.timestamp, m.body, m.media_id, m.lane
                 FROM lane_message l CROSS JOIN message m ON m.id = l.message_id
                 WHERE l.lane = ?1 AND l.message_id BETWEEN ?2 AND ?3 ORDER BY l.message_id",
            )?;
            let mut rows = run.query((lane, from, self.tail.indexed))?;
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

    /// Hands the ids and TimeStamps of a lane's messages below `below`, newest first, to `each`,
    /// until it returns false.
    pub(crate) fn down(
        &self,
        lane: i64,
        below: MessageId,
        mut each: impl FnMut(MessageId, i64) -> bool,
    ) -> rusqlite::Result<()> {
        for id in self.fresh(lane, MessageId::MIN).rev() {
            if id < below
                && let Some(timestamp) = self.timestamp(id)?
                && !each(id, timestamp)
            {
                return Ok(());
            }
        }
        let mut run = self.connection.prepare_cached(
            "SELECT m.id, m.timestamp
             FROM lane_message l CROSS JOIN message m ON m.id = l.message_id
             WHERE l.lane = ?1 AND l.message_id < ?2 AND l.message_id <= ?3
             ORDER BY l.message_id DESC",
        )?;
        let mut rows = run.query((lane, below, self.tail.indexed))?;
        while let Some(row) = rows.next()? {
            if !each(row.get(0)?, row.get(1)?) {
                break;
            }
        }
        Ok(())
    }

    /// The newest message of a lane below `below`, and its TimeStamp.
    pub(crate) fn newest(
        &self,
        lane: i64,
        below: MessageId,
    ) -> rusqlite::Result<Option<(MessageId, i64)>> {
        let mut newest = None;
        self.down(lane, below, |id, timestamp| {
            newest = Some((id, timestamp));
            false
        })?;
        Ok(newest)
    }

    /// How many messages a lane has above `after`, up to `upto`; those that another process has
    /// removed just now may be among them.
    pub(crate) fn count(
        &self,
        lane: i64,
        after: MessageId,
        upto: MessageId,
    ) -> rusqlite::Result<i64> {
        let indexed: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM lane_message
                 WHERE lane = ?1 AND message_id > ?2 AND message_id <= ?3",
            )?
            .query_row((lane, after, upto.min(self.tail.indexed)), |row| row.get(0))?;
        let fresh = self.fresh(lane, after.saturating_add(1));
        let fresh = fresh.take_while(|id| *id <= upto).count();
        Ok(indexed + i64::try_from(fresh).unwrap_or(i64::MAX))
    }

    /// Bytes of the text of a lane's messages above `after`. The text itself is not read.
    pub(crate) fn text(&self, lane: i64, after: MessageId) -> rusqlite::Result<u64> {
        let indexed: i64 = match after < self.tail.indexed {
            true => self
                .connection
                .prepare_cached(
                    "SELECT coalesce(sum(octet_length(m.body)), 0)
                     FROM lane_message l CROSS JOIN message m ON m.id = l.message_id
                     WHERE l.lane = ?1 AND l.message_id > ?2 AND l.message_id <= ?3",
                )?
                .query_row((lane, after, self.tail.indexed), |row| row.get(0))?,
            false => 0,
        };
        let mut bytes = u64::try_from(indexed).unwrap_or(0);
        let mut one = self
            .connection
            .prepare_cached("SELECT octet_length(body) FROM message WHERE id = ?1")?;
        for id in self.fresh(lane, after.saturating_add(1)) {
            let size: Option<u32> = one.query_row([id], |row| row.get(0)).optional()?;
            bytes = bytes.saturating_add(size.unwrap_or(0).into());
        }
        Ok(bytes)
    }

    /// A message by its id, as [`View::up`] hands it over; None when it is gone.
    pub(crate) fn message<T>(
        &self,
        id: MessageId,
        each: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.connection
            .prepare_cached(
                "SELECT id, timestamp, body, media_id, lane FROM message WHERE id = ?1",
            )?
            .query_row([id], each)
            .optional()
    }

    fn timestamp(&self, id: MessageId) -> rusqlite::Result<Option<i64>> {
        self.message(id, |row| row.get(1))
    }
}

impl std::ops::Deref for View<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// Takes a message away, with its row in the index if it has one.
pub(crate) fn remove(tx: &mut Tx<'_>, lane: i64, id: MessageId) -> rusqlite::Result<()> {
    tx.memory.removed = tx.memory.removed.max(id);
    tx.connection
        .prepare_cached("DELETE FROM message WHERE id = ?1")?
        .execute([id])?;
    tx.connection
        .prepare_cached("DELETE FROM lane_message WHERE lane = ?1 AND message_id = ?2")?
        .execute((lane, id))?;
    Ok(())
}
