//! Connections and their pragmas.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use scheduled_thread_pool::ScheduledThreadPool;

use super::health::{self, Examined};
use super::{Options, StoreError, orders, schema};

/// How long a statement waits for another process (`plauschctl`, a backup) that holds a lock.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a start tries for the lock of the database, and how often in all: about a second. The
/// operator's tool has it for a moment whenever it looks whether a server is running.
const LOCK_EVERY: Duration = Duration::from_millis(20);
const LOCK_TRIES: u32 = 50;

/// Opens the pool, after the database has been created or brought up to date on a connection of
/// its own.
pub(super) fn open(
    options: &Options,
) -> Result<(r2d2::Pool<SqliteConnectionManager>, File), StoreError> {
    let path = options.path.as_path();
    health::log_without_database(path)?;
    let leave_checkpoints = options.leave_checkpoints;
    // SQLite gives the write-ahead log the mode of the database, so this covers both.
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    // Ids are given out in memory: two servers on one database would give the same ones. This is
    // flock(2), which SQLite's own locks (fcntl) do not see.
    lock(&file, || std::thread::sleep(LOCK_EVERY))?;
    let first = prepare(path, options.check).map_err(health::damaged)?;
    leave_log(&first, leave_checkpoints)?;
    orders::forget(&first)?;

    let manager = SqliteConnectionManager::file(path)
        .with_flags(flags())
        .with_init(move |connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            leave_log(connection, leave_checkpoints)?;
            // 256 KiB of page cache: 4 warmed readers cost 5.4 MB so, 12.8 MB at the default.
            connection.execute_batch(
                "PRAGMA foreign_keys = ON; PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY;",
            )
        });
    // It only opens connections, and the few that are opened stay open. With the pool's default of
    // three threads a start has 25 KiB more.
    let opener = ScheduledThreadPool::builder()
        .num_threads(1)
        .thread_name_pattern("r2d2-worker")
        .build();
    let pool = r2d2::Pool::builder()
        .thread_pool(Arc::new(opener))
        .max_size(options.readers + 1)
        .min_idle(Some(1))
        .test_on_check_out(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connection_timeout(Duration::from_secs(10))
        .build(manager)?;
    // Only now: the last connection that is closed would delete the log.
    drop(first);
    Ok((pool, file))
}

/// Takes the lock that says that a server is running; calls `pause` between two tries.
fn lock(file: &File, mut pause: impl FnMut()) -> Result<(), StoreError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => pause(),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(StoreError::Foreign("another server is using it".to_owned()))
}

/// Looks whether the database can be used, and only then creates or upgrades it.
fn prepare(path: &Path, check: Duration) -> Result<Connection, StoreError> {
    let mut first = Connection::open_with_flags(path, flags())?;
    // Closing must not checkpoint what is refused below.
    first.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    first.busy_timeout(BUSY_TIMEOUT)?;
    // Before the first look at the database makes a log of its own.
    let sealed = health::is_sealed(&first, path);
    schema::recognise(&first)?;
    let begin = Instant::now();
    let limit = if sealed { Duration::ZERO } else { check };
    match health::examine(&first, limit)? {
        Examined::Whole => log::debug!("the database is whole ({:?})", begin.elapsed()),
        Examined::Partly if limit.is_zero() => {}
        Examined::Partly => log::info!(
            "the database was looked through for {} s, in part; nothing wrong was found",
            check.as_secs()
        ),
    }
    schema::prepare(&mut first)?;
    Ok(first)
}

/// Switches off what SQLite does to the write-ahead log by itself: checkpoints after commits, and
/// the one when the last connection closes. The committer sees the former.
fn leave_log(connection: &Connection, leave_checkpoints: bool) -> rusqlite::Result<()> {
    if leave_checkpoints {
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0;")?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    Ok(())
}

/// No mutexes inside SQLite: a connection is used by one thread at a time.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_waits_for_a_moment_and_not_for_another_server() {
        let path = std::env::temp_dir().join(format!("plausch-lock-{}", std::process::id()));
        let open = || File::create(&path).expect("a file");
        let (own, tool) = (open(), open());
        tool.try_lock_shared().expect("the lock");
        let mut pauses = 0;
        let waited = lock(&own, || {
            pauses += 1;
            if pauses == 3 {
                tool.unlock().expect("unlock");
            }
        });
        assert!(waited.is_ok() && pauses == 3, "{waited:?}");
        let refused = lock(&tool, || pauses += 1);
        let text = refused.expect_err("the lock is taken").to_string();
        assert!(text.contains("another server is using it"), "{text}");
        assert_eq!(pauses, 3 + LOCK_TRIES);
        std::fs::remove_file(&path).expect("remove");
    }
}
