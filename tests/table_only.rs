//! A client that knows the table alone: whatever it sends, right or wrong, it never meets a number
//! that the table does not have.

use crate::support::client::Client;
use crate::support::people::PASSWORD;
use crate::support::server::TestServer;
use plausch::protocol::row::{Kind, Row, Sender};
use plausch::protocol::table::{PACKETS, row};
use std::collections::BTreeSet;

/// The seed table's part of the rows: requests of our own are from 130 on, their replies from 240.
fn table() -> impl Iterator<Item = &'static Row> {
    let rows = PACKETS.iter();
    rows.filter(|row| (..130).contains(&row.number) || (210..240).contains(&row.number))
}

fn numbers(sender: Sender) -> BTreeSet<u16> {
    let rows = table().filter(|row| row.sender() == sender);
    rows.map(|row| row.number).collect()
}

/// The packets whose first value is a status.
fn with_status() -> impl Iterator<Item = u16> {
    let has_status = |row: &&Row| {
        row.values
            .first()
            .is_some_and(|field| field.kind == Kind::Status)
    };
    table().filter(has_status).map(|row| row.number)
}

/// The statuses that the table has.
const STATUSES: std::ops::RangeInclusive<u16> = 400..=412;

/// What was seen: numbers, and statuses of the packets that have one.
#[derive(Default)]
struct Seen {
    sent: BTreeSet<u16>,
    packets: BTreeSet<u16>,
    statuses: BTreeSet<(u16, u16)>,
}

impl Seen {
    /// Checks a line against the table.
    fn note(&mut self, line: &str) {
        let mut words = line.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u16>().ok());
        let packet = number().unwrap_or_else(|| panic!("no packet: `{line}`"));
        assert!(
            numbers(Sender::Server).contains(&packet),
            "not in the table: `{line}`"
        );
        self.packets.insert(packet);
        if with_status().any(|number| number == packet) {
            let status = number().unwrap_or_else(|| panic!("no status: `{line}`"));
            assert!(STATUSES.contains(&status), "not in the table: `{line}`");
            self.statuses.insert((packet, status));
        }
    }

    /// Sends a line and takes all that comes up to and with a line that starts with `last`.
    fn talk(&mut self, client: &mut Client, line: &str, last: &str) -> Vec<String> {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        self.sent.extend(word.parse::<u16>());
        client.send(line);
        self.hear(client, last)
    }

    fn hear(&mut self, client: &mut Client, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = client.recv();
            self.note(&line);
            let done = line.starts_with(last);
            lines.push(line);
            if done {
                return lines;
            }
        }
    }
}

/// Every request without its values, with one too many, and with values of a wrong form.
fn malformed() -> Vec<String> {
    let mut lines = Vec::new();
    for number in numbers(Sender::Client) {
        // A Logout with nothing behind it would be one.
        if number != 111 {
            lines.push(number.to_string());
        }
        for values in [
            " x",
            " \"",
            " \"x",
            " 1 2 3 4 5 6",
            " \"a\" \"b\" \"c\" \"d\" \"e\" \"f\"",
            " 99999999999999999999",
            " \u{1}",
            " \\ud800",
            " \"\\ud800\"",
        ] {
            lines.push(format!("{number}{values}"));
        }
    }
    // Numbers that the table lacks, or has for the server only, and what is no number at all.
    let unknown = |number: &u16| row(*number).is_none_or(|row| row.sender() == Sender::Server);
    lines.extend((0..300).filter(unknown).map(|number| number.to_string()));
    lines.extend(["116", "hello", "0110 x y", "-1", "+110", "help", "999999"].map(str::to_owned));
    lines.push(format!("115 1 {}", "x".repeat(8193)));
    lines
}

#[test]
fn a_session_of_the_table_alone() {
    for options in [&[][..], &["--explain"]] {
        walk(options);
    }
}

