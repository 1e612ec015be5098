//! Delivery (contract, section 4): what was acknowledged arrives in order (promise 2), with growing
//! TimeStamps (promise 3), and a reader that does not read holds up nobody and costs no memory
//! (promise 4). A list is never interrupted (section 3).

use super::support::client::{Client, TIMEOUT};
use super::support::people::{
    PASSWORD, Push, befriend, login_when_free, open_chat, pair, register_and_login,
};
use super::support::random::Random;
use super::support::server::TestServer;
use super::support::system::{RssWatch, Stop};
use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

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
fn many_senders_at_once_lose_nothing() {
    const SENDERS: usize = 30;
    const COUNT: usize = 200;
    let server = TestServer::start();
    let mut hans = register_and_login(&server, "hans");
    let senders: Vec<(Client, i64)> = (0..SENDERS)
        .map(|number| {
            let mut sender = register_and_login(&server, &format!("sender{number}"));
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
    let mut next = [0; SENDERS];
    let mut last = [0; SENDERS];
    for _ in 0..SENDERS * COUNT {
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
    // So many are on their way at most, and it takes several logins to have all.
    const LEAD: usize = 1000;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.logout();
    let (order, orders) = mpsc::channel();
    let flood = thread::spawn(move || {
        let mut texts = texts(COUNT);
        for count in orders {
            maria.say_all(chat, texts.by_ref().take(count));
        }
    });
    order.send(LEAD).expect("the sender failed");
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
        order.send(new.len()).expect("the sender failed");
    }
    drop(order);
    flood.join().expect("the sender failed");
    for (expected, push) in received.iter().enumerate() {
        assert_eq!(number(push), expected, "order");
    }
    let growing = received.windows(2).all(|p| p[0].timestamp < p[1].timestamp);
    assert!(growing, "TimeStamps");
    assert_eq!(received.len(), COUNT);
    assert!(logins >= COUNT / LEAD, "only {logins} logins");
    hans.silent();
}

#[test]
fn a_list_is_never_interrupted() {
    const OTHERS: usize = 40;
    const LISTS: usize = 60;
    const FLOOD: Duration = Duration::from_secs(2);
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
    thread::scope(|scope| {
        let stop = Stop::default();
        let stopped = stop.flag();
        let flood = scope.spawn(move || {
            let mut sent = 0;
            while !stopped.now() {
                maria.say_all(flooded, (sent..sent + 256).map(|n| n.to_string()));
                sent += 256;
            }
            sent
        });
        let mut next = 0;
        let begin = Instant::now();
        let mut rounds = 0;
        // Pushes have to come between the lists, however seldom the sender's turn comes.
        while rounds < LISTS || begin.elapsed() < FLOOD || next == 0 {
            assert!(begin.elapsed() < TIMEOUT, "no push came between the lists");
            hans.send("112");
            list(&mut hans, &mut next, &["214 41"], "215 ", "216");
            hans.send("120");
            list(&mut hans, &mut next, &["228 400", "229 41"], "230 ", "231");
            hans.send("118");
            list(&mut hans, &mut next, &["223 400", "224 41"], "225 ", "226");
            hans.send(&format!("130 {flooded} 0 20"));
            list(&mut hans, &mut next, &["240 400", "241 "], "242 ", "243");
            rounds += 1;
        }
        drop(stop);
        let sent = flood.join().expect("the sender failed");
        while next < sent {
            let line = hans.recv();
            pushed(&line, &mut next);
        }
    });
}

/// Takes a list; pushes may come before it, not within it. The last of `head` ends in its count.
fn list(client: &mut Client, next: &mut usize, head: &[&str], element: &str, end: &str) {
    let mut line = client.recv();
    while !line.starts_with(head[0]) {
        pushed(&line, next);
        line = client.recv();
    }
    for expected in &head[1..] {
        line = client.recv();
        assert!(
            line.starts_with(expected),
            "wanted `{expected}`, got `{line}`"
        );
    }
    let count = line.rsplit(' ').next().and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or_else(|| panic!("no count in `{line}`"));
    for _ in 0..count {
        let line = client.recv();
        assert!(line.starts_with(element), "`{line}` within a list");
    }
    client.expect(end);
}

fn pushed(line: &str, next: &mut usize) {
    let push = Push::parse(line).unwrap_or_else(|| panic!("unexpected: `{line}`"));
    assert_eq!(push.message, next.to_string(), "order");
    *next += 1;
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
    let (taken, slowest) = thread::scope(|scope| {
        let stop = Stop::default();
        let stopped = stop.flag();
        let others = scope.spawn(move || {
            let mut slowest = Duration::ZERO;
            while !stopped.now() {
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
        drop(stop);
        (taken, others.join().expect("the others failed"))
    });
    let grown = watch.highest_kib().saturating_sub(before);
    println!(
        "{COMPARED} to a reader: {compared:?}; {COUNT} to a non-reader: {taken:?}; \
         slowest beside it: {slowest:?}; memory: {grown} KiB"
    );
    let times = (COUNT / COMPARED) as u32;
    // Held up by him it would never end; the rest is what the machine does meanwhile.
    let allowed = compared * times * 10 + Duration::from_secs(10);
    assert!(
        taken < allowed,
        "{taken:?} to a non-reader, {compared:?} for a third to a reader"
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

/// A confirmation counts however soon it follows the message: the server must not think that it has
/// not sent yet what has arrived.
#[test]
fn a_confirmation_at_once_counts() {
    const ROUNDS: usize = 50;
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let receive = |hans: &mut Client, text: &str| {
        let push = hans.recv_push();
        assert_eq!(push.message, text, "what was confirmed came again");
        hans.send(&format!("135 {chat} {}", push.timestamp));
        hans.expect("248 400");
    };
    for round in 0..ROUNDS {
        let (there, away) = (format!("{round} there"), format!("{round} away"));
        maria.say(chat, &there);
        receive(&mut hans, &there);
        hans.close();
        maria.say(chat, &away);
        hans = server.connect();
        hans.login("hans");
        receive(&mut hans, &away);
    }
}

/// Who sends nothing behind the login still gets all that has waited, as `printf … | nc -N` does.
#[test]
fn an_end_of_input_behind_the_login_cuts_no_backlog_off() {
    const COUNT: usize = 4000;
    const ROUNDS: usize = 10;
    let server = TestServer::start();
    let (hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.close();
    for round in 0..ROUNDS {
        let count = [1, 7, COUNT][round % 3];
        maria.say_all(chat, texts(count));
        let mut hans = server.connect();
        hans.send(&format!("110 hans {PASSWORD}"));
        hans.shutdown_write();
        hans.expect("212 400 hans");
        receive_all(&mut hans, count);
        hans.closed();
    }
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
