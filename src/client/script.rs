//! The client in scripts: send one message, print what arrives, save media.

use std::io::{self, IsTerminal, Read, Write};
use std::time::Instant;

use serde_json::json;

use super::show;
use super::terminal;
use crate::client::command::Command;
use crate::client::engine::{After, Engine, Front, Input, Options, Output};
use crate::client::options::{Exit, Mode, PROGRAM, Settings};
use crate::client::show::Style;
use crate::protocol::MESSAGE_MAX;

/// Prints a line. A reader that has gone is no failure of ours.
pub(super) fn print_line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Carries out `send`, `tail` or `fetch`.
pub fn run(settings: Settings) -> Exit {
    let deadline = settings.timeout.map(|timeout| Instant::now() + timeout);
    let mut commands = Vec::new();
    let mut front = Printer {
        out: None,
        left: None,
        unread: 0,
        style: Style {
            colours: terminal::colours(&io::stdout()),
        },
    };
    match settings.mode {
        Mode::Send { to, text, file } => {
            let text = match text.map_or_else(read_text, Ok) {
                Ok(text) => text,
                Err((exit, why)) => return failed(exit, &why),
            };
            commands.push(Command::Chat(to));
            commands.push(match file {
                Some(path) => Command::SendFile { path, text },
                None => Command::Say(text),
            });
            commands.push(Command::Quit);
        }
        Mode::Fetch { media, file: path } => {
            commands.push(Command::Save { media, path });
            commands.push(Command::Quit);
        }
        Mode::Tail { json, count } => {
            front.out = Some(if json { Form::Json } else { Form::Text });
            front.left = count;
        }
        Mode::Chat => {}
    }
    let Some(user) = settings.user else {
        return failed(Exit::Usage, "--user or PLAUSCH_USER is needed");
    };
    let prompt = format!("Password of {user}: ");
    let password = match terminal::password(&prompt, settings.password_file.as_deref()) {
        Ok(Some(password)) => password,
        Ok(None) => return failed(Exit::Login, terminal::NO_PASSWORD),
        Err(error) => return failed(Exit::Login, &error.to_string()),
    };
    let options = Options {
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
    commands.insert(0, Command::Login { user, password });
    for command in commands {
        // There is room: they are few.
        if inputs.send(Input::Command(command, None)).is_err() {
            return Exit::Failed;
        }
    }
    engine.run()
}

fn failed(exit: Exit, text: &str) -> Exit {
    eprintln!("{PROGRAM}: {text}");
    exit
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

/// How `tail` prints.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
}

struct Printer {
    /// `None` to print nothing that arrives.
    out: Option<Form>,
    /// How many messages more, if that is limited.
    left: Option<u64>,
    style: Style,
    /// What came when nobody read any more.
    unread: usize,
}

impl Front for Printer {
    fn unshown(&self) -> usize {
        self.unread
    }

    fn show(&mut self, output: Output) -> After {
        // Behind what could not be shown nothing is.
        self.unread += usize::from(self.unread > 0);
        let (text, is_message) = match (&output, self.out) {
            // On a terminal somebody may want to know how far it is.
            (Output::Note(_), _) if !io::stderr().is_terminal() => return After::GoOn,
            (Output::Kept(_) | Output::List { .. }, _) => return After::GoOn,
            (Output::Message { .. }, Some(form)) => (arrival(&output, form, self.style), true),
            (Output::Contact { .. }, Some(form)) => (arrival(&output, form, self.style), false),
            _ => {
                let plain = Style { colours: false };
                let text = show::lines(&output, plain);
                // The program's name is mark enough.
                let text = text.trim_start_matches("!! ").trim_start_matches("-- ");
                eprintln!("{PROGRAM}: {text}");
                return After::GoOn;
            }
        };
        let mut out = io::stdout().lock();
        if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
            self.unread = self.unread.max(1);
            // `tail | head` is done when head is.
            return After::End(match error.kind() {
                io::ErrorKind::BrokenPipe => Exit::Done,
                _ => Exit::Failed,
            });
        }
        if is_message && let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return After::End(Exit::Done);
            }
        }
        After::GoOn
    }
}

fn arrival(output: &Output, form: Form, style: Style) -> String {
    match (output, form) {
        (
            Output::Message {
                chat,
                from,
                timestamp,
                text,
                media,
                ..
            },
            Form::Json,
        ) => json!({
            "type": "message",
            "chat": chat,
            "from": from,
            "timestamp": timestamp,
            "text": text,
            "media": media,
        })
        .to_string(),
        (Output::Contact { name, agreed }, Form::Json) => {
            json!({ "type": "contact", "name": name, "agreed": agreed }).to_string()
        }
        (output, _) => {
            let mut output = output.clone();
            // There is no current chat, so there are no others.
            if let Output::Message { unread, .. } = &mut output {
                *unread = None;
            }
            show::lines(&output, style)
        }
    }
}
