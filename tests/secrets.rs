//! What somebody learns who is not meant to: from the time of an answer, from ids that are not
//! theirs, from the server's memory, its core dumps and its files.

use crate::support::client::{Client, TIMEOUT};
use crate::support::people::{pair, register_and_login};
use crate::support::server::TestServer;
use crate::support::system::wait_for;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::{Duration, Instant};

/// How often each of the texts is in a process's memory; `None` where the system forbids to look.
fn count_in_memory(pid: u32, texts: &[&str]) -> Option<Vec<usize>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut counts = vec![0; texts.len()];
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (range, mode) = (words.next()?, words.next()?);
        // A program file holds no secret, and the kernel's own pages cannot be read.
        if !mode.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let mut bytes = vec![0; usize::try_from(end - start).ok()?];
        // A thread's stack may be gone since the list was read.
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        for (text, count) in texts.iter().zip(&mut counts) {
            let found = memchr::memmem::find_iter(&bytes, text.as_bytes());
            *count += found.count();
        }
    }
    Some(counts)
}

/// Whichever way a password comes in, nothing of it is in the server's memory soon after.
#[test]
fn passwords_do_not_stay_in_memory() {
    let server = TestServer::start();
    let mut client = server.connect();
    let texts = [
        "zq-registered-1",
        "zq-wrong-guess-2",
        "zq-escaped-3",
        "zq-changed-4",
        "zq-in-two-parts-5",
        "zq-malformed-6",
        "zq-misspelt-7",
        "zq-unfinished-8",
        "zq-taken-back-9",
        "zq-refused-a",
        "zq-deleting-b",
    ];
    // A message is kept, and shows that the search finds what is there.
    let marker = "zq-a-ping-that-is-not-finished";
    for (line, reply) in [
        ("117 zora zq-registered-1 z@example.org x", "222 400"),
        ("117 zora zq-registered-1 z@example.org x", "222 403"),
        ("110 zora zq-registered-1", "212 400 zora"),
        ("111", "213 400"),
        ("110 zora zq-wrong-guess-2", "212 406 zora"),
        ("110 nobody zq-wrong-guess-2", "212 406 nobody"),
        (r#"110 zora "\u007aq-escaped-3""#, "212 406 zora"),
        (r#"110 zora "\u007aq-malformed-6" x"#, "211"),
        ("110 zora zq-malformed-6 x", "211"),
        ("101 zora zq-misspelt-7", "210"),
        (r#"117 zora "\u007aq-refused-a" nowhere x"#, "211"),
        ("110 zora zq-taken-back-9xx\u{7f}\u{8}\u{8}", "212 406 zora"),
        ("110 zora zq-registered-1", "212 400 zora"),
        (r#"132 zq-wrong-guess-2 "\u007aq-changed-4""#, "245 406"),
        ("132 zq-registered-1 zq-changed-4", "245 400"),
        ("133 zq-deleting-b", "246 406"),
    ] {
        client.send(line);
        client.expect(reply);
    }
    // A line in parts goes by way of the decoder's own buffer; with other lines around it, it
    // stays in the middle of the connection's.
    client.send_raw(b"134 one\r\n132 zq-in-tw");
    client.expect("247 one");
    client.send_raw(b"o-parts-5 zq-changed-4\r\n134 two\r\n134 three\r\n");
    for reply in ["245 406", "247 two", "247 three"] {
        client.expect(reply);
    }
    let mut other = server.connect();
    other.send_raw(b"134\r\n110 zora zq-unfinished-8");
    other.expect("247");
    other.close();
    client.send_raw(format!("134 {marker}").as_bytes());

    let mut all = texts.to_vec();
    all.push(marker);
    if count_in_memory(server.pid(), &all).is_none() {
        let why = "this system forbids to read a child's memory";
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must see it, but {why}"
        );
        eprintln!("not looked at: {why}");
        return;
    }
    wait_for("the marker is in memory", TIMEOUT, || {
        let counts = count_in_memory(server.pid(), &[marker])?;
        (counts[0] > 0).then_some(())
    });
    let mut last = Vec::new();
    let end = Instant::now() + TIMEOUT;
    while Instant::now() < end {
        last = count_in_memory(server.pid(), &texts).expect("memory");
        if last.iter().all(|&count| count == 0) {
            return;
        }
        std::thread::yield_now();
    }
    let found: Vec<_> = texts.iter().zip(last).collect();
    panic!("still in memory: {found:?}");
}

/// Neither a core file nor what is piped to a program holds memory.
#[test]
fn core_dumps_are_off() {
    let server = TestServer::after_shell("ulimit -S -c unlimited 2>/dev/null || true", &[]);
    let read = |file| {
        let path = format!("/proc/{}/{file}", server.pid());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let limits = read("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core"));
    let words: Vec<_> = core.expect("a limit").split_ascii_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{limits}");
    let filter = read("coredump_filter");
    assert!(filter.trim().bytes().all(|digit| digit == b'0'), "{filter}");
}

/// Whatever the umask it was started with.
#[test]
fn its_files_are_readable_by_their_owner_alone() {
    let server = TestServer::after_shell("umask 000", &[]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "hello");
    maria.recv_push();
    let directory = server.database();
    let directory = directory.parent().expect("a directory");
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).expect("read_dir") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().expect("UTF-8"));
    }
    names.sort();
    assert_eq!(names, ["plausch.db", "plausch.db-shm", "plausch.db-wal"]);
}

