//! What can go wrong in the store.

use std::fmt;

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
    /// The file is a database, but not one of ours, or of a version that this program is too old for.
    Foreign(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Sqlite(error) => write!(f, "{error}"),
            StoreError::Pool(error) => write!(f, "no database connection: {error}"),
            StoreError::Io(error) => write!(f, "{error}"),
            StoreError::Group(why) => write!(f, "the transaction failed: {why}"),
            StoreError::NoRoom => write!(f, "the database has reached its limit"),
            StoreError::OverQuota => write!(f, "the user's media have reached their limit"),
            StoreError::Panicked => write!(f, "a job panicked"),
            StoreError::Stopped => write!(f, "the store is stopped"),
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
