//! The commands and options of `plauschctl`, as tables: parsing, `--help`, the manual page and the
//! completion come from them.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Failure, service};
use crate::auth::passwords::Cost;
use crate::options::{CommandLine, Invocation, OptionRow, UsageError, WIDTH, wrapped};
use tables::{COMMANDS, CommandRow, OPTIONS};

mod tables;

/// The name of the program.
pub(super) const PROGRAM: &str = "plauschctl";

const COMMAND_LINE: CommandLine<Call> = CommandLine {
    program: PROGRAM,
    sections: &[("Options", OPTIONS), ("", &OptionRow::HELP_AND_VERSION)],
    help,
};

/// Where the database is when neither an option, the environment nor the settings of the installed
/// service say so: that of `plauschd` started here, or else that of the service.
const DATABASES: [&str; 2] = ["plausch.db", "/var/lib/plausch/plausch.db"];

/// What one call is to do.
#[derive(Debug, Default)]
pub(crate) struct Call {
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

/// Reads the arguments, without the name of the program.
pub(super) fn parse(
    args: impl Iterator<Item = OsString>,
) -> Result<Invocation<(&'static CommandRow, Call)>, Failure> {
    let parsed = match COMMAND_LINE.parse(args)? {
        Invocation::Run(parsed) => parsed,
        Invocation::Print(text) => return Ok(Invocation::Print(text)),
    };
    let (command, arguments) = find(&parsed.free)?;
    if arguments.len() < command.arguments.len() {
        let synopsis = command.synopsis();
        let what = format!("an argument is missing: {PROGRAM} {synopsis}");
        return Err(UsageError::new(what).into());
    }
    if let Some(surplus) = arguments.get(command.arguments.len()) {
        // Not repeated: it may be a password.
        if command.words.starts_with("user") {
            let what = "too many arguments; a password is read from the terminal, standard input or \
                        --password-file";
            return Err(UsageError::new(what).into());
        }
        return Err(UsageError::unexpected(surplus).into());
    }
    let commands = COMMANDS.iter().map(|row| (row.words, row.options));
    parsed.check_command(command.words, commands)?;
    let arguments = arguments.to_vec();
    let mut call = parsed.choices;
    call.arguments = arguments;
    if call.database.is_none() {
        call.database = Some(usual_database()?);
    }
    Ok(Invocation::Run((command, call)))
}

/// The command that the free arguments begin with, and the rest of them.
fn find(free: &[String]) -> Result<(&'static CommandRow, &[String]), UsageError> {
    for command in COMMANDS {
        let count = command.words.split(' ').count();
        if free.len() >= count && free[..count].join(" ") == command.words {
            return Ok((command, &free[count..]));
        }
    }
    Err(UsageError::new(match free.first() {
        None => "a command is missing",
        Some(_) => "there is no such command",
    }))
}

/// The text of `--help`.
fn help() -> String {
    let mut text = format!(
        "Usage: {PROGRAM} [OPTION]... COMMAND [ARGUMENT]...\n\
         Maintains the database of a Plausch server, even while the server is running.\n\n\
         Commands:"
    );
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
    COMMAND_LINE.list_options(&mut text);
    text.push_str("\n\nExit codes: 0 success; 1 failure, or check found a fault; 2 usage error.");
    text
}

#[cfg(test)]
mod tests;
