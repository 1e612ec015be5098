//! Whether a database is whole, looked at before a server starts on it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::StoreError;

/// Steps of SQLite's between two looks at the clock; some ten microseconds.
const STEPS: i32 = 1_000;

/// How far a look has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Examined {
    /// All of it is well-formed.
    Whole,
    /// The time was up; nothing wrong was found until then.
    Partly,
}

/// Looks through all pages and rows (`PRAGMA quick_check`) for `limit` at most; zero for not at
/// all. Nothing is written.
///
/// # Errors
/// [`StoreError::Damaged`] when the file is not well-formed.
pub(super) fn examine(connection: &Connection, limit: Duration) -> Result<Examined, StoreError> {
    if limit.is_zero() {
        return Ok(Examined::Partly);
    }
    let end = Instant::now() + limit;
    connection.progress_handler(STEPS, Some(move || Instant::now() > end))?;
    let found: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
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

/// What SQLite finds malformed at the start is damage.
pub(super) fn damaged(error: StoreError) -> StoreError {
    match &error {
        StoreError::Sqlite(cause) if is_damage(cause) => StoreError::Damaged(cause.to_string()),
        _ => error,
    }
}

/// Whether SQLite says that the file is malformed.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Refuses an empty or missing database beside which a write-ahead log lies: SQLite would delete
/// the log, and with it perhaps all that is left.
///
/// # Errors
/// [`StoreError::Damaged`] then.
pub(super) fn log_without_database(path: &Path) -> Result<(), StoreError> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    let log = size(&log_of(path));
    if size(path) == 0 && log > 0 {
        return Err(StoreError::Damaged(format!(
            "the file is missing or empty, but beside it lies a write-ahead log of {log} bytes"
        )));
    }
    Ok(())
}

/// The write-ahead log of a database.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-wal");
    name.into()
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
        let begin = Instant::now();
        let limit = Duration::from_millis(1);
        assert_eq!(examine(&connection, limit).unwrap(), Examined::Partly);
        let took = begin.elapsed();
        let limit = Duration::from_secs(60);
        assert_eq!(examine(&connection, limit).unwrap(), Examined::Whole);
        assert!(took < begin.elapsed() / 2, "{took:?}");
        assert_eq!(
            examine(&connection, Duration::ZERO).unwrap(),
            Examined::Partly
        );
    }
}
