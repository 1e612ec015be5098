//! Delivery (contract, section 4): what was acknowledged arrives in order (promise 2), with growing
//! TimeStamps (promise 3), and a reader that does not read holds up nobody and costs no memory
//! (promise 4). A list is never interrupted (section 3).

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::client::Client;
use support::people::{Push, befriend, login_when_free, open_chat, pair, register_and_login};
use support::random::Random;
use support::server::TestServer;
use support::system::RssWatch;

/// What a backlog may cost, however long it is.
const GROWTH_KIB: u64 = 16 * 1024;

/// Numbered texts of 400 bytes.
fn texts(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("{number:06} {}", "x".repeat(393)))
}

fn number(push: &Push) -> usize {
    let digits = push.message.split(' ').next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("not numbered: {push:?}"))
}

/// Receives so many messages, which must be numbered from 0 and have growing TimeStamps.
fn receive_all(client: &mut Client, count: usize) {
    let mut last = 0;
    for expected in 0..count {
        let push = client.recv_push();
        assert_eq!(number(&push), expected, "order");
        assert!(push.timestamp > last, "{push:?} after {last}");
        last = push.timestamp;
    }
}

#[test]
fn ten_thousand_wait_for_one_who_is_away() {
    const COUNT: usize = 10_000;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.logout();
    maria.say_all(chat, texts(COUNT));

    let before = server.rss_kib();
    let watch = RssWatch::start(server.pid());
    hans.login("hans");
    receive_all(&mut hans, COUNT);
    let grown = watch.highest_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB, "{grown} KiB for a backlog");

    // Nothing twice: what comes after the next login is what is sent after it.
    hans.silent();
    hans.logout();
    hans.login("hans");
    maria.say(chat, "the next one");
    assert_eq!(hans.recv_push().message, "the next one");
    hans.close();
    let mut hans = server.connect();
    hans.login("hans");
    maria.say(chat, "and one more");
    assert_eq!(hans.recv_push().message, "and one more");
}

#[test]
fn two_senders_at_once_lose_nothing() {
    const COUNT: usize = 3000;
    let server = TestServer::start();
    let mut hans = register_and_login(&server, "hans");
    let senders: Vec<(Client, i64)> = ["maria", "otto"]
        .into_iter()
        .map(|name| {
            let mut sender = register_and_login(&server, name);
            befriend(&mut sender, &mut hans);
            let chat = open_chat(&mut sender, &hans);
            (sender, chat)
        })
        .collect();
    let chats: Vec<i64> = senders.iter().map(|(_, chat)| *chat).collect();
    let threads: Vec<_> = senders
        .into_iter()
        .map(|(mut sender, chat)| thread::spawn(move || sender.say_all(chat, texts(COUNT))))
        .collect();
    let mut next = [0; 2];
    let mut last = [0; 2];
    for _ in 0..2 * COUNT {
        let push = hans.recv_push();
        let from = chats.iter().position(|&chat| chat == push.chat);
        let from = from.unwrap_or_else(|| panic!("from nobody: {push:?}"));
        assert_eq!(number(&push), next[from], "order");
        assert!(push.timestamp > last[from], "{push:?} after {}", last[from]);
        next[from] += 1;
        last[from] = push.timestamp;
    }
    for thread in threads {
        thread.join().expect("a sender failed");
    }
    hans.silent();
}

