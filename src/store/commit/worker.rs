//! Group commit: one connection writes, for whoever leads (see `jobs`).
//!
//! The leader takes as many jobs as are queued, opens a transaction with BEGIN IMMEDIATE, runs
//! each in a SAVEPOINT, commits once (one fsync) and then answers all. A group forms by itself
//! while the previous one is being synced; nothing ever waits for a group to fill. The committer
//! is the thread that leads while many send, and looks after positions, purges and the log.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;

use super::queue;
use super::wal_repair;
use crate::guard::log_limit::log_limited;
use crate::store::commit::queue::{Job, Turn, Undo, WriteQueue};
use crate::store::commit::tx::{Tx, WriterCache, milliseconds};
use crate::store::lanes::{Indexing, PendingIndex};
use crate::store::open::health;
use crate::store::open::place::Place;
use crate::store::removal::retention::Retention;
use crate::store::{Options, Shared, StoreError, chats, deliveries, messages};
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use crate::sync::thread;
use crate::sync::thread::JoinHandle;
use crate::sys;

use crate::store::commit::checkpoint::Checkpoint;

/// Message ids are set aside in blocks, so that the high-water mark is written once a block.
const ID_BLOCK: i64 = 65_536;

/// Positions join a transaction this often: each costs a page of the log.
const POSITIONS: Duration = Duration::from_millis(100);

/// Bytes in the log from which on a transaction without a sync has a checkpoint made; about as many
/// as after which SQLite makes one by itself, which is 1,000 pages.
const LOG_SIZE: u64 = 8 << 20;

/// Chats known to the committer, at most; then it starts afresh.
const CACHED_CHATS: usize = 65_536;

pub(super) type Pool = r2d2::Pool<SqliteConnectionManager>;
pub(super) type Pooled = r2d2::PooledConnection<SqliteConnectionManager>;

/// The committer's thread.
pub(crate) struct Maintenance {
    thread: JoinHandle<()>,
    answerer: JoinHandle<()>,
}

impl Maintenance {
    /// Lets it finish what has been taken, then joins it.
    pub(crate) fn stop(self, jobs: &WriteQueue) {
        jobs.stop();
        let _ = self.thread.join();
        jobs.stop_answering();
        let _ = self.answerer.join();
    }
}

/// What the committer has of an open database.
pub(crate) struct Opened {
    pub(crate) pool: Pool,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) place: Place,
}

pub(crate) fn start(
    opened: Opened,
    options: &Options,
    shared: Arc<Shared>,
) -> Result<(Arc<WriteQueue>, Maintenance), StoreError> {
    let Opened {
        pool,
        path,
        file,
        place,
    } = opened;
    let connection = pool.get()?;
    connection.execute_batch("PRAGMA cache_size = -8000;")?;
    connection.execute_batch("PRAGMA journal_size_limit = 16777216;")?;
    full_sync(&connection)?;
    deliveries::forget_starts(&connection)?;
    let mut memory = WriterCache {
        purge: true,
        limits: options.limits,
        data_version: data_version(&connection)?,
        tail: Arc::new(PendingIndex::load(&connection)?),
        ..WriterCache::default()
    };
    memory.next_message = messages::high_water(&connection)? + 1;
    memory.set_aside = memory.next_message - 1;
    *lock(&shared.tail) = Arc::clone(&memory.tail);
    shared
        .committed
        .store(memory.next_message - 1, Ordering::Release);

    let (jobs, groups) = WriteQueue::new(WriteConnection {
        connection,
        memory,
        shared,
        file,
        place,
        wal: health::log_of(&path),
        wal_warned: false,
        last_purge: Instant::now(),
        last_rest: Instant::now(),
        last_positions: Instant::now(),
        postponed: false,
        warm: false,
        checkpoint: false,
        indexing: Indexing::default(),
        index_failed: false,
        retention: Retention::new(&options.limits),
    });
    let jobs = Arc::new(jobs);
    let work = Arc::clone(&jobs);
    let thread = thread::Builder::new()
        .name("committer".to_owned())
        .stack_size(sys::stack_size(256 << 10))
        .spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| look_after(&work, &pool))).is_err() {
                // Nothing can be promised without a committer.
                log::error!("the committer died; ending the process");
                std::process::exit(70);
            }
        })?;
    let answerer = thread::Builder::new()
        .name("answerer".to_owned())
        .stack_size(sys::stack_size(64 << 10))
        .spawn(move || queue::serve(&groups))?;
    Ok((jobs, Maintenance { thread, answerer }))
}

