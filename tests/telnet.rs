//! People with telnet, and pages in browsers: what cannot be said line by line in `transcripts`
//! (`telnet`, `line_ends` and `other_protocols`).

use crate::support::client::{Client, TIMEOUT};
use crate::support::people::{Push, pair};
use crate::support::server::TestServer;
use std::time::Duration;

const IAC: u8 = 255;

/// A page tries again and again: nothing of it happens, and the log is no way to fill a disk.
#[test]
fn a_page_leaves_one_log_line() {
    let server = TestServer::start();
    for number in 0..30 {
        let mut page = server.connect();
        let body = format!("117 page{number} geheim-12345 p@example.org m\n").repeat(500);
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n\r\n{body}");
        page.send_raw_if_open(request.as_bytes());
        page.closed();
    }
    let line = server.wait_for_log("it began like HTTP", TIMEOUT);
    assert!(line.contains("from 127.0.0.1"), "{line}");
    // A connection that was served last of all, so nothing is still to be logged.
    let mut client = server.connect();
    assert!(client.ask("110 page0 geheim-12345").starts_with("212 406"));
    let log = server.log();
    let lines = log.iter().filter(|line| line.contains("like HTTP"));
    assert!(lines.count() <= 7, "one in ten seconds: {log:?}");
    assert!(!log.iter().any(|line| line.contains("page")), "{log:?}");
}

/// The reasons that a person with telnet needs.
#[test]
fn explain_names_the_cure() {
    let server = TestServer::with(&["--explain"]);
    let mut client = server.connect();
    let mut reason = |bytes: &[u8]| {
        client.send_raw(bytes);
        client.recv()
    };
    // What GNU telnet sends for Å.
    assert!(reason(b"134 \xc3\r\n").contains("toggle outbinary"));
    let ends = "LF, CR LF or CR NUL";
    assert!(reason(b"134 a\r134 b\r\n").contains(ends));
    assert!(!reason(b"134 \x01\r\n").contains(ends));
    assert!(!reason(&[b"134 ", "x".repeat(5000).as_bytes(), b"\n"].concat()).contains(ends));
    // Who has never ended a line learns of it when it has become too long.
    let mut endless = server.connect();
    endless.send_raw(&b"134 a\r".repeat(1000));
    assert!(endless.recv().contains(ends));
}

/// Who sends CR alone waits for ever, and learns why when his time is over.
#[test]
fn the_end_of_the_grace_says_what_was_missing() {
    let server = TestServer::with(&["--login-grace", "1", "--explain"]);
    let mut mac = server.connect();
    mac.send_raw(b"134 hi\r134 ho\r");
    let mut quiet = server.connect();
    let mut partial = server.connect();
    partial.send_raw(b"134 hi");
    let mut ended = server.connect();
    ended.send_raw(b"134 hi\n134 ho\r");
    ended.expect("247 hi");
    let lines = mac.recv_to_end();
    assert!(
        matches!(&lines[..], [line] if line.starts_with("211 ") && line.contains("CR NUL")),
        "{lines:?}"
    );
    for client in [&mut quiet, &mut partial, &mut ended] {
        client.closed();
    }

    let server = TestServer::with(&["--login-grace", "1"]);
    let mut mac = server.connect();
    mac.send_raw(b"134 hi\r");
    mac.closed();
    server.wait_for_log("a CR and no line end", TIMEOUT);
}

/// What is left of the bytes without telnet's commands, and how many of those there were.
fn without_commands(bytes: &[u8]) -> (Vec<u8>, usize) {
    let (mut text, mut commands) = (Vec::new(), 0);
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == IAC {
            // Between lines only.
            assert!(text.is_empty() || text.ends_with(b"\r\n"));
            assert!(matches!(bytes[at + 1], 251..=254), "a verb");
            commands += 1;
            at += 3;
        } else {
            text.push(bytes[at]);
            at += 1;
        }
    }
    (text, commands)
}

/// Answers to commands are written like replies: never within a line, a push or a reply of several
/// packets, and a flood of options is answered once.
#[test]
fn answers_keep_out_of_pushes_and_lists() {
    const MESSAGES: usize = 400;
    const MARKS: usize = 200;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let text = "x".repeat(2000);
    for number in 0..20 {
        hans.say(chat, &format!("{number} {text}"));
        maria.recv_push();
    }
    // Maria asks for lists and for telnet's options by turns, while Hans writes to her.
    let writer = maria.writer();
    let asker = std::thread::spawn(move || {
        let mut client = Client::with(writer);
        let mut ask = Vec::new();
        for round in 0..MARKS {
            for option in 0..=255 {
                ask.extend([IAC, 251 + (round % 4) as u8, option]);
            }
            ask.extend(format!("130 {chat} 0 20\r\n").bytes());
            ask.extend([IAC, 253, 6]);
        }
        ask.extend(b"134 end\r\n");
        client.send_raw(&ask);
    });
    let sender = std::thread::spawn(move || {
        hans.say_all(chat, (0..MESSAGES).map(|number| format!("say {number}")));
        hans
    });
    let mut bytes = Vec::new();
    let (mut pushes, mut ended) = (0, false);
    while pushes < MESSAGES || !ended {
        let more = maria.recv_raw(1);
        assert!(!more.is_empty(), "the end of the connection");
        bytes.extend(more);
        if bytes.ends_with(b"\n") {
            let line = &bytes[bytes[..bytes.len() - 1]
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |at| at + 1)..];
            pushes += usize::from(
                line.windows(5).any(|w| w == b" say ") && line.windows(4).any(|w| w == b"220 "),
            );
            ended |= line.ends_with(b"247 end\r\n");
        }
    }
    asker.join().expect("the asker");
    let _hans = sender.join().expect("the sender");
    let (text, commands) = without_commands(&bytes);
    let text = String::from_utf8(text).expect("UTF-8");
    let (mut inside, mut lists) = (false, 0);
    for line in text.lines() {
        match &line[..3] {
            "240" => inside = true,
            "241" | "242" => assert!(inside),
            "243" => (inside, lists) = (false, lists + 1),
            "220" => {
                assert!(!inside, "a push within a list");
                Push::parse(line).expect("a push");
            }
            _ => assert_eq!(line, "247 end"),
        }
    }
    assert_eq!(lists, MARKS);
    // All WILL and DO once, among them TIMING-MARK; each further TIMING-MARK: MARKS behind the
    // lists, and one of each round of DO. DO BINARY once, by WILL or with the first mark.
    assert_eq!(commands, 2 * 256 - 1 + MARKS + MARKS / 4);
    drop(maria);
}

/// `IAC EOF` behind much output: all of it arrives although input is left unread.
#[test]
fn eof_loses_nothing_of_the_answers() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.timeout = Duration::from_secs(30);
    let asked: String = (0..500).map(|n| format!("134 {n}\r\n")).collect();
    let behind = b"134 behind\r\n".repeat(2000);
    client.send_raw_if_open(&[asked.as_bytes(), &[IAC, 236], &behind].concat());
    let lines = client.recv_to_end();
    let expected: Vec<String> = (0..500).map(|n| format!("247 {n}")).collect();
    assert_eq!(lines, expected);
}
