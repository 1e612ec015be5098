//! Sections 1 to 3 and 6 of the contract, as far as a line alone decides.

use std::borrow::Cow;

use super::*;
use crate::protocol::table::PACKETS;

const LIMITS: Limits = Limits { media: 10_000 };

fn parse(line: &str) -> Request<'_> {
    Request::parse(line.as_bytes(), &LIMITS).unwrap_or_else(|refusal| panic!("{line}: {refusal:?}"))
}

fn send<'a>(message: &'a str, media: Option<&'a str>) -> Request<'a> {
    Request::MessageSend {
        chat: 7,
        message: message.into(),
        media: media.map(Cow::from),
    }
}

/// The reason for which the line is refused with `211`.
fn invalid(line: impl AsRef<[u8]>) -> String {
    let line = line.as_ref();
    match Request::parse(line, &LIMITS) {
        Err(Refusal::Invalid(reason) | Refusal::TooLong(reason)) => reason.into_owned(),
        other => panic!("{}: {other:?}", String::from_utf8_lossy(line)),
    }
}

fn unknown(line: &str) {
    let result = Request::parse(line.as_bytes(), &LIMITS);
    assert!(
        matches!(result, Err(Refusal::Unknown(_))),
        "{line}: {result:?}"
    );
}

#[test]
fn the_examples_of_the_table_and_the_contract() {
    let login = Request::Login {
        user: "hans".into(),
        password: "meinPasswort123".into(),
    };
    assert_eq!(parse("100 hans meinPasswort123"), login);
    assert_eq!(parse("110 hans meinPasswort123"), login);
    let sentence = send("hello world, see you at 8", None);
    assert_eq!(parse("115 7 hello world, see you at 8"), sentence);
    assert_eq!(
        parse("115 7 \"look at this\" xyz"),
        send("look at this", Some("xyz"))
    );
    assert_eq!(parse("115 7 \"Hello\" Bob"), send("Hello", Some("Bob")));
    let uri = "data:image/png;base64,iVBORw0";
    assert_eq!(
        parse("115 7 Hallo data:image/png;base64,iVBORw0"),
        send("Hallo", Some(uri))
    );
    assert_eq!(parse("115 7 data:,hi"), send("", Some("data:,hi")));
    assert_eq!(parse("115 7 Hallo aGVsbG8="), send("Hallo aGVsbG8=", None));
    assert_eq!(invalid("114 x"), "114 ChatDelete: ChatID is not a number");
}

