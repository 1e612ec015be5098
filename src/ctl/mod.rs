//! The operator's tool, `plauschctl`, which works on the database file while a server uses it or not.
//!
//! In reading order: `options` (commands and options), `call` (what they ask for), `service` (which
//! database), `accounts`, `statistics`, `files`, `prune`, `health`, and `terminal` (passwords and
//! progress). All SQL is in [`crate::store`].

mod accounts;
mod call;
mod files;
mod health;
mod options;
mod prune;
mod service;
mod statistics;
mod terminal;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::options::{Invocation, UsageError};
use crate::store::StoreError;
use crate::store::admin::access::{AdminAccess, Obeyed};
use crate::store::admin::orders::Placed;
use call::PROGRAM;

/// How long a running server may take to see a change; it polls four times a second.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a command prints, without a newline at its end; empty for nothing.
type CommandResult = Result<String, Failure>;

/// Why a command failed: one line for stderr, without the program's name.
#[derive(Debug)]
enum Failure {
    Usage(UsageError),
    Refused(String),
    Database(StoreError),
    /// This database, or copy, cannot be used.
    Store(PathBuf, StoreError),
    Io(io::Error),
    /// `check` found faults, which belong on stdout.
    Found(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(error) => write!(f, "{error}"),
            Failure::Refused(what) | Failure::Found(what) => f.write_str(what),
            Failure::Database(error) => write!(f, "{error}"),
            Failure::Store(path, error) => write!(f, "{}: {error}", path.display()),
            Failure::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Failure::Usage(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Database(error)
    }
}

/// Carries out a command line, without the name of the program, and gives the exit code: 0 success,
/// 1 failure (or `check` found faults), 2 usage error.
pub fn run(args: impl Iterator<Item = OsString>) -> u8 {
    crate::sys::private_files();
    let outcome = options::parse(args).and_then(|invocation| match invocation {
        Invocation::Print(text) => Ok(text),
        Invocation::Run((command, call)) => {
            let database = call.database();
            crate::sys::temporary_files_beside(&database);
            (command.run)(&call).map_err(|failure| match failure {
                Failure::Database(error) => Failure::Store(database, error),
                other => other,
            })
        }
    });
    let (text, code) = match outcome {
        Ok(text) => (text, 0),
        Err(Failure::Found(text)) => (text, 1),
        Err(failure) => {
            eprintln!("{PROGRAM}: {failure}");
            return match failure {
                Failure::Usage(_) => UsageError::EXIT,
                _ => 1,
            };
        }
    };
    match print(&text) {
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(error) => {
            eprintln!("{PROGRAM}: {error}");
            1
        }
        Ok(()) => code,
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if !text.is_empty() {
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Waits until a server, if any, has carried out an order; gives a text to append to the result.
fn await_server(access: &AdminAccess, placed: Placed) -> Result<&'static str, Failure> {
    Ok(match access.await_server(placed, PATIENCE)? {
        Obeyed::Yes | Obeyed::NoServer => "",
        Obeyed::NotYet => "; the server has not acted on it yet",
    })
}
