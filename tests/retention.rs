//! What a server keeps, for how long, and how much of it. Databases are aged by writing old
//! TimeStamps into them while the server is stopped.

use crate::support::client::{Client, TIMEOUT};
use crate::support::ctl::{ctl, run};
use crate::support::people::{Push, befriend, pair, register_and_login};
use crate::support::server::TestServer;
use crate::support::system::wait_for;

const DAY: i64 = 24 * 3_600 * 1_000;

/// Stops the server, makes everything older, and starts it again.
fn age(server: &mut TestServer, days: i64) {
    server.stop();
    let database = rusqlite::Connection::open(server.database()).expect("the database");
    for sql in [
        "UPDATE message SET timestamp = timestamp - ?1",
        "UPDATE chat SET last_timestamp = last_timestamp - ?1",
        "UPDATE held_lane SET arrived = arrived - ?1",
        "UPDATE held_media SET arrived = arrived - ?1",
    ] {
        database.execute(sql, [days * DAY]).expect(sql);
    }
    drop(database);
    server.restart();
}

fn login(server: &TestServer, name: &str) -> Client {
    let mut client = server.connect();
    client.login(name);
    client
}

/// Pages that retention frees can be given back to the system (`PRAGMA incremental_vacuum`) without
/// writing the whole file anew; SQLite takes this setting only before the first table.
#[test]
fn a_new_database_can_give_pages_back() {
    let mut server = TestServer::start();
    server.stop();
    let database = rusqlite::Connection::open(server.database()).expect("the database");
    let mode: i64 = database
        .query_row("PRAGMA auto_vacuum", [], |row| row.get(0))
        .expect("the mode");
    assert_eq!(mode, 2, "INCREMENTAL");
}

