use super::*;

/// Wants a thread until it has been given one.
struct WaitingOutbox {
    threads: Arc<Threads>,
    served: AtomicBool,
}

impl Retry for WaitingOutbox {
    fn retry(self: Arc<Self>) -> bool {
        if self.served.load(Ordering::Relaxed) {
            return false;
        }
        let waiting = Arc::clone(&self);
        let serve = move || waiting.served.store(true, Ordering::Relaxed);
        if let Err(error) = self.threads.spawn("waiting".to_owned(), serve) {
            self.threads.starve(&self, &error);
        }
        true
    }

    fn sweep(self: Arc<Self>) {
        self.retry();
    }
}

#[test]
fn readers_leave_a_quarter_to_writers() {
    // With 100 tasks allowed, 16 are the server's own.
    assert_eq!(for_readers(84), 63);
    assert_eq!(for_readers(4), 3);
    assert_eq!(for_readers(15_882), 11_912);
    for limit in 4..1_000 {
        let left = limit - for_readers(limit);
        assert!(left >= 1 && left >= limit / 4, "{limit}: {left}");
    }
    let threads = Threads::new();
    assert_eq!(threads.for_readers(), for_readers(threads.limit()));
}

#[test]
fn a_thread_that_ends_is_for_the_next_who_waits() {
    let threads = Arc::new(Threads::new());
    threads.set_limit(0);
    let waiting = || {
        Arc::new(WaitingOutbox {
            threads: Arc::clone(&threads),
            served: AtomicBool::new(false),
        })
    };
    let mut all: Vec<_> = (0..20).map(|_| waiting()).collect();
    all.iter().for_each(|one| threads.try_later(one));
    threads.sweep();
    assert_eq!(threads.count_starved(), 20);
    threads.sweep();
    assert_eq!(threads.count_starved(), 20);
    // Who has gone must not take the thread from the others.
    all.remove(1);
    threads.set_limit(1);
    threads.sweep();
    let end = Instant::now() + Duration::from_secs(30);
    while !all.iter().all(|one| one.served.load(Ordering::Relaxed)) {
        assert!(Instant::now() < end, "{}", threads.count_starved());
        std::thread::yield_now();
    }
    assert!(threads.wait_until_none(Duration::from_secs(30)));
    assert!(!threads.are_short());
}
