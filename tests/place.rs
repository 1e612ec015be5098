//! The database is deleted, moved or replaced under the running server, or another one is begun
//! beside it: nothing is acknowledged that a restart would not find.

use crate::support::client::{Client, Received, TIMEOUT};
use crate::support::ctl::{ctl, tool};
use crate::support::people::{Push, pair};
use crate::support::process::Program;
use crate::support::server::{
    self, CHEAP_SCRYPT, STOP_TIMEOUT, TestServer, end, launched, program, signal,
};
use crate::support::system::{TempDir, output, wait_for};
use rusqlite::Connection;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The documented exit code of a server whose database was taken away.
const LOST: i32 = 74;

/// What happens to the database, and where it is afterwards, if it still is.
type Taking = fn(&Path) -> Option<PathBuf>;

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("remove_file");
}

fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).expect("rename");
}

const TAKINGS: &[(&str, &str, Taking)] = &[
    ("the database is deleted", "was removed", |database| {
        remove(database);
        None
    }),
    ("all its files are", "was removed", |database| {
        for suffix in ["", "-wal", "-shm"] {
            remove(&beside(database, suffix));
        }
        None
    }),
    ("it is moved", "was removed", |database| {
        let moved = database.with_extension("moved");
        rename(database, &moved);
        Some(moved)
    }),
    ("another file takes its name", "was replaced", |database| {
        let moved = database.with_extension("moved");
        fs::hard_link(database, &moved).expect("link");
        let other = database.with_extension("other");
        fs::write(&other, "of another program").expect("write");
        rename(&other, database);
        Some(moved)
    }),
    ("a link leads elsewhere", "was replaced", |database| {
        let real = fs::canonicalize(database).expect("canonicalize");
        let other = database.with_extension("other");
        fs::write(database.with_extension("empty"), "").expect("write");
        symlink(database.with_extension("empty"), &other).expect("symlink");
        rename(&other, database);
        Some(real)
    }),
    ("the log is deleted", "was removed", |database| {
        remove(&beside(database, "-wal"));
        Some(database.to_owned())
    }),
    ("the log is replaced", "was replaced", |database| {
        let other = database.with_extension("other");
        fs::write(&other, "").expect("write");
        rename(&other, &beside(database, "-wal"));
        Some(database.to_owned())
    }),
    ("the log's index is deleted", "was removed", |database| {
        remove(&beside(database, "-shm"));
        Some(database.to_owned())
    }),
    ("its directory is moved", "was removed", |database| {
        let directory = database.parent().expect("a directory");
        let moved = directory.with_extension("moved");
        rename(directory, &moved);
        Some(moved.join("plausch.db"))
    }),
    ("it is emptied", "was cut short", |database| {
        let file = fs::OpenOptions::new().write(true).open(database);
        file.expect("open").set_len(0).expect("set_len");
        None
    }),
];

/// The bodies of all messages in a database, oldest first.
fn bodies(database: &Path) -> Vec<String> {
    let connection = Connection::open(database).expect("open");
    let mut statement = connection
        .prepare("SELECT body FROM message ORDER BY id")
        .expect("prepare");
    let rows = statement.query_map([], |row| row.get(0)).expect("query");
    rows.collect::<Result<_, _>>().expect("rows")
}

/// Makes the server's database one behind a symbolic link to another directory.
fn link_database(server: &mut TestServer) -> TempDir {
    server.stop();
    let elsewhere = TempDir::new();
    let real = elsewhere.path().join("real.db");
    rename(&server.database(), &real);
    symlink(&real, server.database()).expect("symlink");
    elsewhere
}

/// Contract, section 4, promise 1: what is acknowledged is on stable storage. So from the first
/// message on that would not be found by a restart, the answer is `211`; the server ends with a code
/// on which a supervisor starts it again, and what was acknowledged is where the files are now.
#[test]
fn nothing_is_acknowledged_once_the_database_is_not_in_its_place() {
    for (what, how, take) in TAKINGS {
        println!("{what}");
        let mut server = TestServer::start();
        let (hans, maria, chat) = pair(&server, "hans", "maria");
        hans.close();
        maria.close();
        let elsewhere = what.contains("link").then(|| link_database(&mut server));
        if elsewhere.is_some() {
            server.restart();
        }
        let (mut hans, mut maria) = (server.connect(), server.connect());
        hans.login("hans");
        maria.login("maria");
        hans.say(chat, "before");
        assert_eq!(maria.recv_push().message, "before", "{what}");

        let database = server.database();
        let left = take(&database);
        hans.send(&format!("115 {chat} after"));
        match hans.next(TIMEOUT) {
            Received::Line(line) => assert!(line.starts_with("211"), "{what}: {line}"),
            Received::Closed => {}
            Received::TimedOut => panic!("{what}: no answer"),
        }
        let pushed = maria.recv_to_end();
        let pushed: Vec<_> = pushed.iter().filter_map(|line| Push::parse(line)).collect();
        assert_eq!(pushed, [], "{what}: what was refused is told to nobody");
        let status = server.wait(STOP_TIMEOUT);
        assert_eq!(status.code(), Some(LOST), "{what}");
        let line = server.wait_for_log(how, TIMEOUT);
        assert!(line.contains("exit code 74"), "{what}: {line}");

        let Some(left) = left else { continue };
        assert_eq!(bodies(&left), ["before"], "{what}");
        if left == database {
            server.restart();
            let mut hans = server.connect();
            hans.login("hans");
            hans.say(chat, "again");
            server.stop();
            assert_eq!(bodies(&left), ["before", "again"], "{what}");
        } else if !database.parent().expect("a directory").exists() {
            fs::remove_dir_all(left.parent().expect("a directory")).expect("remove_dir_all");
        }
    }
}

