//! Locks, threads and channels of what hands messages over: the standard library's, crossbeam's
//! and parking_lot's, or, in the tests that the feature `shuttle` switches on, those of a scheduler
//! that tries one order of steps after the other (`src/delivery/races.rs`). Nothing else of the
//! program differs, and nothing at all of one that is built to be used.

#[cfg(not(all(test, feature = "shuttle")))]
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
}

#[cfg(all(test, feature = "shuttle"))]
mod model;

#[cfg(all(test, feature = "shuttle"))]
pub(crate) use model::*;
#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use real::*;
