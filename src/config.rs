//! The options of the server, as a table, and the configuration that comes of them.
//!
//! [`OPTIONS`] declares each option once; parsing, `--help` and the manual page come from it.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::ops::passwords::Cost;

/// The name of the server program.
const PROGRAM: &str = "plauschd";

/// The widest that a line of `--help` may be.
pub(crate) const WIDTH: usize = 80;

/// Everything that an operator can choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; at least one address.
    pub listen: Vec<SocketAddr>,
    /// Where to listen with TLS.
    pub tls_listen: Vec<SocketAddr>,
    /// The file of the server's certificates; there when `tls_listen` is not empty.
    pub tls_cert: Option<PathBuf>,
    /// The file of the private key; there when `tls_listen` is not empty.
    pub tls_key: Option<PathBuf>,
    /// Whether passwords are taken over TLS and from this machine only.
    pub require_tls: bool,
    /// The file of the database.
    pub database: PathBuf,
    /// Whether checkpoints of the write-ahead log are left to another program.
    pub leave_checkpoints: bool,
    /// Whether refusals carry a reason for people.
    pub explain: bool,
    /// The most connections at a time.
    pub max_clients: usize,
    /// The most connections at a time from one address; 0 for no limit.
    pub max_per_ip: usize,
    /// The largest Media, in bytes of UTF-8.
    pub max_media: usize,
    /// Media that one user may have in the database, in bytes; 0 for no limit.
    pub media_quota: u64,
    /// The size of the database beyond which nothing is added, in bytes; 0 for no limit.
    pub max_database: u64,
    /// Days after which messages that have arrived are removed; 0 for never.
    pub keep_days: u32,
    /// Days after which media are removed; 0 for as long as their messages.
    pub keep_media_days: u32,
    /// Whether accounts can be registered.
    pub registration_open: bool,
    /// The parameters of the password hash.
    pub cost: Cost,
    /// How long a connection may stay without a login.
    pub login_grace: Duration,
    /// The longest that the answer to a failed login is held back; zero for never.
    pub login_delay: Duration,
    /// Accounts that one address may register within an hour; 0 for any number.
    pub register_rate: u32,
    /// Contact requests of one user that may be open; 0 for any number.
    pub max_requests: u32,
    /// Messages a second of one connection; 0 for any number.
    pub rate: u32,
    /// Bytes that all long lines being received may take up together.
    pub max_inflight: usize,
    /// The number of database connections for reading.
    pub pool: u32,
    /// How long the database is looked through for damage at the start, at most; zero for not.
    pub check: Duration,
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
            leave_checkpoints: false,
            explain: false,
            max_clients: 4096,
            max_per_ip: 64,
            max_media: 8 << 20,
            media_quota: 256 << 20,
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
        let args = args
            .map(|arg| arg.into_string().map_err(UsageError::NotUtf8))
            .collect::<Result<Vec<_>, _>>()?;
        let matches = parser().parse(args).map_err(UsageError::from_fail)?;
        let given = || OPTIONS.iter().filter(|row| matches.opt_present(row.long));
        for row in given() {
            match row.action {
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

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, and it is soon taken apart"
)]
pub enum Invocation {
    /// To run the server.
    Run(Config),
    /// To print this, without a newline at its end, and to end.
    Print(String),
}

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
                let dashes = if name.chars().count() == 1 { "-" } else { "--" };
                let name = name.escape_debug();
                write!(f, "there is no option {dashes}{name}; see --help")
            }
            UsageError::Missing(row) => {
                write!(f, "--{} takes {}, but has no value", row.long, row.takes)
            }
            UsageError::Invalid(row, value) => {
                write!(f, "--{} takes {}, not {value:?}", row.long, row.takes)
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

/// The headings under which `--help` lists the options, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where and how to talk.
    Network,
    /// Where things are kept.
    Storage,
    /// Who may come in.
    Accounts,
    /// How much of everything.
    Limits,
    /// The rest.
    Other,
}

impl Group {
    /// All headings, in order.
    pub const ALL: [Group; 5] = [
        Group::Network,
        Group::Storage,
        Group::Accounts,
        Group::Limits,
        Group::Other,
    ];

