//! `plausch send`, `tail` and `fetch`, and their exit codes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::person::{command, free_address};
use super::relay::Relay;
use crate::support::client::TIMEOUT;
use crate::support::people::{befriend, login_when_free, open_chat, pair, register_and_login};
use crate::support::server::TestServer;
use crate::support::system::TempDir;

fn at(server: &TestServer, user: &str, args: &[&str]) -> Command {
    let mut command = command(user);
    command
        .arg("--server")
        .arg(server.addr().to_string())
        .args(args);
    command
}

fn run(mut command: Command, code: i32) -> Output {
    let output = command.output().expect("started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {stderr}");
    output
}

/// What the program said, after it ended with this code.
fn says(command: Command, code: i32) -> String {
    String::from_utf8(run(command, code).stderr).expect("UTF-8")
}

/// What the chat says to these lines from a pipe.
fn pipe(server: &TestServer, user: &str, lines: &str, code: i32) -> String {
    let mut command = at(server, user, &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(lines.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("ended");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let shown: String = said.chars().take(500).collect();
    assert_eq!(output.status.code(), Some(code), "{shown}");
    said
}

/// A host whose first address takes no connections and refuses none.
#[test]
fn send_goes_to_the_address_that_answers() {
    let possible = Command::new("unshare").args(["-rm", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        println!("this machine gives nobody a namespace: this cannot be shown");
        return;
    }
    let server = TestServer::with(&["--listen", "127.0.0.2:0"]);
    let (anna, mut bernd, _) = pair(&server, "anna", "bernd");
    drop(anna);
    let line = server.wait_for_log("listening on 127.0.0.2:", TIMEOUT);
    let port: u16 = line
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let dead: SocketAddr = ([127, 0, 0, 1], port).into();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener
        .bind(&dead.into())
        .expect("the other address's port");
    listener.listen(0).expect("listen");
    let full = || TcpStream::connect_timeout(&dead, Duration::from_millis(200)).ok();
    let _waiting: Vec<_> = std::iter::from_fn(full).take(8).collect();

    let directory = TempDir::new();
    let hosts = directory.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 twofold\n127.0.0.2 twofold\n").expect("written");
    let plausch = at(&server, "anna", &[]);
    let mut command = Command::new("unshare");
    command.args([
        "-rm",
        "sh",
        "-c",
        "mount --bind \"$0\" /etc/hosts && exec \"$@\"",
    ]);
    command.arg(&hosts).arg(plausch.get_program());
    for (name, value) in plausch.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.args([
        "--user",
        "anna",
        "send",
        "--timeout",
        "5",
        "--to",
        "bernd",
        "through",
    ]);
    command.args(["--server", &format!("twofold:{port}")]);
    assert_eq!(says(command, 0), "");
    assert_eq!(bernd.recv_push().message, "through");
}

#[test]
fn send_ends_when_the_message_is_kept() {
    let server = TestServer::start();
    let (anna, mut bernd, _) = pair(&server, "anna", "bernd");
    drop(anna);
    assert_eq!(
        says(
            at(&server, "anna", &["send", "--to", "bernd", "two  words"]),
            0
        ),
        ""
    );
    assert_eq!(bernd.recv_push().message, "two  words");
    let mut child = at(&server, "anna", &["send", "--to", "BERND", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("started");
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(b"from a pipe\n")
        .expect("written");
    assert!(child.wait().expect("ended").success());
    assert_eq!(bernd.recv_push().message, "from a pipe");
    // Here is no chat yet: it is created.
    let mut carla = register_and_login(&server, "carla");
    carla.send("121 bernd");
    carla.expect("232 400");
    drop(carla);
    bernd.expect("233 carla");
    bernd.send("121 carla");
    bernd.expect("232 400");
    run(
        at(&server, "carla", &["send", "--to", "bernd", "new here"]),
        0,
    );
    assert_eq!(bernd.recv_push().message, "new here");
}

/// The server knows a user by many spellings. None of them takes a line to somebody else, nor a
/// chat that is older.
#[test]
fn another_spelling_goes_to_the_same_user() {
    let server = TestServer::start();
    let (mut anna, mut xaver, _) = pair(&server, "anna", "xaver");
    let mut joerg = register_and_login(&server, "J\u{f6}rg");
    befriend(&mut anna, &mut joerg);
    open_chat(&mut anna, &joerg);
    drop(anna);
    let spellings = ["Jo\u{308}rg", "\u{ff2a}\u{d6}\u{ff32}\u{ff27}", "J\u{d6}RG"];
    for name in spellings {
        let text = format!("for {name} alone");
        run(at(&server, "anna", &["send", "--to", name, &text]), 0);
        assert_eq!(joerg.recv_push().message, text);
        let said = pipe(&server, "anna", &format!("/chat {name}\n{text}\n"), 0);
        assert!(said.contains("chat with J\u{f6}rg"), "{said}");
        assert_eq!(joerg.recv_push().message, text);
        let said = pipe(&server, "anna", &format!("/add {name}\n"), 0);
        assert!(said.contains("you and J\u{f6}rg are contacts"), "{said}");
    }
    xaver.silent();
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let server = TestServer::start();
    let (anna, bernd, _) = pair(&server, "anna", "bernd");
    register_and_login(&server, "carla").close();
    drop((anna, bernd));
    let send = |to: &str| at(&server, "anna", &["send", "--to", to, "x"]);
    assert!(says(send("nobody"), 5).contains("no such user or contact (410)"));
    assert!(says(send("carla"), 5).contains("not contacts yet"));
    let long = "x".repeat(8193);
    let too_long = at(&server, "anna", &["send", "--to", "bernd", &long]);
    assert!(says(too_long, 5).contains("longer than 8 KiB"));
    let mut wrong = send("bernd");
    wrong.env("PLAUSCH_PASSWORD", "something else");
    assert!(says(wrong, 4).contains("wrong password (406)"));
    let mut nobody = send("bernd");
    nobody.env_remove("PLAUSCH_PASSWORD").stdin(Stdio::null());
    assert!(says(nobody, 4).contains("PLAUSCH_PASSWORD is needed"));
    let mut nameless = send("bernd");
    nameless.env_remove("PLAUSCH_USER");
    assert!(says(nameless, 2).contains("--user"));
    assert!(says(at(&server, "anna", &["send", "x"]), 2).contains("send needs --to"));
    assert!(says(at(&server, "anna", &["fetch", "99", "x"]), 5).contains("no such media"));
    let missing = at(
        &server,
        "anna",
        &["send", "--to", "bernd", "--file", "/nonexistent"],
    );
    assert!(says(missing, 1).contains("cannot be sent"));
    let mut unreachable = command("anna");
    unreachable.args([
        "-s",
        &free_address().to_string(),
        "send",
        "--to",
        "bernd",
        "x",
    ]);
    assert!(says(unreachable, 3).contains("cannot be reached"));
    let empty = at(&server, "anna", &["tail", "--timeout", "1"]);
    assert_eq!(run(empty, 6).stdout, b"");
    let bernd = login_when_free(server.addr(), "bernd");
    assert!(says(at(&server, "bernd", &["tail", "--count", "1"]), 4).contains("elsewhere (405)"));
    drop(bernd);
}

/// Standard input may end anywhere; what is too long is so before it is looked at as text.
#[test]
fn a_text_that_cannot_be_sent_is_refused_for_what_is_wrong_with_it() {
    let server = TestServer::start();
    let (anna, bernd, _) = pair(&server, "anna", "bernd");
    drop((anna, bernd));
    let send = |text: &[u8], code| {
        let mut command = at(&server, "anna", &["send", "--to", "bernd", "-"]);
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        // It stops reading when it has read enough.
        let _ = child.stdin.take().expect("stdin").write_all(text);
        let output = child.wait_with_output().expect("ended");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    };
    for text in ["\u{fc}".repeat(5000), "x".repeat(8193), "x".repeat(8195)] {
        assert!(send(text.as_bytes(), 5).contains("longer than 8 KiB"));
    }
    assert!(send(&[b"x", &[0xff][..]].concat(), 1).contains("not UTF-8"));
    send(("\u{fc}".repeat(4096) + "\r\n").as_bytes(), 0);
}

/// The first thing that goes wrong is the exit code; what comes behind it is done all the same.
#[test]
fn lines_from_a_pipe_have_an_exit_code() {
    let server = TestServer::start();
    let (anna, mut bernd, _) = pair(&server, "anna", "bernd");
    drop(anna);
    let long = "x".repeat(9000);
    for (lines, code) in [
        (format!("/chat bernd\n{long}\nstill sent\n"), 5),
        (
            "/chat nobody\n/chat bernd\n/nope\nstill sent\n".to_owned(),
            5,
        ),
        (
            "/nope\n/chat bernd\n/send /nonexistent\nstill sent\n".to_owned(),
            2,
        ),
        (
            "/chat bernd\n/send /nonexistent\n/chat nobody\n/chat bernd\nstill sent\n".to_owned(),
            1,
        ),
        ("/chat bernd\nstill sent\n".to_owned(), 0),
    ] {
        pipe(&server, "anna", &lines, code);
        assert_eq!(bernd.recv_push().message, "still sent");
    }
}

#[test]
fn tail_prints_what_waited_and_what_comes() {
    let server = TestServer::start();
    let (mut anna, mut bernd, chat) = pair(&server, "anna", "bernd");
    bernd.logout();
    anna.say(chat, "first");
    anna.send(&format!(r#"115 {chat} "sec\u001bond" data:,hi"#));
    anna.expect("219 400");
    anna.say(chat, "third");
    // Sending does not swallow what waits.
    run(at(&server, "bernd", &["send", "--to", "anna", "x"]), 0);
    let tail = at(&server, "bernd", &["tail", "--json", "--count", "2"]);
    let out = String::from_utf8(run(tail, 0).stdout).expect("UTF-8");
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert_eq!(
        (&lines[0]["type"], &lines[0]["text"]),
        (&"message".into(), &"first".into())
    );
    assert_eq!(
        (&lines[0]["from"], &lines[0]["chat"]),
        (&"anna".into(), &chat.into())
    );
    assert_eq!(lines[0]["media"], Value::Null);
    assert!(lines[0]["timestamp"].as_i64() < lines[1]["timestamp"].as_i64());
    assert_eq!(
        (&lines[1]["text"], &lines[1]["media"]),
        (&"sec\u{1b}ond".into(), &1.into())
    );
    // What was printed counts as received, what was not comes now.
    let rest = run(at(&server, "bernd", &["tail", "--count", "1"]), 0);
    let rest = String::from_utf8(rest.stdout).expect("UTF-8");
    assert!(rest.ends_with(" anna: third\n"), "{rest:?}");
    bernd.login("bernd");
    bernd.silent();
}

/// What could not be printed, as the reader had gone, does not count as received.
#[test]
fn what_nobody_read_comes_again() {
    let server = TestServer::start();
    let (mut anna, bernd, chat) = pair(&server, "anna", "bernd");
    drop(bernd);
    anna.say(chat, "first");
    let mut tail = at(&server, "bernd", &["tail"]);
    // No pipe: a program that another test just starts has a copy of its end until it runs.
    let (out, end) = UnixStream::pair().expect("sockets");
    let stdout = tail.stdout(OwnedFd::from(end));
    let mut child = stdout.spawn().expect("started");
    let mut line = String::new();
    let read = BufReader::new(&out).read_line(&mut line);
    read.expect("a line");
    assert!(line.ends_with(" anna: first\n"), "{line:?}");
    out.shutdown(Shutdown::Both).expect("shutdown");
    anna.say(chat, "second");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    let tail = at(
        &server,
        "bernd",
        &["tail", "--count", "1", "--timeout", "20"],
    );
    let rest = run(tail, 0).stdout;
    let rest = String::from_utf8(rest).expect("UTF-8");
    assert!(rest.ends_with(" anna: second\n"), "{rest:?}");
}

#[test]
fn fetch_saves_media() {
    let server = TestServer::start();
    let (anna, mut bernd, _) = pair(&server, "anna", "bernd");
    drop(anna);
    let directory = TempDir::new();
    let file = directory.path().join("x.txt");
    fs::write(&file, "some text\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    run(
        at(
            &server,
            "anna",
            &["send", "--to", "bernd", "--file", file, "look"],
        ),
        0,
    );
    let line = bernd.recv();
    assert!(line.ends_with(" \"look\" 1"), "{line}");
    let copy = directory.path().join("copy");
    for _ in 0..2 {
        run(
            at(
                &server,
                "anna",
                &["fetch", "1", copy.to_str().expect("UTF-8")],
            ),
            0,
        );
        assert_eq!(fs::read(&copy).expect("saved"), b"some text\n");
    }
    assert_eq!(
        run(at(&server, "anna", &["fetch", "1", "-"]), 0).stdout,
        b"some text\n"
    );
    let nowhere = at(&server, "anna", &["fetch", "1", "/nonexistent/x"]);
    assert!(says(nowhere, 1).contains("cannot be written"));
}

#[test]
fn help_and_version_need_no_server() {
    let mut help = command("anna");
    help.arg("--help");
    let help = String::from_utf8(run(help, 0).stdout).expect("UTF-8");
    assert!(help.starts_with("Usage: plausch ") && help.contains("Exit codes:"));
    let mut version = command("anna");
    version.arg("-V");
    let version = run(version, 0).stdout;
    assert_eq!(
        version,
        concat!("plausch ", env!("CARGO_PKG_VERSION"), "\n").as_bytes()
    );
}

/// A script too looks whether its message was kept, before it sends it again.
#[test]
fn send_over_a_lost_connection_sends_once() {
    for drop_replies in [true, false] {
        let server = TestServer::start();
        let (anna, mut bernd, _) = pair(&server, "anna", "bernd");
        drop(anna);
        let relay = Relay::to(server.addr());
        let mut child = command("anna");
        child.args([
            "-s",
            &relay.addr().to_string(),
            "send",
            "--to",
            "bernd",
            "-",
        ]);
        // The text is awaited before the connection is made, so the first thing that the relay
        // sees of it is the login. It is cut at the first message, by its side of the server.
        relay.at_first_message(drop_replies);
        let mut child = child.stdin(Stdio::piped()).spawn().expect("started");
        child
            .stdin
            .take()
            .expect("stdin")
            .write_all(b"only once")
            .expect("written");
        assert_eq!(child.wait().expect("ended").code(), Some(0));
        assert_eq!(bernd.recv_push().message, "only once");
        bernd.silent();
    }
}

/// `tail` waits for a server that comes back.
#[test]
fn tail_outlives_the_server() {
    let address = free_address();
    let mut server = TestServer::with(&["--listen", &address.to_string()]);
    let (mut anna, bernd, chat) = pair(&server, "anna", "bernd");
    drop(bernd);
    anna.say(chat, "before");
    let mut command = command("bernd");
    command.args([
        "-s",
        &address.to_string(),
        "tail",
        "--count",
        "2",
        "--timeout",
        "60",
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let mut next = || lines.next().expect("a line").expect("UTF-8");
    assert!(next().ends_with(" anna: before"));
    server.kill();
    server.restart();
    let mut anna = login_when_free(server.addr(), "anna");
    // What the killed server did not note as arrived may come first.
    anna.send(&format!("115 {chat} after"));
    anna.recv_until("219 400");
    assert!(next().ends_with(" anna: after"));
    assert_eq!(child.wait().expect("ended").code(), Some(0));
}
