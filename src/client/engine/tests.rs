//! What the engine does by itself as time goes by; all else is tested with the real server.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::*;
use crate::client::link::{Address, Handle, Link, Security};

struct Nobody;

impl Front for Nobody {
    fn show(&mut self, _: Output) -> After {
        After::GoOn
    }
}

struct Ours(UnixStream);

impl Handle for Ours {
    fn unacknowledged(&self) -> u64 {
        0
    }

    fn shut(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// An engine that is logged in, and the server's end of its connection.
fn online() -> (Engine<Nobody>, UnixStream) {
    let options = Options {
        address: Address::parse("localhost", &Security::None).expect("an address"),
        security: Security::None,
        raw: false,
        fetch_media: false,
        listens: true,
        strict: false,
        remembers: false,
        deadline: None,
    };
    let (mut engine, _) = Engine::new(Nobody, options);
    let (near, far) = UnixStream::pair().expect("a pair");
    let clone = || near.try_clone().expect("a clone");
    let link = Link {
        reader: Box::new(clone()),
        writer: Box::new(clone()),
        handle: Arc::new(Ours(near.try_clone().expect("a clone"))),
    };
    engine.connection = Some(Connection::start(link, |_| true).expect("threads"));
    engine.state = State::Online;
    far.set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time-out");
    (engine, far)
}

/// A sign of life that also says whether the login lives: `134` has no status.
#[test]
fn a_silent_server_is_asked_for_what_can_say_407() {
    let (mut engine, far) = online();
    let now = engine.alive.0;
    engine.look_at_connection(now + Duration::from_secs(29));
    assert_eq!(engine.answers.waiting().count(), 0);
    for _ in 0..2 {
        // Once, until it is answered.
        engine.look_at_connection(now + Duration::from_secs(31));
    }
    let mut line = String::new();
    let mut far = io::BufReader::new(far);
    io::BufRead::read_line(&mut far, &mut line).expect("a line");
    assert_eq!(line.trim_end(), "135 0 0");
    assert_eq!(engine.answers.waiting().count(), 1);
}
