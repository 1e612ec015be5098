//! The connection that writes, and one transaction of it: BEGIN IMMEDIATE, all jobs of a group, one
//! COMMIT (one fsync).
//!
//! A group forms by itself while the previous one is being synced; nothing waits for one to fill. The
//! leader uses this, under the lock of [`queue`](super::queue). Each job has a savepoint, so that one
//! that fails takes nothing back but its own. (To leave it out for messages brought nothing that could
//! be measured: docs/PERFORMANCE.md.)

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::cache::WriterCache;
use super::checkpoint;
use super::job::Job;
use super::tx::Tx;
use super::wal_repair;
use crate::guard::log_limit::log_limited;
use crate::store::lanes::{Flush, PendingIndex};
use crate::store::open::place::{Place, beside_it, length};
use crate::store::open::pool::{Opened, Pooled};
use crate::store::removal::retention::Retention;
use crate::store::{Options, Result, Shared, Source, StoreError, deliveries};
use crate::sync::atomic::Ordering;
use crate::sync::lock;

/// Positions join a transaction this often: each costs a page of the log.
const POSITIONS: Duration = Duration::from_millis(100);

/// Bytes in the log from which on a transaction without a sync has a checkpoint made; about as many
/// as after which SQLite makes one by itself, which is 1,000 pages.
const LOG_SIZE: u64 = 8 << 20;

const BEGIN: &str = "BEGIN IMMEDIATE";

pub(crate) struct WriteConnection {
    pub(super) connection: Pooled,
    pub(super) cache: WriterCache,
    pub(super) shared: Arc<Shared>,
    /// The database file itself. It is not opened anew for anything, as closing it would give up
    /// SQLite's locks of this process.
    pub(super) file: Arc<File>,
    pub(super) place: Place,
    pub(super) wal: PathBuf,
    pub(super) wal_warned: bool,
    pub(super) last_purge: Instant,
    pub(super) last_rest: Instant,
    pub(super) last_positions: Instant,
    /// Something could not be purged just now; tried again in the next pause.
    pub(super) postponed: bool,
    /// There was a transaction since the cache was last given back.
    pub(super) warm: bool,
    /// The maintenance thread is to have a checkpoint made, while others lead.
    pub(super) checkpoint: bool,
    pub(super) flush: Flush,
    /// The last step of a flush failed; tried again a second later.
    pub(super) flush_failed: bool,
    pub(super) retention: Retention,
}

impl WriteConnection {
    /// Keeps a connection of the pool for good.
    pub(crate) fn open(
        opened: &Opened,
        options: &Options,
        shared: Arc<Shared>,
    ) -> Result<WriteConnection, StoreError> {
        let connection = opened.pool.get()?;
        connection.execute_batch("PRAGMA cache_size = -8000;")?;
        connection.execute_batch("PRAGMA journal_size_limit = 16777216;")?;
        full_sync(&connection)?;
        deliveries::forget_starts(&connection)?;
        let pending_index = PendingIndex::load(&connection)?;
        let cache = WriterCache {
            purge: true,
            limits: options.limits,
            data_version: data_version(&connection)?,
            ..WriterCache::load(&connection, pending_index)?
        };
        *lock(&shared.pending_index) = Arc::clone(&cache.pending_index);
        shared
            .committed
            .store(cache.ids.newest().number(), Ordering::Release);
        Ok(WriteConnection {
            connection,
            cache,
            shared,
            file: Arc::clone(&opened.file),
            place: opened.place.clone(),
            wal: beside_it(&opened.path, "-wal"),
            wal_warned: false,
            last_purge: Instant::now(),
            last_rest: Instant::now(),
            last_positions: Instant::now(),
            postponed: false,
            warm: false,
            checkpoint: false,
            flush: Flush::default(),
            flush_failed: false,
            retention: Retention::new(&options.limits),
        })
    }

    pub(crate) fn commit(&mut self, group: &mut [Box<dyn Job>]) {
        if self.shared.lost.load(Ordering::Acquire) {
            return fail(group, || StoreError::Stopped);
        }
        let urgent = self.shared.urgent.swap(false, Ordering::AcqRel);
        let positions = if urgent || self.last_positions.elapsed() >= POSITIONS {
            self.last_positions = Instant::now();
            lock(&self.shared.deliveries).snapshot()
        } else {
            deliveries::Snapshot::new()
        };
        self.warm = true;
        let began = Instant::now();
        // Behind the COMMIT, so that what is acknowledged was in its place. The look right before it
        // keeps what is refused out of files that were moved.
        self.shared.figures.note_begin();
        let result = self
            .transaction(group, &positions)
            .and_then(|()| self.place.look(&self.connection));
        let took = began.elapsed();
        self.shared.figures.note_end(result.is_ok(), took);
        match result {
            Ok(()) => {
                self.shared
                    .committed
                    .store(self.cache.ids.newest().number(), Ordering::Release);
                lock(&self.shared.deliveries).saved(&positions);
            }
            Err(error @ StoreError::Lost { .. }) => {
                self.abandon();
                self.lose(&error);
                fail(group, || StoreError::Stopped);
            }
            Err(error) => {
                let why = error.to_string();
                log_limited!(Error, "a transaction of {} jobs failed: {why}", group.len());
                self.abandon();
                if wal_repair::is_needed(&error) {
                    self.shared.suspect.store(true, Ordering::Release);
                    if let Err(error) =
                        self.relaxed(|connection, _| wal_repair::take_back(connection))
                    {
                        log_limited!(Warn, "the log cannot be written either: {error}");
                    }
                }
                fail(group, || StoreError::Group(why.clone()));
            }
        }
    }

