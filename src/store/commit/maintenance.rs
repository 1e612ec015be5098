//! The maintenance thread: leads while many send, and does what is not a job: positions, purging,
//! retention, flushes of the pending index, the write-ahead log.
//!
//! It works on the `WriteConnection` as its leader, in transactions of its own without an fsync: what
//! a power cut takes of them is done again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::{self, Checkpoint};
use super::queue::WriteQueue;
use super::tx::Tx;
use super::worker::WriteConnection;
use crate::guard::log_limit::log_limited;
use crate::ids::MessageId;
use crate::store::clock::milliseconds;
use crate::store::open::health;
use crate::store::open::place::LOST;
use crate::store::open::pool::Pool;
use crate::store::removal::purge;
use crate::store::{StoreError, deliveries};
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use crate::sync::thread::{self, JoinHandle};
use crate::sys;

const IDLE: Duration = Duration::from_secs(1);

/// How long the last writes wait for another process.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Pause between two slices of purging while nothing else is to be done.
const PURGE_PAUSE: Duration = Duration::from_millis(10);

/// At most this much of purging goes between two groups. With its COMMIT, and a checkpoint now and
/// then, nobody is to be held up for more than 20 ms.
const PURGE_SLICE: Duration = Duration::from_millis(8);

/// Rows that a pause puts into the index of the lanes: about five milliseconds.
const FLUSH_STEP: usize = if cfg!(test) { 8 } else { 4_096 };

/// Size of the write-ahead log from which on something must keep it from being checkpointed.
const WAL_WARNING: u64 = 64 << 20;

pub(crate) fn start(
    pool: &Pool,
    worker: WriteConnection,
) -> Result<(Arc<WriteQueue>, JoinHandle<()>), StoreError> {
    let queue = Arc::new(WriteQueue::new(worker));
    let (own, pool) = (Arc::clone(&queue), pool.clone());
    let thread = thread::Builder::new()
        .name("maintenance".to_owned())
        .stack_size(sys::stack_size(256 << 10))
        .spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| run(&own, &pool))).is_err() {
                // What waits for its turn would wait for ever.
                log::error!("the maintenance thread died; ending the process");
                std::process::exit(70);
            }
        })?;
    Ok((queue, thread))
}

fn run(queue: &WriteQueue, pool: &Pool) {
    let mut checkpoint = Checkpoint::default();
    while queue.turn() {
        let idle = queue.is_idle();
        let pause = {
            let mut worker = queue.worker();
            worker.maintain(idle);
            if std::mem::take(&mut worker.checkpoint) {
                checkpoint.begin(pool, &worker.shared);
            }
            worker.pause()
        };
        queue.end_turn(pause);
    }
    queue.drain();
    checkpoint.wait();
    queue.worker().finish();
}

impl WriteConnection {
    pub(crate) fn pause(&self) -> Duration {
        if self.cache.purge || (self.flush.is_going_on() && !self.flush_failed) {
            PURGE_PAUSE
        } else {
            self.retention.pause().min(IDLE)
        }
    }

    /// Refuses everything from now on: the database is not where it was opened.
    pub(crate) fn lose(&mut self, error: &StoreError) {
        self.shared.lost.store(true, Ordering::Release);
        log::error!(
            "{error} under the running server: nothing more is acknowledged, and the server ends \
             with exit code {LOST}"
        );
        self.save_log(error, "PASSIVE");
    }

    /// Moves what is acknowledged, and perhaps only in a log that was removed, into the file that was
    /// opened as the database, wherever that is now. What somebody has overwritten is left alone.
    fn save_log(&self, error: &StoreError, mode: &str) {
        if let StoreError::Lost { whole: true, .. } = error
            && let Err(error) = checkpoint::run(&self.connection, mode)
        {
            log::warn!("the write-ahead log could not be moved into the database: {error}");
        }
    }

    /// Nothing is written after this.
    pub(crate) fn finish(&mut self) {
        // Whoever else holds a lock now must not hold up the end.
        if let Err(error) = self.connection.busy_timeout(LAST_WAIT) {
            log::debug!("the last writes wait as long as all others: {error}");
        }
        if let Err(error) = self.place.look(&self.connection) {
            if !self.shared.lost.load(Ordering::Acquire) {
                self.lose(&error);
            }
            self.save_log(&error, "TRUNCATE");
            std::process::exit(LOST);
        }
        self.save_positions();
        // A flush that was going on, and then what came meanwhile.
        while (self.flush.is_going_on() || !self.cache.pending_index.is_empty())
            && self.flush_step()
        {}
        let noted = health::note_end(&self.connection);
        let emptied = checkpoint::run_unless_left(&self.connection, "TRUNCATE");
        let ended = match (noted, emptied) {
            (Ok(ended), Ok(())) => ended,
            (noted, emptied) => {
                let errors = [noted.err(), emptied.err().map(StoreError::from)];
                for error in errors.into_iter().flatten() {
                    log::warn!("the database could not be put in order at the end: {error}");
                }
                return;
            }
        };
        // Only the owner of a file may give it a time.
        if let Err(error) = health::seal(&self.file, ended) {
            log::debug!("the next start will look through the database: {error}");
        }
    }

