//! The configuration of the server, read from its command line.
//!
//! `table` declares each option once; `values` reads what they take.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::passwords::Cost;
use crate::net::proxy::Network;
use crate::options::layout::{WIDTH, wrapped};
use crate::options::{CommandLine, Invocation, UsageError};

mod table;
mod values;

/// Everything that an operator can choose.
///
/// The help of each option in `table` says what its field means. Where 0 is for no limit, for never
/// or for not at all, that holds of the field too. Only [`Config::from_args`] makes one: the defaults
/// are in the table too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// At least one address.
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) tls_listen: Vec<SocketAddr>,
    /// There, like `tls_key`, if `tls_listen` is not empty.
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) require_tls: bool,
    pub(crate) database: PathBuf,
    pub(crate) marker: Option<PathBuf>,
    pub(crate) leave_checkpoints: bool,
    pub(crate) proxy_from: Vec<Network>,
    pub(crate) explain: bool,
    pub(crate) max_clients: usize,
    pub(crate) max_per_ip: usize,
    /// In bytes of UTF-8.
    pub(crate) max_media: usize,
    pub(crate) media_quota: u64,
    pub(crate) text_quota: u64,
    pub(crate) max_database: u64,
    pub(crate) keep_days: u32,
    pub(crate) keep_media_days: u32,
    pub(crate) registration_open: bool,
    pub(crate) cost: Cost,
    pub(crate) login_grace: Duration,
    pub(crate) login_delay: Duration,
    pub(crate) register_rate: u32,
    pub(crate) max_requests: u32,
    pub(crate) rate: u32,
    pub(crate) max_inflight: usize,
    pub(crate) pool: u32,
    pub(crate) check: Duration,
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
