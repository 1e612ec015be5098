//! What was typed and is not acknowledged yet. Nothing of it is lost, and nothing doubled. Pure: the
//! engine calls it, and does what it says.
//!
//! A message whose `219` did not come is unconfirmed: the server may have stored it or not. The next
//! connection tells, by `130`: the server takes one connection's messages in their order, so a
//! chat's history, newer than a TimeStamp known from before the first of them, holds of one's own
//!
//! 1. as many messages as were acknowledged since, and then
//! 2. those of the unconfirmed messages that were stored, in their order.
//!
//! So what matters is a **base** for each chat: a TimeStamp, and the count of own messages
//! acknowledged since. `219` does not say the TimeStamp of a message, and a `220` that came in
//! between says nothing about one's own; so the base is asked for, by `130 chat 0 1`, before the
//! first message to a chat on a connection, and again when the count has grown large. Equal texts
//! need no care: they are counted, not searched.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Acknowledged messages after which the base is renewed, so that a look-up reads only one page.
const BASE_LASTS: u32 = 50;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutgoingMessage {
    pub(crate) chat: i64,
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) media: Option<Attachment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// As it goes over the wire.
    pub(crate) uri: Arc<str>,
    pub(crate) name: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OutboxStep {
    /// To ask for the newest TimeStamp of the chat and tell it to [`ClientOutbox::based`].
    AskBase(i64),
    /// To send this. It is in flight now.
    Send(OutgoingMessage),
}

/// A chat with unconfirmed messages, to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnconfirmedChat {
    pub(crate) chat: i64,
    /// Messages newer than this TimeStamp matter.
    pub(crate) base: i64,
    /// How many of them are likely, at least.
    pub(crate) likely: u32,
}

#[derive(Clone, Copy, Default)]
struct Base {
    timestamp: i64,
    /// Own messages newer than that which were acknowledged.
    acknowledged: u32,
    asked: bool,
}

#[derive(Default)]
pub(crate) struct ClientOutbox {
    /// Stored or not: to be looked up. Oldest first.
    unconfirmed: Vec<OutgoingMessage>,
    /// Not sent. Oldest first.
    waiting: VecDeque<OutgoingMessage>,
    /// Sent on this connection. Oldest first.
    in_flight: VecDeque<OutgoingMessage>,
    /// Of the chats that were written to. `None` while the first is asked for.
    bases: HashMap<i64, Option<Base>>,
}

impl ClientOutbox {
    pub(crate) fn push(&mut self, message: OutgoingMessage) {
        self.waiting.push_back(message);
    }

