//! The person at the terminal: a line editor that arrivals do not tear, passwords without echo.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use rustyline::completion::FilenameCompleter;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};
use zeroize::Zeroizing;

use super::command;
use crate::client::command::{Command, Typed};
use crate::client::engine::{Done, Engine, Input, Options, Outcome};
use crate::client::options::{Exit, PROGRAM, Settings};
use crate::client::screen::{Queue, Screen};
use crate::client::show::Style;
use crate::protocol::Status;
use crate::sanitize;
use crate::secrets;
use crate::secrets::SecretError;
use completion::Completion;

mod completion;

/// How long the prompt waits for a command, so that it names the right chat.
const PROMPT_PATIENCE: Duration = Duration::from_secs(2);

/// How often a password is asked for before giving up.
const TRIES: usize = 5;

/// Whether lines for this stream get colours.
pub(super) fn colours(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let dumb = set("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && set("NO_COLOR").is_none() && !dumb
}

/// What is said where nobody can be asked.
pub(super) const NO_PASSWORD: &str =
    "--password-file or PLAUSCH_PASSWORD is needed without a terminal";

/// The password: from the file that was named, from the environment, else asked for. `None` if there
/// is nobody to ask.
///
/// # Errors
/// When what there is cannot be one.
pub(super) fn password(
    prompt: &str,
    file: Option<&Path>,
) -> Result<Option<Zeroizing<String>>, SecretError> {
    if let Some(given) = given_password(file)? {
        return Ok(Some(given));
    }
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    secrets::ask(prompt).map(Some)
}

fn given_password(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, SecretError> {
    match file {
        Some(path) => secrets::file(path, |warning| eprintln!("{PROGRAM}: {warning}")).map(Some),
        // One that is not UTF-8 was refused with the options.
        None => Ok(std::env::var("PLAUSCH_PASSWORD").ok().map(Zeroizing::new)),
    }
}

/// `None` if nobody can be asked, or what was typed cannot be a password, which is said.
fn ask_secret(prompt: &str) -> Option<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        return None;
    }
    secrets::ask(prompt).ok()
}

/// What the editor and the questions need.
struct Terminal {
    editor: Editor<Completion, MemHistory>,
    queue: Option<Arc<Queue>>,
    engine: Sender<Input>,
    /// Whether somebody sits there.
    interactive: bool,
    password_file: Option<PathBuf>,
    chat: Option<String>,
    user: String,
}

/// How a login went.
enum Login {
    Done,
    No(Exit),
}

