//! Copies of the database, made by the operator's tool beside a server and restored without one, and
//! removing what is old.

use crate::support::client::TIMEOUT;
use crate::support::ctl::{Flood, ctl, json, refused, run};
use crate::support::people::pair;
use crate::support::server::TestServer;
use crate::support::system::{TempDir, wait_for};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Contract, section 4: what is acknowledged is on stable storage, so it is in a copy that begins
/// afterwards.
#[test]
fn a_copy_made_under_load_holds_all_that_was_acknowledged_before_and_is_restored() {
    let mut server = TestServer::start();
    let database = server.database();
    let directory = TempDir::new();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let media = "m".repeat(300 << 10);
    hans.send(&format!("115 {chat} \"a picture\" {media}"));
    hans.expect("219 400");
    maria.recv();
    let flood = Flood::start(&server);
    let mut copies = Vec::new();
    for number in 0..3_u64 {
        flood.wait_for((number + 1) * 1_000);
        hans.say(chat, &format!("before copy {number}"));
        maria.recv();
        let before = flood.acknowledged();
        let copy = directory.path().join(format!("copy-{number}.db"));
        ctl(&database, &["backup", copy.to_str().expect("UTF-8")]);
        copies.push((copy, before));
    }
    let flooded = flood.chat;
    let sent = flood.end();
    for (number, (copy, before)) in copies.iter().enumerate() {
        let mode = std::fs::metadata(copy)
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(ctl(copy, &["check"]), "ok\n");
        let stats = json(copy, &["stats", "--json"]);
        let messages = stats["messages"].as_u64().expect("a number");
        let own = number as u64 + 2;
        assert!(messages >= before + own, "{messages} of {before} + {own}");
        assert!(messages <= sent + own);
    }

    // While the server runs, and without being asked to, nothing is overwritten.
    let (copy, before) = copies.pop().expect("three copies");
    let copy = copy.to_str().expect("UTF-8");
    for arguments in [&["restore", copy][..], &["restore", "--force", copy]] {
        let line = refused(&database, arguments, "", 1);
        assert!(line.contains("plausch.db: a server is using"), "{line}");
    }
    let again = refused(&database, &["backup", copy], "", 1);
    assert!(again.contains("exists"), "{again}");
    hans.say(chat, "after the copy");
    server.kill();
    let line = refused(&database, &["restore", copy], "", 1);
    assert!(line.contains("--force"), "{line}");
    ctl(&database, &["restore", "--force", copy]);
    let mode = std::fs::metadata(&database)
        .expect("metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let left: Vec<OsString> = std::fs::read_dir(database.parent().expect("a directory"))
        .expect("read_dir")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(
        left,
        ["plausch.db"],
        "a log of the old database would be taken for the new one's"
    );

    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    hans.send(&format!("130 {chat} 0 100"));
    let history = hans.recv_until("243").join("\n");
    assert!(
        history.contains("before copy 2") && !history.contains("after the copy"),
        "{history}"
    );
    // The copy may be from before a contact event was noted as told: it comes again then.
    hans.send("119 1");
    let fetched = hans.recv_until("227 ");
    assert_eq!(*fetched.last().unwrap(), format!("227 400 {media}"));
    let kept = history_of(&server, flooded);
    for number in 0..before {
        assert_eq!(kept.get(number as usize), Some(&format!("flood {number}")));
    }
    // Life goes on, with TimeStamps that grow.
    hans.send(&format!("115 {chat} after the restore"));
    assert_eq!(hans.recv_until("219 ").last().unwrap(), "219 400");
}

/// The whole history of the flood's chat, oldest first.
fn history_of(server: &TestServer, chat: i64) -> Vec<String> {
    let mut client = server.connect();
    client.login("flood1");
    let (mut bodies, mut before) = (Vec::new(), 0_i64);
    loop {
        client.send(&format!("130 {chat} {before} 1000"));
        let lines = client.recv_until("243");
        let page: Vec<(i64, String)> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("242 "))
            .map(|line| {
                let mut words = line.splitn(4, ' ').skip(1);
                let time = words.next().and_then(|word| word.parse().ok());
                let body = words.nth(1).expect("a Message").to_owned();
                (time.expect("a TimeStamp"), body)
            })
            .collect();
        let Some((oldest, _)) = page.first() else {
            return bodies;
        };
        before = *oldest;
        bodies.splice(0..0, page.into_iter().map(|(_, body)| body));
    }
}

