//! What counts as received (contract, section 6, `135`): where the first `135` of a login sets the
//! position, what the next login begins with, and what must not be removed meanwhile.

use crate::support::client::{Client, TIMEOUT};
use crate::support::ctl::ctl;
use crate::support::people::{PASSWORD, Push, login_when_free, pair};
use crate::support::server::TestServer;
use crate::support::system::wait_for;
use std::time::Duration;

/// Messages that have come, with nothing behind them.
fn receive(client: &mut Client, texts: &[&str]) -> Vec<Push> {
    let pushes: Vec<Push> = texts
        .iter()
        .map(|text| {
            let push = client.recv_push();
            assert_eq!(push.message, *text, "{}", client.conversation());
            push
        })
        .collect();
    client.silent();
    pushes
}

/// Closes in order, and logs in on a new connection.
fn again(server: &TestServer, client: Client, name: &str) -> Client {
    client.close();
    let mut client = server.connect();
    client.login(name);
    client
}

fn confirm(client: &mut Client, push: &Push) {
    client.send(&format!("135 {} {}", push.chat, push.timestamp));
    client.expect("248 400");
}

/// Waits until a question about a user (`?1`) has this answer in the database.
fn wait_until_saved(server: &TestServer, name: &str, sql: &str, answer: i64) {
    let database = rusqlite::Connection::open(server.database()).expect("the database");
    wait_for(sql, TIMEOUT, || {
        let found: i64 = database
            .query_row(sql, [name], |row| row.get(0))
            .expect(sql);
        (found == answer).then_some(())
    });
}

/// How many messages have arrived at a user.
const ARRIVED: &str = "SELECT count(*) FROM message m JOIN chat c ON c.id = m.lane / 2
    JOIN user u ON u.id = CASE m.lane % 2 WHEN 0 THEN c.creator_id ELSE c.other_id END
    JOIN delivery d ON d.user_id = u.id AND d.message_id >= m.id WHERE u.name = ?1";

/// How many contact events a user has not been told of.
const UNTOLD: &str =
    "SELECT count(*) FROM contact_event e JOIN user u ON u.id = e.user_id WHERE u.name = ?1";

/// What TCP has acknowledged before it is not counted any more, saved or not.
#[test]
fn the_first_one_of_a_login_goes_back() {
    for saved in [false, true] {
        let server = TestServer::start();
        let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
        for text in ["k1", "k2", "k3"] {
            maria.say(chat, text);
        }
        let pushes = receive(&mut hans, &["k1", "k2", "k3"]);
        if saved {
            wait_until_saved(&server, "hans", ARRIVED, 3);
        }
        confirm(&mut hans, &pushes[0]);
        let mut hans = again(&server, hans, "hans");
        let pushes = receive(&mut hans, &["k2", "k3"]);
        // From there on it grows only.
        confirm(&mut hans, &pushes[1]);
        confirm(&mut hans, &pushes[0]);
        let mut hans = again(&server, hans, "hans");
        hans.silent();
    }
}

/// The same with a crash right behind the `248`.
#[test]
fn going_back_is_on_disk_when_it_is_answered() {
    let mut server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    for text in ["k1", "k2"] {
        maria.say(chat, text);
    }
    let pushes = receive(&mut hans, &["k1", "k2"]);
    wait_until_saved(&server, "hans", ARRIVED, 2);
    confirm(&mut hans, &pushes[0]);
    server.kill();
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    receive(&mut hans, &["k2"]);
}

/// A `135` of something older, of nothing, and one that is refused: back to where the login began,
/// and no further.
#[test]
fn it_goes_back_as_far_as_where_the_login_began() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    maria.say(chat, "before");
    let before = receive(&mut hans, &["before"]);
    let (mut round, name) = (0, "hans");
    for (request, answer) in [
        (format!("135 {chat} {}", before[0].timestamp), "248 400"),
        (format!("135 {chat} 0"), "248 400"),
        (format!("135 {chat} -1"), "248 400"),
        ("135 0 0".to_owned(), "248 408"),
    ] {
        hans = again(&server, hans, name);
        if round > 0 {
            // The login before has ended what the round before has begun.
            receive(&mut hans, &[&format!("now {}", round - 1)]);
            hans = again(&server, hans, name);
        }
        hans.silent();
        let text = format!("now {round}");
        maria.say(chat, &text);
        receive(&mut hans, &[&text]);
        hans.send(&request);
        hans.expect(answer);
        hans = again(&server, hans, name);
        receive(&mut hans, &[&text]);
        round += 1;
    }
}

/// One that is no `135` at all changes nothing.
#[test]
fn one_of_the_wrong_form_is_none() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    maria.say(chat, "k1");
    receive(&mut hans, &["k1"]);
    for line in ["135", "135 0", "135 x y", "135 1 2 3"] {
        hans.send(line);
        hans.expect("211");
    }
    let mut hans = again(&server, hans, "hans");
    hans.silent();
}

/// One's own message names no message that was delivered: what is at or before it counts.
#[test]
fn ones_own_message_counts_what_came_before_it() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    maria.say(chat, "k1");
    receive(&mut hans, &["k1"]);
    hans.say(chat, "mine");
    let mine = maria.recv_push();
    maria.say(chat, "k2");
    receive(&mut hans, &["k2"]);
    confirm(&mut hans, &mine);
    let mut hans = again(&server, hans, "hans");
    receive(&mut hans, &["k2"]);
}

