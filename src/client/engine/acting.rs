//! The engine's commands: what each of them sends.

use std::path::PathBuf;
use std::time::Instant;

use super::{
    ChatsFor, ContactsFor, Engine, Front, Opening, Outcome, Purpose, QUIT_PATIENCE, State, Waiter,
};
use crate::client::command::Command;
use crate::client::media;
use crate::client::options::Exit;
use crate::client::outbox::{Attached, Message, Step};
use crate::protocol::{MESSAGE_MAX, Request};

impl<F: Front> Engine<F> {
    /// Whether the first login is under way.
    fn is_beginning(&self) -> bool {
        let logging_in = matches!(self.state, State::LoggingIn);
        !self.was_online && (logging_in || self.errand.is_some())
    }

    /// Takes a command, or keeps it for when the chat that is being opened is open.
    pub(super) fn command(&mut self, command: Command, waiter: Waiter) {
        match command {
            Command::Login { .. } | Command::Register { .. } => self.errand(command, waiter),
            _ if matches!(self.state, State::Leaving(..)) => {}
            _ if self.opening || self.is_beginning() => self.later.push_back((command, waiter)),
            _ => self.act(command, waiter),
        }
    }

    fn act(&mut self, command: Command, waiter: Waiter) {
        match command {
            Command::Say(text) => return self.say(text, None, waiter),
            Command::SendFile { path, text } => return self.send_file(&path, text, waiter),
            Command::Quit => {
                self.quitting = Some((Instant::now() + QUIT_PATIENCE, waiter));
                return;
            }
            _ => {}
        }
        // Chats that are known can be gone to without the server.
        if let Command::Chat(name) = &command
            && let Some(chat) = self.book.chat_with(name)
        {
            return self.go_to(chat, waiter);
        }
        if let Command::Chats = &command
            && !matches!(self.state, State::Online)
        {
            self.show_chats();
            return self.finish(waiter, Outcome::Fine);
        }
        if !matches!(self.state, State::Online) {
            self.problem("not connected; try again later", Exit::Unreachable);
            return self.finish(waiter, Outcome::Unreachable);
        }
        let chat = self.current;
        match (command, chat) {
            (Command::Add(name) | Command::Accept(name), _) => {
                let request = Request::RequestConfirmContact {
                    user: name.as_str().into(),
                };
                let purpose = Purpose::Confirm {
                    name: name.clone(),
                    waiter,
                };
                self.send(&request, purpose);
            }
            (Command::Remove(name), _) => {
                let request = Request::ContactDelete {
                    user: name.as_str().into(),
                };
                let purpose = Purpose::Remove {
                    name: name.clone(),
                    waiter,
                };
                self.send(&request, purpose);
            }
            (Command::Contacts, _) => {
                let purpose = Purpose::Contacts(ContactsFor::Show(waiter));
                self.send(&Request::RequestOwnContactList {}, purpose);
            }
            (Command::People, _) => {
                let purpose = Purpose::People { show: true, waiter };
                self.send(&Request::RequestContactList {}, purpose);
            }
            (Command::Chat(name), _) => self.open(name, waiter),
            (Command::Save { media, path }, _) => self.save(media, path, waiter),
            (Command::History(count), Some(chat)) => {
                let request = Request::RequestHistory {
                    chat,
                    before: 0,
                    count,
                };
                self.send(&request, Purpose::History(waiter));
            }
            (Command::Delete, Some(chat)) => {
                self.send(
                    &Request::ChatDelete { chat },
                    Purpose::Delete { chat, waiter },
                );
            }
            (Command::History(_) | Command::Delete, None) => {
                self.problem("no chat is open; /chat NAME opens one", Exit::Refused);
                self.finish(waiter, Outcome::Fine);
            }
            (Command::Passwd { old, new }, _) => {
                let request = Request::PasswordChange {
                    old: old.into(),
                    new: new.as_str().into(),
                };
                let new = new.clone().into();
                self.send(&request, Purpose::Passwd { new, waiter });
            }
            (Command::Chats, _) => {
                self.send(
                    &Request::RequestChatList {},
                    Purpose::Chats(ChatsFor::Show(waiter)),
                );
            }
            // Done above.
            (
                Command::Say(_)
                | Command::SendFile { .. }
                | Command::Quit
                | Command::Login { .. }
                | Command::Register { .. },
                _,
            ) => {}
        }
    }

