//! What a log line begins with: it depends on what standard error is.

use crate::support::client::TIMEOUT;
use crate::support::server::{program, signal};
use crate::support::system::{TempDir, wait_for};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A server in a directory, with a warning in its log: 203.0.113.0/24 is nobody's (RFC 5737).
fn start(directory: &TempDir, listen: &[&str], stderr: Stdio, stream: &str) -> Child {
    let mut command = Command::new(program());
    for address in listen {
        command.args(["--listen", address]);
    }
    command
        .current_dir(directory.path())
        .env_remove("RUST_LOG")
        .env("JOURNAL_STREAM", stream)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("plauschd")
}

fn end(mut child: Child) {
    signal("TERM", child.id());
    wait_for("the server has ended", TIMEOUT, || {
        child.try_wait().expect("try_wait")
    });
}

/// The lines that a server writes to a socket, of which it is told by `JOURNAL_STREAM`; a wrong
/// number there is another's stream.
fn to_a_socket(listen: &[&str], off: u64) -> Vec<String> {
    let directory = TempDir::new();
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    ours.set_read_timeout(Some(TIMEOUT)).expect("time-out");
    let file = File::from(OwnedFd::from(theirs));
    let data = file.metadata().expect("fstat");
    let stream = format!("{}:{}", data.dev(), data.ino() + off);
    let child = start(&directory, listen, file.into(), &stream);
    let mut lines = BufReader::new(ours)
        .lines()
        .map(|line| line.expect("a line"));
    let mut found = Vec::new();
    for line in lines.by_ref() {
        let is_last = line.contains("listening on 127");
        found.push(line);
        if is_last {
            break;
        }
    }
    end(child);
    found.extend(lines);
    found
}

#[test]
fn the_journal_is_told_priorities() {
    let lines = to_a_socket(&["127.0.0.1:0", "203.0.113.1:4110"], 0);
    let one = |begin: &str, text: &str| {
        let found = |line: &&String| line.starts_with(begin) && line.contains(text);
        assert_eq!(lines.iter().filter(found).count(), 1, "{lines:?}");
    };
    one("<4>[WARN ", "cannot listen on 203.0.113.1");
    one("<6>[INFO ", "listening on 127.0.0.1");
    one("<6>[INFO ", "stopped");
}

#[test]
fn the_journal_is_told_that_a_start_fails() {
    let lines = to_a_socket(&["203.0.113.1:4110"], 0);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("<3>plauschd: cannot listen"),
        "{lines:?}"
    );
}

#[test]
fn another_stream_is_not_the_journal() {
    let lines = to_a_socket(&["127.0.0.1:0"], 1);
    assert!(lines.iter().all(|line| line.starts_with('[')), "{lines:?}");
}

#[test]
fn a_file_has_the_time() {
    let directory = TempDir::new();
    let path = directory.path().join("log");
    let file = File::create(&path).expect("a file");
    let child = start(&directory, &["127.0.0.1:0"], file.into(), "");
    let read = || std::fs::read_to_string(&path).expect("the log");
    wait_for("it listens", TIMEOUT, || {
        read().contains("listening on").then_some(())
    });
    end(child);
    let minute = |ago: u64| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
        let seconds = (since - Duration::from_secs(ago)).as_secs();
        let output = Command::new("date")
            .args(["-u", "+%FT%H:%M:", "-d", &format!("@{seconds}")])
            .output();
        String::from_utf8(output.expect("date").stdout).expect("UTF-8")
    };
    let (now, before) = (minute(0), minute(60));
    for line in read().lines() {
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(
            time.starts_with(now.trim()) || time.starts_with(before.trim()),
            "{line}"
        );
        assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
        assert!(rest.starts_with('['), "{line}");
    }
}
