//! Somebody who sits at a terminal with `plausch` in it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::support::client::Client;
use crate::support::people::{PASSWORD, pair};
use crate::support::server::TestServer;

/// How long anything may take to appear.
const PATIENCE_MS: u64 = 60_000;

/// The client program that was built along with the tests.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_plausch");

pub struct Person {
    session: PtySession,
    name: String,
}

/// The program with a clean environment, as one user.
pub fn command(user: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .env("TERM", "xterm")
        .env("TZ", "UTC0")
        .env("PLAUSCH_USER", user)
        .env("PLAUSCH_PASSWORD", PASSWORD);
    command
}

/// The same, on a terminal that echoes, as terminals do.
pub fn command_with_echo(user: &str) -> Command {
    let plain = command(user);
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"stty echo; exec "$0" "$@""#, PROGRAM])
        .env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("PATH", "/usr/bin:/bin");
    command
}

/// Anna at a terminal, in her chat with Bernd, who has a plain connection.
pub fn anna_with_bernd() -> (TestServer, Person, Client, i64) {
    let server = TestServer::start();
    let (anna, bernd, chat) = pair(&server, "anna", "bernd");
    drop(anna);
    let mut anna = Person::at(server.addr(), "anna");
    anna.goes_to("bernd");
    (server, anna, bernd, chat)
}

impl Person {
    /// Starts a client for a user who exists, and waits for the login.
    pub fn at(server: SocketAddr, name: &str) -> Person {
        Person::with_arrivals(server, name).0
    }

    /// The same; gives what came meanwhile, too.
    pub fn with_arrivals(server: SocketAddr, name: &str) -> (Person, String) {
        let mut command = command(name);
        command.env("NO_COLOR", "1").arg(server.to_string());
        let mut person = Person::with(command, name);
        let mut seen = person.sees(&format!("logged in as {name}"));
        seen.push_str(&person.sees("/help lists"));
        seen.push_str(&person.sees("> "));
        (person, seen)
    }

    /// Starts a client as this command does.
    pub fn with(command: Command, name: &str) -> Person {
        let session = spawn_command(command, Some(PATIENCE_MS)).expect("a pseudo-terminal");
        Person {
            session,
            name: name.to_owned(),
        }
    }

    /// Types, without Enter.
    pub fn types(&mut self, text: &str) {
        self.session.send(text).expect("typed");
        self.session.flush().expect("typed");
    }

    /// Types a line.
    pub fn enters(&mut self, line: &str) {
        self.types(line);
        // Enter is a carriage return.
        self.types("\r");
    }

    /// Waits until the text appears; gives what came before it.
    pub fn sees(&mut self, text: &str) -> String {
        // The reader takes each byte for a character.
        let bytes: String = text.bytes().map(char::from).collect();
        match self.session.exp_string(&bytes) {
            Ok(before) => before,
            Err(error) => panic!("{} does not see `{text}`: {error}", self.name),
        }
    }

    /// Goes to a chat.
    pub fn goes_to(&mut self, name: &str) {
        self.enters(&format!("/chat {name}"));
        self.sees(&format!("chat with {name}"));
        self.sees(&format!("{name}> "));
    }

    /// Leaves; the program ends with this exit code.
    pub fn leaves(&mut self, code: i32) -> String {
        self.enters("/quit");
        self.ends(code)
    }

    /// The program ends with this exit code. Gives what it still said.
    pub fn ends(&mut self, code: i32) -> String {
        let rest = self.session.exp_eof().expect("the end");
        match self.session.process().wait() {
            Ok(WaitStatus::Exited(_, got)) => assert_eq!(got, code, "{rest}"),
            other => panic!("{} ended so: {other:?}", self.name),
        }
        rest
    }
}

/// An address that nobody listens on, and that stays free while a server is away: on a host of the
/// loopback network that no other test and no other connection uses, so that the system gives its
/// port to nobody else.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed));
    let listener = TcpListener::bind((host, 0)).expect("a port");
    listener.local_addr().expect("its number")
}
