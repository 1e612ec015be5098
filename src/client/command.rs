//! What can be typed: a line to send, or a command of the table.

use std::path::PathBuf;

use crate::protocol::request::HISTORY_MAX;

/// How many messages `/history` shows by itself.
const HISTORY_DEFAULT: u32 = 20;

/// What the engine is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To log in; also after a login was refused.
    Login {
        /// As typed.
        user: String,
        /// As typed.
        password: String,
    },
    /// To make an account, without logging in.
    Register {
        /// As typed.
        user: String,
        /// As typed.
        password: String,
        /// As typed.
        email: String,
        /// As typed.
        gender: String,
    },
    /// To send a message to the current chat.
    Say(String),
    /// To ask somebody to be a contact.
    Add(String),
    /// To agree to be somebody's contact.
    Accept(String),
    /// To end a contact, or to decline or withdraw a request.
    Remove(String),
    /// To list the contacts.
    Contacts,
    /// To list all users.
    People,
    /// To list the chats.
    Chats,
    /// To make the chat with somebody the current one.
    Chat(String),
    /// To send a file to the current chat.
    SendFile {
        /// Which.
        path: PathBuf,
        /// The text that goes with it; may be empty.
        text: String,
    },
    /// To save media.
    Save {
        /// MediaID.
        media: i64,
        /// Where to.
        path: PathBuf,
    },
    /// To show that many messages of the current chat, the newest.
    History(u32),
    /// To delete the current chat.
    Delete,
    /// To change the password.
    Passwd {
        /// As typed.
        old: String,
        /// As typed.
        new: String,
    },
    /// To end, when all is acknowledged.
    Quit,
}

/// A line that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Nothing.
    Nothing,
    /// For the engine.
    Command(Command),
    /// `/help`
    Help,
    /// `/passwd`: the passwords are still to be asked for.
    Passwd,
    /// `/login`: the password is still to be asked for.
    Login,
    /// What is wrong with it.
    Wrong(String),
}

/// What the argument of a command is, for TAB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// None.
    Nothing,
    /// A user.
    Name,
    /// A file first.
    File,
    /// A number, then a file.
    NumberAndFile,
    /// A number.
    Number,
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// With its slash.
    pub name: &'static str,
    /// What stands for its arguments.
    pub hint: &'static str,
    /// What they are.
    pub takes: Takes,
    /// What it does.
    pub help: &'static str,
}

/// All commands, in the order of `/help`.
pub static COMMANDS: &[CommandRow] = &[
    row(
        "/add",
        "NAME",
        Takes::Name,
        "ask somebody to be your contact",
    ),
    row(
        "/accept",
        "NAME",
        Takes::Name,
        "agree to be somebody's contact",
    ),
    row(
        "/remove",
        "NAME",
        Takes::Name,
        "end a contact, decline or withdraw a request",
    ),
    row("/contacts", "", Takes::Nothing, "your contacts"),
    row("/people", "", Takes::Nothing, "everybody else here"),
    row(
        "/chats",
        "",
        Takes::Nothing,
        "your chats, and what is unread in them",
    ),
    row(
        "/chat",
        "NAME",
        Takes::Name,
        "go to the chat with a contact; it is created when there is none",
    ),
    row(
        "/send",
        "FILE [TEXT]",
        Takes::File,
        "send a file; quote its name if it has spaces",
    ),
    row(
        "/save",
        "ID FILE",
        Takes::NumberAndFile,
        "save media to a new file",
    ),
    row(
        "/history",
        "[N]",
        Takes::Number,
        "the last N messages of the chat (20)",
    ),
    row(
        "/delete",
        "",
        Takes::Nothing,
        "delete the chat and its messages, for you",
    ),
    row("/passwd", "", Takes::Nothing, "change your password"),
    row(
        "/login",
        "",
        Takes::Nothing,
        "log in again, after a login was refused",
    ),
    row(
        "/quit",
        "",
        Takes::Nothing,
        "leave, when all is sent; so does Ctrl-D",
    ),
    row("/help", "", Takes::Nothing, "this list"),
];

