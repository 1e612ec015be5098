//! What happens to the database from outside: another process holds it, or it is damaged. Faults
//! that need more than the toolchain are in scripts/ (see docs/RELIABILITY.md).

use crate::support::client::{Client, Received, TIMEOUT};
use crate::support::people::pair;
use crate::support::server::{self, TestServer};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the server waits for another process that holds the database (`BUSY_TIMEOUT`).
const BUSY: Duration = Duration::from_secs(5);

/// The bodies in a chat, oldest first.
fn history(client: &mut Client, chat: i64) -> Vec<String> {
    client.send(&format!("130 {chat} 0 1000"));
    client.expect("240 400");
    let lines = client.recv_until("243");
    let messages = lines.iter().filter(|line| line.starts_with("242 "));
    messages
        .map(|line| line.splitn(5, ' ').nth(4).unwrap_or_default().to_owned())
        .collect()
}

fn lock(database: &Path) -> Connection {
    let connection = Connection::open(database).expect("open");
    connection.busy_timeout(BUSY).expect("busy_timeout");
    connection.execute_batch("BEGIN IMMEDIATE").expect("BEGIN");
    connection
}

/// Messages wait for another process for as long as they may, then they are refused; reading goes
/// on all the time. What was answered `400` is there, what was answered `211` is not.
#[test]
fn another_process_that_holds_the_database_is_waited_for() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "before");
    assert_eq!(maria.recv_push().message, "before");

    // For a moment: the message waits, and is kept.
    let other = lock(&server.database());
    hans.send(&format!("115 {chat} it waits"));
    match hans.next(BUSY / 10) {
        Received::TimedOut => {}
        more => panic!("answered while the database was held: {more:?}"),
    }
    // Who only reads does not wait: it is still held.
    assert_eq!(history(&mut maria, chat), ["before"]);
    other.execute_batch("ROLLBACK").expect("ROLLBACK");
    hans.expect("219 400");
    assert_eq!(maria.recv_push().message, "it waits");

    // For longer than the server waits: several jobs of one transaction, all refused.
    other.execute_batch("BEGIN IMMEDIATE").expect("BEGIN");
    let begin = Instant::now();
    hans.send(&format!("115 {chat} refused"));
    maria.send(&format!("115 {chat} refused"));
    for client in [&mut hans, &mut maria] {
        client.expect("211");
    }
    // It tries for all of its time: SQLite counts the pauses between its tries, so never less.
    let took = begin.elapsed();
    assert!(took >= BUSY, "{took:?}");
    other.execute_batch("ROLLBACK").expect("ROLLBACK");

    hans.say(chat, "after");
    assert_eq!(maria.recv_push().message, "after");
    assert_eq!(history(&mut hans, chat), ["before", "it waits", "after"]);
    let log = server.log().join("\n");
    assert!(log.contains("locked"), "the log does not say why:\n{log}");
}

/// The files of a database.
struct Files {
    database: PathBuf,
    log: PathBuf,
}

impl Files {
    fn of(server: &TestServer) -> Files {
        let database = server.database();
        let log = database.with_extension("db-wal");
        Files { database, log }
    }

    /// Database and log; None for what is not there. SQLite makes an empty log when it looks.
    fn read(&self) -> [Option<Vec<u8>>; 2] {
        let log = fs::read(&self.log).ok().filter(|log| !log.is_empty());
        [fs::read(&self.database).ok(), log]
    }

    fn write(&self, content: &[Option<Vec<u8>>; 2]) {
        for (path, content) in [&self.database, &self.log].into_iter().zip(content) {
            match content {
                Some(content) => fs::write(path, content).expect("write"),
                None => drop(fs::remove_file(path)),
            }
        }
        // It belongs to the log as it was, and is made anew.
        let _ = fs::remove_file(self.database.with_extension("db-shm"));
    }

    /// The server must not start; gives what it says.
    fn refused(&self) -> String {
        server::refused(&["--database".as_ref(), self.database.as_ref()])
    }
}

