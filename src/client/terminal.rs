//! The person at the terminal: a line editor that arrivals do not tear, passwords without echo.
//!
//! Runs in the main thread and starts the one of the engine. It gives the engine commands and waits
//! for their outcomes; what the engine shows goes past it, by `screen`.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use rustyline::completion::FilenameCompleter;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};
use zeroize::Zeroizing;

use super::command;
use crate::client::command::{Command, Typed};
use crate::client::engine::{
    CommandOutcome, Engine, EngineInput, EngineOptions, KnownNames, Waiter,
};
use crate::client::options::{Exit, PROGRAM, Settings};
use crate::client::screen::{Screen, ScreenQueue};
use crate::client::show::Style;
use crate::protocol::Status;
use crate::sanitize;
use crate::secrets::{self, SecretError};
use completion::Completion;

mod completion;

/// How long the prompt waits for a command, so that it names the right chat.
const PROMPT_PATIENCE: Duration = Duration::from_secs(2);

const TRIES: usize = 5;

pub(super) fn colours(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let dumb = set("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && set("NO_COLOR").is_none() && !dumb
}

pub(super) const NO_PASSWORD: &str =
    "--password-file or PLAUSCH_PASSWORD is needed without a terminal";

/// The password: from the named file, the environment, or asked for; `None` if there is nobody to ask.
pub(super) fn password(
    prompt: &str,
    file: Option<&Path>,
) -> Result<Option<Zeroizing<String>>, SecretError> {
    if let Some(path) = file {
        return secrets::file(path, |warning| eprintln!("{PROGRAM}: {warning}")).map(Some);
    }
    // One that is not UTF-8 was refused with the options.
    if let Ok(given) = std::env::var("PLAUSCH_PASSWORD") {
        return Ok(Some(given.into()));
    }
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    secrets::ask(prompt).map(Some)
}

/// `None` if nobody can be asked, or what was typed cannot be a password, which is said.
fn ask_secret(prompt: &str) -> Option<Zeroizing<String>> {
    let asked = io::stdin().is_terminal().then(|| secrets::ask(prompt));
    asked.and_then(Result::ok)
}

struct Terminal {
    editor: Editor<Completion, MemHistory>,
    queue: Option<Arc<ScreenQueue>>,
    engine: Sender<EngineInput>,
    interactive: bool,
    password_file: Option<PathBuf>,
    names: KnownNames,
    user: String,
}

pub(crate) fn run(settings: Settings) -> Exit {
    start(settings).unwrap_or_else(|error| {
        eprintln!("{PROGRAM}: the terminal cannot be used: {error}");
        Exit::Failed
    })
}

fn start(settings: Settings) -> rustyline::Result<Exit> {
    let interactive = io::stdin().is_terminal();
    let config = Config::builder()
        .completion_type(rustyline::CompletionType::List)
        .auto_add_history(true)
        // Colours are our own affair; without this the prompt is not ours to draw.
        .color_mode(rustyline::ColorMode::Forced)
        .build();
    let mut editor = Editor::with_history(config.clone(), MemHistory::with_config(&config))?;
    let style = Style {
        colours: colours(&io::stdout()),
    };
    // Without a terminal lines are just printed.
    let (screen, queue) = Screen::new(editor.create_external_printer().ok(), style)?;
    let options = EngineOptions {
        address: settings.address,
        security: settings.security,
        raw: settings.raw,
        fetch_media: settings.fetch_media,
        listens: true,
        strict: false,
        remembers: !interactive,
        deadline: None,
    };
    let (engine, inputs) = Engine::new(screen, options);
    if let Some(queue) = &queue {
        queue.tell(inputs.clone());
    }
    let names = engine.names();
    editor.set_helper(Some(Completion {
        names: names.clone(),
        files: FilenameCompleter::new(),
        queue: queue.clone(),
    }));
    let thread = thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || engine.run())?;
    let mut terminal = Terminal {
        editor,
        queue,
        engine: inputs,
        interactive,
        password_file: settings.password_file,
        names,
        user: String::new(),
    };
    if let Err(exit) = terminal.log_in(settings.user) {
        return Ok(exit);
    }
    terminal.chat();
    drop(terminal);
    // The engine's own reason to end, if it has one, is the first one.
    Ok(thread.join().unwrap_or(Exit::Failed))
}

impl Terminal {
    /// Gives the engine a command and waits for its end, or for `patience` if there is one.
    fn tell(&mut self, command: Command, patience: Option<Duration>) -> CommandOutcome {
        let (waiter, outcome) = Waiter::new();
        let command = EngineInput::Command(command, waiter);
        if self.engine.send(command).is_err() {
            return CommandOutcome::Ended(Exit::Failed);
        }
        let outcome = match patience {
            Some(patience) => outcome.recv_timeout(patience).ok(),
            None => outcome.recv().ok(),
        };
        outcome.unwrap_or(CommandOutcome::Fine)
    }

    fn edit(&mut self, prompt: &str) -> rustyline::Result<String> {
        let line = self.editor.readline(prompt);
        if let Some(queue) = &self.queue {
            queue.line_ended();
        }
        line
    }

