//! What was typed and is not acknowledged yet. Nothing of it is lost, and nothing doubled.
//!
//! A message whose `219` did not come may have been kept or not. The next connection tells, by
//! `130`: the server takes one connection's messages in their order, so a chat's history, newer
//! than a TimeStamp known from before the first of them, holds of one's own
//!
//! 1. as many messages as were acknowledged since, and then
//! 2. those of the messages in doubt that were kept, in their order.
//!
//! So what matters is a **base** for each chat: a TimeStamp, and the count of own messages
//! acknowledged since. `219` does not say the TimeStamp of a message, and a `220` that came in
//! between says nothing about one's own; so the base is asked for, by `130 chat 0 1`, before the
//! first message to a chat on a connection, and again when the count has grown large. Equal texts
//! need no care: they are counted, not searched.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// After so many acknowledged messages the base is asked for anew, so that a look after a lost
/// connection reads a page and not a novel.
const BASE_LASTS: u32 = 50;

/// A message that is on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// ChatID.
    pub chat: i64,
    /// The other member, for people.
    pub to: String,
    /// The text.
    pub text: String,
    /// The media.
    pub media: Option<Attached>,
}

/// A file on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// As it goes over the wire.
    pub uri: Arc<str>,
    /// The file's name, for people.
    pub name: String,
}

/// The next step out.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// To ask for the newest TimeStamp of the chat and tell it to [`Outbox::based`].
    AskBase(i64),
    /// To send this. It is in flight now.
    Send(Message),
}

/// What is to be looked up after a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// ChatID.
    pub chat: i64,
    /// Messages newer than this TimeStamp matter.
    pub base: i64,
    /// How many of them are likely, at least.
    pub likely: u32,
}

#[derive(Clone, Copy, Default)]
struct Base {
    timestamp: i64,
    /// Own messages newer than that which were acknowledged.
    acknowledged: u32,
    /// Whether a newer base has been asked for.
    asked: bool,
}

/// All messages that are not acknowledged.
#[derive(Default)]
pub struct Outbox {
    /// Kept or not: to be looked up. Oldest first.
    doubtful: Vec<Message>,
    /// Not sent. Oldest first.
    waiting: VecDeque<Message>,
    /// Sent on this connection. Oldest first.
    flying: VecDeque<Message>,
    /// Of the chats that were written to. `None` while the first is asked for.
    bases: HashMap<i64, Option<Base>>,
}

impl Outbox {
    /// Puts a message behind all others.
    pub fn push(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.doubtful.len() + self.waiting.len() + self.flying.len()
    }

    /// Whether all is acknowledged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next step that can be taken on a connection that is logged in; to be called until
    /// there is none. While there are doubts nothing is sent, so that the order stays.
    pub fn next_step(&mut self) -> Option<Step> {
        if !self.doubtful.is_empty() {
            return None;
        }
        let chat = self.waiting.front()?.chat;
        match self.bases.get_mut(&chat) {
            None => {
                self.bases.insert(chat, None);
                Some(Step::AskBase(chat))
            }
            Some(None) => None,
            Some(Some(base)) if base.asked => None,
            Some(Some(base)) if base.acknowledged >= BASE_LASTS => {
                base.asked = true;
                Some(Step::AskBase(chat))
            }
            Some(Some(_)) => {
                let message = self.waiting.pop_front()?;
                self.flying.push_back(message.clone());
                Some(Step::Send(message))
            }
        }
    }

    /// The chat's newest TimeStamp, 0 for none. All that was sent before it was asked for has been
    /// answered by now.
    pub fn based(&mut self, chat: i64, newest: i64) {
        let base = Base {
            timestamp: newest,
            ..Base::default()
        };
        self.bases.insert(chat, Some(base));
    }

    /// The base cannot be had: the chat is gone. Its messages are given back unsent.
    pub fn baseless(&mut self, chat: i64) -> Vec<Message> {
        self.bases.remove(&chat);
        let of_chat = |message: &Message| message.chat == chat;
        let (gone, rest): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(of_chat);
        self.waiting = rest.into();
        gone
    }

