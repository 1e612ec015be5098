//! What the tests ask of the operating system: directories of their own, memory figures, limits.

use super::client::TIMEOUT;
use super::process::{figure, poll};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

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

/// Runs a program until it ends, which it must do soon.
pub fn output(command: &mut Command, input: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // One that reads nothing may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = thread::spawn(move || child.wait_with_output());
    wait_for(&format!("{command:?} has ended"), TIMEOUT, || {
        output.is_finished().then_some(())
    });
    output.join().expect("join").expect("wait")
}

/// Lets this process and its children open `wanted` files, if the hard limit allows it.
pub fn raise_open_files(wanted: u64) {
    let own = std::process::id();
    let now = limit(own, libc::RLIMIT_NOFILE, None);
    assert!(
        now.rlim_max >= wanted,
        "this test needs {wanted} open files and gets {}: raise the limit (ulimit -Hn)",
        now.rlim_max
    );
    if now.rlim_cur < wanted {
        limit(own, libc::RLIMIT_NOFILE, Some((wanted, now.rlim_max)));
    }
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

/// Sets a limit of a running process, and gives the one before; None changes nothing.
#[allow(unsafe_code)]
fn limit(pid: u32, which: libc::__rlimit_resource_t, new: Option<(u64, u64)>) -> libc::rlimit {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    let mut before = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let new = new.map(|(rlim_cur, rlim_max)| libc::rlimit { rlim_cur, rlim_max });
    let pointer = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both pointers are null or valid, and point to a struct of the type expected.
    let done = unsafe { libc::prlimit(pid, which, pointer, &raw mut before) };
    assert_eq!(done, 0, "prlimit: {}", std::io::Error::last_os_error());
    before
}

/// Limits how many files a running process may open from now on; None for what it may at most.
pub fn limit_open_files(pid: u32, wanted: Option<u64>) {
    let most = limit(pid, libc::RLIMIT_NOFILE, None).rlim_max;
    limit(
        pid,
        libc::RLIMIT_NOFILE,
        Some((wanted.unwrap_or(most), most)),
    );
}

/// Takes files from a running process for good: the hard limit is lowered, too.
pub fn take_open_files(pid: u32, wanted: u64) {
    limit(pid, libc::RLIMIT_NOFILE, Some((wanted, wanted)));
}

/// The memory of a process that it can write to, in bytes, used or not.
pub fn writable_memory(pid: u32) -> u64 {
    1024 * figure(pid, "status", "VmData").expect("/proc")
}

/// Limits that of a running process, in bytes; None for no limit. (Of its address space, the
/// allocator has some reserved that nothing is in.)
pub fn limit_writable_memory(pid: u32, wanted: Option<u64>) {
    let wanted = wanted.unwrap_or(libc::RLIM_INFINITY);
    limit(pid, libc::RLIMIT_DATA, Some((wanted, libc::RLIM_INFINITY)));
}

/// Resets a connection, however many descriptors it has.
#[allow(unsafe_code)]
pub fn reset(stream: &TcpStream) {
    let nowhere = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    let length = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: the address is valid and as long as is said; the descriptor is open.
    let done = unsafe { libc::connect(stream.as_raw_fd(), &raw const nowhere, length) };
    assert_eq!(done, 0, "connect: {}", std::io::Error::last_os_error());
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
pub fn wait_for<T>(what: &str, timeout: Duration, done: impl FnMut() -> Option<T>) -> T {
    poll(timeout, done).unwrap_or_else(|| panic!("waited {timeout:?} in vain until {what}"))
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
        figure(self.0, "status", "VmHWM").expect("/proc")
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