/// Nobody need send anything for it to be found.
#[test]
fn an_idle_server_finds_it_too_and_what_is_in_a_deleted_log_is_kept() {
    let mut server = TestServer::with(&["--leave-checkpoints"]);
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    hans.say_all(chat, (0..500).map(|number| number.to_string()));
    remove(&beside(&server.database(), "-wal"));
    let status = server.wait(STOP_TIMEOUT + Duration::from_secs(5));
    assert_eq!(status.code(), Some(LOST));
    let expected: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(bodies(&server.database()), expected);
    server.restart();
    server.stop();
}

/// Many messages are under way at the moment: each that was acknowledged is in the moved file.
#[test]
fn a_flood_loses_nothing_that_was_acknowledged() {
    let mut server = TestServer::start();
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    let database = server.database();
    let moved = database.with_extension("moved");
    let mut acknowledged = 0;
    'flood: for burst in 0..20 {
        let lines: Vec<String> = (0..200)
            .map(|number| format!("115 {chat} {}", burst * 200 + number))
            .collect();
        hans.send_lines(&lines);
        if burst == 5 {
            rename(&database, &moved);
        }
        for _ in lines {
            match hans.next(TIMEOUT) {
                Received::Line(line) if line == "219 400" => acknowledged += 1,
                _ => break 'flood,
            }
        }
    }
    assert_eq!(server.wait(STOP_TIMEOUT).code(), Some(LOST));
    assert!((1_000..1_200).contains(&acknowledged), "{acknowledged}");
    let kept = bodies(&moved);
    assert!(
        kept.len() >= acknowledged,
        "{} of {acknowledged}",
        kept.len()
    );
    for (number, body) in kept.iter().enumerate() {
        assert_eq!(*body, number.to_string());
    }
}

/// A copy in the place of the database, with the old one's log still beside it, is not for a second
/// server while the first one writes that log.
#[test]
fn no_second_server_begins_on_what_replaced_the_database_of_a_running_one() {
    let mut server = TestServer::start();
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "before");
    let database = server.database();
    let copy = database.with_extension("copy");
    ctl(&database, &["backup", copy.to_str().expect("UTF-8")]);
    signal("STOP", server.pid());
    rename(&copy, &database);
    let said = server::refused(&["--database".as_ref(), database.as_os_str()]);
    assert!(said.contains("another server is using it"), "{said}");
    signal("CONT", server.pid());
    assert_eq!(
        server.wait(STOP_TIMEOUT + Duration::from_secs(5)).code(),
        Some(LOST)
    );
    // The old log is not taken for the copy's.
    server.restart();
    server.stop();
    assert_eq!(bodies(&database), ["before"]);
}

/// A server on this database, which must start or say why not.
fn launch_on(database: &Path) -> (Program, Result<SocketAddr, String>) {
    let mut command = Command::new(program());
    command
        .args(["--scrypt", CHEAP_SCRYPT, "--listen", "127.0.0.1:0"])
        .arg("--database")
        .arg(database);
    launched(&mut command)
}

/// A copy of a database with one user, hans, and a long message.
fn copy_of_hans(directory: &Path, messages: usize) -> PathBuf {
    let server = TestServer::start();
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    let text = "x".repeat(4_000);
    hans.say_all(chat, (0..messages).map(|_| text.clone()));
    let copy = directory.join("copy.db");
    ctl(
        &server.database(),
        &["backup", copy.to_str().expect("UTF-8")],
    );
    copy
}

fn names(database: &Path) -> Vec<String> {
    let connection = Connection::open(database).expect("open");
    let mut statement = connection
        .prepare("SELECT name FROM user")
        .expect("prepare");
    let rows = statement.query_map([], |row| row.get(0)).expect("query");
    rows.collect::<Result<_, _>>().expect("rows")
}

