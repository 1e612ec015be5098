//! Files and file systems: the store and `plauschctl` call these.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that may still be written to the file system of a directory (statvfs(3)).
pub(crate) fn room(directory: &std::path::Path) -> io::Result<u64> {
    let name = CString::new(directory.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the call reads a string that ends and fills in one statvfs; both live through it.
    // Zeros are a valid one already.
    let found = unsafe {
        if libc::statvfs(name.as_ptr(), found.as_mut_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
        found.assume_init()
    };
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // Of 32 bits elsewhere.
    Ok((found.f_bavail as u64).saturating_mul(found.f_frsize as u64))
}

/// Which file a name leads to, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    /// The device that it lies on.
    pub(crate) device: u64,
    /// Its number there.
    pub(crate) inode: u64,
    /// In bytes.
    pub(crate) length: u64,
}

/// Looks a file up without asking when it was changed (statx(2)).
///
/// Since Linux 6.13 a file whose time was asked for gets an exact one with its next write, and that
/// makes the write and its sync dearer: with six calls of stat(2) a commit, 60 to 90 µs more.
pub(crate) fn file_identity(name: &CStr) -> io::Result<FileIdentity> {
    let mut data = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the kernel reads a string that ends with NUL and writes one struct; both live through
    // the call, and what it leaves out stays zero, a valid value for each of the struct's integers.
    let data = unsafe {
        let mask = libc::STATX_INO | libc::STATX_SIZE;
        if libc::statx(libc::AT_FDCWD, name.as_ptr(), 0, mask, data.as_mut_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
        data.assume_init()
    };
    Ok(FileIdentity {
        device: u64::from(data.stx_dev_major) << 32 | u64::from(data.stx_dev_minor),
        inode: data.stx_ino,
        length: data.stx_size,
    })
}

/// Gives the file `from` the name `to`, which nothing else has (`RENAME_NOREPLACE`).
///
/// Where the file system does not know that, the name is taken by an empty file first.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let name = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (old, new) = (name(from)?, name(to)?);
    // SAFETY: the kernel reads two strings that end with NUL and live through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            old.as_ptr(),
            libc::AT_FDCWD,
            new.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if !matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) {
        return Err(error);
    }
    std::fs::File::create_new(to)?;
    std::fs::rename(from, to)
}

/// Files that the process creates are readable by its owner alone.
pub(crate) fn private_files() {
    // SAFETY: umask cannot fail and touches no memory of ours.
    unsafe {
        libc::umask(0o077);
    }
}

/// Has SQLite put its temporary files beside the database, where there is room for as much, unless
/// `SQLITE_TMPDIR` says otherwise. Where that cannot be written, it tries the system's directories.
/// To be called before there are threads, and before the first database is opened.
pub(crate) fn temporary_files_beside(database: &Path) {
    const VARIABLE: &str = "SQLITE_TMPDIR";
    let directory = std::path::absolute(database).ok();
    let directory = directory.as_deref().and_then(Path::parent);
    if let (None, Some(directory)) = (std::env::var_os(VARIABLE), directory) {
        // SAFETY: no other thread reads or writes the environment, as there is none yet.
        unsafe { std::env::set_var(VARIABLE, directory) };
    }
}
