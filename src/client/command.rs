//! What can be typed: a line to send, or a command of the table. The terminal parses with it, the
//! line editor completes with it, and the engine carries out what comes of it.

use std::path::PathBuf;

use crate::protocol::request::HISTORY_MAX;

const HISTORY_DEFAULT: u32 = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Login {
        user: String,
        password: String,
    },
    Register {
        user: String,
        password: String,
        email: String,
        gender: String,
    },
    Say(String),
    Add(String),
    Accept(String),
    /// Ends a contact, or declines or withdraws a request.
    Remove(String),
    Contacts,
    People,
    Chats,
    Chat(String),
    /// Sends a file to the current chat; the text that goes with it may be empty.
    SendFile {
        path: PathBuf,
        text: String,
    },
    Save {
        media: i64,
        path: PathBuf,
    },
    History(u32),
    Delete,
    Passwd {
        old: String,
        new: String,
    },
    /// Ends, when all is acknowledged.
    Quit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Nothing,
    Command(Command),
    Help,
    /// `/passwd`: the passwords are still to be asked for.
    Passwd,
    /// `/login`: the password is still to be asked for.
    Login,
    Wrong(String),
}

/// All commands, in the order of `/help`: the name, with what stands for its arguments, and what it
/// does. TAB completes by what stands for the arguments.
pub(crate) static COMMANDS: &[(&str, &str)] = &[
    ("/add NAME", "ask somebody to be your contact"),
    ("/accept NAME", "agree to be somebody's contact"),
    (
        "/remove NAME",
        "end a contact, decline or withdraw a request",
    ),
    ("/contacts", "your contacts"),
    ("/people", "everybody else here"),
    ("/chats", "your chats, and what is unread in them"),
    (
        "/chat NAME",
        "go to the chat with a contact; it is created when there is none",
    ),
    (
        "/send FILE [TEXT]",
        "send a file; quote its name if it has spaces",
    ),
    ("/save ID FILE", "save media to a new file"),
    ("/history [N]", "the last N messages of the chat (20)"),
    ("/delete", "delete the chat and its messages, for you"),
    ("/passwd", "change your password"),
    ("/login", "log in again, after a login was refused"),
    ("/quit", "leave, when all is sent; so does Ctrl-D"),
    ("/help", "this list"),
];

pub(crate) fn name_and_hint(row: &(&'static str, &str)) -> (&'static str, &'static str) {
    row.0.split_once(' ').unwrap_or((row.0, ""))
}

pub(crate) fn help() -> String {
    let width = COMMANDS.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let lines = COMMANDS
        .iter()
        .map(|(left, help)| format!("  {left:width$}  {help}\n"));
    let mut text: String = lines.collect();
    text.push_str("Anything else is sent to the current chat; //text sends /text.");
    text
}

pub(crate) fn parse(line: &str) -> Typed {
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
    let name = || {
        let is_name = !rest.is_empty() && !rest.contains(char::is_whitespace);
        is_name.then(|| rest.to_owned())
    };
    let alone = |typed| rest.is_empty().then_some(typed);
    let typed = match word {
        "/add" => name().map(Command::Add).map(Typed::Command),
        "/accept" => name().map(Command::Accept).map(Typed::Command),
        "/remove" => name().map(Command::Remove).map(Typed::Command),
        "/chat" => name().map(Command::Chat).map(Typed::Command),
        "/contacts" => alone(Typed::Command(Command::Contacts)),
        "/people" => alone(Typed::Command(Command::People)),
        "/chats" => alone(Typed::Command(Command::Chats)),
        "/delete" => alone(Typed::Command(Command::Delete)),
        "/quit" => alone(Typed::Command(Command::Quit)),
        "/passwd" => alone(Typed::Passwd),
        "/login" => alone(Typed::Login),
        "/help" => alone(Typed::Help),
        "/send" => send(rest).map(Typed::Command),
        "/save" => save(rest).map(Typed::Command),
        "/history" => Some(history(rest)),
        _ => None,
    };
    typed.unwrap_or_else(|| {
        let row = COMMANDS.iter().find(|row| name_and_hint(row).0 == word);
        Typed::Wrong(match row {
            Some((usage, _)) => format!("usage: {usage}"),
            None => "there is no such command; /help lists them".to_owned(),
        })
    })
}

fn send(arguments: &str) -> Option<Command> {
    let (path, text) = file(arguments)?;
    let text = text.to_owned();
    Some(Command::SendFile { path, text })
}

fn save(arguments: &str) -> Option<Command> {
    let (number, rest) = arguments.split_once(char::is_whitespace)?;
    let media = number.parse().ok().filter(|media| *media > 0)?;
    let (path, rest) = file(rest.trim())?;
    rest.is_empty().then_some(Command::Save { media, path })
}

fn history(count: &str) -> Typed {
    let count = match count {
        "" => Some(HISTORY_DEFAULT),
        digits => digits.parse().ok(),
    };
    match count.filter(|count| (1..=HISTORY_MAX).contains(&u64::from(*count))) {
        Some(count) => Typed::Command(Command::History(count)),
        None => Typed::Wrong(format!("/history takes a number from 1 to {HISTORY_MAX}")),
    }
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
