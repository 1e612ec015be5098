//! What can go wrong in the store.

use std::fmt;
use std::path::PathBuf;

use super::health;

/// Where it says what to do with a damaged database.
const ADVICE: &str = "docs/RELIABILITY.md, \"A damaged database\"";

/// Why a read or a write failed. Display is for the log, never for the wire.
#[derive(Debug)]
pub enum StoreError {
    /// SQLite refused: disk full, I/O error, locked by another process, damaged.
    Sqlite(rusqlite::Error),
    /// No pooled connection became free in time.
    Pool(r2d2::Error),
    /// The file system refused to create or open the file.
    Io(std::io::Error),
    /// Another job of the same transaction, or its COMMIT, failed with this text: nothing was kept.
    Group(String),
    /// The database has reached `--max-database`: nothing was tried.
    NoRoom,
    /// The user's media have reached `--media-quota`: nothing was kept.
    OverQuota,
    /// The job panicked; its changes were rolled back.
    Panicked,
    /// The store is shutting down.
    Stopped,
    /// The file is damaged, in this way; found at the start, before anything was changed.
    Damaged(String),
    /// One of the database's files is not any more where it was opened: nothing can be promised.
    Lost {
        /// Its name.
        file: PathBuf,
        /// What has become of it, as the end of a sentence.
        how: &'static str,
        /// What the server has open is still whole.
        whole: bool,
    },
    /// The file is a database, but not one of ours, or of a version that this program is too old for.
    Foreign(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Sqlite(error) if health::is_damage(error) => {
                write!(f, "{error}; stop the server and see {ADVICE}")
            }
            StoreError::Sqlite(error) => write!(f, "{error}"),
            StoreError::Pool(error) => write!(f, "no database connection: {error}"),
            StoreError::Io(error) => write!(f, "{error}"),
            StoreError::Group(why) => write!(f, "the transaction failed: {why}"),
            StoreError::NoRoom => write!(f, "the database has reached its limit"),
            StoreError::OverQuota => write!(f, "the user's media have reached their limit"),
            StoreError::Panicked => write!(f, "a job panicked"),
            StoreError::Stopped => write!(f, "the store is stopped"),
            StoreError::Damaged(how) => write!(
                f,
                "it is damaged ({how}); nothing was changed. Keep a copy of it and of its -wal \
                 file, then restore a backup or save what can be read: see {ADVICE}"
            ),
            StoreError::Lost { file, how, .. } => write!(f, "{} {how}", file.display()),
            StoreError::Foreign(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Sqlite(error)
    }
}

impl From<r2d2::Error> for StoreError {
    fn from(error: r2d2::Error) -> Self {
        StoreError::Pool(error)
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        StoreError::Io(error)
    }
}