/// Who has used it in the last login begins the next one so, after a crash too; who has gone back
/// to plain logins gets a little again, once.
#[test]
fn the_next_login_begins_as_the_last_one_was() {
    let mut server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    maria.say(chat, "k1");
    let pushes = receive(&mut hans, &["k1"]);
    confirm(&mut hans, &pushes[0]);
    maria.say(chat, "k2");
    receive(&mut hans, &["k2"]);
    wait_until_saved(&server, "hans", UNTOLD, 0);

    server.kill();
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    receive(&mut hans, &["k2"]);
    // An end that is the server's says nothing.
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    receive(&mut hans, &["k2"]);

    let mut hans = again(&server, hans, "hans");
    receive(&mut hans, &["k2"]);
    let mut hans = again(&server, hans, "hans");
    hans.silent();
    // And this is kept.
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    hans.silent();
}

/// It belongs to the login, not to the connection.
#[test]
fn a_logout_in_between_changes_nothing() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.send("135 0 0");
    hans.expect("248 408");
    hans.logout();
    hans.login("hans");
    maria.say(chat, "k1");
    receive(&mut hans, &["k1"]);
    let mut hans = again(&server, hans, "hans");
    receive(&mut hans, &["k1"]);
    // Plain now, and again on one connection.
    hans.logout();
    hans.login("hans");
    hans.silent();
}

/// `110 …` and `135 0`, then a cut, as often as it likes; the last time it comes whole.
#[test]
fn one_that_never_comes_whole_loses_nothing() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.send("135 0 0");
    hans.expect("248 408");
    hans.close();
    maria.say(chat, "k1");
    for _ in 0..3 {
        let mut hans = login_when_free(server.addr(), "hans");
        receive(&mut hans, &["k1"]);
        hans.send_raw(b"135 0");
        hans.close();
    }
    // A reset says as little.
    let mut hans = login_when_free(server.addr(), "hans");
    assert_eq!(hans.recv_push().message, "k1");
    hans.reset();
    let mut hans = login_when_free(server.addr(), "hans");
    let pushes = receive(&mut hans, &["k1"]);
    confirm(&mut hans, &pushes[0]);
    let mut hans = again(&server, hans, "hans");
    hans.silent();
}

/// Sent in front of the login it cannot be cut off from it: whoever comes with it for the first time
/// loses nothing either.
#[test]
fn one_before_the_login_counts_for_it() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.logout();
    maria.say(chat, "k1");
    for line in ["135 0 0", &format!("135 {chat} 1")] {
        let mut hans = server.connect();
        hans.user = "hans".to_owned();
        hans.send_lines(&[line.to_owned(), format!("110 hans {PASSWORD}")]);
        hans.expect("248 407");
        hans.expect("212 400 hans");
        receive(&mut hans, &["k1"]);
        hans.close();
    }
    // For that login and, since it has used it, the next.
    let mut hans = server.connect();
    hans.login("hans");
    receive(&mut hans, &["k1"]);
    hans.logout();
    hans.login("hans");
    receive(&mut hans, &["k1"]);
    hans.logout();
    hans.login("hans");
    hans.silent();
    // Without a login behind it, it is for nobody.
    let mut guest = server.connect();
    guest.send("135 0 0");
    guest.expect("248 407");
    guest.close();
    maria.say(chat, "k2");
    receive(&mut hans, &["k2"]);
    let mut hans = again(&server, hans, "hans");
    hans.silent();
}

/// What a login's first `135` may bring back is not removed while it lasts.
#[test]
fn what_may_come_again_is_not_removed() {
    const DAY: i64 = 24 * 3_600 * 1_000;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    for text in ["k1", "k2"] {
        maria.send(&format!("115 {chat} \"{text}\" media"));
        maria.expect("219 400");
    }
    let line = hans.recv();
    let timestamp: i64 = line
        .split(' ')
        .nth(2)
        .and_then(|t| t.parse().ok())
        .expect("a TimeStamp");
    hans.recv();
    wait_until_saved(&server, "hans", ARRIVED, 2);
    let database = rusqlite::Connection::open(server.database()).expect("the database");
    database
        .busy_timeout(Duration::from_secs(60))
        .and_then(|()| {
            database.execute("UPDATE message SET timestamp = timestamp - ?1", [40 * DAY])
        })
        .expect("older messages");
    let prune = || {
        ctl(
            &server.database(),
            &["prune", "--days", "30", "--media-days", "30"],
        )
    };
    assert_eq!(
        prune(),
        "0 messages with their media and 0 other media were removed\n"
    );
    hans.send(&format!("135 {chat} {}", timestamp - 40 * DAY));
    hans.expect("248 400");
    // The one that was confirmed, and no more.
    assert!(prune().starts_with("1 messages with"), "what was confirmed");
    hans.close();
    let mut hans = server.connect();
    hans.login("hans");
    let line = hans.recv();
    assert!(line.contains("\"k2\""), "{line}");
    let media = line.rsplit(' ').next().expect("a MediaID").to_owned();
    hans.send(&format!("119 {media}"));
    hans.expect("227 400 media");
}
