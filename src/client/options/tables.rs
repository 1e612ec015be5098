//! The options, forms, variables and exit codes, each declared once.

use std::process::ExitCode;
use std::time::Duration;

use super::Choices;
use crate::options::{OptionRow, UsageError, file, number, put};

type ClientRow = OptionRow<Choices>;

const FILE: &str = "the name of a file";
const COUNT: &str = "a number from 1 on";

/// All options, in the order of `--help`; then come `--help` and `--version`.
pub(super) const OPTIONS: &[ClientRow] = &[
    ClientRow::new("user")
        .help("log in as NAME; prompt for it if missing")
        .takes("NAME", "a name", |c, text| put(&mut c.user, word(text)))
        .short("u"),
    ClientRow::new("password-file")
        .help(
            "read the password from the first line of this file, which only its owner should be \
             able to read",
        )
        .takes("FILE", FILE, |c, text| {
            put(&mut c.password_file, file(text))
        }),
    ClientRow::new("server")
        .help(
            "the server, like the argument HOST[:PORT] (default 127.0.0.1; port 4110, or 4111 \
             with --tls; write an IPv6 address with a port as [::1]:4110)",
        )
        .takes("HOST[:PORT]", "HOST[:PORT]", |c, text| {
            put(&mut c.server, word(text))
        })
        .short("s"),
    ClientRow::new("tls")
        .help("connect with TLS; the server's certificate must be valid for HOST")
        .sets(|c| c.tls = true)
        .for_tls(),
    ClientRow::new("ca")
        .help(
            "with --tls: trust only the certificates in this file (PEM), instead of those that \
             the system trusts",
        )
        .takes("FILE", FILE, |c, text| put(&mut c.ca, file(text)))
        .for_tls(),
    ClientRow::new("raw")
        .help(
            "show each packet sent (>) and received (<), without passwords and with long ones \
             truncated",
        )
        .sets(|c| c.raw = true),
    ClientRow::new("no-fetch")
        .help(
            "do not fetch media automatically as they arrive: saves bandwidth, but their type \
             and size stay unknown",
        )
        .sets(|c| c.no_fetch = true),
    ClientRow::new("to")
        .help("send: the recipient")
        .takes("NAME", "a name", |c, text| put(&mut c.to, word(text))),
    ClientRow::new("file")
        .help("send: send this file as media; TEXT is then optional")
        .takes("FILE", FILE, |c, text| put(&mut c.file, file(text))),
    ClientRow::new("json")
        .help("tail: print one JSON object per line")
        .sets(|c| c.json = true),
    ClientRow::new("count")
        .help("tail: exit after N messages")
        .takes("N", COUNT, |c, text| {
            put(&mut c.count, number(text, 1..=u64::MAX).map(Some))
        }),
    ClientRow::new("timeout")
        .help("send, fetch: give up after this long (default 30); tail: exit then, with code 6")
        .takes("SECONDS", COUNT, |c, text| {
            let seconds = number(text, 1..=u64::MAX)?;
            c.timeout = Some(Duration::from_secs(seconds));
            Some(())
        }),
];

fn word(text: &str) -> Option<Option<String>> {
    Some(Some(text.to_owned()))
}

pub(super) struct FormRow {
    /// The first argument; empty for the chat.
    pub(super) word: &'static str,
    /// The arguments, without the program's name.
    pub(super) synopsis: &'static str,
    /// The options that not every form takes.
    pub(super) options: &'static [&'static str],
    pub(super) help: &'static str,
}

/// All ways to call the program, in the order of `--help`.
pub(super) const FORMS: &[FormRow] = &[
    FormRow {
        word: "",
        synopsis: "[OPTION]... [HOST[:PORT]]",
        options: &[],
        help: "chat; /help lists the commands",
    },
    FormRow {
        word: "send",
        synopsis: "send [OPTION]... --to NAME TEXT|-",
        options: &["to", "file", "timeout"],
        help: "send one message (- reads it from standard input); exit once it is acknowledged",
    },
    FormRow {
        word: "tail",
        synopsis: "tail [OPTION]...",
        options: &["json", "count", "timeout"],
        help: "print messages as they arrive, beginning with those that were waiting",
    },
    FormRow {
        word: "fetch",
        synopsis: "fetch [OPTION]... ID FILE",
        options: &["timeout"],
        help: "save media by ID (- writes to standard output)",
    },
];

pub(super) const VARIABLES: &[(&str, &str)] = &[
    (
        "PLAUSCH_PASSWORD",
        "the password; prompted for, without echo, if missing",
    ),
    ("PLAUSCH_USER", "the name, if --user is missing"),
    (
        "PLAUSCH_SERVER",
        "the server, if the command line names none",
    ),
    ("NO_COLOR", "no colours, if set and not empty"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    /// Something on this side failed.
    Failed = 1,
    /// The command line, or a line from a pipe, is wrong.
    Usage = UsageError::EXIT,
    Unreachable = 3,
    Login = 4,
    Refused = 5,
    TimedOut = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// All exit codes, in order, and what `--help` says of them.
pub(super) const EXITS: &[(Exit, &str)] = &[
    (
        Exit::Done,
        "success; for send, the message is on the server's disk",
    ),
    (
        Exit::Failed,
        "a file could not be read or written, or the terminal failed",
    ),
    (Exit::Usage, "usage error, or an invalid line from a pipe"),
    (
        Exit::Unreachable,
        "the server cannot be reached, or the connection was lost and not restored; messages \
         reported as unsent were not sent, as far as the server could be asked",
    ),
    (
        Exit::Login,
        "login refused: wrong name or password, or logged in elsewhere",
    ),
    (
        Exit::Refused,
        "the server refused: no such user, not a contact, no such media, or a limit",
    ),
    (Exit::TimedOut, "the time of --timeout is up"),
];
