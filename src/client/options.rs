//! The command line of `plausch` and its exit codes, as tables.
//!
//! [`OPTIONS`], [`FORMS`], [`VARIABLES`] and [`EXITS`] declare each thing once; parsing, `--help`
//! and the manual page come from them.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::link::{Address, Security};
use crate::options;
use crate::options::entry;

mod tables;

pub use tables::{
    EXITS, Exit, ExitRow, FORMS, FormRow, OPTIONS, OptionRow, Own, VARIABLES, VariableRow,
};

/// The name of the program.
pub const PROGRAM: &str = "plausch";

/// What holds without HOST.
pub const DEFAULT_HOST: &str = "127.0.0.1";

const ABOUT: &str = "A terminal client for the Plausch chat server.";

/// How long `send` and `fetch` try when `--timeout` is not given.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the command line asks for: to do something, mostly.
pub type Invocation = options::Invocation<Settings>;

/// Everything that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the server is.
    pub address: Address,
    /// How it is spoken to.
    pub security: Security,
    /// As whom to log in, if that was said.
    pub user: Option<String>,
    /// The file with the password, if one was named.
    pub password_file: Option<PathBuf>,
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
    // Not taken for one that is not set: whoever is meant would be somebody else.
    let strange = VARIABLES.iter().find(|row| {
        let is_text = |value: OsString| value.into_string().is_ok();
        std::env::var_os(row.name).is_some_and(|value| !is_text(value))
    });
    if let Some(row) = strange {
        return wrong(format!("{} is not UTF-8", row.name));
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    parse_with(args, variable)
}

fn parse_with(
    args: impl Iterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Invocation, UsageError> {
    let words = match options::words(args) {
        Ok(words) => words,
        Err(arg) => return wrong(format!("argument {arg:?} is not UTF-8")),
    };
    let matches = match options::parser(OPTIONS, |_| false).parse(&words) {
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
    for row in OPTIONS {
        if let Some(mode) = row.own.only
            && word != Some(mode)
            && matches.opt_present(row.long)
        {
            return wrong(format!("--{} is for {mode} only", row.long));
        }
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
        password_file: given("password-file").map(PathBuf::from),
        raw: matches.opt_present("raw"),
        fetch_media: !matches.opt_present("no-fetch"),
        mode,
        timeout,
    }))
}

/// Reads a number from 1 on, of decimal digits only.
fn number(text: &str) -> Option<u64> {
    options::number(text, 1..=u64::MAX)
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
    text.push('\n');
    for form in FORMS {
        let word = form.synopsis.split(' ').next().unwrap_or_default();
        let word = if word.starts_with('[') { PROGRAM } else { word };
        entry(&mut text, word, form.help, 11);
    }
    text.push_str("\n\nOptions:");
    for row in OPTIONS {
        entry(&mut text, &row.synopsis(), row.help, 30);
    }
    text.push_str("\n\nEnvironment:");
    for row in VARIABLES {
        entry(&mut text, row.name, row.help, 22);
    }
    text.push_str("\n\nExit codes:");
    for row in EXITS {
        entry(&mut text, &(row.exit as u8).to_string(), row.help, 7);
    }
    text
}

/// The text of `--version`, without a newline at its end.
#[must_use]
pub fn version() -> String {
    options::version(PROGRAM)
}

#[cfg(test)]
mod tests;