    /// Takes the answer to the oldest message in flight, and gives that.
    pub fn answered(&mut self, kept: bool) -> Option<Message> {
        let message = self.flying.pop_front()?;
        if let Some(Some(base)) = self.bases.get_mut(&message.chat)
            && kept
        {
            base.acknowledged = base.acknowledged.saturating_add(1);
        }
        Some(message)
    }

    /// The user deleted the chat: what was acknowledged up to now is not in its history any more.
    pub fn deleted(&mut self, chat: i64) {
        if let Some(Some(base)) = self.bases.get_mut(&chat) {
            base.acknowledged = 0;
        }
    }

    /// The connection is lost. What was in flight is in doubt now.
    pub fn lost(&mut self) {
        self.doubtful.extend(self.flying.drain(..));
        let doubtful = &self.doubtful;
        // Where nothing is in doubt, a base is of no use: messages may come from elsewhere now.
        self.bases.retain(|chat, base| {
            if let Some(base) = base {
                base.asked = false;
            }
            base.is_some() && doubtful.iter().any(|message| message.chat == *chat)
        });
    }

    /// The server has ended the login. It answers in order, so it kept nothing of what is still
    /// in flight, and will not: all of it waits again, in its place.
    pub fn logged_out(&mut self) {
        while let Some(message) = self.flying.pop_back() {
            self.waiting.push_front(message);
        }
    }

    /// What is to be looked up, one for each chat.
    #[must_use]
    pub fn doubts(&self) -> Vec<Doubt> {
        let mut doubts: Vec<Doubt> = Vec::new();
        for message in &self.doubtful {
            if let Some(doubt) = doubts.iter_mut().find(|doubt| doubt.chat == message.chat) {
                doubt.likely = doubt.likely.saturating_add(1);
                continue;
            }
            let base = self.bases.get(&message.chat).copied().flatten();
            let base = base.unwrap_or_default();
            doubts.push(Doubt {
                chat: message.chat,
                base: base.timestamp,
                likely: base.acknowledged.saturating_add(1),
            });
        }
        doubts
    }

    /// Settles a chat's doubts by its own messages newer than its base, oldest first: each its
    /// text and whether it has media. `newest` is the newest TimeStamp of the chat. Gives the
    /// messages that were kept; the others wait to be sent again, before all that waits already.
    pub fn settle(&mut self, chat: i64, own: &[(&str, bool)], newest: i64) -> Vec<Message> {
        let base = self.bases.get(&chat).copied().flatten().unwrap_or_default();
        let mut found = own.iter().skip(base.acknowledged as usize).peekable();
        let mut kept = Vec::new();
        let mut again = VecDeque::new();
        let mut others = Vec::new();
        for message in self.doubtful.drain(..) {
            let same = |&&(text, media): &&(&str, bool)| {
                text == message.text && media == message.media.is_some()
            };
            if message.chat != chat {
                others.push(message);
            } else if found.next_if(same).is_some() {
                kept.push(message);
            } else {
                // Refused, or never read: either way not in the history.
                again.push_back(message);
            }
        }
        self.doubtful = others;
        again.append(&mut self.waiting);
        self.waiting = again;
        self.based(chat, newest);
        kept
    }

    /// A chat with doubts is gone, so they cannot be settled. Gives its messages.
    pub fn unsettled(&mut self, chat: i64) -> Vec<Message> {
        self.bases.remove(&chat);
        let all = std::mem::take(&mut self.doubtful);
        let (gone, rest) = all.into_iter().partition(|message| message.chat == chat);
        self.doubtful = rest;
        gone
    }

    /// Gives up all that is not acknowledged: first what may have been kept, then what was not
    /// sent for certain.
    pub fn give_up(&mut self) -> (Vec<Message>, Vec<Message>) {
        self.lost();
        self.bases.clear();
        let doubtful = std::mem::take(&mut self.doubtful);
        (doubtful, self.waiting.drain(..).collect())
    }
}

#[cfg(test)]
mod tests;
