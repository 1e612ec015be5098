//! Measures the server beside the limits of its machine, in one run, and prints one table.
//!
//! In reading order: `server`, `redis` and `limits` (what is measured), `load` (how), `talks`, `tls`,
//! `idle`, `growth` and `media` (the groups of figures), `report` (the table). Nothing here
//! judges a time; the exit code is 0 unless something broke.

mod database;
mod failure;
mod growth;
mod idle;
mod limits;
mod load;
mod media;
mod process;
mod redis;
mod report;
mod server;
mod talks;
#[cfg(feature = "tls")]
mod tls;
mod wire;

// What the tests also stand on; not all of it is needed here.
#[allow(dead_code)]
#[path = "../../../tests/support/link.rs"]
mod link;
#[allow(dead_code)]
#[path = "../../../tests/support/process.rs"]
mod started;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use failure::{Doing, Failure, Result};
use report::Report;

const USAGE: u8 = 2;

/// How the directories of all runs begin; a number of a process follows.
const DIRECTORY: &str = "plausch-bench-";

const GROUPS: [&str; 6] = ["limits", "server", "tls", "idle", "growth", "media"];

const OPTIONS: [(&str, &str, &str); 6] = [
    ("only", "GROUP", "groups to measure, with commas between"),
    ("server", "PATH", "the server's program"),
    (
        "small",
        "PATH",
        "the server built without client and TLS, for its size and memory",
    ),
    ("seconds", "S", "for each run (default 1.5)"),
    ("runs", "N", "of each figure, at least 3 (default 5)"),
    (
        "dir",
        "DIR",
        "where to keep databases, on the disk to measure",
    ),
];

pub(crate) struct Bench {
    program: PathBuf,
    /// The same without client and TLS, if there is one.
    small: Option<PathBuf>,
    dir: PathBuf,
    runs: usize,
    seconds: f64,
    server: bool,
    hash: String,
    counted_by: Option<&'static str>,
    /// Why there are no figures of so many connections.
    idle_refusals: BTreeMap<usize, String>,
    begun: Instant,
    report: Report,
}

impl Bench {
    fn say(&self, what: &str) {
        eprintln!("{:4} s  {what}", self.begun.elapsed().as_secs());
    }

    fn warm_up(&self) -> f64 {
        self.seconds / 3.0
    }

    fn refused_idle(&mut self, step: usize, why: &str) {
        self.idle_refusals
            .entry(step)
            .or_insert_with(|| why.to_owned());
    }
}

