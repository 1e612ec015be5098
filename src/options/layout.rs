//! The layout of `--help`.

use super::{CommandLine, NO_TLS, OptionRow};

pub(crate) const WIDTH: usize = 80;

impl<C> OptionRow<C> {
    /// The names and the hint: `-l, --listen ADDR:PORT`.
    pub(crate) fn synopsis(&self) -> String {
        let short = match self.short {
            "" => "    ".to_owned(),
            short => format!("-{short}, "),
        };
        let space = if self.hint.is_empty() { "" } else { " " };
        format!("{short}--{}{space}{}", self.long, self.hint)
    }

    pub(crate) fn description(&self) -> String {
        let mut remarks = Vec::new();
        if !self.default.is_empty() {
            remarks.push(format!("default {}", self.default));
        }
        if self.clear.is_some() {
            remarks.push("repeatable".to_owned());
        }
        if self.absent {
            remarks.push(NO_TLS.to_owned());
        }
        match remarks.as_slice() {
            [] => self.help.to_owned(),
            remarks => format!("{} ({})", self.help, remarks.join("; ")),
        }
    }
}

impl<C> CommandLine<C> {
    /// Appends all options, each section below its heading; one without continues the last.
    pub(crate) fn list_options(&self, text: &mut String) {
        // Two spaces stand before the names, two behind the longest of them.
        let widest = self.rows().map(|row| row.synopsis().len()).max();
        let column = widest.unwrap_or(0) + 4;
        for (heading, rows) in self.sections {
            if !heading.is_empty() {
                text.push_str(&format!("\n\n{heading}:"));
            }
            for row in *rows {
                entry(text, &row.synopsis(), &row.description(), column);
            }
        }
    }
}

/// Appends lines that explain `name`, from `column` on. Each begins with its newline.
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