/// One that was there already, and that others may read, is complained about.
#[test]
fn a_database_that_others_may_read_is_named_in_the_log() {
    let mut server = TestServer::start();
    server.stop();
    let database = server.database();
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).expect("chmod");
    server.restart();
    let line = server.wait_for_log("may be read", TIMEOUT);
    assert!(
        line.contains("plausch.db") && line.contains("WARN"),
        "{line}"
    );
}

/// 409, and not a byte that depends on what is in the chat, or on whose it is.
#[test]
fn an_id_of_others_tells_nothing_but_that_it_exists() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let mut eve = register_and_login(&server, "eve");
    let mut answers = Vec::new();
    for round in ["empty", "with a message and media"] {
        for (request, reply) in [
            (format!("114 {chat}"), "218 409"),
            (format!("115 {chat} hello"), "219 409"),
            (format!("115 {chat} \"hello\" data:,x"), "219 409"),
            (format!("130 {chat} 0 1000"), "240 409"),
            (format!("135 {chat} 0"), "248 409"),
            (format!("135 {chat} {}", i64::MAX), "248 409"),
        ] {
            eve.send(&request);
            eve.expect(reply);
        }
        if round == "empty" {
            hans.send(&format!("115 {chat} \"secret\" data:,secret"));
            hans.expect("219 400");
            answers.push(maria.recv());
        }
    }
    let media = answers[0].rsplit(' ').next().expect("a MediaID");
    eve.send(&format!("119 {media}"));
    eve.expect("227 409");
    eve.send("112");
    for line in ["214 0", "216"] {
        eve.expect(line);
    }
    // Nothing was done to it either.
    maria.send(&format!("119 {media}"));
    maria.expect("227 400 data:,secret");
    eve.silent();
}

/// The share of pairs in which the first took longer than the second: about a half when both are
/// of one distribution.
fn share_longer(first: &[Duration], second: &[Duration]) -> f64 {
    let longer = |a: &Duration| second.iter().filter(|&b| a > b).count();
    let count: usize = first.iter().map(longer).sum();
    count as f64 / (first.len() * second.len()) as f64
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

/// A name that exists, one that does not, and one that cannot.
///
/// The times are taken in turn, so that whatever else the machine does meets all alike. Two
/// equal distributions of 60 are this far from a half by chance once in 10,000 runs. What can be told
/// all the same on a quiet machine, such as the reading of one row, must be less than a twentieth of
/// the whole.
#[test]
fn the_time_of_a_failed_login_does_not_tell_whether_the_name_exists() {
    const ROUNDS: usize = 60;
    let server = TestServer::with(&["--scrypt", "12,8,1"]);
    let mut client: Client = server.connect();
    client.register("hans");
    let names = ["hans", "nobody", "no!body"];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..ROUNDS + 2 {
        for turn in 0..names.len() {
            let which = (round + turn) % names.len();
            let began = Instant::now();
            client.send(&format!("110 {} wrong-password", names[which]));
            client.expect(&format!("212 406 {}", names[which]));
            // The first ones find caches cold.
            if round >= 2 {
                times[which].push(began.elapsed());
            }
        }
    }
    let known = &times[0];
    for (name, unknown) in names.iter().zip(&times).skip(1) {
        let share = share_longer(known, unknown);
        let (one, other) = (median(known), median(unknown));
        println!("hans {one:?}, {name} {other:?}, hans longer in {share:.2} of the pairs");
        assert!(
            (0.3..0.7).contains(&share) || one.abs_diff(other) < one.max(other) / 20,
            "hans {one:?}, {name} {other:?}, hans longer in {share:.2} of the pairs"
        );
    }
}