const fn row(
    name: &'static str,
    hint: &'static str,
    takes: Takes,
    help: &'static str,
) -> CommandRow {
    CommandRow {
        name,
        hint,
        takes,
        help,
    }
}

/// The text of `/help`.
#[must_use]
pub fn help() -> String {
    let left = |row: &CommandRow| format!("{} {}", row.name, row.hint);
    let width = COMMANDS
        .iter()
        .map(|row| left(row).len())
        .max()
        .unwrap_or(0);
    let lines = COMMANDS
        .iter()
        .map(|row| format!("  {:width$}  {}\n", left(row), row.help));
    let mut text: String = lines.collect();
    text.push_str("Anything else is sent to the current chat; //text sends /text.");
    text
}

/// Reads a line.
#[must_use]
pub fn parse(line: &str) -> Typed {
    let Some(rest) = line.strip_prefix('/') else {
        return match line.trim().is_empty() {
            true => Typed::Nothing,
            false => Typed::Command(Command::Say(line.to_owned())),
        };
    };
    if rest.starts_with('/') {
        return Typed::Command(Command::Say(rest.to_owned()));
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let Some(row) = COMMANDS.iter().find(|row| row.name == word) else {
        return Typed::Wrong("there is no such command; /help lists them".to_owned());
    };
    let usage = || {
        Typed::Wrong(
            format!("usage: {} {}", row.name, row.hint)
                .trim_end()
                .to_owned(),
        )
    };
    let command = match row.takes {
        Takes::Nothing if !rest.is_empty() => return usage(),
        Takes::Nothing => match word {
            "/contacts" => Command::Contacts,
            "/people" => Command::People,
            "/chats" => Command::Chats,
            "/delete" => Command::Delete,
            "/quit" => Command::Quit,
            "/passwd" => return Typed::Passwd,
            "/login" => return Typed::Login,
            _ => return Typed::Help,
        },
        Takes::Name if rest.is_empty() || rest.contains(char::is_whitespace) => return usage(),
        Takes::Name => {
            let name = rest.to_owned();
            match word {
                "/add" => Command::Add(name),
                "/accept" => Command::Accept(name),
                "/remove" => Command::Remove(name),
                _ => Command::Chat(name),
            }
        }
        Takes::File => match file(rest) {
            Some((path, text)) => Command::SendFile {
                path,
                text: text.to_owned(),
            },
            None => return usage(),
        },
        Takes::NumberAndFile => {
            let (number, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match (number.parse(), file(rest.trim())) {
                (Ok(media), Some((path, ""))) if media > 0 => Command::Save { media, path },
                _ => return usage(),
            }
        }
        Takes::Number => match rest {
            "" => Command::History(HISTORY_DEFAULT),
            digits => match digits.parse() {
                Ok(count) if (1..=HISTORY_MAX).contains(&u64::from(count)) => {
                    Command::History(count)
                }
                _ => {
                    return Typed::Wrong(format!(
                        "/history takes a number from 1 to {HISTORY_MAX}"
                    ));
                }
            },
        },
    };
    Typed::Command(command)
}

/// Splits a file's name off: in quotes, or a word in which a backslash takes the next character as
/// it is. `~/` is the home directory.
fn file(text: &str) -> Option<(PathBuf, &str)> {
    let (name, rest) = match text.strip_prefix(['"', '\'']) {
        Some(inside) => {
            let quote = text.chars().next()?;
            let (name, rest) = inside.split_once(quote)?;
            (name.to_owned(), rest)
        }
        None => {
            let mut name = String::new();
            let mut end = text.len();
            let mut characters = text.char_indices();
            while let Some((at, c)) = characters.next() {
                match c {
                    '\\' => name.extend(characters.next().map(|(_, c)| c)),
                    c if c.is_whitespace() => {
                        end = at;
                        break;
                    }
                    c => name.push(c),
                }
            }
            (name, &text[end..])
        }
    };
    let path = match name.strip_prefix("~/") {
        Some(below) => PathBuf::from(std::env::var_os("HOME")?).join(below),
        None => PathBuf::from(&name),
    };
    (!name.is_empty()).then_some((path, rest.trim()))
}

#[cfg(test)]
mod tests;
