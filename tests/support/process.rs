//! A program that was started: its log, its end, and what the system says of it. `plausch-bench`
//! shares this file, so it needs nothing else of the tests.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A running server, or one that has ended. Killed when it is dropped.
pub struct Program {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts it; what it writes to stderr is its log.
    pub fn start(command: &mut Command) -> io::Result<Program> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().map(BufReader::new);
        let log = Arc::<Log>::default();
        let sink = Arc::clone(&log);
        let reader = stderr.map(|stderr| thread::spawn(move || sink.collect(stderr)));
        Ok(Program { child, log, reader })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The log so far; all of it once the program has ended.
    pub fn log(&self) -> Vec<String> {
        self.log.state.lock().expect("log").lines.clone()
    }

    /// The first line with `text` in it, or the whole log if none comes.
    pub fn wait_for_log(&self, text: &str, timeout: Duration) -> Result<String, String> {
        self.log.wait_for(text, timeout)
    }

    /// Where it listens, or the whole log if it does not. With TLS or without: the ports without
    /// come first.
    pub fn listens(&self, tls: bool, timeout: Duration) -> Result<SocketAddr, String> {
        let what = if tls { " with TLS" } else { "listening on " };
        let line = self.wait_for_log(what, timeout)?;
        let word = line.split("listening on ").nth(1);
        let word = word.and_then(|rest| rest.split(' ').next());
        word.and_then(|word| word.parse().ok())
            .ok_or_else(|| format!("no address in `{line}`"))
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            // It ends with the pipe.
            let _ = self.reader.take().map(JoinHandle::join);
        }
        Ok(status)
    }

    /// Waits for its end; None if it does not come in time.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        poll(timeout, || self.ended().transpose()).transpose()
    }

    /// SIGKILL, if it has not ended.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.ended().map(drop)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The lines of stderr, as they come.
#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    fn collect(&self, mut from: impl BufRead) {
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.state.lock().expect("log").lines.push(text);
            self.changed.notify_all();
            line.clear();
        }
        self.state.lock().expect("log").ended = true;
        self.changed.notify_all();
    }

    fn wait_for(&self, text: &str, timeout: Duration) -> Result<String, String> {
        let end = Instant::now() + timeout;
        let mut state = self.state.lock().expect("log");
        loop {
            if let Some(line) = state.lines.iter().find(|line| line.contains(text)) {
                return Ok(line.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return Err(state.lines.join("\n"));
            }
            state = self.changed.wait_timeout(state, left).expect("log").0;
        }
    }
}

/// The options of these that switch limits off, as far as the server's `--help` names them: an older
/// one may be tried too.
pub fn limits_off(server: &OsStr, options: &[&'static str]) -> io::Result<Vec<&'static str>> {
    let help = Command::new(server).arg("--help").output()?.stdout;
    let help = String::from_utf8_lossy(&help);
    let known = |name: &&&str| help.split_ascii_whitespace().any(|word| word == **name);
    let known = options.iter().filter(known);
    Ok(known.flat_map(|&name| [name, "0"]).collect())
}

/// Asks until there is an answer; None if there is none after `timeout`.
pub fn poll<T>(timeout: Duration, mut answer: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + timeout;
    loop {
        let found = answer();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal by its name.
pub fn signal(name: &str, pid: u32) -> io::Result<()> {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("kill -{name} {pid} has failed"))),
    }
}

/// A number of `/proc/PID/FILE` by its name.
pub fn figure(pid: u32, file: &str, name: &str) -> io::Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path)?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(pid: u32) -> io::Result<u64> {
    // smaps_rollup counts exactly; the figure in status may lag behind by 64 pages a thread.
    figure(pid, "smaps_rollup", "Rss")
}
