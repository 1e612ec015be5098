//! A transcript under way: its connections, the values it has met, and what was said.

use super::super::client::{Client, Received, TIMEOUT, short};
use super::super::server::TestServer;
use super::text::{Piece, Text, fits, show, unescape};
use super::{Action, Expected, Outcome, Step, Transcript};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// So much of the conversation is shown when a step fails.
const SHOWN_LINES: usize = 40;

/// A transcript under way.
pub struct Run<'a> {
    transcript: &'a Transcript,
    addr: SocketAddr,
    text: Text,
    server: Option<TestServer>,
    connections: BTreeMap<String, Connection>,
    said: VecDeque<String>,
}

struct Connection {
    client: Client,
    /// `< ...` stands before what is expected next.
    skip: bool,
    half_closed: bool,
}

impl<'a> Run<'a> {
    pub fn new(
        transcript: &'a Transcript,
        addr: SocketAddr,
        suffix: String,
        server: Option<TestServer>,
    ) -> Run<'a> {
        Run {
            transcript,
            addr,
            text: Text::new(suffix),
            server,
            connections: BTreeMap::new(),
            said: VecDeque::new(),
        }
    }

    pub fn run(&mut self) {
        let transcript = self.transcript;
        let mut steps = transcript.steps.iter().peekable();
        while let Some(step) = steps.next() {
            let done = match &step.action {
                Action::Expect(first) if first.any_order => {
                    let mut group = vec![first];
                    let more = |next: &&Step| {
                        next.who == step.who
                            && matches!(&next.action, Action::Expect(next) if next.any_order)
                    };
                    while let Some(next) = steps.next_if(more) {
                        if let Action::Expect(next) = &next.action {
                            group.push(next);
                        }
                    }
                    self.expect_group(&step.who, group)
                }
                _ => self.step(step),
            };
            if let Err(reason) = &done {
                self.fail(step, reason);
            }
        }
        self.end();
    }

    fn fail(&self, step: &Step, reason: &str) -> ! {
        let said: Vec<&str> = self.said.iter().map(String::as_str).collect();
        let (name, line, who) = (&self.transcript.name, step.line, &step.who);
        let said = said.join("\n");
        panic!("tests/transcripts/{name}.txt:{line}: {who}: {reason}\n--- so far:\n{said}");
    }

    /// Whatever came and was not expected is a failure.
    fn end(&mut self) {
        for who in self.connections.keys().cloned().collect::<Vec<_>>() {
            if !self.connections[&who].half_closed
                && let Err(reason) = self.silent(&who)
            {
                let said = self.said.iter().map(String::as_str);
                let said = said.collect::<Vec<_>>().join("\n");
                let name = &self.transcript.name;
                panic!("tests/transcripts/{name}.txt: at the end: {reason}\n--- so far:\n{said}");
            }
        }
    }

    fn step(&mut self, step: &Step) -> Outcome {
        let who = step.who.as_str();
        match &step.action {
            Action::Connect => {
                if self.connections.contains_key(who) {
                    return Err("is connected already".to_owned());
                }
                self.connection(who)?;
            }
            Action::Close => {
                let mut connection = self.take(who)?;
                connection.client.shutdown_write();
                self.drain(&mut connection)?;
            }
            Action::Vanish => drop(self.take(who)?),
            Action::HalfClose => {
                let connection = self.connection(who)?;
                connection.client.shutdown_write();
                connection.half_closed = true;
            }
            Action::Eof => {
                let mut connection = self.take(who)?;
                match connection.client.next(TIMEOUT) {
                    Received::Closed => {}
                    other => return Err(format!("wanted the end, got {other:?}")),
                }
            }
            Action::Silent => self.silent(who)?,
            Action::Restart => {
                self.connections.clear();
                let server = self.server.as_mut().expect("checked before the run");
                server.restart();
                self.addr = server.addr();
            }
            Action::Greater(one, other) => self.compare(one, other, i64::gt)?,
            Action::Differ(one, other) => self.compare(one, other, i64::ne)?,
            Action::Bytes(text) => self.expect_bytes(who, text)?,
            Action::Send { text, raw } => self.send(who, text, *raw)?,
            Action::Expect(expected) => self.expect_group(who, vec![expected])?,
            Action::Skip => self.connection(who)?.skip = true,
        }
        Ok(())
    }

    fn compare(&self, one: &str, other: &str, holds: fn(&i64, &i64) -> bool) -> Outcome {
        let (a, b) = (self.text.variable(one)?, self.text.variable(other)?);
        match holds(&a, &b) {
            true => Ok(()),
            false => Err(format!("${one} is {a}, ${other} is {b}")),
        }
    }

    /// The connection of that name, opened if it is not.
    fn connection(&mut self, who: &str) -> Outcome<&mut Connection> {
        if !self.connections.contains_key(who) {
            let client = Client::try_connect(self.addr).map_err(|e| format!("connect: {e}"))?;
            let connection = Connection {
                client,
                skip: false,
                half_closed: false,
            };
            self.connections.insert(who.to_owned(), connection);
        }
        Ok(self.connections.get_mut(who).expect("just inserted"))
    }

    fn take(&mut self, who: &str) -> Outcome<Connection> {
        let taken = self.connections.remove(who);
        taken.ok_or_else(|| "is not connected".to_owned())
    }

    fn drain(&mut self, connection: &mut Connection) -> Outcome {
        loop {
            match connection.client.next(TIMEOUT) {
                Received::Line(_) => {}
                Received::Closed => return Ok(()),
                Received::TimedOut => return Err("the server did not close".to_owned()),
            }
        }
    }

    fn silent(&mut self, who: &str) -> Outcome {
        self.send(who, "134 nothing-else-came", false)?;
        let wanted = vec![Piece::Text("247 nothing-else-came".to_owned())];
        self.expect(who, vec![wanted])
    }

    fn send(&mut self, who: &str, text: &str, raw: bool) -> Outcome {
        let expanded = self.text.expand(text)?;
        let mut bytes = match raw {
            true => unescape(&expanded)?,
            false => expanded.clone().into_bytes(),
        };
        if !raw {
            bytes.extend_from_slice(b"\r\n");
        }
        self.note(format!(
            "{who} {} {}",
            if raw { ">>" } else { ">" },
            short(&expanded)
        ));
        match self.connection(who)?.client.send_raw_if_open(&bytes) {
            true => Ok(()),
            false => Err("the connection is closed".to_owned()),
        }
    }

    fn expect_bytes(&mut self, who: &str, text: &str) -> Outcome {
        let wanted = unescape(&self.text.expand(text)?)?;
        let got = self.connection(who)?.client.recv_raw(wanted.len());
        self.note(format!("{who} <= {}", got.escape_ascii()));
        match got == wanted {
            true => Ok(()),
            false => Err(format!("wanted `{text}`, got `{}`", got.escape_ascii())),
        }
    }

    fn expect_group(&mut self, who: &str, group: Vec<&Expected>) -> Outcome {
        let patterns = group
            .into_iter()
            .map(|expected| self.text.pattern(expected));
        let patterns: Outcome<Vec<_>> = patterns.collect();
        self.expect(who, patterns?)
    }

    /// Takes as many lines as there are patterns, in any order; other lines only after `< ...`.
    fn expect(&mut self, who: &str, mut patterns: Vec<Vec<Piece>>) -> Outcome {
        let mut skip = std::mem::take(&mut self.connection(who)?.skip);
        while !patterns.is_empty() {
            let line = match self.connection(who)?.client.next(TIMEOUT) {
                Received::Line(line) => line,
                other => return Err(format!("wanted `{}`, got {other:?}", show(&patterns))),
            };
            self.note(format!("{who} < {}", short(&line)));
            let mut matches = patterns.iter().enumerate();
            match matches.find_map(|(at, pattern)| Some((at, fits(pattern, &line)?))) {
                Some((at, bound)) => {
                    self.text.variables.extend(bound);
                    patterns.remove(at);
                    skip = false;
                }
                None if skip => {}
                None => {
                    let (wanted, got) = (show(&patterns), short(&line));
                    return Err(format!("wanted `{wanted}`, got `{got}`"));
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, line: String) {
        if self.said.len() == SHOWN_LINES {
            self.said.pop_front();
        }
        self.said.push_back(line);
    }
}
