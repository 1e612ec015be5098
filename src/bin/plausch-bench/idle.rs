//! What doing nothing costs: memory of connections at rest, and the time until the first answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::database::{self, Plan};
use crate::failure::{Doing, Failure, Result};
use crate::process;
use crate::report::{Section, Unit, significant};
use crate::server::{PASSWORD, Server};

/// Logged-in connections.
const STEPS: [usize; 3] = [1_000, 5_000, 10_000];

/// Descriptors that are needed beside those of the connections.
const OTHER_FILES: usize = 100;

/// Users that log in at the same time.
const AT_ONCE: usize = 100;

/// How long the server may take to come to rest.
const REST: Duration = Duration::from_secs(15);

/// Measures memory and start. `million` is a database with a million messages and 10,000 users.
pub fn measure(bench: &mut Bench, million: &Path) -> Result<()> {
    let users = bench.dir.join("users.db");
    let plan = Plan {
        users: STEPS[2],
        chats: Vec::new(),
        messages: 0,
        delivered: true,
        one_way: false,
    };
    database::build(&users, &plan, &bench.hash)?;
    for run in 1..=bench.runs {
        bench.say(&format!("connections at rest, {run} of {}", bench.runs));
        ramp(bench, &users)?;
    }
    bench.say("starts");
    let (program, small) = (bench.program.clone(), bench.small.clone());
    for _ in 0..bench.runs.max(5) {
        let fresh = bench.dir.join("fresh.db");
        start(bench, &program, &fresh, "empty")?;
        database::remove(&fresh);
        start(bench, &program, million, "million")?;
        if let Some(small) = &small {
            start(bench, small, &fresh, "small")?;
            database::remove(&fresh);
        }
    }
    database::remove(&users);
    rows(bench)
}

fn ramp(bench: &mut Bench, users: &Path) -> Result<()> {
    let database = database::copy(users, &bench.dir)?;
    let server = Server::start(&bench.program, &database)?;
    let pid = server.pid();
    bench.report.add("idle start", resident(pid)?);
    // What the server needs once, it has needed after these have come and gone.
    let threads = threads(pid)?;
    login(&server, 0..AT_ONCE)?;
    rest(pid, threads)?;
    let base = Figures::of(pid)?;
    let mut connections = Vec::new();
    for step in STEPS {
        if step + OTHER_FILES > open_files()? {
            let why = "the limit of open files is below";
            bench.refused_idle(step, why);
            break;
        }
        let more = connections.len()..step;
        match login(&server, more) {
            Ok(more) => connections.extend(more),
            Err(error) => {
                bench.refused_idle(step, &error.to_string());
                break;
            }
        }
        rest(pid, base.threads + step as f64)?;
        let now = Figures::of(pid)?;
        let mut add = |what: &str, now: f64, base: f64| {
            let each = (now - base) / step as f64;
            bench.report.add(format!("idle {step} {what}"), each);
        };
        add("rss", now.resident, base.resident);
        add("pss", now.proportional, base.proportional);
        let stack = process::kernel_stack_kib()?;
        let stacks = |figures: &Figures| figures.threads * stack;
        add("stack", stacks(&now), stacks(&base));
        bench
            .report
            .add(format!("idle {step} all"), now.resident / 1024.0);
    }
    drop(connections);
    server.stop()?;
    database::remove(&database);
    Ok(())
}

struct Figures {
    resident: f64,
    proportional: f64,
    threads: f64,
}

impl Figures {
    fn of(pid: u32) -> Result<Figures> {
        Ok(Figures {
            resident: resident(pid)?,
            proportional: process::figure(pid, "smaps_rollup", "Pss")?,
            threads: threads(pid)?,
        })
    }
}

fn resident(pid: u32) -> Result<f64> {
    // smaps_rollup is exact; the counters behind VmRSS are not.
    process::figure(pid, "smaps_rollup", "Rss")
}

fn threads(pid: u32) -> Result<f64> {
    process::figure(pid, "status", "Threads")
}

/// How many files this process may have open.
fn open_files() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| Failure::new("/proc/self/limits has another form"))
}

