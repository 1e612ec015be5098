//! The runner of `tests/transcripts/*.txt`, whose README.md says what they may hold.
//!
//! Here a file is parsed into steps, which `packets.rs` looks at too. `run` takes the steps one by
//! one; `text` turns what stands in a step into what goes over the wire.

mod run;
mod text;

use super::client::wants_tls;
use super::server::TestServer;
use run::Run;
use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
#[allow(unused_imports)] // Each test program takes what it needs.
pub use text::unescape;

/// When set, all transcripts run against that server (`host:port`) instead of one of their own.
const SHARED_SERVER: &str = "PLAUSCH_SERVER";

pub struct Transcript {
    name: String,
    /// Options of the server, from the line `options: …`.
    options: Vec<String>,
    /// The line `own server`: what it shows holds on a server without other users only.
    own_server: bool,
    pub steps: Vec<Step>,
}

/// What a step comes to: the reason if it fails.
type Outcome<T = ()> = Result<T, String>;

pub struct Step {
    /// For messages: the line of the file.
    line: usize,
    /// The connection; empty where the step is about none.
    who: String,
    pub action: Action,
}

pub enum Action {
    Connect,
    /// Ends the input and reads to the end.
    Close,
    /// Drops the connection as it is.
    Vanish,
    HalfClose,
    Eof,
    Silent,
    Restart,
    /// The first variable's value is greater than the second's.
    Greater(String, String),
    Differ(String, String),
    /// `>` and `>>`: the template, and whether it is escaped and without line end.
    Send {
        text: String,
        raw: bool,
    },
    /// `<=`: bytes, where no line comes.
    Bytes(String),
    /// `<`, `<<` and `~`.
    Expect(Expected),
    /// `< ...`: any lines, up to one that the next expectation takes.
    Skip,
}

pub struct Expected {
    pub text: String,
    raw: bool,
    /// `~`: neighbours of this kind come in any order.
    any_order: bool,
}

pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

/// The names of all transcripts, sorted.
pub fn names() -> Vec<String> {
    let entries = fs::read_dir(directory()).expect("tests/transcripts");
    let paths = entries.map(|entry| entry.expect("tests/transcripts").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|ext| ext == "txt"));
    let stems = texts.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = stems.collect();
    names.sort();
    names
}

pub fn load(name: &str) -> Transcript {
    let path = directory().join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    match Transcript::parse(name, &text) {
        Ok(transcript) => transcript,
        Err(reason) => panic!("tests/transcripts/{name}.txt:{reason}"),
    }
}

/// Runs a transcript on a server of its own, or on the one that `PLAUSCH_SERVER` names.
pub fn run(name: &str) {
    let transcript = load(name);
    let shared = std::env::var(SHARED_SERVER).ok();
    // What the variable names is a plain port.
    let Some(shared) = shared.filter(|_| !wants_tls()) else {
        let options: Vec<&str> = transcript.options.iter().map(String::as_str).collect();
        let server = TestServer::with(&options);
        Run::new(&transcript, server.addr(), String::new(), Some(server)).run();
        return;
    };
    if let Some(reason) = transcript.needs_own_server() {
        println!("{name}: not run against {SHARED_SERVER}={shared}: it has {reason}");
        return;
    }
    let mut addrs = shared.to_socket_addrs().unwrap_or_default();
    let addr = addrs.find(|addr| TcpStream::connect(addr).is_ok());
    let addr = addr.unwrap_or_else(|| panic!("{SHARED_SERVER}={shared}: nobody answers"));
    Run::new(&transcript, addr, unique_suffix(), None).run();
}

/// Keeps the names of one run apart from those of all others on a shared server.
fn unique_suffix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut number = now.expect("a clock after 1970").as_nanos() as u64;
    number ^= u64::from(std::process::id()).rotate_left(32);
    let digits = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut suffix = String::from("_");
    for _ in 0..7 {
        suffix.push(char::from(digits[(number % 36) as usize]));
        number /= 36;
    }
    suffix
}

impl Transcript {
    fn parse(name: &str, text: &str) -> Result<Transcript, String> {
        let mut transcript = Transcript {
            name: name.to_owned(),
            options: Vec::new(),
            own_server: false,
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(options) = line.strip_prefix("options:") {
                if !transcript.steps.is_empty() {
                    return Err(format!("{number}: options: stands before the first step"));
                }
                let words = options.split_ascii_whitespace().map(str::to_owned);
                transcript.options.extend(words);
            } else if line == "own server" {
                transcript.own_server = true;
            } else {
                let (who, action) =
                    parse_step(line).ok_or_else(|| format!("{number}: no such step: {line}"))?;
                transcript.steps.push(Step {
                    line: number,
                    who,
                    action,
                });
            }
        }
        Ok(transcript)
    }

    /// What keeps it from running on a server that others use.
    fn needs_own_server(&self) -> Option<&'static str> {
        let restarts = self
            .steps
            .iter()
            .any(|s| matches!(s.action, Action::Restart));
        match self {
            _ if self.own_server => Some("`own server`"),
            _ if !self.options.is_empty() => Some("server options"),
            _ if restarts => Some("a restart"),
            _ => None,
        }
    }
}

fn parse_step(line: &str) -> Option<(String, Action)> {
    if line == "restart" {
        return Some((String::new(), Action::Restart));
    }
    if let Some(comparison) = line.strip_prefix("check ") {
        let variable = |text: &str| Some(text.strip_prefix('$')?.to_owned());
        let action = match comparison.split(' ').collect::<Vec<_>>()[..] {
            [one, ">", other] => Action::Greater(variable(one)?, variable(other)?),
            [one, "!=", other] => Action::Differ(variable(one)?, variable(other)?),
            _ => return None,
        };
        return Some((String::new(), action));
    }
    let (who, rest) = line.split_once(' ')?;
    if !who.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let action = match rest {
        "connect" => Action::Connect,
        "close" => Action::Close,
        "vanish" => Action::Vanish,
        "half-close" => Action::HalfClose,
        "eof" => Action::Eof,
        "silent" => Action::Silent,
        "< ..." => Action::Skip,
        _ => {
            // `hans >` alone sends an empty line.
            let (sign, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let (text, raw) = (text.to_owned(), sign == ">>" || sign == "<<");
            let any_order = sign == "~";
            match sign {
                ">" | ">>" => Action::Send { text, raw },
                "<=" => Action::Bytes(text),
                "<" | "<<" | "~" => Action::Expect(Expected {
                    text,
                    raw,
                    any_order,
                }),
                _ => return None,
            }
        }
    };
    Some((who.to_owned(), action))
}
