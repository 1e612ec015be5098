//! The few system calls that no crate wraps: the only module with `unsafe`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// `TCP_RTO_MAX_MS` of linux/tcp.h (since Linux 6.15), which libc does not name yet.
const TCP_RTO_MAX_MS: libc::c_int = 44;

/// Flags of a `send` that takes what fits, and raises no signal when the peer is gone.
pub const DO_NOT_WAIT: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// What the kernel knows of a peer.
#[derive(Debug, Clone, Copy)]
pub struct PeerInfo {
    /// Retransmissions and probes (keep-alive or zero-window) since the peer was last heard. One
    /// may just be on its way; from two on the peer has missed one.
    pub unanswered: u32,
    /// Since anything, data or acknowledgement, was last heard from the peer.
    pub silent: Duration,
}

/// Bytes that may still be written to the file system of a directory (statvfs(3)).
///
/// # Errors
/// When the system does not say.
pub fn room(directory: &std::path::Path) -> io::Result<u64> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(directory.as_os_str().as_bytes())?;
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

/// What a process has done since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Processor time of all its threads.
    pub computed: Duration,
    /// Blocks read from and written to disks.
    pub blocks: i64,
}

/// What this process has done (getrusage(2)); nothing when that cannot be had.
pub fn work() -> Work {
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

/// Bytes written to a socket that the peer's TCP has not acknowledged yet (`SIOCOUTQ`).
///
/// It still answers after a reset, a time-out and a half-close.
///
/// # Errors
/// When the descriptor is no TCP socket.
pub fn unacknowledged(stream: &TcpStream) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int through the pointer, which
    // lives through the call; the descriptor is open as long as `stream` is borrowed.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Asks the kernel about a peer (`TCP_INFO`).
///
/// # Errors
/// When the descriptor is no TCP socket.
pub fn peer_info(stream: &TcpStream) -> io::Result<PeerInfo> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which is that large, and
    // whatever it leaves out stays zero, a valid value for each of the struct's integers.
    let info = unsafe {
        let result = libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        );
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        info.assume_init()
    };
    Ok(PeerInfo {
        unanswered: u32::from(info.tcpi_retransmits) + u32::from(info.tcpi_probes),
        silent: Duration::from_millis(info.tcpi_last_ack_recv.min(info.tcpi_last_data_recv).into()),
    })
}

/// Whether the peer has closed its side or reset the connection, without reading anything.
pub fn has_hung_up(stream: &TcpStream) -> bool {
    poll(stream, libc::POLLRDHUP, Duration::ZERO)
        & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR)
        != 0
}

/// Whether the connection is shut in both directions, so that no answer can arrive any more.
pub fn is_gone(stream: &TcpStream) -> bool {
    poll(stream, 0, Duration::ZERO) & (libc::POLLHUP | libc::POLLERR) != 0
}

/// How a connection stands, see [`await_end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Open in both directions.
    Open,
    /// One side has said that it will send nothing more: the peer, or we by shutting our reading.
    HalfClosed,
    /// No answer can arrive any more.
    Gone,
}

/// Waits until the connection is gone, `patience` at most; with `half` also until one side has said
/// that it will send nothing more. Reads nothing. May return early.
pub fn await_end(stream: &TcpStream, half: bool, patience: Duration) -> Standing {
    let events = poll(stream, if half { libc::POLLRDHUP } else { 0 }, patience);
    if events & (libc::POLLHUP | libc::POLLERR) != 0 {
        Standing::Gone
    } else if events & libc::POLLRDHUP != 0 {
        Standing::HalfClosed
    } else {
        Standing::Open
    }
}

/// Whether the connection has failed: reset, or given up by TCP. Not so after a shutdown.
pub fn has_failed(stream: &TcpStream) -> bool {
    poll(stream, 0, Duration::ZERO) & libc::POLLERR != 0
}

