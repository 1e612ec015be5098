//! Passwords, questions and progress.

use std::io::{self, BufRead, IsTerminal, Write};

use zeroize::Zeroizing;

use super::Failure;

/// Asks for a new password twice without echo, or takes the first line of standard input when that
/// is no terminal.
pub(super) fn new_password() -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        if line.ends_with('\n') {
            line.pop();
            if line.ends_with('\r') {
                line.pop();
            }
        }
        return Ok(line);
    }
    let first = Zeroizing::new(rpassword::prompt_password("New password: ")?);
    let again = Zeroizing::new(rpassword::prompt_password("Once more: ")?);
    if first != again {
        return Err(Failure::Refused("the two passwords differ".to_owned()));
    }
    Ok(first)
}

/// Asks a question that only `y` or `yes` answers with yes; None when nobody can be asked.
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

/// A line on a terminal that is written over and over.
pub(super) struct Progress {
    shown: bool,
    last: String,
}

impl Progress {
    /// Shows nothing when it is to be quiet, or nobody looks.
    pub(super) fn new(quiet: bool) -> Progress {
        Progress {
            shown: !quiet && io::stderr().is_terminal(),
            last: String::new(),
        }
    }

    /// Shows `text` in the place of what was shown before.
    pub(super) fn show(&mut self, text: String) {
        if self.shown && text != self.last {
            // Progress that cannot be shown is no reason to fail.
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
            self.last = text;
        }
    }

    /// Shows how much is done.
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
