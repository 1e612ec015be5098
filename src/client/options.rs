//! The command line of `plausch` and its exit codes, as tables.
//!
//! [`OPTIONS`], [`FORMS`], [`VARIABLES`] and [`EXITS`] declare each thing once; parsing, `--help`
//! and the manual page come from them.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::link::{Address, Security};

mod tables;

pub use tables::{
    EXITS, Exit, ExitRow, FORMS, FormRow, OPTIONS, OptionRow, VARIABLES, VariableRow,
};

/// The name of the program.
pub const PROGRAM: &str = "plausch";

/// What holds without HOST.
pub const DEFAULT_HOST: &str = "127.0.0.1";

const ABOUT: &str = "A terminal client for the Plausch chat server.";

/// The widest that a line of `--help` may be.
const WIDTH: usize = 80;

/// How long `send` and `fetch` try when `--timeout` is not given.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// To do something.
    Run(Settings),
    /// To print this, without a newline at its end, and to end.
    Print(String),
}

/// Everything that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the server is.
    pub address: Address,
    /// How it is spoken to.
    pub security: Security,
    /// As whom to log in, if that was said.
    pub user: Option<String>,
    /// Whether to show packets.
    pub raw: bool,
    /// Whether to fetch media as they arrive, for their type and size.
    pub fetch_media: bool,
    /// What to do.
    pub mode: Mode,
    /// How long to go on.
    pub timeout: Option<Duration>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Chat at a terminal.
    Chat,
    /// Send one message.
    Send {
        /// To whom.
        to: String,
        /// The text; `None` to read it from standard input.
        text: Option<String>,
        /// The media.
        file: Option<PathBuf>,
    },
    /// Print what arrives.
    Tail {
        /// As JSON.
        json: bool,
        /// The most messages.
        count: Option<u64>,
    },
    /// Save media.
    Fetch {
        /// MediaID.
        media: i64,
        /// `-` for standard output.
        file: PathBuf,
    },
}

/// What is wrong with the command line: one line, without the program's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; see --help", self.0)
    }
}

impl std::error::Error for UsageError {}

fn wrong<T>(what: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(what.into()))
}

/// Reads the arguments, without the name of the program, and the environment.
///
/// # Errors
///
/// The first mistake.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    parse_with(args, variable)
}

