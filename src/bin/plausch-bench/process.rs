//! Processes: what they use, and how those that were started here are ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Doing, Failure, Result};

/// `USER_HZ`, in which Linux counts the CPU time of processes on all common architectures.
const TICKS: f64 = 100.0;

/// The kernel's stack of one thread: 16 KiB, but at least a page.
pub fn kernel_stack_kib() -> Result<f64> {
    let page = figure(std::process::id(), "smaps", "KernelPageSize")?;
    Ok(page.max(16.0))
}

/// CPU seconds that a process has used, in user and kernel mode, ended threads included.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).doing(&path)?;
    // The name, in brackets, may hold anything; utime and stime are the 12th and 13th behind it.
    let ticks = text.rsplit_once(')').and_then(|(_, rest)| {
        let mut fields = rest.split_ascii_whitespace().skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let kernel: f64 = fields.next()?.parse().ok()?;
        Some(user + kernel)
    });
    ticks
        .map(|ticks| ticks / TICKS)
        .ok_or_else(|| Failure::new(format!("{path} has another form")))
}

/// A number of `/proc/PID/FILE` by its name.
pub fn figure(pid: u32, file: &str, name: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).doing(&path)?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| Failure::new(format!("{path} has no {name}")))
}

/// Sends a signal to a process that was started here.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    // A program of its own, since the crate has no unsafe code but in one place.
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .doing("sending a signal")?;
    Ok(())
}

/// Writes everything that waits for it to the disks.
pub fn sync() -> Result<()> {
    Command::new("sync")
        .stdin(Stdio::null())
        .status()
        .doing("running sync")?;
    Ok(())
}

/// Waits for the end of a child; false when `patience` was not enough.
pub fn wait(child: &mut Child, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(true)
}

/// Where a program is that was asked for by its name.
pub fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// Counts the system calls of a process while `work` runs. None when nothing here can count them.
///
/// perf hardly disturbs what it counts; strace, which stops the process at each call, is taken
/// when there is no perf or it may not.
pub fn count_system_calls(
    pid: u32,
    directory: &Path,
    work: &mut dyn FnMut() -> Result<f64>,
) -> Result<Option<(f64, &'static str)>> {
    let process = pid.to_string();
    let out = directory.join("system-calls");
    let perf: (_, &[&str]) = ("perf", &["stat", "-x,", "-e", "raw_syscalls:sys_enter"]);
    let strace: (_, &[&str]) = ("strace", &["-f", "-c"]);
    for (program, arguments) in [perf, strace] {
        if find_program(program).is_none() {
            continue;
        }
        let mut child = Command::new(program)
            .args(arguments)
            .arg("-p")
            .arg(&process)
            .arg("-o")
            .arg(&out)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing(program)?;
        // Until it has attached to all threads.
        if wait(&mut child, Duration::from_millis(400))? {
            continue;
        }
        let messages = work();
        signal(child.id(), "INT")?;
        if !wait(&mut child, Duration::from_secs(10))? {
            child.kill()?;
            child.wait()?;
        }
        let text = fs::read_to_string(&out).unwrap_or_default();
        let calls: Option<f64> = if program == "perf" {
            text.lines()
                .find(|line| line.contains("sys_enter"))
                .and_then(|line| line.split(',').next()?.parse().ok())
        } else {
            text.lines()
                .find(|line| line.ends_with("total"))
                .and_then(|line| line.split_ascii_whitespace().nth(3)?.parse().ok())
        };
        let messages = messages?;
        if let Some(calls) = calls {
            return Ok(Some((calls / messages, program)));
        }
    }
    Ok(None)
}
