//! Limits for strangers: how many connections there may be, together and from one address, how long
//! one may stay without a login, and what happens when the system itself has no more to give.

use crate::support::client::{Client, Received, TIMEOUT};
use crate::support::people::register_and_login;
use crate::support::server::TestServer;
use crate::support::system::{limit_open_files, open_files, threads, wait_for};
use std::time::{Duration, Instant};

/// Closed at once, with no more than one 211 before.
fn turned_away(mut client: Client) -> Vec<String> {
    let lines = client.recv_to_end();
    let fine = lines.len() <= 1 && lines.iter().all(|line| line.starts_with("211"));
    assert!(fine, "instead of being turned away: {lines:?}");
    lines
}

/// Connects until it is served: the place of one who left is free as soon as the server has seen it.
fn served(server: &TestServer) -> Client {
    wait_for("a connection is served", TIMEOUT, || {
        let mut client = server.connect();
        client.send_raw_if_open(b"134 hello\n");
        match client.next(TIMEOUT) {
            Received::Line(line) if line == "247 hello" => Some(client),
            _ => None,
        }
    })
}

#[test]
fn max_clients_is_for_all_together() {
    let server = TestServer::with(&["--max-clients", "3"]);
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.silent();
    }
    for _ in 0..5 {
        assert!(turned_away(server.connect()).len() <= 1);
    }
    server.wait_for_log("the server is full", TIMEOUT);
    // Those who are there do not notice, and one who leaves makes room for one.
    for client in &mut clients {
        client.silent();
    }
    clients.pop().expect("a client").close();
    let _newcomer = served(&server);
    turned_away(server.connect());
}

#[test]
fn max_per_ip_is_for_each_address() {
    let server = TestServer::with(&["--max-per-ip", "2", "--explain"]);
    let mut clients: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.silent();
    }
    // With --explain, the one too many learns why.
    let lines = turned_away(server.connect());
    assert!(
        lines.len() == 1 && lines[0].len() > "211 ".len(),
        "{lines:?}"
    );
    server.wait_for_log("too many connections from this address", TIMEOUT);
    let mut neighbour = Client::connect_from(2, server.addr());
    neighbour.silent();
    clients.pop().expect("a client").close();
    let _newcomer = served(&server);
}

#[test]
fn who_never_logs_in_is_closed_after_the_login_grace() {
    const GRACE: Duration = Duration::from_secs(4);
    let server = TestServer::with(&["--login-grace", "4"]);
    let mut member = register_and_login(&server, "hans");
    let begin = Instant::now();
    // One says nothing, one talks without logging in, one never ends a line.
    let mut quiet = server.connect();
    let mut talker = server.connect();
    let mut endless = server.connect();
    endless.send_raw(b"110 hans ");
    loop {
        talker.send_raw_if_open(b"134\n");
        match talker.next(TIMEOUT) {
            Received::Line(line) => assert_eq!(line, "247"),
            Received::Closed => break,
            Received::TimedOut => panic!("neither answered nor closed"),
        }
        endless.send_raw_if_open(b"x");
        assert!(begin.elapsed() < TIMEOUT, "still not closed");
        // So that neither floods: the wait ends when the connection does.
        if let Received::Closed = talker.next(Duration::from_millis(50)) {
            break;
        }
    }
    for client in [&mut quiet, &mut endless] {
        // Closed without a word, or with one 211.
        let lines = client.recv_to_end();
        assert!(
            lines.iter().all(|line| line.starts_with("211")),
            "{lines:?}"
        );
    }
    server.wait_for_log("--login-grace", TIMEOUT);
    let lived = begin.elapsed();
    assert!(lived >= GRACE, "closed after {lived:?}");
    // Who is logged in may be silent for as long as he likes; who logs out may come back in time.
    member.silent();
    member.logout();
    member.login("hans");
    member.silent();
}

/// Who is turned away is told so even when he has spoken first, and costs no thread.
#[test]
fn one_too_many_is_told_why() {
    let server = TestServer::with(&["--max-clients", "1", "--explain"]);
    let mut client = server.connect();
    client.silent();
    let before = threads(server.pid());
    for _ in 0..20 {
        let mut stranger = server.connect();
        stranger.shutdown_write();
        let lines = stranger.recv_to_end();
        assert_eq!(lines, ["211 the server is full"]);
    }
    // While a session that has come to rest moves to a fresh thread, there is one more.
    wait_for("no thread is left of them", TIMEOUT, || {
        (threads(server.pid()) <= before).then_some(())
    });
    client.silent();
}

/// A stranger's line has 4 KiB at most, media limits or not.
#[test]
fn strangers_have_short_lines() {
    let server = TestServer::with(&["--explain"]);
    let mut stranger = server.connect();
    stranger.send(&format!("134 {}", "x".repeat(4092)));
    assert_eq!(stranger.recv().len(), 4096);
    stranger.send(&format!("134 {}", "x".repeat(4093)));
    stranger.expect("211 the line is too long");
    stranger.silent();
    server.wait_for_log("a line that is too long", TIMEOUT);
}

/// More than a server of these tests can serve.
const MANY: usize = 100;

/// Those who are there are served, for long enough for a server that spins to show it.
fn goes_on(server: &mut TestServer, member: &mut Client) {
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        member.silent();
    }
    assert!(server.is_alive());
}

/// A server that is started with few descriptors keeps to them.
#[test]
fn few_descriptors_are_survived() {
    let mut server = TestServer::after_shell("ulimit -n 100", &["--max-per-ip", "0"]);
    let mut member = register_and_login(&server, "hans");
    let said = server.log().len();
    let clients: Vec<Client> = (0..MANY).map(|_| server.connect()).collect();
    goes_on(&mut server, &mut member);
    let said = server.log().split_off(said);
    assert!(said.len() <= 3, "it repeats itself: {said:#?}");
    drop(clients);
    let mut newcomer = served(&server);
    newcomer.register("maria");
    newcomer.login("maria");
    goes_on(&mut server, &mut member);
}

/// When the system gives no more descriptors (EMFILE), accepting rests, which is said once; those who
/// wait are served when others have left.
#[test]
fn running_out_of_descriptors_is_survived() {
    let mut server = TestServer::with(&["--max-per-ip", "0"]);
    let mut member = register_and_login(&server, "hans");
    let said = server.log().len();
    let used = open_files(server.pid()) as u64;
    limit_open_files(server.pid(), Some(used + 20));
    let mut clients: Vec<Client> = (0..MANY).map(|_| server.connect()).collect();
    goes_on(&mut server, &mut member);
    let said = server.log().split_off(said);
    assert!(said.len() == 1, "not said once: {said:#?}");
    // As many as leave, others are served, who have waited all the time.
    for client in clients.drain(..MANY / 2) {
        drop(client);
    }
    drop(clients.drain(..MANY / 2 - 10));
    for client in &mut clients {
        client.silent();
    }
    let mut newcomer = served(&server);
    newcomer.register("maria");
    newcomer.login("maria");
    goes_on(&mut server, &mut member);
}
