//! The layout of `--help`, and what the tests of each program's command line share.

use std::fmt::{Debug, Display};

use super::layout::WIDTH;
use super::*;

/// What a command line that is right asks to be run.
#[track_caller]
pub(crate) fn running<T: Debug, E: Debug>(args: &[&str], parsed: Result<Invocation<T>, E>) -> T {
    match parsed {
        Ok(Invocation::Run(what)) => what,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// What is said of a command line that is wrong.
#[track_caller]
pub(crate) fn mistake<T: Debug, E: Display>(
    args: &[&str],
    parsed: Result<Invocation<T>, E>,
) -> String {
    match parsed {
        Err(error) => error.to_string(),
        Ok(other) => panic!("{args:?}: {other:?}"),
    }
}

impl<C> OptionRow<C> {
    pub(crate) fn taken(&self) -> &'static str {
        self.takes
    }

    pub(crate) fn default_text(&self) -> &'static str {
        self.default
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.absent
    }
}

/// Asserts that each row has an error text and a default exactly where it takes a value, that names
/// are unique, and that `--help` lists everything in 80 columns.
pub(crate) fn check_table<C>(line: &CommandLine<C>) {
    let mut names: Vec<_> = line
        .rows()
        .flat_map(|row| [row.long, row.short])
        .filter(|name| !name.is_empty())
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    let help = (line.help)();
    for row in line.rows() {
        assert_eq!(row.takes_value(), !row.takes.is_empty(), "{}", row.long);
        assert_eq!(row.takes_value(), !row.hint.is_empty(), "{}", row.long);
        assert!(row.takes_value() || row.default.is_empty(), "{}", row.long);
        assert!(help.contains(&row.synopsis()), "{}", row.long);
    }
    for (heading, _) in line.sections {
        let shown = heading.is_empty() || help.contains(&format!("\n\n{heading}:\n"));
        assert!(shown, "{heading}");
    }
    for text in help.lines() {
        assert!(text.is_ascii() && text.len() <= WIDTH, "{text:?}");
        assert_eq!(text, text.trim_end());
    }
    assert!(!help.ends_with('\n'));
}

/// What the tests below can choose.
#[derive(Debug, Default)]
struct SampleChoices {
    file: Option<std::path::PathBuf>,
    listen: Vec<String>,
    quiet: bool,
}

const LINE: CommandLine<SampleChoices> = CommandLine {
    program: "try",
    sections: &[(
        "Options",
        &[
            OptionRow::new("file")
                .help(FULL)
                .takes(
                    "FILE",
                    "the name of a file",
                    |choices: &mut SampleChoices, text| put(&mut choices.file, file(text)),
                )
                .short("f"),
            OptionRow::new("listen")
                .help("listen")
                .takes("ADDR", "an address", |choices: &mut SampleChoices, text| {
                    choices.listen.push(text.to_owned());
                    Some(())
                })
                .repeatable(|choices| choices.listen.clear()),
            OptionRow::new("quiet")
                .help("be quiet")
                .sets(|choices: &mut SampleChoices| choices.quiet = true)
                .short("q"),
        ],
    )],
    help: String::new,
};

const FULL: &str = "word word word word word word word word word word word word word";

#[test]
fn an_entry_is_wrapped_within_its_column() {
    let mut text = String::from("Usage");
    LINE.list_options(&mut text);
    let full = ["word"; 12].join(" ");
    let indent = " ".repeat("  -f, --file FILE    ".len());
    assert_eq!(
        text,
        format!(
            "Usage\n\nOptions:\n  -f, --file FILE    {full}\n{indent}word\n      \
             --listen ADDR  listen (repeatable)\n  -q, --quiet        be quiet"
        )
    );
    assert!(text.lines().all(|line| line.len() <= WIDTH));
}

#[test]
fn a_parser_takes_what_the_rows_say() {
    let parse = |args: &[&str]| LINE.parse(args.iter().map(OsString::from));
    let args = ["-qf", "x", "--listen=a", "z", "--listen", "b"];
    let parsed = running(&args, parse(&args));
    assert!(parsed.choices.quiet);
    assert_eq!(parsed.choices.file, Some("x".into()));
    assert_eq!(parsed.choices.listen, ["a", "b"]);
    assert_eq!(parsed.given, ["file", "listen", "quiet"]);
    assert_eq!(parsed.free, ["z"]);
    for wrong in [
        &["-f", "x", "-f", "y"][..],
        &["-f"],
        &["--quiet=x"],
        &["-q", "-q"],
        &["--wrong"],
    ] {
        mistake(wrong, parse(wrong));
    }
}
