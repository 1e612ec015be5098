//! Peers whose network misbehaves: connections that are reset, bytes that come and go one by one.
//! Cut cables and slow lines need network namespaces: scripts/net-cut and scripts/net-slow.

use crate::support::client::{Client, Received, TIMEOUT};
use crate::support::people::{Push, login_when_free, pair, register_and_login};
use crate::support::server::TestServer;
use crate::support::system::wait_for;
use rusqlite::{Connection, OpenFlags};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::time::Duration;

/// A receiver that says by `135` what it has read, and is reset again and again in mid-stream:
/// after each reset the name is free at once, and what was not read comes again without a hole.
#[test]
fn a_receiver_reset_in_mid_stream_misses_nothing() {
    const ROUNDS: usize = 20;
    const A_ROUND: usize = 400;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let mut read = 0;
    for round in 0..ROUNDS {
        // Up to its first `135` a connection counts as received what the kernel took: all of that
        // comes before the answer.
        maria.send(&format!("135 {chat} 0"));
        for line in maria.recv_until("248 400") {
            if let Some(push) = Push::parse(&line) {
                let number: usize = push.message.parse().expect("a number");
                assert!(number <= read, "{number} came, {read} is missing");
                read = read.max(number + 1);
            }
        }
        let sent = round * A_ROUND;
        let lines: Vec<String> = (sent..sent + A_ROUND)
            .map(|number| format!("115 {chat} {number}"))
            .collect();
        hans.send_lines(&lines);
        // Somewhere in the middle of it; what else has come by then goes down with the connection.
        let upto = (sent + 1 + (round * 97) % A_ROUND).max(read);
        let mut last = None;
        while read < upto {
            let push = maria.recv_push();
            let number: usize = push.message.parse().expect("a number");
            assert!(number <= read, "{number} came, {read} is missing");
            read = read.max(number + 1);
            last = Some(push);
        }
        if let Some(last) = last {
            maria.send(&format!("135 {chat} {}", last.timestamp));
            while maria.recv() != "248 400" {}
        }
        maria.reset();
        maria = login_when_free(server.addr(), "maria");
        for _ in lines {
            hans.expect("219 400");
        }
    }
    while read < ROUNDS * A_ROUND {
        let number: usize = maria.recv_push().message.parse().expect("a number");
        assert!(number <= read, "{number} came, {read} is missing");
        read = read.max(number + 1);
    }
    maria.silent();
}

/// A sender that is reset with messages under way: what was acknowledged is there, and what is
/// there is the begin of what was sent, once and in order.
#[test]
fn a_sender_reset_in_mid_stream_keeps_what_was_acknowledged() {
    let server = TestServer::start();
    let (hans, mut maria, chat) = pair(&server, "hans", "maria");
    let mut hans = Some(hans);
    let mut expected = 0;
    for round in 0..20 {
        let mut sender = hans
            .take()
            .unwrap_or_else(|| login_when_free(server.addr(), "hans"));
        let lines: Vec<String> = (0..300)
            .map(|n| format!("115 {chat} {}", expected + n))
            .collect();
        sender.send_lines(&lines);
        let acknowledged = (round * 61) % 300;
        for _ in 0..acknowledged {
            sender.expect("219 400");
        }
        sender.reset();
        // The session has ended when the name is free; then nothing more is kept.
        let mut again = login_when_free(server.addr(), "hans");
        again.send("134 nothing-more");
        again.expect("247 nothing-more");
        let begin = expected;
        again.say(chat, "end");
        loop {
            let push = maria.recv_push();
            if push.message == "end" {
                break;
            }
            assert_eq!(push.message, expected.to_string());
            expected += 1;
        }
        assert!(expected >= begin + acknowledged, "acknowledged, but lost");
        hans = Some(again);
    }
}

