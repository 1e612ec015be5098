//! What holds for every text and every bytes: nothing panics, everything survives the way over
//! the wire, and how bytes are split into reads changes nothing.

use proptest::prelude::*;
use proptest::sample::select;

use super::{Event, Foreign, FromServer, Limits, LineDecoder, PushPacket, Reply, Request, Status};
use crate::protocol::line::PLAIN_LIMIT;
use crate::protocol::line::tests::{Seen, feed};
use crate::protocol::row::{Kind, Role, Row, Sender};
use crate::protocol::table::PACKETS;
use crate::protocol::value::{VALUES_MAX, Value, Values};

const LIMITS: Limits = Limits { media: 4096 };

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Pieces that matter to somebody: separators, quotes, escapes, look-alikes of every value form.
fn piece() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        " ",
        "  ",
        "\"",
        "\\",
        "\\u0000",
        "\\n",
        "/",
        "{\"a\":[1]}",
        "null",
        "42",
        "-1",
        "😀",
        "👩‍👩‍👧",
        "ü",
        "e\u{301}",
        "data:,",
        "data:;base64,",
        "DATA:x;BASE64,aGk=",
        "data:image/png;base64,###",
        "220 7 1 hi",
        "«",
        "\u{ad}",
        "\u{a0}",
        "\u{2027}",
        "\u{202a}",
        "\u{feff}",
    ]);
    prop_oneof![
        3 => fixed.prop_map(str::to_owned),
        1 => "[a-z]{1,8}",
        1 => any::<char>().prop_filter("no control character", |c| !c.is_control()).prop_map(String::from),
    ]
}

/// Text without control characters, as a client may send in any Str.
fn plain() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..6).prop_map(|pieces| pieces.concat())
}

/// Text with control characters (never NUL), as Message and Media may hold.
fn text() -> impl Strategy<Value = String> {
    let control = select(vec![
        "\n", "\r\n", "\t", "\u{1}", "\u{8}", "\u{1b}", "\u{7f}", "\u{80}", "\u{85}", "\u{9f}",
        "\u{2028}", "\u{2029}",
    ]);
    let part = prop_oneof![3 => piece(), 1 => control.prop_map(str::to_owned)];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

/// A value of this kind. What the server says may be any text.
fn value(row: &'static Row, kind: Kind, optional: bool) -> BoxedStrategy<Value<'static>> {
    let texts = |texts: BoxedStrategy<String>| {
        let value = texts.prop_map(|text| Value::Text(text.into()));
        value.boxed()
    };
    let given = match (kind, row.role) {
        (Kind::Long, _) => any::<i64>().prop_map(Value::Long).boxed(),
        (Kind::Int, _) => any::<u64>().prop_map(Value::Int).boxed(),
        (Kind::Count, _) => (1..=1000u64).prop_map(Value::Int).boxed(),
        (Kind::Status, Role::Reply { statuses, .. }) => {
            let status = |code| Value::Status(Status::from_code(code).unwrap());
            select(statuses).prop_map(status).boxed()
        }
        (Kind::Email, _) => {
            let email = "[a-zü \"\\\\]{0,5}[a-z]@[a-z]\\PC{0,5}";
            texts(
                email
                    .prop_filter("one @", |email| email.matches('@').count() == 1)
                    .boxed(),
            )
        }
        (Kind::Gender, _) => texts("\\PC{1,32}".boxed()),
        (Kind::Media, Role::Request { .. }) => texts(
            text()
                .prop_filter("not empty", |text| !text.is_empty())
                .boxed(),
        ),
        (Kind::Str | Kind::Secret, Role::Request { .. }) => texts(plain().boxed()),
        _ => texts(text().boxed()),
    };
    match optional {
        true => prop_oneof![given, Just(Value::Absent)].boxed(),
        false => given,
    }
}

/// A row of these and values for it.
fn packet(sender: Sender) -> impl Strategy<Value = (&'static Row, Values<'static>)> {
    let rows: Vec<&Row> = PACKETS
        .iter()
        .filter(|row| row.sender() == sender)
        .collect();
    select(rows).prop_flat_map(|row| {
        let fields = row.values.iter();
        let values: Vec<_> = fields
            .map(|field| value(row, field.kind, field.optional))
            .collect();
        values.prop_map(move |mut values| {
            values.resize(VALUES_MAX, Value::Absent);
            (row, values.try_into().unwrap())
        })
    })
}

fn request() -> impl Strategy<Value = Request<'static>> {
    let made = packet(Sender::Client).prop_map(|(row, values)| Request::of(row, values).unwrap());
    made.prop_filter("a message or media", |request| match request {
        Request::MessageSend { message, media, .. } => !message.is_empty() || media.is_some(),
        _ => true,
    })
}

fn from_server() -> impl Strategy<Value = FromServer<'static>> {
    packet(Sender::Server).prop_map(|(row, values)| match row.role {
        Role::Push => FromServer::Push(PushPacket::of(row, values).unwrap()),
        _ => FromServer::Reply(Reply::of(row, values).unwrap()),
    })
}

