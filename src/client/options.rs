//! The command line of `plausch`.
//!
//! `tables` declares each option, form, variable and exit code once; parsing, `--help` and the manual
//! page come from them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::link::{Address, Security};
use crate::options::layout::entry;
use crate::options::{self, CommandLine, Invocation, OptionRow, Parsed, UsageError};
use tables::{EXITS, FORMS, OPTIONS, VARIABLES};

mod tables;

pub(crate) use tables::Exit;

pub(crate) const PROGRAM: &str = "plausch";

const COMMAND_LINE: CommandLine<Choices> = CommandLine {
    program: PROGRAM,
    sections: &[("Options", OPTIONS), ("", &OptionRow::HELP_AND_VERSION)],
    help,
};

const DEFAULT_HOST: &str = "127.0.0.1";

/// How long `send` and `fetch` try without `--timeout`.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Choices {
    user: Option<String>,
    password_file: Option<PathBuf>,
    server: Option<String>,
    tls: bool,
    ca: Option<PathBuf>,
    raw: bool,
    no_fetch: bool,
    to: Option<String>,
    file: Option<PathBuf>,
    json: bool,
    count: Option<u64>,
    timeout: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) address: Address,
    pub(crate) security: Security,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) raw: bool,
    pub(crate) fetch_media: bool,
    pub(crate) mode: Mode,
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Chat,
    Send {
        to: String,
        /// `None` to read it from standard input.
        text: Option<String>,
        file: Option<PathBuf>,
    },
    Tail {
        json: bool,
        count: Option<u64>,
    },
    Fetch {
        media: i64,
        file: PathBuf,
    },
}

/// Reads the arguments, without the name of the program, and the environment.
pub(crate) fn parse(
    args: impl Iterator<Item = OsString>,
) -> Result<Invocation<Settings>, UsageError> {
    // Not the same as unset: a default would log in as somebody else, or elsewhere.
    let is_text = |value: OsString| value.into_string().is_ok();
    for (name, _) in VARIABLES {
        if std::env::var_os(name).is_some_and(|value| !is_text(value)) {
            return Err(UsageError::new(format!("{name} is not UTF-8")));
        }
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    parse_with(args, variable)
}

fn parse_with(
    args: impl Iterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Invocation<Settings>, UsageError> {
    let mut parsed = match COMMAND_LINE.parse(args)? {
        Invocation::Run(parsed) => parsed,
        Invocation::Print(text) => return Ok(Invocation::Print(text)),
    };
    let mode = mode(&mut parsed)?;
    let Choices {
        user,
        password_file,
        server,
        tls,
        ca,
        raw,
        no_fetch,
        timeout,
        ..
    } = parsed.choices;
    let timeout = match mode {
        Mode::Send { .. } | Mode::Fetch { .. } => timeout.or(Some(SCRIPT_TIMEOUT)),
        Mode::Chat | Mode::Tail { .. } => timeout,
    };
    let security = match (tls, ca) {
        (false, None) => Security::None,
        (false, Some(_)) => return Err(UsageError::new("--ca needs --tls too")),
        (true, ca) => Security::Tls { ca },
    };
    let host = server.or_else(|| variable("PLAUSCH_SERVER"));
    let host = host.as_deref().unwrap_or(DEFAULT_HOST);
    let Some(address) = Address::parse(host, &security) else {
        return Err(UsageError::new(format!("{host:?} is not HOST[:PORT]")));
    };
    Ok(Invocation::Run(Settings {
        address,
        security,
        user: user.or_else(|| variable("PLAUSCH_USER")),
        password_file,
        raw,
        fetch_media: !no_fetch,
        mode,
        timeout,
    }))
}

/// What the arguments ask for. That of the chat, the server, is put to the options.
fn mode(parsed: &mut Parsed<Choices>) -> Result<Mode, UsageError> {
    let wrong = |what: &str| Err(UsageError::new(what));
    let mut free = parsed.free.iter().map(String::as_str).peekable();
    let word = free.next_if(|word| !word.is_empty() && FORMS.iter().any(|form| form.word == *word));
    let commands = FORMS.iter().map(|form| (form.word, form.options));
    parsed.check_command(word.unwrap_or_default(), commands)?;
    let choices = &mut parsed.choices;
    let mode = match word {
        Some("send") => {
            let Some(to) = choices.to.take() else {
                return wrong("send needs --to NAME");
            };
            let file = choices.file.take();
            let text = match (free.next(), &file) {
                (Some("-"), _) => None,
                (Some(text), _) => Some(text.to_owned()),
                (None, Some(_)) => Some(String::new()),
                (None, None) => return wrong("send needs a TEXT, or - to read it"),
            };
            Mode::Send { to, text, file }
        }
        Some("tail") => Mode::Tail {
            json: choices.json,
            count: choices.count,
        },
        Some(_) => {
            let (Some(id), Some(file)) = (free.next(), free.next()) else {
                return wrong("fetch needs an ID and a FILE");
            };
            let Some(media) = options::number(id, 1..=i64::MAX) else {
                return wrong(&format!("ID is a number from 1 on, not {id:?}"));
            };
            let file = PathBuf::from(file);
            Mode::Fetch { media, file }
        }
        None => {
            if let Some(argument) = free.next()
                && choices.server.replace(argument.to_owned()).is_some()
            {
                return wrong("the server is named twice");
            }
            Mode::Chat
        }
    };
    match free.next() {
        Some(argument) => Err(UsageError::unexpected(argument)),
        None => Ok(mode),
    }
}

fn help() -> String {
    let mut text = String::new();
    for (at, form) in FORMS.iter().enumerate() {
        let start = if at == 0 { "Usage: " } else { "       " };
        text.push_str(&format!("{start}{PROGRAM} {}\n", form.synopsis));
    }
    text.push_str("A terminal client for the Plausch chat server.\n");
    for form in FORMS {
        let word = if form.word.is_empty() {
            PROGRAM
        } else {
            form.word
        };
        entry(&mut text, word, form.help, 11);
    }
    COMMAND_LINE.list_options(&mut text);
    text.push_str("\n\nEnvironment:");
    for (name, help) in VARIABLES {
        entry(&mut text, name, help, 22);
    }
    text.push_str("\n\nExit codes:");
    for (exit, help) in EXITS {
        entry(&mut text, &(*exit as u8).to_string(), help, 7);
    }
    text
}

#[cfg(test)]
mod tests;