    /// The heading itself.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Group::Network => "Network",
            Group::Storage => "Storage",
            Group::Accounts => "Accounts",
            Group::Limits => "Limits",
            Group::Other => "Other",
        }
    }
}

/// One option of the command line.
#[derive(Debug)]
pub struct OptionRow {
    /// The long name, without its dashes.
    pub long: &'static str,
    /// The short name, without its dash; empty when there is none.
    pub short: &'static str,
    /// What stands for the value in `--help`; empty for a flag.
    pub hint: &'static str,
    /// What an error message says that the option takes; empty for a flag.
    pub takes: &'static str,
    /// What holds without the option, as one would write it; empty for a flag.
    pub default: &'static str,
    /// The heading under which it stands.
    pub group: Group,
    /// What it does.
    pub help: &'static str,
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// Without a value.
    Flag(fn(&mut Config)),
    /// With a value, once. `None` refuses the value.
    One(fn(&mut Config, &str) -> Option<()>),
    /// With a value each time. The first replaces the default.
    Many {
        clear: fn(&mut Config),
        add: fn(&mut Config, &str) -> Option<()>,
    },
    /// Prints the help.
    Help,
    /// Prints the version.
    Version,
    /// This build is without what it is for.
    Absent,
}

/// The action of an option for TLS.
const fn tls(action: Action) -> Action {
    if cfg!(feature = "tls") {
        action
    } else {
        Action::Absent
    }
}

impl OptionRow {
    /// Whether the option may be given more than once.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        matches!(self.action, Action::Many { .. })
    }

    fn takes_value(&self) -> bool {
        !self.hint.is_empty()
    }

    fn apply(&'static self, config: &mut Config, values: Vec<String>) -> Result<(), UsageError> {
        let set = match self.action {
            Action::Flag(set) => {
                set(config);
                return Ok(());
            }
            Action::One(set) => set,
            Action::Many { clear, add } => {
                clear(config);
                add
            }
            Action::Help | Action::Version | Action::Absent => return Ok(()),
        };
        for value in values {
            if set(config, &value).is_none() {
                return Err(UsageError::Invalid(self, value));
            }
        }
        Ok(())
    }

    /// The names and the hint: `-l, --listen ADDR:PORT`.
    #[must_use]
    pub fn synopsis(&self) -> String {
        let short = match self.short {
            "" => "    ".to_owned(),
            short => format!("-{short}, "),
        };
        let hint = match self.hint {
            "" => String::new(),
            hint => format!(" {hint}"),
        };
        format!("{short}--{}{hint}", self.long)
    }

    /// What it does, what holds without it, and whether it can be repeated.
    #[must_use]
    pub fn description(&self) -> String {
        let mut remarks = Vec::new();
        if !self.default.is_empty() {
            remarks.push(format!("default {}", self.default));
        }
        if self.is_repeatable() {
            remarks.push("repeatable".to_owned());
        }
        if matches!(self.action, Action::Absent) {
            remarks.push(NO_TLS.to_owned());
        }
        match remarks.as_slice() {
            [] => self.help.to_owned(),
            remarks => format!("{} ({})", self.help, remarks.join("; ")),
        }
    }
}

/// Rows are the same when they are of the same option.
impl PartialEq for OptionRow {
    fn eq(&self, other: &OptionRow) -> bool {
        self.long == other.long
    }
}

impl Eq for OptionRow {}

