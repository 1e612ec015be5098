//! What a client may ask (contract, sections 3 and 6): lines → typed requests.
//!
//! Everything that the contract answers with `210` or `211` for its form or size alone is decided
//! here. Rules for names and passwords are not: they have statuses of their own, 401 and 402.

use crate::protocol::packet::row_of;
use crate::protocol::refusal::Refusal;
use crate::protocol::row::{Kind, Row, Sender};
use crate::protocol::table::Request;
use crate::protocol::value;
use crate::protocol::value::{Value, Values};
use crate::protocol::values::values;

/// The longest Message, in bytes of UTF-8 after unescaping (contract, section 2).
pub const MESSAGE_MAX: usize = 8 * 1024;

/// The longest Media by default, in bytes of UTF-8 after unescaping (contract, section 2).
pub const MEDIA_MAX: usize = 8 * 1024 * 1024;

/// The longest Email, in characters (contract, section 2).
pub const EMAIL_MAX: usize = 254;

/// The longest Gender, in characters (contract, section 2).
pub const GENDER_MAX: usize = 32;

/// The most messages that one RequestHistory may ask for (contract, section 6).
pub const HISTORY_MAX: u64 = 1000;

/// The sizes that an operator sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest Media, in bytes of UTF-8 after unescaping.
    pub media: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { media: MEDIA_MAX }
    }
}

impl Limits {
    /// The limit for [`LineDecoder::step`](super::LineDecoder::step) that lets every request within
    /// these limits pass, whether bare or escaped: media, message, and the room for opcode, ChatID,
    /// quotes and spaces.
    pub fn line(&self) -> usize {
        self.media.saturating_add(MESSAGE_MAX + 64)
    }
}

impl<'a> Request<'a> {
    /// Reads a line (without its line end). Allocates only for a value with escapes, and for the
    /// reason of a refusal.
    pub fn parse(line: &'a [u8], limits: &Limits) -> Result<Request<'a>, Refusal> {
        let (row, rest) = row_of(line, Sender::Client)?;
        let values = values(row, rest)?;
        if let Err(refusal) = check(row, &values, limits) {
            value::wipe(values);
            return Err(refusal);
        }
        Request::of(row, values).ok_or_else(|| Refusal::of(row, "is not served"))
    }

    /// Whether one of its values is a password.
    pub fn has_password(&self) -> bool {
        self.row().has_secret()
    }

    /// Wipes the passwords that the request holds itself: those that were sent with escapes. All
    /// others are in the line that was parsed, and the line's owner wipes it.
    pub fn wipe(&mut self) {
        self.each_secret(|secret| value::wipe_text(std::mem::take(secret)));
    }
}

/// Keeps the rules for form and size that a value's kind has.
fn check(row: &Row, values: &Values<'_>, limits: &Limits) -> Result<(), Refusal> {
    for (at, (field, value)) in row.values.iter().zip(values).enumerate() {
        let reason = match value {
            Value::Int(count)
                if field.kind == Kind::Count && !(1..=HISTORY_MAX).contains(count) =>
            {
                "Count is not from 1 to 1000"
            }
            Value::Text(text) => match field.kind {
                Kind::Message if text.len() > MESSAGE_MAX => {
                    return Err(Refusal::too_long(row, field));
                }
                Kind::Media if text.len() > limits.media => {
                    return Err(Refusal::too_long(row, field));
                }
                Kind::Message
                    if text.is_empty()
                        && matches!(values.get(at + 1), None | Some(Value::Absent)) =>
                {
                    "Message is empty, and there is no Media"
                }
                Kind::Media if text.is_empty() => "Media is empty",
                Kind::Media | Kind::Message | Kind::Text => continue,
                // They can only have come as escapes.
                _ if text.contains(char::is_control) => "a value holds a control character",
                Kind::Email if !is_email(text) => "Email is not an address, or is too long",
                Kind::Gender if text.is_empty() || text.chars().nth(GENDER_MAX).is_some() => {
                    "Gender is empty or too long"
                }
                _ => continue,
            },
            _ => continue,
        };
        return Err(Refusal::of(row, reason));
    }
    Ok(())
}

/// At most [`EMAIL_MAX`] characters, one `@`, and text on both sides of it.
pub(crate) fn is_email(email: &str) -> bool {
    let has_text = |side: &str| !side.trim().is_empty();
    email.chars().nth(EMAIL_MAX).is_none()
        && email.split_once('@').is_some_and(|(before, after)| {
            has_text(before) && has_text(after) && !after.contains('@')
        })
}

#[cfg(test)]
mod tests;
