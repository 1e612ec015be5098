//! Redis streams with `appendfsync always`, doing what the pairs do: the fastest durable
//! messenger that was found to compare with.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::link::Way;
use crate::load::{self, Pair, Pairs};
use crate::process::{self, Helper};
use crate::wire::Wire;

/// When a receiver says XREAD BLOCK.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// Before the messages are sent, as someone does who waits for messages.
    Waits,
    /// Once they are all there, so that one reply holds them: the least work for Redis, but only a
    /// load generator knows when that is.
    Asks,
}

pub struct Redis {
    pub helper: Helper,
    address: SocketAddr,
}

impl Redis {
    /// Starts one, its log of appended commands in `directory`. None when it is not installed.
    pub fn start(directory: &Path) -> Result<Option<Redis>> {
        let Some(program) = process::find_program("redis-server") else {
            return Ok(None);
        };
        let address = process::free_address()?;
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--save", "", "--auto-aof-rewrite-percentage", "0"])
            .arg("--dir")
            .arg(directory);
        let answers = || {
            let mut wire = Wire::connect(&Way::Plain, address).ok()?;
            wire.send(b"PING\r\n").ok()?;
            wire.receive("+PONG").ok()
        };
        let helper = Helper::start(&mut command, answers)?;
        Ok(Some(Redis { helper, address }))
    }

    pub fn talks(
        &self,
        pairs: usize,
        window: usize,
        size: usize,
        receiver: Receiver,
    ) -> Result<Pairs> {
        let body = "x".repeat(size);
        load::all(pairs, |index| {
            let key = format!("stream{index}");
            let add = command(&["XADD", &key, "*", "m", &body]);
            Ok(Talk {
                from: Wire::connect(&Way::Plain, self.address)?,
                to: Wire::connect(&Way::Plain, self.address)?,
                burst: add.repeat(window),
                window,
                receiver,
                // What follows an entry's id: `*2`, `$1`, `m`, the length, the body.
                rest: 4 + 4 + 3 + size.to_string().len() + 3 + size + 2,
                key,
                seen: "0-0".to_owned(),
            })
        })
    }
}

struct Talk {
    from: Wire,
    to: Wire,
    burst: Vec<u8>,
    window: usize,
    receiver: Receiver,
    rest: usize,
    key: String,
    seen: String,
}

impl Talk {
    fn ask(&mut self) -> Result<()> {
        let command = command(&["XREAD", "BLOCK", "0", "STREAMS", &self.key, &self.seen]);
        self.to.send(&command)
    }

    fn acknowledged(&mut self) -> Result<()> {
        for _ in 0..self.window {
            self.from.receive("$")?;
            self.from.line()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<usize> {
        for start in ["*1", "*2", "$", "stream"] {
            self.to.receive(start)?;
        }
        let count = std::str::from_utf8(self.to.line()?)?
            .strip_prefix('*')
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| Failure::new("XREAD answers in another form"))?;
        for entry in 1..=count {
            self.to.receive("*2")?;
            self.to.receive("$")?;
            let id = self.to.line()?;
            if entry == count {
                self.seen.clear();
                self.seen.push_str(std::str::from_utf8(id)?);
            }
            self.to.skip(self.rest)?;
        }
        Ok(count)
    }
}

impl Pair for Talk {
    fn burst(&mut self) -> Result<Duration> {
        if self.receiver == Receiver::Waits {
            self.ask()?;
        }
        let begun = Instant::now();
        self.from.send(&self.burst)?;
        if self.window == 1 && self.receiver == Receiver::Waits {
            self.receive()?;
            let taken = begun.elapsed();
            self.acknowledged()?;
            return Ok(taken);
        }
        self.acknowledged()?;
        if self.receiver == Receiver::Asks {
            self.ask()?;
        }
        let mut received = self.receive()?;
        while received < self.window {
            self.ask()?;
            received += self.receive()?;
        }
        Ok(begun.elapsed())
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}
