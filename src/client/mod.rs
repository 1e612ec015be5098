//! The terminal client `plausch`, for people and for scripts.
//!
//! The way of a packet, which is also the order to read in:
//!
//! - `link`: the stream to the server; the one place that knows that it is TCP. `dial` finds out
//!   which of the server's addresses answers.
//! - `connection`: a link with its two threads, bytes ↔ lines.
//! - `answers`: which reply answers which request, and which are pushes.
//! - `outbox`: what was typed and is not acknowledged yet; nothing of it is lost or doubled.
//! - `engine`: what the client knows and does, whoever looks on. `roster` is what it knows of others.
//! - `command`: what can be typed, as a table.
//! - `show`: what becomes of it on a screen; `sanitize` makes foreign text safe for one.
//! - `media`: files ↔ `data:` URIs.
//! - `terminal` and `script`: the two who look on; `screen` is between the first and the engine.
//! - `options`: the command line and the exit codes, as tables.

mod answers;
mod command;
mod connection;
mod dial;
mod engine;
mod link;
mod media;
mod options;
mod outbox;
mod roster;
mod screen;
mod script;
mod show;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::options::Invocation;
use options::{Exit, Mode};

/// The whole program: reads the command line, does what it says, and gives the exit code.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let settings = match options::parse(args) {
        Ok(Invocation::Print(text)) => {
            script::print_line(&text);
            return Exit::Done.into();
        }
        Ok(Invocation::Run(settings)) => settings,
        Err(error) => {
            eprintln!("{}: {error}", options::PROGRAM);
            return Exit::Usage.into();
        }
    };
    let exit = match settings.mode {
        Mode::Chat => terminal::run(settings),
        Mode::Send { .. } | Mode::Tail { .. } | Mode::Fetch { .. } => script::run(settings),
    };
    exit.into()
}
