//! Connections that are lost: nothing typed and not acknowledged is lost or doubled.

use std::fs;

use super::person::{Person, anna_with_bernd, free_address};
use super::relay::Relay;
use crate::support::client::Client;
use crate::support::ctl::ctl;
use crate::support::people::{PASSWORD, login_when_free, pair};
use crate::support::server::TestServer;
use crate::support::system::TempDir;

/// All messages of a chat, oldest first, as `name: text`.
fn history(client: &mut Client, chat: i64) -> Vec<String> {
    client.send(&format!("130 {chat} 0 1000"));
    let lines = client.recv_until("243");
    let line = |line: &String| {
        let mut words = line.strip_prefix("242 ")?.splitn(4, ' ').skip(2);
        Some(format!("{}: {}", words.next()?, words.next()?))
    };
    lines.iter().filter_map(line).collect()
}

/// Anna at her client, which reaches the server through a relay and talks to bernd; he is at a
/// connection of his own. In the order in which they may end, from the back.
fn anna_behind_a_relay() -> (TestServer, Client, i64, Relay, Person) {
    let server = TestServer::start();
    let (anna, bernd, chat) = pair(&server, "anna", "bernd");
    drop(anna);
    let relay = Relay::to(server.addr());
    let mut anna = Person::at(relay.addr(), "anna");
    anna.goes_to("bernd");
    (server, bernd, chat, relay, anna)
}

/// Has anna send an `ok` that is acknowledged before anything else happens.
fn one_is_acknowledged(anna: &mut Person, bernd: &mut Client) {
    anna.enters("ok");
    assert_eq!(bernd.recv_push().message, "ok");
    anna.enters("/history 1");
    anna.sees("anna: ok");
}

/// Two people go on talking while the server is killed and comes back on the same port.
#[test]
fn two_people_chat_while_the_server_is_killed_and_restarted() {
    let address = free_address();
    let mut server = TestServer::with(&["--listen", &address.to_string()]);
    let (anna, bernd, chat) = pair(&server, "anna", "bernd");
    drop((anna, bernd));
    let mut anna = Person::at(address, "anna");
    let mut bernd = Person::at(address, "bernd");
    anna.goes_to("bernd");
    bernd.goes_to("anna");
    let mut said = Vec::new();
    for round in 0..3 {
        anna.enters(&format!("before {round}"));
        bernd.sees(&format!("anna: before {round}"));
        // On its way when the server dies: kept or not, nobody knows.
        anna.enters("racing");
        anna.enters("racing");
        server.kill();
        anna.sees("not connected");
        bernd.sees("not connected");
        anna.enters(&format!("meanwhile {round}"));
        bernd.enters(&format!("I too {round}"));
        server.restart();
        anna.sees("connected again");
        bernd.sees("connected again");
        anna.sees(&format!("bernd: I too {round}"));
        bernd.sees(&format!("anna: meanwhile {round}"));
        for text in [
            &format!("before {round}"),
            "racing",
            "racing",
            &format!("meanwhile {round}"),
        ] {
            said.push(format!("anna: {text}"));
        }
    }
    anna.leaves(0);
    bernd.leaves(0);
    let mut anna = login_when_free(server.addr(), "anna");
    let kept = history(&mut anna, chat);
    let by = |name: &str| -> Vec<String> {
        let start = format!("{name}: ");
        kept.iter()
            .filter(|line| line.starts_with(&start))
            .cloned()
            .collect()
    };
    assert_eq!(by("anna"), said);
    assert_eq!(
        by("bernd"),
        ["bernd: I too 0", "bernd: I too 1", "bernd: I too 2"]
    );
    // All was told as received, so nothing comes again.
    anna.silent();
}

/// The message was kept and its acknowledgement lost: it is not sent again.
#[test]
fn what_was_kept_is_not_sent_again() {
    let (_server, mut bernd, chat, relay, mut anna) = anna_behind_a_relay();
    // One of three equal ones is acknowledged.
    one_is_acknowledged(&mut anna, &mut bernd);
    relay.drop_replies();
    for _ in 0..2 {
        anna.enters("ok");
        assert_eq!(bernd.recv_push().message, "ok");
    }
    bernd.say(chat, "I hear you");
    relay.cut();
    anna.sees("connected again");
    anna.sees("was sent all the same to bernd: ok");
    anna.sees("was sent all the same to bernd: ok");
    anna.enters("last");
    assert_eq!(bernd.recv_push().message, "last");
    anna.leaves(0);
    bernd.silent();
}

/// The message never reached the server: it is sent again, in its place.
#[test]
fn what_was_swallowed_is_sent_again() {
    let (_server, mut bernd, _, relay, mut anna) = anna_behind_a_relay();
    one_is_acknowledged(&mut anna, &mut bernd);
    relay.drop_requests();
    for line in ["ok", "one", "ok"] {
        anna.enters(line);
        anna.sees("bernd> ");
    }
    relay.cut();
    anna.sees("connected again");
    for text in ["ok", "one", "ok"] {
        assert_eq!(bernd.recv_push().message, text);
    }
    anna.leaves(0);
    bernd.silent();
}

