//! Where the database's files are, and whether they are still there.
//!
//! A file that is deleted, moved or replaced while it is open goes on to be written, and is gone with
//! the process. So after each COMMIT, before anything is acknowledged, the files that a restart would
//! find are compared with the open ones.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::store::{Result, StoreError};
use crate::sys;
use crate::sys::FileIdentity;

/// The exit code of a server whose database was taken away (`EX_IOERR` of sysexits.h): not zero, so
/// that a supervisor starts it again.
pub(crate) const LOST: i32 = 74;

/// How often a start tries for a lock of the database, and how often in all: about a second. The
/// operator's tool has it for a moment whenever it looks whether a server is running.
const LOCK_EVERY: Duration = Duration::from_millis(20);
const LOCK_TRIES: u32 = 50;

/// Links that follow each other, at most (Linux's own limit).
const LINKS: u32 = 40;

/// The name under which SQLite keeps a database: absolute, without symbolic links, so never one
/// that it takes for a URI. Its log and its index lie beside that name. The file need not exist.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..LINKS {
        match fs::canonicalize(&path) {
            Ok(real) => return Ok(real),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            break;
        };
        let directory = fs::canonicalize(directory)?;
        match fs::read_link(&path) {
            // To a file that does not exist.
            Ok(target) => path = directory.join(target),
            Err(_) => return Ok(directory.join(name)),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Name of a file that SQLite keeps beside a database.
pub(crate) fn beside_it(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Puts the names in a directory on stable storage: a power cut could take a new one away again.
/// False where the file system knows no such thing (CIFS, many of FUSE).
pub(crate) fn sync_directory(directory: &Path) -> io::Result<bool> {
    match File::open(directory).and_then(|open| open.sync_all()) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::ENOTTY | libc::EBADF)
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn is_read_only(path: &Path) -> bool {
    OpenOptions::new()
        .append(true)
        .open(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

pub(crate) fn has_no_locks(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().is_err(),
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => matches!(
            error.raw_os_error(),
            Some(libc::ENOLCK | libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP)
        ),
    }
}

pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Opens the database file, made when there is none, and takes the lock that says that a server is
/// running (flock(2), which SQLite's own locks, fcntl(2), do not see).
pub(crate) fn own(path: &Path) -> Result<File, StoreError> {
    for _ in 0..LOCK_TRIES {
        // SQLite gives the write-ahead log the mode of the database, so this covers both.
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        lock(&file, || std::thread::sleep(LOCK_EVERY))?;
        // While it was waited for, another file may have got the name.
        if fs::metadata(path)
            .is_ok_and(|named| file.metadata().is_ok_and(|own| is_same(&named, &own)))
        {
            expect_locks(path)?;
            return Ok(file);
        }
    }
    Err(StoreError::Foreign(
        "it is being replaced all the time".to_owned(),
    ))
}

/// Refuses a file system that grants a lock that is taken: nobody would be kept away from anything.
fn expect_locks(path: &Path) -> Result<(), StoreError> {
    let second = File::open(path)?;
    match second.try_lock_shared() {
        Ok(()) => Err(StoreError::Unfit(
            "its file system grants the same lock twice (NFS without lockd?), so nothing keeps two \
             servers, or a copy and a server, apart; put the database on a disk of this machine"
                .to_owned(),
        )),
        Err(_) => Ok(()),
    }
}

/// Names the file system in an error that comes of it.
pub(crate) fn with_file_system(error: StoreError, path: &Path) -> StoreError {
    let of_it = match &error {
        StoreError::Sqlite(cause) => crate::store::error::cure(cause).is_some(),
        StoreError::Unfit(_) => true,
        _ => false,
    };
    match file_system(path).filter(|_| of_it) {
        Some(name) => StoreError::Unfit(format!("{error} (the file system is {name})")),
        None => error,
    }
}

/// The kind of file system that a file, or its directory, lies on: `jffs2`, `nfs4`, `fuse.sshfs`.
fn file_system(path: &Path) -> Option<String> {
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(_) => fs::metadata(path.parent()?).ok()?,
    };
    let device = format!("{}:{}", libc::major(data.dev()), libc::minor(data.dev()));
    // proc_pid_mountinfo(5): the third word is the device, the first one behind " - " the kind.
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(device.as_str()))?;
    let (_, kind) = mount.split_once(" - ")?;
    kind.split(' ').next().map(str::to_owned)
}

/// The same lock of the write-ahead log, which outlives a database that is replaced.
pub(crate) fn own_log(database: &Path) -> Result<Option<File>, StoreError> {
    let log = beside_it(database, "-wal");
    match File::options().read(true).append(true).open(log) {
        Ok(log) => {
            lock(&log, || std::thread::sleep(LOCK_EVERY))?;
            Ok(Some(log))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes a lock that says that a server is running; calls `pause` between two tries.
fn lock(file: &File, mut pause: impl FnMut()) -> Result<(), StoreError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => pause(),
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::Unfit(format!(
                    "its file system refuses locks ({error}); mount it with them, or put the \
                     database on a disk of this machine"
                )));
            }
        }
    }
    Err(StoreError::Foreign("another server is using it".to_owned()))
}

