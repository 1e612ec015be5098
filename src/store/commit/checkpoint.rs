//! Checkpoints beside the commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wal_repair;
use crate::guard::log_limit::log_limited;
use crate::store::commit::worker::{Pool, checkpoint_unless_left};
use crate::store::{Shared, StoreError};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread;
use crate::sync::thread::JoinHandle;
use crate::sys;

/// How long between two checkpoints, at least.
const CHECKPOINTS: Duration = Duration::from_millis(50);

/// A checkpoint now and then, so that no message's commit has to make a large one. It has a thread
/// of its own, as whoever may be handed the lead must not wait for the disk.
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
                    .and_then(|connection| Ok(checkpoint_unless_left(&connection, "PASSIVE")?));
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

    /// Waits until the last one has come to its end.
    pub(crate) fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It has said what there was to say.
            let _ = thread.join();
        }
    }
}
