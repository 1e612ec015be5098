//! What the server pushes: shown once, and then confirmed as received. And the lists that give
//! names to it.

use std::collections::VecDeque;

use super::requests::RequestKind;
use super::{Engine, Output};
use crate::client::answers::{HistoryLine, ServerAnswer};
use crate::protocol::{PushPacket, Request};

/// Pushes on their way to the screen and to their confirmation.
#[derive(Default)]
pub(super) struct PushArrivals {
    /// Pushes that wait for the list of chats, to have names.
    pub(super) unnamed: VecDeque<PushPacket<'static>>,
    /// Unconfirmed messages: the number of the last output that shows each, ChatID and TimeStamp.
    pub(super) unconfirmed: VecDeque<(u64, i64, i64)>,
}

impl Engine {
    pub(super) fn pushed(&mut self, push: PushPacket<'static>) {
        if !self.options.listens || !self.is_online() {
            return;
        }
        // In the order in which they came: what is confirmed includes all before it.
        let listing = self.is_pending(&[RequestKind::ChatNames]);
        let unknown = matches!(&push, PushPacket::MessageSended { chat, .. }
            if !self.roster.chats.contains_key(chat));
        if !unknown && !listing {
            return self.show_push(push);
        }
        self.arrivals.unnamed.push_back(push);
        if !listing {
            self.ask_chat_names();
        }
    }

    pub(super) fn ask_chat_names(&mut self) {
        let chats = Request::RequestChatList {};
        self.request(&chats, RequestKind::ChatNames, |engine, answer| {
            // Also without a list: a message is worth more than a name.
            let _ = engine.take_chats(answer);
            while engine.is_online()
                && let Some(push) = engine.arrivals.unnamed.pop_front()
            {
                engine.show_push(push);
            }
        });
    }

    fn show_push(&mut self, push: PushPacket<'static>) {
        let (chat, timestamp, text, media) = match push {
            PushPacket::ConfirmContactAdd { user } => {
                return self.show_contact(user.into_owned());
            }
            PushPacket::MessageSended {
                chat,
                timestamp,
                message,
                media,
            } => (chat, timestamp, message.into_owned(), media),
        };
        if !self.roster.is_new(chat, timestamp) {
            let shown = (self.shown, chat, timestamp);
            return self.arrivals.unconfirmed.push_back(shown);
        }
        let mut unread = None;
        if self.current != Some(chat)
            && let Some(entry) = self.roster.chats.get_mut(&chat)
        {
            entry.unread = entry.unread.saturating_add(1);
            unread = Some(entry.unread);
        }
        // Before it is shown: whoever looks on may want an end with it, and then it is confirmed.
        let shown = (self.shown + 1, chat, timestamp);
        self.arrivals.unconfirmed.push_back(shown);
        let message = HistoryLine {
            chat,
            timestamp,
            user: self.roster.partner(chat),
            message: text,
            media,
        };
        self.show(Output::Message { message, unread });
        if let Some(media) = media
            && self.options.fetch_media
            && !self.show_media(media)
        {
            self.probe_later(media);
        }
    }

    /// Somebody asks or has agreed; the contacts tell which.
    fn show_contact(&mut self, name: String) {
        let contacts = Request::RequestOwnContactList {};
        self.request(&contacts, RequestKind::Foreground, |engine, answer| {
            let _ = engine.take_contacts(answer);
            engine.roster.names.add(&name);
            let agreed = engine.roster.contact(&name).is_some();
            engine.show(Output::Contact { name, agreed });
        });
    }

    pub(super) fn confirm_shown(&mut self) {
        if !self.is_online() {
            return;
        }
        let shown = self.shown.saturating_sub(self.front.unshown() as u64);
        let mut newest = None;
        let unconfirmed = &mut self.arrivals.unconfirmed;
        while let Some(read) = unconfirmed.pop_front_if(|(number, ..)| *number <= shown) {
            newest = Some(read);
        }
        if let Some((_, chat, timestamp)) = newest {
            let received = Request::Received { chat, timestamp };
            self.request(&received, RequestKind::Background, |_, _| {});
        }
    }

    pub(super) fn take_chats(&mut self, answer: ServerAnswer) -> Result<(), ServerAnswer> {
        let ServerAnswer::Chats(list) = answer else {
            // `112` has no other way to say 407 than `211`, which may mean something else. Asked in
            // a way that has one, the server tells which it was.
            if let ServerAnswer::Refused(_) = answer {
                self.ping();
            }
            return Err(answer);
        };
        self.roster.set_chats(list);
        self.set_current(self.current);
        Ok(())
    }

    pub(super) fn take_contacts(&mut self, answer: ServerAnswer) -> Result<(), ServerAnswer> {
        let ServerAnswer::Contacts(list) = answer else {
            return Err(answer);
        };
        self.roster.set_contacts(&list);
        Ok(())
    }

    pub(super) fn take_people(
        &mut self,
        answer: ServerAnswer,
    ) -> Result<Vec<String>, ServerAnswer> {
        let ServerAnswer::People(people) = answer else {
            return Err(answer);
        };
        for name in &people {
            self.roster.names.add(name);
        }
        Ok(people)
    }
}
