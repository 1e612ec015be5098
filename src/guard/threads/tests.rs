//! Who waits for a thread.

use std::net::{TcpListener, TcpStream};

use super::*;
use crate::ids::UserId;
use crate::net::connection::{Connection, Transport};
use crate::store::tests::scratch::Scratch;

/// A store of no users, and threads that are not to be had.
struct World {
    store: Scratch,
    threads: Arc<Threads>,
    listener: TcpListener,
    clients: Vec<TcpStream>,
}

impl World {
    fn new() -> World {
        let threads = Arc::new(Threads::new());
        threads.limit.store(0, Ordering::Relaxed);
        World {
            store: Scratch::new(),
            threads,
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            clients: Vec::new(),
        }
    }

    /// The outbox of a login that has begun, with nothing waiting.
    fn login(&mut self, user: UserId) -> Arc<Outbox> {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = self.listener.accept().unwrap();
        self.clients.push(client);
        let connection = Arc::new(Connection::new(1, peer, stream, Transport::Plain));
        let outbox = Outbox::new(user, "anna", &connection, &self.store, &self.threads);
        outbox.begin();
        outbox
    }

    fn starved(&self) -> Vec<UserId> {
        let starved = lock(&self.threads.starved);
        let outboxes = starved.iter().filter_map(Weak::upgrade);
        outboxes.map(|outbox| outbox.user()).collect()
    }
}

#[test]
fn a_login_waits_for_a_thread_once() {
    let mut world = World::new();
    let (anna, bernd) = (world.login(UserId::new(1)), world.login(UserId::new(2)));
    assert!(!world.threads.are_short());
    for _ in 0..1000 {
        anna.look_at_events();
        bernd.look_at_events();
        bernd.start_over();
    }
    assert_eq!(world.starved(), [UserId::new(1), UserId::new(2)]);
    for _ in 0..10 {
        world.threads.sweep();
        anna.look_at_events();
        assert_eq!(world.starved(), [UserId::new(1), UserId::new(2)]);
    }
    assert!(world.threads.are_short());
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
fn one_thread_serves_all_who_wait() {
    let mut world = World::new();
    let logins: Vec<_> = (1..=20)
        .map(|user| world.login(UserId::new(user)))
        .collect();
    logins.iter().for_each(|outbox| outbox.look_at_events());
    assert_eq!(world.starved().len(), 20);
    // Those who have gone need none, and must not take the thread from the others.
    logins[1].refuse();
    logins[19].refuse();
    world.threads.limit.store(1, Ordering::Relaxed);
    world.threads.sweep();
    // Writers end when they have nothing to do, long before their five idle seconds, since others
    // wait; the last one idles.
    let end = Instant::now() + Duration::from_secs(30);
    while world.threads.are_short() {
        assert!(Instant::now() < end, "{:?}", world.starved());
        std::thread::yield_now();
    }
    assert!(end - Instant::now() > Duration::from_secs(20));
    logins.iter().for_each(|outbox| outbox.refuse());
    assert!(world.threads.wait_until_none(Duration::from_secs(30)));
    assert!(world.starved().is_empty());
}
