//! The server that is measured: started, looked at and ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::failure::{Doing, Failure, Result};
use crate::process;
use crate::wire::{Way, Wire};

/// The password of all users here.
pub const PASSWORD: &str = "passwort";

/// How long the server may take to listen. A large database is no reason to need long.
const START: Duration = Duration::from_secs(30);

/// It promises ten seconds.
const STOP: Duration = Duration::from_secs(15);

/// Lines of its log that are kept for a failure's message.
const LOG_LINES: usize = 20;

/// Limits that a bench's users would meet; switched off where the server has them, since an older
/// one may be measured too.
const LIMITS: &[&str] = &[
    "--media-quota",
    "--text-quota",
    "--login-delay",
    "--register-rate",
    "--rate",
];

type Log = Arc<Mutex<VecDeque<String>>>;

/// A running server.
pub struct Server {
    child: Child,
    address: SocketAddr,
    way: Way,
    database: PathBuf,
    log: Log,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts `program` on `database` and waits until it listens.
    pub fn start(program: &Path, database: &Path) -> Result<Server> {
        Server::start_with(program, database, &[])
    }

    /// The same with further options.
    pub fn start_with(program: &Path, database: &Path, options: &[String]) -> Result<Server> {
        // The cheapest hash: logins are set-up here, not what is measured.
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--scrypt", "4,8,1"])
            .args(["--max-per-ip", "0", "--max-clients", "12000"])
            .args(limits_off(program)?)
            .args(options)
            .arg("--database")
            .arg(database)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .doing(format_args!("starting {}", program.display()))?;
        let log = Log::default();
        let (told, address) = channel();
        let reader = child.stderr.take().map(|stderr| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || read_log(stderr, &log, &told))
        });
        let mut server = Server {
            child,
            address: SocketAddr::from(([0; 4], 0)),
            database: database.to_owned(),
            log,
            reader,
            way: Way::Plain,
        };
        server.address = server.listening(&address)?;
        if options.iter().any(|option| option == "--tls-listen") {
            // The plain one comes first.
            server.address = server.listening(&address)?;
        }
        Ok(server)
    }

    /// Has it reached in another way, at another address if there is one.
    #[cfg(feature = "tls")]
    pub fn reach_by(&mut self, way: Way, address: Option<SocketAddr>) {
        self.way = way;
        self.address = address.unwrap_or(self.address);
    }

    fn listening(&self, address: &Receiver<SocketAddr>) -> Result<SocketAddr> {
        address.recv_timeout(START).map_err(|_| {
            let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            let log: Vec<&str> = log.iter().map(String::as_str).collect();
            Failure::new(format!("the server does not listen:\n{}", log.join("\n")))
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to it.
    pub fn connect(&self) -> Result<Wire> {
        Wire::connect_by(&self.way, self.address)
    }

    /// A connection on which `user` has logged in.
    pub fn login(&self, user: &str) -> Result<Wire> {
        let mut wire = self.connect()?;
        wire.send(format!("110 {user} {PASSWORD}\n").as_bytes())?;
        wire.receive("212 400")
            .doing(format_args!("logging {user} in"))?;
        Ok(wire)
    }

    /// How many transactions the database has seen, as the shared index of its write-ahead log
    /// counts them (`iChange` in SQLite's walformat.html); None when that cannot be read.
    pub fn commits(&self) -> Option<u32> {
        let mut path = self.database.as_os_str().to_owned();
        path.push("-shm");
        let mut number = [0; 4];
        File::open(path).ok()?.read_exact_at(&mut number, 8).ok()?;
        Some(u32::from_ne_bytes(number))
    }

    /// Ends it in order.
    pub fn stop(mut self) -> Result<()> {
        process::signal(self.pid(), "TERM")?;
        if process::wait(&mut self.child, STOP)? {
            return Ok(());
        }
        Err(Failure::new("the server does not end after SIGTERM"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Does nothing when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The options that switch limits off, as far as `--help` names them.
fn limits_off(program: &Path) -> Result<Vec<&'static str>> {
    let help = Command::new(program)
        .arg("--help")
        .output()
        .doing(format_args!("starting {}", program.display()))?;
    let help = String::from_utf8_lossy(&help.stdout);
    let known = |name: &&&str| help.split_ascii_whitespace().any(|word| word == **name);
    let known = LIMITS.iter().filter(known);
    Ok(known.flat_map(|name| [*name, "0"]).collect())
}

/// Reads the log to its end, so that the server never waits for a full pipe.
fn read_log(stderr: ChildStderr, log: &Log, told: &Sender<SocketAddr>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { return };
        if let Some((_, address)) = line.split_once("listening on ")
            && let Some(Ok(address)) = address.split(' ').next().map(|word| word.trim().parse())
        {
            // The receiver takes the first ones and goes.
            let _ = told.send(address);
        }
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }
}
