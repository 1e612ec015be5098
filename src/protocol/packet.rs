//! What every line goes through first, whichever side sent it: is it text, and which packet is it.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use crate::protocol::refusal::Refusal;
use crate::protocol::row::{Row, Sender};
use crate::protocol::table;
use crate::protocol::values::decimal;

/// The row that a line's opcode names, for packets of this sender, and the text behind it.
pub(super) fn row_of(line: &[u8], sender: Sender) -> Result<(&'static Row, &str), Refusal> {
    if line.iter().all(|&byte| byte == b' ') {
        return Err(Refusal::Blank);
    }
    let text = text(line)?;
    let (number, rest) = opcode(text);
    let row = number.and_then(table::row);
    if let Some(row) = row.filter(|row| row.sender() == sender) {
        return Ok((row, rest));
    }
    // A TAB is fine in a bare Message only. A client has none here; a server that is newer than
    // this client may.
    if sender == Sender::Client && memchr(b'\t', line).is_some() {
        return Err(Refusal::invalid("the line holds a control character"));
    }
    Err(Refusal::Unknown(Cow::Borrowed(match (number, row) {
        (None, _) => "a line starts with the number of a packet",
        (_, None) => "no packet has this number",
        _ => "the other side sends this packet",
    })))
}

/// The line as text, if it may stand as one, or why not. A TAB passes; where it may
/// stand depends on the packet.
fn text(line: &[u8]) -> Result<&str, Refusal> {
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
fn opcode(text: &str) -> (Option<u16>, &str) {
    let text = text.trim_matches(' ');
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (
        decimal(word).and_then(|number| u16::try_from(number).ok()),
        rest,
    )
}
