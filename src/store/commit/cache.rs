//! The writer cache: what the writing connection remembers from one transaction to the next.
//!
//! It belongs to the `WriteConnection`, so the leader alone touches it. Copies of rows (`chats`,
//! `last_to`, `purged`) may be dropped at any time, and are when a job fails or another process has
//! written ([`WriterCache::forget`]). The rest is written nowhere else and stays: the next id, the
//! pending index, which uploads are going on.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;

use super::ids::MessageIds;
use super::quota::Limits;
use crate::ids::{ChatId, Lane, MediaId, MessageId, UserId};
use crate::store::Result;
use crate::store::clock::milliseconds;
use crate::store::lanes::{Entry, PendingIndex};

/// Chats that are remembered, at most; then all are forgotten.
const MOST_CHATS: usize = 65_536;

#[derive(Debug, Clone, Copy)]
pub(crate) struct CachedChat {
    pub(crate) creator: UserId,
    pub(crate) other: UserId,
    /// The TimeStamp of the newest message ever, 0 before the first.
    pub(crate) last_timestamp: i64,
    /// Two contacts.
    pub(crate) open: bool,
    /// Whether the chat is in the creator's list and in the other's.
    pub(crate) listed: [bool; 2],
}

/// Newest message to each recipient of a transaction of several jobs; empty before the COMMIT.
#[derive(Clone, Default)]
pub(crate) struct Newest(Arc<OnceLock<HashMap<UserId, MessageId>>>);

impl Newest {
    /// Whether another job of the transaction has put a newer message to `user` than `id`.
    pub(crate) fn is_after(&self, user: UserId, id: MessageId) -> bool {
        let newest = self.0.get().and_then(|all| all.get(&user));
        newest.is_some_and(|newest| *newest > id)
    }
}

#[derive(Default)]
pub(crate) struct WriterCache {
    pub(crate) ids: MessageIds,
    /// Milliseconds since 1970, the same for all of one transaction.
    pub(crate) now: i64,
    /// Jobs that change what is remembered of a chat take it out.
    pub(crate) chats: HashMap<ChatId, CachedChat>,
    pub(crate) last_to: HashMap<UserId, MessageId>,
    /// Recipients in the open transaction, with the newest message of each of their runs.
    pub(super) recipients: Vec<(UserId, MessageId)>,
    pub(super) newest: Newest,
    /// What is committed and not in the index of the lanes, as the readers have it too.
    pub(crate) pending_index: Arc<PendingIndex>,
    /// No message above this one has been removed since the pending index was read.
    pub(crate) removed: MessageId,
    /// Messages of the open transaction.
    pub(crate) added: Vec<Entry>,
    pub(crate) purge: bool,
    /// The lane that was purged last, and up to which message.
    pub(crate) purged: Option<(Lane, MessageId)>,
    /// Media whose parts are coming in: loose, but not for purging.
    pub(crate) uploading: HashSet<MediaId>,
    pub(crate) limits: Limits,
    pub(super) data_version: i64,
}

impl WriterCache {
    /// What a transaction begins with: every id up to the stored mark may have been given out.
    pub(crate) fn load(
        connection: &Connection,
        pending_index: PendingIndex,
    ) -> Result<WriterCache> {
        Ok(WriterCache {
            ids: MessageIds::load(connection)?,
            pending_index: Arc::new(pending_index),
            now: milliseconds(),
            ..WriterCache::default()
        })
    }

    /// `data_version` tells whether another process has written since the last transaction; nothing
    /// that is remembered is sure then.
    pub(super) fn begin(&mut self, connection: &Connection, data_version: i64) -> Result<()> {
        if data_version != self.data_version {
            self.forget();
            self.ids.reload(connection)?;
            self.removed = self.ids.newest();
            self.data_version = data_version;
        }
        if self.chats.len() > MOST_CHATS {
            self.forget();
        }
        self.now = milliseconds();
        Ok(())
    }

    /// After the COMMIT of a transaction of so many jobs.
    pub(super) fn tell_newest(&mut self, jobs: usize) {
        let newest = std::mem::take(&mut self.newest);
        if jobs > 1 {
            // Of a recipient's several runs the last is the newest. It is told once.
            let _ = newest.0.set(self.recipients.drain(..).collect());
        }
        self.recipients.clear();
    }

    /// Drops what another writer, or a job that failed, may have made untrue.
    pub(super) fn forget(&mut self) {
        self.chats.clear();
        self.last_to.clear();
        self.recipients.clear();
        self.purged = None;
    }
}