/// All options of the server, in the order of `--help`.
pub static OPTIONS: &[OptionRow] = &[
    OptionRow {
        long: "listen",
        short: "l",
        hint: "ADDR:PORT",
        takes: "an address and a port, such as 127.0.0.1:4110, [::1]:4110 or localhost:4110",
        default: "127.0.0.1:4110",
        group: Group::Network,
        help: "listen there; IPv6 as [::1]:4110, everywhere as 0.0.0.0:4110 or [::]:4110, \
               port 0 for any free one",
        action: Action::Many {
            clear: |config| config.listen.clear(),
            add: |config, text| {
                let address = address(text)?;
                if !config.listen.contains(&address) || address.port() == 0 {
                    config.listen.push(address);
                }
                Some(())
            },
        },
    },
    OptionRow {
        long: "tls-listen",
        short: "",
        hint: "ADDR:PORT",
        takes: "an address and a port, such as 0.0.0.0:4111 or [::]:4111",
        default: "",
        group: Group::Network,
        help: "listen there too, with TLS; needs --tls-cert and --tls-key",
        action: tls(Action::Many {
            clear: |config| config.tls_listen.clear(),
            add: |config, text| {
                let address = address(text)?;
                if !config.tls_listen.contains(&address) || address.port() == 0 {
                    config.tls_listen.push(address);
                }
                Some(())
            },
        }),
    },
    OptionRow {
        long: "tls-cert",
        short: "",
        hint: "FILE",
        takes: "the name of a file",
        default: "",
        group: Group::Network,
        help: "the server's certificate and those between it and its CA, as PEM; SIGHUP has it \
               read again",
        action: tls(Action::One(|config, text| {
            config.tls_cert = Some(file(text)?);
            Some(())
        })),
    },
    OptionRow {
        long: "tls-key",
        short: "",
        hint: "FILE",
        takes: "the name of a file",
        default: "",
        group: Group::Network,
        help: "the certificate's private key, as PEM; SIGHUP has it read again",
        action: tls(Action::One(|config, text| {
            config.tls_key = Some(file(text)?);
            Some(())
        })),
    },
    OptionRow {
        long: "require-tls",
        short: "",
        hint: "",
        takes: "",
        default: "",
        group: Group::Network,
        help: "without TLS, refuse packets with a password unless they come from this machine",
        action: tls(Action::Flag(|config| config.require_tls = true)),
    },
    OptionRow {
        long: "explain",
        short: "",
        hint: "",
        takes: "",
        default: "",
        group: Group::Network,
        help: "say why a packet was refused, and answer help",
        action: Action::Flag(|config| config.explain = true),
    },
    OptionRow {
        long: "database",
        short: "d",
        hint: "FILE",
        takes: "the name of a file",
        default: "plausch.db",
        group: Group::Storage,
        help: "keep everything in this SQLite database; it is made when missing",
        action: Action::One(|config, text| {
            // SQLite takes the empty name for a temporary database.
            config.database = file(text)?;
            Some(())
        }),
    },
    OptionRow {
        long: "pool",
        short: "",
        hint: "N",
        takes: "a number from 1 to 64",
        default: "4",
        group: Group::Storage,
        help: "read with this many database connections",
        action: Action::One(|config, text| {
            config.pool = number(text, 1..=64)?;
            Some(())
        }),
    },
    OptionRow {
        long: "check",
        short: "",
        hint: "SECONDS",
        takes: "a number of seconds from 0 to 86400",
        default: "5",
        group: Group::Storage,
        help: "look through the database for damage before starting on it, for so long at most, \
               unless its file is as the last orderly end left it; 0 for not at all",
        action: Action::One(|config, text| {
            config.check = Duration::from_secs(number(text, 0..=86_400)?);
            Some(())
        }),
    },
    OptionRow {
        long: "leave-checkpoints",
        short: "",
        hint: "",
        takes: "",
        default: "",
        group: Group::Storage,
        help: "leave checkpoints of the write-ahead log to another program, such as Litestream; \
               without one the log grows for ever",
        action: Action::Flag(|config| config.leave_checkpoints = true),
    },
    OptionRow {
        long: "keep-days",
        short: "",
        hint: "N",
        takes: "a number of days from 0 to 36500",
        default: "0",
        group: Group::Storage,
        help: "remove messages that have arrived when they are older, 0 for never",
        action: Action::One(|config, text| {
            config.keep_days = number(text, 0..=36_500)?;
            Some(())
        }),
    },
    OptionRow {
        long: "keep-media-days",
        short: "",
        hint: "N",
        takes: "a number of days from 0 to 36500",
        default: "0",
        group: Group::Storage,
        help: "remove media when they are older, 0 for as long as their messages",
        action: Action::One(|config, text| {
            config.keep_media_days = number(text, 0..=36_500)?;
            Some(())
        }),
    },
    OptionRow {
        long: "registration",
        short: "",
        hint: "open|closed",
        takes: "open or closed",
        default: "open",
        group: Group::Accounts,
        help: "whether people can register by themselves",
        action: Action::One(|config, text| {
            config.registration_open = match text {
                "open" => true,
                "closed" => false,
                _ => return None,
            };
            Some(())
        }),
    },
    OptionRow {
        long: "scrypt",
        short: "",
        hint: "LOG_N,R,P",
        takes: "LOG_N,R,P of at most 256 MiB and some seconds a hash, such as 14,8,5",
        default: "14,8,5",
        group: Group::Accounts,
        help: "the cost of a password hash: 128*R*2^LOG_N bytes of memory, P times over",
        action: Action::One(|config, text| {
            config.cost = text.parse().ok()?;
            Some(())
        }),
    },
    OptionRow {
        long: "login-grace",
        short: "",
        hint: "SECONDS",
        takes: "a number of seconds from 1 to 3600",
        default: "60",
        group: Group::Accounts,
        help: "close a connection that has not logged in by then",
        action: Action::One(|config, text| {
            config.login_grace = Duration::from_secs(number(text, 1..=3600)?);
            Some(())
        }),
    },
    OptionRow {
        long: "login-delay",
        short: "",
        hint: "SECONDS",
        takes: "a number of seconds from 0 to 3600",
        default: "30",
        group: Group::Accounts,
        help: "hold answers to failed logins back, from half a second doubling up to this; \
               0 for none",
        action: Action::One(|config, text| {
            config.login_delay = Duration::from_secs(number(text, 0..=3600)?);
            Some(())
        }),
    },
    OptionRow {
        long: "register-rate",
        short: "",
        hint: "N",
        takes: "a number from 0 to 1000000",
        default: "20",
        group: Group::Accounts,
        help: "the most accounts that one address may register within an hour, 0 for no limit",
        action: Action::One(|config, text| {
            config.register_rate = number(text, 0..=1_000_000)?;
            Some(())
        }),
    },
    OptionRow {
        long: "max-requests",
        short: "",
        hint: "N",
        takes: "a number from 0 to 1000000",
        default: "100",
        group: Group::Accounts,
        help: "the most contact requests of one user without an answer, 0 for no limit",
        action: Action::One(|config, text| {
            config.max_requests = number(text, 0..=1_000_000)?;
            Some(())
        }),
    },
    OptionRow {
        long: "max-clients",
        short: "",
        hint: "N",
        takes: "a number from 1 to 1000000",
        default: "4096",
        group: Group::Limits,
        help: "the most connections at a time",
        action: Action::One(|config, text| {
            config.max_clients = number(text, 1..=1_000_000)?;
            Some(())
        }),
    },
    OptionRow {
        long: "max-per-ip",
        short: "",
        hint: "N",
        takes: "a number from 0 to 1000000",
        default: "64",
        group: Group::Limits,
        help: "the most connections at a time from one address, 0 for no limit",
        action: Action::One(|config, text| {
            config.max_per_ip = number(text, 0..=1_000_000)?;
            Some(())
        }),
    },
    OptionRow {
        long: "max-media",
        short: "",
        hint: "BYTES",
        takes: "a number of bytes from 1 to 512M, also with K, M or G",
        default: "8M",
        group: Group::Limits,
        help: "the largest media; K, M and G may follow the number",
        action: Action::One(|config, text| {
            config.max_media = usize::try_from(bytes(text, 1..=512 << 20)?).ok()?;
            Some(())
        }),
    },
    OptionRow {
        long: "media-quota",
        short: "",
        hint: "BYTES",
        takes: "a number of bytes from 0 to 1024G, also with K, M or G",
        default: "256M",
        group: Group::Limits,
        help: "how much media one user may have on the server, 0 for no limit",
        action: Action::One(|config, text| {
            config.media_quota = bytes(text, 0..=1 << 40)?;
            Some(())
        }),
    },
    OptionRow {
        long: "max-database",
        short: "",
        hint: "BYTES",
        takes: "a number of bytes from 0 to 1024G, also with K, M or G",
        default: "0",
        group: Group::Limits,
        help: "add nothing to a database of this size, 0 for no limit",
        action: Action::One(|config, text| {
            config.max_database = bytes(text, 0..=1 << 40)?;
            Some(())
        }),
    },
    OptionRow {
        long: "max-inflight",
        short: "",
        hint: "BYTES",
        takes: "a number of bytes from 64K to 2G, also with K, M or G",
        default: "64M",
        group: Group::Limits,
        help: "the most memory for all long lines being received at once; further ones wait",
        action: Action::One(|config, text| {
            config.max_inflight = usize::try_from(bytes(text, 64 << 10..=2 << 30)?).ok()?;
            Some(())
        }),
    },
    OptionRow {
        long: "rate",
        short: "",
        hint: "N",
        takes: "a number from 0 to 1000000",
        default: "1000",
        group: Group::Limits,
        help: "the messages a second of one connection, after a burst of ten times as many; \
               beyond that it is read more slowly; 0 for no limit",
        action: Action::One(|config, text| {
            config.rate = number(text, 0..=1_000_000)?;
            Some(())
        }),
    },
    OptionRow {
        long: "help",
        short: "h",
        hint: "",
        takes: "",
        default: "",
        group: Group::Other,
        help: "print this and exit",
        action: Action::Help,
    },
    OptionRow {
        long: "version",
        short: "V",
        hint: "",
        takes: "",
        default: "",
        group: Group::Other,
        help: "print the version and exit",
        action: Action::Version,
    },
];

