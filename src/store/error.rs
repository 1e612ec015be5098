//! What can go wrong in the store.

use std::fmt;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

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
    /// The file system cannot hold a database, or not now; in words, with its name and a cure.
    Unfit(String),
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
            StoreError::Sqlite(error) if is_damage(error) => {
                write!(f, "{error}; stop the server and see {ADVICE}")
            }
            StoreError::Sqlite(error) => match cure(error) {
                Some(cure) => write!(f, "{error}: {cure}"),
                None => write!(f, "{error}"),
            },
            StoreError::Unfit(why) | StoreError::Foreign(why) => write!(f, "{why}"),
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
        }
    }
}

pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// What is behind an error of the file system and what to do, by SQLite's extended code; its own
/// words are the same for all of a kind ("disk I/O error").
pub(crate) fn cure(error: &rusqlite::Error) -> Option<&'static str> {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return None;
    };
    Some(match failure.extended_code {
        ffi::SQLITE_IOERR_SHMMAP
        | ffi::SQLITE_IOERR_SHMOPEN
        | ffi::SQLITE_IOERR_SHMSIZE
        | ffi::SQLITE_IOERR_SHMLOCK => {
            "its file system has no shared memory maps, which the index of the write-ahead log needs \
             (JFFS2 and 9p have none); put the database on another one"
        }
        ffi::SQLITE_IOERR_LOCK
        | ffi::SQLITE_IOERR_RDLOCK
        | ffi::SQLITE_IOERR_UNLOCK
        | ffi::SQLITE_IOERR_CHECKRESERVEDLOCK => {
            "its file system refuses locks; mount it with them, or put the database on a disk of \
             this machine"
        }
        ffi::SQLITE_BUSY => "another process holds a lock, or the file system refuses locks",
        ffi::SQLITE_FULL => "there is no room on its disk, or on that of the temporary files",
        ffi::SQLITE_IOERR_GETTEMPPATH => {
            "there is no directory for temporary files; name one in SQLITE_TMPDIR"
        }
        ffi::SQLITE_IOERR_NOMEM => "there is not enough memory",
        ffi::SQLITE_IOERR_WRITE
        | ffi::SQLITE_IOERR_READ
        | ffi::SQLITE_IOERR_SHORT_READ
        | ffi::SQLITE_IOERR_FSYNC
        | ffi::SQLITE_IOERR_DIR_FSYNC
        | ffi::SQLITE_IOERR_TRUNCATE
        | ffi::SQLITE_IOERR_FSTAT
        | ffi::SQLITE_IOERR_CLOSE
        | ffi::SQLITE_IOERR_DELETE
        | ffi::SQLITE_IOERR_ACCESS
        | ffi::SQLITE_IOERR_CORRUPTFS => {
            "the disk or its file system has failed; dmesg may say how"
        }
        ffi::SQLITE_CANTOPEN_ISDIR => "it is a directory",
        ffi::SQLITE_CANTOPEN => {
            "the file, its log or its index cannot be opened or made; look at the directory's owner \
             and at the limit of open files"
        }
        ffi::SQLITE_READONLY_DIRECTORY
        | ffi::SQLITE_READONLY_CANTINIT
        | ffi::SQLITE_READONLY_RECOVERY
        | ffi::SQLITE_READONLY_CANTLOCK => {
            "its directory cannot be written, and the write-ahead log has to be made there"
        }
        ffi::SQLITE_READONLY => "the file cannot be written",
        _ => return None,
    })
}

impl std::error::Error for StoreError {}

macro_rules! from {
    ($($variant:ident($cause:ty)),+) => {$(
        impl From<$cause> for StoreError {
            fn from(error: $cause) -> Self {
                StoreError::$variant(error)
            }
        }
    )+};
}

from!(
    Sqlite(rusqlite::Error),
    Pool(r2d2::Error),
    Io(std::io::Error)
);
