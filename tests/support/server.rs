//! A `plauschd` of one's own: a port that the system chose, a database in a temporary directory,
//! its log at hand, gone when the test ends.

#[cfg(feature = "tls")]
use super::certificates::{self, Validity};
use super::client::{Client, TIMEOUT};
use super::link::wants_tls;
use super::system::{TempDir, rss_kib, wait_for};
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The cheapest hash that scrypt has, so that tests which are not about hashing do not wait for it.
pub const CHEAP_SCRYPT: &str = "4,8,1";

/// Contract, section 4, promise 7.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The server program: the one that was built along with the tests, or the one that `PLAUSCHD` names
/// (a release build, say, or one for another system).
pub fn program() -> OsString {
    std::env::var_os("PLAUSCHD").unwrap_or_else(|| env!("CARGO_BIN_EXE_plauschd").into())
}

/// A start that must fail with exit code 1: the one line that the server ends with.
pub fn refused(arguments: &[&OsStr]) -> String {
    let mut child = Command::new(program())
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("plauschd");
    let ended = wait_for("the server has ended", TIMEOUT, || {
        child.try_wait().expect("try_wait")
    });
    let output = child.wait_with_output().expect("plauschd");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(ended.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// Limits for a server in the open that a flood of tests from one address would meet. Each is
/// switched off where `--help` names it, unless the test sets it itself.
const LIMITS_OFF: &[(&str, &str)] = &[
    ("--login-delay", "0"),
    ("--register-rate", "0"),
    ("--rate", "0"),
];

pub struct TestServer {
    child: Child,
    addr: SocketAddr,
    log: Arc<Log>,
    /// Where the log of this run begins; a restart keeps what was logged before.
    run_starts: usize,
    reader: Option<JoinHandle<()>>,
    shell: Option<String>,
    options: Vec<String>,
    running: bool,
    // Last, so that the directory goes after the server.
    directory: TempDir,
}

impl TestServer {
    /// A server with cheap hashes and otherwise default options.
    pub fn start() -> TestServer {
        TestServer::with(&[])
    }

    /// A server with further options. One that is given here replaces the one of the same name
    /// that tests have by default.
    pub fn with(options: &[&str]) -> TestServer {
        TestServer::launch(None, options)
    }

    /// A server started by `sh` after a command such as `ulimit -n 40`.
    pub fn after_shell(command: &str, options: &[&str]) -> TestServer {
        TestServer::launch(Some(command), options)
    }

    fn launch(shell: Option<&str>, options: &[&str]) -> TestServer {
        let directory = TempDir::new();
        let shell = shell.map(str::to_owned);
        let options = with_defaults(options);
        #[cfg(feature = "tls")]
        let options = match wants_tls() {
            true => {
                let signed = certificates::authority().sign(certificates::NAMES, Validity::Now);
                let files = certificates::write(directory.path(), signed);
                [certificates::options(&files), options].concat()
            }
            false => options,
        };
        let log = Arc::new(Log::default());
        let command = command(shell.as_deref(), &directory, &options);
        let (child, addr, reader) = spawn(command, &log, 0);
        TestServer {
            child,
            addr,
            log,
            run_starts: 0,
            reader: Some(reader),
            shell,
            options,
            running: true,
            directory,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn database(&self) -> PathBuf {
        database(&self.directory)
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.addr)
    }

    pub fn rss_kib(&self) -> u64 {
        rss_kib(self.pid())
    }

    /// All that was logged, over restarts too.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Waits until this run has logged a line with `text` in it, and gives the line.
    pub fn wait_for_log(&self, text: &str, timeout: Duration) -> String {
        match self.log.wait_for(self.run_starts, text, timeout) {
            Ok(line) => line,
            Err(log) => panic!("no `{text}` in the log after {timeout:?}:\n{log}"),
        }
    }

    pub fn is_alive(&mut self) -> bool {
        self.running && self.child.try_wait().expect("try_wait").is_none()
    }

    /// SIGTERM; the server must be gone within 10 seconds with exit code 0.
    pub fn stop(&mut self) {
        self.terminate();
        let status = self.wait(STOP_TIMEOUT);
        let log = self.log().join("\n");
        assert_eq!(status.code(), Some(0), "exit after SIGTERM; log:\n{log}");
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        signal("TERM", self.pid());
    }

    /// Waits for the server's end.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let child = &mut self.child;
        let status = wait_for("the server has ended", timeout, || {
            child.try_wait().expect("try_wait")
        });
        self.ended();
        status
    }

    /// SIGKILL: the server has no chance to save anything.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
        self.ended();
    }

    /// Stops the server if it runs and starts it again, on the same database with the same options.
    /// The port is another one.
    pub fn restart(&mut self) {
        if self.running {
            self.stop();
        }
        self.run_starts = self.log.lines().len();
        let command = command(self.shell.as_deref(), &self.directory, &self.options);
        let (child, addr, reader) = spawn(command, &self.log, self.run_starts);
        self.child = child;
        self.addr = addr;
        self.reader = Some(reader);
        self.running = true;
    }

    fn ended(&mut self) {
        self.running = false;
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log reader failed");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.running {
            // It may have ended by itself; what it logged then says why.
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.ended();
        }
        let log = self.log();
        let panicked = log.iter().any(|line| line.contains("panicked"));
        if thread::panicking() {
            let shown = &log[log.len().saturating_sub(40)..];
            eprintln!("the server's log ends:\n{}", shown.join("\n"));
        } else {
            assert!(!panicked, "the server panicked:\n{}", log.join("\n"));
        }
    }
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("plausch.db")
}

