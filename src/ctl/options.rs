//! The commands and options of `plauschctl`, as tables: parsing, `--help`, the manual page and the
//! completion come from them.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Failure, Outcome, accounts, figures, files, prune};
use crate::config::{WIDTH, number, wrapped};
use crate::ops::passwords::Cost;

/// The name of the program.
pub const PROGRAM: &str = "plauschctl";

/// Where the database is when nothing says so: that of `plauschd` started here, or else that of
/// the installed service.
const DATABASES: [&str; 2] = ["plausch.db", "/var/lib/plausch/plausch.db"];

/// The longest age that can be given, in days: about a hundred years.
const DAYS_MAX: u32 = 36_500;

/// One command.
pub struct CommandRow {
    /// Its words, as `user list`.
    pub words: &'static str,
    /// What stands for its arguments in `--help`; all of them must be given.
    pub arguments: &'static [&'static str],
    /// Its own options, by their long names.
    pub options: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
    pub(super) run: fn(&Call) -> Outcome,
}

impl CommandRow {
    /// The words and what follows them: `user rename OLD NEW`.
    #[must_use]
    pub fn synopsis(&self) -> String {
        let mut text = self.words.to_owned();
        for argument in self.arguments {
            text.push(' ');
            text.push_str(argument);
        }
        text
    }
}

/// One option.
pub struct OptionRow {
    /// The long name, without its dashes.
    pub long: &'static str,
    /// The short name, without its dash; empty when there is none.
    pub short: &'static str,
    /// What stands for the value in `--help`; empty for a flag.
    pub hint: &'static str,
    /// What an error message says that the option takes; empty for a flag.
    pub takes: &'static str,
    /// What it does.
    pub help: &'static str,
    set: fn(&mut Call, &str) -> Option<()>,
}

impl OptionRow {
    /// The names and the hint: `-d, --database FILE`.
    #[must_use]
    pub fn synopsis(&self) -> String {
        let short = match self.short {
            "" => "    ".to_owned(),
            short => format!("-{short}, "),
        };
        let space = if self.hint.is_empty() { "" } else { " " };
        format!("{short}--{}{space}{}", self.long, self.hint)
    }
}

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
        if let Some(path) = &self.database {
            return path.clone();
        }
        let found = DATABASES
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists());
        found.unwrap_or_else(|| PathBuf::from(DATABASES[0]))
    }
}

/// All commands, in the order of `--help`.
pub static COMMANDS: &[CommandRow] = &[
    CommandRow {
        words: "user list",
        arguments: &[],
        options: &["json"],
        help: "all accounts: id, when registered (UTC), name",
        run: accounts::list,
    },
    CommandRow {
        words: "user show",
        arguments: &["NAME"],
        options: &["json"],
        help: "what there is to say of one account",
        run: accounts::show,
    },
    CommandRow {
        words: "user add",
        arguments: &["NAME"],
        options: &["email", "gender", "scrypt"],
        help: "make an account; the password is asked for, or read from standard input",
        run: accounts::add,
    },
    CommandRow {
        words: "user passwd",
        arguments: &["NAME"],
        options: &["scrypt"],
        help: "give an account another password and end its login; the password is asked for, or \
               read from standard input",
        run: accounts::passwd,
    },
    CommandRow {
        words: "user rename",
        arguments: &["OLD", "NEW"],
        options: &[],
        help: "give an account another name and end its login; contacts, chats and messages stay",
        run: accounts::rename,
    },
    CommandRow {
        words: "user kick",
        arguments: &["NAME"],
        options: &[],
        help: "end the login of an account, which may log in again",
        run: accounts::kick,
    },
    CommandRow {
        words: "user delete",
        arguments: &["NAME"],
        options: &["force"],
        help: "delete an account for good and end its login, as its owner could; asks before",
        run: accounts::delete,
    },
    CommandRow {
        words: "stats",
        arguments: &[],
        options: &["json"],
        help: "how many users, chats, messages and media there are, and what they take up",
        run: figures::stats,
    },
    CommandRow {
        words: "backup",
        arguments: &["FILE"],
        options: &["force", "quiet"],
        help: "copy the database, as it is at this moment, to a file of mode 0600; a server goes on",
        run: files::backup,
    },
    CommandRow {
        words: "restore",
        arguments: &["FILE"],
        options: &["force", "quiet"],
        help: "check a copy and make it the database; refused while a server uses that",
        run: files::restore,
    },
    CommandRow {
        words: "check",
        arguments: &[],
        options: &["quiet"],
        help: "look whether the database is whole, and keeps what the schema promises",
        run: figures::check,
    },
    CommandRow {
        words: "prune",
        arguments: &[],
        options: &["days", "media-days", "dry-run"],
        help: "remove old messages that have arrived, with their media, or old media alone",
        run: prune::prune,
    },
];