/// Each login may repeat the end of what the one before received (at least once, and its last bytes
/// may not have been acknowledged yet), but leaves no gap and changes no order.
#[test]
fn coming_and_going_under_a_flood_misses_nothing() {
    const COUNT: usize = 6000;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.logout();
    let flood = thread::spawn(move || maria.say_all(chat, texts(COUNT)));
    let mut random = Random::new(1);
    let mut received: Vec<Push> = Vec::new();
    let mut logins = 0;
    while received.len() < COUNT {
        logins += 1;
        if logins % 2 == 0 {
            hans.close();
            hans = server.connect();
        }
        hans.login("hans");
        let enough = random.below(COUNT / 10).min(COUNT - received.len());
        let mut pushes: Vec<Push> = (0..enough).map(|_| hans.recv_push()).collect();
        hans.send("111");
        let rest = hans.recv_until("213 400");
        pushes.extend(rest.iter().filter_map(|line| Push::parse(line)));
        let Some(first) = pushes.first() else {
            continue;
        };
        let known = received.partition_point(|old| old.timestamp < first.timestamp);
        let again = received.len() - known;
        let (repeated, new) = pushes.split_at(again.min(pushes.len()));
        assert_eq!(repeated, &received[known..known + repeated.len()]);
        received.extend_from_slice(new);
    }
    flood.join().expect("the sender failed");
    for (expected, push) in received.iter().enumerate() {
        assert_eq!(number(push), expected, "order");
    }
    let growing = received.windows(2).all(|p| p[0].timestamp < p[1].timestamp);
    assert!(growing, "TimeStamps");
    assert_eq!(received.len(), COUNT);
    assert!(logins > 2, "only {logins} logins");
    hans.silent();
}

#[test]
fn a_list_is_never_interrupted() {
    const OTHERS: usize = 40;
    const LISTS: usize = 60;
    let server = TestServer::start();
    let mut hans = register_and_login(&server, "hans");
    let mut maria = register_and_login(&server, "maria");
    befriend(&mut maria, &mut hans);
    let flooded = open_chat(&mut maria, &hans);
    let mut others = Vec::new();
    for index in 0..OTHERS {
        let mut other = register_and_login(&server, &format!("other{index}"));
        befriend(&mut other, &mut hans);
        open_chat(&mut other, &hans);
        others.push(other);
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                maria.say_all(flooded, (sent..sent + 256).map(|n| n.to_string()));
                sent += 256;
            }
            sent
        });
        let mut next = 0;
        // Whatever happens, the flood ends with this scope.
        let lists = (0..LISTS).try_for_each(|_| {
            hans.send("112");
            list(&mut hans, &mut next, &["214 41"], "215 ", "216", OTHERS + 1)?;
            hans.send("120");
            list(
                &mut hans,
                &mut next,
                &["228 400", "229 41"],
                "230 ",
                "231",
                OTHERS + 1,
            )?;
            hans.send("118");
            list(
                &mut hans,
                &mut next,
                &["223 400", "224 41"],
                "225 ",
                "226",
                OTHERS + 1,
            )?;
            hans.send(&format!("130 {flooded} 0 20"));
            // How many there are grows at first.
            list(&mut hans, &mut next, &["240 400", "241 "], "242 ", "243", 0)
        });
        done.store(true, Ordering::Relaxed);
        let sent = flood.join().expect("the sender failed");
        if let Err(reason) = lists {
            panic!("{reason}\n{}", hans.conversation());
        }
        assert!(next > 0, "no push came between the lists");
        while next < sent {
            pushed(&hans.recv(), &mut next).expect("the rest of the flood");
        }
    });
}

/// Takes a list of `count` elements (0: any number); pushes may come before it, not within it.
fn list(
    client: &mut Client,
    next: &mut usize,
    head: &[&str],
    element: &str,
    end: &str,
    count: usize,
) -> Result<(), String> {
    let mut line = client.recv();
    while !line.starts_with(head[0]) {
        pushed(&line, next)?;
        line = client.recv();
    }
    for expected in &head[1..] {
        line = client.recv();
        if !line.starts_with(expected) {
            return Err(format!("wanted `{expected}`, got `{line}`"));
        }
    }
    let mut elements = 0;
    loop {
        line = client.recv();
        if line == end {
            break;
        }
        if !line.starts_with(element) {
            return Err(format!("`{line}` within a list"));
        }
        elements += 1;
    }
    match elements == count || count == 0 {
        true => Ok(()),
        false => Err(format!("{elements} elements in {head:?}")),
    }
}

fn pushed(line: &str, next: &mut usize) -> Result<(), String> {
    let push = Push::parse(line).ok_or_else(|| format!("unexpected: `{line}`"))?;
    if push.message != next.to_string() {
        return Err(format!("wanted message {next}, got `{line}`"));
    }
    *next += 1;
    Ok(())
}