/// The files of an open database, by the names that a restart will look for.
#[derive(Clone)]
pub(crate) struct Place {
    files: Vec<(CString, FileIdentity)>,
    /// The length of the database when it was last looked at.
    length: u64,
    lost: Option<Loss>,
}

/// The fields of [`StoreError::Lost`].
type Loss = (PathBuf, &'static str, bool);

impl Place {
    /// Notes the files of the database that is `given` on the command line and lies at `real`, which
    /// is open.
    pub(crate) fn of(given: &Path, real: &Path) -> io::Result<Place> {
        let given = std::path::absolute(given)?;
        let mut names = vec![real.to_owned()];
        if given != real {
            names.push(given);
        }
        let mut files = Vec::new();
        for name in names {
            let name = CString::new(name.into_os_string().into_vec())?;
            files.push((name.clone(), sys::file_identity(&name)?));
        }
        for suffix in ["-wal", "-shm"] {
            let name = CString::new(beside_it(real, suffix).into_os_string().into_vec())?;
            if let Ok(identity) = sys::file_identity(&name) {
                files.push((name, identity));
            }
        }
        Ok(Place {
            length: files.first().map_or(0, |(_, identity)| identity.length),
            files,
            lost: None,
        })
    }

    /// One system call a file. A file that cannot be looked at counts as there unless it is gone.
    pub(crate) fn look(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.lost.is_none() {
            self.lost = self.find_loss(connection);
        }
        match &self.lost {
            None => Ok(()),
            Some((file, how, whole)) => Err(StoreError::Lost {
                file: file.clone(),
                how,
                whole: *whole,
            }),
        }
    }

    fn find_loss(&mut self, connection: &Connection) -> Option<Loss> {
        for (number, (name, open)) in self.files.iter().enumerate() {
            let (how, whole) = match sys::file_identity(name) {
                Ok(now) if (now.device, now.inode) != (open.device, open.inode) => {
                    ("was replaced by another file", true)
                }
                Ok(now) if number == 0 => {
                    // VACUUM makes it shorter as well, but never shorter than its pages.
                    let holds =
                        |pages: i64| u64::try_from(pages).is_ok_and(|pages| now.length >= pages);
                    if now.length >= self.length || size(connection).is_ok_and(holds) {
                        self.length = now.length;
                        continue;
                    }
                    ("was cut short or overwritten", false)
                }
                Err(error) if is_gone(&error) => ("was removed or moved away", true),
                _ => continue,
            };
            let file = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
            return Some((file, how, whole));
        }
        None
    }
}

/// Bytes of all pages of the database, in its file or still in its log.
pub(super) fn size(connection: &Connection) -> Result<i64> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?))
}

/// Bytes of a file; 0 where there is none.
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::StaleNetworkFileHandle
    ) || error.raw_os_error() == Some(libc::ELOOP)
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

    #[test]
    fn a_name_leads_through_links_also_to_a_file_that_is_not_there() {
        let directory = crate::store::tests::scratch::Scratch::directory();
        let real = fs::canonicalize(&directory).unwrap().join("real");
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink("real/there.db", directory.join("link.db")).unwrap();
        std::os::unix::fs::symlink("link.db", directory.join("again.db")).unwrap();
        std::os::unix::fs::symlink("round.db", directory.join("round.db")).unwrap();
        for _ in 0..2 {
            for name in ["real/there.db", "link.db", "again.db", "real/../link.db"] {
                let found = resolve(&directory.join(name)).unwrap();
                assert_eq!(found, real.join("there.db"), "{name}");
            }
            // And the same once it is there.
            fs::write(real.join("there.db"), "").unwrap();
        }
        assert!(resolve(&directory.join("round.db")).is_err());
        assert!(resolve(&directory.join("nowhere/plausch.db")).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
