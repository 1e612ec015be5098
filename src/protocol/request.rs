//! What a client may ask (contract, sections 3 and 6): typed requests ↔ lines.
//!
//! Everything that the contract answers with `210` or `211` for its form or size alone is decided
//! here. Rules for names and passwords are not: they have statuses of their own, 401 and 402.

use std::borrow::Cow;
use std::fmt;

use super::data_uri;
use super::table;
use super::value;
use crate::protocol::refusal::{Refusal, packet_of};
use crate::protocol::table::{Kind, Packet, Sender};
use crate::protocol::value::Value;

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

/// A packet of a client. Texts borrow from the line that was parsed, unless it held escapes.
#[derive(Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// `110`, also `100`.
    Login {
        /// As typed.
        user: Cow<'a, str>,
        /// As typed.
        password: Cow<'a, str>,
    },
    /// `111`
    Logout,
    /// `112`
    ChatList,
    /// `113`
    ChatCreate {
        /// With whom.
        contact: Cow<'a, str>,
    },
    /// `114`
    ChatDelete {
        /// ChatID.
        chat: i64,
    },
    /// `115`
    MessageSend {
        /// ChatID.
        chat: i64,
        /// At most [`MESSAGE_MAX`] bytes; empty only with media.
        message: Cow<'a, str>,
        /// 1 to [`Limits::media`] bytes.
        media: Option<Cow<'a, str>>,
    },
    /// `117`
    Register {
        /// As typed.
        user: Cow<'a, str>,
        /// As typed.
        password: Cow<'a, str>,
        /// At most [`EMAIL_MAX`] characters, one `@`, text on both sides.
        email: Cow<'a, str>,
        /// 1 to [`GENDER_MAX`] characters.
        gender: Cow<'a, str>,
    },
    /// `118`
    OwnContactList,
    /// `119`
    MediaFetch {
        /// MediaID.
        media: i64,
    },
    /// `120`
    ContactList,
    /// `121`
    ContactConfirm {
        /// Whom.
        user: Cow<'a, str>,
    },
    /// `130`
    History {
        /// ChatID.
        chat: i64,
        /// TimeStamp in milliseconds; 0 for the newest messages.
        before: i64,
        /// 1 to [`HISTORY_MAX`] messages.
        count: u32,
    },
    /// `131`
    ContactDelete {
        /// Whom.
        user: Cow<'a, str>,
    },
    /// `132`
    PasswordChange {
        /// As typed.
        old: Cow<'a, str>,
        /// As typed.
        new: Cow<'a, str>,
    },
    /// `133`
    AccountDelete {
        /// As typed.
        password: Cow<'a, str>,
    },
    /// `134`
    Ping {
        /// To be sent back.
        text: Option<Cow<'a, str>>,
    },
    /// `135`
    Received {
        /// ChatID.
        chat: i64,
        /// TimeStamp in milliseconds.
        timestamp: i64,
    },
}

