//! The store: SQLite in WAL mode, read through a pool, written by group commit.
//!
//! In reading order: `error`; `source` and `sql_ids` (running statements); `open` (place, schema,
//! health, the pool); `commit` (one transaction for all who wait); one file of SQL per subject:
//! `users`, `contacts`, `asked` (requests made before), `chats`, `messages`, `lanes` (their deferred
//! index), `media`, `deliveries`; `removal` (purge, retention, pins); `admin` (what `plauschctl`
//! does on the file); `clock` and `metrics`. `plans` tests that no statement scans what grows.
//!
//! Invariant: `Store::write` returns only after the COMMIT of its job is on stable storage
//! (promise 1 of the contract). Whatever a write depends on is decided inside its job.

pub(crate) mod admin;
mod asked;
pub(crate) mod chats;
mod clock;
pub(crate) mod commit;
pub(crate) mod contacts;
pub(crate) mod deliveries;
mod error;
mod lanes;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod metrics;
pub(crate) mod open;
#[cfg(test)]
mod plans;
pub(crate) mod removal;
mod source;
mod sql_ids;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod users;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::MessageId;
use crate::sync::thread::JoinHandle;
use crate::sync::{Mutex, lock};
use admin::orders;
pub(crate) use commit::cache::Newest;
use commit::maintenance;
use commit::queue::WriteQueue;
pub use commit::quota::Limits;
pub(crate) use commit::tx::Tx;
use commit::{WriteConnection, text_quota};
use deliveries::Deliveries;
pub use error::StoreError;
use lanes::PendingIndex;
pub(crate) use lanes::View;
use open::pool::{self, Pool};
pub(crate) use removal::pin::Pin;
use removal::pin::Pins;
use source::{Moment, Source};

use crate::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database file; created, readable by its owner alone, when it does not exist.
    pub path: PathBuf,
    /// Marker file, see `open::marker`.
    pub marker: Option<PathBuf>,
    /// Connections for reading; there is one more that writes.
    pub readers: u32,
    /// Time limit of the check for damage at the start; zero for none.
    pub check: Duration,
    /// Checkpoints of the write-ahead log, the last one included, are another program's.
    pub leave_checkpoints: bool,
    /// How much is kept, and for how long.
    pub limits: Limits,
    /// Ends [`Store::open`] when it becomes true: what takes long is rolled back.
    pub stop: Arc<std::sync::atomic::AtomicBool>,
}

/// What a statement gives; other rooms need not know whose error it is.
pub(crate) type Result<T, E = rusqlite::Error> = std::result::Result<T, E>;

/// Cheap handle on the database of one server, shared by all threads.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    pool: Pool,
    jobs: Arc<WriteQueue>,
    shared: Arc<Shared>,
    maintenance: Mutex<Option<JoinHandle<()>>>,
    texts: text_quota::Texts,
    /// Keep other servers away. Last, since closing the first gives up SQLite's locks of this process
    /// too.
    _locks: (Arc<File>, Option<File>),
}

/// What the writing connection shares with all threads.
#[derive(Default)]
pub(crate) struct Shared {
    /// See [`Store::committed`].
    committed: AtomicI64,
    deliveries: Mutex<Deliveries>,
    /// What is committed and not in the index of the lanes. Replaced before `committed` moves.
    pending_index: Mutex<Arc<PendingIndex>>,
    /// A sync may have failed; the log is to be settled before anything is acknowledged.
    suspect: AtomicBool,
    /// One of the database's files was taken away; nothing is read or written any more.
    lost: AtomicBool,
    /// The next transaction is to save positions, however soon after the last one that did.
    urgent: AtomicBool,
    pins: Mutex<Pins>,
    figures: metrics::StoreMetrics,
}

impl Store {
    /// Opens (or creates, or upgrades) the database and starts the maintenance thread.
    ///
    /// # Errors
    /// When the file cannot be opened, is no database of Plausch, is damaged, or was written by a
    /// newer version; nothing is changed then.
    pub fn open(options: &Options) -> Result<Store, StoreError> {
        let opened = pool::open(options)?;
        let shared = Arc::new(Shared::default());
        // Before anybody can log in.
        orders::forget(&*opened.pool.get()?)?;
        let worker = WriteConnection::open(&opened, options, Arc::clone(&shared))?;
        let (jobs, maintenance) = maintenance::start(&opened.pool, worker)?;
        Ok(Store {
            inner: Arc::new(Inner {
                path: opened.path,
                pool: opened.pool,
                jobs,
                shared,
                maintenance: Mutex::new(Some(maintenance)),
                texts: text_quota::Texts::new(options.limits.text_quota),
                _locks: (opened.file, opened.log),
            }),
        })
    }

    /// Absolute, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs `f` on a pooled connection, in one transaction: all its statements see one moment.
    ///
    /// Otherwise a backlog gathered from several lanes could miss a message committed in between and
    /// yet move past it. Never hold the connection while writing to a socket.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T, StoreError> {
        if self.is_lost() {
            return Err(StoreError::Stopped);
        }
        let connection = self.inner.pool.get()?;
        // Before the transaction begins, see `lanes`.
        let pending = Arc::clone(&lock(&self.inner.shared.pending_index));
        let moment = connection.unchecked_transaction()?;
        let value = f(&View::new(&moment, &pending, &[]))?;
        moment.commit()?;
        Ok(value)
    }

    /// Runs `f` in the next group's transaction and returns after its COMMIT.
    ///
    /// `rows` is about how many rows `f` writes; it bounds the size of a group.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        rows: usize,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.jobs.run(rows, f)
    }

    /// Like [`Store::write`], for what makes the database grow.
    pub(crate) fn grow<T: Send + 'static>(
        &self,
        rows: usize,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // A value, not an error: nothing has to be rolled back, and nobody's cache forgotten.
        let grown = self.inner.jobs.run(rows, move |tx| {
            Ok(if tx.has_room()? { Some(f(tx)?) } else { None })
        })?;
        grown.ok_or(StoreError::NoRoom)
    }

    /// Whether one of the database's files was removed, moved or replaced. The log says which;
    /// nothing is read or written any more, and [`Store::stop`] ends the process.
    pub(crate) fn is_lost(&self) -> bool {
        self.inner.shared.lost.load(Ordering::Acquire)
    }

    pub(crate) fn figures(&self) -> &metrics::StoreMetrics {
        &self.inner.shared.figures
    }

    /// All messages up to this id are visible to a read that begins after this call, unless they
    /// were rolled back.
    pub(crate) fn committed(&self) -> MessageId {
        MessageId::new(self.inner.shared.committed.load(Ordering::Acquire))
    }

    pub(crate) fn queue_depth(&self) -> usize {
        self.inner.jobs.waiting()
    }

    /// Finishes all jobs taken so far, saves positions, checkpoints the write-ahead log and ends
    /// the maintenance thread; later writes fail with [`StoreError::Stopped`].
    ///
    /// Of a store that is lost it saves what can be saved and ends the process, with exit code 74:
    /// closing its connections would remove files by their names, which may be another's now.
    pub fn stop(&self) {
        let maintenance = lock(&self.inner.maintenance).take();
        if let Some(thread) = maintenance {
            self.inner.jobs.stop();
            let _ = thread.join();
        }
    }
}
