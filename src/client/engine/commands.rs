//! The commands: what each of them sends, and what it does with the answer.

use zeroize::Zeroizing;

use super::requests::{Asker, RequestKind};
use super::sending::history;
use super::{ClientSession, CommandOutcome, Engine, Output, SessionPhase, Waiter};
use crate::auth::names;
use crate::client::answers::ServerAnswer;
use crate::client::command::Command;
use crate::client::options::Exit;
use crate::client::roster::Chat;
use crate::protocol::Request;

impl Engine {
    /// Takes a command, or defers it until the first login, or the opening of a chat, is done.
    pub(super) fn command(&mut self, command: Command, waiter: Waiter) {
        let ClientSession { phase, errand, .. } = &self.session;
        let is_first_login = !self.session.was_online
            && (errand.is_some() || matches!(phase, SessionPhase::LoggingIn));
        match command {
            Command::Login { .. } | Command::Register { .. } => self.errand(command, waiter),
            _ if matches!(phase, SessionPhase::Leaving(..)) => {}
            _ if is_first_login || self.is_pending(&[RequestKind::Opening]) => {
                self.deferred.push_back((command, waiter));
            }
            _ => self.act(command, waiter),
        }
    }

    /// Runs what was deferred, up to the next command that opens a chat. Lines go only to a chat
    /// that was opened.
    pub(super) fn run_deferred(&mut self, opened: bool) {
        while !self.is_pending(&[RequestKind::Opening])
            && let Some((command, waiter)) = self.deferred.pop_front()
        {
            let text = match command {
                Command::Say(text) if !opened => text,
                Command::SendFile { path, text } if !opened => {
                    format!("/send {} {text}", path.display())
                }
                command => {
                    self.act(command, waiter);
                    continue;
                }
            };
            let message = self.outgoing(None, text, None);
            self.unsent(message, "its chat could not be opened", Exit::Refused);
        }
    }

    fn act(&mut self, command: Command, waiter: Waiter) {
        // Chats that are known can be gone to without the server.
        if let Command::Chat(name) = &command
            && let Some(chat) = self.roster.chat_with(name)
        {
            return self.go_to(chat);
        }
        match (command, self.current) {
            (Command::Say(text), _) => self.say(text, None, waiter),
            (Command::SendFile { path, text }, _) => self.send_file(&path, text, waiter),
            (Command::Quit, _) => self.quit(waiter),
            (Command::Chats, _) if !self.is_online() => self.show_chats(),
            _ if !self.is_online() => {
                self.problem("not connected; try again later", Exit::Unreachable);
                waiter.tell(CommandOutcome::Unreachable);
            }
            (Command::Add(name) | Command::Accept(name), _) => self.add(name, waiter),
            (Command::Remove(name), _) => self.remove(name, waiter),
            (Command::Contacts, _) => self.list_contacts(waiter),
            (Command::People, _) => self.list_people(waiter),
            (Command::Chats, _) => self.list_chats(waiter),
            (Command::Chat(name), _) => self.open(name, waiter),
            (Command::Save { media, path }, _) => self.save(media, path, waiter),
            (Command::Passwd { old, new }, _) => self.change_password(old, new, waiter),
            (Command::History(count), Some(chat)) => self.list_history(chat, count, waiter),
            (Command::Delete, Some(chat)) => self.delete_chat(chat, waiter),
            (Command::History(_) | Command::Delete, None) => {
                self.problem("no chat is open; /chat NAME opens one", Exit::Refused);
            }
            (command @ (Command::Login { .. } | Command::Register { .. }), _) => {
                self.errand(command, waiter);
            }
        }
    }

    fn add(&mut self, name: String, waiter: Waiter) {
        let user = name.clone().into();
        let asker = Asker::new(format!("/add {name}"), &name, waiter.clone());
        let request = Request::RequestConfirmContact { user };
        self.ask(&request, asker, |engine, answer| {
            answer.ok()?;
            let contacts = Request::RequestOwnContactList {};
            engine.request(&contacts, RequestKind::Foreground, move |engine, answer| {
                let _ = engine.take_contacts(answer);
                let text = match engine.roster.contact(&name) {
                    Some(name) => format!("you and {name} are contacts; /chat {name}"),
                    None => format!("{name} is asked, and has to agree"),
                };
                engine.note(text);
                drop(waiter);
            });
            Ok(())
        });
    }

    fn remove(&mut self, name: String, waiter: Waiter) {
        let user = name.clone().into();
        let asker = Asker::new(format!("/remove {name}"), &name, waiter);
        let request = Request::ContactDelete { user };
        self.ask(&request, asker, move |engine, answer| {
            answer.ok()?;
            engine.roster.forget_contact(&name);
            engine.note(format!("{name} is no contact of yours any more"));
            Ok(())
        });
    }

    fn delete_chat(&mut self, chat: i64, waiter: Waiter) {
        let asker = Asker::new("/delete", "not deleted", waiter);
        let request = Request::ChatDelete { chat };
        self.ask(&request, asker, move |engine, answer| {
            answer.ok()?;
            let with = engine.roster.partner(chat);
            engine.outbox.deleted(chat);
            engine.roster.chats.remove(&chat);
            engine.set_current(engine.current.filter(|current| *current != chat));
            engine.note(format!("the chat with {with} is deleted"));
            Ok(())
        });
    }