fn written(packet: &FromServer<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match packet {
        FromServer::Reply(reply) => reply.format(&mut bytes),
        FromServer::Push(push) => push.format(&mut bytes),
    }
    bytes
}

/// The line that a peer's decoder makes of a formatted packet.
fn over_the_wire(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = LineDecoder::new();
    let step = decoder.step(bytes, LIMITS.line());
    let Some(Event::Line(line)) = step.event else {
        panic!("{:?}: {:?}", String::from_utf8_lossy(bytes), step.event)
    };
    assert_eq!(step.used, bytes.len());
    line.to_vec()
}

/// Bytes in which everything that the decoder knows is frequent.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let fixed = select(vec![
        b"\n".as_slice(),
        b"\r\n",
        b"\r",
        b"\r\0",
        b"\0",
        b"\xff",
        b"\xff\xff",
        b"\xff\xfd\x06",
        b"\xff\xfb\x1f",
        b"\xff\xfb\x00",
        b"\xff\xec",
        b"GET / HTTP/1.1",
        b" HTTP/1.1",
        b"/",
        b"\xff\xfa",
        b"\xff\xf0",
        b"\xff\xf1",
        b"\x08",
        b"\x7f",
        b"\xef\xbb\xbf",
        b"\xef\xbb",
        b"\\",
        b"\\u0001",
        "ü".as_bytes(),
        "😀".as_bytes(),
        b"\x80",
        b"\xc2",
        b"115 7 ",
        b"\"",
        b"\t",
    ]);
    let part = prop_oneof![
        4 => fixed.prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..12),
        1 => "[a-z ]{1,12}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

