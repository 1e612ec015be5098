//! A copy of a whole database, and putting one in its place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::access;
use crate::store::StoreError;
use crate::store::open::place;
use crate::store::open::place::beside_it;
use crate::store::open::schema;

/// Pages of one step; after each, `progress` is called.
const PAGES: i32 = 1_024;

/// Failure by file: the one that is read, or the one that is written.
#[derive(Debug)]
pub(crate) enum CopyError {
    Source(StoreError),
    Target(StoreError),
}

/// Copies the database at `source` to a new file `target`, readable by its owner alone.
///
/// One transaction reads it all, so everything acknowledged before is in it; else SQLite would begin
/// again at each write, which beside a busy server never ends. The server's write-ahead log cannot be
/// reset meanwhile. The file gets its name when it is complete and on stable storage. `progress` is
/// told pages done and pages in all. False where the name cannot be put on stable storage.
pub(crate) fn backup(
    source: &Path,
    target: &Path,
    replace: bool,
    mut progress: impl FnMut(i32, i32),
) -> Result<bool, CopyError> {
    let mut target = Target::take(source, target, replace, false).map_err(CopyError::Target)?;
    let from = open(source).map_err(CopyError::Source)?;
    (|| {
        let part = Part::create(&target.path)?;
        copy(&from, &part.path, &mut progress)?;
        settle(&target.path)?;
        target.give_name(part)
    })()
    .map_err(CopyError::Target)
}

/// Puts the copy at `source` in the place of the database at `target`, which no server may be using.
///
/// The copy is checked first. An empty, locked file holds the name where no database is, so that no
/// server makes one meanwhile. A killed process leaves the old database or the new one, whole.
pub(crate) fn restore(
    source: &Path,
    target: &Path,
    replace: bool,
    mut progress: impl FnMut(i32, i32),
) -> Result<bool, CopyError> {
    let mut target = Target::take(source, target, replace, true).map_err(CopyError::Target)?;
    let from = open(source)
        .and_then(|from| {
            let wrong = super::check::problems(&from, |_| {})?;
            match wrong.first() {
                None => Ok(from),
                Some(first) => Err(StoreError::Foreign(format!("it is damaged: {first}"))),
            }
        })
        .map_err(CopyError::Source)?;
    (|| {
        let part = Part::create(&target.path)?;
        copy(&from, &part.path, &mut progress)?;
        part.inherit(&target)?;
        settle(&target.path)?;
        target.give_name(part)
    })()
    .map_err(CopyError::Target)
}

fn open(source: &Path) -> Result<Connection, StoreError> {
    let source = place::resolve(source)?;
    let connection = match access::immutable(&source)? {
        Some(copy) => copy,
        None => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(source, flags)?
        }
    };
    access::patient(&connection)?;
    schema::expect_ours(&connection)?;
    Ok(connection)
}

pub(crate) struct Target {
    pub(crate) path: PathBuf,
    /// Locked as a server locks it, which keeps servers away. None where a backup finds nothing.
    file: Option<File>,
    /// Empty file that only holds the name.
    placeholder: bool,
}