    /// Less is done while jobs wait.
    fn maintain(&mut self, idle: bool) {
        if self.shared.lost.load(Ordering::Acquire) {
            return;
        }
        if self.last_rest.elapsed() >= IDLE
            && let Err(error) = self.place.look(&self.connection)
        {
            return self.lose(&error);
        }
        if idle && self.flush.is_going_on() && !self.flush_failed {
            self.flush_step();
        }
        if self.cache.purge && (idle || self.last_purge.elapsed() > 5 * PURGE_SLICE) {
            self.purge();
        }
        self.retain();
        if self.last_rest.elapsed() >= IDLE {
            self.last_rest = Instant::now();
            if idle {
                self.save_positions();
                self.flush_step();
                if std::mem::take(&mut self.warm) {
                    // Gives the cache's memory back.
                    let _ = self.connection.execute_batch("PRAGMA shrink_memory;");
                }
            }
            self.look_at_wal();
            if self.postponed {
                self.cache.purge = true;
            }
        }
    }

    /// Saves delivery positions without an fsync: losing them in a power cut only means that some
    /// messages are delivered again, and the next full commit syncs the whole log.
    fn save_positions(&mut self) {
        let positions = lock(&self.shared.deliveries).snapshot();
        if positions.is_empty() {
            return;
        }
        let saved = self.relaxed(|connection, _| deliveries::save(connection, &positions));
        match saved {
            Ok(()) => lock(&self.shared.deliveries).saved(&positions),
            Err(error) => log_limited!(Warn, "delivery positions could not be saved: {error}"),
        }
    }

    /// False when the step failed.
    fn flush_step(&mut self) -> bool {
        self.flush.begin(&self.cache.pending_index);
        if !self.flush.is_going_on() {
            return true;
        }
        self.warm = true;
        let mut flush = std::mem::take(&mut self.flush);
        // Here nobody looks whether another process has removed something.
        let result =
            self.relaxed(|connection, _| flush.step(connection, FLUSH_STEP, MessageId::MAX));
        self.flush = flush;
        self.flush_failed = result.is_err();
        match &result {
            Ok(()) => self.show_index(),
            Err(error) => {
                self.flush.abandoned();
                log_limited!(
                    Warn,
                    "the index of the messages could not be brought forward: {error}"
                );
            }
        }
        result.is_ok()
    }

    fn purge(&mut self) {
        self.last_purge = Instant::now();
        let deadline = self.last_purge + PURGE_SLICE;
        // Held through the step, so that a chat is not purged while it is being pinned.
        let shared = Arc::clone(&self.shared);
        let pins = lock(&shared.pins);
        let left = self.relaxed(|connection, cache| {
            purge::step(
                &mut Tx { connection, cache },
                |chat| pins.contains_key(&chat),
                deadline,
            )
        });
        (self.cache.purge, self.postponed) = match left {
            Ok(purge::Left::Nothing) => (false, false),
            Ok(purge::Left::Work) => (true, false),
            Ok(purge::Left::Pinned) => (false, true),
            Err(error) => {
                log_limited!(Warn, "purging failed, to be tried again: {error}");
                (false, true)
            }
        };
    }

    /// One slice of retention, when its time has come and nothing waits to be purged.
    fn retain(&mut self) {
        if self.cache.purge || !self.retention.is_due() {
            return;
        }
        let mut retention = std::mem::take(&mut self.retention);
        let shared = Arc::clone(&self.shared);
        let pins = lock(&shared.pins);
        let result = self.relaxed(|connection, cache| {
            let mut tx = Tx { connection, cache };
            retention.careful_step(&mut tx, milliseconds(), |chat| pins.contains_key(&chat))
        });
        drop(pins);
        self.checkpoint |= matches!(result, Ok(false));
        retention.stepped(result);
        self.retention = retention;
    }

    fn look_at_wal(&mut self) {
        let size = self.log_size();
        if size > WAL_WARNING && !self.wal_warned {
            log_limited!(
                Warn,
                "the write-ahead log has grown to {} MiB; a long read or a backup keeps it",
                size >> 20
            );
        }
        self.wal_warned = size > WAL_WARNING;
    }
}
