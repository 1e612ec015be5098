//! A `plauschd` of one's own: a port that the system chose, a database in a temporary directory,
//! its log at hand, gone when the test ends.

#[cfg(feature = "tls")]
use super::certificates::{self, Validity};
use super::client::{Client, TIMEOUT, wants_tls};
use super::process::{self, Program};
use super::system::{TempDir, output};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

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
    refuses(
        Command::new(program())
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments),
        1,
    )
}

/// A program that must fail with this exit code, one line on stderr and nothing on stdout; the line.
pub fn refuses(command: &mut Command, code: i32) -> String {
    let output = output(command, "");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{command:?}: {said}");
    assert!(output.stdout.is_empty(), "{command:?}: stdout");
    said
}

/// Limits for a server in the open that a flood of tests from one address would meet. Each is
/// switched off where the server has it, unless the test sets it itself.
const LIMITS: &[&str] = &["--login-delay", "--register-rate", "--rate"];

pub struct TestServer {
    program: Program,
    addr: SocketAddr,
    /// What was logged before the last restart.
    earlier: Vec<String>,
    shell: Option<String>,
    options: Vec<String>,
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
        let (program, addr) = start(shell.as_deref(), &directory, &options);
        TestServer {
            program,
            addr,
            earlier: Vec::new(),
            shell,
            options,
            directory,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn pid(&self) -> u32 {
        self.program.id()
    }

    pub fn database(&self) -> PathBuf {
        database(&self.directory)
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.addr)
    }

    pub fn rss_kib(&self) -> u64 {
        process::resident_kib(self.pid()).expect("/proc")
    }

    /// All that was logged, over restarts too.
    pub fn log(&self) -> Vec<String> {
        [&self.earlier[..], &self.program.log()].concat()
    }

    /// Waits until this run has logged a line with `text` in it, and gives the line.
    pub fn wait_for_log(&self, text: &str, timeout: Duration) -> String {
        match self.program.wait_for_log(text, timeout) {
            Ok(line) => line,
            Err(log) => panic!("no `{text}` in the log after {timeout:?}:\n{log}"),
        }
    }

    pub fn is_alive(&mut self) -> bool {
        self.program.ended().expect("try_wait").is_none()
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
        let status = self.program.wait(timeout).expect("try_wait");
        status.unwrap_or_else(|| panic!("the server has not ended after {timeout:?}"))
    }

    /// SIGKILL: the server has no chance to save anything.
    pub fn kill(&mut self) {
        self.program.kill().expect("kill");
    }

    /// Stops the server if it runs and starts it again, on the same database with the same options.
    /// The port is another one.
    pub fn restart(&mut self) {
        if self.is_alive() {
            self.stop();
        }
        self.earlier.extend(self.program.log());
        (self.program, self.addr) = start(self.shell.as_deref(), &self.directory, &self.options);
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // It may have ended by itself; what it logged then says why.
        let _ = self.program.kill();
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
    static OFF: OnceLock<Vec<&str>> = OnceLock::new();
    let off = OFF.get_or_init(|| process::limits_off(&program(), LIMITS).expect("plauschd --help"));
    let defaults = off.chunks(2).chain([&["--scrypt", CHEAP_SCRYPT][..]]);
    let mut all: Vec<&str> = defaults
        .filter(|option| !given.contains(&option[0]))
        .flatten()
        .copied()
        .collect();
    all.extend(given);
    // "default" asks for the server's own value, so for no option at all.
    while let Some(at) = all.iter().position(|&option| option == "default") {
        all.drain(at - 1..=at);
    }
    all.into_iter().map(str::to_owned).collect()
}

/// Starts the server and waits until it says where it listens.
fn start(shell: Option<&str>, directory: &TempDir, options: &[String]) -> (Program, SocketAddr) {
    let mut command = match shell {
        None => Command::new(program()),
        Some(first) => {
            let mut sh = Command::new("sh");
            sh.arg("-c").arg(format!(r#"{first}; exec "$0" "$@""#));
            sh.arg(program());
            sh
        }
    };
    command
        .args(["--listen", "127.0.0.1:0", "--database"])
        .arg(database(directory))
        .args(options);
    launch(&mut command)
}

/// Starts a server by this command and waits until it listens.
pub fn launch(command: &mut Command) -> (Program, SocketAddr) {
    match launched(command) {
        (program, Ok(addr)) => (program, addr),
        (mut program, Err(log)) => {
            let _ = program.kill();
            let status = program.ended();
            panic!("the server does not listen ({status:?}):\n{log}");
        }
    }
}

/// Starts a server by this command; where it listens, or the log with which it ended.
pub fn launched(command: &mut Command) -> (Program, Result<SocketAddr, String>) {
    let program = Program::start(command.env_remove("RUST_LOG"));
    let program = program.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    // Where there are both, those with TLS come last.
    let addr = program.listens(wants_tls(), TIMEOUT);
    (program, addr)
}

/// Ends a server in order; its log.
pub fn end(mut program: Program) -> Vec<String> {
    signal("TERM", program.id());
    let status = program.wait(STOP_TIMEOUT).expect("try_wait");
    let code = status.and_then(|status| status.code());
    let log = program.log();
    assert_eq!(code, Some(0), "{log:#?}");
    log
}

/// Sends a signal by its name.
pub fn signal(name: &str, pid: u32) {
    process::signal(name, pid).expect("a signal");
}
