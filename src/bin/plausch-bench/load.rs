//! Load: pairs of peers, a thread each, that send a window of messages and wait until all of it
//! was acknowledged and has arrived.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Doing, Failure, Result};
use crate::process;
use crate::server::Server;
use crate::wire::{PATIENCE, Wire};

pub trait Pair: Send {
    /// Sends a window of messages and waits for all that comes of it; returns how long the
    /// message was on its way (of a window of 1, until it arrived, not until it was acknowledged).
    fn burst(&mut self) -> Result<Duration>;
}

#[derive(Default)]
pub struct Outcome {
    pub messages: f64,
    pub seconds: f64,
    pub own_cpu: f64,
    latencies: Vec<u64>,
}

impl Outcome {
    pub fn rate(&self) -> f64 {
        self.messages / self.seconds
    }

    pub fn quantile(&self, q: f64) -> f64 {
        quantile(&self.latencies, q)
    }
}

/// A quantile, in milliseconds, of sorted nanoseconds.
pub fn quantile(sorted: &[u64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * q).round() as usize;
    sorted.get(index).map_or(f64::NAN, |&ns| ns as f64 / 1e6)
}

pub type Pairs = Vec<Box<dyn Pair>>;

pub fn drive(pairs: &mut [Box<dyn Pair>], window: usize, seconds: f64) -> Result<Outcome> {
    let gate = RwLock::new(());
    let cancelled = AtomicBool::new(false);
    let own = std::process::id();
    thread::scope(|scope| {
        let closed = gate.write();
        let mut threads = Vec::with_capacity(pairs.len());
        for pair in pairs.iter_mut() {
            let (gate, cancelled) = (&gate, &cancelled);
            let work = move || -> Result<Vec<u64>> {
                drop(gate.read());
                let begun = Instant::now();
                let mut latencies = Vec::with_capacity(4096);
                while begun.elapsed().as_secs_f64() < seconds && !cancelled.load(Ordering::Acquire)
                {
                    latencies.push(pair.burst()?.as_nanos() as u64);
                }
                Ok(latencies)
            };
            let spawned = thread::Builder::new()
                .name("pair".to_owned())
                .stack_size(256 << 10)
                .spawn_scoped(scope, work);
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    // Those that wait at the gate find that there is nothing to do.
                    cancelled.store(true, Ordering::Release);
                    return Err(error).doing("starting a thread");
                }
            }
        }
        // Until all wait at the gate.
        thread::sleep(Duration::from_millis(20));
        let cpu = process::cpu_seconds(own)?;
        let begun = Instant::now();
        drop(closed);
        let mut outcome = Outcome::default();
        let mut failure = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok(latencies)) => outcome.latencies.extend(latencies),
                Ok(Err(error)) => failure = Some(error),
                Err(_) => failure = Some(Failure::new("a thread of the load generator panicked")),
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        outcome.seconds = begun.elapsed().as_secs_f64();
        outcome.own_cpu = process::cpu_seconds(own)? - cpu;
        outcome.messages = (outcome.latencies.len() * window) as f64;
        outcome.latencies.sort_unstable();
        Ok(outcome)
    })
}

struct Talk {
    from: Wire,
    to: Wire,
    burst: Vec<u8>,
    window: usize,
}

/// Logs pairs of users in: `u0` sends to `u1` in chat 1, `u2` to `u3` in chat 2, and so on.
pub fn talks(server: &Server, pairs: usize, window: usize, size: usize) -> Result<Pairs> {
    let body = "x".repeat(size);
    all(pairs, |index| {
        let line = format!("115 {} {body}\n", index + 1);
        Ok(Talk {
            from: server.login(&format!("u{}", 2 * index))?,
            to: server.login(&format!("u{}", 2 * index + 1))?,
            burst: line.repeat(window).into_bytes(),
            window,
        })
    })
}

pub fn all<P: Pair + 'static>(count: usize, pair: impl Fn(usize) -> Result<P>) -> Result<Pairs> {
    (0..count)
        .map(|index| Ok(Box::new(pair(index)?) as Box<dyn Pair>))
        .collect()
}