/// The usual recipe after a disaster, while the service is started: whoever is first has the name,
/// and what the server has acknowledged is there in the end.
#[test]
fn a_restore_and_a_start_at_one_time_lose_nothing() {
    const ROUNDS: u64 = 40;
    let directory = TempDir::new();
    let copy = copy_of_hans(directory.path(), 20);
    let mut outcomes = [0, 0];
    for round in 0..ROUNDS {
        let place = TempDir::new();
        let database = place.path().join("plausch.db");
        let mut restore = tool(&database)
            .arg("restore")
            .arg(&copy)
            .spawn()
            .expect("plauschctl");
        // The server begins in each part of the other's work; which of them is first is chance.
        std::thread::sleep(Duration::from_millis(round));
        let (server, registered) = launch_on(&database);
        let registered = registered.map(|address| {
            let mut zoe = Client::connect(address);
            zoe.register("zoe");
            zoe.close();
        });
        let restored = wait_for("the restore has ended", TIMEOUT, || {
            restore.try_wait().expect("try_wait")
        });
        let restored = restored.success();
        if registered.is_ok() {
            end(server);
        }
        let names = names(&database);
        assert_eq!(
            names.contains(&"zoe".to_owned()),
            registered.is_ok(),
            "round {round}"
        );
        assert_eq!(
            names.contains(&"hans".to_owned()),
            restored,
            "round {round}"
        );
        outcomes[usize::from(restored)] += 1;
        assert!(restored || registered.is_ok(), "round {round}: neither");
    }
    println!("{} of {ROUNDS} restored", outcomes[1]);
}

/// While a copy is being checked and written there is no database yet, and no server makes one.
#[test]
fn no_server_starts_where_a_database_is_being_restored() {
    let directory = TempDir::new();
    let copy = copy_of_hans(directory.path(), 5_000);
    let database = directory.path().join("plausch.db");
    let mut restore = tool(&database)
        .arg("restore")
        .arg(&copy)
        .spawn()
        .expect("plauschctl");
    wait_for("the restore has begun", TIMEOUT, || {
        database.exists().then_some(())
    });
    signal("STOP", restore.id());
    assert_eq!(
        fs::metadata(&database).expect("metadata").len(),
        0,
        "it went too fast"
    );
    let said = launch_on(&database).1.expect_err("a start");
    assert!(said.contains("is using it"), "{said}");
    signal("CONT", restore.id());
    assert!(restore.wait().expect("wait").success());
    let (server, started) = launch_on(&database);
    started.expect("a start");
    end(server);
    assert_eq!(names(&database), ["hans", "maria"]);

    // One that is killed leaves nothing that is in the way of the next.
    fs::remove_file(&database).expect("remove_file");
    let mut killed = tool(&database)
        .arg("restore")
        .arg(&copy)
        .spawn()
        .expect("plauschctl");
    wait_for("the restore has begun", TIMEOUT, || {
        database.exists().then_some(())
    });
    killed.kill().expect("kill");
    killed.wait().expect("wait");
    // One that fails leaves nothing at all.
    let output = tool(&directory.path().join("other.db"))
        .arg("restore")
        .arg("/dev/null")
        .output();
    assert!(!output.expect("plauschctl").status.success());
    assert!(!directory.path().join("other.db").exists());
    ctl(&database, &["restore", copy.to_str().expect("UTF-8")]);
    assert_eq!(names(&database), ["hans", "maria"]);
}

/// SQLite takes some names for more than a name.
#[test]
fn a_name_is_a_name_whatever_it_begins_with() {
    for name in ["file:x.db", "file:x.db?mode=memory", "a#b%41.db", "x?.db"] {
        let directory = TempDir::new();
        let launch = || {
            let mut command = Command::new(program());
            command
                .current_dir(directory.path())
                .args(["--scrypt", CHEAP_SCRYPT]);
            command.args(["--listen", "127.0.0.1:0", "--database", name]);
            server::launch(&mut command)
        };
        let (server, address) = launch();
        let mut hans = Client::connect(address);
        hans.register("hans");
        hans.close();
        let tool = |arguments: &[&str]| {
            let mut command = tool(Path::new(name));
            let output = output(command.current_dir(directory.path()).args(arguments), "");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{name} {arguments:?}: {error}");
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        assert!(tool(&["user", "list"]).contains("hans"), "{name}");
        tool(&["backup", "file:copy.db"]);
        end(server);
        assert!(
            directory
                .path()
                .join(name)
                .metadata()
                .expect("metadata")
                .len()
                > 0,
            "{name}"
        );
        tool(&["restore", "--force", "file:copy.db"]);
        let (server, address) = launch();
        let mut hans = Client::connect(address);
        hans.login("hans");
        hans.close();
        end(server);
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .expect("read_dir")
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        left.sort();
        let mut expected = [OsString::from("file:copy.db"), OsString::from(name)];
        expected.sort();
        assert_eq!(left, expected, "{name}");
    }
}
