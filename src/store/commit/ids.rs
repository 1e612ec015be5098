//! Ids of messages: given out in memory, above a stored high-water mark.
//!
//! No id is used twice, also not after a crash: before ids are given out, the row `message` of `counter`
//! is raised above them, a block at a time, so that most transactions need not write it.

use rusqlite::Connection;

use crate::ids::MessageId;
use crate::store::{Result, Source};

const BLOCK: i64 = 65_536;

#[derive(Default)]
pub(crate) struct MessageIds {
    next: MessageId,
    /// The stored mark: no message has an id above it.
    mark: MessageId,
}

impl MessageIds {
    pub(crate) fn load(connection: &Connection) -> Result<MessageIds> {
        let stored: MessageId =
            connection.one("SELECT value FROM counter WHERE name = 'message'", [])?;
        let newest: Option<MessageId> = connection.one("SELECT max(id) FROM message", [])?;
        let mark = stored.max(newest.unwrap_or_default());
        Ok(MessageIds {
            next: mark.next(),
            mark,
        })
    }

    /// Another process has written, and may have given ids out.
    pub(super) fn reload(&mut self, connection: &Connection) -> Result<()> {
        let stored = MessageIds::load(connection)?;
        if stored.mark > self.mark {
            *self = stored;
        }
        Ok(())
    }

    /// Raises the stored mark in the open transaction when little is left of the block; the new mark
    /// holds from [`MessageIds::reserved`] on.
    pub(super) fn reserve(&self, connection: &Connection) -> Result<Option<MessageId>> {
        // The rows of a job are an estimate, so much more is left than a group can need.
        if self.mark.number() - self.next.number() >= BLOCK / 2 {
            return Ok(None);
        }
        let mark = MessageId::new(self.next.number() + BLOCK);
        connection.run(
            "UPDATE counter SET value = max(value, ?1) WHERE name = 'message'",
            [mark],
        )?;
        Ok(Some(mark))
    }

    /// After the COMMIT of a raised mark.
    pub(super) fn reserved(&mut self, mark: Option<MessageId>) {
        self.mark = mark.unwrap_or(self.mark);
    }

    pub(crate) fn take(&mut self) -> MessageId {
        let id = self.next;
        self.next = id.next();
        id
    }

    pub(crate) fn newest(&self) -> MessageId {
        self.next.previous()
    }
}
