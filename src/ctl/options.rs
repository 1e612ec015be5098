//! The commands and options of `plauschctl`, as tables: parsing, `--help`, the manual page and the
//! completion come from them.

use std::ffi::OsString;

use super::Failure;
use super::call::{Call, PROGRAM};
use crate::options::layout::{WIDTH, wrapped};
use crate::options::{CommandLine, Invocation, OptionRow, UsageError};
use tables::{COMMANDS, CommandRow, OPTIONS};

mod tables;

const COMMAND_LINE: CommandLine<Call> = CommandLine {
    program: PROGRAM,
    sections: &[("Options", OPTIONS), ("", &OptionRow::HELP_AND_VERSION)],
    help,
};

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
    call.find_database()?;
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
