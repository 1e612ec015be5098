//! `plauschctl salvage`: what is undamaged is saved, whatever else the file has come to.

use std::path::Path;

use crate::support::ctl::{ctl, json, refused, run};
use crate::support::people::pair;
use crate::support::random::Random;
use crate::support::server::TestServer;
use crate::support::system::TempDir;

const PAGE: usize = 8192;
const MESSAGES: usize = 2_000;

/// A database of several pages of messages, and what there is in it.
struct Sound {
    bytes: Vec<u8>,
    chat: i64,
    media: String,
    /// The root of the messages, which is no leaf, and the first two leaves below it.
    root: usize,
    leaves: [usize; 2],
}

fn body(number: usize) -> String {
    format!("message {number} {}", "x".repeat(60))
}

fn sound(server: &mut TestServer) -> Sound {
    let (mut hans, mut maria, chat) = pair(server, "hans", "maria");
    let (mut otto, _anna, other) = pair(server, "otto", "anna");
    let media = "m".repeat(100 << 10);
    hans.send(&format!("115 {chat} \"a picture\" {media}"));
    hans.expect("219 400");
    maria.recv();
    hans.say_all(chat, (0..MESSAGES).map(body));
    otto.say(other, "elsewhere");
    server.stop();
    let database = server.database();
    let connection = rusqlite::Connection::open(&database).expect("open");
    let root: u32 = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'message'",
            [],
            |row| row.get(0),
        )
        .expect("rootpage");
    let root = root as usize;
    // So that nothing stays in the log.
    connection
        .query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .expect("no log");
    drop(connection);
    let bytes = std::fs::read(&database).expect("read");
    let page = &bytes[(root - 1) * PAGE..root * PAGE];
    assert_eq!(page[0], 5, "the messages are on several pages");
    let leaf = |index: usize| {
        let at = 12 + 2 * index;
        let cell = usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
        let child: [u8; 4] = page[cell..cell + 4].try_into().expect("four");
        u32::from_be_bytes(child) as usize
    };
    Sound {
        chat,
        media,
        root,
        leaves: [leaf(0), leaf(1)],
        bytes,
    }
}

/// Messages and accounts of a sound database, by what `stats` says.
fn counts(database: &Path) -> (u64, u64) {
    let stats = json(database, &["stats", "--json"]);
    let number = |name: &str| stats[name].as_u64().expect("a number");
    (number("users"), number("messages"))
}

/// How far ids have been given out: of messages, users, chats, media.
fn marks(database: &Path) -> Vec<i64> {
    let connection = rusqlite::Connection::open(database).expect("open");
    ["user", "chat", "media"]
        .iter()
        .map(|name| format!("SELECT seq FROM sqlite_sequence WHERE name = '{name}'"))
        .chain(["SELECT value FROM counter WHERE name = 'message'".to_owned()])
        .map(|sql| {
            let mark = connection.query_row(&sql, [], |row| row.get(0));
            mark.expect("a mark")
        })
        .collect()
}

