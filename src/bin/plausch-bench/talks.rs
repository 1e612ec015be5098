//! Pairs of users at the server, beside the same pairs at Redis and an echo, in turns: whatever
//! else the machine does meanwhile meets all of them.

use std::path::{Path, PathBuf};

use crate::Bench;
use crate::database::{self, Plan};
use crate::failure::{Doing, Result};
use crate::limits::{Echo, LANES, Raw};
use crate::load::{self, Outcome, Pairs};
use crate::process;
use crate::redis::{Receiver, Redis};
use crate::report::Report;
use crate::server::Server;

mod rows;

const PAIRS: [usize; 3] = [1, 16, 100];

/// Senders, and as many receivers, of the chats that take turns: 10,000.
const TURNS: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Case {
    pairs: usize,
    window: usize,
    size: usize,
}

pub fn number(pairs: usize) -> String {
    match pairs {
        1 => "1 pair".to_owned(),
        _ => format!("{pairs} pairs"),
    }
}

/// The one that tells how large the groups become.
const FULL: Case = Case::new(100, 32, 64);

impl Case {
    const fn new(pairs: usize, window: usize, size: usize) -> Case {
        Case {
            pairs,
            window,
            size,
        }
    }

    fn key(self, who: &str, what: &str) -> String {
        format!("{who} {}x{} {} {what}", self.pairs, self.window, self.size)
    }
}

enum Peer {
    Server(Server),
    Redis(Redis),
    Echo(Echo),
}

impl Peer {
    fn pid(&self) -> u32 {
        match self {
            Peer::Server(server) => server.pid(),
            Peer::Redis(redis) => redis.helper.0.id(),
            Peer::Echo(echo) => echo.helper.0.id(),
        }
    }

    fn commits(&self) -> Option<u32> {
        match self {
            Peer::Server(server) => server.commits(),
            Peer::Redis(_) | Peer::Echo(_) => None,
        }
    }
}

struct Contestant {
    // Before the peer, so that connections close first.
    pairs: Pairs,
    peer: Peer,
    name: &'static str,
}

impl Contestant {
    fn new(name: &'static str, peer: Peer, pairs: Pairs) -> Contestant {
        Contestant { pairs, peer, name }
    }

    fn drive(&mut self, window: usize, seconds: f64) -> Result<Outcome> {
        load::drive(&mut self.pairs, window, seconds).doing(self.name)
    }

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
        let own = outcome.own_cpu / outcome.seconds / cores as f64;
        add("own share", own);
        if let Some(batch) = batch(&outcome, commits, self.peer.commits()) {
            add("batch", batch);
        }
        Ok(())
    }
}

fn batch(outcome: &Outcome, before: Option<u32>, after: Option<u32>) -> Option<f64> {
    let commits = after?.wrapping_sub(before?).max(1);
    Some(outcome.messages / f64::from(commits))
}

pub fn measure(bench: &mut Bench) -> Result<()> {
    let people = bench.dir.join("people.db");
    let chats = (0..100).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    database::build(&people, &Plan::quiet(200, chats), &bench.hash)?;
    let turns = bench.dir.join("turns.db");
    if bench.server {
        let plan = Plan::quiet(2 * TURNS, load::turns_chats(TURNS));
        database::build(&turns, &plan, &bench.hash)?;
    }
    for size in [64, 1024] {
        for window in [1, 32] {
            for pairs in PAIRS {
                let case = Case::new(pairs, window, size);
                if bench.server || size == 64 {
                    one(bench, case, &people, &turns)?;
                }
            }
        }
    }
    rows::limit_rows(bench);
    if bench.server {
        rows::server_rows(bench);
        rows::ratio_rows(bench);
    }
    database::remove(&people);
    database::remove(&turns);
    Ok(())
}

fn one(bench: &mut Bench, case: Case, people: &Path, turns: &Path) -> Result<()> {
    let (pairs, window, size) = (case.pairs, case.window, case.size);
    bench.say(&format!("{}, window {window}, {size} bytes", number(pairs)));
    let directory = bench.dir.join("talks");
    std::fs::create_dir(&directory)?;
    let mut contestants = contestants(bench, case, &directory, people, turns)?;
    let mut raws = Vec::new();
    for contestant in &mut contestants {
        let commits = contestant.peer.commits();
        let outcome = contestant.drive(window, bench.warm_up())?;
        let batch = batch(&outcome, commits, contestant.peer.commits());
        if let (FULL, Some(batch)) = (case, batch) {
            let (lanes, run) = match contestant.name {
                "turns" => (2 * TURNS * TURNS, 1),
                _ => (LANES, 32),
            };
            let key = format!("raw like {}", contestant.name);
            let mut raw = Raw::open(&directory, &format!("{key}.db"), lanes)?;
            raw.insert(batch as i64, run, bench.warm_up())?;
            bench.report.add(format!("{key} batch"), batch);
            raws.push((key, raw, batch as i64, run));
        }
    }
    for _ in 0..bench.runs {
        for contestant in &mut contestants {
            process::settle()?;
            contestant.run(&mut bench.report, case, bench.seconds)?;
        }
        for (key, raw, batch, run) in &mut raws {
            process::settle()?;
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

fn contestants(
    bench: &Bench,
    case: Case,
    directory: &Path,
    people: &Path,
    turns: &Path,
) -> Result<Vec<Contestant>> {
    let (pairs, window, size) = (case.pairs, case.window, case.size);
    let own = |name: &str| -> Result<PathBuf> {
        let own = directory.join(name);
        std::fs::create_dir(&own)?;
        Ok(own)
    };
    let mut all = Vec::new();
    if bench.server || case == FULL {
        let database = database::copy(people, directory)?;
        let server = Server::start(&bench.program, &database)?;
        let talks = load::talks(&server, pairs, window, size)?;
        all.push(Contestant::new("server", Peer::Server(server), talks));
    }
    if size == 64 {
        let receivers = [(Receiver::Waits, "redis"), (Receiver::Asks, "asked")];
        for (receiver, name) in receivers.into_iter().take(window.min(2)) {
            if let Some(redis) = Redis::start(&own(name)?)? {
                let talks = redis.talks(pairs, window, size, receiver)?;
                all.push(Contestant::new(name, Peer::Redis(redis), talks));
            }
        }
        let echo = Echo::start()?;
        let talks = echo.talks(pairs, window)?;
        all.push(Contestant::new("echo", Peer::Echo(echo), talks));
    }
    if bench.server && case == FULL {
        let database = database::copy(turns, &own("turns")?)?;
        let server = Server::start(&bench.program, &database)?;
        let talks = load::turns(&server, TURNS, window)?;
        all.push(Contestant::new("turns", Peer::Server(server), talks));
    }
    Ok(all)
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