#[test]
fn a_damaged_or_foreign_copy_is_not_restored() {
    let mut server = TestServer::start();
    let database = server.database();
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    hans.say_all(
        chat,
        (0..200).map(|number| format!("{number} {}", "x".repeat(500))),
    );
    let directory = TempDir::new();
    let copy = directory.path().join("copy.db");
    let name = copy.to_str().expect("UTF-8");
    ctl(&database, &["backup", name]);
    server.stop();
    let mut bytes = std::fs::read(&copy).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0x5a);
    std::fs::write(&copy, &bytes).expect("write");
    let line = refused(&database, &["restore", "--force", name], "", 1);
    assert!(
        line.contains("damaged") || line.contains("malformed"),
        "{line}"
    );
    let output = run(&copy, &["check"], "");
    assert_eq!(output.status.code(), Some(1));

    let foreign = directory.path().join("foreign.db");
    let connection = rusqlite::Connection::open(&foreign).expect("open");
    connection
        .execute_batch("CREATE TABLE recipe (t TEXT)")
        .expect("create");
    drop(connection);
    let foreign = foreign.to_str().expect("UTF-8");
    let line = refused(&database, &["restore", "--force", foreign], "", 1);
    assert!(line.contains("no database of Plausch"), "{line}");
    assert_eq!(ctl(&database, &["check"]), "ok\n");
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
}

/// Whatever is in use keeps its name, with `--force` too: what a server acknowledged afterwards
/// would go into a file that nobody finds any more.
#[test]
fn a_backup_does_not_take_the_place_of_a_database_in_use() {
    let mut server = TestServer::start();
    let database = server.database();
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "before");
    let directory = TempDir::new();
    let alias = directory.path().join("alias.db");
    std::fs::hard_link(&database, &alias).expect("a hard link");
    for target in [&database, &alias] {
        let target = target.to_str().expect("UTF-8");
        let line = refused(&database, &["backup", "--force", target], "", 1);
        assert!(line.contains("the same file"), "{line}");
    }
    std::fs::remove_file(&alias).expect("remove");
    let other = TestServer::start();
    let foreign = other.database();
    let target = foreign.to_str().expect("UTF-8");
    let line = refused(&database, &["backup", "--force", target], "", 1);
    assert!(line.contains("a server is using it"), "{line}");
    other.connect().register("otto");
    assert!(ctl(&foreign, &["user", "list"]).contains("otto"));
    hans.say(chat, "after");
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    hans.send(&format!("130 {chat} 0 100"));
    let history = hans.recv_until("243").join("\n");
    assert!(history.contains("after"), "{history}");
    // Stopped, it is still not copied onto itself.
    drop(hans);
    server.stop();
    let name = database.to_str().expect("UTF-8");
    for command in ["backup", "restore"] {
        let line = refused(&database, &[command, "--force", name], "", 1);
        assert!(line.contains("the same file"), "{line}");
    }
    let device = refused(&database, &["backup", "--force", "/dev/null"], "", 1);
    assert!(device.contains("no ordinary file"), "{device}");
}

/// A log of another database beside the copy would be taken for the copy's.
#[test]
fn a_copy_gets_no_log_of_another_database() {
    let mut server = TestServer::start();
    let database = server.database();
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "kept");
    let directory = TempDir::new();
    let copy = directory.path().join("copy.db");
    let (name, log) = (
        copy.to_str().expect("UTF-8"),
        directory.path().join("copy.db-wal"),
    );
    // That of a server which was killed, of a database that is gone.
    let mut strange = TestServer::start();
    let (mut otto, _, other) = pair(&strange, "otto", "emma");
    otto.say(other, "strange");
    strange.kill();
    let left = format!("{}-wal", strange.database().display());
    let left = std::fs::read(left).expect("a log is left");
    assert!(left.len() > 4096);
    std::fs::write(&log, &left).expect("write");
    let line = refused(&database, &["backup", name], "", 1);
    assert!(
        line.contains("copy.db-wal") && line.contains("--force"),
        "{line}"
    );
    ctl(&database, &["backup", "--force", name]);
    assert!(!log.exists());
    assert!(ctl(&copy, &["user", "list"]).contains("hans"));
    // The same where the database is to be restored.
    server.stop();
    std::fs::remove_file(&database).expect("remove");
    let log = format!("{}-wal", database.display());
    std::fs::write(&log, &left).expect("write");
    let line = refused(&database, &["restore", name], "", 1);
    assert!(
        line.contains("plausch.db-wal") && line.contains("--force"),
        "{line}"
    );
    ctl(&database, &["restore", "--force", name]);
    assert!(!Path::new(&log).exists());
    server.restart();
    server.connect().login("hans");
}

/// A copy is nobody's to write, so it is read without locks, and leaves nothing beside it: it may lie
/// where nothing can be written, or where locks are not known.
#[test]
fn a_copy_is_looked_at_without_locks() {
    let server = TestServer::start();
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "kept");
    let directory = TempDir::new();
    let copy = directory.path().join("a copy?#%41.db");
    let name = copy.to_str().expect("UTF-8");
    ctl(&server.database(), &["backup", name]);
    let other = rusqlite::Connection::open(&copy).expect("open");
    other.execute_batch("BEGIN EXCLUSIVE").expect("BEGIN");
    assert_eq!(ctl(&copy, &["check"]), "ok\n");
    let target = directory.path().join("restored.db");
    ctl(&target, &["restore", name]);
    other.execute_batch("ROLLBACK").expect("ROLLBACK");
    drop(other);
    assert!(ctl(&target, &["user", "list"]).contains("hans"));
    let mut left: Vec<OsString> = std::fs::read_dir(directory.path())
        .expect("read_dir")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["a copy?#%41.db", "restored.db"]);
}

