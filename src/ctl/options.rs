//! The commands and options of `plauschctl`, as tables: parsing, `--help`, the manual page and the
//! completion come from them.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Failure, service};
use crate::auth::passwords::Cost;
use crate::options;
use crate::options::{WIDTH, dashed, wrapped};

mod tables;

pub use tables::{COMMANDS, CommandRow, OPTIONS, OptionRow, Own};

/// The name of the program.
pub const PROGRAM: &str = "plauschctl";

/// Where the database is when neither an option, the environment nor the settings of the installed
/// service say so: that of `plauschd` started here, or else that of the service.
const DATABASES: [&str; 2] = ["plausch.db", "/var/lib/plausch/plausch.db"];

/// What one call is to do.
#[derive(Debug, Default)]
pub struct Call {
    database: Option<PathBuf>,
    pub(super) arguments: Vec<String>,
    pub(super) json: bool,
    pub(super) force: bool,
    pub(super) quiet: bool,
    pub(super) dry_run: bool,
    pub(super) days: Option<u32>,
    pub(super) media_days: Option<u32>,
    pub(super) email: Option<String>,
    pub(super) gender: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) cost: Cost,
    help: bool,
    version: bool,
}

impl Call {
    /// An argument of the command; the table says how many there are.
    pub(super) fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map_or("", String::as_str)
    }

    /// The database file.
    pub(super) fn database(&self) -> PathBuf {
        self.database
            .clone()
            .unwrap_or_else(|| PathBuf::from(DATABASES[0]))
    }
}

/// The database of a call that names none.
fn usual_database() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os(service::VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    // Named there, it is meant, whatever lies in the directory that an operator happens to be in.
    let named = service::database()
        .map_err(|error| Failure::Refused(format!("{}: {error}", service::SETTINGS)))?;
    let found = || {
        DATABASES
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())
    };
    Ok(named
        .or_else(found)
        .unwrap_or_else(|| PathBuf::from(DATABASES[0])))
}

/// Options that every command takes.
pub const EVERYWHERE: [&str; 3] = ["database", "help", "version"];

/// What a command line asks for: a command, mostly.
pub(super) type Invocation = options::Invocation<(&'static CommandRow, Call)>;

/// Reads the arguments, without the name of the program.
pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Invocation, Failure> {
    let args =
        options::words(args).map_err(|arg| usage(format!("argument {arg:?} is not UTF-8")))?;
    let matches = options::parser(OPTIONS, |_| false)
        .parse(args)
        .map_err(|fail| usage(explain(&fail)))?;
    let mut call = Call::default();
    let given = || OPTIONS.iter().filter(|row| matches.opt_present(row.long));
    for row in given() {
        let value = matches.opt_str(row.long).unwrap_or_default();
        (row.own.set)(&mut call, &value).ok_or_else(|| {
            usage(format!(
                "--{} takes {}, not {value:?}",
                row.long, row.own.takes
            ))
        })?;
    }
    if call.help {
        return Ok(Invocation::Print(help()));
    }
    if call.version {
        return Ok(Invocation::Print(options::version(PROGRAM)));
    }
    let (command, arguments) = find(&matches.free)?;
    if arguments.len() < command.arguments.len() {
        let synopsis = command.synopsis();
        return Err(usage(format!(
            "an argument is missing: {PROGRAM} {synopsis}"
        )));
    }
    if let Some(surplus) = arguments.get(command.arguments.len()) {
        // Not repeated: it may be a password.
        let what = if command.words.starts_with("user") {
            "an argument is too much; a password is asked for, or read from standard input"
                .to_owned()
        } else {
            format!("unexpected argument {surplus:?}")
        };
        return Err(usage(what));
    }
    call.arguments = arguments.to_vec();
    if call.database.is_none() {
        call.database = Some(usual_database()?);
    }
    for row in given() {
        if !EVERYWHERE.contains(&row.long) && !command.options.contains(&row.long) {
            return Err(usage(format!(
                "{} does not take --{}",
                command.words, row.long
            )));
        }
    }
    Ok(Invocation::Run((command, call)))
}

/// The command that the free arguments begin with, and the rest of them.
fn find(free: &[String]) -> Result<(&'static CommandRow, &[String]), Failure> {
    for command in COMMANDS {
        let count = command.words.split(' ').count();
        if free.len() >= count && free[..count].join(" ") == command.words {
            return Ok((command, &free[count..]));
        }
    }
    Err(usage(match free.first() {
        None => "a command is missing; see --help".to_owned(),
        Some(_) => "there is no such command; see --help".to_owned(),
    }))
}

fn explain(fail: &getopts::Fail) -> String {
    use getopts::Fail;
    match fail {
        Fail::ArgumentMissing(name) => format!("{} needs a value", dashed(name)),
        Fail::OptionDuplicated(name) => format!("{} may be given only once", dashed(name)),
        Fail::UnexpectedArgument(name) => format!("{} takes no value", dashed(name)),
        Fail::UnrecognizedOption(name) | Fail::OptionMissing(name) => {
            format!("there is no option {}; see --help", dashed(name))
        }
    }
}

fn usage(what: String) -> Failure {
    Failure::Usage(what)
}

/// The text of `--help`, without a newline at its end.
#[must_use]
pub fn help() -> String {
    let mut text = format!("Usage: {PROGRAM} [OPTION]... COMMAND [ARGUMENT]...");
    text.push_str("\nLooks after the database of a Plausch server, also while the server runs.");
    text.push_str("\n\nCommands:");
    for row in COMMANDS {
        let own = row.options.iter().map(|name| format!(" [--{name}]"));
        text.push_str(&format!(
            "\n  {}{}",
            row.synopsis(),
            own.collect::<String>()
        ));
        for line in wrapped(row.help, WIDTH - 8) {
            text.push_str(&format!("\n        {line}"));
        }
    }
    text.push_str("\n\nOptions:");
    let column = options::column(OPTIONS);
    for row in OPTIONS {
        options::entry(&mut text, &row.synopsis(), row.help, column);
    }
    text.push_str(
        "\n\nExit codes: 0 done; 1 not done, or check has found something; 2 a wrong call.",
    );
    text
}

#[cfg(test)]
mod tests;
