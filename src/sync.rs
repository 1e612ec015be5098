//! Locks, threads and channels of what hands messages over: the standard library's, crossbeam's
//! and parking_lot's. Unit tests have others, which a scheduler can rule: within
//! [`model::scheduled`] it tries one order of steps after the other (`src/delivery/races.rs`).

#[cfg(not(test))]
mod real {
    pub(crate) use crossbeam_channel as channel;
    pub(crate) use parking_lot as timed;
    pub(crate) use std::sync::atomic;
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
    pub(crate) use std::thread;

    /// Locks a mutex whose data stays sound when a holder panics.
    ///
    /// Every structure guarded this way is changed in single steps, so a panic in one session must
    /// not take the others down through poisoning.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bound of a queue or a wait, as it is.
    pub(crate) fn bound(count: usize) -> usize {
        count
    }
}

#[cfg(test)]
pub(crate) mod model;

#[cfg(test)]
pub(crate) use model::*;
#[cfg(not(test))]
pub(crate) use real::*;