/// One does not read while 60,000 messages are sent to him. The sender is not slower than one whose
/// receiver reads, others go on, the server's memory does not grow, and in the end he has all.
#[test]
fn a_receiver_that_does_not_read_holds_up_nobody() {
    const COUNT: usize = 60_000;
    const COMPARED: usize = 20_000;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let (mut ida, mut otto, beside) = pair(&server, "ida", "otto");

    // The same to a receiver that reads, in this run on this machine.
    let begin = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| receive_all(&mut hans, COMPARED));
        maria.say_all(chat, texts(COMPARED));
    });
    let compared = begin.elapsed();

    let before = server.rss_kib();
    let watch = RssWatch::start(server.pid());
    let done = AtomicBool::new(false);
    let (taken, slowest) = thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let begin = Instant::now();
                ida.say(beside, "tick");
                assert_eq!(otto.recv_push().message, "tick");
                slowest = slowest.max(begin.elapsed());
            }
            slowest
        });
        let begin = Instant::now();
        maria.say_all(chat, texts(COUNT));
        let taken = begin.elapsed();
        done.store(true, Ordering::Relaxed);
        (taken, others.join().expect("the others failed"))
    });
    let grown = watch.highest_kib().saturating_sub(before);
    println!(
        "{COMPARED} to a reader: {compared:?}; {COUNT} to a non-reader: {taken:?}; \
         slowest beside it: {slowest:?}; memory: {grown} KiB"
    );
    let times = (COUNT / COMPARED) as u32;
    let allowed = compared * times * 2 + Duration::from_secs(1);
    assert!(
        taken < allowed,
        "{taken:?} to a non-reader, {compared:?} for a third to a reader"
    );
    assert!(
        slowest < Duration::from_secs(2),
        "{slowest:?} for a message beside it"
    );
    assert!(
        grown < GROWTH_KIB,
        "{grown} KiB for a reader that does not read"
    );

    receive_all(&mut hans, COUNT);
    hans.silent();
}

/// A program that uses `135` and crashes gets all that it had not confirmed again, though its kernel
/// had taken it; its name is free at once (promise 6).
#[test]
fn a_crash_loses_nothing_that_was_not_confirmed() {
    const COUNT: usize = 10_000;
    const CONFIRMED: usize = 500;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    // From here on, on this connection, it is what counts.
    hans.send(&format!("135 {chat} 0"));
    hans.expect("248 400");
    maria.say_all(chat, texts(COUNT));
    let read: Vec<Push> = (0..CONFIRMED).map(|_| hans.recv_push()).collect();
    let last = &read[CONFIRMED - 1];
    assert_eq!(number(last), CONFIRMED - 1, "order");
    hans.send(&format!("135 {chat} {}", last.timestamp));
    hans.recv_until("248 400");
    // Much is unread, so that this resets the connection.
    drop(hans);
    let mut hans = login_when_free(server.addr(), "hans");
    for expected in CONFIRMED..COUNT {
        assert_eq!(number(&hans.recv_push()), expected, "order");
    }
    hans.silent();
}

/// All 220s that a user receives on several connections one after the other name different messages.
#[test]
fn nothing_comes_twice_in_the_ordinary_case() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let mut seen = BTreeSet::new();
    for round in 0..20 {
        // Some while he is there, some while he is away.
        maria.say_all(chat, (0..10).map(|n| format!("{round}-{n}")));
        for _ in 0..10 {
            assert!(seen.insert(hans.recv_push()), "twice, in round {round}");
        }
        // The answer carries the acknowledgement of all that came before it.
        hans.silent();
        hans.close();
        maria.say_all(chat, (10..20).map(|n| format!("{round}-{n}")));
        hans = server.connect();
        hans.login("hans");
        for _ in 0..10 {
            assert!(seen.insert(hans.recv_push()), "twice, in round {round}");
        }
    }
    assert_eq!(seen.len(), 400);
}
