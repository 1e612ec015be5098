//! Notifies the service manager, if there is one, of the server's state, as sd_notify(3) does: by a
//! datagram to the socket that `NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sys;

/// Sends a state such as `READY=1`; does nothing without a service manager. A failure is only logged.
pub fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        log::warn!("cannot notify the service manager of {state}: {error}");
    }
}

/// How often the progress of a start is checked.
const BEAT: Duration = Duration::from_millis(200);

/// Asks the service manager to wait longer.
const LONGER: &str = "EXTEND_TIMEOUT_USEC=30000000";

/// Processor time per beat above which the start is making progress; the check itself takes some.
const WORK: Duration = Duration::from_millis(2);

/// Beats that a start may take to end by itself when asked to. What cannot be interrupted (the
/// recovery of a large write-ahead log) is then abandoned, and begun again by the next start.
const PATIENCE: u32 = 20;

/// A thread that watches a long start: as long as the process computes, reads or writes, it asks the
/// service manager to wait. It does not for a start that hangs.
pub struct Starting {
    // Dropped first, which ends the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Starting {
    /// Watches until it is dropped. If `stop` becomes true and the start does not end within some
    /// seconds, the process exits with code 0: nothing has been promised to anybody yet.
    #[must_use]
    pub fn begin(stop: Arc<AtomicBool>) -> Starting {
        let (end, ended) = channel();
        let thread = std::thread::Builder::new()
            .name("starting".to_owned())
            .stack_size(64 << 10)
            .spawn(move || watch(&stop, &ended));
        // Without the thread a long start is merely not announced.
        Starting {
            end: Some(end),
            thread: thread.ok(),
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(stop: &AtomicBool, ended: &Receiver<()>) {
    let mut last = sys::work();
    let mut asked = 0;
    while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
        if stop.load(Ordering::Relaxed) {
            asked += 1;
            if asked > PATIENCE {
                log::info!("stopped during startup");
                std::process::exit(0);
            }
        }
        let now = sys::work();
        if now.computed > last.computed + WORK || now.blocks != last.blocks {
            tell(LONGER);
        }
        last = now;
    }
}

/// The abstract socket where the server of a database reports its health, named by the device and
/// inode of the database file, so that any path to it leads there.
pub(crate) fn health_name(database: &Path) -> io::Result<SocketAddr> {
    let data = std::fs::metadata(database)?;
    SocketAddr::from_abstract_name(format!("plausch-health-{}-{}", data.dev(), data.ino()))
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        // An abstract name, without a file.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receives(socket: &UnixDatagram, name: &OsStr) {
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        send(name, "READY=1").unwrap();
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
    }

    #[test]
    fn a_socket_is_told_by_its_path_or_its_abstract_name() {
        let name = format!("plausch-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let socket = UnixDatagram::bind(&path).unwrap();
        receives(&socket, path.as_os_str());
        std::fs::remove_file(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        receives(&socket, OsStr::new(&format!("@{name}")));
        drop(socket);
        assert!(send(OsStr::new(&format!("@{name}")), "READY=1").is_err());
    }
}
