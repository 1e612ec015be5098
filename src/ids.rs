//! Identifiers of what is kept. None is ever used again.

/// Identifies an account for ever; never used again.
pub(crate) type UserId = i64;
/// Identifies a chat on the wire and in the database; never used again.
pub(crate) type ChatId = i64;
/// Identifies a message in the database, growing in commit order over all chats; never used
/// again, never seen on the wire.
pub(crate) type MessageId = i64;
/// Identifies media on the wire and in the database; never used again.
pub(crate) type MediaId = i64;