    fn transaction(
        &mut self,
        group: &mut [Box<dyn Job>],
        positions: &deliveries::Snapshot,
    ) -> Result<(), StoreError> {
        if self.shared.suspect.load(Ordering::Acquire) {
            wal_repair::settle(&self.connection)?;
            self.shared.suspect.store(false, Ordering::Release);
        }
        self.connection.run(BEGIN, [])?;
        let version = data_version(&self.connection)?;
        self.cache.begin(&self.connection, version)?;
        let mark = self.cache.ids.reserve(&self.connection)?;
        for job in group.iter_mut() {
            self.run(job.as_mut())?;
        }
        let cache = &mut self.cache;
        let (pending, added) = (&cache.pending_index, &mut cache.added);
        self.flush
            .advance(&self.connection, pending, added, cache.removed)?;
        deliveries::save(&self.connection, positions)?;
        self.place.look(&self.connection)?;
        self.connection.run("COMMIT", [])?;
        self.show_index();
        self.cache.tell_newest(group.len());
        self.cache.ids.reserved(mark);
        Ok(())
    }

    /// Runs a job, and undoes what it did if it fails. An error is the whole group's.
    fn run(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        let connection: &Connection = &self.connection;
        let cache = &mut self.cache;
        let added = cache.added.len();
        connection.run("SAVEPOINT job", [])?;
        if job.run(&mut Tx { connection, cache }) {
            connection.run("RELEASE job", [])?;
            return Ok(());
        }
        // A full disk or an I/O error rolls the WHOLE transaction back; the next SAVEPOINT
        // would then begin one of its own, and its job be committed apart from the group.
        if connection.is_autocommit() {
            return Err(StoreError::Group(
                "SQLite rolled the whole transaction back".to_owned(),
            ));
        }
        let cache = &mut self.cache;
        connection.run("ROLLBACK TO job", [])?;
        connection.run("RELEASE job", [])?;
        cache.added.truncate(added);
        cache.forget();
        Ok(())
    }

    /// After a COMMIT: the pending index as readers are to see it.
    pub(super) fn show_index(&mut self) {
        let cache = &mut self.cache;
        if let Some(new) = self.flush.committed(&cache.pending_index, &cache.added) {
            cache.pending_index = Arc::new(new);
            *lock(&self.shared.pending_index) = Arc::clone(&cache.pending_index);
        }
        cache.added.clear();
    }

    /// Leaves no transaction open and nothing remembered that was only true inside it.
    fn abandon(&mut self) {
        self.cache.added.clear();
        self.flush.abandoned();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.run("ROLLBACK", [])
        {
            log_limited!(Error, "rolling back failed: {error}");
        }
        self.cache.forget();
    }

    /// A transaction of maintenance's own, with synchronous=NORMAL, thus without an fsync; nor does
    /// it make a checkpoint, whose failed sync SQLite would not tell of.
    pub(super) fn relaxed<T>(
        &mut self,
        f: impl FnOnce(&Connection, &mut WriterCache) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let every = checkpoint::every(&self.connection)?;
        self.connection
            .execute_batch("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;")?;
        let result = (|| {
            self.connection.run(BEGIN, [])?;
            let value = f(&self.connection, &mut self.cache)?;
            self.connection.run("COMMIT", [])?;
            Ok(value)
        })();
        if result.is_err() {
            self.abandon();
        }
        let restored = full_sync(&self.connection)
            .and_then(|()| checkpoint::set_every(&self.connection, every));
        // Without this no acknowledgement could be trusted: better to end than to go on.
        if let Err(error) = restored {
            log::error!("synchronous=FULL cannot be set: {error}");
            std::process::exit(70);
        }
        if every > 0 && self.log_size() >= LOG_SIZE {
            self.checkpoint = true;
        }
        result
    }

    /// In bytes.
    pub(super) fn log_size(&self) -> u64 {
        length(&self.wal)
    }
}

fn fail(group: &mut [Box<dyn Job>], why: impl Fn() -> StoreError) {
    for job in group {
        job.fail(why());
    }
}

fn full_sync(connection: &Connection) -> Result<()> {
    connection.execute_batch("PRAGMA synchronous = FULL;")
}

fn data_version(connection: &Connection) -> Result<i64> {
    connection.one("PRAGMA data_version", [])
}
