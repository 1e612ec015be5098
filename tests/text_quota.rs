//! The allowance of text that waits to be received (`--text-quota`).

use crate::support::client::{Client, TIMEOUT};
use crate::support::ctl::json;
use crate::support::people::{befriend, open_chat, pair, register_and_login};
use crate::support::server::TestServer;
use crate::support::system::wait_for;

const REFUSED: &str =
    "211 115 MessageSend: too much of your text waits to be received; try again later";

/// Sends `count` messages of `size` bytes in one write; how many were accepted, of which each one
/// came before the first that was refused.
fn send(client: &mut Client, chat: i64, count: usize, size: usize) -> usize {
    let lines: Vec<_> = (0..count)
        .map(|number| format!("115 {chat} {number:0>size$}"))
        .collect();
    client.send_lines(&lines);
    let answers: Vec<_> = lines.iter().map(|_| client.recv()).collect();
    let kept = answers.iter().take_while(|line| *line == "219 400").count();
    for line in &answers[kept..] {
        assert_eq!(line, REFUSED);
    }
    kept
}

fn text_bytes(server: &TestServer, name: &str) -> u64 {
    let shown = json(&server.database(), &["user", "show", name, "--json"]);
    shown["text_bytes"].as_u64().expect("a number")
}

#[test]
fn text_that_waits_has_an_allowance() {
    let mut server = TestServer::with(&["--text-quota", "100K", "--explain"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let mut otto = register_and_login(&server, "otto");
    befriend(&mut otto, &mut maria);
    befriend(&mut otto, &mut hans);
    let ottos = open_chat(&mut otto, &maria);
    let theirs = open_chat(&mut otto, &hans);
    maria.logout();
    // 102,400 bytes: just so many, in one write or one by one, and what is left by something small.
    assert_eq!(send(&mut hans, chat, 150, 1_000), 102);
    assert_eq!(send(&mut hans, chat, 1, 401), 0);
    assert_eq!(send(&mut hans, chat, 1, 400), 1);
    assert_eq!(send(&mut hans, chat, 1, 1), 0);
    let line = server.wait_for_log("has reached --text-quota", TIMEOUT);
    assert!(line.contains("user hans (id "), "{line}");
    assert_eq!(text_bytes(&server, "hans"), 102_400);
    // The text of media counts too; media have their own quota. What is no message has none.
    assert_eq!(hans.ask(&format!("115 {chat} \"see\" data:,x")), REFUSED);
    assert_eq!(hans.ask(&format!("115 {chat} data:,x")), "219 400");
    hans.silent();
    // It is the sender's allowance, for all chats; others have their own.
    assert_eq!(send(&mut hans, theirs, 1, 10), 0);
    assert_eq!(send(&mut otto, ottos, 50, 1_000), 50);
    assert_eq!(send(&mut otto, theirs, 1, 10), 1);
    hans.recv_push();

    // A restart forgets nothing.
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    assert_eq!(send(&mut hans, chat, 3, 1), 0);
    // What has been received is free again. Who has tried just now may have to try once more.
    let mut maria = server.connect();
    maria.login("maria");
    for _ in 0..102 + 1 + 1 + 50 {
        let line = maria.recv();
        assert!(line.starts_with("220 "), "{line}");
    }
    wait_for("there is room again", TIMEOUT, || {
        (send(&mut hans, chat, 1, 1_000) == 1).then_some(())
    });
    // To somebody who receives, any number goes.
    maria.recv_push();
    for _ in 0..300 {
        assert_eq!(send(&mut hans, chat, 1, 1_000), 1);
        maria.recv_push();
    }
}

/// What was refused for another reason, or deleted by the recipient, does not count.
#[test]
fn what_does_not_wait_does_not_count() {
    let server = TestServer::with(&["--text-quota", "10K", "--explain"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let text = "x".repeat(8_000);
    for _ in 0..20 {
        assert_eq!(hans.ask(&format!("115 {} {text}", chat + 99)), "219 408");
        assert_eq!(
            hans.ask(&format!("115 {} \"{text}\" data:,x", chat + 99)),
            "219 408"
        );
    }
    maria.logout();
    assert_eq!(send(&mut hans, chat, 2, 8_000), 1);
    maria.login("maria");
    maria.recv_push();
    maria.send(&format!("114 {chat}"));
    maria.expect("218 400");
    maria.logout();
    wait_for("there is room again", TIMEOUT, || {
        (send(&mut hans, chat, 1, 8_000) == 1).then_some(())
    });
    assert_eq!(text_bytes(&server, "hans"), 8_000);
    // A message longer than the quota never fits; 0 is no quota.
    let server = TestServer::with(&["--text-quota", "1K", "--explain"]);
    let (mut hans, maria, chat) = pair(&server, "hans", "maria");
    maria.close();
    assert_eq!(send(&mut hans, chat, 1, 1_025), 0);
    // A status comes before a refusal that has none.
    let (long, unknown) = ("x".repeat(1_025), chat + 99);
    hans.send_lines(&[
        format!("115 {unknown} short"),
        format!("115 {unknown} {long}"),
        format!("115 {chat} {long}"),
    ]);
    hans.expect("219 408");
    hans.expect("219 408");
    assert!(hans.recv().starts_with("211 "));
    let server = TestServer::with(&["--text-quota", "0"]);
    let (mut hans, maria, chat) = pair(&server, "hans", "maria");
    maria.close();
    assert_eq!(send(&mut hans, chat, 200, 8_000), 200);
}
