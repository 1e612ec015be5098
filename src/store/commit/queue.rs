//! Leader and followers: who commits the jobs that wait.
//!
//! Whoever submits a job while there is no leader becomes it: takes all that is queued through one
//! transaction, and answers it. Followers queue and wait for their answer. So a lone sender's message
//! changes threads nowhere, and a crowd's are committed together. A leader whose own job is answered
//! hands over to the maintenance thread when more has come meanwhile.
//!
//! A leader answers its group itself: a thread for that brought nothing (docs/PERFORMANCE.md).
//!
//! Two locks, both held for a moment but by the leader: `queue`, and `worker`, which the leader alone
//! takes and so never waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::job::{Group, Task};
use super::tx::Tx;
use super::worker::WriteConnection;
use crate::store::StoreError;
use crate::sync::channel::bounded;
use crate::sync::lock;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Rows of one transaction; a group stops growing there. About 3,000 rows a commit is where a
/// hundred pipelining senders got their throughput from when it was measured.
const GROUP_ROWS: usize = 4_096;

pub(crate) struct WriteQueue {
    queue: Mutex<Queue>,
    worker: Mutex<WriteConnection>,
    /// Wakes the maintenance thread: it leads, has something to do soon, or is to end.
    told: Condvar,
}

fn answer(group: &mut Group) {
    for job in group.drain(..) {
        job.answer();
    }
}

#[derive(Default)]
struct Queue {
    jobs: Group,
    has_leader: bool,
    /// The maintenance thread is to lead next.
    wanted: bool,
    /// The maintenance thread leads, and is to be told.
    handed: bool,
    /// How soon the maintenance thread looks for something to do.
    pause: Duration,
    stopped: bool,
}

enum NextTurn {
    /// Nothing is queued; there is no leader now.
    Nothing,
    Group,
    /// The maintenance thread leads now, and is to be told.
    Handed,
}

impl WriteQueue {
    pub(crate) fn new(worker: WriteConnection) -> WriteQueue {
        WriteQueue {
            queue: Mutex::default(),
            worker: Mutex::new(worker),
            told: Condvar::new(),
        }
    }

    /// See [`Store::write`](crate::store::Store::write).
    pub(crate) fn run<T: Send + 'static>(
        &self,
        rows: usize,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = bounded(1);
        let job = Box::new(Task {
            rows,
            f: Some(f),
            result: None,
            reply,
        });
        let leads = {
            let mut queue = lock(&self.queue);
            if queue.stopped {
                return Err(StoreError::Stopped);
            }
            queue.jobs.push(job);
            !std::mem::replace(&mut queue.has_leader, true)
        };
        if leads {
            // One group only: its own client waits for the answer.
            self.lead(true);
        }
        result.recv().unwrap_or(Err(StoreError::Stopped))
    }

    /// What a leader does: commits what is queued until nothing is; with `once` only one group, and hands
    /// over to the maintenance thread. That one hands over to itself when it has something else to do,
    /// since a crowd never leaves the queue empty.
    fn lead(&self, once: bool) {
        let mut group = Vec::new();
        let began = Instant::now();
        loop {
            let pause = self.commit(&mut group);
            let next = self.go_on(pause, once || began.elapsed() >= pause);
            if matches!(next, NextTurn::Handed) {
                self.told.notify_one();
            }
            answer(&mut group);
            if !matches!(next, NextTurn::Group) {
                return;
            }
        }
    }

    fn go_on(&self, pause: Duration, hand_over: bool) -> NextTurn {
        let mut queue = lock(&self.queue);
        let news = pause < queue.pause / 2;
        queue.pause = pause;
        let next = if queue.wanted || hand_over && !queue.jobs.is_empty() {
            queue.wanted = false;
            queue.handed = true;
            NextTurn::Handed
        } else if queue.jobs.is_empty() {
            queue.has_leader = false;
            NextTurn::Nothing
        } else {
            NextTurn::Group
        };
        drop(queue);
        if news {
            self.told.notify_one();
        }
        next
    }

    /// Commits the next group; returns how soon the maintenance thread should look for something to do.
    fn commit(&self, group: &mut Group) -> Duration {
        let mut worker = lock(&self.worker);
        self.take(group);
        // Nothing can be promised after a panic in here.
        let committed = catch_unwind(AssertUnwindSafe(|| worker.commit(group)));
        if committed.is_err() {
            log::error!("committing panicked; ending the process");
            std::process::exit(70);
        }
        worker.pause()
    }

    /// What came during a turn is committed first.
    pub(crate) fn end_turn(&self, pause: Duration) {
        if let NextTurn::Group = self.go_on(pause, false) {
            self.lead(false);
        }
    }

    /// It stays the leader, so that nothing is written any more.
    pub(crate) fn drain(&self) {
        let mut group = Vec::new();
        while !self.is_idle() {
            self.commit(&mut group);
            answer(&mut group);
        }
    }

    fn take(&self, group: &mut Group) {
        let mut queue = lock(&self.queue);
        let mut rows = 0;
        let count = queue
            .jobs
            .iter()
            .take_while(|job| {
                let fits = rows < GROUP_ROWS;
                rows += job.rows();
                fits
            })
            .count();
        if count == queue.jobs.len() {
            std::mem::swap(group, &mut queue.jobs);
        } else {
            group.extend(queue.jobs.drain(..count));
        }
    }

    /// For the maintenance thread: waits until a leader hands over to it, or its pause has passed. It
    /// leads then; false when nothing more is taken, which makes this turn its last.
    pub(crate) fn turn(&self) -> bool {
        let mut queue = lock(&self.queue);
        if !queue.handed && !queue.stopped {
            let pause = queue.pause;
            queue = self
                .told
                .wait_timeout_while(queue, pause, |queue| {
                    !queue.handed && !queue.stopped && queue.pause >= pause / 2
                })
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if !queue.handed {
            if queue.has_leader {
                queue.wanted = true;
                queue = self
                    .told
                    .wait_while(queue, |queue| !queue.handed)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                queue.has_leader = true;
            }
        }
        queue.handed = false;
        queue.wanted = false;
        !queue.stopped
    }

    /// For the leader alone.
    pub(crate) fn worker(&self) -> MutexGuard<'_, WriteConnection> {
        lock(&self.worker)
    }

    /// Nothing more is taken; the maintenance thread finishes what was.
    pub(crate) fn stop(&self) {
        lock(&self.queue).stopped = true;
        self.told.notify_one();
    }

    pub(crate) fn waiting(&self) -> usize {
        lock(&self.queue).jobs.len()
    }

    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.queue).jobs.is_empty()
    }
}