/// All options, in the order of `--help`.
pub static OPTIONS: &[OptionRow] = &[
    OptionRow {
        long: "database",
        short: "d",
        hint: "FILE",
        takes: "the name of a file",
        help: "the database (default plausch.db if it is here, or else \
               /var/lib/plausch/plausch.db)",
        set: |call, text| {
            call.database = (!text.is_empty()).then(|| PathBuf::from(text));
            call.database.is_some().then_some(())
        },
    },
    OptionRow {
        long: "json",
        short: "j",
        hint: "",
        takes: "",
        help: "print JSON",
        set: |call, _| {
            call.json = true;
            Some(())
        },
    },
    OptionRow {
        long: "force",
        short: "f",
        hint: "",
        takes: "",
        help: "replace a file that exists, delete without asking",
        set: |call, _| {
            call.force = true;
            Some(())
        },
    },
    OptionRow {
        long: "quiet",
        short: "q",
        hint: "",
        takes: "",
        help: "show no progress",
        set: |call, _| {
            call.quiet = true;
            Some(())
        },
    },
    OptionRow {
        long: "email",
        short: "",
        hint: "ADDRESS",
        takes: "an address with one @, of at most 254 characters",
        help: "the new account's address (default NAME@localhost)",
        set: |call, text| {
            call.email = accounts::is_email(text).then(|| text.to_owned());
            call.email.is_some().then_some(())
        },
    },
    OptionRow {
        long: "gender",
        short: "",
        hint: "TEXT",
        takes: "1 to 32 characters",
        help: "the new account's gender, any text (default -)",
        set: |call, text| {
            call.gender = accounts::is_gender(text).then(|| text.to_owned());
            call.gender.is_some().then_some(())
        },
    },
    OptionRow {
        long: "scrypt",
        short: "",
        hint: "LOG_N,R,P",
        takes: "LOG_N,R,P of at most 256 MiB and some seconds a hash, such as 14,8,5",
        help: "the cost of the password hash, as plauschd has it (default 14,8,5)",
        set: |call, text| {
            call.cost = text.parse().ok()?;
            Some(())
        },
    },
    OptionRow {
        long: "days",
        short: "",
        hint: "N",
        takes: "a number of days from 0 to 36500",
        help: "prune messages older than this",
        set: |call, text| {
            call.days = Some(number(text, 0..=DAYS_MAX)?);
            Some(())
        },
    },
    OptionRow {
        long: "media-days",
        short: "",
        hint: "N",
        takes: "a number of days from 0 to 36500",
        help: "prune media older than this; their messages stay",
        set: |call, text| {
            call.media_days = Some(number(text, 0..=DAYS_MAX)?);
            Some(())
        },
    },
    OptionRow {
        long: "dry-run",
        short: "n",
        hint: "",
        takes: "",
        help: "say what prune would remove, and remove nothing",
        set: |call, _| {
            call.dry_run = true;
            Some(())
        },
    },
    OptionRow {
        long: "help",
        short: "h",
        hint: "",
        takes: "",
        help: "print this and exit",
        set: |call, _| {
            call.help = true;
            Some(())
        },
    },
    OptionRow {
        long: "version",
        short: "V",
        hint: "",
        takes: "",
        help: "print the version and exit",
        set: |call, _| {
            call.version = true;
            Some(())
        },
    },
];

/// Options that every command takes.
pub const EVERYWHERE: [&str; 3] = ["database", "help", "version"];

/// What a command line asks for.
pub(super) enum Invocation {
    Print(String),
    Run(&'static CommandRow, Call),
}

/// Reads the arguments, without the name of the program.
pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Invocation, Failure> {
    let args = args
        .map(|arg| {
            arg.into_string()
                .map_err(|arg| usage(format!("argument {arg:?} is not UTF-8")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut parser = getopts::Options::new();
    for row in OPTIONS {
        if row.hint.is_empty() {
            parser.optflag(row.short, row.long, "");
        } else {
            parser.optopt(row.short, row.long, "", "");
        }
    }
    let matches = parser.parse(args).map_err(|fail| usage(explain(&fail)))?;
    let mut call = Call::default();
    let given = || OPTIONS.iter().filter(|row| matches.opt_present(row.long));
    for row in given() {
        let value = matches.opt_str(row.long).unwrap_or_default();
        (row.set)(&mut call, &value)
            .ok_or_else(|| usage(format!("--{} takes {}, not {value:?}", row.long, row.takes)))?;
    }
    if call.help {
        return Ok(Invocation::Print(help()));
    }
    if call.version {
        let version = env!("CARGO_PKG_VERSION");
        return Ok(Invocation::Print(format!("{PROGRAM} {version}")));
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
    for row in given() {
        if !EVERYWHERE.contains(&row.long) && !command.options.contains(&row.long) {
            return Err(usage(format!(
                "{} does not take --{}",
                command.words, row.long
            )));
        }
    }
    Ok(Invocation::Run(command, call))
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
    let dashed = |name: &str| {
        let dashes = if name.chars().count() == 1 { "-" } else { "--" };
        format!("{dashes}{}", name.escape_debug())
    };
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
    let widest = OPTIONS.iter().map(|row| row.synopsis().len()).max();
    let column = widest.unwrap_or(0) + 4;
    for row in OPTIONS {
        let mut left = format!("  {}", row.synopsis());
        for line in wrapped(row.help, WIDTH - column) {
            text.push_str(&format!("\n{left:column$}{line}"));
            left.clear();
        }
    }
    text.push_str(
        "\n\nExit codes: 0 done; 1 not done, or check has found something; 2 a wrong call.",
    );
    text
}

#[cfg(test)]
mod tests;
