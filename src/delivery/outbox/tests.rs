//! Outboxes without threads.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;
use crate::net::connection::Transport;
use crate::store::tests::scratch::Scratch;

/// A store of no users, and threads that are not to be had.
struct SmallWorld {
    store: Scratch,
    threads: Arc<Threads>,
    listener: TcpListener,
    clients: Vec<TcpStream>,
}

impl SmallWorld {
    fn new() -> SmallWorld {
        let threads = Arc::new(Threads::new());
        threads.set_limit(0);
        SmallWorld {
            store: Scratch::new(),
            threads,
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            clients: Vec::new(),
        }
    }

    /// The outbox of a login that has begun, with nothing waiting.
    fn login(&mut self, user: i64) -> Arc<Outbox> {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = self.listener.accept().unwrap();
        self.clients.push(client);
        let connection = Arc::new(Connection::new(1, peer, stream, Transport::Plain));
        let user = UserId::new(user);
        let outbox = Outbox::new(user, "anna", &connection, &self.store, &self.threads);
        outbox.begin();
        outbox
    }
}

#[test]
fn a_login_waits_for_a_thread_once() {
    let mut world = SmallWorld::new();
    let (anna, bernd) = (world.login(1), world.login(2));
    assert!(!world.threads.are_short());
    for _ in 0..1000 {
        anna.look_at_events();
        bernd.look_at_events();
        bernd.start_over();
    }
    assert_eq!(world.threads.count_starved(), 2);
    for _ in 0..10 {
        world.threads.sweep();
        anna.look_at_events();
        assert_eq!(world.threads.count_starved(), 2);
    }
    assert!(world.threads.are_short());
}

#[test]
fn one_thread_serves_all_who_wait() {
    let mut world = SmallWorld::new();
    let logins: Vec<_> = (1..=20).map(|user| world.login(user)).collect();
    logins.iter().for_each(|outbox| outbox.look_at_events());
    assert_eq!(world.threads.count_starved(), 20);
    // Those who have gone need none, and must not take the thread from the others.
    logins[1].refuse();
    logins[19].refuse();
    world.threads.set_limit(1);
    world.threads.sweep();
    // Threads end when they have nothing to do, long before their five idle seconds, since others
    // wait; the last one idles.
    let end = Instant::now() + Duration::from_secs(30);
    while world.threads.are_short() {
        assert!(Instant::now() < end, "{}", world.threads.count_starved());
        std::thread::yield_now();
    }
    assert!(end - Instant::now() > Duration::from_secs(20));
    logins.iter().for_each(|outbox| outbox.refuse());
    assert!(world.threads.wait_until_none(Duration::from_secs(30)));
    assert_eq!(world.threads.count_starved(), 0);
}
