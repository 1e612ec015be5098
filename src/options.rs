//! What the command lines of all programs share: a row of a table of options, reading arguments by
//! such a table, and laying out `--help`.

use std::ffi::OsString;
use std::ops::RangeInclusive;

/// The widest that a line of `--help` may be.
pub(crate) const WIDTH: usize = 80;

/// One option of a command line.
#[derive(Debug)]
pub struct OptionRow<P: 'static> {
    /// The long name, without its dashes.
    pub long: &'static str,
    /// The short name, without its dash; empty when there is none.
    pub short: &'static str,
    /// What stands for the value in `--help`; empty for a flag.
    pub hint: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What the program itself has to know of it.
    pub own: P,
}

impl<P> OptionRow<P> {
    /// Whether it has a value; a flag has none.
    #[must_use]
    pub fn takes_value(&self) -> bool {
        !self.hint.is_empty()
    }

    /// The names and the hint: `-l, --listen ADDR:PORT`.
    #[must_use]
    pub fn synopsis(&self) -> String {
        let short = match self.short {
            "" => "    ".to_owned(),
            short => format!("-{short}, "),
        };
        let space = if self.takes_value() { " " } else { "" };
        format!("{short}--{}{space}{}", self.long, self.hint)
    }
}

/// Rows are the same when they are of the same option.
impl<P> PartialEq for OptionRow<P> {
    fn eq(&self, other: &OptionRow<P>) -> bool {
        self.long == other.long
    }
}

impl<P> Eq for OptionRow<P> {}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation<T> {
    /// To do what the program is for.
    Run(T),
    /// To print this, without a newline at its end, and to end.
    Print(String),
}

/// The arguments as text, or the first that is not UTF-8.
pub(crate) fn words(args: impl Iterator<Item = OsString>) -> Result<Vec<String>, OsString> {
    args.map(OsString::into_string).collect()
}

/// A parser for all options of a table.
pub(crate) fn parser<P>(
    rows: &[OptionRow<P>],
    is_repeatable: impl Fn(&OptionRow<P>) -> bool,
) -> getopts::Options {
    let mut parser = getopts::Options::new();
    for row in rows {
        // Without hint and help: we write our own.
        if is_repeatable(row) {
            parser.optmulti(row.short, row.long, "", "");
        } else if row.takes_value() {
            parser.optopt(row.short, row.long, "", "");
        } else {
            parser.optflag(row.short, row.long, "");
        }
    }
    parser
}

/// An option as it was given, with its dashes and nothing that would move a terminal's cursor.
pub(crate) fn dashed(name: &str) -> String {
    let dashes = if name.chars().count() == 1 { "-" } else { "--" };
    format!("{dashes}{}", name.escape_debug())
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

/// The text of `--version`, without a newline at its end.
pub(crate) fn version(program: &str) -> String {
    format!("{program} {}", env!("CARGO_PKG_VERSION"))
}

/// Where the explanations of a table's options begin: two spaces stand before the names, two
/// behind the longest of them.
pub(crate) fn column<P>(rows: &[OptionRow<P>]) -> usize {
    let widest = rows.iter().map(|row| row.synopsis().len()).max();
    widest.unwrap_or(0) + 4
}

/// Appends lines that say beside `name` what it means, from `column` on. Each begins with its
/// newline.
pub(crate) fn entry(text: &mut String, name: &str, help: &str, column: usize) {
    let mut left = format!("  {name}");
    for line in wrapped(help, WIDTH - column) {
        text.push_str(&format!("\n{left:column$}{line}"));
        left.clear();
    }
}

/// Breaks a text between words into lines of at most `width` ASCII characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
pub(crate) mod tests;
