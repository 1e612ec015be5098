//! The operator's tool, `plauschctl`: accounts, figures, copies, checks.
//!
//! In reading order: [`options`] (what can be asked), `service` (of which database), `accounts`, `figures`, `files`, `prune`, and
//! `terminal` (passwords and progress). It works on the database file, with or without a server
//! on it; all SQL is in [`crate::store`].

mod accounts;
mod figures;
mod files;
mod health;
pub mod options;
mod prune;
mod service;
mod terminal;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::store::StoreError;
use crate::store::admin::access::{AdminAccess, Obeyed};
use crate::store::admin::orders::Placed;
use options::{Call, Invocation, PROGRAM};

/// How long a running server may take to see a change. It looks four times a second.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a command prints, without a newline at its end; empty for nothing.
type Outcome = Result<String, Failure>;

/// Why a command was not carried out: one line for stderr, without the program's name.
#[derive(Debug)]
enum Failure {
    /// The call was wrong.
    Usage(String),
    /// It cannot be done.
    Refused(String),
    /// The database, or a copy of it, cannot be used.
    Store(PathBuf, StoreError),
    /// Standard input or output failed.
    Io(io::Error),
    /// `check` has found something; it was printed.
    Found(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(what) | Failure::Refused(what) | Failure::Found(what) => {
                write!(f, "{what}")
            }
            Failure::Store(path, error) => write!(f, "{}: {error}", path.display()),
            Failure::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

/// Carries out a command line, without the name of the program; returns the exit code: 0 done, 1
/// not done (or `check` has found something), 2 a wrong call.
pub fn run(args: impl Iterator<Item = OsString>) -> u8 {
    crate::sys::private_files();
    let outcome = options::parse(args).and_then(|invocation| match invocation {
        Invocation::Print(text) => Ok(text),
        Invocation::Run((command, call)) => {
            crate::sys::temporary_files_beside(&call.database());
            (command.run)(&call)
        }
    });
    let (text, code) = match outcome {
        Ok(text) => (text, 0),
        Err(Failure::Found(text)) => (text, 1),
        Err(failure) => {
            eprintln!("{PROGRAM}: {failure}");
            return if matches!(failure, Failure::Usage(_)) {
                2
            } else {
                1
            };
        }
    };
    match print(&text) {
        // Whoever reads has seen enough.
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

/// The database, with its name for complaints.
struct Database {
    path: PathBuf,
    beside: AdminAccess,
}

impl Database {
    fn open(call: &Call) -> Result<Database, Failure> {
        let path = call.database();
        match AdminAccess::open(&path) {
            Ok(beside) => Ok(Database { path, beside }),
            Err(error) => Err(Failure::Store(path, error)),
        }
    }

    /// Like [`Database::open`], to read alone: a copy may lie where nothing can be written or locked.
    fn open_to_read(call: &Call) -> Result<Database, Failure> {
        let path = call.database();
        match AdminAccess::open_to_read(&path) {
            Ok(beside) => Ok(Database { path, beside }),
            Err(error) => Err(Failure::Store(path, error)),
        }
    }

    /// Names the database in a failure.
    fn named<T>(&self, result: Result<T, StoreError>) -> Result<T, Failure> {
        result.map_err(|error| Failure::Store(self.path.clone(), error))
    }

    /// Waits until a server, if there is one, has obeyed; then what was changed holds for the next
    /// packet. A text to be added to what is said, empty when all is well.
    fn settle(&self, placed: Placed) -> Result<&'static str, Failure> {
        let obeyed = self.beside.await_server(placed, PATIENCE);
        Ok(match self.named(obeyed)? {
            Obeyed::Yes | Obeyed::NoServer => "",
            Obeyed::NotYet => "; the server has not taken notice yet",
        })
    }
}
