//! Whether a database is whole, looked at before a server starts on it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode};

use super::place;
use crate::store::clock::milliseconds;
use crate::store::error::is_damage;
use crate::store::{Result, Source, StoreError};

/// Steps of SQLite's between two looks at the clock; some ten microseconds.
pub(crate) const STEPS: i32 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Examined {
    Whole,
    /// Nothing wrong was found until the time was up.
    Partly,
}

/// A database or a log from this size on takes a while, and is named before.
const LARGE: i64 = 64 << 20;

pub(crate) fn announce(path: &Path) {
    let log = place::length(&place::beside_it(path, "-wal"));
    if i64::try_from(log).is_ok_and(|log| log >= LARGE) {
        log::info!("reading a write-ahead log of {} MiB first", log >> 20);
    }
}

/// Looks through all pages and rows for `limit` at most. Nothing is written.
pub(crate) fn examine(
    connection: &Connection,
    limit: Duration,
    stop: &Arc<AtomicBool>,
) -> Result<Examined, StoreError> {
    if limit.is_zero() {
        return Ok(Examined::Partly);
    }
    let size = place::size(connection)?;
    if size >= LARGE {
        log::info!(
            "looking through the database, {} MiB, for {} s at most",
            size >> 20,
            limit.as_secs()
        );
    }
    let end = Instant::now() + limit;
    let asked = Arc::clone(stop);
    let is_over = move || Instant::now() > end || asked.load(Ordering::Relaxed);
    connection.progress_handler(STEPS, Some(is_over))?;
    let found: Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    if stop.load(Ordering::Relaxed) {
        return Err(StoreError::Stopped);
    }
    match found {
        Ok(found) if found == "ok" => Ok(Examined::Whole),
        Ok(found) => {
            // A heading may come first, and then lines; the report has one line.
            let found = found.trim_start_matches("*** in database main ***");
            Err(StoreError::Damaged(found.trim().replace('\n', ", ")))
        }
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Ok(Examined::Partly)
        }
        Err(error) => Err(damaged(error.into())),
    }
}

/// Notes in the database the time that its file is to carry after an orderly end, in milliseconds
/// since 1970; [`seal`] gives it to the file when nothing is written any more.
pub(crate) fn note_end(connection: &Connection) -> Result<i64, StoreError> {
    let now = milliseconds();
    connection.set_counter("ended", now)?;
    Ok(now)
}

/// Gives the database file the time that was noted in it. Whoever changes the file later changes
/// that time, so a start that finds both the same need not look through what it left itself.
pub(crate) fn seal(file: &File, ended: i64) -> io::Result<()> {
    file.set_modified(UNIX_EPOCH + Duration::from_millis(u64::try_from(ended).unwrap_or(0)))
}

/// The database is as the last orderly end left it: no log, of the noted time and length.
pub(crate) fn is_sealed(connection: &Connection, path: &Path) -> bool {
    let Ok(file) = std::fs::metadata(path) else {
        return false;
    };
    if place::length(&place::beside_it(path, "-wal")) > 0 {
        return false;
    }
    let modified = file.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let ended = connection.counter("ended");
    match (modified, ended, place::size(connection)) {
        (Some(modified), Ok(Some(ended)), Ok(size)) => {
            u64::try_from(ended).is_ok_and(|ended| modified == Duration::from_millis(ended))
                && u64::try_from(size) == Ok(file.len())
        }
        _ => false,
    }
}

pub(crate) fn damaged(error: StoreError) -> StoreError {
    match &error {
        StoreError::Sqlite(cause) if is_damage(cause) => StoreError::Damaged(cause.to_string()),
        _ => error,
    }
}

/// Refuses an empty or missing database beside which a write-ahead log lies: SQLite would delete
/// the log, and with it perhaps all that is left.
pub(crate) fn log_without_database(path: &Path) -> Result<(), StoreError> {
    let log = place::length(&place::beside_it(path, "-wal"));
    if place::length(path) == 0 && log > 0 {
        return Err(StoreError::Damaged(format!(
            "the file is missing or empty, but beside it lies a write-ahead log of {log} bytes"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_database_is_looked_at_no_longer_than_allowed() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (a TEXT NOT NULL) STRICT;
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
                 INSERT INTO t SELECT printf('%0100d', i) FROM n;",
            )
            .unwrap();
        // Of several, since a busy machine may take its time over any one of them.
        let quickest = (0..20)
            .map(|_| {
                let begin = Instant::now();
                let limit = Duration::from_millis(1);
                assert_eq!(
                    examine(&connection, limit, &Arc::default()).unwrap(),
                    Examined::Partly
                );
                begin.elapsed()
            })
            .min()
            .unwrap();
        let begin = Instant::now();
        let limit = Duration::from_secs(600);
        assert_eq!(
            examine(&connection, limit, &Arc::default()).unwrap(),
            Examined::Whole
        );
        assert!(quickest < begin.elapsed() / 2, "{quickest:?}");
        assert_eq!(
            examine(&connection, Duration::ZERO, &Arc::default()).unwrap(),
            Examined::Partly
        );
    }
}