#[test]
fn every_request_in_its_plain_form() {
    let requests = PACKETS.iter();
    for row in requests.filter(|row| row.sender() == Sender::Client) {
        let required = row.values.iter().filter(|field| !field.optional).count();
        for values in [&row.values[..required], row.values] {
            let mut line = row.number.to_string();
            for field in values {
                line += match (field.kind, values.len() > required) {
                    (Kind::Long | Kind::Int | Kind::Count, _) => " 1",
                    (Kind::Message, true) => " \"some text\"",
                    (Kind::Message, false) => " some text",
                    _ => " a@b",
                };
            }
            let request = parse(&line);
            assert_eq!((request.number(), request.name()), (row.number, row.name));
            let mut out = Vec::new();
            request.format(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\r\n"));
        }
        let reason = invalid(format!("{} a a a a a a \"", row.number));
        let start = format!("{} {}: ", row.number, row.name);
        assert!(row.number == 115 || reason.starts_with(&start), "{reason}");
        if required > 0 {
            assert!(invalid(row.number.to_string()).ends_with("is missing"));
        }
    }
}

#[test]
fn what_is_secret_is_wiped() {
    let passwords = [
        "110 a \"\\u0062b\"",
        "117 a \"\\u0062b\" c@d e",
        "132 \"\\u0061b\" b",
        "133 a",
    ];
    for line in passwords {
        let mut request = parse(line);
        assert!(request.has_password());
        request.wipe();
        request.each_secret(|secret| assert!(secret.is_empty(), "{line}"));
    }
    assert!(!parse("134 a").has_password());
}

#[test]
fn blank_lines_are_no_packets() {
    for line in ["", " ", "      "] {
        assert_eq!(
            Request::parse(line.as_bytes(), &LIMITS),
            Err(Refusal::Blank)
        );
    }
}

#[test]
fn spaces_in_runs_and_at_the_ends_do_not_count() {
    assert_eq!(parse("  111  "), Request::Logout {});
    assert_eq!(parse(" 114   3 "), Request::ChatDelete { chat: 3 });
    assert_eq!(parse("  115   7    a   b  "), send("a   b", None));
    assert_eq!(parse("115 7  \" a \"   b  "), send(" a ", Some("b")));
    assert_eq!(
        parse("115 7 a  b   data:,x  "),
        send("a  b", Some("data:,x"))
    );
}

#[test]
fn opcodes_are_digits_of_client_packets() {
    for line in [
        "0",
        "0110 a b",
        "+111",
        "-111",
        "11x",
        "\"111\"",
        "١١١",
        "help",
        "116",
        "122",
        "199",
        "210",
        "220 7 1 hi",
        "248 400",
        "99999",
        "99999999999999999999",
        "1 11",
        "hans secret12",
    ] {
        unknown(line);
    }
}

#[test]
fn what_is_no_text_is_invalid_whatever_its_opcode() {
    invalid(b"111 \xff");
    invalid(b"999 \xc3");
    invalid(b"115 7 \xed\xa0\x80");
    for control in ["\0", "\u{1}", "\r", "\u{1b}", "\u{7f}", "\u{80}", "\u{9f}"] {
        invalid(format!("999 a{control}"));
        invalid(format!("115 7 a{control}b"));
        invalid(format!("115 7 \"a{control}b\""));
    }
    for line in [
        "111\t",
        "\t111",
        "999 a\tb",
        "\t",
        "110 a\tb c",
        "110 a \"b\tc\"",
        "114 7\t",
    ] {
        invalid(line);
    }
}

#[test]
fn tab_is_allowed_in_a_bare_message_only() {
    assert_eq!(parse("115 7 a\tb\t"), send("a\tb\t", None));
    assert_eq!(parse("115 7 \ta\tdata:,x"), send("\ta\tdata:,x", None));
    assert_eq!(parse("115 7 a\tb data:,x"), send("a\tb", Some("data:,x")));
    assert_eq!(parse("115 7 \"a\\tb\""), send("a\tb", None));
    for line in [
        "115 7\ta",
        "115 7 \"a\tb\"",
        "115 7 \"a\" b\tc",
        "115 7 a data:,x\ty",
    ] {
        invalid(line);
    }
}

#[test]
fn longs_are_signed_64_bit_numbers_and_never_quoted() {
    for (digits, chat) in [
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("-1", -1),
        ("007", 7),
        ("-0", 0),
    ] {
        assert_eq!(
            parse(&format!("114 {digits}")),
            Request::ChatDelete { chat }
        );
    }
    for digits in [
        "9223372036854775808",
        "+1",
        "--1",
        "-+1",
        "-",
        "1.0",
        "1e3",
        "0x1",
        "\"1\"",
        "１",
        "1_0",
        "a",
    ] {
        assert_eq!(
            invalid(format!("114 {digits}")),
            "114 ChatDelete: ChatID is not a number"
        );
    }
}

#[test]
fn count_is_an_int_from_1_to_1000() {
    assert_eq!(
        parse("130 1 5 1"),
        Request::RequestHistory {
            chat: 1,
            before: 5,
            count: 1
        }
    );
    for count in [
        "0",
        "1001",
        "-1",
        "+1",
        "01",
        "\"1\"",
        "4294967297",
        "99999999999999999999",
    ] {
        invalid(format!("130 1 0 {count}"));
    }
}

#[test]
fn any_str_may_be_quoted() {
    let login = Request::Login {
        user: "a b".into(),
        password: "c\"\\/ü😀".into(),
    };
    assert_eq!(parse(r#"110 "a b" "c\"\\\/\u00fc\ud83d\ude00""#), login);
    assert_eq!(
        parse(r#"110 "" """#),
        Request::Login {
            user: "".into(),
            password: "".into()
        }
    );
    assert_eq!(
        parse(r#"113 a"b\"#),
        Request::ChatCreate {
            contact: "a\"b\\".into()
        }
    );
    for value in [
        r#""a"#,
        r#"""#,
        r#""a\"#,
        r#""a\""#,
        r#""a"b"#,
        r#""a"""#,
        r#""\x""#,
        r#""\u12""#,
        r#""\ud800""#,
        r#""\udc00a""#,
        r#""\u0000""#,
        r#""\ud800\u0041""#,
    ] {
        invalid(format!("113 {value}"));
        invalid(format!("115 7 {value}"));
        invalid(format!("115 7 \"a\" {value}"));
    }
}

#[test]
fn control_characters_come_as_escapes_in_message_and_media_only() {
    for escape in [r"\n", r"\t", r"\u0001", r"\u007f", r"\u0085"] {
        parse(&format!("115 7 \"a{escape}b\" \"{escape}\""));
        for packet in [
            "110 \"*\" a",
            "110 a \"*\"",
            "113 \"*\"",
            "117 a b a@b \"*\"",
            "134 \"*\"",
        ] {
            invalid(packet.replace('*', escape));
        }
    }
    // Not control characters by Unicode's category.
    assert_eq!(
        parse("113 \u{2028}"),
        Request::ChatCreate {
            contact: "\u{2028}".into()
        }
    );
    assert_eq!(parse("115 7 a\u{2029}b"), send("a\u{2029}b", None));
}

#[test]
fn a_bare_message_is_the_rest_of_the_line() {
    for message in [
        "a",
        "a  b",
        "hi \"there\" 42",
        "\\n",
        "a \"b\"",
        "{\"a\": 1}",
        "7",
        "42 data:",
        "a data:x",
        "data:,x y",
        "ünï 😀 …",
    ] {
        assert_eq!(parse(&format!("115 7 {message}")), send(message, None));
    }
}

#[test]
fn parsing_a_bare_message_does_not_copy() {
    for line in [
        "115 7 hello there",
        "115 7 \"hello there\"",
        "115 7 hello data:,there",
    ] {
        match parse(line) {
            Request::MessageSend {
                message: Cow::Borrowed(_),
                media,
                ..
            } => {
                assert!(!matches!(media, Some(Cow::Owned(_))));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn base64_is_looked_into_in_the_bare_form_only() {
    invalid("115 7 hi data:;base64,###");
    invalid("115 7 data:;BASE64,QQ=");
    assert_eq!(
        parse("115 7 \"hi\" data:;base64,###"),
        send("hi", Some("data:;base64,###"))
    );
    assert_eq!(
        parse("115 7 \"hi data:;base64,###\""),
        send("hi data:;base64,###", None)
    );
    assert_eq!(parse("115 7 hi data:,###"), send("hi", Some("data:,###")));
}

#[test]
fn sizes_count_bytes_after_unescaping() {
    let most = "ü".repeat(MESSAGE_MAX / 2);
    assert_eq!(parse(&format!("115 7 {most}")), send(&most, None));
    assert_eq!(
        invalid(format!("115 7 {most}x")),
        "115 MessageSend: Message is too long"
    );
    let escaped = "\\u00fc".repeat(MESSAGE_MAX / 2);
    assert_eq!(parse(&format!("115 7 \"{escaped}\"")), send(&most, None));
    invalid(format!("115 7 \"{escaped}x\""));

    let media = "m".repeat(LIMITS.media);
    assert_eq!(
        parse(&format!("115 7 \"\" {media}")),
        send("", Some(&media))
    );
    assert_eq!(
        invalid(format!("115 7 \"\" {media}m")),
        "115 MessageSend: Media is too long"
    );
    let media = format!("data:,{}", "m".repeat(LIMITS.media - 5));
    invalid(format!("115 7 {media}"));
}

#[test]
fn the_line_limit_has_room_for_the_largest_request() {
    let fits = |request: Request<'_>| {
        let mut out = Vec::new();
        request.format(&mut out);
        let mut decoder = crate::protocol::LineDecoder::new();
        let event = decoder.step(&out, LIMITS.line()).event;
        assert_eq!(
            event,
            Some(crate::protocol::Event::Line(&out[..out.len() - 2]))
        );
    };
    for fill in ["x", "\u{1}", "\"", " "] {
        let (message, media) = (fill.repeat(MESSAGE_MAX), fill.repeat(LIMITS.media));
        fits(Request::MessageSend {
            chat: i64::MIN,
            message: message.into(),
            media: Some(media.into()),
        });
    }
}

#[test]
fn an_empty_message_needs_media_and_media_is_not_empty() {
    invalid("115 7");
    invalid("115 7 \"\"");
    invalid("115 7 \"\" \"\"");
    invalid("115 7 \"a\" \"\"");
    invalid("115 7 \"a\" b c");
    assert_eq!(parse("115 7 \"\" x"), send("", Some("x")));
    assert_eq!(parse("115 7 \" \""), send(" ", None));
}

#[test]
fn email_and_gender_have_no_status() {
    let email = |email: &str| format!("117 a b {email} x");
    for good in ["a@b", "ü@ö", "\"a b@c\"", &format!("{}@b", "ü".repeat(252))] {
        parse(&email(good));
    }
    for bad in [
        "a",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "\"\"",
        "\" @b\"",
        &format!("{}@b", "ü".repeat(253)),
    ] {
        invalid(email(bad));
    }
    parse(&format!("117 a b a@b {}", "ü".repeat(32)));
    invalid(format!("117 a b a@b {}", "ü".repeat(33)));
    invalid("117 a b a@b \"\"");
}

#[test]
fn names_and_passwords_are_left_to_401_and_402() {
    let long = "x".repeat(1000);
    parse(&format!("117 {long} b a@b x"));
    parse("117 \"\" \"\" a@b x");
}

#[test]
fn reasons_repeat_nothing_of_the_line() {
    for line in [
        "110 hans",
        "110 hans geheim geheim",
        "geheim",
        "999 geheim",
        "114 geheim",
        "115 7 \"geheim",
        "117 hans geheim geheim geheim",
        "110 hans \"geheim\"geheim",
        "130 1 0 4242",
    ] {
        let refusal = Request::parse(line.as_bytes(), &LIMITS).unwrap_err();
        let reason = refusal.reason().unwrap();
        assert!(
            !["hans", "geheim", "4242"]
                .iter()
                .any(|word| reason.contains(word)),
            "{reason}"
        );
        assert!(!reason.contains(char::is_control) && !reason.ends_with('.'));
    }
}

#[test]
fn debug_shows_names_and_ids_only() {
    assert_eq!(format!("{:?}", parse("110 hans geheim12")), "110 Login");
    assert_eq!(format!("{:?}", parse("115 7 \"a\" b")), "115 MessageSend 7");
    assert_eq!(
        format!("{:?}", parse("117 hans geheim12 a@b x")),
        "117 RegisterAccount"
    );
    assert_eq!(
        format!("{:?}", parse("130 1 2 3")),
        "130 RequestHistory 1 2 3"
    );
}

#[test]
fn a_message_that_ends_like_media_is_quoted() {
    let mut out = Vec::new();
    send("see data:,hi", None).format(&mut out);
    assert_eq!(out, b"115 7 \"see data:,hi\"\r\n");
}
