//! Processes: what they use, and how those that were started here are ended.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Doing, Failure, Result};
use crate::started::{self, Program};

/// `USER_HZ`, in which Linux counts the CPU time of processes on all common architectures.
const TICKS: f64 = 100.0;

const HELPER_START: Duration = Duration::from_secs(10);

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

pub fn figure(pid: u32, file: &str, name: &str) -> Result<f64> {
    Ok(started::figure(pid, file, name)? as f64)
}

pub fn resident(pid: u32) -> Result<f64> {
    Ok(started::resident_kib(pid)? as f64)
}

/// Waits until something measured does not change by 64 any more, and `still` says that it may count.
pub fn come_to_rest(
    patience: Duration,
    times: usize,
    mut measured: impl FnMut() -> Result<f64>,
    mut still: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    let (mut last, mut same) = (0.0, 0);
    while same < times && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(250));
        let now = measured()?;
        let settled = still()? && f64::abs(now - last) < 64.0;
        same = if settled { same + 1 } else { 0 };
        last = now;
    }
    Ok(())
}

/// A program that was started beside the server; killed when it is dropped.
pub struct Helper(pub Child);

impl Helper {
    pub fn start(command: &mut Command, ready: impl FnMut() -> Option<()>) -> Result<Helper> {
        let name = command.get_program().display().to_string();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn();
        let helper = Helper(child.doing(format_args!("starting {name}"))?);
        match started::poll(HELPER_START, ready) {
            Some(()) => Ok(helper),
            None => Err(Failure::new(format!("{name} does not answer"))),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that nobody listens on, for a program that cannot choose one by itself.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Waits until the disk has what was written to files without fdatasync, so that nobody is
/// measured while the disk still works for who came before.
pub fn settle() -> Result<()> {
    Command::new("sync")
        .status()
        .doing("running sync")
        .map(drop)
}

pub fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// System calls of a process while `work` runs; None when nothing here can count them. perf hardly
/// disturbs what it counts; strace, which stops the process at each call, is for where perf fails.
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
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("-p")
            .arg(&process)
            .arg("-o")
            .arg(&out);
        let mut counter = Program::start(&mut command).doing(program)?;
        // Until it has attached to all threads.
        if counter.wait(Duration::from_millis(400))?.is_some() {
            continue;
        }
        let messages = work();
        started::signal("INT", counter.id())?;
        if counter.wait(Duration::from_secs(10))?.is_none() {
            counter.kill()?;
        }
        let text = fs::read_to_string(&out).unwrap_or_default();
        let field = |line: &str, at: char, field: usize| {
            line.split(at)
                .filter(|word| !word.is_empty())
                .nth(field)?
                .parse::<f64>()
                .ok()
        };
        let calls = text.lines().find_map(|line| match program {
            "perf" => field(line, ',', 0).filter(|_| line.contains("sys_enter")),
            _ => field(line, ' ', 3).filter(|_| line.ends_with("total")),
        });
        let messages = messages?;
        if let Some(calls) = calls {
            return Ok(Some((calls / messages, program)));
        }
    }
    Ok(None)
}
