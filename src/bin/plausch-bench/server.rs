//! The server that is measured: started, looked at and ended.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Doing, Failure, Result};
use crate::link::Way;
use crate::started::{self, Program};
use crate::wire::Wire;

pub const PASSWORD: &str = "passwort";

/// How long the server may take to listen. A large database is no reason to need long.
const START: Duration = Duration::from_secs(30);

/// It promises ten seconds.
const STOP: Duration = Duration::from_secs(15);

const LIMITS: &[&str] = &[
    "--media-quota",
    "--text-quota",
    "--login-delay",
    "--register-rate",
    "--rate",
];

pub struct Server {
    program: Program,
    address: SocketAddr,
    way: Way,
    database: PathBuf,
}

impl Server {
    pub fn start(program: &Path, database: &Path) -> Result<Server> {
        Server::start_with(program, database, &[])
    }

    pub fn start_with(program: &Path, database: &Path, options: &[String]) -> Result<Server> {
        let starting = format!("starting {}", program.display());
        // The cheapest hash: logins are set-up here, not what is measured.
        let mut command = Command::new(program);
        command
            .args(["--listen", "127.0.0.1:0", "--scrypt", "4,8,1"])
            .args(["--max-per-ip", "0", "--max-clients", "12000"])
            .args(started::limits_off(program.as_os_str(), LIMITS).doing(&starting)?)
            .args(options)
            .arg("--database")
            .arg(database);
        let program = Program::start(&mut command).doing(&starting)?;
        let tls = options.iter().any(|option| option == "--tls-listen");
        let address = program.listens(tls, START);
        let refused = |log| Failure::new(format!("the server does not listen:\n{log}"));
        Ok(Server {
            address: address.map_err(refused)?,
            program,
            database: database.to_owned(),
            way: Way::Plain,
        })
    }

    #[cfg(feature = "tls")]
    pub fn reach_by(&mut self, way: Way, address: Option<SocketAddr>) {
        self.way = way;
        self.address = address.unwrap_or(self.address);
    }

    #[cfg(feature = "tls")]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.program.id()
    }

    pub fn connect(&self) -> Result<Wire> {
        Wire::connect(&self.way, self.address)
    }

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

    pub fn stop(mut self) -> Result<()> {
        started::signal("TERM", self.pid())?;
        match self.program.wait(STOP)? {
            Some(_) => Ok(()),
            None => Err(Failure::new("the server does not end after SIGTERM")),
        }
    }
}
