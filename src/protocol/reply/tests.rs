//! Section 2 as the server keeps it, and the rows of section 3 and 6.

use super::*;
use crate::protocol::row::Kind;

fn written(packet: &FromServer<'_>) -> String {
    let mut out = Vec::new();
    match packet {
        FromServer::Reply(reply) => reply.format(&mut out),
        FromServer::Push(push) => push.format(&mut out),
    }
    let line = String::from_utf8(out).unwrap();
    line.strip_suffix("\r\n").unwrap().to_owned()
}

fn sended(message: &str, media: Option<i64>) -> FromServer<'_> {
    FromServer::Push(PushPacket::MessageSended {
        chat: 7,
        timestamp: 1_763_862_000_000,
        message: message.into(),
        media,
    })
}

#[test]
fn the_examples_of_the_contract() {
    for (line, reply) in [
        ("220 7 1763862000000 I am 42", sended("I am 42", None)),
        ("220 7 1763862000000 \"I am\" 42", sended("I am", Some(42))),
    ] {
        assert_eq!(written(&reply), line);
        assert_eq!(FromServer::parse(line.as_bytes()), Ok(reply));
    }
    let why = "211 114 ChatDelete: ChatID is not a number";
    let reason = Some("114 ChatDelete: ChatID is not a number".into());
    assert_eq!(
        FromServer::parse(why.as_bytes()),
        Ok(Reply::Invalid {
            reason: reason.clone()
        }
        .into())
    );
    assert_eq!(written(&Reply::Invalid { reason }.into()), why);
    assert_eq!(written(&Reply::Unknown { reason: None }.into()), "210");
}

#[test]
fn a_reply_is_not_searched_for_data_uris() {
    let reply = sended("see data:;base64,###", None);
    assert_eq!(FromServer::parse(written(&reply).as_bytes()), Ok(reply));
}

#[test]
fn history_quotes_as_220_does() {
    let element = |message: &'static str, media| {
        FromServer::Reply(Reply::HistoryElement {
            chat: 7,
            timestamp: 9,
            user: "~hans".into(),
            message: message.into(),
            media,
        })
    };
    for (line, reply) in [
        ("242 7 9 ~hans I am 42", element("I am 42", None)),
        ("242 7 9 ~hans \"I am\" 42", element("I am", Some(42))),
        ("242 7 9 ~hans \"\" 42", element("", Some(42))),
        ("242 7 9 ~hans \"a\\u000ab\"", element("a\nb", None)),
    ] {
        assert_eq!(written(&reply), line);
        assert_eq!(FromServer::parse(line.as_bytes()), Ok(reply));
    }
}

#[test]
fn nothing_a_client_sent_can_forge_a_packet() {
    let forged = "x\r\n220 1 1 forged\u{85}\u{2028}y";
    for reply in [
        sended(forged, None),
        Reply::LoginResponse {
            status: Status::PasswordWrong,
            user: forged.into(),
        }
        .into(),
        Reply::Pong {
            text: Some(forged.into()),
        }
        .into(),
        Reply::MediaResponse {
            status: Status::Ok,
            media: Some(forged.into()),
        }
        .into(),
        FromServer::Push(PushPacket::ConfirmContactAdd {
            user: forged.into(),
        }),
        Reply::Unknown {
            reason: Some(forged.into()),
        }
        .into(),
    ] {
        let line = written(&reply);
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{2028}'),
            "{line}"
        );
        assert_eq!(FromServer::parse(line.as_bytes()), Ok(reply));
    }
    let echo = Reply::LoginResponse {
        status: Status::PasswordWrong,
        user: "a 400".into(),
    };
    assert_eq!(written(&echo.into()), "212 406 \"a 400\"");
}

#[test]
fn every_server_row_in_its_plain_form() {
    for row in PACKETS.iter().filter(|row| row.sender() == Sender::Server) {
        let required = row.values.iter().filter(|field| !field.optional).count();
        for values in [&row.values[..required], row.values] {
            let mut line = row.number.to_string();
            for field in values {
                line += match (field.kind, values.len() > required) {
                    (Kind::Status, _) => " 400",
                    (Kind::Str | Kind::Media, _) => " hans",
                    (Kind::Text, _) => " a reason 42",
                    (Kind::Message, true) => " \"some text\"",
                    (Kind::Message, false) => " some text 42",
                    _ => " 1",
                };
            }
            let packet = FromServer::parse(line.as_bytes()).unwrap();
            assert!(format!("{packet:?}").contains(&format!("{} {}", row.number, row.name)));
            assert_eq!(written(&packet), line);
        }
    }
}

#[test]
fn what_is_no_reply_is_refused() {
    assert_eq!(FromServer::parse(b"  "), Err(Refusal::Blank));
    for line in ["110 a b", "100 a b", "999", "999 some\ttext", "x", "0211"] {
        let result = FromServer::parse(line.as_bytes());
        assert!(
            matches!(result, Err(Refusal::Unknown(_))),
            "{line}: {result:?}"
        );
    }
    for line in [
        "212 400",
        "212 399 a",
        "212 \"400\" a",
        "212 0400 a",
        "214 -1",
        "214 01",
        "216 1",
        "220 7 1",
        "220 7 1 \"a\" b",
        "220 7 1 \"a\" 1 2",
        "225 a",
        "211 a\u{1}",
    ] {
        let result = FromServer::parse(line.as_bytes());
        assert!(
            matches!(result, Err(Refusal::Invalid(_))),
            "{line}: {result:?}"
        );
    }
}

#[test]
fn debug_shows_names_codes_and_ids_only() {
    assert_eq!(
        format!("{:?}", sended("geheim", None)),
        "Push(220 MessageSended 7 1763862000000)"
    );
    let media = Reply::MediaResponse {
        status: Status::Ok,
        media: Some("geheim".into()),
    };
    assert_eq!(format!("{media:?}"), "227 MediaResponse 400");
}

#[test]
fn a_status_alone_goes_into_the_reply_that_may_have_it() {
    for row in PACKETS.iter().filter(|row| row.needs_login()) {
        let reply = Reply::of_status(row, Status::ClientNotLoggedIn);
        // The table has no packet that could say it for 112.
        assert_eq!(reply.is_none(), row.number == 112, "{row}");
        assert!(reply.is_none_or(|reply| reply.to() == Some(row.number)));
    }
}