/// Media cut off by a reset, on the way in and on the way out: of the one nothing is kept, the
/// other can be fetched again.
#[test]
fn media_cut_off_by_a_reset() {
    let server = TestServer::start();
    let (hans, mut maria, chat) = pair(&server, "hans", "maria");
    let media = "m".repeat(4 << 20);
    // Before its line has ended.
    let mut writer = hans.writer();
    let half = format!("115 {chat} data:,{}", &media[..3 << 20]);
    writer.write_all(half.as_bytes()).expect("write");
    drop(writer);
    hans.reset();
    let mut hans = login_when_free(server.addr(), "hans");
    // Whole, and reset while the server keeps it, part by part. Whether it is kept is not known to
    // the sender; but it is whole or not there.
    hans.send(&format!("115 {chat} \"whole\" data:,{media}"));
    hans.reset();
    let mut hans = login_when_free(server.addr(), "hans");
    hans.send(&format!("115 {chat} \"look\" data:,{media}"));
    hans.expect("219 400");
    let mut ids = Vec::new();
    while ids.last().is_none_or(|(text, _)| text != "\"look\"") {
        let line = maria.recv();
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!((words[0], words.len()), ("220", 5), "{line}");
        ids.push((words[3].to_owned(), words[4].to_owned()));
    }
    assert!(ids.len() <= 2, "{ids:?}");
    for (_, id) in &ids {
        // In mid-stream, with some of it read.
        maria.send(&format!("119 {id}"));
        let begin = maria.recv_raw(1000);
        assert!(begin.starts_with(b"227 400 data:,mmm"));
        maria.reset();
        maria = login_when_free(server.addr(), "maria");
        let whole = loop {
            // What had come only to the machine of the one before may come again.
            maria.send(&format!("119 {id}"));
            let line = maria.recv();
            if !line.starts_with("220 ") {
                break line;
            }
            maria.recv_until("227");
        };
        assert!(whole == format!("227 400 data:,{media}"));
    }
    // Parts without a message do not stay.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(server.database(), flags).expect("open");
    wait_for("loose parts are purged", TIMEOUT, || {
        let loose: i64 = database
            .query_row(
                "SELECT count(*) FROM media_part p JOIN media m ON m.id = p.media_id
                 WHERE m.message_id IS NULL",
                [],
                |row| row.get(0),
            )
            .expect("SELECT");
        (loose == 0).then_some(())
    });
}

/// A connection with the smallest window that the system gives.
fn narrow(server: &TestServer) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    socket.set_recv_buffer_size(1).expect("SO_RCVBUF");
    socket.connect(&server.addr().into()).expect("connect");
    Client::over(socket.into()).expect("a connection")
}

/// Everything in segments of one byte, in both directions, media too: it is the same conversation.
#[test]
fn bytes_that_come_and_go_one_by_one() {
    let server = TestServer::start();
    let (mut hans, maria, chat) = pair(&server, "hans", "maria");
    maria.close();
    let mut maria = narrow(&server);
    maria.login("maria");
    let media = "é".repeat(2000);
    let request = format!("115 {chat} one by one\r\n115 {chat} \"é\" data:,{media}\r\n134 end\r\n");
    let mut writer = hans.writer();
    for byte in request.as_bytes() {
        // Without delay (TCP_NODELAY): a segment each.
        writer.write_all(&[*byte]).expect("write");
    }
    hans.expect("219 400");
    hans.expect("219 400");
    hans.expect("247 end");
    let one = byte_by_byte(&mut maria);
    assert_eq!(Push::parse(&one).expect("a 220").message, "one by one");
    let two = byte_by_byte(&mut maria);
    let words: Vec<&str> = two.split(' ').collect();
    assert_eq!((words[0], words[3], words.len()), ("220", "\"é\"", 5));
    maria.send(&format!("119 {}", words[4]));
    assert_eq!(byte_by_byte(&mut maria), format!("227 400 data:,{media}"));
    // Nobody else has noticed.
    let mut other = register_and_login(&server, "otto");
    other.silent();
    match hans.next(Duration::from_millis(1)) {
        Received::TimedOut => {}
        more => panic!("{more:?}"),
    }
}

/// A line, without its CR LF.
fn byte_by_byte(client: &mut Client) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let byte = client.recv_raw(1);
        assert_eq!(byte.len(), 1, "the line does not end");
        line.extend(byte);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).expect("UTF-8")
}
