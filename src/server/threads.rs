//! How many threads there may be, and who waits for one.
//!
//! A thread costs four memory maps. At the limit of maps spawning does not fail: the new thread
//! aborts the whole process while it sets up its stack guard. So threads are counted.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::complaints::Complaint;
use super::outbox::Outbox;
use crate::store::lock;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, PoisonError, thread};
use crate::sys;

/// Where SQL runs and a backtrace may be printed: 32 KiB were touched at most when measured.
const STACK: usize = 128 << 10;

/// What Linux has unless told otherwise.
const DEFAULT_MAX_MAP_COUNT: usize = 65_530;

/// The threads of connections.
pub struct Threads {
    /// Read at the start, and again when the operator says so.
    limit: AtomicUsize,
    running: Mutex<usize>,
    ended: Condvar,
    /// Outboxes with work that could not be given a writer; served when another thread ends. Each is
    /// in here once.
    starved: Mutex<VecDeque<Weak<Outbox>>>,
    /// Somebody is in that list.
    short: AtomicBool,
    /// Outboxes whose writer could not read the store, or with pushes that wait for others; looked
    /// at by the sweep. Each is in here once.
    later: Mutex<Vec<Weak<Outbox>>>,
    complaint: Complaint,
}

impl Threads {
    /// Reads the system's limit of memory maps.
    pub fn new() -> Threads {
        Threads {
            limit: AtomicUsize::new(possible()),
            running: Mutex::new(0),
            ended: Condvar::new(),
            starved: Mutex::default(),
            short: AtomicBool::new(false),
            later: Mutex::default(),
            complaint: Complaint::default(),
        }
    }

    /// How many threads connections may have together.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Reads the system's limit again, and returns how many threads there may be now. Those that
    /// run go on, also when they are too many now.
    pub fn read_limit(&self) -> usize {
        let limit = possible();
        self.limit.store(limit, Ordering::Relaxed);
        limit
    }

    /// Starts a thread of a connection. A panic ends that thread alone.
    ///
    /// # Errors
    /// When the limit is reached, or the system refuses.
    pub fn spawn(
        self: &Arc<Self>,
        name: String,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        {
            let mut running = lock(&self.running);
            if *running >= self.limit() {
                return Err(io::Error::other("the limit of memory maps is near"));
            }
            *running += 1;
        }
        let counted = Counted(Arc::clone(self));
        // What the kernel shows of a name is 15 bytes; zero bytes it would refuse.
        thread::Builder::new()
            .name(name)
            .stack_size(sys::stack_size(STACK))
            .spawn(move || {
                let counted = counted;
                if catch_unwind(AssertUnwindSafe(f)).is_err() {
                    log::error!("a connection's thread panicked");
                }
                let threads = Arc::clone(&counted.0);
                drop(counted);
                threads.serve_starved();
            })
            .map(drop)
    }

    /// Remembers an outbox that could not be given a writer. The outbox sees to it that it is
    /// remembered once, until it is [tried again](Outbox::retry).
    pub fn starve(&self, outbox: &Arc<Outbox>, why: &io::Error) {
        self.complaint.warn(format_args!(
            "no thread for a writer: {why}; messages wait for the next free one"
        ));
        let mut starved = lock(&self.starved);
        starved.push_back(Arc::downgrade(outbox));
        self.short.store(true, Ordering::Relaxed);
    }

    /// Whether somebody waits for a thread, so that none should idle.
    pub fn are_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    fn next_starved(&self) -> Option<Weak<Outbox>> {
        let mut starved = lock(&self.starved);
        let next = starved.pop_front();
        self.short.store(!starved.is_empty(), Ordering::Relaxed);
        next
    }

    /// Remembers an outbox for the next sweep.
    pub fn try_later(&self, outbox: &Arc<Outbox>) {
        lock(&self.later).push(Arc::downgrade(outbox));
    }

    /// Gives everybody who waits another try.
    pub fn sweep(&self) {
        let waiting: Vec<_> = std::mem::take(&mut *lock(&self.later));
        // Those that starve again are put behind these.
        let starved = lock(&self.starved).len();
        for outbox in waiting.iter().filter_map(Weak::upgrade) {
            outbox.sweep();
        }
        for _ in 0..starved {
            let Some(next) = self.next_starved() else {
                break;
            };
            if let Some(outbox) = next.upgrade() {
                outbox.retry();
            }
        }
    }

    /// A thread has become free: it is for the first one that still has a use for it.
    fn serve_starved(&self) {
        while let Some(next) = self.next_starved() {
            if next.upgrade().is_some_and(|outbox| outbox.retry()) {
                break;
            }
        }
    }

    /// Threads that run now.
    pub fn running(&self) -> usize {
        *lock(&self.running)
    }

    /// Waits until no thread is left; false when `patience` ran out.
    pub fn wait_until_none(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut running = lock(&self.running);
        while *running > 0 {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            running = self
                .ended
                .wait_timeout(running, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

/// How many threads the system's memory maps are enough for.
fn possible() -> usize {
    let maps: usize = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT_MAX_MAP_COUNT);
    maps.saturating_sub(2_000) / 4
}

impl Default for Threads {
    fn default() -> Self {
        Threads::new()
    }
}

/// A thread's place, given back when it ends or never began.
struct Counted(Arc<Threads>);

impl Drop for Counted {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
        self.0.ended.notify_all();
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests;
