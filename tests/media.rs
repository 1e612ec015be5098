//! Media of every size (contract, section 2): kept and given back byte for byte up to the limit, one
//! byte more is refused and costs nothing else; members of the chat may fetch it, nobody else.

use crate::support::client::Client;
use crate::support::people::{pair, register_and_login};
use crate::support::server::TestServer;

const MIB: usize = 1024 * 1024;
const MAX: usize = 8 * MIB;

/// Room for what the server needs besides the media that nobody reads.
const GROWTH_KIB: u64 = 16 * 1024;

/// Sends a message with media (as it is on the wire) and gives the MediaID that the other receives.
fn send_media(from: &mut Client, to: &mut Client, chat: i64, media: &str) -> i64 {
    from.send(&format!("115 {chat} \"with media\" {media}"));
    from.expect("219 400");
    let line = to.recv();
    let id = line
        .rsplit_once(" \"with media\" ")
        .map(|(_, id)| id.parse());
    match id {
        Some(Ok(id)) => id,
        _ => panic!("no media in `{line}`"),
    }
}

/// Both members fetch it and get exactly this.
fn fetch(clients: [&mut Client; 2], id: i64, media: &str) {
    for client in clients {
        client.send(&format!("119 {id}"));
        client.expect(&format!("227 400 {media}"));
    }
}

fn refused(client: &mut Client, chat: i64, media: &str) {
    client.send(&format!("115 {chat} \"too much\" {media}"));
    client.expect("211");
    client.silent();
}

#[test]
fn from_one_byte_to_eight_mebibytes() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    for size in [1, 2, 4095, 4096, 65_537, MIB, MAX - 1, MAX] {
        let media = "x".repeat(size);
        let id = send_media(&mut hans, &mut maria, chat, &media);
        fetch([&mut hans, &mut maria], id, &media);
    }
    refused(&mut hans, chat, &"x".repeat(MAX + 1));
    maria.silent();
}

#[test]
fn bytes_of_utf8_are_counted() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let media = "😀".repeat(MAX / 4);
    let id = send_media(&mut hans, &mut maria, chat, &media);
    fetch([&mut hans, &mut maria], id, &media);
    refused(&mut hans, chat, &format!("{media}x"));
    maria.silent();
}

/// What takes two bytes on the wire counts as the one that it stands for.
#[test]
fn escapes_do_not_count() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let media = format!("\"{}\"", "\\\"".repeat(MAX));
    let id = send_media(&mut hans, &mut maria, chat, &media);
    fetch([&mut hans, &mut maria], id, &media);
    refused(&mut hans, chat, &format!("\"{}\"", "\\\"".repeat(MAX + 1)));
    maria.silent();
}

#[test]
fn a_data_uri_behind_a_bare_message_may_be_as_long() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let head = "data:application/octet-stream;base64,";
    let digits = (MAX - head.len()) / 4 * 4;
    let media = format!("{head}{}", "AAAA".repeat(digits / 4));
    hans.send(&format!("115 {chat} a big one {media}"));
    hans.expect("219 400");
    let line = maria.recv();
    let (_, id) = line.rsplit_once(" \"a big one\" ").expect("a MediaID");
    fetch(
        [&mut hans, &mut maria],
        id.parse().expect("a MediaID"),
        &media,
    );
    hans.send(&format!("115 {chat} a bigger one {media}AAAAAAAA"));
    hans.expect("211");
    hans.silent();
    maria.silent();
}

#[test]
fn a_third_party_gets_none_of_it() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let mut otto = register_and_login(&server, "otto");
    let id = send_media(&mut hans, &mut maria, chat, "secret");
    otto.send(&format!("119 {id}"));
    otto.expect("227 409");
    otto.send(&format!("119 {}", id + 1));
    otto.expect("227 412");
}

#[test]
fn max_media_sets_the_limit() {
    let server = TestServer::with(&["--max-media", "1000"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let media = "x".repeat(1000);
    // Six bytes on the wire for each byte of media are the most that escapes can make of it.
    let escaped = format!("\"{}\"", "\\u0078".repeat(1000));
    for sent in [&media, &escaped] {
        let id = send_media(&mut hans, &mut maria, chat, sent);
        fetch([&mut hans, &mut maria], id, &media);
    }
    refused(&mut hans, chat, &"x".repeat(1001));
    refused(&mut hans, chat, &format!("\"{}\"", "\\u0078".repeat(1001)));
    refused(&mut hans, chat, &"x".repeat(100_000));
    maria.silent();
}

/// Promise 4: a reader that does not read holds up nobody, and does not cost the memory of what it
/// asked for.
#[test]
fn media_that_nobody_reads_is_not_held_in_memory() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let media = "x".repeat(MAX);
    let id = send_media(&mut hans, &mut maria, chat, &media);
    fetch([&mut hans, &mut maria], id, &media);
    let before = server.rss_kib();
    let requests = vec![format!("119 {id}"); 8];
    maria.send_lines(&requests);
    for number in 0..200 {
        hans.say(chat, &format!("{number}"));
    }
    let grown = server.rss_kib().saturating_sub(before);
    assert!(
        grown < GROWTH_KIB,
        "{grown} KiB for media that nobody reads"
    );
    // The pushes come between the replies, in their order.
    let (mut fetched, mut next) = (0, 0);
    while (fetched, next) != (requests.len(), 200) {
        let line = maria.recv();
        if line.starts_with("227 400 ") {
            assert_eq!(line.len(), "227 400 ".len() + MAX);
            fetched += 1;
        } else {
            assert!(line.ends_with(&format!(" {next}")), "got `{line}`");
            next += 1;
        }
    }
}