/// What is true of a socket, of `events` and of hang-up and error, at this moment or within
/// `patience`.
fn poll(stream: &TcpStream, events: libc::c_short, patience: Duration) -> libc::c_short {
    // Rounded up, so that a wait of less than a millisecond does not spin.
    let milliseconds = patience.as_micros().div_ceil(1000);
    let milliseconds = libc::c_int::try_from(milliseconds).unwrap_or(libc::c_int::MAX);
    let mut poll = libc::pollfd {
        fd: stream.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: one pollfd that lives through the call, and a time-out that is not negative.
    let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    if ready > 0 { poll.revents } else { 0 }
}

/// Keeps the pause between two zero-window probes or retransmissions below `limit`, so that a peer
/// that dies with a closed window is noticed within a minute. Kernels before 6.15 refuse.
///
/// # Errors
/// When the kernel does not know the option.
pub fn limit_retransmission_pause(socket: &impl AsRawFd, limit: Duration) -> io::Result<()> {
    let milliseconds = libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel reads one int through the pointer, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_RTO_MAX_MS,
            (&raw const milliseconds).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Raises the limit of open files to what the system allows, and returns it.
///
/// # Errors
/// When the limit cannot be read.
pub fn raise_open_files() -> io::Result<u64> {
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

/// Makes glibc give freed memory of 128 KiB and more back to the system at once.
///
/// Its threshold otherwise adapts to what scrypt frees (16 MiB), and each hashing thread's arena
/// keeps that: 60 threads once left 347 to 527 MB resident; 2.7 MB with this.
pub fn keep_heap_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets a number inside the allocator; called before other threads start.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 10);
        // Arenas multiply what is freed but not returned; sessions allocate little and rarely.
        libc::mallopt(libc::M_ARENA_MAX, 4);
    }
}

/// Gives the system back what is free in the heap, also between what is used: after a start, 150 of
/// 800 KiB.
pub fn give_back_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the allocator's own locks and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether the system would map `size` more bytes for this process now.
///
/// The allocator is not asked, since it may have that much left of what it was given earlier, and a
/// thread's stack cannot be had of that.
pub fn could_map(size: usize) -> bool {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
    );
    // SAFETY: a new mapping, wherever the system wants it, touches nothing that is there.
    let probe = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
    if probe == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping was made above, of this size, and nobody knows of it.
    unsafe { libc::munmap(probe, size) };
    true
}

/// Gives the system back what a fresh thread's stack has kept of its earlier owner.
///
/// glibc uses the stacks of ended threads again and leaves their lowest touched 16 KiB resident;
/// an idle connection needs 8 KiB altogether.
#[inline(never)]
pub fn release_stack() {
    let Some(lowest) = lowest_stack_address() else {
        return;
    };
    let here = 0_u8;
    let Some(unused) = unused_stack(lowest, (&raw const here).addr(), page_size()) else {
        return;
    };
    // SAFETY: the range is this thread's own stack, in whole pages strictly below every live frame,
    // with room for the call itself: nothing in it will be read before it is written again. What
    // is given back reads as zero.
    unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(unused.start),
            unused.len(),
            libc::MADV_DONTNEED,
        );
    }
}

/// The whole pages of a stack that lie below the frame with the address `here`; None when there
/// are none.
///
/// madvise(2) takes only an aligned start, and rounds the length **up** to whole pages. So the end
/// has to be that of a page too, or the page with the live frames goes along.
fn unused_stack(lowest: usize, here: usize, page: usize) -> Option<Range<usize>> {
    /// Room for the frames of the calls that `release_stack` makes.
    const SLACK: usize = 1 << 10;
    let start = lowest.checked_next_multiple_of(page)?;
    let here = here.checked_sub(SLACK)?;
    let end = here - here % page;
    (start < end).then_some(start..end)
}

/// Bytes of a page of memory: 4 KiB on most machines, 16 KiB on a Raspberry Pi 5, up to 64 KiB.
pub fn page_size() -> usize {
    /// The largest there is: what is a multiple of it is one of each smaller one.
    const LARGEST: usize = 64 << 10;
    // SAFETY: sysconf reads what the process was given at its start.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let bytes = usize::try_from(bytes).unwrap_or(0);
    // Anything else is no page size, and would make the arithmetic above divide by zero.
    if bytes.is_power_of_two() {
        bytes
    } else {
        LARGEST
    }
}

/// The size to ask for so that a thread has a stack of `wanted` bytes: whole pages, and one more,
/// since glibc before 2.27 takes the guard page out of what is asked for. With pages of 64 KiB that
/// would be half of it.
pub fn stack_size(wanted: usize) -> usize {
    whole_pages(wanted, page_size())
}

