//! The server's answers: what each of them means for what it was asked for.

use super::{
    ChatsFor, ContactsFor, Engine, Front, Opening, Outcome, Output, Purpose, State, Waiter,
};
use crate::auth::names;
use crate::auth::names::{NameFault, PasswordFault};
use crate::client::answers::{Answer, Line};
use crate::client::options::Exit;
use crate::protocol::{Request, Status};

/// Why something was refused, for people.
fn why(answer: &Answer) -> String {
    let (text, code) = match answer {
        Answer::Status(status) | Answer::Login(status, _) => {
            let text = match status {
                Status::Ok => "done",
                Status::UsernameInvalid => "this name is not allowed",
                Status::PasswordInvalid => "this password is not allowed",
                Status::UsernameAlreadyTaken => "somebody else has this name",
                Status::ClientAlreadyLoggedIn => "logged in already",
                Status::UsernameAlreadyLoggedIn => "logged in elsewhere",
                Status::PasswordWrong => "the password is wrong",
                Status::ClientNotLoggedIn => "not logged in",
                Status::ChatNotFound => "the chat is gone",
                Status::ChatPermissionDenied => "it belongs to other people",
                Status::ContactNotFound => "there is no such user or contact",
                Status::ContactNotConfirmed => {
                    "you are not contacts yet: both have to /add each other"
                }
                Status::MediaNotFound => "there is no such media, or it is gone",
            };
            (text.to_owned(), status.code())
        }
        Answer::Refused(Some(reason)) => (reason.clone(), 211),
        Answer::Refused(None) => ("the server refused".to_owned(), 211),
        Answer::Unknown => ("this server does not know the request".to_owned(), 210),
        _ => ("the server answered something else".to_owned(), 211),
    };
    format!("{text} ({code})")
}

/// The same, with what is wrong with a name or a password as far as this program's rules tell.
fn why_not(answer: &Answer, name: Option<NameFault>, password: Option<PasswordFault>) -> String {
    let Answer::Status(status) = answer else {
        return why(answer);
    };
    let (what, fault) = match status {
        Status::UsernameInvalid => ("name", name.map(|fault| fault.to_string())),
        Status::PasswordInvalid => ("password", password.map(|fault| fault.to_string())),
        _ => return why(answer),
    };
    let code = status.code();
    match fault {
        Some(fault) => format!("this {what} is not allowed: {fault} ({code})"),
        None => why(answer),
    }
}

const OK: Answer = Answer::Status(Status::Ok);

impl<F: Front> Engine<F> {
    pub(super) fn answered(&mut self, purpose: Purpose, answer: Answer) {
        let logged_out = answer == Answer::Status(Status::ClientNotLoggedIn);
        if logged_out && matches!(self.state, State::Online) {
            self.outbox.logged_out();
            self.lose("the server ended the login");
            return self.lost_answer(purpose);
        }
        // `112` has no other way to say 407 than `211`, which may mean something else. Asked in a way
        // that has one, the server tells which it was.
        if let (Purpose::Chats(_), Answer::Refused(_)) = (&purpose, &answer) {
            self.ping();
        }
        match purpose {
            Purpose::Login(waiter) => self.logged_in(answer, waiter),
            Purpose::Register { waiter, .. } if answer == OK => self.finish(waiter, Outcome::Fine),
            Purpose::Register { faults, waiter } => {
                let why = why_not(&answer, faults.0, faults.1);
                self.refused_as(&format!("not registered: {why}"), &answer, waiter);
            }
            Purpose::Logout => {
                if let State::Leaving(_, exit) = self.state {
                    self.ended = Some(exit);
                }
            }
            Purpose::Received | Purpose::Ping => {}
            Purpose::Chats(what_for) => self.chats_listed(what_for, answer),
            Purpose::Contacts(what_for) => self.contacts_listed(what_for, answer),
            Purpose::People { show, waiter } => self.people_listed(show, answer, waiter),
            Purpose::Create(opening) if answer == OK => {
                // `217` does not say the ChatID; the list does.
                self.send(
                    &Request::RequestChatList {},
                    Purpose::Chats(ChatsFor::Opening(opening)),
                );
            }
            Purpose::Create(Opening { name, waiter, .. }) => {
                self.refused(&format!("no chat with {name}"), &answer, waiter);
                self.run_later(false);
            }
            Purpose::Confirm { name, waiter } if answer == OK => {
                let purpose = Purpose::Contacts(ContactsFor::Asked(name, waiter));
                self.send(&Request::RequestOwnContactList {}, purpose);
            }
            Purpose::Confirm { name, waiter } => self.refused(&name, &answer, waiter),
            Purpose::Remove { name, waiter } if answer == OK => {
                self.book.forget_contact(&name);
                self.note(format!("{name} is no contact of yours any more"));
                self.finish(waiter, Outcome::Fine);
            }
            Purpose::Remove { name, waiter } => self.refused(&name, &answer, waiter),
            Purpose::Delete { chat, waiter } if answer == OK => {
                let with = self.book.partner(chat);
                self.outbox.deleted(chat);
                self.book.chats.remove(&chat);
                self.current = self.current.filter(|current| *current != chat);
                self.note(format!("the chat with {with} is deleted"));
                self.finish(waiter, Outcome::Fine);
            }
            Purpose::Delete { waiter, .. } => self.refused("not deleted", &answer, waiter),
            Purpose::Passwd { new, waiter } if answer == OK => {
                if let Some((_, password)) = &mut self.credentials {
                    *password = new;
                }
                self.note("the password is changed");
                self.finish(waiter, Outcome::Fine);
            }
            Purpose::Passwd { new, waiter } => {
                let fault = names::password(&new).err();
                let why = why_not(&answer, None, fault);
                self.refused_as(
                    &format!("the password is not changed: {why}"),
                    &answer,
                    waiter,
                );
            }
            Purpose::History(waiter) => self.history(answer, waiter),
            Purpose::Message => self.message_answered(&answer),
            Purpose::Base(chat) => self.based(chat, &answer),
            Purpose::Settle { chat, count } => self.looked_up(chat, count, answer),
            Purpose::Facts(media) => {
                if let Answer::Media(text) = answer {
                    self.learn(media, text);
                }
                self.look_at_media();
            }
            Purpose::Save {
                media,
                path,
                waiter,
            } => match answer {
                Answer::Media(text) => self.store(media, &text, &path, waiter),
                answer => self.refused(&format!("media {media}"), &answer, waiter),
            },
        }
    }

