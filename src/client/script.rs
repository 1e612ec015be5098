//! The client in scripts: send one message, print what arrives, save media. The commands are given
//! beforehand; then the engine runs in the main thread and prints by `ScriptPrinter`.

use std::io::{self, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use serde_json::json;

use super::show;
use super::terminal;
use crate::client::command::Command;
use crate::client::engine::{Engine, EngineInput, EngineOptions, Frontend, Output, Waiter};
use crate::client::options::{Exit, Mode, PROGRAM, Settings};
use crate::client::show::Style;
use crate::protocol::MESSAGE_MAX;

/// Prints a line. A reader that has gone is no failure of ours.
pub(super) fn print_line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

pub(crate) fn run(settings: Settings) -> Exit {
    carry_out(settings).unwrap_or_else(|(exit, why)| {
        eprintln!("{PROGRAM}: {why}");
        exit
    })
}

fn carry_out(settings: Settings) -> Result<Exit, (Exit, String)> {
    let deadline = settings.timeout.map(|timeout| Instant::now() + timeout);
    let mut front = ScriptPrinter {
        out: None,
        left: None,
        unread: 0,
        style: Style {
            colours: terminal::colours(&io::stdout()),
        },
    };
    let commands = match settings.mode {
        Mode::Send { to, text, file } => {
            let text = text.map_or_else(read_text, Ok)?;
            let message = match file {
                Some(path) => Command::SendFile { path, text },
                None => Command::Say(text),
            };
            vec![Command::Chat(to), message, Command::Quit]
        }
        Mode::Fetch { media, file: path } => vec![Command::Save { media, path }, Command::Quit],
        Mode::Tail { json, count } => {
            front.out = Some(if json { Form::Json } else { Form::Text });
            front.left = count;
            Vec::new()
        }
        Mode::Chat => Vec::new(),
    };
    let failed = |exit, why: &str| (exit, why.to_owned());
    let no_user = || failed(Exit::Usage, "--user or PLAUSCH_USER is needed");
    let user = settings.user.ok_or_else(no_user)?;
    let prompt = format!("Password of {user}: ");
    let password = terminal::password(&prompt, settings.password_file.as_deref())
        .map_err(|error| (Exit::Login, error.to_string()))?
        .ok_or_else(|| failed(Exit::Login, terminal::NO_PASSWORD))?;
    let options = EngineOptions {
        address: settings.address,
        security: settings.security,
        raw: settings.raw,
        fetch_media: false,
        listens: front.out.is_some(),
        strict: true,
        remembers: false,
        deadline,
    };
    let (engine, inputs) = Engine::new(front, options);
    let password = password.to_string();
    let login = Command::Login { user, password };
    for command in std::iter::once(login).chain(commands) {
        // There is room: they are few.
        let _ = inputs.send(EngineInput::Command(command, Waiter::default()));
    }
    Ok(engine.run())
}

/// All of standard input, without the line end at its end; or why it cannot be sent.
fn read_text() -> Result<String, (Exit, String)> {
    let mut bytes = Vec::new();
    // One more than fits, line end included, so that what is too long is seen to be.
    let read = io::stdin()
        .take(MESSAGE_MAX as u64 + 3)
        .read_to_end(&mut bytes);
    read.map_err(|error| (Exit::Failed, format!("no text: {error}")))?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Before it is looked at as text: the cut may be amid a character.
    if line.len() > MESSAGE_MAX {
        let why = "not sent: the text is longer than 8 KiB".to_owned();
        return Err((Exit::Refused, why));
    }
    let text = std::str::from_utf8(line);
    let text = text.map_err(|_| (Exit::Failed, "no text: it is not UTF-8".to_owned()))?;
    Ok(text.to_owned())
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
}

struct ScriptPrinter {
    /// `None` to print nothing that arrives.
    out: Option<Form>,
    left: Option<u64>,
    style: Style,
    /// What came when nobody read any more.
    unread: usize,
}

impl Frontend for ScriptPrinter {
    fn unshown(&self) -> usize {
        self.unread
    }

    fn show(&mut self, output: Output) -> ControlFlow<Exit> {
        // Behind what could not be shown nothing is.
        self.unread += usize::from(self.unread > 0);
        let (text, is_message) = match (&output, self.out) {
            // On a terminal somebody may want to know how far it is.
            (Output::Note(_), _) if !io::stderr().is_terminal() => return ControlFlow::Continue(()),
            (Output::Stored(_) | Output::List { .. }, _) => return ControlFlow::Continue(()),
            (Output::Message { .. }, Some(form)) => (arrival(&output, form, self.style), true),
            (Output::Contact { .. }, Some(form)) => (arrival(&output, form, self.style), false),
            _ => {
                let plain = Style { colours: false };
                let text = show::lines(&output, plain);
                // The program's name is mark enough.
                let text = text.trim_start_matches("!! ").trim_start_matches("-- ");
                eprintln!("{PROGRAM}: {text}");
                return ControlFlow::Continue(());
            }
        };
        let mut out = io::stdout().lock();
        if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
            self.unread = self.unread.max(1);
            // `tail | head` is done when head is.
            return ControlFlow::Break(match error.kind() {
                io::ErrorKind::BrokenPipe => Exit::Done,
                _ => Exit::Failed,
            });
        }
        if is_message && let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return ControlFlow::Break(Exit::Done);
            }
        }
        ControlFlow::Continue(())
    }
}

fn arrival(output: &Output, form: Form, style: Style) -> String {
    match (output, form) {
        (Output::Message { message, .. }, Form::Json) => json!({
            "type": "message",
            "chat": message.chat,
            "from": message.user,
            "timestamp": message.timestamp,
            "text": message.message,
            "media": message.media,
        })
        .to_string(),
        (Output::Contact { name, agreed }, Form::Json) => {
            json!({ "type": "contact", "name": name, "agreed": agreed }).to_string()
        }
        // There is no current chat, so there are no others.
        (Output::Message { message, .. }, Form::Text) => {
            show::lines(&Output::Past(message.clone()), style)
        }
        (output, _) => show::lines(output, style),
    }
}
