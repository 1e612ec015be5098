//! What a job sees: the group's open transaction. Its SQL is for the store alone.

use rusqlite::Connection;

use super::cache::{Newest, WriterCache};
use super::quota;
use crate::ids::{ChatId, Lane, MessageId, UserId};
use crate::store::lanes::View;
use crate::store::{Result, Source, StoreError};

pub(crate) struct Tx<'c> {
    pub(in crate::store) connection: &'c Connection,
    pub(in crate::store) cache: &'c mut WriterCache,
}

impl Tx<'_> {
    pub(crate) fn now(&self) -> i64 {
        self.cache.now
    }

    /// Notes `id` as the newest message to `user` and returns the one before it, where it is known.
    pub(crate) fn follow(&mut self, user: UserId, id: MessageId) -> Option<MessageId> {
        match self.cache.recipients.last_mut() {
            Some((last, newest)) if *last == user => *newest = id,
            _ => self.cache.recipients.push((user, id)),
        }
        self.cache.last_to.insert(user, id)
    }

    pub(crate) fn newest(&self) -> Newest {
        self.cache.newest.clone()
    }

    pub(crate) fn view(&self) -> View<'_> {
        View::new(
            self.connection,
            &self.cache.pending_index,
            &self.cache.added,
        )
    }

    /// Whether something may be added to the database. Asked once a job, so the database can
    /// outgrow its limit by what one job adds.
    pub(crate) fn has_room(&mut self) -> Result<bool, StoreError> {
        quota::has_room(self.connection, &self.cache.limits)
    }

    pub(crate) fn remove_message(&mut self, lane: Lane, id: MessageId) -> Result<()> {
        self.cache.removed = self.cache.removed.max(id);
        self.connection
            .run("DELETE FROM message WHERE id = ?1", [id])?;
        self.connection.run(
            "DELETE FROM lane_message WHERE lane = ?1 AND message_id = ?2",
            (lane, id),
        )
    }

    pub(crate) fn chat_between(&self, a: UserId, b: UserId) -> Result<Option<ChatId>> {
        self.connection.value(
            "SELECT chat_id FROM member WHERE user_id = ?1 AND other_id = ?2",
            [a, b],
        )
    }

    pub(crate) fn forget_chat_between(&mut self, a: UserId, b: UserId) -> Result<()> {
        if let Some(chat) = self.chat_between(a, b)? {
            self.cache.chats.remove(&chat);
        }
        Ok(())
    }

    /// Has the maintenance thread look for something to purge soon.
    pub(crate) fn purge_soon(&mut self) {
        self.cache.purge = true;
    }
}
