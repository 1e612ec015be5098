//! The way to the committer: closures that wait for their results.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{StoreError, Tx};

/// Jobs that may wait; a sender whose job finds the channel full waits for a place.
const QUEUE: usize = 1_024;

/// The way to the committer.
pub(super) struct Jobs {
    pub(super) sender: Sender<Message>,
}

pub(super) enum Message {
    Job(Box<dyn Job>),
    Stop,
}

/// A closure with a place for its result, so that the committer needs not know its type.
pub(super) trait Job: Send {
    fn rows(&self) -> usize;
    /// Runs the closure; its error, if any, as text for the log.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), ()>;
    fn fail(&mut self, error: StoreError);
    fn answer(self: Box<Self>);
}

struct Task<F, T> {
    rows: usize,
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

impl Jobs {
    /// The way, and its other end.
    pub(super) fn channel() -> (Jobs, Receiver<Message>) {
        let (sender, receiver) = bounded(QUEUE);
        (Jobs { sender }, receiver)
    }

    pub(super) fn run<T: Send + 'static>(
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
        self.sender
            .send(Message::Job(job))
            .map_err(|_| StoreError::Stopped)?;
        result.recv().unwrap_or(Err(StoreError::Stopped))
    }

    pub(super) fn waiting(&self) -> usize {
        self.sender.len()
    }
}
