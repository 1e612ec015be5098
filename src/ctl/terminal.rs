//! Passwords, questions and progress.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::Failure;
use crate::ctl::call::PROGRAM;
use crate::secrets::{self, SecretError};

/// Reads a new password from the first line of the named file, or of standard input if that is no
/// terminal; otherwise prompts for it twice without echo.
pub(super) fn new_password(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = file {
        let warn = |warning: &str| eprintln!("{PROGRAM}: {warning}");
        return secrets::file(path, warn).map_err(refused);
    }
    if !io::stdin().is_terminal() {
        let mut bytes = Zeroizing::new(Vec::new());
        io::stdin().lock().read_until(b'\n', &mut bytes)?;
        return match std::str::from_utf8(secrets::first_line(&bytes)) {
            Ok(line) => Ok(Zeroizing::new(line.to_owned())),
            Err(_) => {
                let why = "the password on standard input is not UTF-8".to_owned();
                Err(Failure::Refused(why))
            }
        };
    }
    let first = secrets::ask("New password: ").map_err(refused)?;
    let again = secrets::ask("Retype new password: ").map_err(refused)?;
    if first != again {
        return Err(Failure::Refused("the two passwords differ".to_owned()));
    }
    Ok(first)
}

fn refused(error: SecretError) -> Failure {
    Failure::Refused(error.to_string())
}

/// Asks a question that only `y` or `yes` affirms; None without a terminal.
pub(super) fn confirm(question: &str) -> Result<Option<bool>, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let answer = line.trim().to_ascii_lowercase();
    Ok(Some(answer == "y" || answer == "yes"))
}

/// A line on a terminal that is overwritten as work proceeds.
pub(super) struct Progress {
    shown: bool,
    last: String,
}

impl Progress {
    /// Shows nothing if `quiet`, or if standard error is no terminal.
    pub(super) fn new(quiet: bool) -> Progress {
        Progress {
            shown: !quiet && io::stderr().is_terminal(),
            last: String::new(),
        }
    }

    pub(super) fn show(&mut self, text: String) {
        if self.shown && text != self.last {
            // Progress that cannot be shown is no reason to fail.
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
            self.last = text;
        }
    }

    pub(super) fn share(&mut self, done: i32, all: i32) {
        let percent = i64::from(done) * 100 / i64::from(all).max(1);
        self.show(format!("{percent} %"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.last.is_empty() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
