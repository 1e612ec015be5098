//! The command line, and what an option promises beyond the transcripts: one clear line on stderr
//! and exit code 2 for a wrong option, 1 where the server cannot start; reasons and the log tell no
//! secrets.

use crate::support::client::{Client, TIMEOUT};
use crate::support::people::{PASSWORD, pair};
use crate::support::server::{TestServer, program, refuses};
use crate::support::system::{TempDir, output};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::Duration;

/// Runs the server until it ends by itself, which it must do soon.
fn run(arguments: &[&str]) -> Output {
    output(Command::new(program()).args(arguments), "")
}

/// The one line of a start that fails.
fn complaint(arguments: &[&str], code: i32) -> String {
    refuses(Command::new(program()).args(arguments), code)
}

#[test]
fn a_wrong_option_is_one_line_and_exit_code_2() {
    for (arguments, named) in [
        (&["--colour"][..], "--colour"),
        (&["-x"], "-x"),
        (&["--listen"], "--listen"),
        (&["--listen", "here"], "--listen"),
        (&["--max-clients", "many"], "--max-clients"),
        (&["--max-clients", "-1"], "--max-clients"),
        (&["--max-per-ip", "x"], "--max-per-ip"),
        (&["--max-media", "0x10"], "--max-media"),
        (&["--registration", "maybe"], "--registration"),
        (&["--scrypt", "fast"], "--scrypt"),
        (&["--scrypt", "99,8,1"], "--scrypt"),
        (&["--login-grace", "soon"], "--login-grace"),
        (&["--pool", "0"], "--pool"),
        (&["--check", "long"], "--check"),
        (&["--explain", "--explain"], "--explain"),
        (&["file.db"], "file.db"),
    ] {
        let line = complaint(arguments, 2);
        assert!(line.contains(named), "{arguments:?}: {line}");
    }
}

#[test]
fn a_port_in_use_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = taken.local_addr().expect("local_addr").to_string();
    let directory = TempDir::new();
    let database = directory.path().join("plausch.db");
    let database = database.to_str().expect("UTF-8");
    let line = complaint(&["--listen", &addr, "--database", database], 1);
    assert!(line.contains(&addr), "{line}");
}

/// 203.0.113.0/24 is nobody's (RFC 5737).
#[test]
fn addresses_of_which_none_is_there_are_one_line_and_exit_code_1() {
    let directory = TempDir::new();
    let database = directory.path().join("plausch.db");
    let database = database.to_str().expect("UTF-8");
    let absent = ["203.0.113.1:4110", "203.0.113.2:4110"];
    let line = complaint(
        &["-l", absent[0], "-l", absent[1], "--database", database],
        1,
    );
    assert!(line.contains(absent[0]), "{line}");
}

#[test]
fn a_database_that_cannot_be_opened_is_one_line_and_exit_code_1() {
    let directory = TempDir::new();
    let path = directory.path();
    let text = path.join("letter.txt");
    std::fs::write(&text, "Dear database,\n".repeat(1000)).expect("write");
    for database in [
        path.join("nowhere/plausch.db"),
        text.clone(),
        path.to_owned(),
    ] {
        let name = database.to_str().expect("UTF-8");
        let line = complaint(&["--listen", "127.0.0.1:0", "--database", name], 1);
        assert!(line.contains(name), "{line}");
    }
    let letter = std::fs::read_to_string(&text).expect("read");
    assert!(
        letter == "Dear database,\n".repeat(1000),
        "it was written to"
    );
}

#[test]
fn help_and_version_go_to_stdout() {
    for name in ["--version", "-V"] {
        let output = run(&[name]);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text, format!("plauschd {}\n", env!("CARGO_PKG_VERSION")));
        assert!(output.stderr.is_empty());
    }
    for name in ["--help", "-h"] {
        let output = run(&[name]);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        for option in [
            "--listen",
            "--database",
            "--explain",
            "--max-clients",
            "--max-per-ip",
            "--max-media",
            "--leave-checkpoints",
            "--registration",
            "--scrypt",
            "--login-grace",
            "--pool",
            "--check",
            "--help",
            "--version",
        ] {
            assert!(text.contains(option), "{option} is not in\n{text}");
        }
    }
}

#[test]
fn it_listens_on_several_addresses() {
    let server = TestServer::with(&["--listen", "[::1]:0"]);
    let line = server.wait_for_log("listening on [::1]:", TIMEOUT);
    let addr = line.split("listening on ").nth(1).expect("an address");
    let mut six = Client::connect(addr.trim().parse().expect("an address"));
    let mut four = server.connect();
    for client in [&mut six, &mut four] {
        client.silent();
    }
}

