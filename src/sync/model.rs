//! Locks, threads and channels that shuttle's scheduler rules within [`scheduled`], and that are
//! real otherwise, as for all other unit tests. All threads of a schedule take turns on one thread
//! of the system, so a thread-local tells which of the two is meant.
//!
//! Within a schedule a time-out may come at any moment, since the other threads may be arbitrarily
//! slow: whether it does is the schedule's to say.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::LockResult;
use std::time::{Duration, Instant};

pub(crate) use std::sync::PoisonError;

thread_local! {
    static SCHEDULED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with everything that it makes ruled by the scheduler.
pub(crate) fn scheduled(body: impl FnOnce()) {
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            SCHEDULED.set(false);
        }
    }
    let _over = Over;
    SCHEDULED.set(true);
    body();
}

/// A bound of a queue or a wait: low in a schedule, so that it is reached all the time.
pub(crate) fn bound(count: usize) -> usize {
    if SCHEDULED.get() { 2 } else { count }
}

/// Every second wait of a schedule times out.
fn times_out() -> bool {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..2) == 0
}

pub(crate) enum Mutex<T> {
    Real(parking_lot::Mutex<T>),
    Model(shuttle::sync::Mutex<T>),
}

pub(crate) enum MutexGuard<'m, T> {
    Real(parking_lot::MutexGuard<'m, T>),
    Model(shuttle::sync::MutexGuard<'m, T>),
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        match SCHEDULED.get() {
            true => Mutex::Model(shuttle::sync::Mutex::new(value)),
            false => Mutex::Real(parking_lot::Mutex::new(value)),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        match self {
            Mutex::Real(mutex) => MutexGuard::Real(mutex.lock()),
            Mutex::Model(mutex) => {
                MutexGuard::Model(mutex.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self {
            Mutex::Real(mutex) => mutex.try_lock().map(MutexGuard::Real),
            Mutex::Model(mutex) => mutex.try_lock().ok().map(MutexGuard::Model),
        }
    }

    pub(crate) fn try_lock_for(&self, patience: Duration) -> Option<MutexGuard<'_, T>> {
        match self {
            Mutex::Real(mutex) => mutex.try_lock_for(patience).map(MutexGuard::Real),
            Mutex::Model(_) => match self.try_lock() {
                None if times_out() => None,
                None => Some(self.lock()),
                some => some,
            },
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            MutexGuard::Real(guard) => guard,
            MutexGuard::Model(guard) => guard,
        }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match self {
            MutexGuard::Real(guard) => guard,
            MutexGuard::Model(guard) => guard,
        }
    }
}

/// The lock with a time-out is the same one here.
pub(crate) mod timed {
    pub(crate) use super::{Mutex, MutexGuard};
}

/// A mutex of this module, or one of the standard library's: some belong to what is not looked at.
pub(crate) trait Lock<'m> {
    type Guard;
    fn locked(&'m self) -> Self::Guard;
}

impl<'m, T: 'm> Lock<'m> for Mutex<T> {
    type Guard = MutexGuard<'m, T>;
    fn locked(&'m self) -> Self::Guard {
        self.lock()
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

#[derive(Debug, Default)]
pub(crate) struct Condvar {
    real: parking_lot::Condvar,
    model: shuttle::sync::Condvar,
}

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar::default()
    }

    pub(crate) fn notify_one(&self) {
        match SCHEDULED.get() {
            true => self.model.notify_one(),
            false => drop(self.real.notify_one()),
        }
    }

    pub(crate) fn notify_all(&self) {
        match SCHEDULED.get() {
            true => self.model.notify_all(),
            false => drop(self.real.notify_all()),
        }
    }

    /// Without a time-out it waits for news.
    fn wait<'m, T>(
        &self,
        guard: MutexGuard<'m, T>,
        patience: Option<Duration>,
    ) -> MutexGuard<'m, T> {
        match guard {
            MutexGuard::Real(mut guard) => {
                match patience {
                    Some(patience) => drop(self.real.wait_for(&mut guard, patience)),
                    None => self.real.wait(&mut guard),
                }
                MutexGuard::Real(guard)
            }
            MutexGuard::Model(guard) if patience.is_some() && times_out() => {
                MutexGuard::Model(guard)
            }
            MutexGuard::Model(guard) => {
                let waited = self.model.wait(guard);
                MutexGuard::Model(waited.unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    pub(crate) fn wait_while<'m, T>(
        &self,
        mut guard: MutexGuard<'m, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'m, T>> {
        while condition(&mut guard) {
            guard = self.wait(guard, None);
        }
        Ok(guard)
    }

    pub(crate) fn wait_timeout<'m, T>(
        &self,
        guard: MutexGuard<'m, T>,
        patience: Duration,
    ) -> LockResult<(MutexGuard<'m, T>, ())> {
        Ok((self.wait(guard, Some(patience)), ()))
    }

    pub(crate) fn wait_timeout_while<'m, T>(
        &self,
        mut guard: MutexGuard<'m, T>,
        patience: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'m, T>, ())> {
        if matches!(guard, MutexGuard::Model(_)) {
            if !times_out() {
                while condition(&mut guard) {
                    guard = self.wait(guard, None);
                }
            }
            return Ok((guard, ()));
        }
        let end = Instant::now() + patience;
        while condition(&mut guard) && Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            guard = self.wait(guard, Some(left));
        }
        Ok((guard, ()))
    }
}

/// The standard library's, with a step of the schedule before each use.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::Ordering;

    macro_rules! atomics {
        ($($name:ident of $value:ty),*) => {$(
            #[derive(Debug, Default)]
            pub(crate) struct $name(std::sync::atomic::$name);

            #[allow(dead_code)]
            impl $name {
                pub(crate) const fn new(value: $value) -> $name {
                    $name(std::sync::atomic::$name::new(value))
                }
            }

            impl std::ops::Deref for $name {
                type Target = std::sync::atomic::$name;

                fn deref(&self) -> &Self::Target {
                    if super::SCHEDULED.get() {
                        shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
                    }
                    &self.0
                }
            }
        )*};
    }

    atomics!(AtomicBool of bool, AtomicI64 of i64, AtomicU64 of u64, AtomicUsize of usize);
}