fn walk(options: &[&str]) {
    let server = TestServer::with(options);
    let [mut hans, mut maria, mut otto] = std::array::from_fn(|_| server.connect());
    let mut seen = Seen::default();
    let s = &mut seen;

    // Before any login, everything that is there is refused in its own way.
    for (line, answer) in [
        ("111", "213 407"),
        ("112", "211"),
        ("113 maria", "217 407"),
        ("114 1", "218 407"),
        ("115 1 hello", "219 407"),
        ("115 1 \"hello\" data:,x", "219 407"),
        ("118", "223 407"),
        ("119 1", "227 407"),
        ("120", "228 407"),
        ("121 maria", "232 407"),
        ("110 hans wrong-password", "212 406"),
        ("117 ha!ns geheim-12345 a@b m", "222 401"),
        ("117 hans short a@b m", "222 402"),
        ("117 hans geheim-12345 nowhere m", "211"),
    ] {
        s.talk(&mut hans, line, answer);
    }
    nonsense(s, &mut hans);

    for (client, name) in [
        (&mut hans, "hans"),
        (&mut maria, "maria"),
        (&mut otto, "otto"),
    ] {
        let register = format!("117 {name} {PASSWORD} {name}@example.org m");
        s.talk(client, &register, "222 400");
        s.talk(client, &register, "222 403");
        s.talk(client, &format!("100 {name} {PASSWORD}"), "212 400");
        s.talk(client, &format!("110 {name} {PASSWORD}"), "212 404");
        s.talk(client, &register, "222 404");
    }
    let mut second = server.connect();
    s.talk(&mut second, &format!("110 hans {PASSWORD}"), "212 405");

    // Contacts.
    s.talk(&mut hans, "120", "231");
    s.talk(&mut hans, "121 nobody", "232 410");
    s.talk(&mut hans, "121 hans", "232 410");
    s.talk(&mut hans, "113 nobody", "217 410");
    s.talk(&mut hans, "113 maria", "217 411");
    s.talk(&mut hans, "121 maria", "232 400");
    s.hear(&mut maria, "233 hans");
    s.talk(&mut maria, "121 hans", "232 400");
    s.hear(&mut hans, "233 maria");
    s.talk(&mut hans, "118", "226");

    // A chat, messages, media.
    s.talk(&mut hans, "113 maria", "217 400");
    s.talk(&mut hans, "113 maria", "217 400");
    let chats = s.talk(&mut hans, "112", "216");
    let chat = chats[1].split(' ').nth(1).expect("a ChatID").to_owned();
    s.talk(&mut hans, &format!("115 {chat} hello maria"), "219 400");
    s.hear(&mut maria, "220");
    let picture = format!("115 {chat} \"look\" data:image/png;base64,iVBORw0KGgo=");
    s.talk(&mut maria, &picture, "219 400");
    let push = s.hear(&mut hans, "220").pop().expect("a push");
    let media = push.rsplit(' ').next().expect("a MediaID").to_owned();
    s.talk(&mut hans, &format!("119 {media}"), "227 400");
    s.talk(&mut hans, "119 99999", "227 412");
    s.talk(&mut hans, "115 99999 hello", "219 408");
    s.talk(&mut hans, "114 99999", "218 408");
    s.talk(&mut otto, &format!("119 {media}"), "227 409");
    s.talk(&mut otto, &format!("115 {chat} hello"), "219 409");
    s.talk(&mut otto, &format!("114 {chat}"), "218 409");
    nonsense(s, &mut hans);

    // What was missed comes at the next login; a closed connection and a logout are both an end.
    s.talk(&mut maria, "111", "213 400");
    s.talk(&mut maria, "111", "213 407");
    s.talk(&mut hans, &format!("115 {chat} are you there?"), "219 400");
    s.talk(&mut otto, "121 maria", "232 400");
    s.talk(&mut maria, &format!("110 maria {PASSWORD}"), "212 400");
    s.hear(&mut maria, "220");
    hans.close();
    s.talk(&mut maria, &format!("115 {chat} and you?"), "219 400");
    s.talk(&mut second, &format!("110 hans {PASSWORD}"), "212 400");
    s.hear(&mut second, "220");
    s.talk(&mut second, &format!("114 {chat}"), "218 400");
    s.talk(&mut second, "112", "216");
    s.talk(&mut maria, &format!("115 {chat} back again"), "219 400");
    s.hear(&mut second, "220");

    // And to the very end: what is still on its way when a client sends nothing more.
    for mut client in [second, maria, otto] {
        client.shutdown_write();
        for line in client.recv_to_end() {
            s.note(&line);
        }
    }

    assert_eq!(
        seen.packets,
        numbers(Sender::Server),
        "seen (left), and what the table has"
    );
    let unsent = &numbers(Sender::Client) - &seen.sent;
    assert!(unsent.is_empty(), "never sent: {unsent:?}");
    for number in with_status() {
        let statuses = seen.statuses.range((number, 0)..=(number, u16::MAX));
        assert!(statuses.count() >= 2, "{number} with one status only");
    }
}

/// Sends all that is malformed, and checks whatever comes: a 210 or 211 for each line, or a reply where
/// the line means something after all.
fn nonsense(seen: &mut Seen, client: &mut Client) {
    let lines = malformed();
    client.send_lines(&lines);
    // Ends the answers: nothing else here is about media.
    let answers = seen.talk(client, "119 987654321", "227 4");
    assert!(answers.len() > lines.len(), "{} answers", answers.len());
}
