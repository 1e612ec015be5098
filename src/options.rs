//! The command lines of the three programs: the table of options, parsing, and `--help`.
//!
//! Each program declares its options once, as rows of `OptionRow`. Parsing, `--help`, the manual
//! page and the completion come from these rows. The values of a command line are put into a
//! program's own `C`, such as the server's `Config`.

use std::ffi::OsString;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

pub(crate) mod layout;

/// What is wrong with a command line: one line for stderr, without the program's name.
///
/// Values in it are escaped, so that it stays one line and moves no terminal's cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl UsageError {
    /// The exit code of all programs for a wrong command line.
    pub const EXIT: u8 = 2;

    pub(crate) fn new(what: impl Into<String>) -> UsageError {
        UsageError(what.into())
    }

    pub(crate) fn unexpected(argument: &str) -> UsageError {
        UsageError(format!("unexpected argument {argument:?}"))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; see --help", self.0)
    }
}

impl std::error::Error for UsageError {}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation<T> {
    /// To do what the program is for.
    Run(T),
    /// To print this, without a newline at its end, and to exit.
    Print(String),
}

pub(crate) struct OptionRow<C: 'static> {
    /// The long name, without its dashes.
    pub(crate) long: &'static str,
    short: &'static str,
    help: &'static str,
    /// What stands for the value in `--help`; empty for a flag.
    hint: &'static str,
    /// What an error message says that the option takes; empty for a flag.
    takes: &'static str,
    default: &'static str,
    action: OptionAction<C>,
    /// Empties the list that the values of a repeatable option are added to.
    clear: Option<fn(&mut C)>,
    /// Whether this build lacks what the option is for.
    absent: bool,
}

enum OptionAction<C: 'static> {
    Flag(fn(&mut C)),
    /// `None` refuses the value.
    Value(fn(&mut C, &str) -> Option<()>),
    Help,
    Version,
}

impl<C> OptionRow<C> {
    /// The constructor; one of [`sets`](Self::sets) and [`takes`](Self::takes) follows.
    pub(crate) const fn new(long: &'static str) -> Self {
        OptionRow {
            long,
            short: "",
            help: "",
            hint: "",
            takes: "",
            default: "",
            action: OptionAction::Flag(|_| {}),
            clear: None,
            absent: false,
        }
    }

    pub(crate) const HELP_AND_VERSION: [Self; 2] = {
        let mut help = Self::new("help")
            .short("h")
            .help("print this help and exit");
        help.action = OptionAction::Help;
        let mut version = Self::new("version").short("V");
        version.help = "print the version and exit";
        version.action = OptionAction::Version;
        [help, version]
    };

    pub(crate) const fn short(mut self, short: &'static str) -> Self {
        self.short = short;
        self
    }

    pub(crate) const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    pub(crate) const fn sets(mut self, set: fn(&mut C)) -> Self {
        self.action = OptionAction::Flag(set);
        self
    }

    /// Makes it take a value. `takes` is for error messages; `set` refuses a value by `None`.
    pub(crate) const fn takes(
        mut self,
        hint: &'static str,
        takes: &'static str,
        set: fn(&mut C, &str) -> Option<()>,
    ) -> Self {
        self.hint = hint;
        self.takes = takes;
        self.action = OptionAction::Value(set);
        self
    }

    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// The option may be given several times; the first time replaces the default.
    pub(crate) const fn repeatable(mut self, clear: fn(&mut C)) -> Self {
        self.clear = Some(clear);
        self
    }

    /// A build without TLS refuses the option.
    pub(crate) const fn for_tls(mut self) -> Self {
        self.absent = cfg!(not(feature = "tls"));
        self
    }

    fn takes_value(&self) -> bool {
        matches!(self.action, OptionAction::Value(_))
    }

    fn apply_default(&self, choices: &mut C) {
        if let OptionAction::Value(set) = self.action
            && !self.default.is_empty()
        {
            let stored = set(choices, self.default);
            debug_assert!(stored.is_some(), "--{} {}", self.long, self.default);
        }
    }

    fn apply(&self, choices: &mut C, values: &[String]) -> Result<(), UsageError> {
        if self.absent {
            return Err(UsageError(format!("--{}: {NO_TLS}", self.long)));
        }
        if let Some(clear) = self.clear {
            clear(choices);
        }
        match self.action {
            OptionAction::Flag(set) => set(choices),
            OptionAction::Value(set) => {
                for value in values {
                    set(choices, value).ok_or_else(|| {
                        let (long, takes) = (self.long, self.takes);
                        UsageError(format!("--{long} takes {takes}, not {value:?}"))
                    })?;
                }
            }
            OptionAction::Help | OptionAction::Version => {}
        }
        Ok(())
    }
}

const NO_TLS: &str = "this build has no TLS";

pub(crate) type Section<C> = (&'static str, &'static [OptionRow<C>]);