impl<'a> Request<'a> {
    /// Reads a line (without its line end). Allocates only for a value with escapes, and for the
    /// reason of a refusal.
    pub fn parse(line: &'a [u8], limits: &Limits) -> Result<Request<'a>, Refusal> {
        let (packet, rest) = packet_of(line, Sender::Client)?;
        let values = value::values(packet, rest)?;
        for (field, value) in packet.values.iter().zip(&values) {
            if let Value::Text(text) = value
                && let Err(refusal) = check_text(packet, field.kind, text, limits)
            {
                value::wipe(values);
                return Err(refusal);
            }
        }
        use Value::{Absent, Int, Long, Text};
        Ok(match (packet.number, values) {
            (110, [Text(user), Text(password), ..]) => Request::Login { user, password },
            (111, _) => Request::Logout,
            (112, _) => Request::ChatList,
            (113, [Text(contact), ..]) => Request::ChatCreate { contact },
            (114, [Long(chat), ..]) => Request::ChatDelete { chat },
            (115, [Long(chat), Text(message), Text(media), ..]) => Request::MessageSend {
                chat,
                message,
                media: Some(media),
            },
            (115, [Long(_), Text(message), Absent, ..]) if message.is_empty() => {
                return Err(Refusal::of(
                    packet,
                    "Message is empty, and there is no Media",
                ));
            }
            (115, [Long(chat), Text(message), ..]) => Request::MessageSend {
                chat,
                message,
                media: None,
            },
            (117, [Text(user), Text(password), Text(email), Text(gender), ..]) => {
                let reason = if !is_email(&email) {
                    Some("Email is not an address, or is too long")
                } else if gender.is_empty() || gender.chars().nth(GENDER_MAX).is_some() {
                    Some("Gender is empty or too long")
                } else {
                    None
                };
                if let Some(reason) = reason {
                    value::wipe_text(password);
                    return Err(Refusal::of(packet, reason));
                }
                Request::Register {
                    user,
                    password,
                    email,
                    gender,
                }
            }
            (118, _) => Request::OwnContactList,
            (119, [Long(media), ..]) => Request::MediaFetch { media },
            (120, _) => Request::ContactList,
            (121, [Text(user), ..]) => Request::ContactConfirm { user },
            (130, [Long(chat), Long(before), Int(count), ..]) => match u32::try_from(count) {
                Ok(count @ 1..) if u64::from(count) <= HISTORY_MAX => Request::History {
                    chat,
                    before,
                    count,
                },
                _ => return Err(Refusal::of(packet, "Count is not from 1 to 1000")),
            },
            (131, [Text(user), ..]) => Request::ContactDelete { user },
            (132, [Text(old), Text(new), ..]) => Request::PasswordChange { old, new },
            (133, [Text(password), ..]) => Request::AccountDelete { password },
            (134, [Text(text), ..]) => Request::Ping { text: Some(text) },
            (134, _) => Request::Ping { text: None },
            (135, [Long(chat), Long(timestamp), ..]) => Request::Received { chat, timestamp },
            // Only for a row of the table that nobody has given a variant; a test finds it.
            _ => return Err(Refusal::of(packet, "is not served")),
        })
    }

    /// Whether one of its values is a password.
    pub fn has_password(&self) -> bool {
        matches!(self.number(), 110 | 117 | 132 | 133)
    }

    /// Wipes the passwords that the request holds itself: those that were sent with escapes. All
    /// others are in the line that was parsed, and the line's owner wipes it.
    pub fn wipe(&mut self) {
        let wipe = |text: &mut Cow<'a, str>| value::wipe_text(std::mem::take(text));
        match self {
            Request::Login { password, .. }
            | Request::Register { password, .. }
            | Request::AccountDelete { password } => wipe(password),
            Request::PasswordChange { old, new } => {
                wipe(old);
                wipe(new);
            }
            _ => {}
        }
    }

    /// Appends the request as a line, with CR LF.
    pub fn format(&self, out: &mut Vec<u8>) {
        value::push_count(out, u64::from(self.number()));
        let string = |out: &mut Vec<u8>, text: &str| {
            out.push(b' ');
            value::push_str(out, text);
        };
        let number = |out: &mut Vec<u8>, number: i64| {
            out.push(b' ');
            value::push_number(out, number);
        };
        match self {
            Request::Logout
            | Request::ChatList
            | Request::OwnContactList
            | Request::ContactList
            | Request::Ping { text: None } => {}
            Request::ChatCreate { contact: text }
            | Request::ContactConfirm { user: text }
            | Request::ContactDelete { user: text }
            | Request::AccountDelete { password: text }
            | Request::Ping { text: Some(text) } => string(out, text),
            Request::Login {
                user: first,
                password: second,
            }
            | Request::PasswordChange {
                old: first,
                new: second,
            } => {
                string(out, first);
                string(out, second);
            }
            Request::ChatDelete { chat: id } | Request::MediaFetch { media: id } => {
                number(out, *id);
            }
            Request::MessageSend {
                chat,
                message,
                media,
            } => {
                number(out, *chat);
                out.push(b' ');
                // Bare, a data: URI at the end would be taken for media.
                let ambiguous = data_uri::at_end(message).is_some();
                value::push_message(out, message, media.is_some() || ambiguous);
                if let Some(media) = media {
                    string(out, media);
                }
            }
            Request::Register {
                user,
                password,
                email,
                gender,
            } => {
                for text in [user, password, email, gender] {
                    string(out, text);
                }
            }
            Request::History {
                chat,
                before,
                count,
            } => {
                number(out, *chat);
                number(out, *before);
                number(out, i64::from(*count));
            }
            Request::Received { chat, timestamp } => {
                number(out, *chat);
                number(out, *timestamp);
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The opcode.
    pub fn number(&self) -> u16 {
        match self {
            Request::Login { .. } => 110,
            Request::Logout => 111,
            Request::ChatList => 112,
            Request::ChatCreate { .. } => 113,
            Request::ChatDelete { .. } => 114,
            Request::MessageSend { .. } => 115,
            Request::Register { .. } => 117,
            Request::OwnContactList => 118,
            Request::MediaFetch { .. } => 119,
            Request::ContactList => 120,
            Request::ContactConfirm { .. } => 121,
            Request::History { .. } => 130,
            Request::ContactDelete { .. } => 131,
            Request::PasswordChange { .. } => 132,
            Request::AccountDelete { .. } => 133,
            Request::Ping { .. } => 134,
            Request::Received { .. } => 135,
        }
    }

    /// The packet's name in the seed table.
    pub fn name(&self) -> &'static str {
        table::name(self.number())
    }
}

/// Name and ids only: requests end up in logs, and passwords and messages must not.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())?;
        match self {
            Request::ChatDelete { chat: id } | Request::MediaFetch { media: id } => {
                write!(f, " {id}")
            }
            Request::MessageSend { chat, .. } => write!(f, " {chat}"),
            Request::History {
                chat,
                before,
                count,
            } => write!(f, " {chat} {before} {count}"),
            Request::Received { chat, timestamp } => write!(f, " {chat} {timestamp}"),
            _ => Ok(()),
        }
    }
}

fn check_text(packet: &Packet, kind: Kind, text: &str, limits: &Limits) -> Result<(), Refusal> {
    let reason = match kind {
        Kind::Message if text.len() > MESSAGE_MAX => {
            return Err(Refusal::too_long(packet, "Message"));
        }
        Kind::Media if text.len() > limits.media => {
            return Err(Refusal::too_long(packet, "Media"));
        }
        Kind::Media if text.is_empty() => "Media is empty",
        // They can only have come as escapes.
        Kind::Str if text.contains(char::is_control) => "a value holds a control character",
        _ => return Ok(()),
    };
    Err(Refusal::of(packet, reason))
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
