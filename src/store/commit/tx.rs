//! What a job of the committer sees: the open transaction, and what is known by heart.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use crate::ids::{ChatId, MediaId, MessageId, UserId};
use crate::store::chats::CachedChat;
use crate::store::commit::quota::Limits;
use crate::store::lanes::{Entry, PendingIndex, View};
use crate::store::messages;

/// What a job sees: the open transaction and what the committer knows by heart.
pub(crate) struct Tx<'c> {
    /// The connection, inside the job's savepoint.
    pub(crate) connection: &'c Connection,
    pub(crate) memory: &'c mut WriterCache,
}

/// The newest message to each recipient in one transaction of several jobs, for those who have
/// sent in it. Nothing is known before the COMMIT.
#[derive(Clone, Default)]
pub(crate) struct Newest(Arc<OnceLock<HashMap<UserId, MessageId>>>);

impl Newest {
    /// Whether another job of the transaction has put a newer message to `user` than `id`.
    pub(crate) fn is_after(&self, user: UserId, id: MessageId) -> bool {
        let newest = self.0.get().and_then(|all| all.get(&user));
        newest.is_some_and(|newest| *newest > id)
    }
}

/// What the committer keeps between transactions. Everything here can be forgotten at any time.
#[derive(Default)]
pub(crate) struct WriterCache {
    /// The next message's id.
    pub(crate) next_message: MessageId,
    /// No message has an id above this one; the stored high-water mark.
    pub(crate) set_aside: MessageId,
    /// The clock of this transaction.
    pub(crate) now: i64,
    /// What sending into a chat depends on. Other jobs that change it take it out.
    pub(crate) chats: HashMap<ChatId, CachedChat>,
    /// The newest message of each recipient since the start.
    pub(crate) last_to: HashMap<UserId, MessageId>,
    /// The recipients of the open transaction, with the newest message of each of their runs.
    pub(crate) recipients: Vec<(UserId, MessageId)>,
    /// Told of them after the COMMIT.
    pub(crate) newest: Newest,
    /// What is committed and not in the index of the lanes, as the readers have it too.
    pub(crate) tail: Arc<PendingIndex>,
    /// No message above this one has been removed since the tail was read.
    pub(crate) removed: MessageId,
    /// The messages of the open transaction.
    pub(crate) pending: Vec<Entry>,
    /// Chats that messages of the running job have brought back into a member's list.
    pub(crate) relisted: Vec<(UserId, ChatId)>,
    /// There is, or may be, something to purge.
    pub(crate) purge: bool,
    /// The lane that was purged last, and up to which message.
    pub(crate) purged: Option<(i64, MessageId)>,
    /// Media whose parts are coming in: loose, but not for purging.
    pub(crate) uploading: HashSet<MediaId>,
    /// What may be added.
    pub(crate) limits: Limits,
    pub(crate) data_version: i64,
}

impl Tx<'_> {
    /// Milliseconds since the epoch, the same for all of one transaction.
    pub(crate) fn now(&self) -> i64 {
        self.memory.now
    }

    /// A new message's id, above every other's.
    pub(crate) fn next_message(&mut self) -> MessageId {
        let id = self.memory.next_message;
        self.memory.next_message += 1;
        id
    }

    /// Notes `id` as the newest message to `user` and returns the one before it, or
    /// [`MessageId::MAX`] when that is not known.
    pub(crate) fn follow(&mut self, user: UserId, id: MessageId) -> MessageId {
        match self.memory.recipients.last_mut() {
            Some((last, newest)) if *last == user => *newest = id,
            _ => self.memory.recipients.push((user, id)),
        }
        self.memory
            .last_to
            .insert(user, id)
            .unwrap_or(MessageId::MAX)
    }

    /// What will be known of the transaction's recipients after its COMMIT.
    pub(crate) fn newest(&self) -> Newest {
        self.memory.newest.clone()
    }

    /// The database as this transaction sees it.
    pub(crate) fn view(&self) -> View<'_> {
        View::new(self.connection, &self.memory.tail, &self.memory.pending)
    }

    /// The newest message id given out so far.
    pub(crate) fn newest_message(&self) -> MessageId {
        self.memory.next_message - 1
    }

    /// Makes the committer look for something to purge soon.
    pub(crate) fn purge_soon(&mut self) {
        self.memory.purge = true;
    }
}

impl WriterCache {
    /// What another process than the server begins a transaction with: every id up to the stored
    /// mark may have been given out.
    pub(crate) fn beside(
        connection: &Connection,
        tail: PendingIndex,
    ) -> rusqlite::Result<WriterCache> {
        let mark = messages::high_water(connection)?;
        Ok(WriterCache {
            next_message: mark + 1,
            set_aside: mark,
            tail: Arc::new(tail),
            now: milliseconds(),
            ..WriterCache::default()
        })
    }

    /// After the COMMIT of a transaction of so many jobs.
    pub(crate) fn tell_newest(&mut self, jobs: usize) {
        let newest = std::mem::take(&mut self.newest);
        if jobs > 1 {
            // Of a recipient's several runs the last is the newest. It is told once.
            let _ = newest.0.set(self.recipients.drain(..).collect());
        }
        self.recipients.clear();
    }

    /// What another writer, or a job that failed, may have made untrue.
    pub(crate) fn forget(&mut self) {
        self.chats.clear();
        self.last_to.clear();
        self.recipients.clear();
        self.purged = None;
    }
}

/// The wall clock; TimeStamps are kept increasing whatever it does.
pub(crate) fn milliseconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