    /// Queues a message. Whoever typed it may go on at once, unless too many wait already.
    fn say(&mut self, text: String, media: Option<Attached>, waiter: Waiter) {
        let chat = self.current.unwrap_or(0);
        let message = Message {
            chat,
            to: self
                .current
                .map_or_else(String::new, |chat| self.book.partner(chat)),
            text,
            media,
        };
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
            return self.finish(waiter, Outcome::Fine);
        }
        if !matches!(self.state, State::Online) && self.outbox.is_empty() {
            self.note("not connected; it will be sent as soon as that changes");
        }
        self.outbox.push(message);
        // Answered when there is room, see `look_around`.
        if let Some(earlier) = self.crowded.replace(waiter) {
            self.finish(earlier, Outcome::Fine);
        }
    }

    fn send_file(&mut self, path: &std::path::Path, text: String, waiter: Waiter) {
        let shown = path.display().to_string();
        match media::from_file(path) {
            Ok(uri) => {
                let (kind, size) = media::facts(&uri);
                let name = path
                    .file_name()
                    .map_or(shown, |name| name.to_string_lossy().into_owned());
                if self.current.is_some() {
                    let kind = kind.unwrap_or_default();
                    self.note(format!(
                        "sending {name} ({kind}, {})",
                        media::size(size as u64)
                    ));
                }
                let uri = uri.into();
                self.say(text, Some(Attached { uri, name }), waiter);
            }
            Err(error) => {
                self.problem(format!("{shown} cannot be sent: {error}"), Exit::Failed);
                self.finish(waiter, Outcome::Fine);
            }
        }
    }

    /// Sends what can be sent now.
    pub(super) fn pump(&mut self) {
        while matches!(self.state, State::Online)
            && let Some(step) = self.outbox.next_step()
        {
            match step {
                Step::AskBase(chat) => {
                    let request = Request::RequestHistory {
                        chat,
                        before: 0,
                        count: 1,
                    };
                    self.send(&request, Purpose::Base(chat));
                }
                Step::Send(message) => {
                    let media = message.media.as_ref();
                    let request = Request::MessageSend {
                        chat: message.chat,
                        message: message.text.as_str().into(),
                        media: media.map(|media| (&*media.uri).into()),
                    };
                    let span = self.send(&request, Purpose::Message);
                    if let (Some(media), Some(span)) = (media, span) {
                        self.note_upload(&media.name, span);
                    }
                }
            }
        }
    }

    /// Asks the server for what was kept of what is in doubt.
    pub(super) fn look_up(&mut self) {
        self.asked_chats = true;
        self.send(
            &Request::RequestChatList {},
            Purpose::Chats(ChatsFor::Knowledge),
        );
        let purpose = Purpose::Contacts(ContactsFor::Knowledge);
        self.send(&Request::RequestOwnContactList {}, purpose);
        if !self.options.strict && !self.asked_people {
            self.asked_people = true;
            let purpose = Purpose::People {
                show: false,
                waiter: None,
            };
            self.send(&Request::RequestContactList {}, purpose);
        }
        for doubt in self.outbox.doubts() {
            // A little more, for what the other has written meanwhile.
            self.look_up_doubt(doubt.chat, 0, doubt.likely.saturating_add(20).min(1000));
        }
    }

    pub(super) fn look_up_doubt(&mut self, chat: i64, before: i64, count: u32) {
        let request = Request::RequestHistory {
            chat,
            before,
            count,
        };
        self.send(&request, Purpose::Settle { chat, count });
    }

    fn open(&mut self, name: String, waiter: Waiter) {
        self.opening = true;
        let request = Request::ChatCreate {
            contact: name.as_str().into(),
        };
        let opening = Opening {
            name: name.clone(),
            waiter,
        };
        self.send(&request, Purpose::Create(opening));
    }

    /// What was typed while a chat was being opened, or before the first login, has its turn.
    pub(super) fn run_later(&mut self, done: bool) {
        self.opening = false;
        while !self.opening
            && let Some((command, waiter)) = self.later.pop_front()
        {
            match command {
                Command::Say(_) | Command::SendFile { .. } if !done => {
                    let message = Message {
                        chat: 0,
                        to: String::new(),
                        text: match command {
                            Command::Say(text) => text,
                            Command::SendFile { path, text } => {
                                format!("/send {} {text}", path.display())
                            }
                            _ => String::new(),
                        },
                        media: None,
                    };
                    self.unsent(message, "its chat could not be opened", Exit::Refused);
                    self.finish(waiter, Outcome::Fine);
                }
                command => self.act(command, waiter),
            }
        }
    }

    /// Makes a chat the current one.
    pub(super) fn go_to(&mut self, chat: i64, waiter: Waiter) {
        self.current = Some(chat);
        if let Some(entry) = self.book.chats.get_mut(&chat) {
            let unread = std::mem::take(&mut entry.unread);
            let text = match unread {
                0 => format!("chat with {}", entry.with),
                unread => format!("chat with {}, {unread} unread until now", entry.with),
            };
            if !self.options.strict {
                self.note(text);
            }
        }
        self.finish(waiter, Outcome::Fine);
    }

    fn save(&mut self, media: i64, path: PathBuf, waiter: Waiter) {
        match self.cache.iter().find(|(id, _)| *id == media) {
            Some((_, text)) => {
                let text = text.clone();
                self.store(media, &text, &path, waiter);
            }
            None => {
                let purpose = Purpose::Save {
                    media,
                    path,
                    waiter,
                };
                self.send(&Request::RequestMedia { media }, purpose);
            }
        }
    }

    /// Whether somebody waits for something that is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.opening
            || self.errand.is_some()
            || self.answers.waiting().any(|purpose| {
                !matches!(
                    purpose,
                    Purpose::Received
                        | Purpose::Ping
                        | Purpose::Facts(_)
                        | Purpose::Contacts(ContactsFor::Knowledge)
                        | Purpose::People { show: false, .. }
                )
            })
    }
}
