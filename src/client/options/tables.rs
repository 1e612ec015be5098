//! The options, forms, variables and exit codes, each declared once.

use std::process::ExitCode;

use crate::options;

/// One option of the command line.
pub type OptionRow = options::OptionRow<Own>;

/// What is told of an option beside its names and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The word that it needs, as `send`; None where it goes with more than one.
    pub only: Option<&'static str>,
}

/// One way to call the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormRow {
    /// The arguments, without the program's name.
    pub synopsis: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// A word that stands for something, with its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableRow {
    /// The name of the environment variable.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// An exit code, with its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRow {
    /// The code.
    pub exit: Exit,
    /// When the program ends with it.
    pub help: &'static str,
}

/// Of an option that is not for one word alone.
const EVERY: Own = Own { only: None };

/// Of an option that is for `word` alone.
const fn only(word: &'static str) -> Own {
    Own { only: Some(word) }
}

/// All options, in the order of `--help`.
pub static OPTIONS: &[OptionRow] = &[
    OptionRow {
        long: "user",
        short: "u",
        hint: "NAME",
        help: "log in as NAME; asked for when missing",
        own: EVERY,
    },
    OptionRow {
        long: "password-file",
        short: "",
        hint: "FILE",
        help: "take the password from the first line of this file, which nobody else should be \
               able to read",
        own: EVERY,
    },
    OptionRow {
        long: "server",
        short: "s",
        hint: "HOST[:PORT]",
        help: "the server, as the argument HOST[:PORT] does (default 127.0.0.1, port 4110, or \
               4111 with --tls; an IPv6 address with a port is [::1]:4110)",
        own: EVERY,
    },
    OptionRow {
        long: "tls",
        short: "",
        hint: "",
        help: if cfg!(feature = "tls") {
            "speak TLS; the server's certificate has to be valid and for HOST"
        } else {
            "speak TLS (this build has no TLS)"
        },
        own: EVERY,
    },
    OptionRow {
        long: "ca",
        short: "",
        hint: "FILE",
        help: "with --tls: trust the certificates in this file (PEM) and no others; without it, \
               those that the system trusts",
        own: EVERY,
    },
    OptionRow {
        long: "raw",
        short: "",
        hint: "",
        help: "show each packet as it is sent (>) and received (<), without passwords and with \
               long ones cut",
        own: EVERY,
    },
    OptionRow {
        long: "no-fetch",
        short: "",
        hint: "",
        help: "do not fetch media by oneself as they arrive: saves a slow network, but type and \
               size are unknown then",
        own: EVERY,
    },
    OptionRow {
        long: "to",
        short: "",
        hint: "NAME",
        help: "send: to whom",
        own: only("send"),
    },
    OptionRow {
        long: "file",
        short: "",
        hint: "FILE",
        help: "send: with this file as media; TEXT may be left out then",
        own: only("send"),
    },
    OptionRow {
        long: "json",
        short: "",
        hint: "",
        help: "tail: one JSON object a line",
        own: only("tail"),
    },
    OptionRow {
        long: "count",
        short: "",
        hint: "N",
        help: "tail: end after N messages",
        own: only("tail"),
    },
    OptionRow {
        long: "timeout",
        short: "",
        hint: "SECONDS",
        help: "send, fetch: give up then (default 30); tail: end then with exit code 6",
        own: EVERY,
    },
    OptionRow {
        long: "help",
        short: "h",
        hint: "",
        help: "print this and exit",
        own: EVERY,
    },
    OptionRow {
        long: "version",
        short: "V",
        hint: "",
        help: "print the version and exit",
        own: EVERY,
    },
];

/// All ways to call the program, in the order of `--help`.
pub static FORMS: &[FormRow] = &[
    FormRow {
        synopsis: "[OPTION]... [HOST[:PORT]]",
        help: "chat; /help lists what can be typed",
    },
    FormRow {
        synopsis: "send [OPTION]... --to NAME TEXT|-",
        help: "send one message (- reads it from standard input) and end when it is acknowledged",
    },
    FormRow {
        synopsis: "tail [OPTION]...",
        help: "print messages as they arrive, those that waited first",
    },
    FormRow {
        synopsis: "fetch [OPTION]... ID FILE",
        help: "save the media with this number (- writes it to standard output)",
    },
];

/// The environment variables, in the order of `--help`.
pub static VARIABLES: &[VariableRow] = &[
    VariableRow {
        name: "PLAUSCH_PASSWORD",
        help: "the password; asked for without echo when missing",
    },
    VariableRow {
        name: "PLAUSCH_USER",
        help: "the name, when --user is missing",
    },
    VariableRow {
        name: "PLAUSCH_SERVER",
        help: "the server, when it is not named otherwise",
    },
    VariableRow {
        name: "NO_COLOR",
        help: "no colours, when set and not empty",
    },
];

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Done = 0,
    /// Something on this side failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No connection.
    Unreachable = 3,
    /// No login.
    Login = 4,
    /// The server refused.
    Refused = 5,
    /// The time was up.
    TimedOut = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// All exit codes, in order.
pub static EXITS: &[ExitRow] = &[
    ExitRow {
        exit: Exit::Done,
        help: "done; of send: the message is on the server's disk",
    },
    ExitRow {
        exit: Exit::Failed,
        help: "a file could not be read or written, or the terminal failed",
    },
    ExitRow {
        exit: Exit::Usage,
        help: "the command line is wrong, or a line from a pipe",
    },
    ExitRow {
        exit: Exit::Unreachable,
        help: "the server cannot be reached, or was lost and not found again; what is said to be \
               unsent was not sent, as far as the server could be asked",
    },
    ExitRow {
        exit: Exit::Login,
        help: "the login was refused: wrong name or password, or logged in elsewhere",
    },
    ExitRow {
        exit: Exit::Refused,
        help: "the server refused: no such user, no contact, no such media, or a limit",
    },
    ExitRow {
        exit: Exit::TimedOut,
        help: "the time of --timeout was up",
    },
];
