//! What doing nothing costs: memory of connections at rest, and the time until the first answer.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::database::{self, Plan};
use crate::failure::{Doing, Failure, Result};
use crate::link::Link;
use crate::process::{self, resident};
use crate::report::{Section, Unit, significant};
use crate::server::{PASSWORD, Server};

const STEPS: [usize; 3] = [1_000, 5_000, 10_000];

const OTHER_FILES: usize = 100;

const AT_ONCE: usize = 100;

const REST: Duration = Duration::from_secs(15);

/// Measures memory and start. `million` is a database with a million messages and 10,000 users.
pub fn measure(bench: &mut Bench, million: &Path) -> Result<()> {
    let users = bench.dir.join("users.db");
    let plan = Plan::quiet(STEPS[2], Vec::new());
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
    rows(bench);
    Ok(())
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
        let report = &mut bench.report;
        report.add(format!("idle {step} all"), now.resident / 1024.0);
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

fn threads(pid: u32) -> Result<f64> {
    process::figure(pid, "status", "Threads")
}

fn open_files() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| Failure::new("/proc/self/limits has another form"))
}

fn login(server: &Server, users: Range<usize>) -> Result<Vec<Link>> {
    let mut all = Vec::with_capacity(users.len());
    let mut users = users.peekable();
    while users.peek().is_some() {
        let mut some = Vec::with_capacity(AT_ONCE);
        for user in users.by_ref().take(AT_ONCE) {
            let mut wire = server.connect()?;
            wire.send(format!("110 u{user} {PASSWORD}\n").as_bytes())?;
            some.push(wire);
        }
        for mut wire in some {
            wire.receive("212 400").doing("logging in")?;
            all.push(wire.into_link());
        }
    }
    Ok(all)
}

/// Waits until no thread is left that only wrote something, and the memory does not change.
fn rest(pid: u32, expected: f64) -> Result<()> {
    let still = || Ok(threads(pid)? <= expected);
    process::come_to_rest(REST, 4, || resident(pid), still)
}

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

fn rows(bench: &mut Bench) {
    for step in STEPS {
        memory_rows(bench, step);
    }
    let report = &mut bench.report;
    let small_memory = "goal: at most 5 MiB";
    for (name, shown, goal) in [
        ("empty", "an empty database", ""),
        (
            "million",
            "1,000,000 messages and 10,000 users",
            "goal: at most 30 ms",
        ),
    ] {
        let label = format!("exec to first answer, {shown}");
        let first = format!("first {name}");
        report.row(Section::Idle, &label, &first, Unit::Millis, goal);
        let label = format!("resident memory at start, {shown}");
        let resident = format!("start {name}");
        report.row(Section::Idle, &label, &resident, Unit::Mib, small_memory);
    }
    let label = "resident memory at start, server only, an empty database";
    match bench.small {
        Some(_) => report.row(Section::Idle, label, "start small", Unit::Mib, small_memory),
        None => report.absent(Section::Idle, label, "no program was given with --small"),
    }
    size_rows(bench);
}

fn memory_rows(bench: &mut Bench, step: usize) {
    let report = &mut bench.report;
    let number = significant(step as f64);
    if let Some(why) = bench.idle_refusals.get(&step) {
        report.absent(Section::Idle, &format!("{number} connections"), why);
    }
    for (what, shown, remark) in [
        ("rss", "resident memory", "goal: at most 12 KiB"),
        ("pss", "proportional memory", ""),
        (
            "stack",
            "kernel stack",
            "16 KiB a thread with pages up to that",
        ),
    ] {
        let label = format!("{shown} a logged-in connection, {number} of them");
        let key = format!("idle {step} {what}");
        report.row(Section::Idle, &label, &key, Unit::Kib, remark);
    }
    let label = format!("resident memory in all, {number} connections");
    let key = format!("idle {step} all");
    report.row(Section::Idle, &label, &key, Unit::Mib, "");
}

fn size_rows(bench: &mut Bench) {
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
            let report = &mut bench.report;
            report.add(label.as_str(), data.len() as f64 / 1_048_576.0);
            report.row(Section::Idle, &label, &label, Unit::Mib, remark);
        }
    }
}