fn noise(bytes: &mut [u8]) {
    for (number, byte) in (0..=u8::MAX).cycle().zip(bytes) {
        *byte = number.wrapping_mul(37) ^ 0xA5;
    }
}

/// The server says that a database is damaged and what to do, does not start on it, and changes
/// nothing; with the files as they were everything is there.
#[test]
fn a_damaged_database_is_not_started_on_and_not_changed() {
    const PAGE: usize = 4096;
    const MESSAGES: usize = 2000;
    let mut server = TestServer::start();
    let (mut hans, maria, chat) = pair(&server, "hans", "maria");
    let text = "x".repeat(300);
    let mut bodies = (0..MESSAGES).map(|number| format!("{number} {text}"));
    hans.say_all(chat, bodies.by_ref().take(MESSAGES - 200));
    drop((hans, maria));
    // The first of them are in the database; those after it, since it is killed, in the log only.
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    hans.say_all(chat, bodies);
    server.kill();
    let files = Files::of(&server);
    let whole = files.read();
    let [Some(database), Some(log)] = &whole else {
        panic!("a database and a log")
    };
    assert!(database.len() > 40 * PAGE && log.len() > 10 * PAGE);

    type Damage = fn(&mut [Option<Vec<u8>>; 2]);
    let damages: &[(&str, Damage)] = &[
        ("noise in each fifth page of both files", |files| {
            for bytes in files.iter_mut().flatten() {
                // Frames of the log are checked by their sums, so this takes its end away as well.
                bytes.chunks_mut(PAGE).skip(4).step_by(5).for_each(noise);
            }
        }),
        ("the first page is noise, and there is no log", |files| {
            noise(&mut files[0].as_mut().expect("a database")[..PAGE]);
            files[1] = None;
        }),
        ("half of it is missing, and there is no log", |files| {
            let database = files[0].as_mut().expect("a database");
            database.truncate(database.len() / 2);
            files[1] = None;
        }),
        ("zeros in the second half, and there is no log", |files| {
            let database = files[0].as_mut().expect("a database");
            let half = database.len() / 2;
            database[half..].fill(0);
            files[1] = None;
        }),
        ("it is empty", |files| files[0] = Some(Vec::new())),
        ("it is gone, but for its log", |files| files[0] = None),
    ];
    for (what, damage) in damages {
        let mut damaged = whole.clone();
        damage(&mut damaged);
        files.write(&damaged);
        let said = files.refused();
        for word in ["damaged", "nothing was changed", "docs/RELIABILITY.md"] {
            assert!(said.contains(word), "{what}: {said}");
        }
        assert!(files.read() == damaged, "{what}: the files were changed");
    }

    files.write(&whole);
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    let kept = history(&mut hans, chat);
    assert_eq!(kept.len(), 1000, "the newest page of the history");
    let newest = format!("{} {text}", MESSAGES - 1);
    assert_eq!(kept.last(), Some(&newest));
}

/// Damage that only shows while the server runs refuses what meets it, and the log says what to do.
#[test]
fn damage_met_while_running_is_logged_with_what_to_do() {
    const PAGE: usize = 4096;
    let mut server = TestServer::with(&["--check", "0"]);
    let (mut hans, maria, chat) = pair(&server, "hans", "maria");
    let text = "x".repeat(300);
    hans.say_all(chat, (0..2000).map(|number| format!("{number} {text}")));
    hans.close();
    maria.close();
    server.stop();
    let files = Files::of(&server);
    let [Some(mut database), _] = files.read() else {
        panic!("a database")
    };
    // Old messages alone: the start reads the newest, and a login the lists of what it is to be sent.
    let (from, to) = (database.len() / 2, database.len() - 16 * PAGE);
    let pages = database[from..to].chunks_mut(PAGE);
    pages
        .filter(|page| page.windows(text.len()).any(|part| part == text.as_bytes()))
        .for_each(noise);
    fs::write(&files.database, database).expect("write");
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    assert!(hans.ask(&format!("130 {chat} 0 1000")).starts_with("211"));
    let line = server.wait_for_log("malformed", TIMEOUT);
    assert!(line.contains("docs/RELIABILITY.md"), "{line}");
    // The others' requests, and this user's that do not meet the damage, are served.
    hans.silent();
    hans.send("118");
    hans.expect("223 400");
    assert!(server.is_alive());
}