/// What the server sends a second time, since it was not told that it had arrived, is shown once.
#[test]
fn a_message_that_comes_again_is_shown_once() {
    let (server, mut bernd, chat, relay, mut anna) = anna_behind_a_relay();
    relay.drop_requests();
    bernd.say(chat, "only once");
    anna.sees("bernd: only once");
    relay.cut();
    anna.sees("connected again");
    bernd.say(chat, "afterwards");
    let between = anna.sees("bernd: afterwards");
    assert!(!between.contains("only once"), "{between:?}");
    anna.leaves(0);
    // The second copy counted as received, so that there is no third.
    login_when_free(server.addr(), "anna").silent();
}

/// A slow network: the progress of a long transfer is told, and a cut in it repeats it.
#[test]
fn long_transfers_show_progress_and_survive_a_cut() {
    let directory = TempDir::new();
    let file = directory.path().join("big.bin");
    fs::write(&file, vec![7; 5 << 20]).expect("written");
    let (_server, mut bernd, chat, relay, mut anna) = anna_behind_a_relay();
    anna.enters("first");
    assert_eq!(bernd.recv_push().message, "first");
    relay.hold_requests(true);
    anna.enters(&format!("/send {}", file.display()));
    anna.sees("sending big.bin (application/octet-stream, 5.0 MiB)");
    anna.sees("sending big.bin: ");
    anna.sees(" % (");
    relay.cut();
    relay.hold_requests(false);
    anna.sees("connected again");
    anna.sees("big.bin is sent");
    let line = bernd.recv();
    assert!(
        line.starts_with(&format!("220 {chat} ")) && line.ends_with(" \"\" 1"),
        "{line}"
    );
    anna.leaves(0);
    bernd.silent();
}

/// Leaving without a connection shows what was not sent, and says so by the exit code.
#[test]
fn what_cannot_be_sent_is_shown_when_leaving() {
    let mut server = TestServer::start();
    let (anna, bernd, _) = pair(&server, "anna", "bernd");
    drop((anna, bernd));
    let mut anna = Person::at(server.addr(), "anna");
    anna.goes_to("bernd");
    server.stop();
    anna.sees("not connected");
    anna.enters("too late");
    anna.sees("it will be sent as soon as");
    let rest = anna.leaves(3);
    assert!(rest.contains("not sent to bernd: too late"), "{rest}");
}

/// A message that the server refuses is shown as unsent.
#[test]
fn what_is_refused_is_shown_as_unsent() {
    let (_server, mut anna, mut bernd, _) = anna_with_bernd();
    bernd.send("131 anna");
    bernd.expect("244 400");
    anna.enters("still friends?");
    anna.sees("not sent to bernd: still friends? -- there is no such user or contact (410)");
    anna.leaves(0);
}

/// A login that the operator ends is begun anew, by whatever was typed next, and nothing is lost.
#[test]
fn a_login_that_was_ended_is_noticed_and_begun_anew() {
    let (server, mut anna, mut bernd, _) = anna_with_bernd();
    ctl(&server.database(), &["user", "kick", "anna"]);
    // `112` is refused by `211`, as it has no way to say 407.
    anna.enters("/chats");
    anna.sees("not connected (the server ended the login)");
    anna.sees("connected again");
    ctl(&server.database(), &["user", "kick", "anna"]);
    for text in ["one", "two"] {
        anna.enters(text);
    }
    anna.sees("connected again");
    for text in ["one", "two"] {
        assert_eq!(bernd.recv_push().message, text);
    }
    anna.leaves(0);
    bernd.silent();
}

/// 407 says that a message was not kept; and where nobody can log in, nobody waits for it.
#[test]
fn what_is_refused_for_want_of_a_login_was_not_sent() {
    let (server, mut anna, _bernd, _) = anna_with_bernd();
    ctl(&server.database(), &["user", "delete", "--force", "anna"]);
    anna.enters("too late");
    anna.enters("far too late");
    anna.sees("wrong password (406); /login tries again");
    let rest = anna.leaves(4);
    for text in ["too late", "far too late"] {
        let line = format!("not sent to bernd: {text} -- nobody is logged in");
        assert!(rest.contains(&line), "{rest}");
    }
}

/// A login that is refused after a lost connection can be repeated with another password.
#[test]
fn a_changed_password_is_asked_for() {
    let server = TestServer::start();
    let (anna, bernd, _) = pair(&server, "anna", "bernd");
    drop((anna, bernd));
    let relay = Relay::to(server.addr());
    let mut anna = Person::at(relay.addr(), "anna");
    // In the moment between two connections.
    let mut elsewhere = {
        relay.hold_requests(true);
        relay.cut();
        login_when_free(server.addr(), "anna")
    };
    elsewhere.send(&format!("132 {PASSWORD} another-password"));
    elsewhere.expect("245 400");
    elsewhere.logout();
    relay.hold_requests(false);
    anna.sees("wrong password (406); /login tries again");
    anna.enters("/login");
    anna.sees("Password: ");
    anna.enters("another-password");
    anna.sees("connected again");
    anna.leaves(0);
}
