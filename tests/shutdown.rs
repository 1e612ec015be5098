//! SIGTERM ends the server within 10 seconds with exit code 0, whatever the clients do, and what was
//! acknowledged is kept (contract, section 4, promises 1 and 7). So it is by SIGKILL (promise 1).

use super::support::client::{Client, Received, TIMEOUT};
use super::support::people::{Push, pair, register_and_login};
use super::support::server::TestServer;
use super::support::system::wait_for;
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for every test here; a scope waits for its threads, so a flood without an end would
/// make a failing test hang.
const FLOOD: Duration = Duration::from_secs(300);

/// Sends numbered messages, many at once, until the connection ends; counts the acknowledged ones.
fn flood(mut client: Client, chat: i64, acknowledged: &AtomicUsize) {
    let mut sent = 0;
    let end = Instant::now() + FLOOD;
    while Instant::now() < end {
        let lines: Vec<String> = (sent..sent + 64)
            .map(|number| format!("115 {chat} {number}\n"))
            .collect();
        if !client.send_raw_if_open(lines.concat().as_bytes()) {
            break;
        }
        sent += lines.len();
        for _ in lines {
            match client.next(TIMEOUT) {
                Received::Line(line) => assert_eq!(line, "219 400"),
                Received::Closed => return,
                Received::TimedOut => panic!("neither answered nor closed"),
            }
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }
    // The last acknowledgements may still be on their way.
    let rest = client.recv_to_end();
    let rest = rest.iter().filter(|line| *line == "219 400").count();
    acknowledged.fetch_add(rest, Ordering::SeqCst);
}

/// All acknowledged messages are there, in order; a few more may be, whose answer did not make it.
fn receive(client: &mut Client, acknowledged: usize) {
    let mut next = 0;
    while next < acknowledged {
        let line = client.recv();
        // Contact events come at least once too: after a SIGKILL, an old one may come again.
        if line.starts_with("233 ") {
            continue;
        }
        let push = Push::parse(&line).unwrap_or_else(|| panic!("wanted a 220, got `{line}`"));
        assert_eq!(push.message, next.to_string(), "order");
        next += 1;
    }
    client.send("134 end");
    for line in client.recv_until("247 end") {
        if let Some(push) = Push::parse(&line) {
            assert_eq!(push.message, next.to_string(), "order");
            next += 1;
        }
    }
}

/// Ends the server by `end` amid a flood to somebody who is away, and looks what is left.
fn nothing_acknowledged_is_lost(end: fn(&mut TestServer)) {
    let mut server = TestServer::start();
    let (hans, mut maria, chat) = pair(&server, "hans", "maria");
    maria.logout();
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        let flood = scope.spawn(|| flood(hans, chat, &acknowledged));
        wait_for("the flood has begun", TIMEOUT, || {
            (acknowledged.load(Ordering::SeqCst) > 1000).then_some(())
        });
        end(&mut server);
        flood.join().expect("the flood failed");
    });
    server.restart();
    let mut maria = server.connect();
    maria.login("maria");
    receive(&mut maria, acknowledged.load(Ordering::SeqCst));
}

#[test]
fn sigterm_keeps_what_was_acknowledged() {
    nothing_acknowledged_is_lost(TestServer::stop);
}

#[test]
fn sigkill_keeps_what_was_acknowledged() {
    nothing_acknowledged_is_lost(TestServer::kill);
}

/// One floods with messages, one with requests whose answers it never reads, one does not read what
/// others send to it, one has sent half a line, one is idle, one is about to log in.
#[test]
fn sigterm_ends_it_whatever_the_clients_do() {
    let mut server = TestServer::start();
    let (hans, maria, chat) = pair(&server, "hans", "maria");
    let mut greedy = register_and_login(&server, "greedy");
    let mut half = register_and_login(&server, "half");
    half.send_raw(b"134 half a li");
    let mut idle = register_and_login(&server, "idle");
    let stranger = server.connect();
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| flood(hans, chat, &acknowledged));
        // More than the sockets hold, so that maria's writer and greedy's reader are stuck.
        wait_for("the flood has begun", FLOOD / 2, || {
            (acknowledged.load(Ordering::SeqCst) > 20_000).then_some(())
        });
        let mut writer = greedy.writer();
        scope.spawn(move || {
            use std::io::Write;
            let requests = "120\n118\n112\n".repeat(1000);
            while writer.write_all(requests.as_bytes()).is_ok() {}
        });
        idle.silent();
        server.stop();
        // Whoever reads sees the end at once. A write that waits for room does not: where the server
        // had taken in all of its input, only a probe of the kernel finds out, minutes later.
        greedy.recv_to_end();
        let _ = greedy.socket().shutdown(Shutdown::Both);
    });
    idle.closed();
    half.closed();
    drop((maria, greedy, stranger));
}

/// Of what had arrived before an orderly end, nothing comes again; nor of contact events.
#[test]
fn what_arrived_before_sigterm_does_not_come_again() {
    let mut server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "before");
    assert_eq!(maria.recv_push().message, "before");
    // The connections are open when the server ends.
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    let mut maria = server.connect();
    maria.login("maria");
    hans.say(chat, "after");
    assert_eq!(maria.recv_push().message, "after");
    maria.say(chat, "after");
    assert_eq!(hans.recv_push().message, "after");
}
