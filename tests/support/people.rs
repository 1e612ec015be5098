//! Users for the tests: how they come to an account, to contacts and to chats.

use super::client::Client;
use super::server::TestServer;
use super::system::wait_for;
use std::net::SocketAddr;
use std::time::Duration;

pub const PASSWORD: &str = "geheim-12345";

/// Lines that are under way at once where a test sends many: enough to be fast, too few to fill
/// the sockets both ways.
const WINDOW: usize = 256;

/// A `220` with a bare Message, so one without media.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Push {
    pub chat: i64,
    pub timestamp: i64,
    pub message: String,
}

impl Push {
    /// None if the line is no `220`.
    pub fn parse(line: &str) -> Option<Push> {
        let mut words = line.strip_prefix("220 ")?.splitn(3, ' ');
        let number = |word: Option<&str>| word.and_then(|digits| digits.parse().ok());
        let (chat, timestamp) = (number(words.next()), number(words.next()));
        let (Some(chat), Some(timestamp), Some(message)) = (chat, timestamp, words.next()) else {
            panic!("malformed 220: `{line}`");
        };
        assert!(!message.starts_with('"'), "not a bare Message: `{line}`");
        Some(Push {
            chat,
            timestamp,
            message: message.to_owned(),
        })
    }
}

impl Client {
    pub fn register(&mut self, name: &str) {
        self.send(&format!("117 {name} {PASSWORD} {name}@example.org m"));
        self.expect("222 400");
    }

    pub fn login(&mut self, name: &str) {
        self.user = name.to_owned();
        self.send(&format!("110 {name} {PASSWORD}"));
        self.expect(&format!("212 400 {name}"));
    }

    pub fn logout(&mut self) {
        self.send("111");
        self.expect("213 400");
    }

    /// The next line, which must be a message.
    pub fn recv_push(&mut self) -> Push {
        let line = self.recv();
        match Push::parse(&line) {
            Some(push) => push,
            None => panic!("wanted a 220, got `{line}`\n{}", self.conversation()),
        }
    }

    /// Sends one message.
    pub fn say(&mut self, chat: i64, text: &str) {
        self.send(&format!("115 {chat} {text}"));
        self.expect("219 400");
    }

    /// Sends many, each of which must be accepted. Nothing may be pushed to this user meanwhile.
    pub fn say_all(&mut self, chat: i64, texts: impl IntoIterator<Item = String>) {
        let mut texts = texts.into_iter().peekable();
        while texts.peek().is_some() {
            let window = texts.by_ref().take(WINDOW);
            let lines: Vec<String> = window.map(|text| format!("115 {chat} {text}")).collect();
            self.send_lines(&lines);
            for _ in lines {
                self.expect("219 400");
            }
        }
    }
}

pub fn register_and_login(server: &TestServer, name: &str) -> Client {
    let mut client = server.connect();
    client.register(name);
    client.login(name);
    client
}

/// Sooner than a peer that falls silent counts as dead, which takes 45 seconds at least: what is free
/// by then was freed because its connection was seen to end.
const FREE: Duration = Duration::from_secs(30);

/// Logs in as soon as the name is free: for the time after a connection was cut, of which the
/// server hears when it hears of it.
pub fn login_when_free(addr: SocketAddr, name: &str) -> Client {
    let mut client = Client::connect(addr);
    client.user = name.to_owned();
    wait_for("the name is free", FREE, || {
        let answer = client.ask(&format!("110 {name} {PASSWORD}"));
        if answer == format!("212 400 {name}") {
            return Some(());
        }
        assert_eq!(answer, format!("212 405 {name}"));
        None
    });
    client
}

/// Makes two logged-in users contacts.
pub fn befriend(one: &mut Client, other: &mut Client) {
    one.send(&format!("121 {}", other.user));
    one.expect("232 400");
    other.expect(&format!("233 {}", one.user));
    other.send(&format!("121 {}", one.user));
    other.expect("232 400");
    one.expect(&format!("233 {}", other.user));
}

/// Opens the chat of two contacts, who need not have one yet, and gives its ChatID.
pub fn open_chat(one: &mut Client, other: &Client) -> i64 {
    one.send(&format!("113 {}", other.user));
    one.expect("217 400");
    chat_with(one, &other.user)
}

/// The ChatID as `112` gives it.
pub fn chat_with(one: &mut Client, other: &str) -> i64 {
    one.send("112");
    let lines = one.recv_until("216");
    let ours = lines.iter().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["215", id, first, second] if first == other || second == other => id.parse().ok(),
            _ => None,
        }
    });
    ours.unwrap_or_else(|| panic!("no chat with {other} in {lines:?}"))
}

/// Two users who are logged in, contacts, and share a chat.
pub fn pair(server: &TestServer, one: &str, other: &str) -> (Client, Client, i64) {
    let mut first = register_and_login(server, one);
    let mut second = register_and_login(server, other);
    befriend(&mut first, &mut second);
    let chat = open_chat(&mut first, &second);
    (first, second, chat)
}
