//! The table in the code, docs/PROTOCOL.md and the transcripts name the same packets, and the
//! transcripts show every answer that the contract lists.

use crate::support::server::TestServer;
use crate::support::transcript::{self, Action, Step};
use plausch::protocol::row::{Role, Sender};
use plausch::protocol::table::{PACKETS, help_lines};
use std::collections::BTreeSet;

fn steps() -> Vec<Step> {
    let names = transcript::names();
    let transcripts = names.iter().map(|name| transcript::load(name));
    transcripts
        .flat_map(|transcript| transcript.steps)
        .collect()
}

/// The opcodes that lines of these texts start with.
fn opcodes<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeSet<u16> {
    let words = texts.filter_map(|text| text.split_ascii_whitespace().next());
    words.filter_map(|word| word.parse().ok()).collect()
}

fn table(sender: Sender) -> BTreeSet<u16> {
    let rows = PACKETS.iter().filter(|row| row.sender() == sender);
    rows.map(|row| row.number).collect()
}

#[test]
fn the_transcripts_send_every_request() {
    let steps = steps();
    let sent = steps.iter().filter_map(|step| match &step.action {
        Action::Send { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let missing = &table(Sender::Client) - &opcodes(sent);
    assert!(missing.is_empty(), "sent in no transcript: {missing:?}");
}

#[test]
fn the_transcripts_receive_every_answer() {
    let steps = steps();
    let received: Vec<&str> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Expect(expected) => Some(expected.text.as_str()),
            _ => None,
        })
        .collect();
    let wanted = table(Sender::Server);
    let got = opcodes(received.iter().copied());
    assert_eq!(got, wanted, "the transcripts' (left) and the table's");

    for row in PACKETS {
        let Role::Reply { statuses, .. } = row.role else {
            continue;
        };
        if statuses.is_empty() {
            continue;
        }
        let number = row.number;
        let with_status = |text: &str| {
            let (opcode, rest) = text.split_once(' ')?;
            let status = rest.split(' ').next()?;
            (opcode == number.to_string()).then(|| status.parse().ok())?
        };
        let got: BTreeSet<u16> = received.iter().copied().filter_map(with_status).collect();
        let wanted: BTreeSet<u16> = statuses.iter().copied().collect();
        assert_eq!(
            got, wanted,
            "{number} with the transcripts' statuses (left)"
        );
    }
}

#[test]
fn help_lists_every_request() {
    let server = TestServer::with(&["--explain"]);
    let mut client = server.connect();
    client.send("help");
    for line in help_lines() {
        assert_eq!(client.recv(), format!("210 {line}"));
    }
}

/// A packet is described where its number and its name stand in one line.
#[test]
fn the_documentation_describes_every_packet() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROTOCOL.md");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let lines: Vec<BTreeSet<&str>> = text
        .lines()
        .map(|line| line.split(|c| !is_word(c)).collect())
        .collect();
    for line in help_lines() {
        assert!(text.contains(&format!(" 210 {line}\n")), "lacks {line}");
    }
    for row in PACKETS {
        let number = row.number.to_string();
        let described =
            |words: &&BTreeSet<&str>| words.contains(number.as_str()) && words.contains(row.name);
        let found = lines.iter().find(described);
        assert!(
            found.is_some(),
            "docs/PROTOCOL.md lacks {number} {}",
            row.name
        );
    }
}
