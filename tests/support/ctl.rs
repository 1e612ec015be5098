//! Running the operator's tool, and a flood of messages for it to work beside.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::client::{Received, TIMEOUT};
use super::link::Link;
use super::people::pair;
use super::server::TestServer;
use super::system::{Stop, output, wait_for};

/// Runs the tool on a database until it ends, which it must do soon.
pub fn run(database: &Path, arguments: &[&str], input: &str) -> Output {
    output(tool(database).args(arguments), input)
}

/// The tool, for a database.
pub fn tool(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plauschctl"));
    command.arg("--database").arg(database);
    command
}

/// Runs it, and it must succeed; gives what it printed.
pub fn ctl(database: &Path, arguments: &[&str]) -> String {
    ctl_with(database, arguments, "")
}

/// The same with something on standard input.
pub fn ctl_with(database: &Path, arguments: &[&str], input: &str) -> String {
    let output = run(database, arguments, input);
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{arguments:?}: {stdout}{stderr}");
    assert_eq!(stderr, "", "{arguments:?}");
    stdout
}

/// Runs it, and it must fail with this exit code and one line; gives the line.
pub fn refused(database: &Path, arguments: &[&str], input: &str, code: i32) -> String {
    let output = run(database, arguments, input);
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stdout, "", "{arguments:?}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    stderr
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

pub fn json(database: &Path, arguments: &[&str]) -> serde_json::Value {
    let text = ctl(database, arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A pair, flood1 and flood2, of whom the first sends as much as the server takes.
pub struct Flood {
    pub chat: i64,
    stop: Stop,
    acknowledged: Arc<AtomicU64>,
    writer: thread::JoinHandle<u64>,
    reader: thread::JoinHandle<u64>,
    drain: Link,
}

impl Flood {
    pub fn start(server: &TestServer) -> Flood {
        let (mut sender, mut receiver, chat) = pair(server, "flood1", "flood2");
        let (stop, acknowledged) = (Stop::default(), Arc::new(AtomicU64::new(0)));
        let drain = receiver.writer();
        let reader = thread::spawn(move || {
            let mut seen = 0_u64;
            while let Received::Line(line) = receiver.next(TIMEOUT) {
                assert!(line.starts_with("220 "), "{line}");
                seen += 1;
            }
            seen
        });
        let (flag, count) = (stop.flag(), Arc::clone(&acknowledged));
        let writer = thread::spawn(move || {
            let mut next = 0_u64;
            while !flag.now() {
                sender.say_all(
                    chat,
                    (next..next + 64).map(|number| format!("flood {number}")),
                );
                next += 64;
                count.store(next, Ordering::SeqCst);
            }
            next
        });
        Flood {
            chat,
            stop,
            acknowledged,
            writer,
            reader,
            drain,
        }
    }

    /// How many messages have been acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until so many have been acknowledged.
    pub fn wait_for(&self, goal: u64) {
        wait_for("the flood goes on", TIMEOUT, || {
            (self.acknowledged() >= goal).then_some(())
        });
    }

    /// Ends the flood, which must have gone well; gives how many messages there were.
    pub fn end(self) -> u64 {
        drop(self.stop);
        let sent = self.writer.join().expect("the flood failed");
        self.drain.finish().expect("shutdown");
        let seen = self.reader.join().expect("the flood's receiver failed");
        assert!(seen <= sent, "{seen} of {sent} arrived");
        sent
    }
}
