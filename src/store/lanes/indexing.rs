//! How the index of the lanes is brought forward: what a commit does for it, and runs.

use std::sync::LazyLock;

use rusqlite::Connection;

use super::{Entry, PendingIndex};
use crate::ids::MessageId;
use crate::store::StoreError;

/// Messages in the tail from which on a run begins: with 10,000 chats each page of the index takes in
/// a few dozen messages at a time then. It is also what a start may have to read after a crash, and
/// two megabytes of memory under load. (Less in tests, so that many runs are made.)
const RUN: usize = if cfg!(test) { 64 } else { 65_536 };

/// Rows that each transaction puts into the index while a run is going on, or twice as many as it
/// has messages, so that the run comes to its end.
const STEP: usize = if cfg!(test) { 16 } else { 64 };

/// Messages that one statement puts into the index: that is much faster than one by one.
const AT_ONCE: usize = 64;

/// What the committer does to the tail.
#[derive(Default)]
pub(crate) struct Indexing {
    /// What is being put into the index, in order, and how far that has come.
    run: Vec<Entry>,
    done: usize,
    /// The parts of the tail that make up the run.
    parts: usize,
    /// The messages of the run are above this one,
    after: MessageId,
    /// and their newest is this.
    upto: MessageId,
    /// Rows that the open transaction has put into the index.
    stepped: usize,
}

impl Indexing {
    /// Whether a run has begun.
    pub(crate) fn is_going_on(&self) -> bool {
        !self.run.is_empty()
    }

    /// Begins a run with all that the tail has, unless one is going on or there is nothing.
    pub(crate) fn begin(&mut self, tail: &PendingIndex) {
        if self.is_going_on() || tail.len == 0 {
            return;
        }
        self.run = tail.entries();
        self.after = tail.indexed;
        self.upto = self.run.iter().map(|(_, id)| *id).max().unwrap_or(0);
        // Its parts are in order.
        self.run.sort();
        self.parts = tail.parts.len();
        self.done = 0;
    }

    /// What a transaction with the messages of `pending` does for the index, before its COMMIT: it
    /// puts them in order, and takes the next step of a run. No message above `removed` has been
    /// removed since the tail was read.
    pub(crate) fn advance(
        &mut self,
        connection: &Connection,
        tail: &PendingIndex,
        pending: &mut [Entry],
        removed: MessageId,
    ) -> Result<(), StoreError> {
        pending.sort_unstable();
        if tail.len >= RUN {
            self.begin(tail);
        }
        self.step(connection, STEP.max(2 * pending.len()), removed)
    }

    /// Puts the next `rows` rows of the run into the index, inside an open transaction.
    pub(crate) fn step(
        &mut self,
        connection: &Connection,
        rows: usize,
        removed: MessageId,
    ) -> Result<(), StoreError> {
        let end = self.run.len().min(self.done.saturating_add(rows));
        if end == self.done {
            return Ok(());
        }
        let entries = &self.run[self.done..end];
        if removed <= self.after {
            insert_all(connection, entries)?;
        } else {
            insert(connection, entries)?;
        }
        if end == self.run.len() {
            connection
                .prepare_cached("UPDATE counter SET value = ?1 WHERE name = 'indexed'")?
                .execute([self.upto])?;
        }
        self.stepped = end - self.done;
        Ok(())
    }

    /// After the COMMIT of a step, and of `entries` as new messages, in order: the tail that is
    /// right now, if it is another.
    pub(crate) fn committed(
        &mut self,
        tail: &PendingIndex,
        entries: &[Entry],
    ) -> Option<PendingIndex> {
        self.done += std::mem::take(&mut self.stepped);
        let grown = (!entries.is_empty()).then(|| tail.with(entries.to_vec(), self.parts));
        if !self.is_going_on() || self.done < self.run.len() {
            return grown;
        }
        let tail = grown.as_ref().unwrap_or(tail);
        let rest = PendingIndex {
            indexed: self.upto,
            parts: tail.parts[self.parts..].to_vec(),
            len: tail.len - self.run.len(),
        };
        *self = Indexing::default();
        Some(rest)
    }

    /// After a transaction that was rolled back.
    pub(crate) fn abandoned(&mut self) {
        self.stepped = 0;
    }
}

/// For messages of which some may be gone. Written once, as texts of this length cost each commit
/// time. In both, one may be there already from a run that a crash has ended.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let marks = (1..=AT_ONCE).map(|number| format!("(?{number})"));
    let marks = marks.collect::<Vec<_>>().join(", ");
    format!(
        "INSERT OR IGNORE INTO lane_message (lane, message_id) SELECT m.lane, m.id
         FROM (VALUES {marks}) given CROSS JOIN message m ON m.id = given.column1"
    )
});

/// For messages that are all there.
static INSERT_ALL: LazyLock<String> = LazyLock::new(|| {
    let pairs = (1..=AT_ONCE).map(|number| format!("(?{}, ?{})", 2 * number - 1, 2 * number));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    format!("INSERT OR IGNORE INTO lane_message (lane, message_id) VALUES {pairs}")
});

/// Puts messages into the index, without those that are gone.
fn insert(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(&INSERT)?;
    for entries in entries.chunks(AT_ONCE) {
        let ids = entries.iter().map(|(_, id)| Some(*id));
        let ids = ids.chain(std::iter::repeat(None)).take(AT_ONCE);
        insert.execute(rusqlite::params_from_iter(ids))?;
    }
    Ok(())
}

/// Puts messages into the index that are all there, which spares looking for each.
fn insert_all(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let (many, few) = entries.as_chunks::<AT_ONCE>();
    let mut insert_all = connection.prepare_cached(&INSERT_ALL)?;
    for entries in many {
        let values = entries.iter().flat_map(|(lane, id)| [*lane, *id]);
        insert_all.execute(rusqlite::params_from_iter(values))?;
    }
    if few.is_empty() {
        return Ok(());
    }
    insert(connection, few)
}

/// Puts the whole tail into the index, inside a transaction of a process that has the database to
/// itself.
pub(crate) fn index_all(connection: &Connection) -> Result<(), StoreError> {
    let mut indexing = Indexing::default();
    indexing.begin(&PendingIndex::load(connection)?);
    indexing.step(connection, usize::MAX, MessageId::MAX)
}
