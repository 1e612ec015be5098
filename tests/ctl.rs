//! The operator's tool, beside a server and without one: what it changes holds from a client's next
//! packet on, whatever else the server has to do.

mod support;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use support::client::Client;
use support::people::{PASSWORD, befriend, open_chat, pair, register_and_login};
use support::server::{CHEAP_SCRYPT, TestServer};
use support::system::{Stop, TempDir, wait_for};

/// Runs the tool on a database until it ends, which it must do soon.
fn run(database: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plauschctl"))
        .arg("--database")
        .arg(database)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("plauschctl");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // One that reads nothing may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = thread::spawn(move || child.wait_with_output());
    wait_for(
        &format!("plauschctl {arguments:?} has ended"),
        Duration::from_secs(60),
        || output.is_finished().then_some(()),
    );
    output.join().expect("join").expect("plauschctl")
}

/// Runs it, and it must succeed; gives what it printed.
fn ctl(database: &Path, arguments: &[&str]) -> String {
    ctl_with(database, arguments, "")
}

fn ctl_with(database: &Path, arguments: &[&str], input: &str) -> String {
    let output = run(database, arguments, input);
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{arguments:?}: {stdout}{stderr}");
    assert_eq!(stderr, "", "{arguments:?}");
    stdout
}

/// Runs it, and it must fail with this exit code and one line; gives the line.
fn refused(database: &Path, arguments: &[&str], input: &str, code: i32) -> String {
    let output = run(database, arguments, input);
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stdout, "", "{arguments:?}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    stderr
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

fn json(database: &Path, arguments: &[&str]) -> serde_json::Value {
    let text = ctl(database, arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A pair that floods the server with messages until `stop`; counts those acknowledged.
fn flood(server: &TestServer, stop: &Stop, acknowledged: &'static AtomicU64) -> Flood {
    let (mut sender, receiver, chat) = pair(server, "flood1", "flood2");
    let stop = stop.flag();
    let drain = receiver.writer();
    let reader = thread::spawn(move || {
        let mut receiver = receiver;
        let mut seen = 0_u64;
        while let support::client::Received::Line(line) = receiver.next(Duration::from_secs(20)) {
            assert!(line.starts_with("220 "), "{line}");
            seen += 1;
        }
        seen
    });
    let writer = thread::spawn(move || {
        let mut next = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            sender.say_all(
                chat,
                (next..next + 64).map(|number| format!("flood {number}")),
            );
            next += 64;
            acknowledged.store(next, Ordering::SeqCst);
        }
        next
    });
    Flood {
        chat,
        writer,
        reader,
        drain,
    }
}

struct Flood {
    chat: i64,
    writer: thread::JoinHandle<u64>,
    reader: thread::JoinHandle<u64>,
    drain: std::net::TcpStream,
}

impl Flood {
    /// Waits for the end of the flood, all of which must have arrived; gives how many there were.
    fn end(self, stop: Stop) -> u64 {
        drop(stop);
        let sent = self.writer.join().expect("the flood failed");
        // The server closes when it has pushed what there was: the rest is read to the end.
        self.drain
            .shutdown(std::net::Shutdown::Write)
            .expect("shutdown");
        let seen = self.reader.join().expect("the flood's receiver failed");
        assert!(seen <= sent);
        sent
    }
}

#[test]
fn accounts_change_beside_a_busy_server_and_the_next_packet_knows() {
    static SENT: AtomicU64 = AtomicU64::new(0);
    let server = TestServer::start();
    let database = server.database();
    let stop = Stop::default();
    let flood = flood(&server, &stop, &SENT);
    let (mut hans, mut maria, chat) = pair(&server, "Hans", "maria");

    // Added: can log in at once.
    let added = ctl_with(
        &database,
        &["user", "add", "Otto", "--scrypt", CHEAP_SCRYPT],
        "swordfish\r\n",
    );
    assert!(added.contains("Otto is registered"), "{added}");
    let mut otto = server.connect();
    otto.send("110 otto swordfish");
    otto.expect("212 400 Otto");

    // A new password: the login ends, the old password is wrong, the new one is right.
    ctl_with(
        &database,
        &["user", "passwd", "hans", "--scrypt", CHEAP_SCRYPT],
        "correct-horse\n",
    );
    hans.send(&format!("115 {chat} am I in?"));
    hans.expect("219 407");
    hans.send("112");
    hans.expect("211");
    hans.send(&format!("110 Hans {PASSWORD}"));
    hans.expect("212 406 Hans");
    hans.send("110 Hans correct-horse");
    hans.expect("212 400 Hans");
    hans.say(chat, "back again");
    assert_eq!(maria.recv_push().message, "back again");

    // Kicked: no push arrives any more, the name is free, nothing is lost.
    ctl(&database, &["user", "kick", "HANS"]);
    maria.say(chat, "where are you?");
    hans.silent();
    let mut elsewhere = server.connect();
    elsewhere.send("110 Hans correct-horse");
    elsewhere.expect("212 400 Hans");
    assert_eq!(elsewhere.recv_push().message, "where are you?");
    hans.send("111");
    hans.expect("213 407");
    hans.close();

    // Renamed: the login ends; contacts, chats and messages are there under the new name.
    ctl(&database, &["user", "rename", "hans", "Johann"]);
    elsewhere.send("118");
    elsewhere.expect("223 407");
    elsewhere.send("110 Hans correct-horse");
    elsewhere.expect("212 406 Hans");
    elsewhere.send("110 johann correct-horse");
    elsewhere.expect("212 400 Johann");
    elsewhere.say(chat, "call me Johann");
    assert_eq!(maria.recv_push().message, "call me Johann");
    maria.send("112");
    assert_eq!(
        maria.recv_until("216"),
        ["214 1", &format!("215 {chat} Johann maria"), "216"]
    );

    // Deleted: as if the owner had done it.
    let asked = refused(&database, &["user", "delete", "Johann"], "y\n", 1);
    assert!(asked.contains("--force"), "{asked}");
    ctl(&database, &["user", "delete", "Johann", "--force"]);
    elsewhere.send(&format!("115 {chat} still here?"));
    elsewhere.expect("219 407");
    elsewhere.send("110 johann correct-horse");
    elsewhere.expect("212 406 johann");
    maria.send(&format!("115 {chat} hello?"));
    maria.expect("219 410");
    maria.send("112");
    assert_eq!(
        maria.recv_until("216"),
        ["214 1", &format!("215 {chat} ~Johann maria"), "216"]
    );
    // Its contacts are taken away by the server, which has been told.
    wait_for("the contact is gone", Duration::from_secs(10), || {
        maria.send("118");
        (maria.recv_until("226")[1] == "224 0").then_some(())
    });
    register_and_login(&server, "johann").close();

    let before = SENT.load(Ordering::SeqCst);
    wait_for("the flood goes on", Duration::from_secs(10), || {
        (SENT.load(Ordering::SeqCst) > before).then_some(())
    });
    flood.end(stop);
    assert_eq!(ctl(&database, &["check"]), "ok\n");
}

#[test]
fn a_kicked_session_that_does_nothing_is_closed_after_the_login_grace() {
    let server = TestServer::with(&["--login-grace", "1"]);
    let mut hans = register_and_login(&server, "hans");
    ctl(&server.database(), &["user", "kick", "hans"]);
    hans.closed();
}

#[test]
fn what_cannot_be_done_to_an_account_is_said_in_one_line() {
    let server = TestServer::start();
    let database = server.database();
    register_and_login(&server, "hans").close();
    register_and_login(&server, "maria").close();
    for (arguments, input, named) in [
        (&["user", "show", "nobody"][..], "", "nobody"),
        (&["user", "kick", "no body"], "", "no body"),
        (&["user", "add", "HANS"], "swordfish\n", "taken"),
        (&["user", "add", "two words"], "swordfish\n", "not allowed"),
        (&["user", "add", "otto"], "short\n", "password"),
        (&["user", "add", "otto"], "", "password"),
        (&["user", "rename", "hans", "Maria"], "", "taken"),
        (&["user", "rename", "hans", "a b"], "", "not allowed"),
        (&["user", "passwd", "nobody"], "swordfish\n", "nobody"),
    ] {
        let line = refused(&database, arguments, input, 1);
        assert!(line.contains(named), "{arguments:?}: {line}");
        assert!(!line.contains("swordfish"), "{line}");
    }
    for arguments in [&["user", "add", "otto", "swordfish"][..], &["dance"], &[]] {
        let line = refused(&database, arguments, "", 2);
        assert!(!line.contains("swordfish"), "{line}");
    }
    let nowhere = TempDir::new();
    let line = refused(&nowhere.path().join("no.db"), &["stats"], "", 1);
    assert!(line.contains("no.db"), "{line}");
    let letter = nowhere.path().join("letter.txt");
    std::fs::write(&letter, "Dear database,\n".repeat(1000)).expect("write");
    let line = refused(&letter, &["stats"], "", 1);
    assert!(line.contains("letter.txt"), "{line}");
    // Only the case is another: the same name, shown differently.
    ctl(&database, &["user", "rename", "hans", "HANS"]);
    let list = json(&database, &["user", "list", "--json"]);
    assert_eq!(list[0]["name"], "HANS");
    assert_eq!(list[1]["name"], "maria");
}

#[test]
fn without_a_server_accounts_are_changed_as_well() {
    let mut server = TestServer::start();
    let database = server.database();
    let (hans, maria, chat) = pair(&server, "hans", "maria");
    hans.close();
    maria.close();
    let line = {
        server.stop();
        refused(&database, &["user", "kick", "hans"], "", 1)
    };
    assert!(line.contains("nobody is logged in"), "{line}");
    ctl(&database, &["user", "rename", "hans", "Johann"]);
    ctl(&database, &["user", "delete", "maria", "--force"]);
    assert_eq!(ctl(&database, &["check"]), "ok\n");
    let show = json(&database, &["user", "show", "johann", "--json"]);
    assert_eq!(
        (show["contacts"].as_i64(), show["chats"].as_i64()),
        (Some(0), Some(1))
    );
    assert_eq!(show["email"], "hans@example.org");
    server.restart();
    let mut johann = server.connect();
    johann.login("Johann");
    johann.send("112");
    assert_eq!(
        johann.recv_until("216"),
        ["214 1", &format!("215 {chat} Johann ~maria"), "216"]
    );
}

/// Contract, section 4: what is acknowledged is on stable storage, so it is in a copy that begins
/// afterwards.
#[test]
fn a_copy_made_under_load_holds_all_that_was_acknowledged_before_and_is_restored() {
    static SENT: AtomicU64 = AtomicU64::new(0);
    let mut server = TestServer::start();
    let database = server.database();
    let directory = TempDir::new();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let media = "m".repeat(300 << 10);
    hans.send(&format!("115 {chat} \"a picture\" {media}"));
    hans.expect("219 400");
    maria.recv();
    let stop = Stop::default();
    let flood = flood(&server, &stop, &SENT);
    let mut copies = Vec::new();
    for number in 0..3_u64 {
        let goal = (number + 1) * 1_000;
        wait_for(
            "messages have come together",
            Duration::from_secs(30),
            || (SENT.load(Ordering::SeqCst) >= goal).then_some(()),
        );
        hans.say(chat, &format!("before copy {number}"));
        maria.recv();
        let before = SENT.load(Ordering::SeqCst);
        let copy = directory.path().join(format!("copy-{number}.db"));
        ctl(&database, &["backup", copy.to_str().expect("UTF-8")]);
        copies.push((copy, before));
    }
    let flooded = flood.chat;
    let sent = flood.end(stop);
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
    hans.send("119 1");
    assert_eq!(hans.recv(), format!("227 400 {media}"));
    let kept = history_of(&server, flooded);
    for number in 0..before {
        assert_eq!(kept.get(number as usize), Some(&format!("flood {number}")));
    }
    // Life goes on, with TimeStamps that grow.
    hans.say(chat, "after the restore");
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

#[test]
fn figures_are_right() {
    let server = TestServer::start();
    let database = server.database();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "one");
    maria.recv();
    // Saved before it counts.
    wait_for("it has arrived", Duration::from_secs(10), || {
        let stats = json(&database, &["stats", "--json"]);
        (stats["undelivered"] == 0).then_some(())
    });
    maria.close();
    hans.say(chat, "two");
    hans.send(&format!("115 {chat} \"three\" data:,12345"));
    hans.expect("219 400");
    let stats = json(&database, &["stats", "--json"]);
    for (name, value) in [
        ("users", 2),
        ("contacts", 1),
        ("chats", 1),
        ("messages", 3),
        ("undelivered", 2),
        ("media", 1),
        ("media_bytes", 11),
    ] {
        assert_eq!(stats[name].as_i64(), Some(value), "{name} in {stats}");
    }
    assert_eq!(stats["server_running"], true);
    let maria = json(&database, &["user", "show", "Maria", "--json"]);
    assert_eq!(maria["undelivered"].as_i64(), Some(2));
    let hans = json(&database, &["user", "show", "hans", "--json"]);
    assert_eq!(hans["media_bytes"].as_i64(), Some(11));
    let text = ctl(&database, &["stats"]);
    assert!(
        text.contains("undelivered  2") && text.contains("is using it"),
        "{text}"
    );
    assert!(ctl(&database, &["user", "list"]).contains("  hans\n"));
}

/// Makes all messages of a chat so many days older, as if time had passed.
fn age(database: &Path, chat: i64, days: i64) {
    let connection = rusqlite::Connection::open(database).expect("open");
    connection
        .busy_timeout(Duration::from_secs(10))
        .expect("busy_timeout");
    connection
        .execute(
            "UPDATE message SET timestamp = timestamp - ?2 WHERE lane / 2 = ?1",
            [chat, days * 86_400_000],
        )
        .expect("UPDATE");
}

#[test]
fn old_messages_go_when_they_have_arrived_and_new_ones_stay() {
    static SENT: AtomicU64 = AtomicU64::new(0);
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
    hans.recv();
    wait_for("all has arrived", Duration::from_secs(10), || {
        let stats = json(&database, &["stats", "--json"]);
        (stats["undelivered"] == 0).then_some(())
    });
    maria.close();
    hans.say(chat, "old and waiting");
    age(&database, chat, 40);
    hans.send(&format!("115 {chat} \"new media\" data:,new"));
    hans.expect("219 400");

    let stop = Stop::default();
    let flood = flood(&server, &stop, &SENT);
    let plan = ctl(&database, &["prune", "--days", "30", "--dry-run"]);
    assert!(plan.starts_with("302 messages"), "{plan}");
    let none = ctl(&database, &["prune", "--days", "50", "--media-days", "50"]);
    assert!(none.starts_with("0 messages"), "{none}");
    ctl(&database, &["prune", "--days", "30"]);
    wait_for("the old ones are gone", Duration::from_secs(20), || {
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
    wait_for("it has arrived", Duration::from_secs(10), || {
        let maria = json(&database, &["user", "show", "maria", "--json"]);
        (maria["undelivered"] == 0).then_some(())
    });
    ctl(&database, &["prune", "--media-days", "0"]);
    hans.send("119 2");
    hans.expect("227 412");
    hans.send(&format!("130 {chat} 0 1000"));
    assert!(hans.recv_until("243")[3].contains("new media"));
    flood.end(stop);
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
    wait_for("it has arrived", Duration::from_secs(10), || {
        let stats = json(&database, &["stats", "--json"]);
        (stats["undelivered"] == 0).then_some(())
    });
    ctl(&database, &["prune", "--days", "0"]);
    wait_for("it is gone", Duration::from_secs(10), || {
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

#[test]
fn a_new_contact_of_a_user_who_was_added_works() {
    let server = TestServer::start();
    ctl_with(
        &server.database(),
        &[
            "user",
            "add",
            "otto",
            "--email",
            "otto@example.org",
            "--gender",
            "m",
            "--scrypt",
            CHEAP_SCRYPT,
        ],
        &format!("{PASSWORD}\n"),
    );
    let mut otto: Client = server.connect();
    otto.login("otto");
    let mut hans = register_and_login(&server, "hans");
    befriend(&mut otto, &mut hans);
    let chat = open_chat(&mut otto, &hans);
    otto.say(chat, "hello");
    assert_eq!(hans.recv_push().message, "hello");
}

/// A server that was killed before it could obey must not end a later login.
#[test]
fn an_order_of_before_the_start_is_forgotten() {
    let mut server = TestServer::start();
    let database = server.database();
    register_and_login(&server, "hans").close();
    server.stop();
    let connection = rusqlite::Connection::open(&database).expect("open");
    connection
        .execute_batch("INSERT INTO counter VALUES ('order:end:1', 5), ('order:purge', 5)")
        .expect("INSERT");
    drop(connection);
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    let mut maria = register_and_login(&server, "maria");
    befriend(&mut hans, &mut maria);
    // This kick is obeyed, so orders have been looked for since; hans is still there.
    ctl(&database, &["user", "kick", "maria"]);
    maria.send("118");
    maria.expect("223 407");
    hans.silent();
    hans.send("118");
    hans.expect("223 400");
}