/// As `std::thread`, as far as it is used.
pub(crate) mod thread {
    use std::time::Duration;

    use super::SCHEDULED;

    pub(crate) enum JoinHandle<T> {
        Real(std::thread::JoinHandle<T>),
        Model(shuttle::thread::JoinHandle<T>),
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn join(self) -> std::thread::Result<T> {
            match self {
                JoinHandle::Real(handle) => handle.join(),
                JoinHandle::Model(handle) => handle.join(),
            }
        }
    }

    /// A schedule's threads have neither names nor stacks of their own size.
    pub(crate) struct Builder(std::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Builder {
            Builder(std::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Builder {
            Builder(self.0.name(name))
        }

        pub(crate) fn stack_size(self, size: usize) -> Builder {
            Builder(self.0.stack_size(size))
        }

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            body: impl FnOnce() -> T + Send + 'static,
        ) -> std::io::Result<JoinHandle<T>> {
            match SCHEDULED.get() {
                true => Ok(JoinHandle::Model(shuttle::thread::spawn(body))),
                false => self.0.spawn(body).map(JoinHandle::Real),
            }
        }
    }

    pub(crate) fn sleep(pause: Duration) {
        match SCHEDULED.get() {
            true => shuttle::thread::sleep(pause),
            false => std::thread::sleep(pause),
        }
    }
}

/// As `crossbeam_channel`, one sender and one receiver, as far as it is used.
pub(crate) mod channel {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::time::Duration;

    pub(crate) use crossbeam_channel::{
        RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError,
    };

    use super::{Condvar, Mutex, PoisonError, bound, lock};

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

    pub(crate) fn bounded<T>(count: usize) -> (Sender<T>, Receiver<T>) {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                items: VecDeque::new(),
                bound: count.min(bound(count)),
                sender: true,
                receiver: true,
            }),
            news: Condvar::new(),
        });
        (Sender(Arc::clone(&shared)), Receiver(shared))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
            let state = lock(&self.0.state);
            let full = |state: &mut State<T>| state.receiver && state.items.len() >= state.bound;
            let waited = self.0.news.wait_while(state, full);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            if !state.receiver {
                return Err(SendError(item));
            }
            state.items.push_back(item);
            drop(state);
            self.0.news.notify_all();
            Ok(())
        }

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
        pub(crate) fn recv(&self) -> Result<T, RecvError> {
            let state = lock(&self.0.state);
            let idle = |state: &mut State<T>| state.items.is_empty() && state.sender;
            let waited = self.0.news.wait_while(state, idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            let item = state.items.pop_front();
            self.0.news.notify_all();
            item.ok_or(RecvError)
        }

        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            let mut state = lock(&self.0.state);
            let empty = match state.sender {
                true => TryRecvError::Empty,
                false => TryRecvError::Disconnected,
            };
            state.items.pop_front().ok_or(empty)
        }

        pub(crate) fn recv_timeout(&self, patience: Duration) -> Result<T, RecvTimeoutError> {
            let state = lock(&self.0.state);
            let idle = |state: &mut State<T>| state.items.is_empty() && state.sender;
            let waited = self.0.news.wait_timeout_while(state, patience, idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let none = match state.sender {
                true => RecvTimeoutError::Timeout,
                false => RecvTimeoutError::Disconnected,
            };
            state.items.pop_front().ok_or(none)
        }
    }
}