/// What a server's decoder makes of the chunks.
fn events(chunks: &[&[u8]], limit: usize) -> Vec<Seen> {
    let mut decoder = LineDecoder::wary();
    let parts = chunks.iter();
    parts
        .flat_map(|chunk| feed(&mut decoder, chunk, limit))
        .collect()
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn every_request_survives_format_and_parse(request in request()) {
        let mut bytes = Vec::new();
        request.format(&mut bytes);
        let line = over_the_wire(&bytes);
        let parsed = Request::parse(&line, &LIMITS);
        prop_assert!(parsed.as_ref() == Ok(&request), "{:?}: {:?}", String::from_utf8_lossy(&line), parsed);
    }

    #[test]
    fn what_the_server_says_survives_format_and_parse(reply in from_server()) {
        let line = over_the_wire(&written(&reply));
        let parsed = FromServer::parse(&line);
        prop_assert!(parsed.as_ref() == Ok(&reply), "{:?}: {:?}", String::from_utf8_lossy(&line), parsed);
    }

    /// Bare or quoted, what a user sends arrives as the same text through 220 and 242.
    #[test]
    fn messages_arrive_as_they_were_sent(
        message in text(),
        quoted in any::<bool>(),
        id in prop::option::of(any::<i64>()),
    ) {
        let form = if quoted { serde_json::to_string(&message).unwrap() } else { message };
        let sent = format!("115 7 {form}");
        // A bare form may be no packet; then there is nothing to deliver.
        if let Ok(Request::MessageSend { message, media, .. }) = Request::parse(sent.as_bytes(), &LIMITS) {
            let media = media.map(|_| id.unwrap_or(1));
            let (chat, timestamp) = (7, 1_763_862_000_000);
            for reply in [
                FromServer::Push(PushPacket::MessageSended { chat, timestamp, message: message.clone(), media }),
                Reply::HistoryElement { chat, timestamp, user: "hans".into(), message, media }.into(),
            ] {
                let line = over_the_wire(&written(&reply));
                prop_assert!(FromServer::parse(&line) == Ok(reply), "{:?}", String::from_utf8_lossy(&line));
            }
        }
    }

    #[test]
    fn no_line_panics_the_parsers(bytes in stream(), number in select(PACKETS), known in any::<bool>()) {
        let mut line = if known { format!("{} ", number.number).into_bytes() } else { Vec::new() };
        line.extend(bytes);
        let _ = Request::parse(&line, &LIMITS);
        let _ = FromServer::parse(&line);
    }

    /// What is read and written again is read the same: no line has two meanings.
    #[test]
    fn a_line_that_parses_is_written_as_what_it_means(text in text(), row in select(PACKETS)) {
        let line = format!("{} {text}", row.number);
        if let Ok(request) = Request::parse(line.as_bytes(), &LIMITS) {
            let mut bytes = Vec::new();
            request.format(&mut bytes);
            prop_assert!(Request::parse(&over_the_wire(&bytes), &LIMITS) == Ok(request), "{line:?}");
        }
        if let Ok(reply) = FromServer::parse(line.as_bytes()) {
            prop_assert!(FromServer::parse(&over_the_wire(&written(&reply))) == Ok(reply), "{line:?}");
        }
    }

    /// Whatever a browser sends ahead of a page's text, in whatever pieces, none of that text
    /// becomes a line.
    #[test]
    fn nothing_behind_http_is_a_line(
        method in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}",
        path in "/[!-~]{0,40}",
        version in select(vec!["HTTP/1.0", "HTTP/1.1", "HTTP/2.0"]),
        body in stream(),
        part in 1..50usize,
        limit in select(vec![16, 40, 4096]),
    ) {
        let head = format!("{method} {path} {version}\r\nHost: x\r\n\r\n");
        let bytes = [head.as_bytes(), &body].concat();
        let parts: Vec<&[u8]> = bytes.chunks(part).collect();
        let seen = events(&parts, limit);
        let foreign = seen.iter().position(|came| *came == Seen::Foreign(Foreign::Http));
        prop_assert!(foreign.is_some_and(|at| seen[..at].iter().all(|c| *c == Seen::TooLong)));
    }

    /// No answer can be asked for without end: but for TIMING-MARK, each comes once.
    #[test]
    fn each_option_is_answered_once(options in prop::collection::vec((0xfb..=0xfeu8, any::<u8>()), 0..600)) {
        let bytes: Vec<u8> = options.iter().flat_map(|&(verb, option)| [0xff, verb, option]).collect();
        let mut once = std::collections::HashSet::new();
        for came in events(&[&bytes], 100) {
            let Seen::Answer(answer) = came else {
                panic!("{came:?}")
            };
            for command in answer.chunks(3) {
                prop_assert!(once.insert(command.to_vec()) || command == [0xff, 0xfc, 6]);
            }
        }
    }

    #[test]
    fn the_split_of_a_stream_changes_nothing(
        bytes in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        limit in select(vec![0, 1, 2, 5, 20, 100, 4096]),
    ) {
        let whole = events(&[&bytes], limit);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&events(&single, limit), &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut from = 0;
        for cut in cuts {
            parts.push(&bytes[from..cut]);
            from = cut;
        }
        parts.push(&bytes[from..]);
        prop_assert_eq!(&events(&parts, limit), &whole);
    }
}

proptest! {
    #![proptest_config(config(60))]

    /// The same above the plain limit, where backslashes make room.
    #[test]
    fn the_split_of_long_lines_changes_nothing(
        runs in prop::collection::vec((select(vec!["x", "\\", "\\u0001", "\r", "\0", "\u{8}", "\n"]), 0..3000usize), 1..12),
        part in 1..5000usize,
    ) {
        let bytes: Vec<u8> = runs.iter().flat_map(|(text, times)| text.repeat(*times).into_bytes()).collect();
        let limit = PLAIN_LIMIT + 1;
        let whole = events(&[&bytes], limit);
        let parts: Vec<&[u8]> = bytes.chunks(part).collect();
        prop_assert!(events(&parts, limit) == whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert!(events(&single, limit) == whole);
    }
}
