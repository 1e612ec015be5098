//! How the index of the lanes is brought forward: what a commit does for it, and runs.

use std::sync::LazyLock;

use rusqlite::Connection;

use super::{Entry, Tail};
use crate::store::{MessageId, StoreError};

/// Messages in the tail from which on a run begins: with 100 chats each page of the index takes in
/// a hundred messages at a time then, with 10,000 about ten. Also what a start may have to read.
/// (Less in tests, so that many runs are made.)
const RUN: usize = if cfg!(test) { 64 } else { 16_384 };

/// Rows that each transaction puts into the index while a run is going on, or twice as many as it
/// has messages, so that the run comes to its end: half a millisecond.
const STEP: usize = if cfg!(test) { 16 } else { 512 };

/// With so many messages to a lane a transaction puts them into the index itself.
const DENSE: usize = 4;

/// Messages that one statement puts into the index: that is much faster than one by one.
const AT_ONCE: usize = 64;

/// The same for new messages, of which there may be few: a client's window of 32 is two of these.
const NEW_AT_ONCE: usize = 16;

/// What the committer does to the tail.
#[derive(Default)]
pub(in crate::store) struct Indexing {
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
    pub(in crate::store) fn is_going_on(&self) -> bool {
        !self.run.is_empty()
    }

    /// Begins a run with all that the tail has, unless one is going on or there is nothing.
    pub(in crate::store) fn begin(&mut self, tail: &Tail) {
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
    pub(in crate::store) fn advance(
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
    pub(in crate::store) fn step(
        &mut self,
        connection: &Connection,
        rows: usize,
    ) -> Result<(), StoreError> {
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
    pub(in crate::store) fn committed(&mut self, tail: &Tail, entries: &[Entry]) -> Option<Tail> {
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
    pub(in crate::store) fn abandoned(&mut self) {
        self.step = Step::Nothing;
    }
}

/// How many lanes there are in entries that are in order.
fn lanes(entries: &[Entry]) -> usize {
    entries.chunk_by(|a, b| a.0 == b.0).count()
}

/// For messages of earlier transactions. One may be there from a run that a crash has ended, and one
/// may be gone, or never have been. Written once, as texts of this length cost each commit time.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let marks = (1..=AT_ONCE).map(|number| format!("(?{number})"));
    let marks = marks.collect::<Vec<_>>().join(", ");
    format!(
        "INSERT OR IGNORE INTO lane_message (lane, message_id) SELECT m.lane, m.id
         FROM (VALUES {marks}) given CROSS JOIN message m ON m.id = given.column1"
    )
});

/// For messages of the open transaction itself.
static INSERT_NEW: LazyLock<String> = LazyLock::new(|| {
    let pairs = (1..=NEW_AT_ONCE).map(|number| format!("(?{}, ?{})", 2 * number - 1, 2 * number));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    format!("INSERT INTO lane_message (lane, message_id) VALUES {pairs}")
});

/// Puts messages of earlier transactions into the index.
fn insert(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(&INSERT)?;
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
        let mut insert = connection.prepare_cached(&INSERT_NEW)?;
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
pub(in crate::store) fn index_all(connection: &Connection) -> Result<(), StoreError> {
    let mut indexing = Indexing::default();
    indexing.begin(&Tail::load(connection)?);
    indexing.step(connection, usize::MAX)
}
