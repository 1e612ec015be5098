//! The writing half of section 2; the reading half is tested through the packets.

use super::*;

fn written(write: impl Fn(&mut Vec<u8>)) -> String {
    let mut out = b"> ".to_vec();
    write(&mut out);
    String::from_utf8(out).unwrap()[2..].to_owned()
}

#[test]
fn a_str_is_bare_when_it_can_be() {
    for bare in [
        "hans",
        "a\"b",
        "a\\b",
        "ünï😀",
        "«",
        "…",
        "{}",
        "0",
        "data:,",
        "\u{a0}",
    ] {
        assert!(!needs_quotes(bare), "{bare}");
        assert_eq!(written(|out| push_str(out, bare)), bare);
    }
    for (text, quoted) in [
        ("", r#""""#),
        ("\"", r#""\"""#),
        ("a b", r#""a b""#),
        ("a\tb", r#""a\u0009b""#),
        ("a\n\r", r#""a\u000a\u000d""#),
        ("\u{7f}\u{85}\u{9f}", r#""\u007f\u0085\u009f""#),
        ("\u{2028}\u{2029}", r#""\u2028\u2029""#),
        ("a\\ \u{2027}", "\"a\\\\ \u{2027}\""),
    ] {
        assert!(needs_quotes(text), "{text:?}");
        assert_eq!(written(|out| push_str(out, text)), quoted);
    }
}

#[test]
fn a_message_is_bare_when_nothing_follows_and_it_can_be() {
    for bare in [
        "I am 42",
        "a  \" \\ b",
        "a\tb\t",
        "\ta",
        "data:,hi",
        "a data:,hi",
        "ü… «»",
    ] {
        assert_eq!(written(|out| push_message(out, bare, false)), bare);
        let quoted = written(|out| push_message(out, bare, true));
        assert!(quoted.starts_with('"') && quoted.ends_with('"'), "{quoted}");
    }
    for (text, quoted) in [
        ("", r#""""#),
        ("\"hi", r#""\"hi""#),
        (" a", r#"" a""#),
        ("a ", r#""a ""#),
        ("a\nb", r#""a\u000ab""#),
        ("a\u{85}", r#""a\u0085""#),
        ("a\u{2028}", r#""a\u2028""#),
    ] {
        assert_eq!(written(|out| push_message(out, text, false)), quoted);
        assert_eq!(written(|out| push_message(out, text, true)), quoted);
    }
}

#[test]
fn pieces_are_escaped_as_the_whole_is() {
    let text = "a\"\\\u{1}ü\u{85}€\u{2028}😀 ";
    let whole = written(|out| push_escaped(out, text));
    for cut in (0..text.len()).filter(|&cut| text.is_char_boundary(cut)) {
        let pieces = written(|out| {
            push_escaped(out, &text[..cut]);
            push_escaped(out, &text[cut..]);
        });
        assert_eq!(pieces, whole);
    }
    let json = format!("\"{whole}\"");
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
}

#[test]
fn every_character_survives_the_quotes() {
    let text: String = ('\u{1}'..='\u{2100}').collect();
    let json = format!("\"{}\"", written(|out| push_escaped(out, &text)));
    assert!(!json.contains(|c: char| c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c)));
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
}

#[test]
fn numbers_are_plain_digits() {
    for number in [0, 7, -7, 10, 1_763_862_000_000, i64::MAX, i64::MIN] {
        assert_eq!(written(|out| push_number(out, number)), number.to_string());
    }
    assert_eq!(
        written(|out| push_count(out, u64::MAX)),
        u64::MAX.to_string()
    );
}
