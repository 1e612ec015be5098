//! The layout of `--help`, and what the tests of each program's command line share.

use std::fmt::{Debug, Display};

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

const fn row(long: &'static str, short: &'static str, hint: &'static str) -> OptionRow<()> {
    OptionRow {
        long,
        short,
        hint,
        help: "",
        own: (),
    }
}

#[test]
fn an_entry_is_wrapped_within_its_column() {
    let rows = [row("file", "f", "FILE"), row("quiet", "", "")];
    let column = column(&rows);
    assert_eq!(column, "  -f, --file FILE  ".len());
    let mut text = String::from("Options:");
    let words = ["word"; 13].join(" ");
    entry(&mut text, &rows[0].synopsis(), &words, column);
    entry(&mut text, &rows[1].synopsis(), "be quiet", column);
    let full = ["word"; 12].join(" ");
    assert_eq!(
        text,
        format!(
            "Options:\n  -f, --file FILE  {full}\n                   word\n      \
             --quiet      be quiet"
        )
    );
    assert!(text.lines().all(|line| line.len() <= WIDTH));
}

#[test]
fn a_parser_takes_what_the_rows_say() {
    let rows = [
        row("file", "f", "FILE"),
        row("listen", "", "ADDR"),
        row("quiet", "q", ""),
    ];
    let parse = |args: &[&str]| parser(&rows, |row| row.long == "listen").parse(args);
    let matches = parse(&["-qf", "x", "--listen=a", "--listen", "b"]).unwrap();
    assert!(matches.opt_present("quiet"));
    assert_eq!(matches.opt_str("file").as_deref(), Some("x"));
    assert_eq!(matches.opt_strs("listen"), ["a", "b"]);
    for wrong in [
        &["-f", "x", "-f", "y"][..],
        &["-f"],
        &["--quiet=x"],
        &["-q", "-q"],
        &["--wrong"],
    ] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
}
