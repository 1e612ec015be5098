//! Pairs of users at the server, beside the same pairs at Redis and an echo, in turns: whatever
//! else the machine does meanwhile meets all of them.

use std::path::Path;

use crate::Bench;
use crate::database::{self, Plan};
use crate::failure::{Doing, Result};
use crate::limits::{Echo, LANES, Raw};
use crate::load::{self, Outcome, Pair};
use crate::process;
use crate::redis::{Receiver, Redis};
use crate::report::{Report, Section, Unit};
use crate::server::Server;

/// How many pairs there are.
const PAIRS: [usize; 3] = [1, 16, 100];

/// Senders, and as many receivers, of the chats that take turns: 10,000.
const TURNS: usize = 100;

/// One way of loading: so many pairs with such a window and messages of that size.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Case {
    pairs: usize,
    window: usize,
    size: usize,
}

/// "1 pair", "16 pairs".
fn number(pairs: usize) -> String {
    match pairs {
        1 => "1 pair".to_owned(),
        _ => format!("{pairs} pairs"),
    }
}

/// The one that tells how large the groups become.
const FULL: Case = Case {
    pairs: 100,
    window: 32,
    size: 64,
};

impl Case {
    fn key(self, who: &str, what: &str) -> String {
        format!("{who} {}x{} {} {what}", self.pairs, self.window, self.size)
    }
}

/// Who is loaded. Ends with it.
enum Peer {
    Server(Server),
    Redis(Redis),
    Echo(Echo),
}

impl Peer {
    fn name(&self) -> &'static str {
        match self {
            Peer::Server(_) => "server",
            Peer::Redis(_) => "redis",
            Peer::Echo(_) => "echo",
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Peer::Server(server) => server.pid(),
            Peer::Redis(redis) => redis.pid(),
            Peer::Echo(echo) => echo.pid(),
        }
    }

    fn commits(&self) -> Option<u32> {
        match self {
            Peer::Server(server) => server.commits(),
            Peer::Redis(_) | Peer::Echo(_) => None,
        }
    }
}

/// Someone who is loaded, and the load.
struct Contestant {
    // Before the peer, so that connections close first.
    pairs: Vec<Box<dyn Pair>>,
    peer: Peer,
    name: &'static str,
}

impl Contestant {
    fn new(peer: Peer, pairs: Vec<Box<dyn Pair>>) -> Contestant {
        Contestant {
            name: peer.name(),
            peer,
            pairs,
        }
    }

    fn drive(&mut self, window: usize, seconds: f64) -> Result<Outcome> {
        load::drive(&mut self.pairs, window, seconds).doing(self.name)
    }

    /// One run, its figures added to the report.
    fn run(&mut self, report: &mut Report, case: Case, seconds: f64) -> Result<()> {
        let cpu = process::cpu_seconds(self.peer.pid())?;
        let commits = self.peer.commits();
        let outcome = self.drive(case.window, seconds)?;
        let cpu = process::cpu_seconds(self.peer.pid())? - cpu;
        let mut add = |what, value| report.add(case.key(self.name, what), value);
        add("rate", outcome.rate());
        add("p50", outcome.quantile(0.5));
        add("p99", outcome.quantile(0.99));
        add("p999", outcome.quantile(0.999));
        add("cpu", cpu / outcome.messages * 1e5);
        add("own cpu", outcome.own_cpu / outcome.messages * 1e5);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        add(
            "own share",
            outcome.own_cpu / outcome.seconds / cores as f64,
        );
        if let (Some(before), Some(after)) = (commits, self.peer.commits()) {
            add(
                "batch",
                outcome.messages / f64::from(after.wrapping_sub(before).max(1)),
            );
        }
        Ok(())
    }
}

