//! What becomes of the figures with the years: many messages, users, chats.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::Bench;
use crate::database::{self, Plan};
use crate::failure::Result;
use crate::load;
use crate::process;
use crate::report::{Section, Unit, significant};
use crate::server::Server;
use crate::wire::Wire;

/// Users of the large database; each two of them have a chat, and user 0 has more.
const USERS: usize = 10_000;

const CHATS: usize = 1_000;

const BACKLOG: usize = 100_000;

const DEEP: usize = 1_000_000;

const REQUESTS: usize = 9;

pub fn build(bench: &Bench, messages: usize) -> Result<PathBuf> {
    bench.say(&format!(
        "(a database with {} messages)",
        significant(messages as f64)
    ));
    let path = bench.dir.join(format!("{messages}.db"));
    let pairs = (0..USERS / 2).map(|pair| (2 * pair, 2 * pair + 1));
    let of_first = (2..=CHATS).map(|other| (0, other));
    let plan = Plan {
        messages,
        ..Plan::quiet(USERS, pairs.chain(of_first).collect())
    };
    database::build(&path, &plan, &bench.hash)?;
    Ok(path)
}

/// Measures all of it. `million` is what [`build`] makes of a million.
pub fn measure(bench: &mut Bench, million: &Path) -> Result<()> {
    let sizes = [1_000, 100_000, 1_000_000];
    let mut databases = Vec::new();
    for messages in &sizes[..2] {
        databases.push(build(bench, *messages)?);
    }
    databases.push(million.to_owned());
    for run in 1..=bench.runs {
        bench.say(&format!("stored messages, {run} of {}", bench.runs));
        for (messages, database) in sizes.iter().zip(&databases) {
            throughput(bench, *messages, database)?;
        }
    }
    for database in &databases[..2] {
        database::remove(database);
    }
    lists(bench, million)?;
    backlog(bench)?;
    history(bench)?;
    rows(bench);
    Ok(())
}

fn throughput(bench: &mut Bench, messages: usize, database: &Path) -> Result<()> {
    // A copy each time, since a run adds many more than the thousand.
    let database = database::copy(database, &bench.dir)?;
    let server = Server::start(&bench.program, &database)?;
    let mut talks = load::talks(&server, 16, 32, 64)?;
    load::drive(&mut talks, 32, bench.warm_up() / 2.0)?;
    process::settle()?;
    let outcome = load::drive(&mut talks, 32, bench.seconds)?;
    let key = format!("growth {messages}");
    bench.report.add(key, outcome.rate());
    drop(talks);
    server.stop()?;
    database::remove(&database);
    Ok(())
}

/// How long a request takes, from sending it to the last packet of its answer, so many times.
fn ask(bench: &mut Bench, key: &str, wire: &mut Wire, request: &str, last: &str) -> Result<()> {
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        wire.send(request.as_bytes())?;
        wire.until(last)?;
        let taken = begun.elapsed().as_secs_f64() * 1000.0;
        bench.report.add(key, taken);
    }
    Ok(())
}

fn lists(bench: &mut Bench, million: &Path) -> Result<()> {
    bench.say("lists");
    let database = database::copy(million, &bench.dir)?;
    let server = Server::start(&bench.program, &database)?;
    let mut wire = server.login("u0")?;
    ask(bench, "list chats", &mut wire, "112\n", "216")?;
    ask(bench, "list users", &mut wire, "120\n", "231")?;
    drop(wire);
    server.stop()?;
    database::remove(&database);
    Ok(())
}

fn backlog(bench: &mut Bench) -> Result<()> {
    bench.say("a backlog");
    let path = bench.dir.join("backlog.db");
    let plan = Plan {
        users: 11,
        chats: (1..=10).map(|other| (0, other)).collect(),
        messages: BACKLOG,
        delivered: false,
        one_way: true,
    };
    database::build(&path, &plan, &bench.hash)?;
    for _ in 0..bench.runs {
        let database = database::copy(&path, &bench.dir)?;
        let server = Server::start(&bench.program, &database)?;
        let begun = Instant::now();
        let mut wire = server.login("u0")?;
        for _ in 0..BACKLOG {
            wire.receive("220 ")?;
        }
        let taken = begun.elapsed().as_secs_f64() * 1000.0;
        bench.report.add("backlog", taken);
        drop(wire);
        server.stop()?;
        database::remove(&database);
    }
    database::remove(&path);
    Ok(())
}

fn history(bench: &mut Bench) -> Result<()> {
    bench.say("a deep chat");
    let path = bench.dir.join("deep.db");
    let plan = Plan {
        messages: DEEP,
        ..Plan::quiet(2, vec![(0, 1)])
    };
    database::build(&path, &plan, &bench.hash)?;
    let server = Server::start(&bench.program, &path)?;
    let mut wire = server.login("u0")?;
    // A message was sent each millisecond until the database was built: this is in the middle.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let request = format!("130 1 {} 100\n", now - DEEP as u128 / 2);
    wire.send(request.as_bytes())?;
    wire.receive("240 400")?;
    wire.receive("241 100")?;
    wire.until("243")?;
    ask(bench, "history", &mut wire, &request, "243")?;
    drop(wire);
    server.stop()?;
    database::remove(&path);
    Ok(())
}

fn rows(bench: &mut Bench) {
    let report = &mut bench.report;
    for messages in [1_000, 100_000, 1_000_000] {
        let key = format!("growth {messages}");
        let name = format!(
            "16 pairs, window 32, with {} messages stored before",
            significant(f64::from(messages))
        );
        let remark = match messages {
            1_000 => String::new(),
            _ => report.compare(&key, "growth 1000", "that with 1,000"),
        };
        report.row(Section::Growth, &name, &key, Unit::Rate, &remark);
    }
    for (name, key) in [
        (
            "login with a backlog of 100,000, to the last 220",
            "backlog",
        ),
        ("112 with 1,000 chats", "list chats"),
        ("120 with 10,000 users", "list users"),
        (
            "130 in the middle of a chat of 1,000,000, 100 messages",
            "history",
        ),
    ] {
        report.row(Section::Growth, name, key, Unit::Millis, "");
    }
    report.ratio(
        "throughput with 1,000,000 messages stored: of that with 1,000",
        "growth 1000000",
        "growth 1000",
        "goal: at least 0.9",
    );
}
