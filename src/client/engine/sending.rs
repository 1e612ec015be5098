//! Messages on their way out: into the outbox, onto the wire, and after a lost connection compared
//! with the history. The rules are the outbox's; here they meet the server.

use std::path::Path;

use super::requests::{RequestKind, why};
use super::{Engine, Output, Waiter};
use crate::client::answers::{HistoryLine, ServerAnswer};
use crate::client::media;
use crate::client::options::Exit;
use crate::client::outbox::{Attachment, OutboxStep, OutgoingMessage};
use crate::protocol::request::HISTORY_MAX;
use crate::protocol::{MESSAGE_MAX, Request};

/// Lines read of a history beyond the unconfirmed messages: the other member may have written too.
const OTHERS_LINES: u32 = 20;

/// Asks for up to `count` messages before a TimeStamp; 0 for the newest.
pub(super) fn history(chat: i64, before: i64, count: u32) -> Request<'static> {
    Request::RequestHistory {
        chat,
        before,
        count,
    }
}

impl Engine {
    pub(super) fn outgoing(
        &self,
        chat: Option<i64>,
        text: String,
        media: Option<Attachment>,
    ) -> OutgoingMessage {
        OutgoingMessage {
            chat: chat.unwrap_or(0),
            to: chat.map_or_else(String::new, |chat| self.roster.partner(chat)),
            text,
            media,
        }
    }

    /// Queues a message. Whoever typed it may go on at once, unless too many wait already.
    pub(super) fn say(&mut self, text: String, media: Option<Attachment>, waiter: Waiter) {
        let message = self.outgoing(self.current, text, media);
        let why = if self.current.is_none() {
            Some("no chat is open; /chat NAME opens one")
        } else if message.text.len() > MESSAGE_MAX {
            Some("it is longer than 8 KiB")
        } else if message.text.contains('\0') {
            Some("it holds the character NUL")
        } else if message.text.is_empty() && message.media.is_none() {
            Some("it is empty")
        } else {
            None
        };
        if let Some(why) = why {
            self.unsent(message, why, Exit::Refused);
            return;
        }
        if !self.is_online() && self.outbox.is_empty() {
            self.note("not connected; it will be sent as soon as that changes");
        }
        self.outbox.push(message);
        // Until there is room, see `look_around`.
        self.crowded = waiter;
    }

    pub(super) fn send_file(&mut self, path: &Path, text: String, waiter: Waiter) {
        let shown = path.display();
        let uri = match media::from_file(path) {
            Ok(uri) => uri,
            Err(error) => {
                let text = format!("{shown} cannot be sent: {error}");
                return self.problem(text, Exit::Failed);
            }
        };
        let name = path.file_name().map(|name| name.to_string_lossy());
        let name = name.map_or_else(|| shown.to_string(), |name| name.into_owned());
        if self.current.is_some() {
            let (kind, size) = media::facts(&uri);
            let (kind, size) = (kind.unwrap_or_default(), media::size(size as u64));
            self.note(format!("sending {name} ({kind}, {size})"));
        }
        let uri = uri.into();
        self.say(text, Some(Attachment { uri, name }), waiter);
    }

    pub(super) fn pump(&mut self) {
        while self.is_online()
            && let Some(step) = self.outbox.next_step()
        {
            match step {
                OutboxStep::AskBase(chat) => self.ask_base(chat),
                OutboxStep::Send(message) => self.send_message(&message),
            }
        }
    }

    fn send_message(&mut self, message: &OutgoingMessage) {
        let media = message.media.as_ref();
        let request = Request::MessageSend {
            chat: message.chat,
            message: message.text.as_str().into(),
            media: media.map(|media| (&*media.uri).into()),
        };
        let queued = |engine: &Engine| {
            let connection = engine.session.connection.as_ref();
            connection.map_or(0, |connection| connection.queued())
        };
        let start = queued(self);
        self.request(&request, RequestKind::Foreground, |engine, answer| {
            engine.message_answered(&answer);
        });
        if let Some(media) = media {
            self.transfers.uploading(&media.name, start..queued(self));
        }
    }

    fn message_answered(&mut self, answer: &ServerAnswer) {
        let stored = answer.is_ok();
        let Some(message) = self.outbox.answered(stored) else {
            return;
        };
        if let Some(media) = &message.media {
            self.transfers.uploaded(&media.name);
        }
        match (stored, &message.media) {
            (true, Some(media)) => self.note(format!("{} is sent", media.name)),
            (true, None) => {}
            (false, _) => self.unsent(message, &why(answer), Exit::Refused),
        }
    }

    /// Asks for the newest TimeStamp of a chat, which the outbox counts from.
    fn ask_base(&mut self, chat: i64) {
        let then = move |engine: &mut Engine, answer| match answer {
            ServerAnswer::History(lines) => {
                let newest = lines.last().map_or(0, |line| line.timestamp);
                engine.outbox.based(chat, newest);
            }
            // A server of the table alone: no way to look.
            ServerAnswer::Unknown => engine.outbox.based(chat, 0),
            ServerAnswer::Status(_) => {
                for message in engine.outbox.baseless(chat) {
                    engine.unsent(message, &why(&answer), Exit::Refused);
                }
            }
            // Its disk is full, or the like. Nothing is sent that could not be looked for.
            _ => engine.lose("the server cannot answer at the moment"),
        };
        self.request(&history(chat, 0, 1), RequestKind::Foreground, then);
    }

    pub(super) fn look_up_unconfirmed(&mut self) {
        for chat in self.outbox.unconfirmed() {
            let count = chat.likely.saturating_add(OTHERS_LINES);
            self.read_history(chat.chat, 0, count.min(HISTORY_MAX as u32), Vec::new());
        }
    }

    /// Reads a chat's history back to its base, page by page. `newer` is what has been read.
    fn read_history(&mut self, chat: i64, before: i64, count: u32, newer: Vec<HistoryLine>) {
        let then = move |engine: &mut Engine, answer| match answer {
            ServerAnswer::History(page) => engine.history_read(chat, count, page, newer),
            ServerAnswer::Status(_) | ServerAnswer::Unknown => {
                let why = format!("it may have been kept: {}", why(&answer));
                for message in engine.outbox.unresolvable(chat) {
                    engine.unsent(message, &why, Exit::Refused);
                }
            }
            _ => engine.lose("the server cannot answer at the moment"),
        };
        let request = history(chat, before, count);
        self.request(&request, RequestKind::Foreground, then);
    }

    fn history_read(
        &mut self,
        chat: i64,
        count: u32,
        mut lines: Vec<HistoryLine>,
        newer: Vec<HistoryLine>,
    ) {
        let unconfirmed = self.outbox.unconfirmed();
        let Some(of_chat) = unconfirmed.iter().find(|of_chat| of_chat.chat == chat) else {
            return;
        };
        let oldest = lines.first().map_or(i64::MIN, |line| line.timestamp);
        let whole = lines.len() < count as usize || oldest <= of_chat.base;
        lines.extend(newer);
        if !whole {
            return self.read_history(chat, oldest, HISTORY_MAX as u32, lines);
        }
        let own =
            |line: &&HistoryLine| line.timestamp > of_chat.base && line.user == self.roster.own;
        let own: Vec<(&str, bool)> = lines
            .iter()
            .filter(own)
            .map(|line| (line.message.as_str(), line.media.is_some()))
            .collect();
        let newest = lines.last().map_or(of_chat.base, |line| line.timestamp);
        for message in self.outbox.resolve(chat, &own, newest) {
            self.show(Output::Stored(message));
        }
    }
}