fn whole_pages(wanted: usize, page: usize) -> usize {
    wanted.next_multiple_of(page) + page
}

/// Where the calling thread's stack ends, above its guard.
fn lowest_stack_address() -> Option<usize> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut address, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: pthread_getattr_np initialises the attributes, which are read and destroyed only if
    // it has; the other pointers are to locals that live through the calls.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut address, &raw mut size);
        libc::pthread_attr_getguardsize(attributes.as_ptr(), &raw mut guard);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
    // glibc before 2.27 counts the guard as stack. Where it is not counted, one page too many is
    // left alone: it is the lowest, which hardly any thread ever reaches.
    address.expose_provenance().checked_add(guard)
}

/// Makes the calling thread give way to the others of the process and the machine: for hashing,
/// which takes a core for a tenth of a second at a time.
pub fn give_way() {
    /// Half-way to the weakest.
    const NICE: libc::c_int = 10;
    // SAFETY: on Linux 0 means the calling thread alone; the call touches no memory of ours.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
    }
}

/// Files that the process creates are readable by its owner alone.
pub fn private_files() {
    // SAFETY: umask cannot fail and touches no memory of ours.
    unsafe {
        libc::umask(0o077);
    }
}

/// Has SQLite put its temporary files beside the database, where there is room for as much, unless
/// `SQLITE_TMPDIR` says otherwise. Where that cannot be written, it tries the system's directories.
/// To be called before there are threads, and before the first database is opened.
pub fn temporary_files_beside(database: &Path) {
    const VARIABLE: &str = "SQLITE_TMPDIR";
    let directory = std::path::absolute(database).ok();
    let directory = directory.as_deref().and_then(Path::parent);
    if let (None, Some(directory)) = (std::env::var_os(VARIABLE), directory) {
        // SAFETY: no other thread reads or writes the environment, as there is none yet.
        unsafe { std::env::set_var(VARIABLE, directory) };
    }
}

/// Which file a name leads to, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// The device that it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// In bytes.
    pub length: u64,
}

/// Looks a file up without asking when it was changed (statx(2)).
///
/// Since Linux 6.13 a file whose time was asked for gets an exact one with its next write, and that
/// makes the write and its sync dearer: with six calls of stat(2) a commit, 60 to 90 µs more.
///
/// # Errors
/// When the name leads to nothing that can be looked at.
pub fn file_identity(name: &CStr) -> io::Result<FileIdentity> {
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
///
/// # Errors
/// `AlreadyExists` when something has the name.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
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

/// Keeps what the process has in memory out of core dumps: their size is limited to zero, and since
/// that does not bind a program to which the system pipes them, no memory is chosen for them either
/// (core(5): `/proc/PID/coredump_filter`). Reading memory is not forbidden by this: whoever may do
/// that may read the database as well.
///
/// # Errors
/// When either cannot be set; the other one is all the same.
pub fn no_core_dumps() -> io::Result<()> {
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

/// A time as the clock on the wall shows it, by `TZ` or the system's zone.
#[cfg(feature = "client")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Year, month from 1 on, day of the month from 1 on.
    pub date: (i64, u8, u8),
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// The local time of a count of milliseconds since 1970-01-01T00:00:00Z; `None` when it is too far
/// away for a calendar.
#[cfg(feature = "client")]
pub fn local_time(milliseconds: i64) -> Option<LocalTime> {
    let seconds = libc::time_t::try_from(milliseconds.div_euclid(1000)).ok()?;
    let mut broken = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid through the call, and localtime_r, unlike localtime, keeps
    // nothing of them. It reads TZ, which nothing here changes. Zero is valid for each field.
    let broken = unsafe {
        if libc::localtime_r(&raw const seconds, broken.as_mut_ptr()).is_null() {
            return None;
        }
        broken.assume_init()
    };
    let small = |number: libc::c_int| u8::try_from(number).ok();
    Some(LocalTime {
        date: (
            i64::from(broken.tm_year) + 1900,
            small(broken.tm_mon)? + 1,
            small(broken.tm_mday)?,
        ),
        hour: small(broken.tm_hour)?,
        minute: small(broken.tm_min)?,
    })
}

#[cfg(test)]
mod tests;
