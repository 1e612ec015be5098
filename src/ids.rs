//! Identifiers of what is kept: one type each, so that arguments in the wrong order do not compile.
//! They start at 1, and none is ever used again.
//!
//! A bare number is one only in the database (`store::sql_ids`) and on the wire.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(i64);

        impl $name {
            pub(crate) const fn new(number: i64) -> $name {
                $name(number)
            }

            pub(crate) const fn number(self) -> i64 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Identifies an account.
    UserId
}
id! {
    /// Identifies a chat, on the wire too.
    ChatId
}
id! {
    /// One direction of a chat: the messages to the chat's creator, or those to the other member.
    Lane
}

impl Lane {
    /// The messages to the creator (`to_creator`) or to the other member of a chat.
    pub(crate) const fn of(chat: ChatId, to_creator: bool) -> Lane {
        Lane(chat.0 * 2 + !to_creator as i64)
    }

    pub(crate) const fn chat(self) -> ChatId {
        ChatId(self.0 / 2)
    }

    pub(crate) const fn to_creator(self) -> bool {
        self.0 % 2 == 0
    }
}

id! {
    /// Identifies a message, never on the wire. Ids grow in commit order over all chats, so one also
    /// says how far somebody has come.
    #[derive(Default)]
    MessageId
}

impl MessageId {
    /// Before every message.
    pub(crate) const NONE: MessageId = MessageId(0);
    /// At or behind every message.
    pub(crate) const MAX: MessageId = MessageId(i64::MAX);

    pub(crate) const fn next(self) -> MessageId {
        MessageId(self.0.saturating_add(1))
    }

    pub(crate) const fn previous(self) -> MessageId {
        MessageId(self.0.saturating_sub(1))
    }
}

id! {
    /// Identifies media, on the wire too.
    MediaId
}

/// Numbers the logins of one run of the server, in the order in which they begin.
pub(crate) type LoginNumber = u64;

/// Everything up to here has arrived, or is to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The newest message, with all before it.
    pub(crate) message: MessageId,
    /// The newest contact event, with all before it.
    pub(crate) event: i64,
}

impl Position {
    /// Moves up to `other`, never back.
    pub(crate) fn raise(&mut self, other: Position) {
        self.message = self.message.max(other.message);
        self.event = self.event.max(other.event);
    }
}