    pub(crate) fn len(&self) -> usize {
        self.unconfirmed.len() + self.waiting.len() + self.in_flight.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next step that can be taken on a connection that is logged in; to be called until
    /// there is none. While messages are unconfirmed nothing is sent, so that the order stays.
    pub(crate) fn next_step(&mut self) -> Option<OutboxStep> {
        if !self.unconfirmed.is_empty() {
            return None;
        }
        let chat = self.waiting.front()?.chat;
        match self.bases.get_mut(&chat) {
            None => {
                self.bases.insert(chat, None);
                Some(OutboxStep::AskBase(chat))
            }
            Some(None) => None,
            Some(Some(base)) if base.asked => None,
            Some(Some(base)) if base.acknowledged >= BASE_LASTS => {
                base.asked = true;
                Some(OutboxStep::AskBase(chat))
            }
            Some(Some(_)) => {
                let message = self.waiting.pop_front()?;
                self.in_flight.push_back(message.clone());
                Some(OutboxStep::Send(message))
            }
        }
    }

    /// The chat's newest TimeStamp, 0 for none. All that was sent before it was asked for has been
    /// answered by now.
    pub(crate) fn based(&mut self, chat: i64, newest: i64) {
        let base = Base {
            timestamp: newest,
            ..Base::default()
        };
        self.bases.insert(chat, Some(base));
    }

    /// The base cannot be had: the chat is gone. Its messages are given back unsent.
    pub(crate) fn baseless(&mut self, chat: i64) -> Vec<OutgoingMessage> {
        self.bases.remove(&chat);
        let of_chat = |message: &OutgoingMessage| message.chat == chat;
        let (gone, rest): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(of_chat);
        self.waiting = rest.into();
        gone
    }

    /// Takes the answer to the oldest message in flight, and gives that.
    pub(crate) fn answered(&mut self, stored: bool) -> Option<OutgoingMessage> {
        let message = self.in_flight.pop_front()?;
        if let Some(Some(base)) = self.bases.get_mut(&message.chat)
            && stored
        {
            base.acknowledged = base.acknowledged.saturating_add(1);
        }
        Some(message)
    }

    /// The user deleted the chat: what was acknowledged up to now is not in its history any more.
    pub(crate) fn deleted(&mut self, chat: i64) {
        if let Some(Some(base)) = self.bases.get_mut(&chat) {
            base.acknowledged = 0;
        }
    }

    /// The connection is lost. What was in flight is unconfirmed now.
    pub(crate) fn lost(&mut self) {
        self.unconfirmed.extend(self.in_flight.drain(..));
        let unconfirmed = &self.unconfirmed;
        // Where nothing is unconfirmed, a base is of no use: messages may come from elsewhere now.
        self.bases.retain(|chat, base| {
            if let Some(base) = base {
                base.asked = false;
            }
            base.is_some() && unconfirmed.iter().any(|message| message.chat == *chat)
        });
    }

    /// The server has ended the login. It answers in order, so it stored nothing of what is still
    /// in flight, and will not: all of it waits again, in its place.
    pub(crate) fn logged_out(&mut self) {
        while let Some(message) = self.in_flight.pop_back() {
            self.waiting.push_front(message);
        }
    }

    pub(crate) fn unconfirmed(&self) -> Vec<UnconfirmedChat> {
        let mut chats: Vec<UnconfirmedChat> = Vec::new();
        for message in &self.unconfirmed {
            if let Some(known) = chats.iter_mut().find(|known| known.chat == message.chat) {
                known.likely = known.likely.saturating_add(1);
                continue;
            }
            let base = self.base(message.chat);
            chats.push(UnconfirmedChat {
                chat: message.chat,
                base: base.timestamp,
                likely: base.acknowledged.saturating_add(1),
            });
        }
        chats
    }

    fn base(&self, chat: i64) -> Base {
        self.bases.get(&chat).copied().flatten().unwrap_or_default()
    }

    /// Resolves a chat's unconfirmed messages by its own messages newer than its base, oldest
    /// first: each its text and whether it has media. `newest` is the newest TimeStamp of the chat.
    /// Gives the messages that were stored; the others wait to be sent again, before all that waits
    /// already.
    pub(crate) fn resolve(
        &mut self,
        chat: i64,
        own: &[(&str, bool)],
        newest: i64,
    ) -> Vec<OutgoingMessage> {
        let acknowledged = self.base(chat).acknowledged as usize;
        let mut found = own.iter().skip(acknowledged).peekable();
        let mut is_next = |message: &OutgoingMessage| {
            let own = (message.text.as_str(), message.media.is_some());
            found.next_if(|next| **next == own).is_some()
        };
        // What is not in the history was refused, or never read.
        let of_chat = self.unresolvable(chat);
        let (stored, again): (Vec<_>, Vec<_>) = of_chat.into_iter().partition(&mut is_next);
        let mut waiting = VecDeque::from(again);
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
        self.based(chat, newest);
        stored
    }

    /// A chat with unconfirmed messages is gone, so they cannot be resolved. Gives its messages.
    pub(crate) fn unresolvable(&mut self, chat: i64) -> Vec<OutgoingMessage> {
        self.bases.remove(&chat);
        let of_chat = |message: &mut OutgoingMessage| message.chat == chat;
        self.unconfirmed.extract_if(.., of_chat).collect()
    }

    /// Gives up all that is not acknowledged: the unconfirmed, and what was certainly not sent.
    pub(crate) fn give_up(&mut self) -> (Vec<OutgoingMessage>, Vec<OutgoingMessage>) {
        self.lost();
        self.bases.clear();
        let unconfirmed = std::mem::take(&mut self.unconfirmed);
        (unconfirmed, self.waiting.drain(..).collect())
    }
}

#[cfg(test)]
mod tests;
