//! What an operator asks a running server for: figures (SIGUSR1) and reading again (SIGHUP).

use crate::support::client::TIMEOUT;
use crate::support::people::pair;
use crate::support::server::{TestServer, signal};
use crate::support::system::take_open_files;

/// The value of `name=value` in a line of figures.
fn figure(line: &str, name: &str) -> f64 {
    let words = line.split_ascii_whitespace();
    let value = words
        .filter_map(|word| word.split_once('='))
        .find(|(found, _)| *found == name);
    match value.map(|(_, value)| value.parse()) {
        Some(Ok(value)) => value,
        _ => panic!("no {name} in `{line}`"),
    }
}

#[test]
fn sigusr1_logs_one_line_of_figures() {
    let mut server = TestServer::start();
    let (mut hans, maria, chat) = pair(&server, "hans", "maria");
    let mut guest = server.connect();
    // Connected is not accepted yet.
    guest.silent();
    hans.say_all(chat, (0..100).map(|number| number.to_string()));
    let size = || std::fs::metadata(server.database()).map_or(0.0, |data| data.len() as f64);
    let before = size();
    signal("USR1", server.pid());
    let line = server.wait_for_log("figures: ", TIMEOUT);
    assert_eq!(figure(&line, "connections"), 3.0, "{line}");
    assert_eq!(figure(&line, "logged_in"), 2.0, "{line}");
    assert_eq!(figure(&line, "messages"), 100.0, "{line}");
    assert_eq!(figure(&line, "queue"), 0.0, "{line}");
    assert!(figure(&line, "commits") >= 5.0, "{line}");
    let (p50, p99) = (
        figure(&line, "commit_p50_ms"),
        figure(&line, "commit_p99_ms"),
    );
    assert!(0.0 < p50 && p50 <= p99, "{line}");
    let resident = figure(&line, "resident_bytes") / 1024.0;
    let real = server.rss_kib() as f64;
    assert!(resident > real / 2.0 && resident < real * 2.0, "{line}");
    // It may have been checkpointed meanwhile.
    let database = figure(&line, "database_bytes");
    assert!(before <= database && database <= size(), "{line}");
    assert!(figure(&line, "wal_bytes") > 0.0, "{line}");
    assert!(server.is_alive());
    drop((guest, maria));
    server.stop();
}

#[test]
fn sighup_hurts_nobody_and_says_what_was_read_again() {
    let mut server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    signal("HUP", server.pid());
    server.wait_for_log("] reloaded: limits of the system: ", TIMEOUT);
    server.wait_for_log("not reloaded: the options", TIMEOUT);
    hans.say(chat, "still here");
    assert_eq!(maria.recv_push().message, "still here");
    assert!(server.is_alive());
    // Neither while it ends: the second SIGTERM alone would end it with another code.
    server.terminate();
    signal("HUP", server.pid());
    signal("USR1", server.pid());
    let status = server.wait(TIMEOUT);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn sighup_reads_the_limit_of_open_files_again() {
    let server = TestServer::with(&["--max-per-ip", "0"]);
    let mut first: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut first {
        client.silent();
    }
    // 40 files and those of 5 database connections are not for clients: 5 are.
    take_open_files(server.pid(), 60);
    signal("HUP", server.pid());
    server.wait_for_log("limits of the system: 5 connections of 4096", TIMEOUT);
    let mut more: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for client in first.iter_mut().chain(&mut more) {
        client.silent();
    }
    let mut surplus = server.connect();
    surplus.expect("211");
    surplus.closed();
}
