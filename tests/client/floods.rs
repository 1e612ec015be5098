//! Somebody at a terminal while more arrives than anybody can read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::person::Person;
use crate::support::client::Client;
use crate::support::people::{login_when_free, pair};
use crate::support::server::TestServer;

/// The numbers of the messages `flood N.` in what a terminal got, in their order.
fn numbers(shown: &str) -> Vec<usize> {
    let starts = shown.split("flood ").skip(1);
    let number = |start: &str| start.split_once('.')?.0.parse().ok();
    starts.filter_map(number).collect()
}

fn texts(from: usize, to: usize) -> impl Iterator<Item = String> {
    (from..to).map(|number| format!("flood {number}."))
}

/// All that was told as received was shown, and all that was shown as received.
fn what_is_left_follows(mut bernd: Client, shown: &[usize], from: usize, to: usize) {
    let first = shown.len();
    assert_eq!(shown, (from..from + first).collect::<Vec<_>>());
    for number in from + first..to {
        let push = bernd.recv_push();
        assert_eq!(push.message, format!("flood {number}."));
        if number + 1 == to {
            // The login before was the terminal client's, so this one counts by 135 too.
            bernd.send(&format!("135 {} {}", push.chat, push.timestamp));
            bernd.expect("248 400");
        }
    }
    bernd.silent();
    bernd.logout();
}

/// Enter ends the line editor. What arrives just then must not wait for it, nor must the end.
#[test]
fn leaving_works_while_a_thousand_messages_wait() {
    let server = TestServer::with(&["--rate", "0"]);
    let (mut anna, bernd, chat) = pair(&server, "anna", "bernd");
    drop(bernd);
    for round in 0..6 {
        let (from, to) = (round * 1000, (round + 1) * 1000);
        anna.say_all(chat, texts(from, to));
        let (mut bernd, mut shown) = Person::with_arrivals(server.addr(), "bernd");
        shown.push_str(&bernd.leaves(0));
        let bernd = login_when_free(server.addr(), "bernd");
        what_is_left_follows(bernd, &numbers(&shown), from, to);
    }
}

/// Lines go out, commands are carried out, and nothing is lost, twice or out of order.
#[test]
fn lines_are_taken_while_messages_arrive() {
    let server = TestServer::with(&["--rate", "0"]);
    let (mut anna, bernd, chat) = pair(&server, "anna", "bernd");
    drop(bernd);
    let mut bernd = Person::at(server.addr(), "bernd");
    bernd.goes_to("anna");
    let mut shown = String::new();
    let ended = AtomicBool::new(false);
    let (sent, lines) = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let (mut next, mut lines) = (0, Vec::new());
            while !ended.load(Ordering::SeqCst) {
                anna.send_raw(
                    texts(next, next + 10)
                        .map(|text| format!("115 {chat} {text}\n"))
                        .collect::<String>()
                        .as_bytes(),
                );
                next += 10;
                for _ in 0..10 {
                    // What Bernd writes comes in between.
                    loop {
                        let line = anna.recv();
                        if line == "219 400" {
                            break;
                        }
                        lines.push(line.rsplit(' ').next().unwrap_or_default().to_owned());
                    }
                }
            }
            (next, lines)
        });
        for number in 0..20 {
            bernd.enters(&format!("line-{number}"));
            bernd.enters("/contacts");
            shown.push_str(&bernd.sees("contacts: 1"));
        }
        shown.push_str(&bernd.leaves(0));
        ended.store(true, Ordering::SeqCst);
        flood.join().expect("the flood")
    });
    let all: Vec<String> = (0..20).map(|number| format!("line-{number}")).collect();
    assert_eq!(lines, all);
    let bernd = login_when_free(server.addr(), "bernd");
    what_is_left_follows(bernd, &numbers(&shown), 0, sent);
}
