//! What the report says of the talks.

use super::{Case, FULL, PAIRS, number};
use crate::Bench;
use crate::process;
use crate::report::{Report, Section, Unit};

pub(super) fn limit_rows(bench: &mut Bench) {
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
            let case = Case::new(pairs, window, 64);
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
        let case = Case::new(pairs, 32, 64);
        let name = format!(
            "Redis, {}, window 32, asked once all is there",
            number(pairs)
        );
        let key = case.key("asked", "rate");
        report.row(Section::Limits, &name, &key, Unit::Rate, "");
    }
}

pub(super) fn server_rows(bench: &mut Bench) {
    let report = &mut bench.report;
    for size in [64, 1024] {
        rows(report, Section::Server, "server", "server", size);
    }
    let turns = FULL.key("turns", "rate");
    let compared = report.compare(&turns, "raw like turns", "raw SQLite over 20,000 lanes");
    let name = "server, 10,000 chats in turn, window 32";
    report.row(Section::Server, name, &turns, Unit::Rate, &compared);
    for (what, shown, unit) in [
        ("cpu", "CPU per 100,000", Unit::Seconds),
        ("calls", "system calls a message", Unit::Number),
        ("batch", "messages a commit", Unit::Number),
    ] {
        let name = format!("server, 10,000 chats in turn: {shown}");
        report.row(Section::Server, &name, &FULL.key("turns", what), unit, "");
    }
    for pairs in [1, 100] {
        for window in [1, 32] {
            let case = Case::new(pairs, window, 64);
            let name = format!("messages a commit, {}, window {window}", number(pairs));
            let key = case.key("server", "batch");
            report.row(Section::Server, &name, &key, Unit::Number, "");
        }
    }
    let by = bench.counted_by.unwrap_or_default();
    for pairs in PAIRS {
        for window in [1, 32] {
            let case = Case::new(pairs, window, 64);
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
    let mut row = |pairs, window, what, shown: &str, unit| {
        let case = Case::new(pairs, window, size);
        let pairs = number(pairs);
        let name = format!("{title}, {pairs}, window {window}, {size} bytes{shown}");
        let key = case.key(who, what);
        let compared = match who {
            "server" => report.compare(&key, &case.key("redis", what), "Redis"),
            _ => String::new(),
        };
        report.row(section, &name, &key, unit, &compared);
    };
    for pairs in PAIRS {
        for (what, shown) in [("p50", ": p50"), ("p99", ": p99"), ("p999", ": p99.9")] {
            row(pairs, 1, what, shown, Unit::Millis);
        }
    }
    for pairs in PAIRS {
        row(pairs, 32, "rate", "", Unit::Rate);
    }
    for pairs in PAIRS {
        for window in [1, 32] {
            row(pairs, window, "cpu", ": CPU per 100,000", Unit::Seconds);
        }
    }
}

/// The section of ratios: name, figure, what it is divided by (both by [`Case::key`]), remark.
const RATIOS: &str = "\
100 pairs, window 32: of Redis|server 100x32 64 rate|redis 100x32 64 rate|goal: at least 1.0
100 pairs, window 32: of Redis asked once all is there|server 100x32 64 rate|asked 100x32 64 rate|
100 pairs, window 32: of raw SQLite in the same batches|server 100x32 64 rate|raw like server|goal: at least 0.9
10,000 chats in turn: of 100 pairs, window 32|turns 100x32 64 rate|server 100x32 64 rate|goal: at least 0.5
10,000 chats in turn: of Redis with 100 pairs|turns 100x32 64 rate|redis 100x32 64 rate|half of its goal: 0.5
16 pairs, window 32: of Redis|server 16x32 64 rate|redis 16x32 64 rate|goal: at least 1.5
1 pair, window 32: of Redis|server 1x32 64 rate|redis 1x32 64 rate|goal: at least 1.5
1 pair, window 1: p50 of Redis's|server 1x1 64 p50|redis 1x1 64 p50|goal: at most 1.2
100 pairs, window 1: p99 of p50|server 100x1 64 p99|server 100x1 64 p50|goal: at most 3";

pub(super) fn ratio_rows(bench: &mut Bench) {
    for row in RATIOS.lines() {
        let mut cells = row.split('|');
        let [name, over, under, goal] = std::array::from_fn(|_| cells.next().unwrap_or_default());
        bench.report.ratio(name, over, under, goal);
    }
}