/// Contract, section 5: reasons never repeat values, for a mistyped opcode may stand before a
/// password.
#[test]
fn reasons_repeat_no_values() {
    let mut server = TestServer::after_shell("export RUST_LOG=trace", &["--explain"]);
    let mut client = server.connect();
    for line in [
        "1110 hans hunter22",
        "hunter22",
        "110 hunter22",
        "110 hans hunter22 x",
        "110 hans \"hunter22",
        "110 hans \"hunter22\"x",
        "117 hans hunter22 hunter22 m",
        "117 hans hunter22",
        "114 hunter22",
        "115 hunter22 hunter22",
        "119 hunter22",
        "130 hunter22 0 1",
        "132 hunter22",
        "132 hunter22 hunter22 hunter22",
        "133 hunter22 hunter22",
    ] {
        let answer = client.ask(line);
        assert!(answer.starts_with("210 ") || answer.starts_with("211 "));
        assert!(!answer.contains("hunter22"), "`{line}` gets `{answer}`");
    }
    // Only an ended server has surely logged all that it will.
    server.stop();
    let log = server.log().join("\n");
    // The reasons are there, so the log is one that could hold them.
    assert!(log.contains("114 ChatDelete: ChatID is not"), "{log}");
    assert!(!log.contains("hunter22"), "{log}");
}

/// Contract, section 5: the same reason is in the log, at the level that it has by default; but not
/// once for each line, since strangers can send any number of them.
#[test]
fn reasons_are_in_the_log() {
    let mut server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..50 {
        assert_eq!(client.ask("114 x"), "211");
    }
    server.stop();
    let log = server.log();
    let reasons = log
        .iter()
        .filter(|line| line.contains("114 ChatDelete: ChatID is not a number"));
    // One in ten seconds, on a machine that may be slow.
    let reasons = reasons.count();
    assert!((1..10).contains(&reasons), "{}", log.join("\n"));
}

/// What is longer than `--max-media` lets it be is answered by 211, as a line and as a value.
#[test]
fn max_media_says_so_when_it_bites() {
    let server = TestServer::with(&["--max-media", "1K"]);
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    let log = |text| server.wait_for_log(text, Duration::from_secs(10));
    let mut send = |bytes: usize| hans.ask(&format!("115 {chat} \"m\" {}", "x".repeat(bytes)));
    assert_eq!(send(1024), "219 400");
    assert_eq!(send(1025), "211");
    log("115 MessageSend: Media is too long (--max-media");
    assert_eq!(send(20_000), "211");
    log("sent a line that is too long (--max-media)");
}

/// No passwords and no messages are logged, however much is.
#[test]
fn the_log_tells_no_secrets() {
    let mut server = TestServer::after_shell("export RUST_LOG=trace", &["--explain"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.send(&format!("115 {chat} \"between us\" data:,private"));
    hans.expect("219 400");
    maria.recv();
    hans.send("132 wrong-secret other-secret");
    hans.expect("245 406");
    hans.send(&format!("132 {PASSWORD} other-secret"));
    hans.expect("245 400");
    hans.send("133 wrong-secret");
    hans.expect("246 406");
    hans.send("110 hans");
    assert!(hans.recv().starts_with("211 "));
    hans.close();
    maria.close();
    // Only an ended server has surely logged all that it will.
    server.stop();
    let log = server.log().join("\n");
    // It did log what these connections did, at the levels that are off by default.
    assert!(log.contains("110 Login: "), "{log}");
    assert!(log.contains("ended: closed by the peer"), "{log}");
    for secret in [PASSWORD, "secret", "between us", "private"] {
        assert!(!log.contains(secret), "`{secret}` is in the log:\n{log}");
    }
}

/// With `--leave-checkpoints` whoever copies the write-ahead log finds all of it, also after an
/// orderly end.
#[test]
fn checkpoints_can_be_left_to_another_program() {
    let log_size = |server: &TestServer| {
        let mut name = server.database().into_os_string();
        name.push("-wal");
        std::fs::metadata(name).map_or(0, |data| data.len())
    };
    for (options, kept) in [(&["--leave-checkpoints"][..], true), (&[], false)] {
        let mut server = TestServer::with(options);
        let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
        // More than the 1,000 pages of 8 KiB after which SQLite checkpoints by itself.
        let media = "x".repeat(5 << 20);
        for _ in 0..2 {
            hans.send(&format!("115 {chat} \"big\" {media}"));
            hans.expect("219 400");
        }
        hans.say(chat, "small");
        let before = log_size(&server);
        assert!(!kept || before > 10 << 20, "{before}");
        server.stop();
        let after = log_size(&server);
        assert_eq!(after > 0, kept, "{before} before, {after} after the end");
        assert!(!kept || after >= before);
        server.restart();
        let mut maria = server.connect();
        maria.login("maria");
    }
}