impl Target {
    /// Looks what has the name; something that is worth keeping is only taken with `replace`. Where
    /// there is nothing, `hold` has the name held.
    pub(crate) fn take(
        source: &Path,
        target: &Path,
        replace: bool,
        hold: bool,
    ) -> Result<Target, StoreError> {
        let mut path = place::resolve(target)?;
        // Before anything is opened: closing it would give up SQLite's locks on the same file.
        if let (Ok(from), Ok(to)) = (fs::metadata(source), fs::metadata(&path))
            && place::is_same(&from, &to)
        {
            let text = "it is the same file as the one that is read";
            return Err(StoreError::Foreign(text.to_owned()));
        }
        let log = beside_it(&path, "-wal");
        loop {
            let (file, made) = match File::options().read(true).append(true).open(&path) {
                Ok(old) => (old, false),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                // It may hold what is nowhere else.
                Err(_) if !replace && log.symlink_metadata().is_ok() => {
                    return Err(StoreError::Foreign(format!(
                        "{} is left of another database; --force removes it",
                        log.display()
                    )));
                }
                Err(_) if !hold => {
                    return Ok(Target {
                        path,
                        file: None,
                        placeholder: false,
                    });
                }
                Err(_) => match make_target(&path) {
                    Ok(new) => (new, true),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    Err(error) => return Err(error.into()),
                },
            };
            let data = file.metadata()?;
            if !data.is_file() {
                return Err(StoreError::Foreign("it is no ordinary file".to_owned()));
            }
            // Where there are no locks no server can be, either.
            if hold || !place::has_no_locks(&file) {
                access::expect_unused(&file)?;
            }
            let mut found = Target {
                path,
                file: Some(file),
                placeholder: made,
            };
            if !found.is_named() {
                // Another file has got the name before this one was locked.
                found.placeholder = false;
                path = std::mem::take(&mut found.path);
                continue;
            }
            // An empty one, as a killed restore leaves it, is nothing.
            if !replace && (data.len() > 0 || !made && log.symlink_metadata().is_ok()) {
                return Err(exists());
            }
            return Ok(found);
        }
    }

    /// The file that was locked still has the name.
    fn is_named(&self) -> bool {
        match (&self.file, fs::metadata(&self.path)) {
            (Some(file), Ok(named)) => file
                .metadata()
                .is_ok_and(|own| place::is_same(&own, &named)),
            _ => false,
        }
    }

    /// False where the file system cannot put the name on stable storage.
    pub(crate) fn give_name(&mut self, part: Part) -> Result<bool, StoreError> {
        if self.file.is_none() {
            return part.rename(&self.path, crate::sys::rename_new);
        }
        if !self.is_named() {
            return Err(StoreError::Foreign(
                "somebody else has put another file there meanwhile".to_owned(),
            ));
        }
        self.placeholder = false;
        part.rename(&self.path, |from, to| fs::rename(from, to))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.placeholder && self.is_named() {
            // What stays is empty, which is as good as nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make_target(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true).mode(0o600);
    options.open(path)
}

/// Brings the old database's log into its file, so that it is whole until it is replaced, and leaves
/// no log that would be taken for the new one's.
fn settle(target: &Path) -> Result<(), StoreError> {
    // The last connection to close does it. One that cannot be opened is being replaced for that.
    if beside_it(target, "-wal").exists()
        && let Ok(connection) =
            Connection::open_with_flags(target, OpenFlags::SQLITE_OPEN_READ_WRITE)
    {
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

fn copy(
    from: &Connection,
    part: &Path,
    progress: &mut impl FnMut(i32, i32),
) -> Result<(), StoreError> {
    // Nobody else knows it: no locks, which CIFS and many of FUSE have not.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let mut to = Connection::open_with_flags_and_vfs(part, flags, "unix-none")?;
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
    drop(to);
    // One file, without the log that the original has: readable from a read-only medium, too.
    let whole = OpenOptions::new().write(true).open(part)?;
    access::mark_without_log(&whole)?;
    whole.sync_all()?;
    Ok(())
}

fn exists() -> StoreError {
    StoreError::Foreign("it exists; --force replaces it".to_owned())
}

/// A file that is being written; removed unless it gets its name.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    directory: PathBuf,
    named: bool,
}

impl Part {
    pub(crate) fn create(target: &Path) -> Result<Part, StoreError> {
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
    pub(crate) fn inherit(&self, target: &Target) -> Result<(), StoreError> {
        let like = match &target.file {
            Some(old) if !target.placeholder => old.metadata()?,
            _ => fs::metadata(&self.directory)?,
        };
        let own = fs::metadata(&self.path)?;
        if own.uid() == 0 && (like.uid(), like.gid()) != (own.uid(), own.gid()) {
            chown(&self.path, Some(like.uid()), Some(like.gid()))?;
        }
        Ok(())
    }

    fn rename(
        mut self,
        target: &Path,
        rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<bool, StoreError> {
        rename(&self.path, target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => StoreError::Io(error),
        })?;
        self.named = true;
        Ok(place::sync_directory(&self.directory)?)
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
