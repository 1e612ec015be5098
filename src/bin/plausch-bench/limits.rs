//! What the machine gives: its disk, SQLite on it, and its loopback.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::Bench;
use crate::database::{self, BODY, INDEX, INSERT};
use crate::failure::{Doing, Failure, Result};
use crate::link::Way;
use crate::load::{self, Pair, Pairs};
use crate::process::{self, Helper};
use crate::report::{Section, Unit};
use crate::wire::Wire;

pub const ECHO: &str = "--serve-echo";

pub const LANES: usize = 200;

pub fn disk(bench: &mut Bench) -> Result<()> {
    bench.say("the disk");
    let path = bench.dir.join("disk");
    for _ in 0..bench.runs {
        process::settle()?;
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        let mut latencies = Vec::new();
        let begun = Instant::now();
        while begun.elapsed().as_secs_f64() < bench.seconds {
            let one = Instant::now();
            file.write_all(&[b'x'; 4096])?;
            file.sync_data()?;
            latencies.push(one.elapsed().as_nanos() as u64);
        }
        latencies.sort_unstable();
        for (key, quantile) in [("disk p50", 0.5), ("disk p99", 0.99)] {
            bench.report.add(key, load::quantile(&latencies, quantile));
        }
        std::fs::remove_file(&path)?;
    }
    let report = &mut bench.report;
    let name = "append of 4 KiB with fdatasync, p50";
    report.row(Section::Limits, name, "disk p50", Unit::Millis, "");
    let name = "append of 4 KiB with fdatasync, p99";
    report.row(Section::Limits, name, "disk p99", Unit::Millis, "");
    Ok(())
}

/// SQLite alone: our schema, our pragmas, our statement, one thread and nothing around it.
pub struct Raw {
    path: PathBuf,
    connection: Connection,
    lanes: usize,
    next: i64,
}

impl Raw {
    pub fn open(directory: &Path, name: &str, lanes: usize) -> Result<Raw> {
        let path = directory.join(name);
        let connection = database::create(&path)?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -8000; PRAGMA journal_size_limit = 16777216;",
        )?;
        Ok(Raw {
            path,
            connection,
            lanes,
            next: 1,
        })
    }

    /// Inserts for about `seconds`, `batch` rows a transaction, `run` rows a lane; rows a second.
    pub fn insert(&mut self, batch: i64, run: i64, seconds: f64) -> Result<f64> {
        let first = self.next;
        let begun = Instant::now();
        let mut elapsed = 0.0;
        while elapsed < seconds {
            let execute = |sql| self.connection.prepare_cached(sql)?.execute([]);
            execute("BEGIN IMMEDIATE")?;
            let mut insert = self.connection.prepare_cached(INSERT)?;
            let mut index = self.connection.prepare_cached(INDEX)?;
            for id in self.next..self.next + batch {
                let lane = (id / run) as usize;
                let lane = load::scattered(lane, self.lanes) as i64;
                insert.execute((id, lane, 1_763_862_000_000 + id, BODY, None::<i64>))?;
                index.execute((lane, id))?;
            }
            execute("COMMIT")?;
            self.next += batch;
            elapsed = begun.elapsed().as_secs_f64();
        }
        Ok((self.next - first) as f64 / elapsed)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        database::remove(&self.path);
    }
}

pub fn sqlite(bench: &mut Bench) -> Result<()> {
    for batch in [1, 16, 256] {
        bench.say(&format!("SQLite in batches of {batch}"));
        let mut raw = Raw::open(&bench.dir, "raw.db", LANES)?;
        raw.insert(batch, 32, bench.warm_up())?;
        let key = format!("raw {batch}");
        for _ in 0..bench.runs {
            process::settle()?;
            let rate = raw.insert(batch, 32, bench.seconds)?;
            bench.report.add(key.as_str(), rate);
        }
        let name = format!("SQLite rows, our schema, FULL, batches of {batch}");
        let report = &mut bench.report;
        report.row(Section::Limits, &name, &key, Unit::Rate, "");
    }
    Ok(())
}

/// An echo server with a thread for each connection, in a process of its own.
pub struct Echo {
    pub helper: Helper,
    address: SocketAddr,
}

impl Echo {
    pub fn start() -> Result<Echo> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ECHO)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing("starting the echo server")?;
        let stdout = child.stdout.take();
        let mut line = String::new();
        let stdout = stdout.ok_or_else(|| Failure::new("the echo server has no output"))?;
        BufReader::new(stdout).read_line(&mut line)?;
        let port: u16 = line.trim().parse().doing("the echo server's port")?;
        Ok(Echo {
            helper: Helper(child),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        })
    }

    pub fn talks(&self, pairs: usize, window: usize) -> Result<Pairs> {
        // As long as a message of 64 bytes on its way out.
        let line = format!("115 1000 {BODY}\r\n");
        load::all(pairs, |_| {
            Ok(EchoTalk {
                wire: Wire::connect(&Way::Plain, self.address)?,
                burst: line.repeat(window).into_bytes(),
                window,
            })
        })
    }
}

struct EchoTalk {
    wire: Wire,
    burst: Vec<u8>,
    window: usize,
}

impl Pair for EchoTalk {
    fn burst(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.wire.send(&self.burst)?;
        for _ in 0..self.window {
            self.wire.receive("115 ")?;
        }
        Ok(begun.elapsed())
    }
}

/// What [`ECHO`] makes of this program: ends when its standard input does.
pub fn serve_echo() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    std::thread::Builder::new().spawn(move || {
        for stream in listener.incoming().flatten() {
            let echo = move || -> std::io::Result<()> {
                stream.set_nodelay(true)?;
                let mut buffer = [0; 16 << 10];
                loop {
                    match (&stream).read(&mut buffer)? {
                        0 => return Ok(()),
                        count => (&stream).write_all(&buffer[..count])?,
                    }
                }
            };
            // A client that goes takes its thread with it; one too many is turned away.
            let _ = std::thread::Builder::new().stack_size(64 << 10).spawn(echo);
        }
    })?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
