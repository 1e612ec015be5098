//! The line of figures that an operator asks for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Server;

/// What a server is doing, at one moment. Display is one line of `name=value`, for people and for
/// scripts; the unit is the end of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerMetrics {
    /// Since the start.
    pub(crate) uptime: Duration,
    /// Open connections, logged in or not.
    pub(crate) connections: usize,
    /// Users that are logged in.
    pub(crate) logged_in: usize,
    /// Messages kept since the start.
    pub(crate) messages: u64,
    /// Jobs that wait for the store now.
    pub(crate) queue: usize,
    /// Transactions since the start.
    pub(crate) commits: u64,
    /// How long half of them took at most, from BEGIN to the end of COMMIT; to an eighth.
    pub(crate) commit_p50: Duration,
    /// The same for 99 of 100.
    pub(crate) commit_p99: Duration,
    /// Memory of the process that is resident, in bytes; None when the system does not say.
    pub(crate) resident: Option<u64>,
    /// The database file, in bytes.
    pub(crate) database: u64,
    /// The write-ahead log beside it, in bytes.
    pub(crate) wal: u64,
}

impl ServerMetrics {
    pub(crate) fn of(server: &Server) -> ServerMetrics {
        let store = &server.context.store;
        let commits = store.figures().commits();
        let path = store.path();
        ServerMetrics {
            uptime: server.started.elapsed(),
            connections: server.registry.all().len(),
            logged_in: server.context.hub.len(),
            messages: store.figures().messages(),
            queue: store.queue_depth(),
            commits: commits.count(),
            commit_p50: commits.percentile(50),
            commit_p99: commits.percentile(99),
            resident: resident(),
            database: size(path),
            wal: size(&beside(path, "-wal")),
        }
    }
}

impl fmt::Display for ServerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
        write!(
            f,
            "figures: uptime_s={} connections={} logged_in={} messages={} queue={} commits={} \
             commit_p50_ms={:.3} commit_p99_ms={:.3} ",
            self.uptime.as_secs(),
            self.connections,
            self.logged_in,
            self.messages,
            self.queue,
            self.commits,
            milliseconds(self.commit_p50),
            milliseconds(self.commit_p99),
        )?;
        match self.resident {
            Some(bytes) => write!(f, "resident_bytes={bytes} ")?,
            None => write!(f, "resident_bytes=unknown ")?,
        }
        write!(f, "database_bytes={} wal_bytes={}", self.database, self.wal)
    }
}

/// A file that SQLite keeps beside the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A file's size; 0 when it is not there.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
}

/// `VmRSS` of /proc/self/status, which is in KiB whatever its unit is called.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}