impl Pair for Talk {
    fn burst(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.from.send(&self.burst)?;
        if self.window == 1 {
            self.to.receive("220 ")?;
            let taken = begun.elapsed();
            self.from.receive("219 400")?;
            return Ok(taken);
        }
        for _ in 0..self.window {
            self.from.receive("219 400")?;
        }
        for _ in 0..self.window {
            self.to.receive("220 ")?;
        }
        Ok(begun.elapsed())
    }
}

/// A sender that sends to all receivers in turn. The receivers have threads of their own, which
/// tell each sender when its window has arrived.
struct Turns {
    from: Wire,
    arrived: Receiver<()>,
    /// One line for each receiver, and the first `window` of them once more.
    lines: Vec<u8>,
    starts: Vec<usize>,
    next: usize,
    window: usize,
}

/// Logs `count` senders and `count` receivers in; their chats are those of [`turns_chats`].
pub fn turns(server: &Server, count: usize, window: usize) -> Result<Pairs> {
    let filler = "x".repeat(60);
    let mut pairs: Pairs = Vec::with_capacity(count);
    let mut senders = Vec::with_capacity(count);
    for sender in 0..count {
        let mut lines = Vec::new();
        let mut starts = Vec::new();
        for turn in 0..count + window + 1 {
            let receiver = (sender + turn) % count;
            starts.push(lines.len());
            let chat = scattered(sender * count + receiver, count * count) + 1;
            // The message says whose it is.
            lines.extend_from_slice(format!("115 {chat} {filler}{sender:04}\n").as_bytes());
        }
        let (tell, arrived) = sync_channel(1);
        senders.push((AtomicUsize::new(0), tell));
        pairs.push(Box::new(Turns {
            from: server.login(&format!("u{sender}"))?,
            arrived,
            lines,
            starts,
            next: 0,
            window,
        }));
    }
    let senders = Arc::new(senders);
    for receiver in 0..count {
        let mut wire = server.login(&format!("u{}", count + receiver))?;
        wire.socket().set_read_timeout(None)?;
        let senders = Arc::clone(&senders);
        // It ends with its connection, thus with the server; what it misses its sender reports.
        thread::Builder::new()
            .name("receiver".to_owned())
            .stack_size(256 << 10)
            .spawn(move || {
                while let Ok(line) = wire.line() {
                    let number = &line[line.len().saturating_sub(4)..];
                    let number = std::str::from_utf8(number).ok();
                    let sender = number.and_then(|number| number.parse::<usize>().ok());
                    let Some((arrived, tell)) = sender.and_then(|sender| senders.get(sender))
                    else {
                        return;
                    };
                    let before = arrived.fetch_add(1, Ordering::AcqRel);
                    // A sender has one window on its way, never more.
                    if (before + 1).is_multiple_of(window) && tell.send(()).is_err() {
                        return;
                    }
                }
            })
            .doing("starting a thread")?;
    }
    Ok(pairs)
}

pub fn turns_chats(count: usize) -> Vec<(usize, usize)> {
    let mut chats = vec![(0, 0); count * count];
    for index in 0..chats.len() {
        let members = (index / count, count + index % count);
        let place = scattered(index, count * count);
        chats[place] = members;
    }
    chats
}

/// Another order of `count` things, in which neighbours are far from each other, so that what
/// goes to each of them dirties a page of its own.
pub fn scattered(index: usize, count: usize) -> usize {
    // A prime: no round count has it as a factor, so no two indexes meet.
    index * 7919 % count
}

impl Pair for Turns {
    fn burst(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let range = self.starts[self.next]..self.starts[self.next + self.window];
        let turns = self.starts.len() - self.window - 1;
        self.next = (self.next + self.window) % turns;
        self.from.send(&self.lines[range])?;
        for _ in 0..self.window {
            self.from.receive("219 400")?;
        }
        self.arrived
            .recv_timeout(PATIENCE)
            .doing("a window did not arrive")?;
        Ok(begun.elapsed())
    }
}