/// Makes all messages of a chat so many days older, as if time had passed.
fn age(database: &Path, chat: i64, days: i64) {
    let connection = rusqlite::Connection::open(database).expect("open");
    connection.busy_timeout(TIMEOUT).expect("busy_timeout");
    connection
        .execute(
            "UPDATE message SET timestamp = timestamp - ?2 WHERE lane / 2 = ?1",
            [chat, days * 86_400_000],
        )
        .expect("UPDATE");
}

#[test]
fn old_messages_go_when_they_have_arrived_and_new_ones_stay() {
    let server = TestServer::start();
    let database = server.database();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.send(&format!("115 {chat} \"old media\" data:,old"));
    hans.expect("219 400");
    maria.recv();
    hans.say_all(chat, (0..300).map(|number| format!("old {number}")));
    for _ in 0..300 {
        maria.recv();
    }
    maria.say(chat, "an old answer");
    let answer = hans.recv_push();
    // So that it has arrived for good while he stays logged in.
    hans.send(&format!("135 {chat} {}", answer.timestamp));
    hans.expect("248 400");
    wait_for("all has arrived", TIMEOUT, || {
        let stats = json(&database, &["stats", "--json"]);
        (stats["undelivered"] == 0).then_some(())
    });
    maria.close();
    hans.say(chat, "old and waiting");
    age(&database, chat, 40);
    hans.send(&format!("115 {chat} \"new media\" data:,new"));
    hans.expect("219 400");

    let flood = Flood::start(&server);
    let plan = ctl(&database, &["prune", "--days", "30", "--dry-run"]);
    assert!(plan.starts_with("302 messages"), "{plan}");
    let none = ctl(&database, &["prune", "--days", "50", "--media-days", "50"]);
    assert!(none.starts_with("0 messages"), "{none}");
    ctl(&database, &["prune", "--days", "30"]);
    wait_for("the old ones are gone", TIMEOUT, || {
        hans.send(&format!("130 {chat} 0 1000"));
        let lines = hans.recv_until("243");
        (lines[1] == "241 2").then(|| {
            assert!(lines[2].contains("old and waiting"), "{lines:?}");
            assert!(lines[3].contains("new media"), "{lines:?}");
        })
    });
    hans.send("119 1");
    hans.expect("227 412");
    hans.send("119 2");
    hans.expect("227 400 data:,new");
    let mut maria = server.connect();
    maria.login("maria");
    assert_eq!(maria.recv_push().message, "old and waiting");
    assert!(maria.recv().contains("new media"));

    // Media alone: the message stays, its media do not.
    wait_for("it has arrived", TIMEOUT, || {
        let maria = json(&database, &["user", "show", "maria", "--json"]);
        (maria["undelivered"] == 0).then_some(())
    });
    ctl(&database, &["prune", "--media-days", "0"]);
    hans.send("119 2");
    hans.expect("227 412");
    hans.send(&format!("130 {chat} 0 1000"));
    assert!(hans.recv_until("243")[3].contains("new media"));
    flood.end();
    assert_eq!(ctl(&database, &["check"]), "ok\n");
}

#[test]
fn without_a_server_what_is_old_goes_at_once() {
    let mut server = TestServer::start();
    let database = server.database();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.send(&format!("115 {chat} \"old\" {}", "m".repeat(200 << 10)));
    hans.expect("219 400");
    maria.recv();
    maria.close();
    hans.close();
    server.stop();
    age(&database, chat, 40);
    let said = ctl(&database, &["prune", "--days", "39"]);
    assert!(said.starts_with("1 messages"), "{said}");
    let stats = json(&database, &["stats", "--json"]);
    assert_eq!(
        (stats["messages"].as_i64(), stats["media"].as_i64()),
        (Some(0), Some(0))
    );
    assert!(stats["free_bytes"].as_i64() > Some(150 << 10), "{stats}");
    assert_eq!(stats["server_running"], false);
    assert_eq!(ctl(&database, &["check"]), "ok\n");
    let line = refused(&database, &["prune"], "", 2);
    assert!(line.contains("--days"), "{line}");
}

/// A chat whose messages were all removed still gives TimeStamps that grow, whatever the clock does.
#[test]
fn time_stamps_do_not_go_back_after_pruning() {
    let server = TestServer::start();
    let database = server.database();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "one");
    let newest = maria.recv_push().timestamp;
    wait_for("it has arrived", TIMEOUT, || {
        let stats = json(&database, &["stats", "--json"]);
        (stats["undelivered"] == 0).then_some(())
    });
    ctl(&database, &["prune", "--days", "0"]);
    wait_for("it is gone", TIMEOUT, || {
        let stats = json(&database, &["stats", "--json"]);
        (stats["messages"] == 0).then_some(())
    });
    let kept: i64 = rusqlite::Connection::open(&database)
        .and_then(|connection| {
            connection.query_row("SELECT last_timestamp FROM chat", [], |row| row.get(0))
        })
        .expect("last_timestamp");
    assert_eq!(kept, newest);
    hans.say(chat, "two");
    assert!(maria.recv_push().timestamp > newest);
}