    fn change_password(&mut self, old: String, new: String, waiter: Waiter) {
        let request = Request::PasswordChange {
            old: old.into(),
            new: new.clone().into(),
        };
        let mut asker = Asker::new("/passwd", "the password is not changed", waiter);
        asker.faults.1 = names::password(&new).err();
        let new = Zeroizing::new(new);
        self.ask(&request, asker, |engine, answer| {
            answer.ok()?;
            if let Some((_, password)) = &mut engine.session.credentials {
                *password = new;
            }
            engine.note("the password is changed");
            Ok(())
        });
    }

    /// Creates the chat with somebody if it is missing, and goes to it.
    fn open(&mut self, name: String, waiter: Waiter) {
        let contact = name.clone().into();
        let what = format!("no chat with {name}");
        let asker = Asker::new(format!("/chat {name}"), what, waiter);
        let request = Request::ChatCreate { contact };
        let then = |engine: &mut Engine, answer: Option<_>| match answer.map(ServerAnswer::ok) {
            Some(Ok(())) => engine.find_opened(name, asker),
            Some(Err(answer)) => {
                engine.refused(asker, &answer);
                engine.run_deferred(false);
            }
            None => engine.opening_lost(asker),
        };
        self.send(&request, RequestKind::Opening, then);
    }

    /// Goes to a chat that was created. `217` does not say the ChatID; the list does.
    fn find_opened(&mut self, name: String, asker: Asker) {
        let chats = Request::RequestChatList {};
        self.send(&chats, RequestKind::Opening, move |engine, answer| {
            let Some(answer) = answer else {
                return engine.opening_lost(asker);
            };
            let listed = engine.take_chats(answer);
            // By its name alone. Any other guess could send what follows to somebody else.
            let found = engine.roster.chat_with(&name);
            match found {
                Some(chat) => engine.go_to(chat),
                None => {
                    let unlisted = "it is not in the list; /chats shows what is".to_owned();
                    let unlisted = ServerAnswer::Refused(Some(unlisted));
                    engine.refused(asker, &listed.err().unwrap_or(unlisted));
                }
            }
            engine.run_deferred(found.is_some());
        });
    }

    fn opening_lost(&mut self, asker: Asker) {
        self.run_deferred(false);
        self.unanswered(asker);
    }

    fn go_to(&mut self, chat: i64) {
        self.set_current(Some(chat));
        if let Some(entry) = self.roster.chats.get_mut(&chat) {
            let text = match std::mem::take(&mut entry.unread) {
                0 => format!("chat with {}", entry.with),
                unread => format!("chat with {}, {unread} unread until now", entry.with),
            };
            if !self.options.strict {
                self.note(text);
            }
        }
    }

    fn list_chats(&mut self, waiter: Waiter) {
        let asker = Asker::new("/chats", "no list", waiter);
        self.ask(&Request::RequestChatList {}, asker, |engine, answer| {
            engine.take_chats(answer)?;
            engine.show_chats();
            Ok(())
        });
    }

    fn show_chats(&mut self) {
        let line = |(id, chat): (&i64, &Chat)| {
            let here = if self.current == Some(*id) { "*" } else { " " };
            match chat.unread {
                0 => format!("{here} {}", chat.with),
                unread => format!("{here} {} ({unread} unread)", chat.with),
            }
        };
        let lines = self.roster.chats.iter().map(line).collect();
        let none = "no chats yet; /add NAME, and when both have, /chat NAME";
        self.list("chats", lines, none);
    }

    fn list_contacts(&mut self, waiter: Waiter) {
        let asker = Asker::new("/contacts", "no list", waiter);
        let request = Request::RequestOwnContactList {};
        self.ask(&request, asker, |engine, answer| {
            engine.take_contacts(answer)?;
            let contacts = engine.roster.contacts.iter();
            let lines = contacts.map(|name| format!("  {name}")).collect();
            let none = "no contacts yet; /people shows who is here, /add NAME asks";
            engine.list("contacts", lines, none);
            Ok(())
        });
    }

    fn list_people(&mut self, waiter: Waiter) {
        let asker = Asker::new("/people", "no list", waiter);
        self.ask(&Request::RequestContactList {}, asker, |engine, answer| {
            let people = engine.take_people(answer)?;
            let contacts = &engine.roster.contacts;
            let line = |name: String| match contacts.contains(&name) {
                true => format!("  {name} (contact)"),
                false => format!("  {name}"),
            };
            let lines = people.into_iter().map(line).collect();
            engine.list("people", lines, "nobody else is here yet");
            Ok(())
        });
    }

    fn list(&mut self, heading: &str, lines: Vec<String>, none: &str) {
        if lines.is_empty() {
            return self.note(none);
        }
        let heading = format!("{heading}: {}", lines.len());
        self.show(Output::List { heading, lines });
    }

    fn list_history(&mut self, chat: i64, count: u32, waiter: Waiter) {
        let asker = Asker::new("/history", "no history", waiter);
        self.ask(&history(chat, 0, count), asker, |engine, answer| {
            let ServerAnswer::History(lines) = answer else {
                return Err(answer);
            };
            if lines.is_empty() {
                engine.note("nothing was said here yet");
            }
            for line in lines {
                let media = line.media;
                engine.show(Output::Past(line));
                // Media that are known cost nothing.
                if let Some(media) = media {
                    engine.show_media(media);
                }
            }
            Ok(())
        });
    }
}