/// The texts of a chat, oldest first.
fn history(client: &mut Client, chat: i64) -> Vec<String> {
    client.send(&format!("130 {chat} 0 1000"));
    let lines = client.recv_until("243");
    let elements = lines.iter().filter(|line| line.starts_with("242 "));
    elements
        .map(|line| line.splitn(5, ' ').nth(4).unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn old_messages_go_and_what_has_not_arrived_does_not() {
    let mut server = TestServer::with(&["--keep-days", "30"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "arrived");
    let old = maria.recv_push();
    maria.say(chat, "arrived, too");
    hans.recv_push();
    maria.logout();
    hans.say(chat, "while she is away");
    age(&mut server, 29);
    let mut hans = login(&server, "hans");
    assert_eq!(
        history(&mut hans, chat).len(),
        3,
        "29 days are fewer than 30"
    );
    hans.logout();
    age(&mut server, 2);
    server.wait_for_log("retention has removed 2 old messages", TIMEOUT);
    let mut hans = login(&server, "hans");
    assert_eq!(history(&mut hans, chat), ["while she is away"]);
    let mut maria = login(&server, "maria");
    let late = maria.recv_push();
    assert_eq!(late.message, "while she is away");
    // The TimeStamp of one that is gone still says how far somebody has read.
    let aged = old.timestamp - 31 * DAY;
    maria.send(&format!("135 {chat} {aged}"));
    maria.expect("248 400");
    maria.send(&format!("135 {chat} {}", late.timestamp));
    maria.expect("248 400");
    hans.say(chat, "new");
    let new = maria.recv_push();
    assert!(new.timestamp > late.timestamp);
    maria.send(&format!("135 {chat} {}", new.timestamp));
    maria.expect("248 400");
    maria.logout();
    maria.login("maria");
    maria.silent();
    // What was away for so long stays a further day.
    server.restart();
    let mut hans = login(&server, "hans");
    assert_eq!(history(&mut hans, chat), ["while she is away", "new"]);
    hans.logout();
    wait_for("a pass to see that it has arrived", TIMEOUT, || {
        let database = rusqlite::Connection::open(server.database()).expect("the database");
        let sql = "SELECT count(arrived) FROM held_lane";
        let seen: i64 = database.query_row(sql, [], |row| row.get(0)).expect(sql);
        (seen == 1).then_some(())
    });
    age(&mut server, 2);
    server.wait_for_log("retention has removed 1 old messages", TIMEOUT);
    let mut hans = login(&server, "hans");
    assert_eq!(history(&mut hans, chat), ["new"]);
}

/// Ten messages that have arrived.
fn ten_messages(server: &TestServer) -> i64 {
    let (mut hans, mut maria, chat) = pair(server, "hans", "maria");
    for number in 0..10 {
        hans.say(chat, &number.to_string());
        maria.recv_push();
    }
    hans.logout();
    maria.logout();
    chat
}

/// A board without a battery has written them in 1970, and then its clock is right.
#[test]
fn what_a_wrong_clock_has_dated_is_removed_by_a_person_only() {
    let mut server = TestServer::with(&["--keep-days", "30"]);
    let chat = ten_messages(&server);
    age(&mut server, 56 * 365);
    let line = server.wait_for_log("plauschctl prune", TIMEOUT);
    assert!(
        line.contains("WARN") && line.contains("much older"),
        "{line}"
    );
    assert_eq!(history(&mut login(&server, "hans"), chat).len(), 10);
    server.restart();
    server.wait_for_log("plauschctl prune", TIMEOUT);
    assert_eq!(history(&mut login(&server, "hans"), chat).len(), 10);
    ctl(&server.database(), &["prune", "--days", "30"]);
    let mut hans = login(&server, "maria");
    wait_for("they are gone", TIMEOUT, || {
        history(&mut hans, chat).is_empty().then_some(())
    });
}

/// One start a year ahead: everything was said a year ago, and the last look for what is old was
/// then, too. The right clock goes on as before.
#[test]
fn a_start_with_a_clock_that_is_ahead_removes_nothing() {
    let mut server = TestServer::with(&["--keep-days", "30", "--keep-media-days", "30"]);
    let chat = ten_messages(&server);
    server.stop();
    let database = server.database();
    let back = |days: i64| {
        let database = rusqlite::Connection::open(&database).expect("the database");
        let sql = "UPDATE counter SET value = value - ?1 WHERE name = 'retained'";
        assert_eq!(
            database.execute(sql, [days * DAY]).expect(sql),
            1,
            "a look was noted"
        );
        let sql = "UPDATE message SET timestamp = timestamp - ?1";
        database.execute(sql, [days * DAY]).expect(sql);
    };
    for ahead in [33, 365] {
        back(ahead);
        server.restart();
        server.wait_for_log("plauschctl prune", TIMEOUT);
        assert_eq!(
            history(&mut login(&server, "hans"), chat).len(),
            10,
            "{ahead} days"
        );
        server.stop();
        back(-ahead);
    }
    // Three days in which the server was off are no reason to doubt.
    back(31);
    let connection = rusqlite::Connection::open(&database).expect("the database");
    let sql = "UPDATE counter SET value = value + ?1 WHERE name = 'retained'";
    connection.execute(sql, [28 * DAY]).expect(sql);
    drop(connection);
    server.restart();
    server.wait_for_log("retention has removed 10 old messages", TIMEOUT);
    // Nothing is removed while the clock is behind the newest message.
    server.stop();
    let chat_is_ahead = rusqlite::Connection::open(&database).expect("the database");
    let sql = "INSERT INTO message SELECT value + 1, 2, ?1, 'ahead', NULL FROM counter
               WHERE name = 'message'";
    let ahead = 4_000_000_000_000_i64;
    chat_is_ahead.execute(sql, [ahead]).expect(sql);
    drop(chat_is_ahead);
    server.restart();
    server.wait_for_log("the clock is behind", TIMEOUT);
}

/// One message dated years ahead takes the chat's next ones along: it is said, found, and mended by
/// what the documentation has.
#[test]
fn dates_that_are_ahead_are_told_found_and_mended() {
    let mut server = TestServer::start();
    let chat = ten_messages(&server);
    server.stop();
    let database = rusqlite::Connection::open(server.database()).expect("the database");
    let sql =
        "UPDATE message SET timestamp = timestamp + ?1 WHERE id = (SELECT max(id) FROM message)";
    database.execute(sql, [12 * 365 * DAY]).expect(sql);
    drop(database);
    server.restart();
    let mut hans = login(&server, "hans");
    hans.say(chat, "pulled along");
    let line = server.wait_for_log("dated more than a day ahead", TIMEOUT);
    assert!(line.contains(&format!("chat {chat}")), "{line}");
    server.stop();
    let found = run(&server.database(), &["check"], "");
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(text.matches("more than a day ahead").count(), 2, "{text}");

    let page = include_str!("../docs/RELIABILITY.md");
    let recipe = page
        .split("```sql\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let database = rusqlite::Connection::open(server.database()).expect("the database");
    database
        .execute_batch(recipe.expect("a recipe"))
        .expect("the recipe");
    drop(database);
    assert_eq!(ctl(&server.database(), &["check"]), "ok\n");
    server.restart();
    let mut hans = login(&server, "hans");
    let kept = history(&mut hans, chat);
    assert_eq!(kept.len(), 11);
    assert_eq!(kept[9..], ["9", "pulled along"]);
    hans.say(chat, "of today");
    assert_eq!(history(&mut hans, chat).len(), 12);
    server.stop();
    assert_eq!(ctl(&server.database(), &["check"]), "ok\n");
}

#[test]
fn old_media_go_before_their_messages() {
    let mut server = TestServer::with(&["--keep-media-days", "7"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    // Of several parts.
    let large = "x".repeat(200_000);
    let mut send = |maria: &mut Client, media: &str| -> i64 {
        hans.send(&format!("115 {chat} \"see\" {media}"));
        hans.expect("219 400");
        let line = maria.recv();
        let (_, id) = line.rsplit_once(' ').expect("a MediaID");
        id.parse().expect("a MediaID")
    };
    let old = send(&mut maria, &large);
    maria.send(&format!("119 {old}"));
    maria.expect(&format!("227 400 {large}"));
    age(&mut server, 8);
    server.wait_for_log("media of 1 kept ones", TIMEOUT);
    let mut maria = login(&server, "maria");
    maria.send(&format!("119 {old}"));
    maria.expect("227 412");
    assert_eq!(history(&mut maria, chat), [format!("\"see\" {old}")]);
}

#[test]
fn a_user_has_room_for_so_much_media() {
    let server = TestServer::with(&["--media-quota", "200K", "--explain"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let full = "211 115 MessageSend: your media take up all the room that they may";
    let ask = |client: &mut Client, size: usize| {
        client.ask(&format!("115 {chat} \"see\" {}", "x".repeat(size)))
    };
    assert_eq!(ask(&mut hans, 204_801), full);
    assert_eq!(ask(&mut hans, 204_800), "219 400");
    assert_eq!(ask(&mut hans, 1), full);
    server.wait_for_log("has reached --media-quota", TIMEOUT);
    let line = maria.recv();
    assert!(line.starts_with("220 "), "`{line}`");
    maria.silent();
    hans.say(chat, "messages are free");
    assert_eq!(maria.recv_push().message, "messages are free");
    // Another's room is another's.
    assert_eq!(ask(&mut maria, 100), "219 400");
    hans.recv();
    // When both have deleted the chat, the media go, and soon there is room.
    for client in [&mut hans, &mut maria] {
        client.send(&format!("114 {chat}"));
        client.expect("218 400");
    }
    let chat = crate::support::people::open_chat(&mut hans, &maria);
    crate::support::system::wait_for("the media's room is free", TIMEOUT, || {
        let line = format!("115 {chat} \"see\" {}", "x".repeat(204_800));
        (hans.ask(&line) == "219 400").then_some(())
    });
}

#[test]
fn a_database_may_be_so_large() {
    let mut server = TestServer::with(&["--max-database", "600K", "--explain"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let mut otto = register_and_login(&server, "otto");
    befriend(&mut hans, &mut otto);
    let reason = "the server is full; nothing more is kept";
    let text = "x".repeat(8_000);
    let mut kept = Vec::new();
    while kept.len() < 200 {
        match hans.ask(&format!("115 {chat} {text}")).as_str() {
            "219 400" => kept.push(maria.recv_push()),
            answer => {
                assert_eq!(answer, format!("211 115 MessageSend: {reason}"));
                break;
            }
        }
    }
    assert!((20..100).contains(&kept.len()), "{} fit", kept.len());
    server.wait_for_log("has reached --max-database", TIMEOUT);
    // Nothing is added.
    let mut guest = server.connect();
    let refused = |client: &mut Client, line: &str, what: &str| {
        assert_eq!(client.ask(line), format!("211 {what}: {reason}"));
    };
    refused(
        &mut hans,
        &format!("115 {chat} \"see\" {text}"),
        "115 MessageSend",
    );
    refused(&mut hans, "113 otto", "113 ChatCreate");
    refused(&mut otto, "121 maria", "121 RequestConfirmContact");
    refused(
        &mut guest,
        "117 anna geheim-12345 a@b f",
        "117 RegisterAccount",
    );
    // A status comes before a refusal that has none, whatever it is that would be added.
    let unknown = chat + 99;
    let asked = [
        (0, format!("115 {unknown} x"), "219 408"),
        (0, format!("115 {unknown} \"x\" media"), "219 408"),
        (1, format!("115 {chat} x"), "219 409"),
        (0, "113 nobody".to_owned(), "217 410"),
        (1, "113 maria".to_owned(), "217 411"),
        (0, "121 nobody".to_owned(), "232 410"),
        (2, "117 hans geheim-12345 a@b f".to_owned(), "222 403"),
        (2, "117 an+na geheim-12345 a@b f".to_owned(), "222 401"),
        (2, "117 anna short a@b f".to_owned(), "222 402"),
    ];
    let clients = [&mut hans, &mut otto, &mut guest];
    for (who, line, answer) in asked {
        assert_eq!(clients[who].ask(&line), answer, "{line}");
    }
    hans.send_lines(&[
        format!("115 {unknown} x"),
        format!("115 {chat} x"),
        format!("115 {unknown} x"),
    ]);
    hans.expect("219 408");
    hans.expect(&format!("211 115 MessageSend: {reason}"));
    hans.expect("219 408");
    // What is there can be read, positions are kept, and what adds nothing is answered.
    assert_eq!(hans.ask("121 maria"), "232 400");
    assert_eq!(hans.ask("113 maria"), "217 400");
    assert_eq!(hans.ask("132 geheim-12345 geheim-54321"), "245 400");
    let last = kept.last().map_or(0, |push| push.timestamp);
    assert_eq!(maria.ask(&format!("135 {chat} {last}")), "248 400");
    assert_eq!(history(&mut hans, chat).len(), kept.len());
    maria.logout();
    maria.login("maria");
    maria.silent();
    // And deleted, after which there is room.
    for client in [&mut hans, &mut maria] {
        client.send(&format!("114 {chat}"));
        client.expect("218 400");
    }
    crate::support::system::wait_for("there is room", TIMEOUT, || {
        (hans.ask("113 maria") == "217 400").then_some(())
    });
    let chat = crate::support::people::chat_with(&mut hans, "maria");
    for _ in 0..kept.len() / 2 {
        crate::support::system::wait_for("there is room for a message", TIMEOUT, || {
            (hans.ask(&format!("115 {chat} {text}")) == "219 400").then_some(())
        });
        assert!(matches!(Push::parse(&maria.recv()), Some(push) if push.message == text));
    }
    // The log is moved into the database at the end, at the latest.
    server.stop();
    let after = std::fs::metadata(server.database()).expect("the database");
    println!("{} bytes", after.len());
    assert!(after.len() <= 664 << 10, "free pages are used");
}