fn parse_with(
    args: impl Iterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Invocation, UsageError> {
    let mut parser = getopts::Options::new();
    for row in OPTIONS {
        if row.hint.is_empty() {
            parser.optflag(row.short, row.long, "");
        } else {
            parser.optopt(row.short, row.long, "", "");
        }
    }
    let mut words = Vec::new();
    for arg in args {
        match arg.into_string() {
            Ok(word) => words.push(word),
            Err(arg) => return wrong(format!("argument {arg:?} is not UTF-8")),
        }
    }
    let matches = match parser.parse(&words) {
        Ok(matches) => matches,
        // Control characters in an argument must not reach the terminal as they are.
        Err(fail) => return wrong(fail.to_string().escape_debug().to_string()),
    };
    if matches.opt_present("help") {
        return Ok(Invocation::Print(help()));
    }
    if matches.opt_present("version") {
        return Ok(Invocation::Print(version()));
    }
    let given = |name: &str| matches.opt_str(name);
    let mut free = matches.free.iter().map(String::as_str).peekable();
    let word = free.next_if(|word| matches!(*word, "send" | "tail" | "fetch"));
    let only = |option: &str, mode: Option<&str>| match matches.opt_present(option) {
        true if word != mode => {
            let mode = mode.unwrap_or("chatting");
            wrong(format!("--{option} is for {mode} only"))
        }
        _ => Ok(()),
    };
    for (option, mode) in [
        ("to", "send"),
        ("file", "send"),
        ("json", "tail"),
        ("count", "tail"),
    ] {
        only(option, Some(mode))?;
    }
    let number = |name: &str| match given(name).map(|text| (number(&text), text)) {
        None => Ok(None),
        Some((Some(number), _)) => Ok(Some(number)),
        Some((None, text)) => wrong(format!("--{name} takes a number from 1 on, not {text:?}")),
    };
    let mut timeout = number("timeout")?.map(Duration::from_secs);
    let mut host = given("server");
    let mode = match word {
        Some("send") => {
            let Some(to) = given("to") else {
                return wrong("send needs --to NAME");
            };
            let file = given("file").map(PathBuf::from);
            let text = match (free.next(), &file) {
                (Some("-"), _) => None,
                (Some(text), _) => Some(text.to_owned()),
                (None, Some(_)) => Some(String::new()),
                (None, None) => return wrong("send needs a TEXT, or - to read it"),
            };
            Mode::Send { to, text, file }
        }
        Some("tail") => Mode::Tail {
            json: matches.opt_present("json"),
            count: number("count")?,
        },
        Some(_) => {
            let (Some(id), Some(file)) = (free.next(), free.next()) else {
                return wrong("fetch needs an ID and a FILE");
            };
            let Some(media) = self::number(id).and_then(|id| i64::try_from(id).ok()) else {
                return wrong(format!("ID is a number from 1 on, not {id:?}"));
            };
            let file = PathBuf::from(file);
            Mode::Fetch { media, file }
        }
        None => {
            if timeout.is_some() {
                return wrong("--timeout is for send, tail and fetch only");
            }
            if let Some(argument) = free.next()
                && host.replace(argument.to_owned()).is_some()
            {
                return wrong("the server is named twice");
            }
            Mode::Chat
        }
    };
    if let Some(argument) = free.next() {
        return wrong(format!("unexpected argument {argument:?}"));
    }
    if matches!(mode, Mode::Send { .. } | Mode::Fetch { .. }) {
        timeout = timeout.or(Some(SCRIPT_TIMEOUT));
    }
    let host = host.or_else(|| variable("PLAUSCH_SERVER"));
    let host = host.as_deref().unwrap_or(DEFAULT_HOST);
    let security = match (matches.opt_present("tls"), given("ca")) {
        (false, None) => Security::None,
        (false, Some(_)) => return wrong("--ca is for --tls only"),
        (true, _) if !cfg!(feature = "tls") => return wrong("--tls: this build has no TLS"),
        (true, ca) => Security::Tls {
            ca: ca.map(PathBuf::from),
        },
    };
    let Some(address) = Address::parse(host, &security) else {
        return wrong(format!("{host:?} is no HOST[:PORT]"));
    };
    Ok(Invocation::Run(Settings {
        address,
        security,
        user: given("user").or_else(|| variable("PLAUSCH_USER")),
        raw: matches.opt_present("raw"),
        fetch_media: !matches.opt_present("no-fetch"),
        mode,
        timeout,
    }))
}

/// Reads a number from 1 on, of decimal digits only.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| digits && number > 0)
}

impl OptionRow {
    /// The names and the hint: `-u, --user NAME`.
    #[must_use]
    pub fn synopsis(&self) -> String {
        let short = match self.short {
            "" => "    ".to_owned(),
            short => format!("-{short}, "),
        };
        let space = if self.hint.is_empty() { "" } else { " " };
        format!("{short}--{}{space}{}", self.long, self.hint)
    }
}

/// The text of `--help`, without a newline at its end.
#[must_use]
pub fn help() -> String {
    let mut text = String::new();
    for (at, form) in FORMS.iter().enumerate() {
        let start = if at == 0 { "Usage: " } else { "       " };
        text.push_str(&format!("{start}{PROGRAM} {}\n", form.synopsis));
    }
    text.push_str(ABOUT);
    text.push_str("\n\n");
    for form in FORMS {
        let word = form.synopsis.split(' ').next().unwrap_or_default();
        let word = if word.starts_with('[') { PROGRAM } else { word };
        entry(&mut text, word, form.help, 7);
    }
    text.push_str("\nOptions:\n");
    for row in OPTIONS {
        entry(&mut text, &row.synopsis(), row.help, 26);
    }
    text.push_str("\nEnvironment:\n");
    for row in VARIABLES {
        entry(&mut text, row.name, row.help, 18);
    }
    text.push_str("\nExit codes:\n");
    for row in EXITS {
        entry(&mut text, &(row.exit as u8).to_string(), row.help, 3);
    }
    text.pop();
    text
}

/// A word, and what it means beside it, in a column behind `width` characters.
fn entry(text: &mut String, word: &str, help: &str, width: usize) {
    let column = width + 4;
    let mut line = format!("  {word:width$}  ");
    let empty = line.chars().count().max(column);
    let mut fresh = true;
    for word in help.split(' ') {
        let length = line.chars().count();
        if !fresh && length + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = " ".repeat(empty.min(column));
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    text.push_str(&line);
    text.push('\n');
}

/// The text of `--version`, without a newline at its end.
#[must_use]
pub fn version() -> String {
    format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests;
