//! A receiver that reads nothing for 100 seconds and then goes on is not disconnected and misses
//! nothing (contract, section 4, promise 4): a slow peer is not a dead one.

use crate::support::client::Received;
use crate::support::people::pair;
use crate::support::server::TestServer;
use std::time::{Duration, Instant};

/// Longer than the 60 seconds after which a peer that has fallen silent counts as dead.
const PAUSE: Duration = Duration::from_secs(100);

/// More than the sockets hold on both sides, so that the window is closed all the time.
const COUNT: usize = 20_000;

fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(400))
}

#[test]
fn a_pause_of_100_seconds_costs_nothing() {
    let server = TestServer::start();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    maria.say_all(chat, (0..COUNT).map(text));
    // Meanwhile the other one goes on, now and then.
    let end = Instant::now() + PAUSE;
    let mut sent = COUNT;
    while Instant::now() < end {
        maria.say(chat, &text(sent));
        sent += 1;
        // Nothing comes; should the connection end, so does the wait.
        match maria.next(Duration::from_secs(1)) {
            Received::TimedOut => {}
            more => panic!("{more:?}"),
        }
    }
    for number in 0..sent {
        assert_eq!(hans.recv_push().message, text(number));
    }
    hans.silent();
    hans.say(chat, "I am back");
    assert_eq!(maria.recv_push().message, "I am back");
}
