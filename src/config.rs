//! The options of the server, as a table, and the configuration that comes of them.
//!
//! [`OPTIONS`] declares each option once; parsing, `--help` and the manual page come from it.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::passwords::Cost;
use crate::net::proxy::Network;
use crate::options;
use crate::options::{WIDTH, wrapped};
use row::Action;
pub use row::{Group, OptionRow, Own};
pub use table::OPTIONS;

mod row;
mod table;
mod values;

/// The name of the server program.
const PROGRAM: &str = "plauschd";

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

impl Config {
    /// Reads the arguments of the command line, without the name of the program.
    ///
    /// `--help` and `--version` win over whatever else is given, as long as all options exist.
    ///
    /// # Errors
    ///
    /// The first mistake; see [`UsageError`].
    pub fn from_args(args: impl Iterator<Item = OsString>) -> Result<Invocation, UsageError> {
        let args = options::words(args).map_err(UsageError::NotUtf8)?;
        let matches = options::parser(OPTIONS, OptionRow::is_repeatable)
            .parse(args)
            .map_err(UsageError::from_fail)?;
        let given = || OPTIONS.iter().filter(|row| matches.opt_present(row.long));
        for row in given() {
            match row.own.action {
                Action::Help => return Ok(Invocation::Print(help())),
                Action::Version => return Ok(Invocation::Print(version())),
                Action::Flag(_) | Action::One(_) | Action::Many { .. } => {}
                Action::Absent => return Err(UsageError::Absent(row)),
            }
        }
        if let Some(argument) = matches.free.first() {
            return Err(UsageError::Unexpected(argument.clone()));
        }
        let mut config = Config::default();
        for row in given() {
            row.apply(&mut config, matches.opt_strs(row.long))?;
        }
        if let Some(there) = given().find(|row| TOGETHER.contains(&row.long)) {
            let lacks =
                |row: &&OptionRow| TOGETHER.contains(&row.long) && !matches.opt_present(row.long);
            if let Some(lacking) = OPTIONS.iter().find(lacks) {
                return Err(UsageError::Alone(there, lacking));
            }
        }
        Ok(Invocation::Run(config))
    }
}

/// Options of which each needs the others.
const TOGETHER: [&str; 3] = ["tls-listen", "tls-cert", "tls-key"];

/// What the command line asks for: to run the server, mostly.
pub type Invocation = options::Invocation<Config>;

/// What is wrong with the command line: one line for stderr, without the program's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// There is no such option; its name as given, without its dashes.
    Unknown(String),
    /// An option lacks its value.
    Missing(&'static OptionRow),
    /// An option does not take this value.
    Invalid(&'static OptionRow, String),
    /// An option that may be given once was given again.
    Twice(&'static OptionRow),
    /// A flag was given a value.
    Superfluous(&'static OptionRow),
    /// An option that is of no use without another.
    Alone(&'static OptionRow, &'static OptionRow),
    /// An option for something that this build is without.
    Absent(&'static OptionRow),
    /// An argument that belongs to no option.
    Unexpected(String),
    /// An argument that is not UTF-8.
    NotUtf8(OsString),
}

impl UsageError {
    fn from_fail(fail: getopts::Fail) -> UsageError {
        use getopts::Fail;
        let (name, error): (String, fn(&'static OptionRow) -> UsageError) = match fail {
            Fail::ArgumentMissing(name) => (name, UsageError::Missing),
            Fail::OptionDuplicated(name) => (name, UsageError::Twice),
            Fail::UnexpectedArgument(name) => (name, UsageError::Superfluous),
            // No option of ours must be given.
            Fail::UnrecognizedOption(name) | Fail::OptionMissing(name) => {
                return UsageError::Unknown(name);
            }
        };
        match OPTIONS
            .iter()
            .find(|row| name == row.long || name == row.short)
        {
            Some(row) => error(row),
            None => UsageError::Unknown(name),
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are printed with escapes, so that the line stays one line.
        match self {
            UsageError::Unknown(name) => {
                write!(
                    f,
                    "there is no option {}; see --help",
                    options::dashed(name)
                )
            }
            UsageError::Missing(row) => {
                write!(
                    f,
                    "--{} takes {}, but has no value",
                    row.long, row.own.takes
                )
            }
            UsageError::Invalid(row, value) => {
                write!(f, "--{} takes {}, not {value:?}", row.long, row.own.takes)
            }
            UsageError::Twice(row) => write!(f, "--{} may be given only once", row.long),
            UsageError::Superfluous(row) => write!(f, "--{} takes no value", row.long),
            UsageError::Alone(row, lacking) => {
                write!(f, "--{} needs --{} too", row.long, lacking.long)
            }
            UsageError::Absent(row) => write!(f, "--{}: {NO_TLS}", row.long),
            UsageError::Unexpected(argument) => {
                write!(f, "unexpected argument {argument:?}; see --help")
            }
            UsageError::NotUtf8(argument) => write!(f, "argument {argument:?} is not UTF-8"),
        }
    }
}

impl std::error::Error for UsageError {}

/// What the options for TLS say where there is none.
const NO_TLS: &str = "this build has no TLS";

/// The text of `--help`, without a newline at its end.
#[must_use]
pub fn help() -> String {
    let column = options::column(OPTIONS);
    let about = concat!(env!("CARGO_PKG_DESCRIPTION"), ".");
    let mut text = format!("Usage: {PROGRAM} [OPTION]...");
    for line in wrapped(about, WIDTH) {
        text.push_str(&format!("\n{line}"));
    }
    for group in Group::ALL {
        text.push_str(&format!("\n\n{}:", group.heading()));
        for row in OPTIONS.iter().filter(|row| row.own.group == group) {
            options::entry(&mut text, &row.synopsis(), &row.description(), column);
        }
    }
    text
}

/// The text of `--version`, without a newline at its end.
#[must_use]
pub fn version() -> String {
    options::version(PROGRAM)
}

#[cfg(test)]
mod tests;
