//! The pending index: the newest messages, by lane, until they are flushed.
//!
//! A few sorted levels, never changed, only replaced: readers hold the one that they have begun with.

use std::sync::Arc;

use rusqlite::Connection;

use crate::ids::{Lane, MessageId};
use crate::store::{Result, Source};

pub(crate) type Entry = (Lane, MessageId);

#[derive(Debug, Default)]
pub(crate) struct PendingIndex {
    /// The index is complete up to this message.
    pub(super) indexed: MessageId,
    /// Each in the order of its entries; all ids of a level are above those of the one before.
    pub(super) levels: Vec<Arc<Vec<Entry>>>,
    pub(super) len: usize,
}

impl PendingIndex {
    pub(crate) fn load(connection: &Connection) -> Result<PendingIndex> {
        let indexed = connection.one("SELECT value FROM counter WHERE name = 'indexed'", [])?;
        let nothing = PendingIndex {
            indexed,
            ..PendingIndex::default()
        };
        nothing.caught_up(connection)
    }

    /// The same with what has come since it was loaded.
    pub(crate) fn caught_up(&self, connection: &Connection) -> Result<PendingIndex> {
        let newest = self.entries().iter().map(|(_, id)| *id).max();
        let mut entries = connection.rows(
            "SELECT lane, id FROM message WHERE id > ?1 ORDER BY id",
            [newest.unwrap_or(self.indexed)],
        )?;
        entries.sort_unstable();
        Ok(self.with(entries, 0))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let all = self.levels.iter().flat_map(|level| level.iter());
        all.copied().collect()
    }

    /// The same with newer messages, in order. The first `fixed` levels stay as they are; of the
    /// others each is more than twice as long as the next one, so that there are few to look
    /// through, and little to copy at a commit.
    pub(super) fn with(&self, mut entries: Vec<Entry>, fixed: usize) -> PendingIndex {
        let len = self.len + entries.len();
        let mut levels = self.levels.clone();
        while levels.len() > fixed
            && let Some(last) = levels.last()
            && last.len() <= 2 * entries.len()
        {
            entries.extend_from_slice(last);
            // Two sorted runs, which this sort recognises.
            entries.sort();
            levels.pop();
        }
        levels.push(Arc::new(entries));
        PendingIndex {
            indexed: self.indexed,
            levels,
            len,
        }
    }

    /// The messages of a lane from `from` on, oldest first.
    pub(super) fn from(
        &self,
        lane: Lane,
        from: MessageId,
    ) -> impl DoubleEndedIterator<Item = MessageId> + '_ {
        self.levels.iter().flat_map(move |level| {
            let begin = level.partition_point(|entry| *entry < (lane, from));
            let end = level.partition_point(|entry| *entry <= (lane, MessageId::MAX));
            level[begin..end].iter().map(|(_, id)| *id)
        })
    }
}
