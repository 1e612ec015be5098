//! Which messages a lane has.
//!
//! The index of the lanes, `lane_message`, is kept behind the messages: a commit only appends to
//! `message`, and what it has appended stays in memory, in the [`Tail`], until there is enough to
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

use super::{MessageId, StoreError};

/// Messages in the tail from which on a run begins: with 100 chats each page of the index takes in
/// a hundred messages at a time then, with 10,000 about ten. Also what a start may have to read.
/// (Less in tests, so that many runs are made.)
const RUN: usize = if cfg!(test) { 64 } else { 16_384 };

/// Parts of the tail are joined up to this many messages, so that there are few of them to look
/// through and little to copy at a commit.
const PART: usize = if cfg!(test) { 8 } else { 1_024 };

/// Rows that each transaction puts into the index while a run is going on, or twice as many as it
/// has messages, so that the run comes to its end: half a millisecond.
const STEP: usize = if cfg!(test) { 16 } else { 512 };

/// With so many messages to a lane a transaction puts them into the index itself.
const DENSE: usize = 4;

/// Messages that one statement puts into the index: that is much faster than one by one.
const AT_ONCE: usize = 64;

/// The same for new messages, of which there may be few: a client's window of 32 is two of these.
const NEW_AT_ONCE: usize = 16;

/// A lane, and a message in it.
pub(super) type Entry = (i64, MessageId);

/// The newest messages, which are not in the index yet. It is never changed, only replaced.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The index is complete up to this message.
    indexed: MessageId,
    /// Each in the order of its entries; all ids of a part are above those of the one before.
    parts: Vec<Arc<Vec<Entry>>>,
    len: usize,
}

impl Tail {
    /// What the database has above the index.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Tail> {
        let indexed = connection
            .prepare_cached("SELECT value FROM counter WHERE name = 'indexed'")?
            .query_row([], |row| row.get(0))?;
        let entries = connection
            .prepare_cached("SELECT lane, id FROM message WHERE id > ?1 ORDER BY id")?
            .query_map([indexed], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<Entry>>>()?;
        let mut tail = Tail {
            indexed,
            ..Tail::default()
        };
        for part in entries.chunks(PART) {
            let mut part = part.to_vec();
            part.sort_unstable();
            tail = tail.with(part, 0);
        }
        Ok(tail)
    }

    /// All of it, part by part.
    fn entries(&self) -> Vec<Entry> {
        let all = self.parts.iter().flat_map(|part| part.iter());
        all.copied().collect()
    }

