//! A job: a closure that writes, with a place for its result.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::tx::Tx;
use crate::store::StoreError;
use crate::sync::channel::Sender;

pub(crate) type Group = Vec<Box<dyn Job>>;

/// What the leader knows of a job; the type of its result is the submitter's alone.
pub(crate) trait Job: Send {
    fn rows(&self) -> usize;
    /// Runs the closure; false when it failed.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    fn fail(&mut self, error: StoreError);
    fn answer(self: Box<Self>);
}

pub(super) struct Task<F, T> {
    pub(super) rows: usize,
    pub(super) f: Option<F>,
    pub(super) result: Option<Result<T, StoreError>>,
    pub(super) reply: Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Task<F, T>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn rows(&self) -> usize {
        self.rows
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(f) = self.f.take() else {
            return false;
        };
        let result = catch_unwind(AssertUnwindSafe(|| f(tx))).unwrap_or(Err(StoreError::Panicked));
        let kept = result.is_ok();
        self.result = Some(result);
        kept
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
