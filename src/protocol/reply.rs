//! What the server says (contract, sections 3, 5 and 6): typed replies and pushes ↔ lines.

use std::borrow::Cow;
use std::fmt;

use super::table;
use super::value;
use crate::protocol::refusal::{Refusal, packet_of};
use crate::protocol::status::Status;
use crate::protocol::table::Sender;
use crate::protocol::value::Value;

/// A packet of the server. Texts borrow from the line that was parsed, unless it held escapes.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `210`
    Unknown {
        /// For people, with `--explain`; it repeats nothing of the request.
        reason: Option<Cow<'a, str>>,
    },
    /// `211`
    Invalid {
        /// For people, with `--explain`; it repeats nothing of the request.
        reason: Option<Cow<'a, str>>,
    },
    /// `212`
    LoginResponse {
        /// 400, 404, 405 or 406.
        status: Status,
        /// As registered with 400, else as sent.
        user: Cow<'a, str>,
    },
    /// `213`
    LogoutResponse {
        /// 400 or 407.
        status: Status,
    },
    /// `214`
    ChatListBegin {
        /// How many `215` follow.
        count: u64,
    },
    /// `215`
    ChatListElement {
        /// ChatID.
        chat: i64,
        /// Who created the chat; `~name` if the account is gone.
        creator: Cow<'a, str>,
        /// The other member; `~name` if the account is gone.
        other: Cow<'a, str>,
    },
    /// `216`
    ChatListEnd,
    /// `217`
    ChatCreateResponse {
        /// 400, 407, 410 or 411.
        status: Status,
    },
    /// `218`
    ChatDeleteResponse {
        /// 400, 407, 408 or 409.
        status: Status,
    },
    /// `219`
    MessageSendResponse {
        /// 400 (the message is on disk), 407, 408, 409 or 410.
        status: Status,
    },
    /// `220`, a push.
    MessageSended {
        /// ChatID.
        chat: i64,
        /// Milliseconds since 1970-01-01T00:00:00Z, strictly increasing in a chat.
        timestamp: i64,
        /// The text; empty only with media.
        message: Cow<'a, str>,
        /// MediaID.
        media: Option<i64>,
    },
    /// `222`
    RegisterAccountResponse {
        /// 400, 401, 402, 403 or 404.
        status: Status,
    },
    /// `223`
    OwnContactListResponse {
        /// 400 or 407.
        status: Status,
    },
    /// `224`
    ContactOwnListBegin {
        /// How many `225` follow.
        count: u64,
    },
    /// `225`
    ContactOwnListElem {
        /// The contact.
        name: Cow<'a, str>,
        /// ContactSince, in milliseconds since 1970-01-01T00:00:00Z.
        since: i64,
    },
    /// `226`
    ContactOwnListEnd,
    /// `227`
    MediaResponse {
        /// 400, 407, 409 or 412.
        status: Status,
        /// As it was sent, byte for byte; only with 400.
        media: Option<Cow<'a, str>>,
    },
    /// `228`
    ContactListResponse {
        /// 400 or 407.
        status: Status,
    },
    /// `229`
    ContactListBegin {
        /// How many `230` follow.
        count: u64,
    },
    /// `230`
    ContactListElement {
        /// A user.
        name: Cow<'a, str>,
    },
    /// `231`
    ContactListEnd,
    /// `232`
    ConfirmContactResponse {
        /// 400, 407 or 410.
        status: Status,
    },
    /// `233`, a push.
    ConfirmContactAdd {
        /// Who asked, or agreed.
        user: Cow<'a, str>,
    },
    /// `240`
    HistoryResponse {
        /// 400, 407, 408 or 409.
        status: Status,
    },
    /// `241`
    HistoryBegin {
        /// How many `242` follow.
        count: u64,
    },
    /// `242`
    HistoryElement {
        /// ChatID.
        chat: i64,
        /// Milliseconds since 1970-01-01T00:00:00Z.
        timestamp: i64,
        /// Who wrote it; `~name` if the account is gone.
        user: Cow<'a, str>,
        /// The text; empty only with media.
        message: Cow<'a, str>,
        /// MediaID.
        media: Option<i64>,
    },
    /// `243`
    HistoryEnd,
    /// `244`
    ContactDeleteResponse {
        /// 400, 407 or 410.
        status: Status,
    },
    /// `245`
    PasswordChangeResponse {
        /// 400, 402, 406 or 407.
        status: Status,
    },
    /// `246`
    AccountDeleteResponse {
        /// 400, 406 or 407.
        status: Status,
    },
    /// `247`
    Pong {
        /// As it came with the Ping.
        text: Option<Cow<'a, str>>,
    },
    /// `248`
    ReceivedResponse {
        /// 400, 407, 408 or 409.
        status: Status,
    },
}

/// Appends the values of one packet to a line.
struct Line<'o>(&'o mut Vec<u8>);