/// The text of `--help`, without a newline at its end.
#[must_use]
pub fn help() -> String {
    let widest = OPTIONS
        .iter()
        .map(|row| row.synopsis().len())
        .max()
        .unwrap_or(0);
    // Two spaces before the names, two behind them.
    let column = widest + 4;
    let about = concat!(env!("CARGO_PKG_DESCRIPTION"), ".");
    let mut text = format!("Usage: {PROGRAM} [OPTION]...");
    for line in wrapped(about, WIDTH) {
        text.push_str(&format!("\n{line}"));
    }
    for group in Group::ALL {
        text.push_str(&format!("\n\n{}:", group.heading()));
        for row in OPTIONS.iter().filter(|row| row.group == group) {
            let mut left = format!("  {}", row.synopsis());
            for line in wrapped(&row.description(), WIDTH - column) {
                text.push_str(&format!("\n{left:column$}{line}"));
                left.clear();
            }
        }
    }
    text
}

/// The text of `--version`, without a newline at its end.
#[must_use]
pub fn version() -> String {
    format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"))
}

fn parser() -> getopts::Options {
    let mut parser = getopts::Options::new();
    for row in OPTIONS {
        // Without hint and help: we write our own.
        if row.is_repeatable() {
            parser.optmulti(row.short, row.long, "", "");
        } else if row.takes_value() {
            parser.optopt(row.short, row.long, "", "");
        } else {
            parser.optflag(row.short, row.long, "");
        }
    }
    parser
}

/// Breaks a text between words into lines of at most `width` ASCII characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Reads an address with its port. A host name stands for one of its addresses, of IPv4 if it
/// has one: `localhost` often has one of IPv6 as well, even where IPv6 is switched off and
/// listening there would fail.
fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = text.rsplit_once(':')?;
    // An IPv6 address without its brackets would be looked up, and slowly.
    if host.is_empty() || host.contains(':') {
        return None;
    }
    let found: Vec<SocketAddr> = (host, number(port, 0..=u16::MAX)?)
        .to_socket_addrs()
        .ok()?
        .collect();
    let preferred = found.iter().find(|address| address.is_ipv4());
    preferred.or(found.first()).copied()
}

/// Reads the name of a file.
fn file(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// Reads a number of decimal digits only: the standard parser would take a `+`.
pub(crate) fn number<T>(text: &str, range: RangeInclusive<T>) -> Option<T>
where
    T: std::str::FromStr + PartialOrd,
{
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| range.contains(number))
}

/// Reads a number of bytes, with K, M or G for the powers of 1024.
fn bytes(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(digits, 0..=u64::MAX)?
        .checked_mul(1 << shift)
        .filter(|bytes| range.contains(bytes))
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
