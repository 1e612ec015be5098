//! Limits of the process and what it has used.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// What a process has done since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Processor time of all its threads.
    pub(crate) computed: Duration,
    /// Blocks read from and written to disks.
    pub(crate) blocks: i64,
}

/// What this process has done (getrusage(2)); nothing when that cannot be had.
pub(crate) fn work() -> Work {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills in one rusage, which lives through it; zeros are a valid one already.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) < 0 {
            return Work::default();
        }
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    #[allow(clippy::useless_conversion)] // c_long has 32 bits elsewhere.
    Work {
        computed: time(usage.ru_utime) + time(usage.ru_stime),
        blocks: i64::from(usage.ru_inblock) + i64::from(usage.ru_oublock),
    }
}

/// Raises the limit of open files to what the system allows, and returns it.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit and setrlimit write and read one rlimit, which lives through the calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) < 0 {
            return Err(io::Error::last_os_error());
        }
        let before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) < 0 {
            return Ok(wide(before));
        }
    }
    Ok(wide(limit.rlim_cur))
}

/// A limit, which has 32 bits on some machines and 64 on others.
#[allow(clippy::useless_conversion)]
fn wide(limit: libc::rlim_t) -> u64 {
    limit.into()
}

/// Keeps what the process has in memory out of core dumps: their size is limited to zero, and since
/// that does not bind a program to which the system pipes them, no memory is chosen for them either
/// (core(5): `/proc/PID/coredump_filter`). Reading memory is not forbidden by this: whoever may do
/// that may read the database as well.
pub(crate) fn no_core_dumps() -> io::Result<()> {
    let filter = std::fs::write("/proc/self/coredump_filter", "0");
    let nothing = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: setrlimit reads one rlimit, which lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const nothing) } < 0 {
        return Err(io::Error::last_os_error());
    }
    filter
}
