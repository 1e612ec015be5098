//! How the two tools read passwords: typed without echo, or from a file.
//!
//! A password that is not UTF-8 is refused: with U+FFFD in place of its bytes, nobody could type it
//! again.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The most that is read of a file, in bytes; every password is shorter.
const FILE_MAX: usize = 64 << 10;

/// How often somebody is asked who types something other than UTF-8.
const TRIES: usize = 3;

/// Why there is no password; holds no part of one.
#[derive(Debug)]
pub(crate) enum SecretError {
    Read(PathBuf, io::Error),
    /// The first line of the file is empty.
    Empty(PathBuf),
    FileNotUtf8(PathBuf),
    TypedNotUtf8,
    /// Nothing was typed, or the terminal cannot be used.
    Terminal(io::Error),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretError::Read(path, error) => {
                write!(
                    f,
                    "cannot read the password file {}: {error}",
                    path.display()
                )
            }
            SecretError::Empty(path) => write!(
                f,
                "no password in {}: the first line is empty",
                path.display()
            ),
            SecretError::FileNotUtf8(path) => write!(
                f,
                "the password in {} is not UTF-8; save the file as UTF-8",
                path.display()
            ),
            SecretError::TypedNotUtf8 => f.write_str(
                "that is not UTF-8, so it could not be typed on another terminal; set this one to \
                 UTF-8, or choose a password without such characters",
            ),
            SecretError::Terminal(error) => write!(f, "no password: {error}"),
        }
    }
}

impl std::error::Error for SecretError {}

/// Prompts for a password without echo, and again if what was typed is not UTF-8.
pub(crate) fn ask(prompt: &str) -> Result<Zeroizing<String>, SecretError> {
    for _ in 0..TRIES {
        let typed = rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(SecretError::Terminal)?;
        // What bytes from the terminal become that are not UTF-8.
        if !typed.contains(char::REPLACEMENT_CHARACTER) {
            return Ok(typed);
        }
        eprintln!("{}", SecretError::TypedNotUtf8);
    }
    Err(SecretError::TypedNotUtf8)
}

/// The first line of a file, without its end (LF or CR LF). `warn` is told if others than the owner
/// may read it.
pub(crate) fn file(path: &Path, warn: impl FnOnce(&str)) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |error| SecretError::Read(path.to_owned(), error);
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let mode = found.permissions().mode() & 0o777;
    if found.is_file() && mode & 0o077 != 0 {
        warn(&format!(
            "others may read the password file {} (mode {mode:o}); chmod it to 600",
            path.display()
        ));
    }
    // With its full capacity from the start: a growing vector would leave copies.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX));
    file.take(FILE_MAX as u64)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let line = first_line(&bytes);
    if line.is_empty() {
        return Err(SecretError::Empty(path.to_owned()));
    }
    match std::str::from_utf8(line) {
        Ok(line) => Ok(Zeroizing::new(line.to_owned())),
        Err(_) => Err(SecretError::FileNotUtf8(path.to_owned())),
    }
}

/// What is before the first line end, or all.
pub(crate) fn first_line(bytes: &[u8]) -> &[u8] {
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}