struct Wish {
    groups: Vec<String>,
    runs: usize,
    seconds: f64,
    program: PathBuf,
    small: Option<PathBuf>,
    beside: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some(limits::ECHO) => limits::serve_echo(),
        _ => match wish(&arguments) {
            Ok(Some(wish)) => run(wish),
            Ok(None) => Ok(()),
            Err(error) => {
                eprintln!("plausch-bench: {error}");
                return ExitCode::from(USAGE);
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plausch-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wish(arguments: &[String]) -> Result<Option<Wish>> {
    let mut options = getopts::Options::new();
    options.optflag("h", "help", "print this and exit");
    let quick = "a quarter of a second for each run, three runs";
    options.optflag("", "quick", quick);
    for (name, hint, text) in OPTIONS {
        options.optopt("", name, text, hint);
    }
    let matches = options.parse(arguments)?;
    if let Some(argument) = matches.free.first() {
        return Err(Failure::new(format!("unexpected argument {argument:?}")));
    }
    if matches.opt_present("help") {
        let brief = format!(
            "Usage: plausch-bench [OPTION]...\nMeasures plauschd. Groups: {}.",
            GROUPS.join(", ")
        );
        println!("{}", options.usage(&brief).trim_end());
        return Ok(None);
    }
    let quick = matches.opt_present("quick");
    let seconds = matches.opt_get_default("seconds", if quick { 0.25 } else { 1.5 });
    let seconds: f64 = seconds.doing("--seconds")?;
    if !(0.05..=60.0).contains(&seconds) {
        return Err(Failure::new("--seconds takes 0.05 to 60"));
    }
    let runs = matches.opt_get_default("runs", if quick { 3 } else { 5 });
    let runs: usize = runs.doing("--runs")?;
    if !(3..=99).contains(&runs) {
        return Err(Failure::new("--runs takes 3 to 99"));
    }
    let groups = matches.opt_str("only").unwrap_or_else(|| GROUPS.join(","));
    let groups: Vec<String> = groups.split(',').map(str::to_owned).collect();
    if let Some(group) = groups.iter().find(|&group| !GROUPS.contains(&&**group)) {
        return Err(Failure::new(format!("there is no group {group:?}")));
    }
    let here = std::env::current_exe()?;
    let here = here.parent().unwrap_or(Path::new("."));
    let path = |name: &str, default: PathBuf| matches.opt_str(name).map_or(default, PathBuf::from);
    Ok(Some(Wish {
        groups,
        runs,
        seconds,
        program: path("server", here.join("plauschd")),
        small: matches.opt_str("small").map(PathBuf::from),
        beside: path("dir", here.to_owned()),
    }))
}

fn run(wish: Wish) -> Result<()> {
    for program in std::iter::once(&wish.program).chain(&wish.small) {
        if !program.is_file() {
            let program = program.display();
            return Err(Failure::new(format!("there is no server at {program}")));
        }
    }
    sweep(&wish.beside);
    let name = format!("{DIRECTORY}{}", std::process::id());
    let scratch = Scratch(wish.beside.join(name));
    fs::create_dir(&scratch.0).doing(scratch.0.display())?;
    let wanted = |group: &str| wish.groups.iter().any(|wanted| wanted == group);
    let mut bench = Bench {
        hash: database::password_hash(&wish.program, &scratch.0)?,
        program: wish.program.clone(),
        small: wish.small.clone(),
        dir: scratch.0.clone(),
        runs: wish.runs,
        seconds: wish.seconds,
        server: wanted("server"),
        counted_by: None,
        idle_refusals: BTreeMap::new(),
        begun: Instant::now(),
        report: Report::default(),
    };
    println!("{}\n", heading(&bench));
    if wanted("limits") {
        limits::disk(&mut bench)?;
        limits::sqlite(&mut bench)?;
    }
    if wanted("limits") || wanted("server") {
        talks::measure(&mut bench)?;
    }
    #[cfg(feature = "tls")]
    if wanted("tls") {
        tls::measure(&mut bench)?;
    }
    if wanted("idle") || wanted("growth") {
        let million = growth::build(&bench, 1_000_000)?;
        if wanted("idle") {
            idle::measure(&mut bench, &million)?;
        }
        if wanted("growth") {
            growth::measure(&mut bench, &million)?;
        }
    }
    if wanted("media") {
        media::measure(&mut bench)?;
    }
    bench.say("done");
    print!("{}", bench.report.table());
    Ok(())
}

fn heading(bench: &Bench) -> String {
    let text = |path: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = text("/proc/cpuinfo");
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("", |(_, name)| name);
    format!(
        "{cores} cores ({cpu}), Linux {}, databases on {}, load average {} before the run.\n\
         {} runs of {} s for each figure.",
        text("/proc/sys/kernel/osrelease"),
        disk(&bench.dir),
        text("/proc/loadavg").split(' ').next().unwrap_or_default(),
        bench.runs,
        bench.seconds,
    )
}

fn disk(directory: &Path) -> String {
    let directory = fs::canonicalize(directory).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut best = ("", String::new());
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        if let (Some(device), Some(at), Some(kind)) = (fields.next(), fields.next(), fields.next())
            && directory.starts_with(at)
            && at.len() >= best.0.len()
        {
            let remark = match kind {
                "tmpfs" => ", which is no disk",
                _ => "",
            };
            best = (at, format!("{kind} ({device}){remark}"));
        }
    }
    best.1
}

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("plausch-bench: {}: {error}", self.0.display());
        }
    }
}

/// Removes what runs that were killed have left.
fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(DIRECTORY));
        if let Some(process) = process.and_then(|process| process.parse::<u32>().ok())
            && !Path::new("/proc").join(process.to_string()).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