/// Lines of the log that say something went wrong.
fn complaints(server: &TestServer) -> Vec<String> {
    let log = server.log().into_iter();
    log.filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .collect()
}

/// How many lines a log may have of a fault that lasts: a dozen kinds, each once in ten seconds.
fn few(since: Instant) -> usize {
    let tens = usize::try_from(since.elapsed().as_secs() / 10).expect("a number");
    12 * (1 + tens)
}

/// A client that tries again and again while there is no room does not fill the disk with the log.
#[test]
fn a_full_database_does_not_flood_the_log() {
    let began = Instant::now();
    let server = TestServer::with(&["--max-database", "1M", "--rate", "0"]);
    let (mut hans, maria, chat) = pair(&server, "hans", "maria");
    maria.close();
    let text = "x".repeat(8000);
    let message = format!("115 {chat} {text}");
    while hans.ask(&message) == "219 400" {}
    let lines = vec![message; 100];
    for _ in 0..20 {
        hans.send_lines(&lines);
        for _ in &lines {
            hans.expect("211");
        }
    }
    // One by one, with what does not go through the batches.
    let mut guest = server.connect();
    for _ in 0..500 {
        assert_eq!(hans.ask(&format!("115 {chat} data:,again")), "211");
        assert_eq!(guest.ask("117 ina password9 a@b x"), "211");
    }
    let said = complaints(&server);
    assert!(
        said.iter().any(|line| line.contains("--max-database")),
        "{said:#?}"
    );
    assert!(said.len() <= few(began), "{} lines: {said:#?}", said.len());
}

/// The same for a disk that takes no more: a file may not grow beyond a limit here. Nor is the log
/// filled while nobody does anything, by what the server itself tries again.
#[test]
fn a_disk_that_takes_no_more_does_not_flood_the_log() {
    let began = Instant::now();
    // In blocks of 512 bytes, or of 1,024 with some shells.
    let server = TestServer::after_shell("trap '' XFSZ; ulimit -f 2000", &["--rate", "0"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let text = "x".repeat(8000);
    let message = format!("115 {chat} {text}");
    let mut kept = 0;
    while hans.ask(&message) == "219 400" {
        kept += 1;
    }
    assert!(kept > 10, "{kept}");
    for _ in 0..kept {
        maria.recv_push();
    }
    let lines = vec![message; 50];
    for _ in 0..20 {
        hans.send_lines(&lines);
        for _ in &lines {
            hans.recv();
        }
    }
    for _ in 0..500 {
        hans.ask(&format!("115 {chat} data:,again"));
        hans.ask("121 nobody");
        maria.ask("132 wrong-password another-one");
    }
    let before = complaints(&server).len();
    let woken = times_woken(&server, "maintenance");
    // In this time the server tried again 300 times.
    match hans.next(Duration::from_secs(3)) {
        Received::TimedOut => {}
        more => panic!("{more:?}"),
    }
    let said = complaints(&server);
    assert!(!said.is_empty());
    assert!(said.len() <= few(began), "{} lines: {said:#?}", said.len());
    assert!(said.len() - before <= 6, "{before}: {said:#?}");
    // Saving positions, the index, the log and purging are tried once a second.
    let woken = times_woken(&server, "maintenance") - woken;
    assert!(woken < 60, "{woken}");
}

/// How often a thread of the server has gone to sleep so far.
fn times_woken(server: &TestServer, name: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("tasks");
    for task in tasks {
        let task = task.expect("a task").path();
        let read = |file| fs::read_to_string(task.join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            let status = read("status");
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            return line
                .and_then(|number| number.trim().parse().ok())
                .expect("a number");
        }
    }
    panic!("no thread {name}");
}
