//! Admin access: how `plauschctl` works on the database, with a server running on it or without one.
//!
//! Every write is a short transaction. A running server waits for it as for its own disk, and
//! clears its writer cache, as another process has written (`data_version`).

use std::fs::{File, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::orders;
use crate::store::admin::orders::Placed;
use crate::store::commit::cache::WriterCache;
use crate::store::lanes;
use crate::store::lanes::PendingIndex;
use crate::store::open::{place, schema};
use crate::store::removal::purge;
use crate::store::{Moment, Result, StoreError, Tx, View};

/// How often a lock that a busy server holds is tried for, and how often in all: about a minute.
///
/// SQLite does not queue those who wait, and its own waiting makes longer and longer pauses. Beside a
/// busy server only frequent tries hit the moment between two transactions.
const TRY_EVERY: Duration = Duration::from_millis(1);
const TRIES: i32 = 60_000;

const LOOK_EVERY: Duration = Duration::from_millis(20);

const PURGE_SLICE: Duration = Duration::from_millis(200);

pub(crate) struct AdminAccess {
    connection: Connection,
    /// For flock(2). Open as long as the connection and dropped after it: closing any descriptor of
    /// the file gives up the locks (fcntl) that SQLite has on it in this process.
    file: File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obeyed {
    Yes,
    /// No server uses the database, so there was nothing to do.
    NoServer,
    /// The server has not done it in time.
    NotYet,
}

impl AdminAccess {
    /// Opens a database that exists and has this program's version; changes nothing.
    pub(crate) fn open(path: &Path) -> Result<AdminAccess, StoreError> {
        // Never a URI to SQLite.
        let path = &place::resolve(path)?;
        let file = File::options().read(true).append(true).open(path)?;
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        patient(&connection)?;
        schema::expect_newest(&connection)?;
        connection.execute_batch(
            "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA cache_size = -2000;",
        )?;
        // The log is the server's to checkpoint, or that of whom the server leaves it to.
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0;")?;
        Ok(AdminAccess { connection, file })
    }

    /// Like [`AdminAccess::open`], to read alone: a copy, which nobody writes, then needs no locks.
    pub(crate) fn open_to_read(path: &Path) -> Result<AdminAccess, StoreError> {
        let path = &place::resolve(path)?;
        let Some(connection) = immutable(path)? else {
            return AdminAccess::open(path);
        };
        schema::expect_newest(&connection)?;
        // There may be no place for a temporary file.
        connection.execute_batch("PRAGMA temp_store = MEMORY;")?;
        Ok(AdminAccess {
            connection,
            file: File::open(path)?,
        })
    }

    pub(crate) fn read<T>(
        &self,
        f: impl FnOnce(&Moment<'_>) -> Result<T>,
    ) -> Result<T, StoreError> {
        let moment = self.connection.unchecked_transaction()?;
        let value = f(&Moment(&moment))?;
        moment.commit()?;
        Ok(value)
    }

    /// Like [`AdminAccess::read`], for what reads messages by their lanes.
    pub(crate) fn view<T>(&self, f: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T, StoreError> {
        self.read(|Moment(connection)| {
            let pending = PendingIndex::load(connection)?;
            f(&View::new(connection, &pending, &[]))
        })
    }

    /// Runs `f` in a transaction and returns after its COMMIT. Keep it short: a server waits.
    pub(crate) fn write<T>(
        &mut self,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Under load that is a lot, which is not to be read while a server waits.
        let pending = PendingIndex::load(&self.connection)?;
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut cache = WriterCache::load(&transaction, pending.caught_up(&transaction)?)?;
        let value = f(&mut Tx {
            connection: &transaction,
            cache: &mut cache,
        })?;
        transaction.commit()?;
        Ok(value)
    }

    /// Waits until a server has obeyed `placed`, `patience` at most.
    pub(crate) fn await_server(
        &self,
        placed: Placed,
        patience: Duration,
    ) -> Result<Obeyed, StoreError> {
        let end = Instant::now() + patience;
        loop {
            if !self
                .read(|moment| orders::waiting(moment))?
                .contains(&placed)
            {
                return Ok(Obeyed::Yes);
            }
            if !self.is_live()? {
                return Ok(Obeyed::NoServer);
            }
            if Instant::now() >= end {
                return Ok(Obeyed::NotYet);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// False when a server uses the database.
    pub(crate) fn purge_alone(&mut self) -> Result<bool, StoreError> {
        if !try_exclusive(&self.file)? {
            return Ok(false);
        }
        // A server cannot start meanwhile: it would give out ids that these transactions clear.
        let bounded = self
            .connection
            .execute_batch("PRAGMA wal_autocheckpoint = 1000;");
        let purged = bounded
            .map_err(StoreError::from)
            .and_then(|()| self.purge_all());
        self.file.unlock()?;
        purged.map(|()| true)
    }

    fn purge_all(&mut self) -> Result<(), StoreError> {
        // What a crash has left pending would be looked through for each message.
        self.write(|tx| lanes::index_all(tx.connection))?;
        loop {
            let left = self.write(|tx| {
                let deadline = Instant::now() + PURGE_SLICE;
                purge::step(tx, |_| false, deadline)
            })?;
            if left == purge::Left::Nothing {
                return Ok(());
            }
        }
    }

    /// Server in use: it holds flock(2) on the file, see `pool`.
    pub(crate) fn is_live(&self) -> Result<bool, StoreError> {
        match self.file.try_lock_shared() {
            Ok(()) => {
                self.file.unlock()?;
                Ok(false)
            }
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// Takes the lock that a server takes; an error when one has it.
pub(crate) fn expect_unused(file: &File) -> Result<(), StoreError> {
    if !try_exclusive(file)? {
        let text = "a server is using it: stop it first";
        return Err(StoreError::Foreign(text.to_owned()));
    }
    Ok(())
}

fn try_exclusive(file: &File) -> Result<bool, StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Where a database file says whether it has a write-ahead log: the versions for reading and writing
/// of its header, 2 with one and 1 without (section 1.3.3 of SQLite's file format).
const VERSIONS: u64 = 18;
const WITHOUT_LOG: [u8; 2] = [1, 1];

/// Without locks and without an index of a log, for a database that nobody writes: a copy of
/// [`super::copy::backup`], or one on a read-only file system. None for any other.
pub(crate) fn immutable(path: &Path) -> Result<Option<Connection>, StoreError> {
    let mut versions = [0; 2];
    let read = File::open(path)?.read_exact_at(&mut versions, VERSIONS);
    let log = std::fs::metadata(place::beside_it(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let frozen = versions == WITHOUT_LOG || place::is_read_only(path);
    if read.is_err() || log || !frozen {
        return Ok(None);
    }
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'_' | b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte))
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Ok(Some(Connection::open_with_flags(uri, flags)?))
}

/// Marks a whole database as one without a log, so that it is read without one.
pub(crate) fn mark_without_log(file: &File) -> std::io::Result<()> {
    file.write_all_at(&WITHOUT_LOG, VERSIONS)
}

pub(crate) fn patient(connection: &Connection) -> Result<()> {
    connection.busy_handler(Some(|tries| {
        std::thread::sleep(TRY_EVERY);
        tries < TRIES
    }))
}
