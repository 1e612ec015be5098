//! Values ↔ text (contract, section 2): bare and quoted, both ways.
//!
//! Writing appends to the caller's buffer and allocates nothing else. Reading follows a row of the
//! table and borrows from the line wherever the line holds the value as it is.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use zeroize::Zeroize;

use super::data_uri;
use crate::protocol::memory::NoMemory;
use crate::protocol::refusal::Refusal;
use crate::protocol::status::Status;
use crate::protocol::table::{Field, Kind, Packet, VALUES_MAX};
use crate::protocol::unescape::unescape;

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

/// A value as it was read. `Absent` stands for an optional one that is missing, and fills the rest.
pub(super) enum Value<'a> {
    Absent,
    Long(i64),
    Int(u64),
    Text(Cow<'a, str>),
    Status(Status),
}

/// The values of a packet, in the order of its row.
pub(super) type Values<'a> = [Value<'a>; VALUES_MAX];

/// The line as text, if it may stand as one, or why not. A TAB passes; [`values`] looks at it.
pub(super) fn text(line: &[u8]) -> Result<&str, Refusal> {
    let Ok(text) = std::str::from_utf8(line) else {
        // GNU telnet takes some letters for signals, and sends what is no text in their place.
        return Err(Refusal::invalid(
            "the line is not UTF-8; if it was typed in telnet, `toggle outbinary` there mends that",
        ));
    };
    // Folded over blocks, without a branch a byte, so that it is done many bytes at a time.
    let c0 = line.chunks(256).any(|block| {
        let control = |&b: &u8| ((b < 0x20) & (b != b'\t')) | (b == 0x7F);
        block.iter().fold(false, |found, b| found | control(b))
    });
    let c1 = memchr_iter(0xC2, line).any(|at| matches!(line.get(at + 1), Some(0x80..=0x9F)));
    if c0 || c1 {
        return Err(Refusal::invalid(match memchr(b'\r', line) {
            Some(_) => "the line holds a CR: lines end with LF, CR LF or CR NUL",
            None => "the line holds a control character",
        }));
    }
    Ok(text)
}

/// Splits the opcode off a text that is not blank. `None` if it is no opcode.
pub(super) fn opcode(text: &str) -> (Option<u16>, &str) {
    let text = text.trim_matches(' ');
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (
        decimal(word).and_then(|number| u16::try_from(number).ok()),
        rest,
    )
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

/// Reads the values of `packet` from what follows the opcode.
pub(super) fn values<'a>(packet: &Packet, rest: &'a str) -> Result<Values<'a>, Refusal> {
    let mut values = [const { Value::Absent }; VALUES_MAX];
    match read(packet, rest, &mut values) {
        Ok(()) => Ok(values),
        Err(refusal) => {
            wipe(values);
            Err(refusal)
        }
    }
}

fn read<'a>(packet: &Packet, rest: &'a str, values: &mut Values<'a>) -> Result<(), Refusal> {
    let mut rest = rest.trim_matches(' ');
    let mut filled = 0;
    for (at, field) in packet.values.iter().enumerate() {
        if rest.is_empty() {
            if field.optional {
                break;
            }
            return Err(refusal(packet, field, "is missing"));
        }
        if matches!(field.kind, Kind::Message | Kind::Text) && !rest.starts_with('"') {
            // The rest of the line, except that a client's data: URI at its end is its media.
            let media = packet
                .values
                .get(at + 1)
                .filter(|next| next.kind == Kind::Media);
            match media.and_then(|media| Some((media, data_uri::at_end(rest)?))) {
                Some((media, (message, uri))) => {
                    without_tab(packet, media, uri)?;
                    if !data_uri::decodes(uri) {
                        return Err(refusal(
                            packet,
                            media,
                            "is not the base64 that it says it is",
                        ));
                    }
                    values[at] = Value::Text(Cow::Borrowed(message));
                    values[at + 1] = Value::Text(Cow::Borrowed(uri));
                }
                None => values[at] = Value::Text(Cow::Borrowed(rest)),
            }
            return Ok(());
        }
        let (value, behind) = match field.kind {
            Kind::Str | Kind::Message | Kind::Text | Kind::Media => string(packet, field, rest)?,
            Kind::Long | Kind::Int | Kind::Status => number(packet, field, rest)?,
        };
        values[at] = value;
        filled = at + 1;
        rest = behind.trim_start_matches(' ');
    }
    if !rest.is_empty() {
        let reason = match filled {
            0 => "takes no values",
            _ => "has too many values",
        };
        return Err(Refusal::of(packet, reason));
    }
    Ok(())
}

