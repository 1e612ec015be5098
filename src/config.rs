//! The configuration of the server, read from its command line.
//!
//! `table` declares each option once; `values` reads what they take.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::passwords::Cost;
use crate::net::proxy::Network;
use crate::options::{CommandLine, Invocation, UsageError, WIDTH, wrapped};

mod table;
mod values;

/// Everything that an operator can choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; at least one address.
    pub(crate) listen: Vec<SocketAddr>,
    /// Where to listen with TLS.
    pub(crate) tls_listen: Vec<SocketAddr>,
    /// The file of the server's certificates; there when `tls_listen` is not empty.
    pub(crate) tls_cert: Option<PathBuf>,
    /// The file of the private key; there when `tls_listen` is not empty.
    pub(crate) tls_key: Option<PathBuf>,
    /// Whether passwords are taken over TLS and from this machine only.
    pub(crate) require_tls: bool,
    /// The file of the database.
    pub(crate) database: PathBuf,
    /// The file that says that there is a database already; none is made beside it.
    pub(crate) marker: Option<PathBuf>,
    /// Whether checkpoints of the write-ahead log are left to another program.
    pub(crate) leave_checkpoints: bool,
    /// Where proxies are, whose connections begin with a PROXY header.
    pub(crate) proxy_from: Vec<Network>,
    /// Whether refusals carry a reason for people.
    pub(crate) explain: bool,
    /// The most connections at a time.
    pub(crate) max_clients: usize,
    /// The most connections at a time from one address; 0 for no limit.
    pub(crate) max_per_ip: usize,
    /// The largest Media, in bytes of UTF-8.
    pub(crate) max_media: usize,
    /// Media that one user may have in the database, in bytes; 0 for no limit.
    pub(crate) media_quota: u64,
    /// Text of one user that may wait to be received, in bytes; 0 for no limit.
    pub(crate) text_quota: u64,
    /// The size of the database beyond which nothing is added, in bytes; 0 for no limit.
    pub(crate) max_database: u64,
    /// Days after which messages that have arrived are removed; 0 for never.
    pub(crate) keep_days: u32,
    /// Days after which media are removed; 0 for as long as their messages.
    pub(crate) keep_media_days: u32,
    /// Whether accounts can be registered.
    pub(crate) registration_open: bool,
    /// The parameters of the password hash.
    pub(crate) cost: Cost,
    /// How long a connection may stay without a login.
    pub(crate) login_grace: Duration,
    /// The longest that the answer to a failed login is held back; zero for never.
    pub(crate) login_delay: Duration,
    /// Accounts that one address may register within an hour; 0 for any number.
    pub(crate) register_rate: u32,
    /// Contact requests of one user that may be open; 0 for any number.
    pub(crate) max_requests: u32,
    /// Messages a second of one connection; 0 for any number.
    pub(crate) rate: u32,
    /// Bytes that all long lines being received may take up together.
    pub(crate) max_inflight: usize,
    /// The number of database connections for reading.
    pub(crate) pool: u32,
    /// How long the database is looked through for damage at the start, at most; zero for not.
    pub(crate) check: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 4110))],
            tls_listen: Vec::new(),
            tls_cert: None,
            tls_key: None,
            require_tls: false,
            database: PathBuf::from("plausch.db"),
            marker: None,
            leave_checkpoints: false,
            proxy_from: Vec::new(),
            explain: false,
            max_clients: 4096,
            max_per_ip: 64,
            max_media: 8 << 20,
            media_quota: 256 << 20,
            text_quota: 64 << 20,
            max_database: 0,
            keep_days: 0,
            keep_media_days: 0,
            registration_open: true,
            cost: Cost::default(),
            login_grace: Duration::from_secs(60),
            login_delay: Duration::from_secs(30),
            register_rate: 20,
            max_requests: 100,
            rate: 1000,
            max_inflight: 64 << 20,
            pool: 4,
            check: Duration::from_secs(5),
        }
    }
}

/// Options of which each needs the others.
const TOGETHER: [&str; 3] = ["tls-listen", "tls-cert", "tls-key"];

const COMMAND_LINE: CommandLine<Config> = CommandLine {
    program: "plauschd",
    sections: table::OPTIONS,
    help,
};

impl Config {
    /// Reads the arguments of the command line, without the name of the program.
    ///
    /// # Errors
    ///
    /// The first mistake.
    pub fn from_args(
        args: impl Iterator<Item = OsString>,
    ) -> Result<Invocation<Config>, UsageError> {
        let parsed = match COMMAND_LINE.parse(args)? {
            Invocation::Run(parsed) => parsed,
            Invocation::Print(text) => return Ok(Invocation::Print(text)),
        };
        if let Some(argument) = parsed.free.first() {
            return Err(UsageError::unexpected(argument));
        }
        let is_given = |long: &&str| parsed.given.contains(long);
        if let Some(given) = TOGETHER.iter().find(|long| is_given(long))
            && let Some(missing) = TOGETHER.iter().find(|long| !is_given(long))
        {
            return Err(UsageError::new(format!("--{given} needs --{missing} too")));
        }
        Ok(Invocation::Run(parsed.choices))
    }
}

/// The text of `--help`.
fn help() -> String {
    let mut text = format!("Usage: {} [OPTION]...", COMMAND_LINE.program);
    for line in wrapped(concat!(env!("CARGO_PKG_DESCRIPTION"), "."), WIDTH) {
        text.push_str(&format!("\n{line}"));
    }
    COMMAND_LINE.list_options(&mut text);
    text
}

#[cfg(test)]
mod tests;