/// The options of a test, and before them those of the harness which the test does not set.
fn with_defaults(given: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    let scrypt = ("--scrypt", CHEAP_SCRYPT);
    let off = LIMITS_OFF.iter().filter(|(name, _)| help_names(name));
    for (name, value) in off.copied().chain([scrypt]) {
        if !given.contains(&name) {
            all.extend([name.to_owned(), value.to_owned()]);
        }
    }
    all.extend(given.iter().map(|&option| option.to_owned()));
    // "default" asks for the server's own value, so for no option at all.
    while let Some(at) = all.iter().position(|option| option == "default") {
        all.drain(at - 1..=at);
    }
    all
}

fn help_names(option: &str) -> bool {
    static HELP: OnceLock<String> = OnceLock::new();
    let help = HELP.get_or_init(|| {
        let output = Command::new(program()).arg("--help").output();
        String::from_utf8_lossy(&output.expect("plauschd --help").stdout).into_owned()
    });
    help.split_ascii_whitespace().any(|word| word == option)
}

fn command(shell: Option<&str>, directory: &TempDir, options: &[String]) -> Command {
    let mut arguments: Vec<OsString> = ["--listen", "127.0.0.1:0", "--database"]
        .map(OsString::from)
        .to_vec();
    arguments.push(database(directory).into());
    arguments.extend(options.iter().map(OsString::from));
    let mut command = match shell {
        None => Command::new(program()),
        Some(first) => {
            let mut sh = Command::new("sh");
            sh.arg("-c").arg(format!(r#"{first}; exec "$0" "$@""#));
            sh.arg(program());
            sh
        }
    };
    command.args(arguments);
    command
}

/// Starts the server and waits until it says where it listens.
fn spawn(mut command: Command, log: &Arc<Log>, from: usize) -> (Child, SocketAddr, JoinHandle<()>) {
    log.reopen();
    let mut child = command
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program().display()));
    let stderr = child.stderr.take().expect("stderr is piped");
    let sink = Arc::clone(log);
    let reader = thread::spawn(move || sink.collect(BufReader::new(stderr)));
    // Where there are both, those with TLS come last.
    let what = if wants_tls() {
        " with TLS"
    } else {
        "listening on "
    };
    match log.wait_for(from, what, TIMEOUT) {
        Ok(line) => {
            let addr = line.split("listening on ").nth(1).unwrap_or_default();
            let word = addr.split_ascii_whitespace().next().unwrap_or_default();
            match word.parse() {
                Ok(addr) => (child, addr, reader),
                Err(error) => panic!("no address in `{line}`: {error}"),
            }
        }
        Err(log) => {
            let _ = child.kill();
            let status = child.wait();
            panic!("the server does not listen ({status:?}):\n{log}");
        }
    }
}

/// Sends a signal by its name.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(status.expect("kill").success(), "kill -{name} {pid}");
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
    fn reopen(&self) {
        self.state.lock().expect("log").ended = false;
    }

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

    fn lines(&self) -> Vec<String> {
        self.state.lock().expect("log").lines.clone()
    }

    /// The first line from `from` on with `text` in it, or the whole log if none comes.
    fn wait_for(&self, from: usize, text: &str, timeout: Duration) -> Result<String, String> {
        let end = Instant::now() + timeout;
        let mut state = self.state.lock().expect("log");
        loop {
            let lines = state.lines.get(from..).unwrap_or_default();
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
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
