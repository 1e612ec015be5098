//! Locks, threads and channels of what hands messages over: the standard library's, crossbeam's
//! and parking_lot's, or, with the feature `shuttle`, those of a scheduler that tries one order of
//! steps after the other (`src/server/orders.rs`). Nothing else of the program differs.

#[cfg(not(feature = "shuttle"))]
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

#[cfg(feature = "shuttle")]
mod model;

#[cfg(feature = "shuttle")]
pub(crate) use model::*;
#[cfg(not(feature = "shuttle"))]
pub(crate) use real::*;