pub(crate) struct CommandLine<C: 'static> {
    pub(crate) program: &'static str,
    pub(crate) sections: &'static [Section<C>],
    /// The text of `--help`, without a newline at its end.
    pub(crate) help: fn() -> String,
}

#[derive(Debug)]
pub(crate) struct Parsed<C> {
    pub(crate) choices: C,
    /// The long names of the options that were given, in the table's order.
    pub(crate) given: Vec<&'static str>,
    pub(crate) free: Vec<String>,
}

impl<C: Default> CommandLine<C> {
    /// Reads the arguments, without the name of the program.
    ///
    /// `--help` and `--version` win over whatever else is given, as long as all options exist.
    pub(crate) fn parse(
        &self,
        args: impl Iterator<Item = OsString>,
    ) -> Result<Invocation<Parsed<C>>, UsageError> {
        let args: Vec<String> = args
            .map(OsString::into_string)
            .collect::<Result<_, _>>()
            .map_err(|argument| UsageError(format!("argument {argument:?} is not UTF-8")))?;
        let matches = self
            .parser()
            .parse(args)
            .map_err(|fail| self.explain(&fail))?;
        let given: Vec<_> = self
            .rows()
            .filter(|row| matches.opt_present(row.long))
            .collect();
        for row in &given {
            match row.action {
                OptionAction::Help => return Ok(Invocation::Print((self.help)())),
                OptionAction::Version => {
                    let text = format!("{} {}", self.program, env!("CARGO_PKG_VERSION"));
                    return Ok(Invocation::Print(text));
                }
                OptionAction::Flag(_) | OptionAction::Value(_) => {}
            }
        }
        let mut choices = C::default();
        for row in self.rows() {
            row.apply_default(&mut choices);
        }
        for row in &given {
            row.apply(&mut choices, &matches.opt_strs(row.long))?;
        }
        Ok(Invocation::Run(Parsed {
            choices,
            given: given.iter().map(|row| row.long).collect(),
            free: matches.free,
        }))
    }

    fn parser(&self) -> getopts::Options {
        let mut parser = getopts::Options::new();
        for row in self.rows() {
            // Without hint and help, which are laid out here.
            if row.clear.is_some() {
                parser.optmulti(row.short, row.long, "", "");
            } else if row.takes_value() {
                parser.optopt(row.short, row.long, "", "");
            } else {
                parser.optflag(row.short, row.long, "");
            }
        }
        parser
    }

    fn explain(&self, fail: &getopts::Fail) -> UsageError {
        use getopts::Fail;
        let unknown = |name| UsageError(format!("there is no option {}", dashed(name)));
        let (Fail::ArgumentMissing(name)
        | Fail::OptionDuplicated(name)
        | Fail::UnexpectedArgument(name)
        | Fail::UnrecognizedOption(name)
        | Fail::OptionMissing(name)) = fail;
        let mut rows = self.rows();
        let Some(row) = rows.find(|row| name == row.long || name == row.short) else {
            return unknown(name);
        };
        let (long, takes) = (row.long, row.takes);
        UsageError(match fail {
            Fail::ArgumentMissing(_) => format!("--{long} takes {takes}, but has no value"),
            Fail::OptionDuplicated(_) => format!("--{long} may be given only once"),
            Fail::UnexpectedArgument(_) => format!("--{long} takes no value"),
            Fail::UnrecognizedOption(_) | Fail::OptionMissing(_) => return unknown(name),
        })
    }
}

impl<C> CommandLine<C> {
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static OptionRow<C>> + use<C> {
        self.sections.iter().flat_map(|(_, rows)| rows.iter())
    }
}

impl<C> Parsed<C> {
    /// Refuses an option that belongs to other commands. `commands` are those with options of their
    /// own; an option that is in none of their lists goes with every command.
    pub(crate) fn check_command(
        &self,
        command: &str,
        commands: impl Iterator<Item = (&'static str, &'static [&'static str])> + Clone,
    ) -> Result<(), UsageError> {
        for long in &self.given {
            let takers = commands.clone().filter(|(_, own)| own.contains(long));
            let takers: Vec<_> = takers.map(|(words, _)| words).collect();
            if let Some((last, others)) = takers.split_last()
                && !takers.contains(&command)
            {
                let others = match others {
                    [] => String::new(),
                    others => format!("{} and ", others.join(", ")),
                };
                return Err(UsageError(format!("--{long} is for {others}{last} only")));
            }
        }
        Ok(())
    }
}

fn dashed(name: &str) -> String {
    let dashes = if name.chars().count() == 1 { "-" } else { "--" };
    format!("{dashes}{}", name.escape_debug())
}

pub(crate) fn put<T>(place: &mut T, read: Option<T>) -> Option<()> {
    *place = read?;
    Some(())
}

pub(crate) fn file(text: &str) -> Option<Option<PathBuf>> {
    (!text.is_empty()).then(|| Some(PathBuf::from(text)))
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

#[cfg(test)]
pub(crate) mod tests;
