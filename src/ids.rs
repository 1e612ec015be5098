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
/// Identifies a message in the database, growing in commit order over all chats; never used
/// again, never seen on the wire.
pub(crate) type MessageId = i64;
id! {
    /// Identifies media, on the wire too.
    MediaId
}
