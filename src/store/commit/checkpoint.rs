//! Checkpoints of the write-ahead log: a thread for one now and then, so that no message's commit has
//! to make a large one.
//!
//! The maintenance thread starts it, as it may lead itself at any moment and must not wait for the
//! disk. No lock is held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::wal_repair;
use crate::guard::log_limit::log_limited;
use crate::store::open::pool::Pool;
use crate::store::{Result, Shared, StoreError};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread;
use crate::sync::thread::JoinHandle;
use crate::sys;

/// Shortest time between two checkpoints.
const CHECKPOINTS: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(crate) struct Checkpoint {
    thread: Option<JoinHandle<()>>,
    last: Option<Instant>,
    running: Arc<AtomicBool>,
}

impl Checkpoint {
    /// Begins one, unless one is still being made or has been just now.
    pub(crate) fn begin(&mut self, pool: &Pool, shared: &Arc<Shared>) {
        let lately = |last: Instant| last.elapsed() < CHECKPOINTS;
        if self.last.is_some_and(lately) || self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        self.last = Some(Instant::now());
        self.wait();
        let running = Arc::clone(&self.running);
        let (pool, shared) = (pool.clone(), Arc::clone(shared));
        let thread = thread::Builder::new()
            .name("checkpoint".to_owned())
            .stack_size(sys::stack_size(256 << 10))
            .spawn(move || {
                let done = pool
                    .get()
                    .map_err(StoreError::from)
                    .and_then(|connection| Ok(run_unless_left(&connection, "PASSIVE")?));
                if let Err(error) = done {
                    log_limited!(Warn, "a checkpoint failed: {error}");
                    if wal_repair::is_needed(&error) {
                        shared.suspect.store(true, Ordering::Release);
                    }
                }
                running.store(false, Ordering::Release);
            });
        match thread {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => {
                log::debug!("there is no thread for a checkpoint: {error}");
                self.running.store(false, Ordering::Release);
            }
        }
    }

    pub(crate) fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It has said what there was to say.
            let _ = thread.join();
        }
    }
}

/// Checkpoints the write-ahead log, unless that is another program's business.
pub(super) fn run_unless_left(connection: &Connection, mode: &str) -> Result<()> {
    if every(connection)? > 0 {
        run(connection, mode)?;
    }
    Ok(())
}

pub(super) fn run(connection: &Connection, mode: &str) -> Result<()> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&sql, [], |_| Ok(()))
}

/// After how many pages in the log a COMMIT of this connection makes a checkpoint; 0 for never.
pub(super) fn every(connection: &Connection) -> Result<i64> {
    connection.query_row("PRAGMA wal_autocheckpoint", [], |row| row.get(0))
}

pub(super) fn set_every(connection: &Connection, pages: i64) -> Result<()> {
    let sql = format!("PRAGMA wal_autocheckpoint = {pages}");
    connection.query_row(&sql, [], |_| Ok(()))
}
