//! What the line editor asks for, in the terminal's thread: completions, and the prompt.

use std::borrow::Cow;
use std::sync::Arc;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::client::command::{COMMANDS, name_and_hint};
use crate::client::engine::KnownNames;
use crate::client::screen::ScreenQueue;

/// TAB: commands, names, files. And what stands above the prompt.
pub(super) struct Completion {
    pub(super) names: KnownNames,
    pub(super) files: FilenameCompleter,
    pub(super) queue: Option<Arc<ScreenQueue>>,
}

impl Helper for Completion {}
impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {
    /// What has arrived comes with the prompt, so that it neither tears the line nor waits.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _default: bool,
    ) -> Cow<'b, str> {
        match self.queue.as_ref().map(|queue| queue.prompt_drawn()) {
            Some(above) if !above.is_empty() => Cow::Owned(above + prompt),
            _ => Cow::Borrowed(prompt),
        }
    }
}
impl Validator for Completion {}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..position).unwrap_or(line);
        let start = before.rfind(' ').map_or(0, |at| at + 1);
        let word = &before[start..];
        let pair = |text: String| Pair {
            display: text.clone(),
            replacement: text + " ",
        };
        let mut rows = COMMANDS.iter().map(name_and_hint);
        if start == 0 && word.starts_with('/') {
            let commands = rows.filter(|(name, _)| name.starts_with(word));
            return Ok((0, commands.map(|(name, _)| pair(name.to_owned())).collect()));
        }
        let command = before.split(' ').next().unwrap_or_default();
        let hint = rows.find(|(name, _)| *name == command).map(|row| row.1);
        match hint {
            Some(hint) if hint.contains("FILE") => self.files.complete(line, position, context),
            // In a line that is to be sent too, where names are typed often.
            Some("NAME") | None if !word.is_empty() || hint.is_some() => {
                let names = self.names.starting_with(word);
                Ok((start, names.into_iter().map(pair).collect()))
            }
            _ => Ok((position, Vec::new())),
        }
    }
}