#[test]
fn whatever_is_not_damaged_is_saved_and_a_server_works_on_it() {
    let mut server = TestServer::start();
    let sound = sound(&mut server);
    let given = marks(&server.database());
    let directory = TempDir::new();
    let damaged = directory.path().join("damaged.db");
    let new = directory.path().join("new.db");
    let mut random = Random::new(7);
    let mut noise = vec![0; PAGE];
    noise.fill_with(|| random.byte());
    let page = |number: usize| (number - 1) * PAGE..number * PAGE;
    let (root, [leaf, second]) = (sound.root, sound.leaves);
    let all = MESSAGES as u64 + 2;
    // What is damaged, by what, and how many messages are left at least.
    type Damage<'d> = Box<dyn Fn(&mut Vec<u8>) + 'd>;
    let over = |number: usize, with: u8| -> Damage<'_> {
        let noise = &noise;
        Box::new(move |bytes: &mut Vec<u8>| match with {
            0 => bytes[page(number)].fill(0),
            _ => bytes[page(number)].copy_from_slice(noise),
        })
    };
    let end = sound.bytes.len() / PAGE;
    let table: Vec<(&str, Damage<'_>, u64)> = vec![
        ("nothing", Box::new(|_| {}), all),
        ("the first page, zeroed", over(1, 0), all),
        ("the first page, noise", over(1, 1), all),
        ("the map of pages", over(2, 1), all),
        (
            "the first page and the map",
            Box::new(|bytes| bytes[..2 * PAGE].fill(0)),
            all,
        ),
        (
            "all that says which pages are those of the messages",
            Box::new(move |bytes| {
                bytes[..2 * PAGE].fill(0);
                bytes[page(root)].fill(0);
            }),
            all,
        ),
        ("the root of the messages", over(root, 1), all),
        ("the root of the messages, zeroed", over(root, 0), all),
        ("a leaf of the messages", over(leaf, 1), all - 110),
        ("a leaf of the messages, zeroed", over(second, 0), all - 110),
        (
            "the list of free pages",
            Box::new(|bytes| bytes[32..40].fill(0xee)),
            all,
        ),
        (
            "a byte of each 64 KiB",
            Box::new(|bytes| {
                for at in (PAGE + 5_000..bytes.len()).step_by(64 << 10) {
                    bytes[at] ^= 0xff;
                }
            }),
            all - 20,
        ),
        (
            "the last eighth, cut off",
            Box::new(move |bytes| bytes.truncate((end - end / 8) * PAGE - 77)),
            all * 3 / 5,
        ),
        (
            "a hole of 64 KiB in the middle",
            Box::new(move |bytes| {
                let at = end / 2 * PAGE;
                bytes[at..at + (64 << 10)].fill(0);
            }),
            all / 3,
        ),
    ];
    for (what, damage, least) in table {
        let mut bytes = sound.bytes.clone();
        damage(&mut bytes);
        std::fs::write(&damaged, &bytes).expect("write");
        let names = [&damaged, &new].map(|path| path.to_str().expect("UTF-8"));
        let said = ctl(&damaged, &["salvage", names[0], names[1]]);
        assert_eq!(std::fs::read(&damaged).expect("read"), bytes, "{what}");
        assert_eq!(ctl(&new, &["check"]), "ok\n", "{what}");
        for (mark, given) in marks(&new).iter().zip(&given) {
            assert!(mark >= given, "{what}: an id would be given again");
        }
        let (users, messages) = counts(&new);
        assert_eq!(users, 4, "{what}: {said}");
        assert!((least..=all).contains(&messages), "{what}: {said}");
        if messages < all {
            let lost = said.lines().find(|line| line.starts_with("messages"));
            let lost = lost.and_then(|line| line.split_whitespace().last()?.parse::<u64>().ok());
            assert!(lost > Some(0) || said.contains("pages"), "{what}: {said}");
        } else {
            assert!(said.contains("is intact"), "{what}: {said}");
        }

        std::fs::rename(&new, server.database()).expect("rename");
        server.restart();
        let mut hans = server.connect();
        hans.login("hans");
        hans.send(&format!("130 {} 0 1000", sound.chat));
        let history = hans.recv_until("243");
        assert!(history.len() > 300, "{what}: {}", history.len());
        if least == all {
            hans.send("119 1");
            let fetched = hans.recv_until("227 ");
            let expected = format!("227 400 {}", sound.media);
            assert!(fetched.last() == Some(&expected), "{what}: the media");
            for number in MESSAGES - 900..MESSAGES {
                let body = body(number);
                let is_there = history.iter().any(|line| line.ends_with(&body));
                assert!(is_there, "{what}: {body}");
            }
        }
        hans.send(&format!("115 {} after it", sound.chat));
        assert_eq!(hans.recv_until("219 ").last().expect("a line"), "219 400");
        server.stop();
        assert_eq!(ctl(&server.database(), &["check"]), "ok\n", "{what}");
    }
}