/// Logs users in, many at once.
fn login(server: &Server, users: std::ops::Range<usize>) -> Result<Vec<TcpStream>> {
    let mut all = Vec::with_capacity(users.len());
    let users: Vec<usize> = users.collect();
    for some in users.chunks(AT_ONCE) {
        let start = all.len();
        for user in some {
            let mut stream = TcpStream::connect(server.address())?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            stream.write_all(format!("110 u{user} {PASSWORD}\n").as_bytes())?;
            all.push(stream);
        }
        for stream in &mut all[start..] {
            let mut answer = [0; 64];
            let mut length = 0;
            while !answer[..length].contains(&b'\n') {
                match stream.read(&mut answer[length..]).doing("logging in")? {
                    0 => return Err(Failure::new("the server turned a connection away")),
                    count => length += count,
                }
            }
            if !answer.starts_with(b"212 400") {
                return Err(Failure::new("the server refused a login"));
            }
        }
    }
    Ok(all)
}

/// Waits until no thread is left that only wrote something, and the memory does not change.
fn rest(pid: u32, expected: f64) -> Result<()> {
    let deadline = Instant::now() + REST;
    let mut last = 0.0;
    let mut same = 0;
    while same < 4 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(250));
        let now = resident(pid)?;
        let settled = threads(pid)? <= expected && (now - last).abs() < 64.0;
        same = if settled { same + 1 } else { 0 };
        last = now;
    }
    Ok(())
}

/// From exec to the first answered packet.
fn start(bench: &mut Bench, program: &Path, database: &Path, name: &str) -> Result<()> {
    let begun = Instant::now();
    let server = Server::start(program, database)?;
    let mut wire = server.connect()?;
    wire.send(b"134\n")?;
    wire.receive("247")?;
    let taken = begun.elapsed().as_secs_f64() * 1000.0;
    let resident = resident(server.pid())? / 1024.0;
    bench.report.add(format!("first {name}"), taken);
    bench.report.add(format!("start {name}"), resident);
    drop(wire);
    server.stop()
}

fn rows(bench: &mut Bench) -> Result<()> {
    for step in STEPS {
        if let Some(why) = bench.idle_refusals.get(&step) {
            let name = format!("{} connections", significant(step as f64));
            bench.report.absent(Section::Idle, &name, why);
        }
        for (what, shown) in [
            ("rss", "resident memory"),
            ("pss", "proportional memory"),
            ("stack", "kernel stack"),
        ] {
            let name = format!(
                "{shown} a logged-in connection, {} of them",
                significant(step as f64)
            );
            let key = format!("idle {step} {what}");
            let remark = match (what, step) {
                ("rss", _) => "goal: at most 12 KiB",
                ("stack", _) => "16 KiB a thread with pages up to that",
                _ => "",
            };
            bench
                .report
                .row(Section::Idle, &name, &key, Unit::Kib, remark);
        }
        let name = format!(
            "resident memory in all, {} connections",
            significant(step as f64)
        );
        let key = format!("idle {step} all");
        bench.report.row(Section::Idle, &name, &key, Unit::Mib, "");
    }
    for (name, shown, goal) in [
        ("empty", "an empty database", ""),
        (
            "million",
            "1,000,000 messages and 10,000 users",
            "goal: at most 30 ms",
        ),
    ] {
        let (first, resident) = (format!("first {name}"), format!("start {name}"));
        let report = &mut bench.report;
        let label = format!("exec to first answer, {shown}");
        report.row(Section::Idle, &label, &first, Unit::Millis, goal);
        let label = format!("resident memory at start, {shown}");
        report.row(
            Section::Idle,
            &label,
            &resident,
            Unit::Mib,
            "goal: at most 5 MiB",
        );
    }
    let small = "resident memory at start, server only, an empty database";
    let goal = "goal: at most 5 MiB";
    if bench.small.is_some() {
        let report = &mut bench.report;
        report.row(Section::Idle, small, "start small", Unit::Mib, goal);
    } else {
        let why = "no program was given with --small";
        bench.report.absent(Section::Idle, small, why);
    }
    // Whatever of the programs was built.
    let beside = |name| Some(bench.program.with_file_name(name));
    for (name, path, remark) in [
        ("plauschd", Some(bench.program.clone()), ""),
        (
            "plauschd, server only",
            bench.small.clone(),
            "goal: at most 3 MiB",
        ),
        ("plausch", beside("plausch"), ""),
        ("plauschctl", beside("plauschctl"), ""),
    ] {
        if let Some(data) = path.and_then(|path| std::fs::metadata(path).ok()) {
            let label = format!("size of {name}");
            let size = data.len() as f64 / 1_048_576.0;
            bench.report.add(label.as_str(), size);
            bench
                .report
                .row(Section::Idle, &label, &label, Unit::Mib, remark);
        }
    }
    Ok(())
}
