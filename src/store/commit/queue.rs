//! The way to the database: closures that are run in a common transaction.
//!
//! There is no hand-over to a thread that writes: whoever submits a job while nobody writes leads,
//! that is, takes all that is queued through one transaction, and answers it. Who comes meanwhile
//! only queues. So a lone sender's message changes threads nowhere, and a crowd's are committed
//! together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::store::commit::worker::WriteConnection;
use crate::store::{StoreError, Tx};
use crate::sync::channel::{Receiver, Sender, bounded};
use crate::sync::lock;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Rows of one transaction; a group stops growing there. About 3,000 rows a commit is where a
/// hundred pipelining senders got their throughput from when it was measured.
const GROUP_ROWS: usize = 4_096;

/// A group of so many jobs is answered by a thread of its own while the next one is committed.
const SHARED: usize = 4;

/// Groups that may wait for the answerer.
const ANSWERS: usize = 4;

/// The jobs that wait, and who leads.
pub(crate) struct WriteQueue {
    queue: Mutex<Queue>,
    /// Locked by the leader alone, so never waited for.
    worker: Mutex<WriteConnection>,
    /// Tells the committer's thread of a turn, of something to look after or of the end.
    told: Condvar,
    /// Groups that were committed, on their way to the thread that answers them.
    answerer: Sender<Group>,
}

/// Jobs of one transaction.
pub(crate) type Group = Vec<Box<dyn Job>>;

/// What the answerer does, until a group is empty.
pub(crate) fn serve(groups: &Receiver<Group>) {
    while let Ok(mut group) = groups.recv() {
        if group.is_empty() {
            return;
        }
        answer(&mut group);
    }
}

fn answer(group: &mut Group) {
    for job in group.drain(..) {
        job.answer();
    }
}

#[derive(Default)]
struct Queue {
    jobs: Group,
    /// Somebody leads.
    led: bool,
    /// The committer wants to lead next.
    wanted: bool,
    /// The lead has been handed to the committer.
    handed: bool,
    /// How soon the committer looks for something to do beside the jobs.
    pause: Duration,
    stopped: bool,
}

/// A closure with a place for its result, so that the leader needs not know its type.
pub(crate) trait Job: Send {
    fn rows(&self) -> usize;
    fn undo(&self) -> Undo;
    /// Runs the closure; its error, if any, as text for the log.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), ()>;
    fn fail(&mut self, error: StoreError);
    fn answer(self: Box<Self>);
}

/// How a job that failed is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undo {
    Savepoint,
    /// It adds messages only, and the ids from its first one on are its own.
    Messages,
}

struct Task<F, T> {
    rows: usize,
    undo: Undo,
    f: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Task<F, T>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn rows(&self) -> usize {
        self.rows
    }

    fn undo(&self) -> Undo {
        self.undo
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), ()> {
        let Some(f) = self.f.take() else {
            return Err(());
        };
        let result = catch_unwind(AssertUnwindSafe(|| f(tx))).unwrap_or(Err(StoreError::Panicked));
        let ok = result.is_ok();
        self.result = Some(result);
        if ok { Ok(()) } else { Err(()) }
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // The asker may be gone; what was committed stays committed.
            let _ = self.reply.send(result);
        }
    }
}

/// How a leader goes on.
enum Next {
    /// Nothing is queued; it leads no more.
    Nothing,
    Group,
    /// The committer leads now, and is to be told.
    Handed,
}

/// What the committer's thread is to do.
pub(crate) enum Turn {
    /// It leads now; nothing need be queued.
    Lead,
    /// It leads now, for the last time: nothing more is taken.
    Last,
}

impl WriteQueue {
    /// The way to the database, and what the answerer is to [`serve`].
    pub(crate) fn new(worker: WriteConnection) -> (WriteQueue, Receiver<Group>) {
        let (answerer, groups) = bounded(ANSWERS);
        let jobs = WriteQueue {
            queue: Mutex::default(),
            worker: Mutex::new(worker),
            told: Condvar::new(),
            answerer,
        };
        (jobs, groups)
    }

    fn hand_over(&self, group: &mut Group) {
        // What does not fit is answered here; so it is when there is no answerer any more.
        if let Err(refused) = self.answerer.try_send(std::mem::take(group)) {
            answer(&mut refused.into_inner());
        }
    }

    /// Ends the answerer behind what was handed over.
    pub(crate) fn stop_answering(&self) {
        // Fails only when the answerer is gone already.
        let _ = self.answerer.send(Vec::new());
    }

    /// Runs `f` in a transaction and returns after its COMMIT.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        rows: usize,
        undo: Undo,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = bounded(1);
        let job = Box::new(Task {
            rows,
            undo,
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
            !std::mem::replace(&mut queue.led, true)
        };
        if leads {
            // One group only: its own client waits for the answer.
            self.lead(true);
        }
        result.recv().unwrap_or(Err(StoreError::Stopped))
    }

    /// Commits what is queued until nothing is; `once` only one group, and hands the rest to the
    /// committer. The committer hands it to itself when it has something else to look after, since
    /// a crowd never leaves the queue empty. The caller has the lead, and has it no more afterwards.
    fn lead(&self, once: bool) {
        let mut group = Vec::new();
        let began = Instant::now();
        loop {
            let pause = self.commit(&mut group);
            let next = self.go_on(pause, once || began.elapsed() >= pause);
            if let Next::Handed = next {
                self.told.notify_one();
            }
            match next {
                // The next group need not wait until so many threads are woken.
                Next::Group if group.len() >= SHARED => self.hand_over(&mut group),
                _ => answer(&mut group),
            }
            match next {
                Next::Group => {}
                Next::Nothing | Next::Handed => return,
            }
        }
    }

    /// Whether the leader commits another group; otherwise it has given the lead up.
    fn go_on(&self, pause: Duration, hand_over: bool) -> Next {
        let mut queue = lock(&self.queue);
        let news = pause < queue.pause / 2;
        queue.pause = pause;
        let next = if queue.wanted || hand_over && !queue.jobs.is_empty() {
            queue.wanted = false;
            queue.handed = true;
            Next::Handed
        } else if queue.jobs.is_empty() {
            queue.led = false;
            Next::Nothing
        } else {
            Next::Group
        };
        drop(queue);
        if news {
            self.told.notify_one();
        }
        next
    }

    /// Commits the next group; returns how soon the committer should look after
    /// the rest.
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

    /// Gives the lead back that a turn has given: what came meanwhile is committed first.
    pub(crate) fn end_turn(&self, pause: Duration) {
        if let Next::Group = self.go_on(pause, false) {
            self.lead(false);
        }
    }

    /// Commits all that is left and keeps the lead, so that nothing is written any more.
    pub(crate) fn drain(&self) {
        let mut group = Vec::new();
        while !self.is_idle() {
            self.commit(&mut group);
            answer(&mut group);
        }
    }

    /// Takes the next group out of the queue.
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

    /// For the committer's thread: waits until the lead is handed to it, or so long has passed
    /// that it takes the lead by itself.
    pub(crate) fn turn(&self) -> Turn {
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
            if queue.led {
                queue.wanted = true;
                queue = self
                    .told
                    .wait_while(queue, |queue| !queue.handed)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                queue.led = true;
            }
        }
        queue.handed = false;
        queue.wanted = false;
        if queue.stopped {
            Turn::Last
        } else {
            Turn::Lead
        }
    }

    /// The worker, for whoever has the lead.
    pub(crate) fn worker(&self) -> MutexGuard<'_, WriteConnection> {
        lock(&self.worker)
    }

    /// Nothing more is taken; the committer finishes what was.
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
