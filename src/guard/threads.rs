//! How many threads there may be, and who waits for one.
//!
//! At the limit of memory maps spawning does not fail: the new thread aborts the whole process while
//! it sets up its stack guard. And at a limit of tasks, whoever comes first would get the last ones.
//! So threads are counted, and connections get three quarters of them at most: the rest is kept for
//! the writers of those who are logged in.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::guard::log_limit::{LogLimit, log_limited};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::lock;
use crate::sync::{Condvar, Mutex, PoisonError, thread};
use crate::sys;
use ceiling::Ceiling;

mod ceiling;

/// Where SQL runs and a backtrace may be printed: 32 KiB were touched at most when measured.
const STACK: usize = 128 << 10;

/// What waits for a thread, or for the next sweep.
pub(crate) trait Retry: Send + Sync {
    /// Tries again to have a thread. False when it needs none any more, so that somebody else may
    /// have the one that became free.
    fn retry(self: Arc<Self>) -> bool;

    /// The sweep looks at what [was to be looked at later](Threads::try_later).
    fn sweep(self: Arc<Self>);
}

/// The threads of connections.
pub(crate) struct Threads {
    /// Read at the start, and again when the operator says so.
    limit: AtomicUsize,
    /// What the limit comes from.
    by: std::sync::Mutex<String>,
    running: Mutex<usize>,
    ended: Condvar,
    /// Who could not have a thread; served when another one ends. Each is in here once.
    starved: Mutex<VecDeque<Weak<dyn Retry>>>,
    /// Somebody is in that list.
    short: AtomicBool,
    /// Writers that the system refused since the last sweep, though the limit was not reached.
    refused: AtomicUsize,
    /// Whom the next sweep looks at. Each is in here once.
    later: Mutex<Vec<Weak<dyn Retry>>>,
    log_limit: LogLimit,
}

impl Threads {
    /// Reads the system's limits.
    pub(crate) fn new() -> Threads {
        let Ceiling { threads, by } = Ceiling::read();
        Threads {
            limit: AtomicUsize::new(threads),
            by: std::sync::Mutex::new(by),
            running: Mutex::new(0),
            ended: Condvar::new(),
            starved: Mutex::default(),
            short: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            later: Mutex::default(),
            log_limit: LogLimit::default(),
        }
    }

    /// How many threads connections may have together.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many of them may be readers, so that those who send nothing leave writers enough.
    pub(crate) fn for_readers(&self) -> usize {
        for_readers(self.limit())
    }

    #[cfg(test)]
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many wait for a thread.
    #[cfg(test)]
    pub(crate) fn count_starved(&self) -> usize {
        lock(&self.starved).len()
    }

    /// What of the system the limit comes from, for people.
    pub(crate) fn limited_by(&self) -> String {
        lock(&self.by).clone()
    }

    /// Reads the system's limits again. Threads that run go on, also when they are too many now.
    pub(crate) fn read_limit(&self) {
        let Ceiling { threads, by } = Ceiling::read();
        self.limit.store(threads, Ordering::Relaxed);
        *lock(&self.by) = by;
    }

    /// Starts a thread of a connection. A panic ends that thread alone.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: String,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        {
            let mut running = lock(&self.running);
            if *running >= self.limit() {
                return Err(io::Error::other("the system's limit of threads is near"));
            }
            *running += 1;
        }
        let counted = CountedThread(Arc::clone(self));
        // What the kernel shows of a name is 15 bytes; zero bytes it would refuse.
        thread::Builder::new()
            .name(name)
            .stack_size(sys::stack_size(STACK))
            .spawn(move || {
                let counted = counted;
                if catch_unwind(AssertUnwindSafe(f)).is_err() {
                    log_limited!(Error, "a connection's thread panicked");
                }
                let threads = Arc::clone(&counted.0);
                drop(counted);
                threads.serve_starved();
            })
            .map(drop)
    }

    /// Remembers who could not have a thread, until its next [`Retry::retry`]; whoever waits sees to
    /// it that it is remembered once.
    pub(crate) fn starve<R: Retry + 'static>(&self, waiting: &Arc<R>, why: &io::Error) {
        self.log_limit.warn(format_args!(
            "no thread for a writer: {why}; messages wait for the next free one"
        ));
        if why.raw_os_error().is_some() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        let mut starved = lock(&self.starved);
        starved.push_back(Arc::downgrade(waiting) as Weak<dyn Retry>);
        self.short.store(true, Ordering::Relaxed);
    }

    /// Whether somebody waits for a thread, so that none should idle.
    pub(crate) fn are_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// How many writers the system has refused since the last time, though by the limits that were
    /// read there were threads for them: somebody else has taken those.
    pub(crate) fn take_refused(&self) -> usize {
        self.refused.swap(0, Ordering::Relaxed)
    }

    fn next_starved(&self) -> Option<Weak<dyn Retry>> {
        let mut starved = lock(&self.starved);
        let next = starved.pop_front();
        self.short.store(!starved.is_empty(), Ordering::Relaxed);
        next
    }

    /// Has the next sweep look at `waiting`.
    pub(crate) fn try_later<R: Retry + 'static>(&self, waiting: &Arc<R>) {
        lock(&self.later).push(Arc::downgrade(waiting) as Weak<dyn Retry>);
    }

    /// Gives everybody who waits another try.
    pub(crate) fn sweep(&self) {
        let waiting: Vec<_> = std::mem::take(&mut *lock(&self.later));
        // Those that starve again are put behind these.
        let starved = lock(&self.starved).len();
        for one in waiting.iter().filter_map(Weak::upgrade) {
            one.sweep();
        }
        for _ in 0..starved {
            let Some(next) = self.next_starved() else {
                break;
            };
            if let Some(next) = next.upgrade() {
                next.retry();
            }
        }
    }

    /// A thread has become free: it is for the first one that still has a use for it.
    fn serve_starved(&self) {
        while let Some(next) = self.next_starved() {
            if next.upgrade().is_some_and(Retry::retry) {
                break;
            }
        }
    }

    /// Threads that run now.
    pub(crate) fn running(&self) -> usize {
        *lock(&self.running)
    }

    /// Waits until no thread is left; false when `patience` ran out.
    pub(crate) fn wait_until_none(&self, patience: Duration) -> bool {
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

fn for_readers(limit: usize) -> usize {
    (limit - limit / 4).max(1)
}

impl Default for Threads {
    fn default() -> Self {
        Threads::new()
    }
}

/// A thread's place, given back when it ends or never began.
struct CountedThread(Arc<Threads>);

impl Drop for CountedThread {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests;
