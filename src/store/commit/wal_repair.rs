//! What is to be done to the write-ahead log after a sync of it has failed.
//!
//! Two things are not as they seem then. The transaction whose commit failed is gone for every
//! connection, but its frames lie whole in the file: a process that starts after a crash would
//! take them for committed. And the kernel may have dropped what it could not write, while it
//! reports success for the next sync: earlier frames that no sync had covered yet (those of
//! `synchronous=NORMAL`) may be missing on the disk, and with them everything behind them.

use rusqlite::{Connection, ErrorCode};

use crate::store::{Source, StoreError};

/// Whether an error may have left the log in such a state.
pub(crate) fn is_needed(error: &StoreError) -> bool {
    matches!(error, StoreError::Sqlite(cause)
        if cause.sqlite_error_code() == Some(ErrorCode::SystemIoFailure))
}

/// Overwrites the frames of the commit that failed, by the smallest change that there is; to be run
/// in a transaction that is not synced. Moving the mark up by one is harmless: it only says which
/// ids were not given out. (SQLite writes no page for a change to the same value.)
pub(crate) fn take_back(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.run(
        "UPDATE counter SET value = value + 1 WHERE name = 'message'",
        [],
    )?)
}

/// Moves the whole log into the database, which is synced then: nothing depends on an earlier sync
/// any more. Frames are read from the kernel's memory, which still has them.
pub(crate) fn settle(connection: &Connection) -> Result<(), StoreError> {
    let (frames, moved): (i64, i64) = connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
        .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?;
    if moved < frames {
        return Err(StoreError::Group(format!(
            "after a failed sync {frames} frames of the log are to be moved, a reader held it at \
             {moved}"
        )));
    }
    Ok(())
}