/// Reads a Str, bare or quoted; returns it and what follows.
fn string<'a>(
    packet: &Packet,
    field: &Field,
    rest: &'a str,
) -> Result<(Value<'a>, &'a str), Refusal> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        without_tab(packet, field, word)?;
        return Ok((Value::Text(Cow::Borrowed(word)), behind));
    };
    let Some(end) = closing_quote(quoted) else {
        return Err(refusal(packet, field, "has no closing quote"));
    };
    let (inside, behind) = (&quoted[..end], &quoted[end + 1..]);
    if !behind.is_empty() && !behind.starts_with(' ') {
        return Err(refusal(
            packet,
            field,
            "is followed by something other than a space",
        ));
    }
    without_tab(packet, field, inside)?;
    if memchr(b'\\', inside.as_bytes()).is_none() {
        return Ok((Value::Text(Cow::Borrowed(inside)), behind));
    }
    let text = match unescape(inside) {
        Ok(Some(text)) => text,
        Ok(None) => return Err(refusal(packet, field, "holds a wrong escape")),
        Err(NoMemory) => return Err(Refusal::NoMemory),
    };
    if memchr(0, text.as_bytes()).is_some() {
        return Err(refusal(packet, field, "holds the character NUL"));
    }
    Ok((Value::Text(Cow::Owned(text)), behind))
}

/// The position of the quote that ends a JSON string whose first quote was taken off.
fn closing_quote(quoted: &str) -> Option<usize> {
    let bytes = quoted.as_bytes();
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', bytes.get(from..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

fn number<'a>(
    packet: &Packet,
    field: &Field,
    rest: &'a str,
) -> Result<(Value<'a>, &'a str), Refusal> {
    let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
    let value = match field.kind {
        Kind::Long => long(word).map(Value::Long),
        Kind::Int => decimal(word).map(Value::Int),
        _ => {
            let code = decimal(word).and_then(|code| u16::try_from(code).ok());
            code.and_then(Status::from_code).map(Value::Status)
        }
    };
    let reason = match field.kind {
        Kind::Status => "is not a status code",
        _ => "is not a number",
    };
    let value = value.ok_or_else(|| refusal(packet, field, reason))?;
    Ok((value, behind))
}

/// `-?[0-9]+` within 64 bits. (`from_str` alone would take a `+` too.)
fn long(word: &str) -> Option<i64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if digits.starts_with(['+', '-']) {
        return None;
    }
    word.parse().ok()
}

/// Digits without a sign or a leading zero.
fn decimal(word: &str) -> Option<u64> {
    let leading_zero = word.starts_with('0') && word != "0";
    if leading_zero || word.starts_with('+') {
        return None;
    }
    word.parse().ok()
}

/// TAB, the one control character that [`text`] lets through, is allowed in bare Messages only.
fn without_tab(packet: &Packet, field: &Field, text: &str) -> Result<(), Refusal> {
    match memchr(b'\t', text.as_bytes()) {
        None => Ok(()),
        Some(_) => Err(refusal(packet, field, "holds a control character")),
    }
}

fn refusal(packet: &Packet, field: &Field, reason: &str) -> Refusal {
    Refusal::of(packet, &format!("{} {reason}", field.name))
}

#[cfg(test)]
mod tests;
