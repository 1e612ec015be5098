//! What the server pushes, and media: shown once, and told to the server as received.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::{ChatsFor, ContactsFor, Engine, Front, Outcome, Output, Purpose, State, Waiter};
use crate::client::media;
use crate::client::options::Exit;
use crate::protocol::{PushPacket, Request};

/// Fetched media are kept for `/save` up to this much.
const CACHE_MAX: usize = 32 << 20;

/// Media that wait to be looked at; beyond that, their type and size stay unknown.
const CURIOUS_MAX: usize = 32;

impl<F: Front> Engine<F> {
    pub(super) fn pushed(&mut self, push: PushPacket<'static>) {
        if !self.options.listens || !matches!(self.state, State::Online) {
            return;
        }
        // In the order in which they came: what is told as received includes all before it.
        let unknown = matches!(&push, PushPacket::MessageSended { chat, .. }
            if !self.book.chats.contains_key(chat));
        if unknown || self.asked_chats {
            self.unnamed.push_back(push);
            if !self.asked_chats {
                self.asked_chats = true;
                self.send(
                    &Request::RequestChatList {},
                    Purpose::Chats(ChatsFor::Knowledge),
                );
            }
            return;
        }
        self.show_push(push);
    }

    /// The list of chats is there: what waited for it is shown.
    pub(super) fn show_unnamed(&mut self) {
        while matches!(self.state, State::Online)
            && let Some(push) = self.unnamed.pop_front()
        {
            self.show_push(push);
        }
    }

    fn show_push(&mut self, push: PushPacket<'static>) {
        let (chat, timestamp, text, media) = match push {
            PushPacket::ConfirmContactAdd { user } => {
                // Asked or agreed? The contacts tell.
                let purpose = Purpose::Contacts(ContactsFor::Pushed(user.into_owned()));
                self.send(&Request::RequestOwnContactList {}, purpose);
                return;
            }
            PushPacket::MessageSended {
                chat,
                timestamp,
                message,
                media,
            } => (chat, timestamp, message.into_owned(), media),
        };
        if self.book.is_new(chat, timestamp) {
            let mut unread = None;
            if self.current != Some(chat)
                && let Some(entry) = self.book.chats.get_mut(&chat)
            {
                entry.unread = entry.unread.saturating_add(1);
                unread = Some(entry.unread);
            }
            let from = self.book.partner(chat);
            // Before: whoever looks on may have seen enough with this one, and then it is told.
            self.reads.push_back((self.given + 1, chat, timestamp));
            self.show(Output::Message {
                chat,
                from,
                timestamp,
                text,
                media,
                unread,
            });
            if let Some(media) = media {
                self.be_curious(media);
            }
        } else {
            self.reads.push_back((self.given, chat, timestamp));
        }
    }

    /// Tells the server what has been shown.
    pub(super) fn tell_received(&mut self) {
        if !matches!(self.state, State::Online) {
            return;
        }
        let shown = self.given.saturating_sub(self.front.unshown() as u64);
        let mut newest = None;
        while let Some(read) = self.reads.pop_front_if(|(given, ..)| *given <= shown) {
            newest = Some(read);
        }
        if let Some((_, chat, timestamp)) = newest {
            self.send(&Request::Received { chat, timestamp }, Purpose::Received);
        }
    }

    fn be_curious(&mut self, media: i64) {
        if !self.options.fetch_media {
            return;
        }
        if let Some((kind, size)) = self.facts.get(&media).cloned() {
            return self.show(Output::Media { media, kind, size });
        }
        if self.curious.len() < CURIOUS_MAX {
            self.curious.push_back(media);
            self.look_at_media();
        }
    }

    /// Fetches the next media, one at a time, so that other replies come in between.
    pub(super) fn look_at_media(&mut self) {
        let fetching = self
            .answers
            .waiting()
            .any(|purpose| matches!(purpose, Purpose::Facts(_)));
        if matches!(self.state, State::Online)
            && !fetching
            && let Some(media) = self.curious.pop_front()
        {
            self.send(&Request::RequestMedia { media }, Purpose::Facts(media));
        }
    }

    pub(super) fn learn(&mut self, media: i64, text: String) {
        let (kind, size) = media::facts(&text);
        self.facts.insert(media, (kind.clone(), size));
        self.cache.push_back((media, text));
        while self.cache.iter().map(|(_, text)| text.len()).sum::<usize>() > CACHE_MAX {
            self.cache.pop_front();
        }
        self.show(Output::Media { media, kind, size });
    }

    /// Writes media to a file.
    pub(super) fn store(&mut self, media: i64, text: &str, path: &Path, waiter: Waiter) {
        let bytes = media::to_bytes(text);
        let kind = media::facts(text)
            .0
            .unwrap_or_else(|| "unknown type".to_owned());
        let shown = path.display();
        match write(path, &bytes, self.options.strict) {
            Ok(()) => {
                let size = media::size(bytes.len() as u64);
                self.note(format!("media {media} ({kind}, {size}) is in {shown}"));
                self.finish(waiter, Outcome::Fine);
            }
            Err(error) => {
                self.problem(format!("{shown} cannot be written: {error}"), Exit::Failed);
                self.finish(waiter, Outcome::Fine);
            }
        }
    }
}

/// To a new file; a script may write over one, or to standard output.
fn write(path: &Path, bytes: &[u8], script: bool) -> io::Result<()> {
    if script && path == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        return out.flush();
    }
    let mut file = match script {
        true => File::create(path)?,
        false => OpenOptions::new().write(true).create_new(true).open(path)?,
    };
    file.write_all(bytes)?;
    file.sync_all().or_else(|error| match error.kind() {
        // Pipes and devices cannot be synced, and need not be.
        io::ErrorKind::InvalidInput => Ok(()),
        _ => Err(error),
    })
}
