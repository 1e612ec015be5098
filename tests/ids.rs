//! Ids are never used again (contract, section 3), not even those of the newest message, chat, media
//! and account after they were deleted and the server was restarted. A server that did would drop
//! new messages as old ones, or show a newcomer what was somebody else's.

use crate::support::client::Client;
use crate::support::people::{PASSWORD, chat_with, pair, register_and_login};
use crate::support::server::TestServer;

fn send_media(from: &mut Client, to: &mut Client, chat: i64) -> i64 {
    from.send(&format!("115 {chat} \"see\" data:,hi"));
    from.expect("219 400");
    let line = to.recv();
    let id = line
        .rsplit_once(" \"see\" ")
        .and_then(|(_, id)| id.parse().ok());
    id.unwrap_or_else(|| panic!("no MediaID in `{line}`"))
}

fn delete_by_both(one: &mut Client, other: &mut Client, chat: i64) {
    for client in [one, other] {
        client.send(&format!("114 {chat}"));
        client.expect("218 400");
    }
}

/// Two users log in anew.
fn back(server: &TestServer, one: &str, other: &str) -> (Client, Client) {
    let login = |name| {
        let mut client = server.connect();
        client.login(name);
        client
    };
    (login(one), login(other))
}

#[test]
fn no_id_is_used_again() {
    let mut server = TestServer::start();
    let (mut hans, mut maria, old_chat) = pair(&server, "hans", "maria");
    let old_media = send_media(&mut hans, &mut maria, old_chat);
    maria.say(old_chat, "the newest message");
    hans.recv_push();
    delete_by_both(&mut hans, &mut maria, old_chat);
    // Once, so that what is deleted later is deleted, and once more.
    server.restart();
    server.restart();

    let (mut hans, mut maria) = back(&server, "hans", "maria");
    hans.send("113 maria");
    hans.expect("217 400");
    let chat = chat_with(&mut hans, "maria");
    assert_ne!(chat, old_chat);
    let media = send_media(&mut hans, &mut maria, chat);
    assert_ne!(media, old_media);
    maria.say(chat, "arrives too");
    assert_eq!(hans.recv_push().message, "arrives too");
    for (request, answer) in [
        (format!("119 {old_media}"), "227 412"),
        (format!("114 {old_chat}"), "218 408"),
        (format!("119 {media}"), "227 400 data:,hi"),
    ] {
        hans.send(&request);
        hans.expect(answer);
    }
}

/// The newest messages go, with their chat; an older chat remains, whose next message must not look
/// like one that was delivered.
#[test]
fn a_message_after_deleted_ones_arrives() {
    let mut server = TestServer::start();
    let (mut hans, mut maria, kept) = pair(&server, "hans", "maria");
    let (mut ida, mut otto, doomed) = pair(&server, "ida", "otto");
    hans.say(kept, "first");
    assert_eq!(maria.recv_push().message, "first");
    ida.say_all(doomed, (0..50).map(|number| number.to_string()));
    for _ in 0..50 {
        otto.recv_push();
    }
    delete_by_both(&mut ida, &mut otto, doomed);
    server.restart();
    server.restart();

    let (mut hans, mut maria) = back(&server, "hans", "maria");
    hans.say(kept, "second");
    assert_eq!(maria.recv_push().message, "second");
    maria.logout();
    hans.say(kept, "third");
    server.restart();
    let mut maria = server.connect();
    maria.login("maria");
    assert_eq!(maria.recv_push().message, "third");
}

#[test]
fn a_new_account_inherits_nothing() {
    let mut server = TestServer::start();
    let (mut hans, mut zora, chat) = pair(&server, "hans", "zora");
    let media = send_media(&mut hans, &mut zora, chat);
    zora.send(&format!("133 {PASSWORD}"));
    zora.expect("246 400");
    server.restart();
    server.restart();

    let mut newcomer = register_and_login(&server, "zora");
    for (request, answers) in [
        ("112".to_owned(), &["214 0", "216"][..]),
        ("118".to_owned(), &["223 400", "224 0", "226"]),
        (format!("119 {media}"), &["227 409"]),
        (format!("114 {chat}"), &["218 409"]),
    ] {
        newcomer.send(&request);
        for answer in answers {
            newcomer.expect(answer);
        }
    }
    newcomer.silent();
}
