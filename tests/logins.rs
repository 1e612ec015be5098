//! A storm of logins with the default hash, which is made to be expensive: it costs time, not memory,
//! and nobody who is there already waits for it. A program of its own, so that nothing else disturbs.

mod support;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::client::Client;
use support::server::TestServer;
use support::system::RssWatch;

const USERS: usize = 64;
const MEMORY_KIB: u64 = 96 * 1024;
const PROMPT: Duration = Duration::from_millis(100);

/// A hash takes about 0.2 s, two of them are made at once, and the last one waits for all others.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn sixty_four_logins_at_once() {
    let server = TestServer::with(&["--scrypt", "default", "--max-per-ip", "0"]);
    let mut bystander = server.connect();
    bystander.silent();
    let watch = RssWatch::start(server.pid());
    let done = AtomicBool::new(false);
    let start = Barrier::new(USERS);
    thread::scope(|scope| {
        let prompt = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let begin = Instant::now();
                bystander.send("999");
                bystander.expect("210");
                slowest = slowest.max(begin.elapsed());
                thread::sleep(Duration::from_millis(2));
            }
            slowest
        });
        let (server, start) = (&server, &start);
        let users: Vec<_> = (0..USERS)
            .map(|index| {
                scope.spawn(move || {
                    let mut user = server.connect();
                    user.timeout = PATIENCE;
                    let name = format!("user{index}");
                    user.register(&name);
                    start.wait();
                    user.login(&name);
                    user
                })
            })
            .collect();
        let users: Vec<_> = users.into_iter().map(|user| user.join()).collect();
        done.store(true, Ordering::Relaxed);
        let slowest = prompt.join().expect("the bystander failed");
        for user in users {
            let mut user: Client = user.expect("a login failed");
            user.silent();
        }
        assert!(slowest < PROMPT, "999 was answered after {slowest:?}");
        println!("the slowest 999: {slowest:?}");
    });
    let highest = watch.highest_kib();
    println!("resident: {highest} KiB");
    assert!(highest < MEMORY_KIB, "{highest} KiB resident");
}
