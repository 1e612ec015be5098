//! Connections and their pragmas.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use scheduled_thread_pool::ScheduledThreadPool;

use super::health;
use super::place;
use super::schema;
use crate::store::open::health::Examined;
use crate::store::open::marker::Marker;
use crate::store::open::place::Place;
use crate::store::{Options, Result, StoreError};

pub(crate) type Pool = r2d2::Pool<SqliteConnectionManager>;
pub(crate) type Pooled = r2d2::PooledConnection<SqliteConnectionManager>;

/// How long a statement waits for another process (`plauschctl`, a backup) that holds a lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Opened {
    pub(crate) pool: Pool,
    pub(crate) path: PathBuf,
    /// The database file and its write-ahead log, with the locks that keep other servers away.
    pub(crate) file: Arc<File>,
    pub(crate) log: Option<File>,
    pub(crate) place: Place,
}

/// The database is created or brought up to date on a connection of its own before.
pub(crate) fn open(options: &Options) -> Result<Opened, StoreError> {
    let path = place::resolve(&options.path)?;
    health::log_without_database(&path)?;
    let marker = options.marker.as_deref().map(Marker);
    if let Some(marker) = &marker {
        marker.expect(&path)?;
    }
    // Ids are given out in memory: two servers on one database would give the same ones.
    let there = path.exists();
    let file = place::own(&path).map_err(|error| {
        if !there && matches!(error, StoreError::Unfit(_)) {
            let _ = std::fs::remove_file(&path);
        }
        place::with_file_system(error, &path)
    })?;
    let new = file.metadata()?.len() == 0;
    match open_files(options, &path, new, marker.as_ref()) {
        Ok((pool, log, place)) => Ok(Opened {
            pool,
            path,
            file: Arc::new(file),
            log,
            place,
        }),
        Err(error) => {
            let error = place::with_file_system(error, &path);
            if new {
                // An attempt leaves nothing; the lock is still held.
                for suffix in ["-shm", "-wal", ""] {
                    let _ = std::fs::remove_file(place::beside_it(&path, suffix));
                }
            }
            Err(error)
        }
    }
}

fn open_files(
    options: &Options,
    path: &Path,
    new: bool,
    marker: Option<&Marker<'_>>,
) -> Result<(Pool, Option<File>, Place), StoreError> {
    let leave_checkpoints = options.leave_checkpoints;
    // Before SQLite reads it: a server whose database was replaced may still be writing it.
    drop(place::own_log(path)?);
    let first = prepare(path, options).map_err(health::damaged)?;
    let log = place::own_log(path)?;
    let place = Place::of(&options.path, path)?;
    if let Some(marker) = marker {
        marker.make(path)?;
    }
    if new {
        log::warn!("a NEW, empty database was made: {}", path.display());
    } else {
        log::info!("the database {} has {}", path.display(), contents(&first)?);
    }
    leave_log(&first, leave_checkpoints)?;

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
    Ok((pool, log, place))
}

/// What is in a database, roughly: whoever counts a million rows keeps everybody waiting.
fn contents(connection: &Connection) -> Result<String> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let accounts =
        number("SELECT count(*) FROM (SELECT 1 FROM user WHERE mapped IS NOT NULL LIMIT 10001)")?;
    let accounts = match accounts {
        1 => "1 account".to_owned(),
        10_001.. => "more than 10,000 accounts".to_owned(),
        few => format!("{few} accounts"),
    };
    // Numbers of those that were removed are among them.
    let first = number("SELECT coalesce(min(id), 0) FROM message")?;
    let last = number("SELECT coalesce(max(id), -1) FROM message")?;
    Ok(format!(
        "{accounts} and at most {} messages",
        last - first + 1
    ))
}

/// Creates or upgrades the database, only after it was found usable.
fn prepare(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    health::announce(path);
    let check = options.check;
    let mut first = Connection::open_with_flags(path, flags())?;
    // Closing must not checkpoint what is refused below.
    first.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    first.busy_timeout(BUSY_TIMEOUT)?;
    // Before the first look at the database makes a log of its own.
    let sealed = health::is_sealed(&first, path);
    schema::recognise(&first)?;
    let begin = Instant::now();
    let limit = if sealed { Duration::ZERO } else { check };
    match health::examine(&first, limit, &options.stop)? {
        Examined::Whole => log::debug!("the database is whole ({:?})", begin.elapsed()),
        Examined::Partly if limit.is_zero() => {}
        Examined::Partly => log::info!(
            "the database was looked through for {} s, in part; nothing wrong was found",
            check.as_secs()
        ),
    }
    // Whatever an upgrade takes is rolled back then.
    let stop = Arc::clone(&options.stop);
    first.progress_handler(health::STEPS, Some(move || stop.load(Ordering::Relaxed)))?;
    schema::prepare(&mut first)?;
    Ok(first)
}

/// Checkpoints after commits, and the one when the last connection closes, are another program's.
fn leave_log(connection: &Connection, leave_checkpoints: bool) -> Result<()> {
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