/// What the committer's thread does, until the end.
fn look_after(jobs: &WriteQueue, pool: &Pool) {
    let mut checkpoint = Checkpoint::default();
    loop {
        if let Turn::Last = jobs.turn() {
            jobs.drain();
            checkpoint.wait();
            return jobs.worker().finish();
        }
        let idle = jobs.is_idle();
        let pause = {
            let mut worker = jobs.worker();
            worker.rest(idle);
            if std::mem::take(&mut worker.checkpoint) {
                checkpoint.begin(pool, &worker.shared);
            }
            worker.pause()
        };
        jobs.end_turn(pause);
    }
}

/// Who writes: the connection, and what is known by heart.
pub(crate) struct WriteConnection {
    pub(super) connection: Pooled,
    pub(super) memory: WriterCache,
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
    /// The committer is to write pages of the log back, outside the lead.
    pub(super) checkpoint: bool,
    pub(super) indexing: Indexing,
    /// The index could not be brought forward just now; tried again a second later.
    pub(super) index_failed: bool,
    pub(super) retention: Retention,
}

impl WriteConnection {
    /// One transaction for the whole group.
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
        self.shared.figures.note_end(result.is_ok());
        self.shared.figures.note_commit(began.elapsed());
        match result {
            Ok(()) => {
                self.shared
                    .committed
                    .store(self.memory.next_message - 1, Ordering::Release);
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
        let connection: &Connection = &self.connection;
        if self.shared.suspect.load(Ordering::Acquire) {
            wal_repair::settle(connection)?;
            self.shared.suspect.store(false, Ordering::Release);
        }
        begin(connection)?;
        let version = data_version(connection)?;
        if version != self.memory.data_version {
            // Another process has written: nothing that we know by heart is sure any more.
            self.memory.forget();
            let high_water = messages::high_water(connection)?;
            if high_water > self.memory.set_aside {
                self.memory.next_message = high_water + 1;
                self.memory.set_aside = high_water;
            }
            self.memory.removed = self.memory.next_message - 1;
            self.memory.data_version = version;
        }
        if self.memory.chats.len() > CACHED_CHATS {
            self.memory.forget();
        }
        self.memory.now = milliseconds();
        // The rows of a job are an estimate, so leave much more room than a group can need.
        let set_aside = if self.memory.next_message + ID_BLOCK / 2 > self.memory.set_aside {
            let upto = self.memory.next_message + ID_BLOCK;
            messages::set_high_water(connection, upto)?;
            Some(upto)
        } else {
            None
        };
        for job in group.iter_mut() {
            let first = self.memory.next_message;
            let pending = self.memory.pending.len();
            self.memory.relisted.clear();
            let undo = job.undo();
            if undo == Undo::Savepoint {
                execute(connection, "SAVEPOINT job")?;
            }
            let ran = job.run(&mut Tx {
                connection,
                memory: &mut self.memory,
            });
            if ran.is_ok() {
                if undo == Undo::Savepoint {
                    execute(connection, "RELEASE job")?;
                }
            } else {
                // A full disk or an I/O error rolls the WHOLE transaction back; the next SAVEPOINT
                // would then begin one of its own, and its job be committed apart from the group.
                if connection.is_autocommit() {
                    return Err(StoreError::Group(
                        "SQLite rolled the whole transaction back".to_owned(),
                    ));
                }
                match undo {
                    Undo::Savepoint => {
                        execute(connection, "ROLLBACK TO job")?;
                        execute(connection, "RELEASE job")?;
                    }
                    Undo::Messages => {
                        messages::take_back(connection, first)?;
                        for (user, chat) in self.memory.relisted.drain(..) {
                            chats::unlist(connection, user, chat)?;
                        }
                    }
                }
                self.memory.pending.truncate(pending);
                self.memory.forget();
            }
        }
        let WriterCache {
            tail,
            pending,
            removed,
            ..
        } = &mut self.memory;
        self.indexing.advance(connection, tail, pending, *removed)?;
        deliveries::save(connection, positions)?;
        self.place.look(connection)?;
        execute(connection, "COMMIT")?;
        self.indexed();
        self.memory.tell_newest(group.len());
        if let Some(upto) = set_aside {
            self.memory.set_aside = upto;
        }
        Ok(())
    }

    /// After a COMMIT: shows the readers the tail that is right now.
    pub(super) fn indexed(&mut self) {
        let WriterCache { tail, pending, .. } = &mut self.memory;
        if let Some(new) = self.indexing.committed(tail, pending) {
            *tail = Arc::new(new);
            *lock(&self.shared.tail) = Arc::clone(tail);
        }
        pending.clear();
    }

    /// Leaves no transaction open and nothing in memory that was only true inside it.
    fn abandon(&mut self) {
        self.memory.pending.clear();
        self.indexing.abandoned();
        if !self.connection.is_autocommit()
            && let Err(error) = execute(&self.connection, "ROLLBACK")
        {
            log_limited!(Error, "rolling back failed: {error}");
        }
        self.memory.forget();
    }

    /// A transaction of the committer's own with synchronous=NORMAL, thus without an fsync; nor does
    /// it make a checkpoint, whose failed sync SQLite would not tell of.
    pub(super) fn relaxed<T>(
        &mut self,
        f: impl FnOnce(&Connection, &mut WriterCache) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let every = checkpoint_every(&self.connection)?;
        self.connection
            .execute_batch("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;")?;
        let result = (|| {
            begin(&self.connection)?;
            let value = f(&self.connection, &mut self.memory)?;
            execute(&self.connection, "COMMIT")?;
            Ok(value)
        })();
        if result.is_err() {
            self.abandon();
        }
        let restored = full_sync(&self.connection)
            .and_then(|()| Ok(set_checkpoint_every(&self.connection, every)?));
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

    /// The length of the write-ahead log, in bytes.
    pub(super) fn log_size(&self) -> u64 {
        std::fs::metadata(&self.wal).map_or(0, |data| data.len())
    }
}

fn fail(group: &mut [Box<dyn Job>], why: impl Fn() -> StoreError) {
    for job in group {
        job.fail(why());
    }
}

/// Checkpoints the write-ahead log, unless that is another program's business.
pub(super) fn checkpoint_unless_left(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    if checkpoint_every(connection)? > 0 {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        connection.query_row(&sql, [], |_| Ok(()))?;
    }
    Ok(())
}

/// After how many pages in the log a COMMIT of this connection makes a checkpoint; 0 for never.
fn checkpoint_every(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA wal_autocheckpoint", [], |row| row.get(0))
}

fn set_checkpoint_every(connection: &Connection, pages: i64) -> rusqlite::Result<()> {
    let sql = format!("PRAGMA wal_autocheckpoint = {pages}");
    connection.query_row(&sql, [], |_| Ok(()))
}

fn begin(connection: &Connection) -> Result<(), StoreError> {
    execute(connection, "BEGIN IMMEDIATE")
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn full_sync(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("PRAGMA synchronous = FULL;")?;
    Ok(())
}

/// Changes when another connection has committed.
fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    let version = connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))?;
    Ok(version)
}