/// Measures all cases.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let people = bench.dir.join("people.db");
    let chats = (0..100).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    build(bench, &people, 200, chats)?;
    let turns = bench.dir.join("turns.db");
    if bench.server {
        build(bench, &turns, 2 * TURNS, load::turns_chats(TURNS))?;
    }
    for size in [64, 1024] {
        for window in [1, 32] {
            for pairs in PAIRS {
                let case = Case {
                    pairs,
                    window,
                    size,
                };
                if bench.server || size == 64 {
                    one(bench, case, &people, &turns)?;
                }
            }
        }
    }
    limit_rows(bench);
    if bench.server {
        server_rows(bench);
        ratio_rows(bench);
    }
    database::remove(&people);
    database::remove(&turns);
    Ok(())
}

fn build(bench: &Bench, path: &Path, users: usize, chats: Vec<(usize, usize)>) -> Result<()> {
    let plan = Plan {
        users,
        chats,
        messages: 0,
        delivered: true,
        one_way: false,
    };
    database::build(path, &plan, &bench.hash)
}

fn one(bench: &mut Bench, case: Case, people: &Path, turns: &Path) -> Result<()> {
    let Case {
        pairs,
        window,
        size,
    } = case;
    bench.say(&format!("{}, window {window}, {size} bytes", number(pairs)));
    let directory = bench.dir.join("talks");
    std::fs::create_dir(&directory)?;
    let mut contestants = Vec::new();
    if bench.server || case == FULL {
        let database = database::copy(people, &directory)?;
        let server = Server::start(&bench.program, &database)?;
        let talks = load::talks(&server, pairs, window, size)?;
        contestants.push(Contestant::new(Peer::Server(server), talks));
    }
    if size == 64 {
        let receivers = match window {
            1 => &[(Receiver::Waits, "redis")][..],
            _ => &[(Receiver::Waits, "redis"), (Receiver::Asks, "asked")],
        };
        for (receiver, name) in receivers {
            let own = directory.join(name);
            std::fs::create_dir(&own)?;
            if let Some(redis) = Redis::start(&own)? {
                let talks = redis.talks(pairs, window, size, *receiver)?;
                contestants.push(Contestant {
                    name,
                    ..Contestant::new(Peer::Redis(redis), talks)
                });
            }
        }
        let echo = Echo::start()?;
        let talks = echo.talks(pairs, window)?;
        contestants.push(Contestant::new(Peer::Echo(echo), talks));
    }
    if bench.server && case == FULL {
        let own = directory.join("turns");
        std::fs::create_dir(&own)?;
        let database = database::copy(turns, &own)?;
        let server = Server::start(&bench.program, &database)?;
        let talks = load::turns(&server, TURNS, window)?;
        contestants.push(Contestant {
            name: "turns",
            ..Contestant::new(Peer::Server(server), talks)
        });
    }
    let mut raws = Vec::new();
    for contestant in &mut contestants {
        let commits = contestant.peer.commits();
        let outcome = contestant.drive(window, bench.warm_up())?;
        let after = contestant.peer.commits();
        // What raw SQLite is to write in one transaction.
        if let (FULL, Some(before), Some(after)) = (case, commits, after) {
            let batch = outcome.messages / f64::from(after.wrapping_sub(before).max(1));
            let lanes = match contestant.name {
                "turns" => 2 * TURNS * TURNS,
                _ => LANES,
            };
            let run = if contestant.name == "turns" { 1 } else { 32 };
            let key = format!("raw like {}", contestant.name);
            let mut raw = Raw::open(&directory, &format!("{key}.db"), lanes)?;
            raw.insert(batch as i64, run, bench.warm_up())?;
            bench.report.add(format!("{key} batch"), batch);
            raws.push((key, raw, batch as i64, run));
        }
    }
    for _ in 0..bench.runs {
        for contestant in &mut contestants {
            bench.settle()?;
            contestant.run(&mut bench.report, case, bench.seconds)?;
        }
        for (key, raw, batch, run) in &mut raws {
            bench.settle()?;
            let rate = raw.insert(*batch, *run, bench.seconds)?;
            bench.report.add(key.as_str(), rate);
        }
    }
    if bench.server && size == 64 {
        system_calls(bench, case, &mut contestants, &directory)?;
    }
    drop(raws);
    for contestant in contestants {
        drop(contestant.pairs);
        if let Peer::Server(server) = contestant.peer {
            server.stop()?;
        }
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

fn system_calls(
    bench: &mut Bench,
    case: Case,
    contestants: &mut [Contestant],
    directory: &Path,
) -> Result<()> {
    for contestant in contestants {
        if !matches!(contestant.name, "server" | "redis" | "turns") {
            continue;
        }
        let seconds = bench.seconds.min(0.5);
        let counted = process::count_system_calls(contestant.peer.pid(), directory, &mut || {
            Ok(contestant.drive(case.window, seconds)?.messages)
        })?;
        if let Some((calls, by)) = counted {
            bench.report.add(case.key(contestant.name, "calls"), calls);
            bench.counted_by = Some(by);
        }
    }
    Ok(())
}

fn limit_rows(bench: &mut Bench) {
    let report = &mut bench.report;
    for (key, what) in [
        (
            "raw like server",
            "the same, in batches as the server's with 100 pairs",
        ),
        (
            "raw like turns",
            "the same, scattered over 20,000 lanes, in batches as the server's with 10,000 chats",
        ),
    ] {
        let batch = report.median(&format!("{key} batch")).unwrap_or_default();
        let name = format!("{what} ({batch:.0})");
        report.row(Section::Limits, &name, key, Unit::Rate, "");
    }
    for (window, what) in [(1, "p50"), (32, "rate")] {
        for pairs in PAIRS {
            let case = Case {
                pairs,
                window,
                size: 64,
            };
            let echo = case.key("echo", what);
            let (name, unit) = match window {
                1 => ("there and back, p50", Unit::Millis),
                _ => ("lines", Unit::Rate),
            };
            let name = format!(
                "echo over loopback, {}, window {window}: {name}",
                number(pairs)
            );
            report.row(Section::Limits, &name, &echo, unit, "");
        }
    }
    if process::find_program("redis-server").is_none() {
        let why = "redis-server is not installed";
        report.absent(Section::Limits, "Redis streams, appendfsync always", why);
    }
    rows(report, Section::Limits, "Redis", "redis", 64);
    for pairs in PAIRS {
        let case = Case {
            pairs,
            window: 32,
            size: 64,
        };
        let name = format!(
            "Redis, {}, window 32, asked once all is there",
            number(pairs)
        );
        report.row(
            Section::Limits,
            &name,
            &case.key("asked", "rate"),
            Unit::Rate,
            "",
        );
    }
}

fn server_rows(bench: &mut Bench) {
    let report = &mut bench.report;
    for size in [64, 1024] {
        rows(report, Section::Server, "server", "server", size);
    }
    let turns = FULL.key("turns", "rate");
    let compared = report.compare(&turns, "raw like turns", "raw SQLite over 20,000 lanes");
    let name = "server, 10,000 chats in turn, window 32";
    report.row(Section::Server, name, &turns, Unit::Rate, &compared);
    let name = "server, 10,000 chats in turn: CPU per 100,000";
    let key = FULL.key("turns", "cpu");
    report.row(Section::Server, name, &key, Unit::Seconds, "");
    let name = "server, 10,000 chats in turn: system calls a message";
    let key = FULL.key("turns", "calls");
    report.row(Section::Server, name, &key, Unit::Number, "");
    let name = "server, 10,000 chats in turn: messages a commit";
    let key = FULL.key("turns", "batch");
    report.row(Section::Server, name, &key, Unit::Number, "");
    for pairs in [1, 100] {
        for window in [1, 32] {
            let case = Case {
                pairs,
                window,
                size: 64,
            };
            let name = format!("messages a commit, {}, window {window}", number(pairs));
            let key = case.key("server", "batch");
            report.row(Section::Server, &name, &key, Unit::Number, "");
        }
    }
    let by = bench.counted_by.unwrap_or_default();
    for pairs in PAIRS {
        for window in [1, 32] {
            let case = Case {
                pairs,
                window,
                size: 64,
            };
            let name = format!("system calls a message, {}, window {window}", number(pairs));
            let key = case.key("server", "calls");
            let remark = match report.median(&case.key("redis", "calls")) {
                Some(calls) => format!("Redis {calls:.2}; counted by {by}"),
                None => format!("counted by {by}"),
            };
            match bench.counted_by {
                Some(_) => report.row(Section::Server, &name, &key, Unit::Number, &remark),
                None => report.absent(Section::Server, &name, "no perf or strace that may count"),
            }
        }
    }
    for (who, key) in [
        ("the server", "server"),
        ("Redis", "redis"),
        ("the echo", "echo"),
    ] {
        let name = format!("load generator's share of all cores, 100 pairs, window 32, at {who}");
        let share = FULL.key(key, "own share");
        let remark = match report.median(&FULL.key(key, "own cpu")) {
            Some(cpu) => format!("{cpu:.2} CPU s per 100,000"),
            None => String::new(),
        };
        report.row(Section::Server, &name, &share, Unit::Percent, &remark);
    }
}

/// Latencies with window 1, throughput with window 32, and what it costs.
fn rows(report: &mut Report, section: Section, title: &str, who: &str, size: usize) {
    for pairs in PAIRS {
        let case = Case {
            pairs,
            window: 1,
            size,
        };
        for (what, shown) in [("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")] {
            let name = format!(
                "{title}, {}, window 1, {size} bytes: {shown}",
                number(pairs)
            );
            let key = case.key(who, what);
            let compared = match who {
                "server" => report.compare(&key, &case.key("redis", what), "Redis"),
                _ => String::new(),
            };
            report.row(section, &name, &key, Unit::Millis, &compared);
        }
    }
    for pairs in PAIRS {
        let case = Case {
            pairs,
            window: 32,
            size,
        };
        let name = format!("{title}, {}, window 32, {size} bytes", number(pairs));
        let key = case.key(who, "rate");
        let compared = match who {
            "server" => report.compare(&key, &case.key("redis", "rate"), "Redis"),
            _ => String::new(),
        };
        report.row(section, &name, &key, Unit::Rate, &compared);
    }
    for pairs in PAIRS {
        for window in [1, 32] {
            let case = Case {
                pairs,
                window,
                size,
            };
            let name = format!(
                "{title}, {}, window {window}, {size} bytes: CPU per 100,000",
                number(pairs)
            );
            let key = case.key(who, "cpu");
            let compared = match who {
                "server" => report.compare(&key, &case.key("redis", "cpu"), "Redis"),
                _ => String::new(),
            };
            report.row(section, &name, &key, Unit::Seconds, &compared);
        }
    }
}

fn ratio_rows(bench: &mut Bench) {
    let report = &mut bench.report;
    let case = |pairs, window| Case {
        pairs,
        window,
        size: 64,
    };
    let (server, redis) = (FULL.key("server", "rate"), FULL.key("redis", "rate"));
    let name = "100 pairs, window 32: of Redis";
    report.ratio(name, &server, &redis, "goal: at least 1.0");
    let name = "100 pairs, window 32: of Redis asked once all is there";
    report.ratio(name, &server, &FULL.key("asked", "rate"), "");
    let name = "100 pairs, window 32: of raw SQLite in the same batches";
    report.ratio(name, &server, "raw like server", "goal: at least 0.9");
    let name = "10,000 chats in turn: of 100 pairs, window 32";
    let turns = FULL.key("turns", "rate");
    report.ratio(name, &turns, &server, "goal: at least 0.5");
    for pairs in [16, 1] {
        let name = format!("{}, window 32: of Redis", number(pairs));
        let (server, redis) = (
            case(pairs, 32).key("server", "rate"),
            case(pairs, 32).key("redis", "rate"),
        );
        report.ratio(&name, &server, &redis, "goal: at least 1.5");
    }
    let name = "1 pair, window 1: p50 of Redis's";
    let (server, redis) = (
        case(1, 1).key("server", "p50"),
        case(1, 1).key("redis", "p50"),
    );
    report.ratio(name, &server, &redis, "goal: at most 1.2");
    let name = "100 pairs, window 1: p99 of p50";
    let (p99, p50) = (
        case(100, 1).key("server", "p99"),
        case(100, 1).key("server", "p50"),
    );
    report.ratio(name, &p99, &p50, "goal: at most 3");
}
