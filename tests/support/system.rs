//! What the tests ask of the operating system: directories of their own, memory figures, limits.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A directory that nobody else has, removed on drop.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("plausch-test-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return TempDir(path),
                // Left over by a killed run whose process id comes round again.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot create {}: {error}", path.display()),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A directory that stays is no reason to fail a test, least of all a failing one.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Resident memory of a process, in KiB.
pub fn rss_kib(pid: u32) -> u64 {
    // smaps_rollup counts exactly; the figure in status may lag behind by 64 pages a thread.
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text.lines().find(|line| line.starts_with("Rss:"));
    let words = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    words
        .and_then(|kib| kib.parse().ok())
        .unwrap_or_else(|| panic!("no Rss in {path}:\n{text}"))
}

/// Lets this process and its children open `wanted` files, if the hard limit allows it.
#[allow(unsafe_code)]
pub fn raise_open_files(wanted: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls get a valid pointer to a struct of the type they expect.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(read, 0, "getrlimit: {}", std::io::Error::last_os_error());
    if limit.rlim_cur < wanted {
        limit.rlim_cur = wanted.min(limit.rlim_max);
        // SAFETY: as above.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        assert_eq!(set, 0, "setrlimit: {}", std::io::Error::last_os_error());
    }
    let have = limit.rlim_cur;
    assert!(
        have >= wanted,
        "this test needs {wanted} open files and gets {have}: raise the limit (ulimit -Hn)"
    );
}

/// How many descriptors a process has open.
pub fn open_files(pid: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"));
    entries.expect("/proc").count()
}

/// How many sockets a process has open; of other files a database opens some as it needs them.
pub fn open_sockets(pid: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("/proc");
    // One may be closed since it was listed.
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count()
}

/// How many threads a process has.
pub fn threads(pid: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/task"));
    entries.expect("/proc").count()
}

/// Limits how many files a running process may open from now on; None for what it may at most.
#[allow(unsafe_code)]
pub fn limit_open_files(pid: u32, limit: Option<u64>) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let which = libc::RLIMIT_NOFILE;
    // SAFETY: all pointers are null or valid, and point to a struct of the type expected.
    let read = unsafe { libc::prlimit(pid, which, std::ptr::null(), &raw mut now) };
    assert_eq!(read, 0, "prlimit: {}", std::io::Error::last_os_error());
    now.rlim_cur = limit.unwrap_or(now.rlim_max);
    // SAFETY: as above.
    let set = unsafe { libc::prlimit(pid, which, &raw const now, std::ptr::null_mut()) };
    assert_eq!(set, 0, "prlimit: {}", std::io::Error::last_os_error());
}

/// The memory of a process that it can write to, in bytes, used or not.
pub fn writable_memory(pid: u32) -> u64 {
    1024 * status_kib(pid, "VmData:")
}

/// Limits that of a running process, in bytes; None for no limit. (Of its address space, the
/// allocator has some reserved that nothing is in.)
#[allow(unsafe_code)]
pub fn limit_writable_memory(pid: u32, limit: Option<u64>) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    let limit = libc::rlimit {
        rlim_cur: limit.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: libc::RLIM_INFINITY,
    };
    let which = libc::RLIMIT_DATA;
    // SAFETY: both pointers are null or valid, and point to a struct of the type expected.
    let set = unsafe { libc::prlimit(pid, which, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "prlimit: {}", std::io::Error::last_os_error());
}

/// A figure of /proc/PID/status that is given in KiB.
fn status_kib(pid: u32, name: &str) -> u64 {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text.lines().find(|line| line.starts_with(name));
    let words = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    words
        .and_then(|kib| kib.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {path}:\n{text}"))
}

/// Takes files from a running process for good: the hard limit is lowered, too.
#[allow(unsafe_code)]
pub fn take_open_files(pid: u32, limit: u64) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    let limit = libc::rlimit {
        rlim_cur: limit,
        rlim_max: limit,
    };
    let which = libc::RLIMIT_NOFILE;
    // SAFETY: both pointers are null or valid, and point to a struct of the type expected.
    let set = unsafe { libc::prlimit(pid, which, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "prlimit: {}", std::io::Error::last_os_error());
}

/// The bytes of a connection (over IPv4) that its other end has not yet read; None where it is not
/// listed, which happens while others come and go.
pub fn unread(stream: &TcpStream) -> Option<u64> {
    let ends = [stream.local_addr(), stream.peer_addr()].map(|addr| match addr {
        Ok(SocketAddr::V4(addr)) => format!(
            "{:08X}:{:04X}",
            u32::from_ne_bytes(addr.ip().octets()),
            addr.port()
        ),
        other => panic!("no IPv4 connection: {other:?}"),
    });
    let [near, far] = &ends;
    // What is not acknowledged first: it can only move on to what the other end has not taken.
    Some(queue(near, far, 0)? + queue(far, near, 1)?)
}

/// A queue of a TCP socket, 0 the one to send, 1 the received one; see proc_pid_net(5).
fn queue(local: &str, remote: &str, which: usize) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.get(1) == Some(&local) && fields.get(2) == Some(&remote))
        .and_then(|fields| fields.get(4)?.split(':').nth(which))
        .and_then(|bytes| u64::from_str_radix(bytes, 16).ok())
}

/// Waits until `done` gives something; panics with `what` when it has not after `timeout`.
pub fn wait_for<T>(what: &str, timeout: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + timeout;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(
            Instant::now() < end,
            "waited {timeout:?} in vain until {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// The highest resident memory of a process since this was made, as the kernel keeps it: no peak is
/// too short for it.
pub struct RssWatch(u32);

impl RssWatch {
    pub fn start(pid: u32) -> RssWatch {
        // proc(5): this sets the mark back to what is resident now.
        let path = format!("/proc/{pid}/clear_refs");
        fs::write(&path, "5").unwrap_or_else(|error| panic!("{path}: {error}"));
        RssWatch(pid)
    }

    pub fn highest_kib(self) -> u64 {
        status_kib(self.0, "VmHWM:")
    }
}

/// Tells the threads of a scope to end, when it is dropped at the latest: a scope waits for its
/// threads, so a test that fails within it would otherwise hang.
#[derive(Default)]
pub struct Stop(Stopped);

/// What a thread that is to end looks at.
#[derive(Clone, Default)]
pub struct Stopped(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub fn flag(&self) -> Stopped {
        self.0.clone()
    }
}

impl Stopped {
    /// Whether it is time to end.
    pub fn now(&self) -> bool {
        self.within(Duration::ZERO)
    }

    /// Waits for the end, or until the pause is over; whether it is time to end.
    pub fn within(&self, pause: Duration) -> bool {
        let (stopped, changed) = &*self.0;
        let stopped = stopped.lock().expect("stop");
        let waited = changed.wait_timeout_while(stopped, pause, |stopped| !*stopped);
        *waited.expect("stop").0
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        let (stopped, changed) = &*self.0.0;
        *stopped.lock().expect("stop") = true;
        changed.notify_all();
    }
}
