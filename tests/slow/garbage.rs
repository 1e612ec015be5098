//! Random bytes and mutated packets, before and after login, for half a minute: the server does not
//! panic (its log is looked at when it ends), and those who behave are served all the time.

use crate::support::client::{Client, Received};
use crate::support::people::{PASSWORD, Push, pair};
use crate::support::random::Random;
use crate::support::server::TestServer;
use crate::support::system::{Stop, Stopped};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

const RUNS: u64 = 20;
const RUN: Duration = Duration::from_millis(1500);

/// So often those who behave are served in each run; on a busy machine a run takes longer for it.
const ROUNDS: u32 = 10;

#[test]
fn twenty_runs_of_garbage() {
    let server = TestServer::with(&["--max-per-ip", "0"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let addr = server.addr();
    for seed in 0..RUNS {
        let end = Instant::now() + RUN;
        thread::scope(|scope| {
            let stop = Stop::default();
            let (one, other) = (stop.flag(), stop.flag());
            scope.spawn(move || noise(addr, seed, &one));
            scope.spawn(move || mutations(addr, seed, &other));
            let mut round = 0;
            while Instant::now() < end || round < ROUNDS {
                let text = format!("{seed}-{round}");
                hans.send(&format!("115 {chat} {text}"));
                await_answer(&mut hans, "219 400");
                let wanted = |line: &str| Push::parse(line).is_some_and(|p| p.message == text);
                while !wanted(&await_line(&mut maria)) {}
                maria.send("134 here");
                await_answer(&mut maria, "247 here");
                round += 1;
            }
        });
    }
    hans.send("134 end");
    await_answer(&mut hans, "247 end");
}

/// The next line but for what a stranger may cause: contact requests.
fn await_line(client: &mut Client) -> String {
    loop {
        let line = client.recv();
        if !line.starts_with("233 ") {
            return line;
        }
    }
}

fn await_answer(client: &mut Client, wanted: &str) {
    assert_eq!(await_line(client), wanted);
}

/// Reads what there is, so that the server is not held up; false when the connection has ended.
fn drain(client: &mut Client) -> bool {
    loop {
        match client.next(Duration::from_millis(1)) {
            Received::Line(_) => {}
            Received::TimedOut => return true,
            Received::Closed => return false,
        }
    }
}

/// Bytes of any value, with line ends and telnet's among them more often than chance has it.
fn noise(addr: SocketAddr, seed: u64, stopped: &Stopped) {
    let mut random = Random::new(seed);
    while !stopped.now() {
        let mut client = Client::connect(addr);
        for _ in 0..random.below(40) {
            let mut bytes: Vec<u8> = (0..random.below(3000)).map(|_| random.byte()).collect();
            for _ in 0..bytes.len() / 20 {
                let at = random.below(bytes.len());
                bytes[at] = random.pick(b"\n\r \"1\x08\xff\xfa\xf0");
            }
            without_options(&mut bytes);
            if !client.send_raw_if_open(&bytes) || !drain(&mut client) || stopped.now() {
                break;
            }
        }
    }
}

/// Packets that are nearly right, from one who is logged in whenever it happens to be.
fn mutations(addr: SocketAddr, seed: u64, stopped: &Stopped) {
    let user = format!("mallory{seed}");
    let register = format!("117 {user} {PASSWORD} m@example.org m");
    let login = format!("110 {user} {PASSWORD}");
    let delete = format!("133 {PASSWORD}");
    let change = format!("132 {PASSWORD} {PASSWORD}");
    let packets = [
        register.as_str(),
        &login,
        &login,
        &delete,
        &change,
        "100 hans geheim",
        "111",
        "112",
        "113 hans",
        "114 1",
        "115 1 hello world",
        "115 1 \"hello\\n\\ud83d\\ude00 world\" \"media\"",
        "115 1 hello data:image/png;base64,iVBORw0KGgo=",
        "118",
        "119 1",
        "120",
        "121 hans",
        "121 maria",
        "130 1 0 1000",
        "131 hans",
        "134 \"hello\"",
        "135 1 1763862000000",
        "210 x",
        "220 1 1763862000000 hello",
        "9223372036854775808",
        "help",
    ];
    let mut random = Random::new(seed ^ 0xFFFF_0000);
    let mut client = Client::connect(addr);
    client.send(&register);
    client.send(&login);
    while !stopped.now() {
        let mut bytes = Vec::new();
        for _ in 0..=random.below(20) {
            let mut line = random.pick(&packets).as_bytes().to_vec();
            for _ in 0..random.below(4) {
                mutate(&mut line, &mut random, &packets);
            }
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
        if !client.send_raw_if_open(&bytes) || !drain(&mut client) {
            client = Client::connect(addr);
            client.send(&login);
        }
    }
}

fn mutate(line: &mut Vec<u8>, random: &mut Random, packets: &[&str]) {
    let at = random.below(line.len() + 1);
    match random.below(7) {
        0 => line.insert(at, random.byte()),
        1 => line.truncate(at),
        2 => line.splice(at..at, b" ".iter().copied()).for_each(drop),
        3 => line
            .splice(at..at, random.pick(packets).bytes())
            .for_each(drop),
        4 => line.insert(at, random.pick(b"\"\\0-")),
        5 if at < line.len() => line[at] ^= 1 << random.below(8),
        _ => {
            let again = line[at..].to_vec();
            line.extend_from_slice(&again);
        }
    }
    without_options(line);
}

/// WILL and DO are answered by bytes that are no line, so there is none.
fn without_options(bytes: &mut Vec<u8>) {
    bytes.retain(|&byte| !matches!(byte, 251 | 253));
}
