//! Flushes: how the pending index gets into `lane_message`, a step with each commit.

use std::sync::LazyLock;

use rusqlite::Connection;

use super::{Entry, PendingIndex};
use crate::ids::MessageId;
use crate::store::{Result, Source, StoreError};

/// Pending messages from which on a flush begins: with 10,000 chats each page of the index takes in
/// a few dozen messages at a time then. It is also what a start may have to read after a crash, and
/// two megabytes of memory under load. (Less in tests, so that there are many.)
const RUN: usize = if cfg!(test) { 64 } else { 65_536 };

/// Rows that each transaction puts into the index during a flush, or twice as many as it has
/// messages, so that the flush comes to its end.
const STEP: usize = if cfg!(test) { 16 } else { 64 };

/// Messages that one statement puts into the index: that is much faster than one by one.
const AT_ONCE: usize = 64;

#[derive(Default)]
pub(crate) struct Flush {
    /// The sorted run, and how much of it is in the index.
    run: Vec<Entry>,
    done: usize,
    /// Levels of the pending index in the run.
    levels: usize,
    /// The messages of the run are above this one,
    after: MessageId,
    /// and their newest is this.
    upto: MessageId,
    /// Rows that the open transaction has put into the index.
    stepped: usize,
}

impl Flush {
    pub(crate) fn is_going_on(&self) -> bool {
        !self.run.is_empty()
    }

    /// Begins one with all that is pending, unless one is going on or there is nothing.
    pub(crate) fn begin(&mut self, pending: &PendingIndex) {
        if self.is_going_on() || pending.len == 0 {
            return;
        }
        self.run = pending.entries();
        self.after = pending.indexed;
        self.upto = self.run.iter().map(|(_, id)| *id).max().unwrap_or_default();
        // Its levels are sorted.
        self.run.sort();
        self.levels = pending.levels.len();
        self.done = 0;
    }

    /// Before the COMMIT of a transaction that has added messages. No message above `removed` has been
    /// removed since the pending index was read.
    pub(crate) fn advance(
        &mut self,
        connection: &Connection,
        pending: &PendingIndex,
        added: &mut [Entry],
        removed: MessageId,
    ) -> Result<(), StoreError> {
        added.sort_unstable();
        if pending.len >= RUN {
            self.begin(pending);
        }
        self.step(connection, STEP.max(2 * added.len()), removed)
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
            connection.set_counter("indexed", self.upto)?;
        }
        self.stepped = end - self.done;
        Ok(())
    }

    /// After the COMMIT of a step and of `added`, in order: the pending index, if it is another now.
    pub(crate) fn committed(
        &mut self,
        pending: &PendingIndex,
        added: &[Entry],
    ) -> Option<PendingIndex> {
        self.done += std::mem::take(&mut self.stepped);
        let grown = (!added.is_empty()).then(|| pending.with(added.to_vec(), self.levels));
        if !self.is_going_on() || self.done < self.run.len() {
            return grown;
        }
        let pending = grown.as_ref().unwrap_or(pending);
        let rest = PendingIndex {
            indexed: self.upto,
            levels: pending.levels[self.levels..].to_vec(),
            len: pending.len - self.run.len(),
        };
        *self = Flush::default();
        Some(rest)
    }

    pub(crate) fn abandoned(&mut self) {
        self.stepped = 0;
    }
}

/// For messages of which some may be gone. Written once, as texts of this length cost each commit
/// time. In both, one may be there already from a flush that a crash has ended.
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

fn insert(connection: &Connection, entries: &[Entry]) -> Result<()> {
    let mut insert = connection.prepare_cached(&INSERT)?;
    for entries in entries.chunks(AT_ONCE) {
        let ids = entries.iter().map(|(_, id)| Some(*id));
        let ids = ids.chain(std::iter::repeat(None)).take(AT_ONCE);
        insert.execute(rusqlite::params_from_iter(ids))?;
    }
    Ok(())
}

/// All messages are there, which spares looking for each.
fn insert_all(connection: &Connection, entries: &[Entry]) -> Result<()> {
    let (many, few) = entries.as_chunks::<AT_ONCE>();
    let mut insert_all = connection.prepare_cached(&INSERT_ALL)?;
    for entries in many {
        let values = entries
            .iter()
            .flat_map(|(lane, id)| [lane.number(), id.number()]);
        insert_all.execute(rusqlite::params_from_iter(values))?;
    }
    if few.is_empty() {
        return Ok(());
    }
    insert(connection, few)
}

/// Inside a transaction of a process that has the database to itself.
pub(crate) fn index_all(connection: &Connection) -> Result<(), StoreError> {
    let mut flush = Flush::default();
    flush.begin(&PendingIndex::load(connection)?);
    flush.step(connection, usize::MAX, MessageId::MAX)
}
