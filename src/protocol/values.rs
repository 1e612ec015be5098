//! The reading half of section 2 of the contract: what follows an opcode → the values of its row.
//!
//! Borrows from the line wherever the line holds the value as it is.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::protocol::data_uri;
use crate::protocol::memory::NoMemory;
use crate::protocol::refusal::Refusal;
use crate::protocol::row::{Field, Kind, Row};
use crate::protocol::status::Status;
use crate::protocol::unescape::unescape;
use crate::protocol::value::{VALUES_MAX, Value, Values, wipe};

/// Reads the values of `row` from what follows the opcode.
pub(super) fn values<'a>(row: &Row, rest: &'a str) -> Result<Values<'a>, Refusal> {
    let mut values = [const { Value::Absent }; VALUES_MAX];
    match read(row, rest, &mut values) {
        Ok(()) => Ok(values),
        Err(refusal) => {
            wipe(values);
            Err(refusal)
        }
    }
}

fn read<'a>(row: &Row, rest: &'a str, values: &mut Values<'a>) -> Result<(), Refusal> {
    let mut rest = rest.trim_matches(' ');
    let mut filled = 0;
    for (at, field) in row.values.iter().enumerate() {
        if rest.is_empty() {
            if field.optional {
                break;
            }
            return Err(refusal(row, field, "is missing"));
        }
        if matches!(field.kind, Kind::Message | Kind::Text) && !rest.starts_with('"') {
            // The rest of the line, except that a client's data: URI at its end is its media.
            let media = row
                .values
                .get(at + 1)
                .filter(|next| next.kind == Kind::Media);
            match media.and_then(|media| Some((media, data_uri::at_end(rest)?))) {
                Some((media, (message, uri))) => {
                    without_tab(row, media, uri)?;
                    if !data_uri::decodes(uri) {
                        return Err(refusal(row, media, "is not the base64 that it says it is"));
                    }
                    values[at] = Value::Text(Cow::Borrowed(message));
                    values[at + 1] = Value::Text(Cow::Borrowed(uri));
                }
                None => values[at] = Value::Text(Cow::Borrowed(rest)),
            }
            return Ok(());
        }
        let (value, behind) = match field.kind {
            Kind::Long | Kind::Int | Kind::Count | Kind::Status => number(row, field, rest)?,
            _ => string(row, field, rest)?,
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
        return Err(Refusal::of(row, reason));
    }
    Ok(())
}

/// Reads a Str, bare or quoted; returns it and what follows.
fn string<'a>(row: &Row, field: &Field, rest: &'a str) -> Result<(Value<'a>, &'a str), Refusal> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        without_tab(row, field, word)?;
        return Ok((Value::Text(Cow::Borrowed(word)), behind));
    };
    let Some(end) = closing_quote(quoted) else {
        return Err(refusal(row, field, "has no closing quote"));
    };
    let (inside, behind) = (&quoted[..end], &quoted[end + 1..]);
    if !behind.is_empty() && !behind.starts_with(' ') {
        return Err(refusal(
            row,
            field,
            "is followed by something other than a space",
        ));
    }
    without_tab(row, field, inside)?;
    if memchr(b'\\', inside.as_bytes()).is_none() {
        return Ok((Value::Text(Cow::Borrowed(inside)), behind));
    }
    let text = match unescape(inside) {
        Ok(Some(text)) => text,
        Ok(None) => return Err(refusal(row, field, "holds a wrong escape")),
        Err(NoMemory) => return Err(Refusal::NoMemory),
    };
    if memchr(0, text.as_bytes()).is_some() {
        return Err(refusal(row, field, "holds the character NUL"));
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

fn number<'a>(row: &Row, field: &Field, rest: &'a str) -> Result<(Value<'a>, &'a str), Refusal> {
    let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
    let value = match field.kind {
        Kind::Long => long(word).map(Value::Long),
        Kind::Int | Kind::Count => decimal(word).map(Value::Int),
        _ => {
            let code = decimal(word).and_then(|code| u16::try_from(code).ok());
            code.and_then(Status::from_code).map(Value::Status)
        }
    };
    let reason = match field.kind {
        Kind::Status => "is not a status code",
        _ => "is not a number",
    };
    let value = value.ok_or_else(|| refusal(row, field, reason))?;
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
pub(super) fn decimal(word: &str) -> Option<u64> {
    let leading_zero = word.starts_with('0') && word != "0";
    if leading_zero || word.starts_with('+') {
        return None;
    }
    word.parse().ok()
}

/// TAB, the one control character that came so far, is allowed in bare Messages only.
fn without_tab(row: &Row, field: &Field, text: &str) -> Result<(), Refusal> {
    match memchr(b'\t', text.as_bytes()) {
        None => Ok(()),
        Some(_) => Err(refusal(row, field, "holds a control character")),
    }
}

fn refusal(row: &Row, field: &Field, reason: &str) -> Refusal {
    Refusal::of(row, &format!("{} {reason}", field.name))
}
