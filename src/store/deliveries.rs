//! How far messages and contact events have arrived at each user.
//!
//! Positions are noted in memory when a peer's TCP acknowledges, and saved along with whatever
//! transaction comes next.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::{MessageId, StoreError, UserId};

/// Everything up to here has arrived; both numbers only ever grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// The newest message that has arrived, with all before it.
    pub message: MessageId,
    /// The newest contact event that has arrived, with all before it.
    pub event: i64,
}

impl Position {
    /// Moves up to `other`, never back.
    pub fn raise(&mut self, other: Position) {
        self.message = self.message.max(other.message);
        self.event = self.event.max(other.event);
    }
}

/// The positions that are not saved yet.
#[derive(Default)]
pub(super) struct Deliveries {
    unsaved: HashMap<UserId, Position>,
    /// The newest message written to each user; 16 bytes for each who was sent any.
    sent: HashMap<UserId, MessageId>,
}

/// What one transaction saves.
pub(super) type Snapshot = Vec<(UserId, Position)>;

impl Deliveries {
    pub(super) fn note(&mut self, user: UserId, position: Position) {
        self.unsaved.entry(user).or_default().raise(position);
    }

    pub(super) fn note_sent(&mut self, user: UserId, message: MessageId) {
        let sent = self.sent.entry(user).or_default();
        *sent = message.max(*sent);
    }

    pub(super) fn sent(&self, user: UserId) -> MessageId {
        self.sent.get(&user).copied().unwrap_or(0)
    }

    pub(super) fn unsaved(&self, user: UserId) -> Position {
        self.unsaved.get(&user).copied().unwrap_or_default()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.unsaved.iter().map(|(user, at)| (*user, *at)).collect()
    }

    /// Forgets what was committed, unless it has moved on since.
    pub(super) fn saved(&mut self, snapshot: &Snapshot) {
        for (user, position) in snapshot {
            if self.unsaved.get(user) == Some(position) {
                self.unsaved.remove(user);
            }
        }
    }
}

/// Writes positions into the open transaction.
pub(super) fn save(connection: &Connection, positions: &Snapshot) -> Result<(), StoreError> {
    if positions.is_empty() {
        return Ok(());
    }
    // An account may have been deleted meanwhile.
    let mut message = connection.prepare_cached(
        "INSERT INTO delivery (user_id, message_id)
         SELECT id, ?2 FROM user WHERE id = ?1 AND mapped IS NOT NULL
         ON CONFLICT (user_id) DO UPDATE SET message_id = max(message_id, excluded.message_id)",
    )?;
    let mut event =
        connection.prepare_cached("DELETE FROM contact_event WHERE user_id = ?1 AND id <= ?2")?;
    for (user, position) in positions {
        if position.message > 0 {
            message.execute((user, position.message))?;
        }
        if position.event > 0 {
            event.execute((user, position.event))?;
        }
    }
    Ok(())
}

/// The saved position; 0 when nothing has arrived yet.
pub(super) fn saved(connection: &Connection, user: UserId) -> rusqlite::Result<MessageId> {
    Ok(connection
        .prepare_cached("SELECT message_id FROM delivery WHERE user_id = ?1")?
        .query_row([user], |row| row.get(0))
        .optional()?
        .unwrap_or(0))
}
