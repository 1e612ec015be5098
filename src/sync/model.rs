//! What shuttle has, and what it has not: bounded channels with time-outs, a lock with one, and a
//! condition variable whose waits may end without news. A time-out may come at any moment here,
//! since the other threads may be arbitrarily slow: whether it does is the schedule's to say.

pub(crate) use shuttle::sync::atomic;
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
pub(crate) use shuttle::thread;
pub(crate) use std::sync::PoisonError;

use std::sync::LockResult;
use std::time::Duration;

/// One time-out in so many waits.
const RARE: u32 = 2;

fn times_out() -> bool {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..RARE) == 0
}

/// A mutex of either kind: some belong to what is not looked at.
pub(crate) trait Lock<'m> {
    /// Its guard.
    type Guard;
    /// Locks it.
    fn locked(&'m self) -> Self::Guard;
}

impl<'m, T: 'm> Lock<'m> for Mutex<T> {
    type Guard = MutexGuard<'m, T>;
    fn locked(&'m self) -> Self::Guard {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'m, T: 'm> Lock<'m> for std::sync::Mutex<T> {
    type Guard = std::sync::MutexGuard<'m, T>;
    fn locked(&'m self) -> Self::Guard {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'m, M: Lock<'m>> Lock<'m> for std::sync::Arc<M> {
    type Guard = M::Guard;
    fn locked(&'m self) -> Self::Guard {
        (**self).locked()
    }
}

/// As the real one.
pub(crate) fn lock<'m, M: Lock<'m>>(mutex: &'m M) -> M::Guard {
    mutex.locked()
}

/// A condition variable whose waits with a time-out may end at once.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar::default()
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait_while<'m, T>(
        &self,
        guard: MutexGuard<'m, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'m, T>> {
        self.0.wait_while(guard, condition)
    }

    pub(crate) fn wait_timeout<'m, T>(
        &self,
        guard: MutexGuard<'m, T>,
        _patience: Duration,
    ) -> LockResult<(MutexGuard<'m, T>, ())> {
        if times_out() {
            return Ok((guard, ()));
        }
        let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        Ok((guard, ()))
    }

    pub(crate) fn wait_timeout_while<'m, T>(
        &self,
        guard: MutexGuard<'m, T>,
        _patience: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'m, T>, ())> {
        if times_out() {
            return Ok((guard, ()));
        }
        let waited = self.0.wait_while(guard, condition);
        Ok((waited.unwrap_or_else(PoisonError::into_inner), ()))
    }
}

/// As `parking_lot`.
pub(crate) mod timed {
    use super::{Duration, PoisonError, times_out};

    pub(crate) use super::MutexGuard;

    #[derive(Default)]
    pub(crate) struct Mutex<T>(super::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }

        pub(crate) fn try_lock_for(&self, _patience: Duration) -> Option<MutexGuard<'_, T>> {
            match self.try_lock() {
                None if times_out() => None,
                None => Some(self.lock()),
                some => some,
            }
        }
    }
}

/// As `crossbeam_channel`, one sender and one receiver, as far as it is used.
pub(crate) mod channel {
    use std::collections::VecDeque;
    use std::sync::Arc;

    pub(crate) use crossbeam_channel::{RecvTimeoutError, TryRecvError, TrySendError};

    use super::{Condvar, Duration, Mutex, PoisonError, lock, times_out};

    struct State<T> {
        items: VecDeque<T>,
        bound: usize,
        sender: bool,
        receiver: bool,
    }

    struct Shared<T> {
        state: Mutex<State<T>>,
        news: Condvar,
    }

    pub(crate) struct Sender<T>(Arc<Shared<T>>);
    pub(crate) struct Receiver<T>(Arc<Shared<T>>);

    pub(crate) fn bounded<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                items: VecDeque::new(),
                bound,
                sender: true,
                receiver: true,
            }),
            news: Condvar::new(),
        });
        (Sender(Arc::clone(&shared)), Receiver(shared))
    }

    impl<T> Sender<T> {
        pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
            let mut state = lock(&self.0.state);
            if !state.receiver {
                return Err(TrySendError::Disconnected(item));
            }
            if state.items.len() >= state.bound {
                return Err(TrySendError::Full(item));
            }
            state.items.push_back(item);
            drop(state);
            self.0.news.notify_all();
            Ok(())
        }

        pub(crate) fn send(&self, item: T) -> Result<(), TrySendError<T>> {
            let state = lock(&self.0.state);
            let full = |state: &mut State<T>| state.receiver && state.items.len() >= state.bound;
            let waited = self.0.news.wait_while(state, full);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            if !state.receiver {
                return Err(TrySendError::Disconnected(item));
            }
            state.items.push_back(item);
            drop(state);
            self.0.news.notify_all();
            Ok(())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            lock(&self.0.state).sender = false;
            self.0.news.notify_all();
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let mut state = lock(&self.0.state);
            state.receiver = false;
            let left = std::mem::take(&mut state.items);
            drop(state);
            self.0.news.notify_all();
            drop(left);
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            let mut state = lock(&self.0.state);
            match state.items.pop_front() {
                Some(item) => {
                    self.0.news.notify_all();
                    Ok(item)
                }
                None if state.sender => Err(TryRecvError::Empty),
                None => Err(TryRecvError::Disconnected),
            }
        }

        pub(crate) fn recv(&self) -> Result<T, TryRecvError> {
            let state = lock(&self.0.state);
            let idle = |state: &mut State<T>| state.items.is_empty() && state.sender;
            let waited = self.0.news.wait_while(state, idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            let item = state.items.pop_front();
            self.0.news.notify_all();
            item.ok_or(TryRecvError::Disconnected)
        }

        pub(crate) fn recv_timeout(&self, _patience: Duration) -> Result<T, RecvTimeoutError> {
            match self.try_recv() {
                Ok(item) => Ok(item),
                Err(TryRecvError::Empty) if times_out() => Err(RecvTimeoutError::Timeout),
                _ => self.recv().map_err(|_| RecvTimeoutError::Disconnected),
            }
        }

        pub(crate) fn is_empty(&self) -> bool {
            lock(&self.0.state).items.is_empty()
        }
    }
}
