//! What every line goes through, whichever side sent it: is it text, is it a packet, and if not, why.

use std::borrow::Cow;

use memchr::memchr;

use super::table;
use super::value;
use crate::protocol::memory::NO_MEMORY;
use crate::protocol::table::{Packet, Sender};

/// Why a line is no packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// An empty line, or one of spaces: no reply.
    Blank,
    /// No such opcode: `210`. The reason is for people and repeats nothing of the line.
    Unknown(Cow<'static, str>),
    /// The wrong form or size: `211`. The reason is for people and repeats nothing of the line.
    Invalid(Cow<'static, str>),
    /// A Message or Media is longer than it may be: `211`. The reason is as above.
    TooLong(Cow<'static, str>),
    /// There is no memory for its values: `211`.
    NoMemory,
}

impl Refusal {
    pub(super) fn invalid(reason: &'static str) -> Refusal {
        Refusal::Invalid(Cow::Borrowed(reason))
    }

    /// `211` for a known packet: `114 ChatDelete: ChatID is not a number`.
    pub(super) fn of(packet: &Packet, reason: &str) -> Refusal {
        Refusal::Invalid(Cow::Owned(format!(
            "{} {}: {reason}",
            packet.number, packet.name
        )))
    }

    /// The same, for a value that is too long: `115 MessageSend: Media is too long`.
    pub(super) fn too_long(packet: &Packet, value: &str) -> Refusal {
        Refusal::TooLong(Cow::Owned(format!(
            "{} {}: {value} is too long",
            packet.number, packet.name
        )))
    }

    /// The reason, without the packet that says it; none for a blank line.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Refusal::Blank => None,
            Refusal::Unknown(reason) | Refusal::Invalid(reason) | Refusal::TooLong(reason) => {
                Some(reason)
            }
            Refusal::NoMemory => Some(NO_MEMORY),
        }
    }
}

/// The row that a line's opcode names, for packets of this sender, and the text behind it.
pub(super) fn packet_of(line: &[u8], sender: Sender) -> Result<(&'static Packet, &str), Refusal> {
    if line.iter().all(|&byte| byte == b' ') {
        return Err(Refusal::Blank);
    }
    let text = value::text(line)?;
    let (number, rest) = value::opcode(text);
    let packet = number.and_then(table::packet);
    if let Some(packet) = packet.filter(|packet| packet.sender == sender) {
        return Ok((packet, rest));
    }
    // A TAB is fine in a bare Message only, and here is none.
    if memchr(b'\t', line).is_some() {
        return Err(Refusal::invalid("the line holds a control character"));
    }
    Err(Refusal::Unknown(Cow::Borrowed(match (number, packet) {
        (None, _) => "a line starts with the number of a packet",
        (_, None) => "no packet has this number",
        _ => "the other side sends this packet",
    })))
}