    fn ask(&mut self, prompt: &str) -> Option<String> {
        if self.interactive {
            let line = self.edit(prompt).ok()?;
            return Some(line.trim().to_owned());
        }
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(1..) => Some(line.trim().to_owned()),
            _ => None,
        }
    }

    fn log_in(&mut self, user: Option<String>) -> Result<(), Exit> {
        self.user = match user {
            Some(user) => user,
            None if !self.interactive => {
                eprintln!("{PROGRAM}: --user is needed without a terminal");
                return Err(Exit::Usage);
            }
            None => {
                let name = self.ask("Name: ").filter(|name| !name.is_empty());
                name.ok_or(Exit::Login)?
            }
        };
        let mut registered = None;
        let mut declined = false;
        for _ in 0..TRIES {
            let password = match registered.take() {
                Some(password) => password,
                None => self.own_password()?,
            };
            let command = Command::Login {
                user: self.user.clone(),
                password: password.to_string(),
            };
            match self.tell(command, None) {
                CommandOutcome::Fine => return Ok(()),
                CommandOutcome::Refused(Some(Status::PasswordWrong)) if self.interactive => {}
                CommandOutcome::Unreachable => return Err(Exit::Unreachable),
                CommandOutcome::Ended(exit) => return Err(exit),
                CommandOutcome::Refused(_) => return Err(Exit::Login),
            }
            // Whoever has declined has mistyped a password.
            let question = format!("Register {} as a new user? [y/N] ", self.user);
            declined = declined || !self.ask(&question).is_some_and(|answer| is_yes(&answer));
            if !declined && self.register(&password) {
                registered = Some(password);
            } else if self.has_password() {
                // The same password would be refused again.
                return Err(Exit::Login);
            }
        }
        Err(Exit::Login)
    }

    fn own_password(&self) -> Result<Zeroizing<String>, Exit> {
        let prompt = format!("Password of {}: ", self.user);
        let error = match password(&prompt, self.password_file.as_deref()) {
            Ok(Some(password)) => return Ok(password),
            Ok(None) => NO_PASSWORD.to_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("{PROGRAM}: {error}");
        Err(Exit::Login)
    }

    fn has_password(&self) -> bool {
        self.password_file.is_some() || std::env::var_os("PLAUSCH_PASSWORD").is_some()
    }

    /// Makes an account with the password just typed, which has to be typed again.
    fn register(&mut self, password: &str) -> bool {
        if !self.has_password() {
            match ask_secret("The same password again: ") {
                Some(again) if *again == password => {}
                _ => {
                    println!("The passwords differ.");
                    return false;
                }
            }
        }
        let (Some(email), Some(gender)) = (self.ask("E-mail address: "), self.ask("Gender: "))
        else {
            return false;
        };
        let command = Command::Register {
            user: self.user.clone(),
            password: password.to_owned(),
            email,
            gender,
        };
        self.tell(command, None) == CommandOutcome::Fine
    }

    fn chat(&mut self) {
        if self.interactive {
            println!("/help lists what can be typed.");
        }
        loop {
            let prompt = match self.names.current() {
                Some(with) => format!("{}> ", sanitize::word(&with)),
                None => "> ".to_owned(),
            };
            let typed = match self.edit(&prompt) {
                Ok(line) => command::parse(&line),
                // Takes the line back, as in a shell.
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => Typed::Command(Command::Quit),
                Err(error) => {
                    eprintln!("{PROGRAM}: {error}");
                    Typed::Command(Command::Quit)
                }
            };
            let Some(command) = self.completed(typed) else {
                continue;
            };
            let waits = !self.interactive || command == Command::Quit;
            let patience = (!waits).then_some(PROMPT_PATIENCE);
            if let CommandOutcome::Ended(_) = self.tell(command, patience) {
                return;
            }
        }
    }

    /// What a line has the engine do, with what is still to be asked for.
    fn completed(&mut self, typed: Typed) -> Option<Command> {
        match typed {
            Typed::Command(Command::Delete) => self.is_sure().then_some(Command::Delete),
            Typed::Command(command) => Some(command),
            Typed::Nothing => None,
            Typed::Help => {
                println!("{}", command::help());
                None
            }
            Typed::Wrong(text) => {
                self.wrong(&text);
                None
            }
            Typed::Login => {
                let Some(password) = ask_secret("Password: ") else {
                    self.wrong("/login needs a terminal");
                    return None;
                };
                let (user, password) = (self.user.clone(), password.to_string());
                Some(Command::Login { user, password })
            }
            Typed::Passwd => self.new_password(),
        }
    }

    fn wrong(&mut self, text: &str) {
        println!("!! {text}");
        // One that has ended has its exit code.
        let _ = self.engine.send(EngineInput::Wrong(Exit::Usage));
    }

    fn is_sure(&mut self) -> bool {
        let (true, Some(with)) = (self.interactive, self.names.current()) else {
            return true;
        };
        let with = sanitize::word(&with);
        let question = format!("Delete the chat with {with} and its messages, for you? [y/N] ");
        self.ask(&question).is_some_and(|answer| is_yes(&answer))
    }

    fn new_password(&mut self) -> Option<Command> {
        let Some(old) = ask_secret("Old password: ") else {
            self.wrong("/passwd needs a terminal");
            return None;
        };
        let new = ask_secret("New password: ")?;
        let again = ask_secret("The new password again: ")?;
        if new != again {
            println!("!! the passwords differ");
            return None;
        }
        Some(Command::Passwd {
            old: old.to_string(),
            new: new.to_string(),
        })
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.to_lowercase().as_str(), "y" | "yes" | "j" | "ja")
}