impl Line<'_> {
    fn long(&mut self, number: i64) -> &mut Self {
        self.0.push(b' ');
        value::push_number(self.0, number);
        self
    }

    fn count(&mut self, count: u64) {
        self.0.push(b' ');
        value::push_count(self.0, count);
    }

    fn string(&mut self, text: &str) -> &mut Self {
        self.0.push(b' ');
        value::push_str(self.0, text);
        self
    }

    fn message(&mut self, text: &str, media: Option<i64>) {
        self.0.push(b' ');
        value::push_message(self.0, text, media.is_some());
        if let Some(media) = media {
            self.long(media);
        }
    }
}

impl<'a> Reply<'a> {
    /// The room that the line may take for a text that it gives back as a client has sent it, in
    /// bytes: such a text may be as long as a line, and escapes at most double it. For all other
    /// replies 0; they are short.
    pub fn room_for_echo(&self) -> usize {
        match self {
            Reply::LoginResponse { user, .. } => 2 * user.len(),
            Reply::Pong { text: Some(text) } => 2 * text.len(),
            _ => 0,
        }
    }

    /// Appends the reply as a line, with CR LF. Allocates nothing but room in `out`.
    pub fn format(&self, out: &mut Vec<u8>) {
        value::push_count(out, u64::from(self.number()));
        let mut line = Line(&mut *out);
        if let Some(status) = self.status() {
            line.count(u64::from(status.code()));
        }
        match self {
            Reply::Unknown {
                reason: Some(reason),
            }
            | Reply::Invalid {
                reason: Some(reason),
            } => {
                line.message(reason, None);
            }
            Reply::LoginResponse { user: text, .. }
            | Reply::MediaResponse {
                media: Some(text), ..
            }
            | Reply::ContactListElement { name: text }
            | Reply::ConfirmContactAdd { user: text }
            | Reply::Pong { text: Some(text) } => {
                line.string(text);
            }
            Reply::ChatListBegin { count }
            | Reply::ContactOwnListBegin { count }
            | Reply::ContactListBegin { count }
            | Reply::HistoryBegin { count } => line.count(*count),
            Reply::ChatListElement {
                chat,
                creator,
                other,
            } => {
                line.long(*chat).string(creator).string(other);
            }
            Reply::MessageSended {
                chat,
                timestamp,
                message,
                media,
            } => {
                line.long(*chat).long(*timestamp).message(message, *media);
            }
            Reply::ContactOwnListElem { name, since } => {
                line.string(name).long(*since);
            }
            Reply::HistoryElement {
                chat,
                timestamp,
                user,
                message,
                media,
            } => {
                let line = line.long(*chat).long(*timestamp).string(user);
                line.message(message, *media);
            }
            // No values, or the status alone.
            _ => {}
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Reads a line (without its line end). Allocates only for a value with escapes, and for the
    /// reason of a refusal. Sizes are the server's to keep; here is no limit but the line's.
    pub fn parse(line: &'a [u8]) -> Result<Reply<'a>, Refusal> {
        let (packet, rest) = packet_of(line, Sender::Server)?;
        let values = value::values(packet, rest)?;
        use Value::{Absent, Int, Long, Status as Code, Text};
        Ok(match (packet.number, values) {
            (210, [reason, ..]) => Reply::Unknown {
                reason: text(reason),
            },
            (211, [reason, ..]) => Reply::Invalid {
                reason: text(reason),
            },
            (212, [Code(status), Text(user), ..]) => Reply::LoginResponse { status, user },
            (213, [Code(status), ..]) => Reply::LogoutResponse { status },
            (214, [Int(count), ..]) => Reply::ChatListBegin { count },
            (215, [Long(chat), Text(creator), Text(other), ..]) => Reply::ChatListElement {
                chat,
                creator,
                other,
            },
            (216, _) => Reply::ChatListEnd,
            (217, [Code(status), ..]) => Reply::ChatCreateResponse { status },
            (218, [Code(status), ..]) => Reply::ChatDeleteResponse { status },
            (219, [Code(status), ..]) => Reply::MessageSendResponse { status },
            (220, [Long(chat), Long(timestamp), Text(message), media, ..]) => {
                Reply::MessageSended {
                    chat,
                    timestamp,
                    message,
                    media: long(media),
                }
            }
            (222, [Code(status), ..]) => Reply::RegisterAccountResponse { status },
            (223, [Code(status), ..]) => Reply::OwnContactListResponse { status },
            (224, [Int(count), ..]) => Reply::ContactOwnListBegin { count },
            (225, [Text(name), Long(since), ..]) => Reply::ContactOwnListElem { name, since },
            (226, _) => Reply::ContactOwnListEnd,
            (227, [Code(status), media, ..]) => Reply::MediaResponse {
                status,
                media: text(media),
            },
            (228, [Code(status), ..]) => Reply::ContactListResponse { status },
            (229, [Int(count), ..]) => Reply::ContactListBegin { count },
            (230, [Text(name), ..]) => Reply::ContactListElement { name },
            (231, _) => Reply::ContactListEnd,
            (232, [Code(status), ..]) => Reply::ConfirmContactResponse { status },
            (233, [Text(user), ..]) => Reply::ConfirmContactAdd { user },
            (240, [Code(status), ..]) => Reply::HistoryResponse { status },
            (241, [Int(count), ..]) => Reply::HistoryBegin { count },
            (
                242,
                [
                    Long(chat),
                    Long(timestamp),
                    Text(user),
                    Text(message),
                    media,
                ],
            ) => Reply::HistoryElement {
                chat,
                timestamp,
                user,
                message,
                media: long(media),
            },
            (243, _) => Reply::HistoryEnd,
            (244, [Code(status), ..]) => Reply::ContactDeleteResponse { status },
            (245, [Code(status), ..]) => Reply::PasswordChangeResponse { status },
            (246, [Code(status), ..]) => Reply::AccountDeleteResponse { status },
            (247, [Text(text), ..]) => Reply::Pong { text: Some(text) },
            (247, [Absent, ..]) => Reply::Pong { text: None },
            (248, [Code(status), ..]) => Reply::ReceivedResponse { status },
            // Only for a row of the table that nobody has given a variant; a test finds it.
            _ => return Err(Refusal::of(packet, "is not understood")),
        })
    }

    /// The STATUSCODE, in a packet that has one.
    pub fn status(&self) -> Option<Status> {
        match self {
            Reply::LoginResponse { status, .. }
            | Reply::LogoutResponse { status }
            | Reply::ChatCreateResponse { status }
            | Reply::ChatDeleteResponse { status }
            | Reply::MessageSendResponse { status }
            | Reply::RegisterAccountResponse { status }
            | Reply::OwnContactListResponse { status }
            | Reply::MediaResponse { status, .. }
            | Reply::ContactListResponse { status }
            | Reply::ConfirmContactResponse { status }
            | Reply::HistoryResponse { status }
            | Reply::ContactDeleteResponse { status }
            | Reply::PasswordChangeResponse { status }
            | Reply::AccountDeleteResponse { status }
            | Reply::ReceivedResponse { status } => Some(*status),
            _ => None,
        }
    }

    /// The opcode.
    pub fn number(&self) -> u16 {
        match self {
            Reply::Unknown { .. } => 210,
            Reply::Invalid { .. } => 211,
            Reply::LoginResponse { .. } => 212,
            Reply::LogoutResponse { .. } => 213,
            Reply::ChatListBegin { .. } => 214,
            Reply::ChatListElement { .. } => 215,
            Reply::ChatListEnd => 216,
            Reply::ChatCreateResponse { .. } => 217,
            Reply::ChatDeleteResponse { .. } => 218,
            Reply::MessageSendResponse { .. } => 219,
            Reply::MessageSended { .. } => 220,
            Reply::RegisterAccountResponse { .. } => 222,
            Reply::OwnContactListResponse { .. } => 223,
            Reply::ContactOwnListBegin { .. } => 224,
            Reply::ContactOwnListElem { .. } => 225,
            Reply::ContactOwnListEnd => 226,
            Reply::MediaResponse { .. } => 227,
            Reply::ContactListResponse { .. } => 228,
            Reply::ContactListBegin { .. } => 229,
            Reply::ContactListElement { .. } => 230,
            Reply::ContactListEnd => 231,
            Reply::ConfirmContactResponse { .. } => 232,
            Reply::ConfirmContactAdd { .. } => 233,
            Reply::HistoryResponse { .. } => 240,
            Reply::HistoryBegin { .. } => 241,
            Reply::HistoryElement { .. } => 242,
            Reply::HistoryEnd => 243,
            Reply::ContactDeleteResponse { .. } => 244,
            Reply::PasswordChangeResponse { .. } => 245,
            Reply::AccountDeleteResponse { .. } => 246,
            Reply::Pong { .. } => 247,
            Reply::ReceivedResponse { .. } => 248,
        }
    }

    /// The packet's name in the seed table.
    pub fn name(&self) -> &'static str {
        table::name(self.number())
    }
}

/// Name, status and ids only: replies end up in logs, and messages and media must not.
impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())?;
        if let Some(status) = self.status() {
            write!(f, " {}", status.code())?;
        }
        match self {
            Reply::ChatListElement { chat, .. } => write!(f, " {chat}"),
            Reply::MessageSended {
                chat, timestamp, ..
            }
            | Reply::HistoryElement {
                chat, timestamp, ..
            } => write!(f, " {chat} {timestamp}"),
            _ => Ok(()),
        }
    }
}

fn text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn long(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Long(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
