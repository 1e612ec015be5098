//! What must hold for any bytes that a client may send, up to the typed request; shared by the
//! fuzz target and by the test that replays its corpus.

use super::protocol::line::PLAIN_LIMIT;
use super::protocol::{
    Event, FromServer, Limits, LineDecoder, PushPacket, Refusal, Reply, Request, Status,
};

/// Small, so that a fuzzer reaches what is beyond it.
const LIMITS: Limits = Limits { media: 256 };

/// The first byte says where the bytes behind it are split and whether the limit is the one of
/// before login. Panics if something does not hold.
pub fn check(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let limit = match choice & 1 {
        0 => PLAIN_LIMIT,
        _ => LIMITS.line(),
    };
    let whole = decode(bytes, limit, usize::MAX);
    // One byte at a time, or a few.
    let split = decode(bytes, limit, 1 + usize::from(choice >> 1));
    assert!(
        whole == split,
        "how the bytes are split changes what they are"
    );
    for line in whole.into_iter().flatten() {
        check_line(&line);
    }
}

/// The lines; `None` for one that is too long. Other events are kept in order as lines that no
/// line can be.
fn decode(bytes: &[u8], limit: usize, chunk: usize) -> Vec<Option<Vec<u8>>> {
    let mut decoder = LineDecoder::wary();
    let mut found = Vec::new();
    let mut answered = 0;
    for mut chunk in bytes.chunks(chunk.min(bytes.len()).max(1)) {
        while !chunk.is_empty() {
            let step = decoder.step(chunk, limit);
            let none = step.event.is_none();
            match step.event {
                None => assert!(step.used == chunk.len()),
                Some(Event::Line(line)) => {
                    assert!(line.len() <= most(limit));
                    assert!(!line.contains(&b'\n'));
                    found.push(Some(line.to_vec()));
                }
                Some(Event::TooLong) => found.push(None),
                Some(Event::NoMemory) => panic!("no memory"),
                Some(Event::Answer(answer)) => {
                    answered += usize::from(answer.bytes() != [255, 252, 6]);
                    found.push(Some([b"\n", answer.bytes()].concat()));
                }
                Some(Event::EndOfInput) => found.push(Some(b"\nend".to_vec())),
                Some(Event::Foreign(_)) => found.push(Some(b"\nforeign".to_vec())),
            }
            let used = step.used;
            assert!(
                used > 0 || !none,
                "nothing was taken, and nothing came of it"
            );
            // Each option once in each direction: no flood of answers.
            assert!(answered <= 512);
            // A CR may wait for what makes it the end beyond the limit.
            assert!(decoder.buffered() <= most(limit) + 1);
            chunk = &chunk[used..];
        }
    }
    found
}

/// A backslash makes room for five bytes more, where media are allowed.
fn most(limit: usize) -> usize {
    if limit <= PLAIN_LIMIT {
        limit
    } else {
        6 * limit
    }
}

fn check_line(line: &[u8]) {
    let mut request = match Request::parse(line, &LIMITS) {
        Ok(request) => request,
        Err(Refusal::Blank) => return assert!(line.iter().all(|&byte| byte == b' ')),
        Err(refusal) => {
            let reason = refusal.reason().expect("a reason");
            return assert!(one_line(format!("210 {reason}\r\n").as_bytes()));
        }
    };
    // It survives the way over the wire.
    let mut bytes = Vec::new();
    request.format(&mut bytes);
    assert!(one_line(&bytes));
    let again = Request::parse(&bytes[..bytes.len() - 2], &LIMITS);
    assert!(again.as_ref() == Ok(&request));
    // What others are sent because of it is one line, and says the same.
    for packet in from_server(&request) {
        let mut bytes = Vec::new();
        match &packet {
            FromServer::Reply(reply) => reply.format(&mut bytes),
            FromServer::Push(push) => push.format(&mut bytes),
        }
        assert!(one_line(&bytes), "a client can forge a packet");
        assert!(FromServer::parse(&bytes[..bytes.len() - 2]) == Ok(packet));
    }
    // No password is shown, and none is left.
    let shown = format!("{request:?}");
    let had = request.has_password();
    request.wipe();
    let mut secrets = 0;
    request.each_secret(|secret| {
        assert!(secret.is_empty());
        secrets += 1;
    });
    assert!(had == (secrets > 0));
    assert!(shown == format!("{request:?}"));
}

/// What the server sends of what it was sent.
fn from_server<'a>(request: &'a Request<'_>) -> Vec<FromServer<'a>> {
    match request {
        Request::MessageSend {
            chat,
            message,
            media,
        } => {
            let mut packets = vec![FromServer::Push(PushPacket::MessageSended {
                chat: *chat,
                timestamp: 1,
                message: message.as_ref().into(),
                media: media.is_some().then_some(7),
            })];
            packets.extend(media.as_deref().map(|media| {
                FromServer::Reply(Reply::MediaResponse {
                    status: Status::Ok,
                    media: Some(media.into()),
                })
            }));
            packets
        }
        Request::Login { user, .. } => vec![FromServer::Reply(Reply::LoginResponse {
            status: Status::PasswordWrong,
            user: user.as_ref().into(),
        })],
        Request::Ping { text } => vec![FromServer::Reply(Reply::Pong {
            text: text.as_deref().map(Into::into),
        })],
        _ => Vec::new(),
    }
}

/// One line, with its CR LF, and no control character in it but TAB.
fn one_line(bytes: &[u8]) -> bool {
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        return false;
    };
    std::str::from_utf8(line).is_ok_and(|text| text.chars().all(|c| c == '\t' || !c.is_control()))
}
