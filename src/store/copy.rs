//! A copy of a whole database, and putting one in its place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{StoreError, beside, schema};

/// Pages of one step; after each, `progress` is called.
const PAGES: i32 = 1_024;

/// Which of the two files was in the way, and how.
#[derive(Debug)]
pub enum CopyError {
    /// The one that is read.
    Source(StoreError),
    /// The one that is written.
    Target(StoreError),
}

/// Copies the database at `source` to a new file `target`, readable by its owner alone.
///
/// It is of one moment, the one at which this begins: everything acknowledged before is in it.
/// All is read within one transaction, since SQLite begins again whenever somebody writes
/// between two steps, which beside a busy server never ends. The server goes on; only its
/// write-ahead log cannot be reset until the copy is done. The file appears under its name when it
/// is complete and on stable storage, and is a whole database by itself. `progress` is told pages
/// done and pages in all.
///
/// # Errors
/// When `target` exists (unless `replace`), is used by a server, is `source` itself or cannot be
/// written, or `source` cannot be read.
pub fn backup(
    source: &Path,
    target: &Path,
    replace: bool,
    mut progress: impl FnMut(i32, i32),
) -> Result<(), CopyError> {
    let _old = take_over(source, target, replace).map_err(CopyError::Target)?;
    let from = open(source).map_err(CopyError::Source)?;
    (|| {
        let part = Part::create(target)?;
        copy(&from, &part.path, &mut progress)?;
        settle(target)?;
        part.rename(target)
    })()
    .map_err(CopyError::Target)
}

/// Puts the copy at `source` in the place of the database at `target`, which no server may be using.
///
/// The copy is checked first. A database that is there is replaced only with `replace`. If the
/// process is killed, either the old database or the new one is there, whole.
///
/// # Errors
/// When a server uses `target`, when it exists and is not to be replaced, or when `source` is no
/// sound database of ours.
pub fn restore(
    source: &Path,
    target: &Path,
    replace: bool,
    mut progress: impl FnMut(i32, i32),
) -> Result<(), CopyError> {
    let _old = take_over(source, target, replace).map_err(CopyError::Target)?;
    let from = open(source)
        .and_then(|from| {
            let wrong = super::check::complaints(&from, |_| {})?;
            match wrong.first() {
                None => Ok(from),
                Some(first) => Err(StoreError::Foreign(format!("it is damaged: {first}"))),
            }
        })
        .map_err(CopyError::Source)?;
    (|| {
        let part = Part::create(target)?;
        copy(&from, &part.path, &mut progress)?;
        part.inherit(target)?;
        settle(target)?;
        part.rename(target)
    })()
    .map_err(CopyError::Target)
}

fn open(source: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(source, flags)?;
    beside::patient(&connection)?;
    schema::expect_ours(&connection)?;
    Ok(connection)
}

/// The database that is to be replaced, if there is one, locked as a server locks it: as long as
/// the file lives, no server begins to use it.
fn take_over(source: &Path, target: &Path, replace: bool) -> Result<Option<File>, StoreError> {
    // Before anything is opened: closing it would give up SQLite's locks on the same file.
    if let (Ok(from), Ok(to)) = (fs::metadata(source), fs::metadata(target))
        && (from.dev(), from.ino()) == (to.dev(), to.ino())
    {
        let text = "it is the same file as the one that is read";
        return Err(StoreError::Foreign(text.to_owned()));
    }
    let log = beside_it(target, "-wal");
    match OpenOptions::new().read(true).append(true).open(target) {
        Ok(old) => {
            if !old.metadata()?.is_file() {
                return Err(StoreError::Foreign("it is no ordinary file".to_owned()));
            }
            if !beside::try_exclusive(&old)? {
                return Err(StoreError::Foreign(
                    "a server is using it: stop it first".to_owned(),
                ));
            }
            if replace {
                Ok(Some(old))
            } else {
                Err(exists())
            }
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        // A link to nowhere.
        Err(_) if !replace && target.symlink_metadata().is_ok() => Err(exists()),
        // It may hold what is nowhere else.
        Err(_) if !replace && log.symlink_metadata().is_ok() => Err(StoreError::Foreign(format!(
            "{} is left of another database; --force removes it",
            log.display()
        ))),
        Err(_) => Ok(None),
    }
}

/// Brings the log of a database that is about to be replaced into its file, so that it is whole
/// until the moment in which the new one takes its name, and leaves no log that would be taken for
/// the new one's.
fn settle(target: &Path) -> Result<(), StoreError> {
    // The last connection to close does it. One that cannot be opened is being replaced for that.
    if let Ok(connection) = Connection::open_with_flags(target, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(beside_it(target, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// The name of one of the files that SQLite keeps beside a database.
fn beside_it(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies everything into the empty file `part`.
fn copy(
    from: &Connection,
    part: &Path,
    progress: &mut impl FnMut(i32, i32),
) -> Result<(), StoreError> {
    let mut to = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A half-written copy is removed, so nothing needs to be undone in it.
    to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let moment = from.unchecked_transaction()?;
    // Only a statement begins the transaction.
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    {
        let backup = Backup::new(&moment, &mut to)?;
        loop {
            let step = backup.step(PAGES)?;
            let state = backup.progress();
            progress(state.pagecount - state.remaining, state.pagecount);
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                // The source is being read already, and nobody else knows the target.
                _ => return Err(StoreError::Foreign("the copy is locked".to_owned())),
            }
        }
    }
    moment.commit()?;
    // One file, without the log that the original has: readable from a read-only medium, too.
    to.execute_batch("PRAGMA journal_mode = DELETE;")?;
    drop(to);
    File::open(part)?.sync_all()?;
    Ok(())
}

fn exists() -> StoreError {
    StoreError::Foreign("it exists; --force replaces it".to_owned())
}

/// A file that is being written; removed unless it gets its name.
struct Part {
    path: PathBuf,
    directory: PathBuf,
    named: bool,
}

impl Part {
    fn create(target: &Path) -> Result<Part, StoreError> {
        let directory = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut path = target.as_os_str().to_owned();
        path.push(format!(".{}.part", std::process::id()));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Part {
            path: PathBuf::from(path),
            directory,
            named: false,
        })
    }

    /// Root restores for the server's user: whoever owns the old file, or else the directory.
    fn inherit(&self, target: &Path) -> Result<(), StoreError> {
        let like = match fs::metadata(target) {
            Ok(old) => old,
            Err(_) => fs::metadata(&self.directory)?,
        };
        let own = fs::metadata(&self.path)?;
        if own.uid() == 0 && (like.uid(), like.gid()) != (own.uid(), own.gid()) {
            chown(&self.path, Some(like.uid()), Some(like.gid()))?;
        }
        Ok(())
    }

    fn rename(mut self, target: &Path) -> Result<(), StoreError> {
        fs::rename(&self.path, target)?;
        self.named = true;
        // Otherwise a power cut could take the new name away again.
        File::open(&self.directory)?.sync_all()?;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.named {
            // What cannot be removed is found by its name.
            let _ = fs::remove_file(&self.path);
        }
    }
}