    fn refused(&mut self, what: &str, answer: &Answer, waiter: Waiter) {
        self.refused_as(&format!("{what}: {}", why(answer)), answer, waiter);
    }

    fn refused_as(&mut self, text: &str, answer: &Answer, waiter: Waiter) {
        self.problem(text.to_owned(), Exit::Refused);
        let status = match answer {
            Answer::Status(status) => Some(*status),
            _ => None,
        };
        self.finish(waiter, Outcome::Refused(status));
    }

    fn chats_listed(&mut self, what_for: ChatsFor, answer: Answer) {
        let listed = match answer {
            Answer::Chats(list) => {
                self.book.set_chats(list);
                Ok(())
            }
            answer => Err(answer),
        };
        match (what_for, listed) {
            (ChatsFor::Knowledge, _) => {
                // Also without a list: a message is worth more than a name.
                self.asked_chats = false;
                self.show_unnamed();
            }
            (ChatsFor::Show(waiter), Ok(())) => {
                self.show_chats();
                self.finish(waiter, Outcome::Fine);
            }
            (ChatsFor::Show(waiter), Err(answer)) => self.refused("no list", &answer, waiter),
            (ChatsFor::Opening(opening), listed) => {
                // By its name alone. Any other guess could send what follows to somebody else.
                let found = self.book.chat_with(&opening.name);
                match found {
                    Some(chat) => self.go_to(chat, opening.waiter),
                    None => {
                        let what = format!("no chat with {}", opening.name);
                        let unlisted = "it is not in the list; /chats shows what is".to_owned();
                        let answer = listed.err().unwrap_or(Answer::Refused(Some(unlisted)));
                        self.refused(&what, &answer, opening.waiter);
                    }
                }
                self.run_later(found.is_some());
            }
        }
    }

    pub(super) fn show_chats(&mut self) {
        let line = |(id, chat): (&i64, &crate::client::roster::Chat)| {
            let here = if self.current == Some(*id) { "*" } else { " " };
            match chat.unread {
                0 => format!("{here} {}", chat.with),
                unread => format!("{here} {} ({unread} unread)", chat.with),
            }
        };
        let lines = self.book.chats.iter().map(line).collect();
        self.list(
            "chats",
            lines,
            "no chats yet; /add NAME, and when both have, /chat NAME",
        );
    }

    fn list(&mut self, heading: &str, lines: Vec<String>, none: &str) {
        if lines.is_empty() {
            return self.note(none);
        }
        let heading = format!("{heading}: {}", lines.len());
        self.show(Output::List { heading, lines });
    }