/// The newest messages are in the log alone; the transaction that noise hits, of
/// at most 256 messages here, and what lies behind it are left out.
#[test]
fn the_log_is_read_as_far_as_it_is_whole() {
    let mut server = TestServer::start();
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    hans.say_all(chat, (0..100).map(body));
    let log = server.database().with_extension("db-wal");
    let early = std::fs::metadata(&log).expect("a log").len() as usize;
    hans.say_all(chat, (100..300).map(body));
    server.kill();
    let directory = TempDir::new();
    let damaged = directory.path().join("damaged.db");
    let log = directory.path().join("damaged.db-wal");
    let new = directory.path().join("new.db");
    let names = [&damaged, &new].map(|path| path.to_str().expect("UTF-8"));
    std::fs::copy(server.database(), &damaged).expect("copy");
    let whole = std::fs::read(server.database().with_extension("db-wal")).expect("a log");
    assert!(whole.len() > early);
    let mut random = Random::new(8);
    for (what, kept, least) in [
        ("whole", whole.len(), 300),
        ("noise at the end", whole.len() - 1, 44),
        ("noise behind the first 100", early, 100),
    ] {
        let mut bytes = whole.clone();
        bytes[kept..].fill_with(|| random.byte());
        bytes.extend([0x5a; 5_000]);
        std::fs::write(&log, &bytes).expect("write");
        let said = ctl(&damaged, &["salvage", names[0], names[1]]);
        assert_eq!(std::fs::read(&log).expect("read"), bytes, "{what}");
        assert!(said.contains("write-ahead log"), "{what}: {said}");
        assert_eq!(ctl(&new, &["check"]), "ok\n", "{what}");
        let (users, messages) = counts(&new);
        assert!(users == 2 && messages >= least, "{what}: {said}");
        std::fs::remove_file(&new).expect("remove");
    }
}

/// No noise makes it crash, and what comes out is sound or nothing.
#[test]
fn no_noise_makes_it_fail_in_another_way() {
    let mut server = TestServer::start();
    let sound = sound(&mut server);
    let directory = TempDir::new();
    let damaged = directory.path().join("damaged.db");
    let new = directory.path().join("new.db");
    let names = [&damaged, &new].map(|path| path.to_str().expect("UTF-8"));
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let mut bytes = sound.bytes.clone();
        for _ in 0..1 << random.below(12) {
            let at = random.below(bytes.len());
            bytes[at] = random.byte();
        }
        std::fs::write(&damaged, &bytes).expect("write");
        let output = run(&damaged, &["salvage", names[0], names[1]], "");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => {
                assert_eq!(ctl(&new, &["check"]), "ok\n", "seed {seed}");
                std::fs::remove_file(&new).expect("remove");
            }
            code => {
                assert_eq!(code, Some(1), "seed {seed}: {text}");
                assert!(
                    text.contains("no database of Plausch"),
                    "seed {seed}: {text}"
                );
            }
        }
    }
}

#[test]
fn where_nothing_can_be_saved_it_says_so_and_makes_no_file() {
    let server = TestServer::start();
    let directory = TempDir::new();
    let damaged = directory.path().join("damaged.db");
    let new = directory.path().join("new.db");
    let names = [&damaged, &new].map(|path| path.to_str().expect("UTF-8"));
    for bytes in [vec![], vec![0; 40_000], vec![0x5a; 40_000]] {
        std::fs::write(&damaged, &bytes).expect("write");
        let line = refused(&damaged, &["salvage", names[0], names[1]], "", 1);
        assert!(line.contains("no account and no message"), "{line}");
        assert!(!new.exists());
    }
    let running = server.database();
    let running = running.to_str().expect("UTF-8");
    let line = refused(&damaged, &["salvage", running, names[1]], "", 1);
    assert!(line.contains("a server is using it"), "{line}");
    std::fs::write(&new, "something").expect("write");
    let line = refused(&damaged, &["salvage", names[0], names[1]], "", 1);
    assert!(line.contains("it exists"), "{line}");
}