/// Chats until the user leaves.
pub fn run(settings: Settings) -> Exit {
    match start(settings) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("{PROGRAM}: the terminal cannot be used: {error}");
            Exit::Failed
        }
    }
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
    let options = Options {
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
    editor.set_helper(Some(Completion {
        names: engine.names(),
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
        chat: None,
        user: String::new(),
    };
    let exit = match terminal.log_in(settings.user) {
        Login::Done => terminal.chat(),
        Login::No(exit) => Some(exit),
    };
    // The engine's own reason to end, if it has one, is the first one.
    drop(terminal);
    Ok(match exit {
        Some(exit) => exit,
        None => thread.join().unwrap_or(Exit::Failed),
    })
}

impl Terminal {
    /// Gives the engine a command and waits for its end, or for `patience` if there is one.
    fn tell(&mut self, command: Command, patience: Option<Duration>) -> Outcome {
        let (waiter, done) = bounded(1);
        if self
            .engine
            .send(Input::Command(command, Some(waiter)))
            .is_err()
        {
            return Outcome::Ended(Exit::Failed);
        }
        let done = match patience {
            Some(patience) => done.recv_timeout(patience).ok(),
            None => done.recv().ok(),
        };
        match done {
            Some(Done { chat, outcome }) => {
                self.chat = chat;
                outcome
            }
            None => Outcome::Fine,
        }
    }

    /// Lets a line be edited.
    fn edit(&mut self, prompt: &str) -> rustyline::Result<String> {
        let line = self.editor.readline(prompt);
        if let Some(queue) = &self.queue {
            queue.line_ended();
        }
        line
    }

    /// Asks for a line; `None` at the end of input.
    fn ask(&mut self, prompt: &str) -> Option<String> {
        if self.interactive {
            return match self.edit(prompt) {
                Ok(line) => Some(line.trim().to_owned()),
                Err(_) => None,
            };
        }
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(1..) => Some(line.trim().to_owned()),
            _ => None,
        }
    }

    fn log_in(&mut self, user: Option<String>) -> Login {
        let user = match user {
            Some(user) => user,
            None if !self.interactive => {
                eprintln!("{PROGRAM}: --user is needed without a terminal");
                return Login::No(Exit::Usage);
            }
            None => match self.ask("Name: ") {
                Some(user) if !user.is_empty() => user,
                _ => return Login::No(Exit::Login),
            },
        };
        self.user = user;
        let mut known = None;
        let mut declined = false;
        for _ in 0..TRIES {
            let prompt = format!("Password of {}: ", self.user);
            let password = match known.take() {
                Some(known) => known,
                None => match password(&prompt, self.password_file.as_deref()) {
                    Ok(Some(password)) => password,
                    Ok(None) => {
                        eprintln!("{PROGRAM}: {NO_PASSWORD}");
                        return Login::No(Exit::Login);
                    }
                    Err(error) => {
                        eprintln!("{PROGRAM}: {error}");
                        return Login::No(Exit::Login);
                    }
                },
            };
            let command = Command::Login {
                user: self.user.clone(),
                password: password.to_string(),
            };
            match self.tell(command, None) {
                Outcome::Fine => return Login::Done,
                Outcome::Refused(Some(Status::PasswordWrong)) if self.interactive => {
                    let question = format!("Register {} as a new user? [y/N] ", self.user);
                    // Whoever has declined has mistyped a password.
                    let yes =
                        !declined && self.ask(&question).is_some_and(|answer| is_yes(&answer));
                    declined |= !yes;
                    if yes && self.register(&password) {
                        known = Some(password);
                        continue;
                    }
                    // The same password would be refused again.
                    if self.has_password() {
                        return Login::No(Exit::Login);
                    }
                }
                Outcome::Unreachable => return Login::No(Exit::Unreachable),
                Outcome::Ended(exit) => return Login::No(exit),
                Outcome::Refused(_) => return Login::No(Exit::Login),
            }
        }
        Login::No(Exit::Login)
    }

    /// Whether the password is not to be typed.
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
        self.tell(command, None) == Outcome::Fine
    }

    /// Takes lines until the end. Gives the exit code if it is not the engine's.
    fn chat(&mut self) -> Option<Exit> {
        if self.interactive {
            println!("/help lists what can be typed.");
        }
        loop {
            let prompt = match &self.chat {
                Some(with) => format!("{}> ", sanitize::word(with)),
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
            let patience = self.interactive.then_some(PROMPT_PATIENCE);
            let outcome = match typed {
                Typed::Nothing => continue,
                Typed::Help => {
                    println!("{}", command::help());
                    continue;
                }
                Typed::Wrong(text) => {
                    self.wrong(&text);
                    continue;
                }
                Typed::Login => {
                    let Some(password) = ask_secret("Password: ") else {
                        self.wrong("/login needs a terminal");
                        continue;
                    };
                    let user = self.user.clone();
                    let password = password.to_string();
                    self.tell(Command::Login { user, password }, patience)
                }
                Typed::Passwd => match self.new_password() {
                    Some(command) => self.tell(command, patience),
                    None => continue,
                },
                Typed::Command(Command::Quit) => self.tell(Command::Quit, None),
                Typed::Command(Command::Delete) if !self.is_sure() => continue,
                Typed::Command(command) => self.tell(command, patience),
            };
            if let Outcome::Ended(_) = outcome {
                return None;
            }
        }
    }

    /// Tells of a line that cannot be carried out.
    fn wrong(&mut self, text: &str) {
        println!("!! {text}");
        // One that has ended has its exit code.
        let _ = self.engine.send(Input::Wrong(Exit::Usage));
    }

    fn is_sure(&mut self) -> bool {
        let (true, Some(with)) = (self.interactive, self.chat.clone()) else {
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
