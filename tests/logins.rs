//! A storm of logins with the default hash, which is made to be expensive: it costs time, not memory,
//! and nobody who is there already waits for it.

use crate::support::client::Client;
use crate::support::server::TestServer;
use crate::support::system::{RssWatch, Stop};
use std::net::TcpListener;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const USERS: usize = 64;
const MEMORY_KIB: u64 = 96 * 1024;
const PROMPT: Duration = Duration::from_millis(100);

/// On a machine that is so busy with other things that an echo takes long, 999 may take this many
/// times as long.
const BUSY: u32 = 5;

/// A hash takes about 0.2 s, two of them are made at once, and the last one waits for all others.
const PATIENCE: Duration = Duration::from_secs(300);

/// What all but a twentieth took at most: the slowest of thousands says more of the machine than of
/// the server. If anybody waited for hashes, all would.
fn nearly_all(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 19 / 20]
}

/// A connection to a thread that sends back what it gets: how long that takes is what the machine
/// itself makes everybody wait, busy as it may be with other things.
fn echo() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let client = Client::connect(listener.local_addr().expect("local_addr"));
    let (stream, _) = listener.accept().expect("accept");
    thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
    client
}

#[test]
fn sixty_four_logins_at_once() {
    // The login grace is for those who wait on purpose, not for a machine that takes long.
    let options = [
        "--scrypt",
        "default",
        "--max-per-ip",
        "0",
        "--login-grace",
        "600",
    ];
    let server = TestServer::with(&options);
    let mut bystander = server.connect();
    bystander.silent();
    let mut echo = echo();
    let watch = RssWatch::start(server.pid());
    let start = Barrier::new(USERS);
    thread::scope(|scope| {
        let stop = Stop::default();
        let stopped = stop.flag();
        let prompt = scope.spawn(move || {
            let (mut served, mut machine) = (Vec::new(), Vec::new());
            // A pause, so that it measures the machine and does not make it busy.
            while !stopped.within(Duration::from_millis(2)) {
                let begin = Instant::now();
                echo.send("999");
                echo.expect("999");
                machine.push(begin.elapsed());
                let begin = Instant::now();
                bystander.send("999");
                bystander.expect("210");
                served.push(begin.elapsed());
            }
            (served, machine)
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
        drop(stop);
        let (served, machine) = prompt.join().expect("the bystander failed");
        for user in users {
            let mut user: Client = user.expect("a login failed");
            user.silent();
        }
        println!(
            "the slowest 999: {:?}; the slowest echo: {:?}",
            served.iter().max(),
            machine.iter().max()
        );
        let (served, machine) = (nearly_all(served), nearly_all(machine));
        println!("nearly all: {served:?}; {machine:?}");
        assert!(
            served < PROMPT || served < machine * BUSY,
            "999 was answered after {served:?}, an echo after {machine:?}"
        );
    });
    let highest = watch.highest_kib();
    println!("resident: {highest} KiB");
    assert!(highest < MEMORY_KIB, "{highest} KiB resident");
}
