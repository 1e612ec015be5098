//! How many threads the system leaves to connections.
//!
//! - Memory maps (`vm.max_map_count`): a thread costs four.
//! - Tasks: `pids.max` of the control group and of each one around it (cgroups(7); `TasksMax=` of
//!   systemd, `--pids-limit` of container engines), the user's own limit (`RLIMIT_NPROC`,
//!   getrlimit(2)) and the machine's (`kernel.threads-max`, `kernel.pid_max`).
//!
//! Beyond these spawning fails, or, for maps, aborts the process. What others use of a limit just
//! now is theirs.

use std::fs;
use std::path::{Path, PathBuf};

/// What Linux has unless told otherwise.
const DEFAULT_MAX_MAP_COUNT: usize = 65_530;

/// Threads that are not a connection's: main, sweep, acceptors, the store's four, hashers, the
/// pool's; with some room, also for what is started beside the server in its control group.
const OWN: usize = 16;

/// Whatever the system says, this many are tried.
const LEAST: usize = 4;

/// The limit that is reached first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ceiling {
    /// Threads that connections may have together.
    pub(crate) threads: usize,
    /// What says so, for people.
    pub(crate) by: String,
}

/// A limit of tasks that the server shares with others.
#[derive(Debug, PartialEq, Eq)]
struct Tasks {
    most: usize,
    /// All that count against it now, the server's own included.
    used: usize,
    by: String,
}

impl Ceiling {
    /// Asks the system.
    pub(crate) fn read() -> Ceiling {
        let maps = number("/proc/sys/vm/max_map_count").unwrap_or(DEFAULT_MAX_MAP_COUNT);
        let mut tasks = groups();
        let everybody = everybody();
        // Last, so that a thread that is being started is none of the others.
        let own = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        for name in ["threads-max", "pid_max"] {
            if let Some(most) = number(format!("/proc/sys/kernel/{name}")) {
                let by = format!("kernel.{name}");
                let used = everybody;
                tasks.push(Tasks { most, used, by });
            }
        }
        let ceiling = lowest(maps, &tasks, own);
        // Counting what a user runs takes a look at each process: only where it could matter.
        match user_limit() {
            Some((user, most)) if most < ceiling.threads.saturating_add(OWN + everybody) => {
                let (used, by) = (own + used_by_others(user), "RLIMIT_NPROC".to_owned());
                tasks.push(Tasks { most, used, by });
                lowest(maps, &tasks, own)
            }
            _ => ceiling,
        }
    }
}

/// The lowest of all limits, for a server that has `own` threads now, which are counted in each.
fn lowest(maps: usize, tasks: &[Tasks], own: usize) -> Ceiling {
    let by_maps = Ceiling {
        threads: maps.saturating_sub(2_000) / 4,
        by: "vm.max_map_count".to_owned(),
    };
    let by_tasks = tasks.iter().map(|limit| {
        let others = limit.used.saturating_sub(own);
        Ceiling {
            threads: limit.most.saturating_sub(others).saturating_sub(OWN),
            by: limit.by.clone(),
        }
    });
    let mut lowest = by_tasks.fold(by_maps, |lowest, ceiling| {
        if ceiling.threads < lowest.threads {
            ceiling
        } else {
            lowest
        }
    });
    lowest.threads = lowest.threads.max(LEAST);
    lowest
}

/// The limits of the control groups that the server is in.
fn groups() -> Vec<Tasks> {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let directories = directories(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
    let limits = directories.iter().filter_map(|directory| group(directory));
    limits.collect()
}

/// The limit of one control group; None where there is none, as in the outermost.
fn group(directory: &Path) -> Option<Tasks> {
    let file = directory.join("pids.max");
    Some(Tasks {
        most: number(&file)?,
        used: number(directory.join("pids.current"))?,
        by: file.display().to_string(),
    })
}

/// The directories of the control groups that count this process's tasks, each with those around it
/// as far as they can be seen from here. `groups` is `/proc/self/cgroup` (cgroups(7)), `mounts` is
/// `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
fn directories(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for group in groups.lines() {
        let mut fields = group.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        // The one hierarchy of version 2, or that of version 1 with this controller.
        let second = number == "0" && controllers.is_empty();
        if !second && !has(controllers, "pids") {
            continue;
        }
        for mount in mounts.lines() {
            let Some((place, system)) = mount.split_once(" - ") else {
                continue;
            };
            let place: Vec<_> = place.split(' ').collect();
            let system: Vec<_> = system.split(' ').collect();
            let ([_, _, _, root, point, ..], [kind, _, options, ..]) = (&place[..], &system[..])
            else {
                continue;
            };
            let fits = match *kind {
                "cgroup2" => second,
                "cgroup" => !second && has(options, "pids"),
                _ => false,
            };
            if !fits {
                continue;
            }
            let point = PathBuf::from(point.replace("\\040", " "));
            // What is mounted may begin further down: a container sees its own groups alone, also
            // where its path is told from the machine's root.
            let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
            let inside = below.components().all(|part| part.as_os_str() != "..");
            let group = if inside {
                point.join(below)
            } else {
                point.clone()
            };
            let around = group.ancestors().take_while(|one| one.starts_with(&point));
            all.extend(around.map(Path::to_path_buf));
        }
    }
    all
}

/// Whether a list with commas has a word.
fn has(list: &str, word: &str) -> bool {
    list.split(',').any(|one| one == word)
}

/// All tasks of the machine, by the fourth field of `/proc/loadavg`: those that can run, a slash,
/// those that there are.
fn everybody() -> usize {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let tasks = load
        .split(' ')
        .nth(3)
        .and_then(|field| field.split_once('/'));
    tasks.map_or(0, |(_, all)| all.parse().unwrap_or(0))
}

/// The process's user, with the most tasks that this user may have, if that binds this process.
fn user_limit() -> Option<(u32, usize)> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    bound(&limits, &status)
}

fn bound(limits: &str, status: &str) -> Option<(u32, usize)> {
    /// CAP_SYS_ADMIN and CAP_SYS_RESOURCE: with either, and for root, there is no limit.
    const EXEMPT: u64 = 1 << 21 | 1 << 24;
    let most = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max processes"))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()?;
    let user: u32 = field(status, "Uid:")?.parse().ok()?;
    let capabilities = u64::from_str_radix(field(status, "CapEff:")?, 16).ok()?;
    (user != 0 && capabilities & EXEMPT == 0).then_some((user, most))
}

/// The tasks of a user's other processes together.
fn used_by_others(user: u32) -> usize {
    let Ok(processes) = fs::read_dir("/proc") else {
        return 0;
    };
    let own = std::process::id();
    let tasks = processes.filter_map(|entry| {
        let entry = entry.ok()?;
        if !is_other(&entry.file_name().to_string_lossy(), own) {
            return None;
        }
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let its: u32 = field(&status, "Uid:")?.parse().ok()?;
        let threads: usize = field(&status, "Threads:")?.parse().ok()?;
        (its == user).then_some(threads)
    });
    tasks.sum()
}

/// Whether a name in `/proc` is that of another process than `own`: `self` and `thread-self` are it.
fn is_other(name: &str, own: u32) -> bool {
    name.parse().is_ok_and(|process: u32| process != own)
}

/// The first word behind a name in a file like `/proc/PID/status`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()
}

/// The number that a file has; None for `max` too.
fn number(file: impl AsRef<Path>) -> Option<usize> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