    /// This tail with newer messages, in order. The first `fixed` parts stay as they are.
    fn with(&self, mut entries: Vec<Entry>, fixed: usize) -> Tail {
        let len = self.len + entries.len();
        let mut parts = self.parts.clone();
        if parts.len() > fixed
            && let Some(last) = parts.last()
            && last.len() + entries.len() <= PART
        {
            entries.extend_from_slice(last);
            // Two runs in order, which this sort recognises.
            entries.sort();
            parts.pop();
        }
        parts.push(Arc::new(entries));
        Tail {
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

/// What the committer does to the tail.
#[derive(Default)]
pub(super) struct Indexing {
    /// What is being put into the index, in order, and how far that has come.
    run: Vec<Entry>,
    done: usize,
    /// The parts of the tail that make up the run.
    parts: usize,
    /// The newest message of them.
    upto: MessageId,
    /// What the open transaction has put into the index.
    step: Step,
}

#[derive(Default)]
enum Step {
    #[default]
    Nothing,
    /// So many rows of the run.
    Rows(usize),
    /// All that there is, the transaction's own messages too.
    Everything,
}

impl Indexing {
    /// Whether a run has begun.
    pub(super) fn is_going_on(&self) -> bool {
        !self.run.is_empty()
    }

    /// Begins a run with all that the tail has, unless one is going on or there is nothing.
    pub(super) fn begin(&mut self, tail: &Tail) {
        if self.is_going_on() || tail.len == 0 {
            return;
        }
        self.run = tail.entries();
        self.upto = self.run.iter().map(|(_, id)| *id).max().unwrap_or(0);
        // Its parts are in order.
        self.run.sort();
        self.parts = tail.parts.len();
        self.done = 0;
    }

    /// What a transaction with the messages of `pending` does for the index, before its COMMIT.
    ///
    /// Where there are several messages to each lane, they go into the index at once: a crowd whose
    /// members each talk to one other gains nothing from a run. All else waits for one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(super) fn advance(
        &mut self,
        connection: &Connection,
        tail: &Tail,
        pending: &mut [Entry],
    ) -> Result<(), StoreError> {
        pending.sort_unstable();
        let dense = DENSE * lanes(pending) <= pending.len() && !pending.is_empty();
        let share = STEP.max(2 * pending.len());
        if dense && !self.is_going_on() && tail.len <= share {
            insert(connection, &tail.entries())?;
            insert_new(connection, pending)?;
            let newest = pending.iter().map(|(_, id)| *id).max().unwrap_or(0);
            self.upto = newest.max(tail.indexed);
            self.complete(connection)?;
            self.step = Step::Everything;
            return Ok(());
        }
        if dense || tail.len >= RUN {
            self.begin(tail);
        }
        self.step(connection, share)
    }

    /// Puts the next `rows` rows of the run into the index, inside an open transaction.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(super) fn step(&mut self, connection: &Connection, rows: usize) -> Result<(), StoreError> {
        let end = self.run.len().min(self.done.saturating_add(rows));
        if end == self.done {
            return Ok(());
        }
        insert(connection, &self.run[self.done..end])?;
        if end == self.run.len() {
            self.complete(connection)?;
        }
        self.step = Step::Rows(end - self.done);
        Ok(())
    }

    fn complete(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE counter SET value = ?1 WHERE name = 'indexed'")?
            .execute([self.upto])?;
        Ok(())
    }

    /// After the COMMIT of a step, and of `entries` as new messages, in order: the tail that is
    /// right now, if it is another.
    pub(super) fn committed(&mut self, tail: &Tail, entries: &[Entry]) -> Option<Tail> {
        match std::mem::take(&mut self.step) {
            Step::Nothing => {}
            Step::Rows(rows) => self.done += rows,
            Step::Everything => {
                return Some(Tail {
                    indexed: self.upto,
                    ..Tail::default()
                });
            }
        }
        let grown = (!entries.is_empty()).then(|| tail.with(entries.to_vec(), self.parts));
        if !self.is_going_on() || self.done < self.run.len() {
            return grown;
        }
        let tail = grown.as_ref().unwrap_or(tail);
        let rest = Tail {
            indexed: self.upto,
            parts: tail.parts[self.parts..].to_vec(),
            len: tail.len - self.run.len(),
        };
        *self = Indexing::default();
        Some(rest)
    }

    /// After a transaction that was rolled back.
    pub(super) fn abandoned(&mut self) {
        self.step = Step::Nothing;
    }
}

/// How many lanes there are in entries that are in order.
fn lanes(entries: &[Entry]) -> usize {
    entries.chunk_by(|a, b| a.0 == b.0).count()
}

/// Puts messages of earlier transactions into the index. One may be there from a run that a crash
/// has ended, and one may be gone, or never have been.
fn insert(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let marks = (1..=AT_ONCE).map(|number| format!("(?{number})"));
    let marks = marks.collect::<Vec<_>>().join(", ");
    let mut insert = connection.prepare_cached(&format!(
        "INSERT OR IGNORE INTO lane_message (lane, message_id) SELECT m.lane, m.id
         FROM (VALUES {marks}) given CROSS JOIN message m ON m.id = given.column1"
    ))?;
    for entries in entries.chunks(AT_ONCE) {
        let ids = entries.iter().map(|(_, id)| Some(*id));
        let ids = ids.chain(std::iter::repeat(None)).take(AT_ONCE);
        insert.execute(rusqlite::params_from_iter(ids))?;
    }
    Ok(())
}

/// Puts messages of the open transaction itself into the index.
fn insert_new(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let (many, few) = entries.as_chunks::<NEW_AT_ONCE>();
    if !many.is_empty() {
        let pairs =
            (1..=NEW_AT_ONCE).map(|number| format!("(?{}, ?{})", 2 * number - 1, 2 * number));
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO lane_message (lane, message_id) VALUES {pairs}"
        ))?;
        for entries in many {
            let values = entries.iter().flat_map(|(lane, id)| [*lane, *id]);
            insert.execute(rusqlite::params_from_iter(values))?;
        }
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO lane_message (lane, message_id) VALUES (?1, ?2)")?;
    for entry in few {
        insert.execute(*entry)?;
    }
    Ok(())
}

/// Puts the whole tail into the index, inside a transaction of a process that has the database to
/// itself.
///
/// # Errors
/// When the database cannot be written.
pub(super) fn index_all(connection: &Connection) -> Result<(), StoreError> {
    let mut indexing = Indexing::default();
    indexing.begin(&Tail::load(connection)?);
    indexing.step(connection, usize::MAX)
}

/// The database and the messages that its index does not name yet, at one moment.
#[derive(Clone, Copy)]
pub struct View<'c> {
    /// The connection, inside a transaction.
    pub connection: &'c Connection,
    tail: &'c Tail,
    /// Messages of the open transaction itself, in the order of their ids.
    pending: &'c [Entry],
}

impl<'c> View<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        tail: &'c Tail,
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
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn first(&self, lane: i64, from: MessageId) -> rusqlite::Result<Option<MessageId>> {
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
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn up(
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
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn down(
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
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn newest(
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
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn count(
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

    /// A message by its id, as [`View::up`] hands it over; None when it is gone.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn message<T>(
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
///
/// # Errors
/// When the database cannot be written.
pub(super) fn remove(connection: &Connection, lane: i64, id: MessageId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM message WHERE id = ?1")?
        .execute([id])?;
    connection
        .prepare_cached("DELETE FROM lane_message WHERE lane = ?1 AND message_id = ?2")?
        .execute((lane, id))?;
    Ok(())
}