    fn contacts_listed(&mut self, what_for: ContactsFor, answer: Answer) {
        let listed = match answer {
            Answer::Contacts(list) => {
                self.book.set_contacts(&list);
                Ok(())
            }
            answer => Err(answer),
        };
        match what_for {
            ContactsFor::Knowledge => {}
            ContactsFor::Show(waiter) => {
                if let Err(answer) = listed {
                    return self.refused("no list", &answer, waiter);
                }
                let lines = self
                    .book
                    .contacts
                    .iter()
                    .map(|name| format!("  {name}"))
                    .collect();
                self.list(
                    "contacts",
                    lines,
                    "no contacts yet; /people shows who is here, /add NAME asks",
                );
                self.finish(waiter, Outcome::Fine);
            }
            ContactsFor::Pushed(name) => {
                self.book.names.add(&name);
                let agreed = self.book.contact(&name).is_some();
                self.show(Output::Contact { name, agreed });
            }
            ContactsFor::Asked(name, waiter) => {
                let text = match self.book.contact(&name) {
                    Some(name) => format!("you and {name} are contacts; /chat {name}"),
                    None => format!("{name} is asked, and has to agree"),
                };
                self.note(text);
                self.finish(waiter, Outcome::Fine);
            }
        }
    }

    fn people_listed(&mut self, show: bool, answer: Answer, waiter: Waiter) {
        match answer {
            Answer::People(people) => {
                for name in &people {
                    self.book.names.add(name);
                }
                if show {
                    let contacts = &self.book.contacts;
                    let line = |name: String| match contacts.contains(&name) {
                        true => format!("  {name} (contact)"),
                        false => format!("  {name}"),
                    };
                    let lines = people.into_iter().map(line).collect();
                    self.list("people", lines, "nobody else is here yet");
                }
                self.finish(waiter, Outcome::Fine);
            }
            answer if show => self.refused("no list", &answer, waiter),
            _ => {}
        }
    }

    fn history(&mut self, answer: Answer, waiter: Waiter) {
        match answer {
            Answer::History(lines) if lines.is_empty() => {
                self.note("nothing was said here yet");
                self.finish(waiter, Outcome::Fine);
            }
            Answer::History(lines) => {
                for line in lines {
                    let media = line.media;
                    self.show(Output::Past(line));
                    // Known already, so it costs nothing.
                    if let Some(media) = media
                        && let Some((kind, size)) = self.facts.get(&media).cloned()
                    {
                        self.show(Output::Media { media, kind, size });
                    }
                }
                self.finish(waiter, Outcome::Fine);
            }
            answer => self.refused("no history", &answer, waiter),
        }
    }

    fn message_answered(&mut self, answer: &Answer) {
        let kept = *answer == OK;
        let Some(message) = self.outbox.answered(kept) else {
            return;
        };
        if message.media.is_some() {
            let large = self.uploads.front().is_some_and(|upload| {
                message
                    .media
                    .as_ref()
                    .is_some_and(|media| media.name == upload.name)
            });
            if large {
                self.uploads.pop_front();
            }
        }
        match (kept, &message.media) {
            (true, Some(media)) => {
                let text = format!("{} is sent", media.name);
                self.note(text);
            }
            (true, None) => {}
            (false, _) => self.unsent(message, &why(answer), Exit::Refused),
        }
    }

    fn based(&mut self, chat: i64, answer: &Answer) {
        match answer {
            Answer::History(lines) => {
                let newest = lines.last().map_or(0, |line| line.timestamp);
                self.outbox.based(chat, newest);
            }
            // A server of the table alone: no way to look.
            Answer::Unknown => self.outbox.based(chat, 0),
            Answer::Status(_) => {
                for message in self.outbox.baseless(chat) {
                    self.unsent(message, &why(answer), Exit::Refused);
                }
            }
            // Its disk is full, or the like. Nothing is sent that could not be looked for.
            _ => self.lose("the server cannot answer at the moment"),
        }
    }

    /// A page of the history of a chat with doubts.
    fn looked_up(&mut self, chat: i64, count: u32, answer: Answer) {
        let page = match answer {
            Answer::History(page) => page,
            Answer::Status(_) | Answer::Unknown => {
                let why = format!("it may have been kept: {}", why(&answer));
                for message in self.outbox.unsettled(chat) {
                    self.unsent(message, &why, Exit::Refused);
                }
                return;
            }
            _ => return self.lose("the server cannot answer at the moment"),
        };
        let doubts = self.outbox.doubts();
        let Some(doubt) = doubts.iter().find(|doubt| doubt.chat == chat) else {
            return;
        };
        let oldest = page.first().map_or(i64::MIN, |line| line.timestamp);
        let whole = page.len() < count as usize || oldest <= doubt.base;
        let mut lines = page;
        lines.append(&mut self.settling.remove(&chat).unwrap_or_default());
        if !whole {
            self.settling.insert(chat, lines);
            return self.look_up_doubt(chat, oldest, 1000);
        }
        let own = |line: &&Line| line.timestamp > doubt.base && line.user == self.book.own;
        let own: Vec<(&str, bool)> = lines
            .iter()
            .filter(own)
            .map(|line| (line.message.as_str(), line.media.is_some()))
            .collect();
        let newest = lines.last().map_or(doubt.base, |line| line.timestamp);
        for message in self.outbox.settle(chat, &own, newest) {
            self.show(Output::Kept(message));
        }
    }
}
