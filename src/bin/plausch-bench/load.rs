//! Load: pairs of peers, a thread each, that send a window of messages and wait until all of it
//! was acknowledged and has arrived.

use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Doing, Failure, Result};
use crate::process;
use crate::server::Server;
use crate::wire::Wire;

/// What one thread drives.
pub trait Pair: Send {
    /// Sends a window of messages and waits for all that comes of it; returns how long the
    /// message was on its way (of a window of 1, until it arrived, not until it was acknowledged).
    fn burst(&mut self) -> Result<Duration>;
}

/// What came of a run.
#[derive(Default)]
pub struct Outcome {
    /// Messages acknowledged and delivered.
    pub messages: f64,
    /// How long it took.
    pub seconds: f64,
    /// CPU seconds that the load generator used.
    pub own_cpu: f64,
    latencies: Vec<u64>,
}

impl Outcome {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.messages / self.seconds
    }

    /// A quantile of the latencies in milliseconds.
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

/// Lets all pairs go for about `seconds`.
///
/// With a `slack`, pairs depend on each other and must all end after the same burst: the first
/// one whose time is over announces the last burst, so many bursts ahead.
pub fn drive(
    pairs: &mut [Box<dyn Pair>],
    window: usize,
    seconds: f64,
    slack: Option<u64>,
) -> Result<Outcome> {
    let gate = RwLock::new(());
    let last = AtomicU64::new(u64::MAX);
    let own = std::process::id();
    thread::scope(|scope| {
        let closed = gate.write();
        let mut threads = Vec::with_capacity(pairs.len());
        for pair in pairs.iter_mut() {
            let (gate, last) = (&gate, &last);
            let work = move || -> Result<Vec<u64>> {
                drop(gate.read());
                let begun = Instant::now();
                let mut latencies = Vec::with_capacity(4096);
                for burst in 0_u64.. {
                    if begun.elapsed().as_secs_f64() >= seconds {
                        let end = burst + slack.unwrap_or(0);
                        if slack.is_none() {
                            break;
                        }
                        let _ = last.compare_exchange(
                            u64::MAX,
                            end,
                            Ordering::AcqRel,
                            Ordering::Acquire,
                        );
                    }
                    if burst >= last.load(Ordering::Acquire) {
                        break;
                    }
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
                    last.store(0, Ordering::Release);
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

/// Two users, one sends to the other.
struct Talk {
    from: Wire,
    to: Wire,
    burst: Vec<u8>,
    window: usize,
}

/// Logs pairs of users in: `u0` sends to `u1` in chat 1, `u2` to `u3` in chat 2, and so on.
pub fn talks(
    server: &Server,
    pairs: usize,
    window: usize,
    size: usize,
) -> Result<Vec<Box<dyn Pair>>> {
    let body = "x".repeat(size);
    (0..pairs)
        .map(|index| {
            let line = format!("115 {} {body}\n", index + 1);
            let talk: Box<dyn Pair> = Box::new(Talk {
                from: server.login(&format!("u{}", 2 * index))?,
                to: server.login(&format!("u{}", 2 * index + 1))?,
                burst: line.repeat(window).into_bytes(),
                window,
            });
            Ok(talk)
        })
        .collect()
}

impl Pair for Talk {
    fn burst(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.from.send(&self.burst)?;
        if self.window == 1 {
            self.to.expect("220 ")?;
            let taken = begun.elapsed();
            self.from.expect("219 400")?;
            return Ok(taken);
        }
        for _ in 0..self.window {
            self.from.expect("219 400")?;
        }
        for _ in 0..self.window {
            self.to.expect("220 ")?;
        }
        Ok(begun.elapsed())
    }
}

/// A sender that sends to all receivers in turn, and one of the receivers.
///
/// Sender i's message n goes to receiver (i + n) mod N. So in each round, in which every sender
/// sends one window, each receiver gets one window as well, and waiting for it cannot deadlock:
/// whoever is behind gets all it waits for once the others have sent the same round.
struct Turns {
    from: Wire,
    to: Wire,
    /// One line for each receiver, and the first `window` of them once more.
    lines: Vec<u8>,
    /// Where each of them starts.
    starts: Vec<usize>,
    next: usize,
    window: usize,
}

/// Bursts that a pair of [`turns`] can never be ahead of another one: all receivers come up once
/// in N / window rounds, so nobody gets further ahead than that.
pub const TURNS_SLACK: u64 = 8;

/// Logs `count` senders and `count` receivers in; their chats are those of [`turns_chats`].
pub fn turns(server: &Server, count: usize, window: usize) -> Result<Vec<Box<dyn Pair>>> {
    let body = "x".repeat(64);
    (0..count)
        .map(|sender| {
            let mut lines = Vec::new();
            let mut starts = Vec::new();
            for turn in 0..count + window + 1 {
                let receiver = (sender + turn) % count;
                starts.push(lines.len());
                let chat = scattered(sender * count + receiver, count * count) + 1;
                lines.extend_from_slice(format!("115 {chat} {body}\n").as_bytes());
            }
            let pair: Box<dyn Pair> = Box::new(Turns {
                from: server.login(&format!("u{sender}"))?,
                to: server.login(&format!("u{}", count + sender))?,
                lines,
                starts,
                next: 0,
                window,
            });
            Ok(pair)
        })
        .collect()
}

/// The chats that [`turns`] expects.
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
            self.from.expect("219 400")?;
        }
        for _ in 0..self.window {
            self.to.expect("220 ")?;
        }
        Ok(begun.elapsed())
    }
}
