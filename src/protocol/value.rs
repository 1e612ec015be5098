//! A value of a packet, and the writing half of section 2 of the contract: bare and quoted.
//!
//! Writing appends to the caller's buffer and allocates nothing else.

use std::borrow::Cow;
use std::fmt;

use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use zeroize::Zeroize;

use crate::protocol::data_uri;
use crate::protocol::row::{Kind, Row};
use crate::protocol::status::Status;

/// Appends a Str other than a Message: bare when it can be, else quoted.
pub fn push_str(out: &mut Vec<u8>, s: &str) {
    push(out, s, needs_quotes(s));
}

/// Appends a Message. Bare, it is the rest of the line; so it is quoted when media follows it, and
/// when it is empty, starts with `"`, starts or ends with a space, or holds a control character
/// other than TAB, or U+2028 or U+2029.
pub fn push_message(out: &mut Vec<u8>, s: &str, has_media: bool) {
    let bare = !has_media
        && !s.is_empty()
        && !s.starts_with(['"', ' '])
        && !s.ends_with(' ')
        && specials(s).all(|(_, special)| matches!(special, '\t' | ' ' | '"' | '\\'));
    push(out, s, !bare);
}

/// Whether a Str other than a Message must be quoted: when it is empty, starts with `"`, or holds
/// a space, a control character, U+2028 or U+2029.
pub fn needs_quotes(s: &str) -> bool {
    s.is_empty() || s.starts_with('"') || specials(s).any(|(_, c)| !matches!(c, '"' | '\\'))
}

/// Appends `s` as it stands inside quotes, without them. What comes of a text cut at character
/// boundaries is the same as of the whole, so that large media can be written in pieces.
///
/// Control characters (C0, DEL, C1), U+2028 and U+2029 become `\u` escapes: on the wire they would
/// end a line for somebody.
pub fn push_escaped(out: &mut Vec<u8>, s: &str) {
    let mut from = 0;
    for (at, special) in specials(s) {
        let escape = match special {
            ' ' => continue,
            '"' => CharEscape::Quote,
            '\\' => CharEscape::ReverseSolidus,
            control if u32::from(control) < 0x100 => CharEscape::AsciiControl(control as u8),
            _ => {
                out.extend_from_slice(&s.as_bytes()[from..at]);
                from = at + special.len_utf8();
                let escape: &[u8] = if special == '\u{2028}' {
                    b"\\u2028"
                } else {
                    b"\\u2029"
                };
                out.extend_from_slice(escape);
                continue;
            }
        };
        out.extend_from_slice(&s.as_bytes()[from..at]);
        from = at + special.len_utf8();
        // Writing into a Vec cannot fail.
        let _ = CompactFormatter.write_char_escape(out, escape);
    }
    out.extend_from_slice(&s.as_bytes()[from..]);
}

/// Appends a packet as a line, with CR LF.
pub(super) fn push_packet(out: &mut Vec<u8>, row: &Row, values: &[Value<'_>]) {
    push_count(out, u64::from(row.number));
    for (at, (field, value)) in row.values.iter().zip(values).enumerate() {
        if let Value::Absent = value {
            break;
        }
        out.push(b' ');
        match value {
            Value::Absent => {}
            Value::Long(number) => push_number(out, *number),
            Value::Int(count) => push_count(out, *count),
            Value::Status(status) => push_count(out, u64::from(status.code())),
            Value::Text(text) if matches!(field.kind, Kind::Message | Kind::Text) => {
                let next = row.values.get(at + 1);
                let followed = !matches!(values.get(at + 1), None | Some(Value::Absent));
                // Bare, a data: URI at the end would be taken for media.
                let ambiguous = || {
                    next.is_some_and(|next| next.kind == Kind::Media)
                        && data_uri::at_end(text).is_some()
                };
                push_message(out, text, followed || ambiguous());
            }
            Value::Text(text) => push_str(out, text),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Shows a packet without its texts: `115 MessageSend 7`.
pub(super) fn show(f: &mut fmt::Formatter<'_>, row: &Row, values: &[Value<'_>]) -> fmt::Result {
    write!(f, "{} {}", row.number, row.name)?;
    for value in values {
        match value {
            Value::Long(number) => write!(f, " {number}")?,
            Value::Int(count) => write!(f, " {count}")?,
            Value::Status(status) => write!(f, " {}", status.code())?,
            Value::Text(_) | Value::Absent => {}
        }
    }
    Ok(())
}

fn push(out: &mut Vec<u8>, s: &str, quoted: bool) {
    if quoted {
        out.push(b'"');
        push_escaped(out, s);
        out.push(b'"');
    } else {
        out.extend_from_slice(s.as_bytes());
    }
}

/// Appends a number in decimal digits, without the detour through `std::fmt`.
pub(super) fn push_number(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_count(out, number.unsigned_abs());
}

/// Appends an unsigned number in decimal digits.
pub(super) fn push_count(out: &mut Vec<u8>, mut number: u64) {
    // u64::MAX has 20 digits.
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// Bytes at which a character that may matter starts: a space, a quote, a backslash, a control
/// character; or the first byte of C1 (0xC2) or of U+2028 and U+2029 (0xE2).
static SUSPECT: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte <= 0x20 || matches!(byte, 0x22 | 0x5C | 0x7F | 0xC2 | 0xE2);
        byte += 1;
    }
    table
};

/// The characters that may matter for quoting, with their byte positions: space, `"`, `\`, control
/// characters, U+2028, U+2029.
fn specials(s: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let bytes = s.as_bytes();
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from
                + bytes[from..]
                    .iter()
                    .position(|&b| SUSPECT[usize::from(b)])?;
            from = at + 1;
            let special = match (bytes[at], &bytes[from..]) {
                (0xC2, [second @ 0x80..=0x9F, ..]) => char::from(*second),
                (0xE2, [0x80, 0xA8, ..]) => '\u{2028}',
                (0xE2, [0x80, 0xA9, ..]) => '\u{2029}',
                // The start of another character of two or three bytes.
                (0xC2 | 0xE2, _) => continue,
                (ascii, _) => char::from(ascii),
            };
            from = at + special.len_utf8();
            return Some((at, special));
        }
    })
}

/// The most values that a packet has (242 HistoryElement).
pub(super) const VALUES_MAX: usize = 5;

/// A value. `Absent` stands for an optional one that is missing, and fills the rest.
#[cfg_attr(test, derive(Clone, Debug))]
pub(super) enum Value<'a> {
    Absent,
    Long(i64),
    Int(u64),
    Text(Cow<'a, str>),
    Status(Status),
}

/// The values of a packet, in the order of its row.
pub(super) type Values<'a> = [Value<'a>; VALUES_MAX];

/// Fills the rest with `Absent`.
pub(super) fn padded<const N: usize>(given: [Value<'_>; N]) -> Values<'_> {
    let mut given = given.into_iter();
    std::array::from_fn(|_| given.next().unwrap_or(Value::Absent))
}

/// Wipes the texts that are no part of the line, for one may be a password.
pub(super) fn wipe(values: Values<'_>) {
    for value in values {
        if let Value::Text(text) = value {
            wipe_text(text);
        }
    }
}

/// Wipes a text if it is no part of the line.
pub(super) fn wipe_text(text: Cow<'_, str>) {
    if let Cow::Owned(mut text) = text {
        text.zeroize();
    }
}

#[cfg(test)]
mod tests;
