//! Why a line is no packet.

use std::borrow::Cow;

use crate::protocol::memory::NO_MEMORY;
use crate::protocol::row::{Field, Row};

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
    pub(super) fn of(row: &Row, reason: &str) -> Refusal {
        Refusal::Invalid(Cow::Owned(format!("{} {}: {reason}", row.number, row.name)))
    }

    /// The same, for a value that is too long: `115 MessageSend: Media is too long`.
    pub(super) fn too_long(row: &Row, field: &Field) -> Refusal {
        Refusal::TooLong(Cow::Owned(format!(
            "{} {}: {} is too long",
            row.number, row.name, field.name
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
