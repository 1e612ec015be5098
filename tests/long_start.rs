//! A start that takes long: a large database of an older version is upgraded. The service manager
//! is asked to wait, the log says what is being done, and SIGTERM ends it.

use crate::support::client::TIMEOUT;
use crate::support::process::Program;
use crate::support::server::{end, program};
use crate::support::system::TempDir;
use rusqlite::Connection;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The last version whose upgrade writes a row for each message.
const OLD: i64 = 3;
const MESSAGES: u32 = 800_000;

/// A database of version 3 with so many messages, spread over many chats.
fn old_database(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("plausch.db");
    let database = Connection::open(&path).expect("a database");
    database
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
        .expect("pragmas");
    database
        .execute_batch(include_str!("data/schema-3.sql"))
        .expect("the schema");
    // The number of the file format: "Plau".
    for (name, value) in [("application_id", 0x506C_6175), ("user_version", OLD)] {
        database.pragma_update(None, name, value).expect("a pragma");
    }
    database
        .execute_batch(&format!(
            "DROP INDEX message_lane;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MESSAGES})
             INSERT INTO message (id, lane, timestamp, body)
             SELECT i, i * 7919 % 10007, i, 'message' FROM n;
             CREATE INDEX message_lane ON message (lane);
             UPDATE counter SET value = {MESSAGES} WHERE name = 'message';"
        ))
        .expect("messages");
    path
}

fn version(database: &Path) -> i64 {
    let database = Connection::open(database).expect("the database");
    database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("the version")
}

fn start(directory: &TempDir, database: &Path, notify: Option<&Path>) -> Program {
    let mut command = Command::new(program());
    command
        .args(["--listen", "127.0.0.1:0", "--database"])
        .arg(database)
        .current_dir(directory.path())
        .env_remove("RUST_LOG");
    if let Some(socket) = notify {
        command.env("NOTIFY_SOCKET", socket);
    }
    Program::start(&mut command).expect("plauschd")
}

#[test]
fn a_long_upgrade_is_announced_asks_for_time_and_hears_sigterm() {
    let directory = TempDir::new();
    let database = old_database(&directory);
    let server = start(&directory, &database, None);
    let upgrading = "upgrading the database from version 3";
    let said = server.wait_for_log(upgrading, TIMEOUT);
    said.expect("it says what it does");
    let log = end(server);
    let ended = log
        .iter()
        .any(|line| line.contains("stopped during startup"));
    assert!(ended, "{log:?}");
    assert_eq!(version(&database), OLD);
    // The next start does it, and asks for the time that it takes.
    let name = directory.path().join("notify");
    let socket = UnixDatagram::bind(&name).expect("a socket");
    socket.set_read_timeout(Some(TIMEOUT)).expect("time-out");
    let server = start(&directory, &database, Some(&name));
    let mut told = Vec::new();
    let mut buffer = [0; 256];
    while told.last().is_none_or(|last| last != "READY=1") {
        let length = socket.recv(&mut buffer).expect("something is told");
        told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert!(
        told[0].starts_with("EXTEND_TIMEOUT_USEC="),
        "nothing before it was ready: {told:?}"
    );
    end(server);
    assert!(version(&database) > OLD);
}
