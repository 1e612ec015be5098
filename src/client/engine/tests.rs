//! What the engine does by itself as time goes by; all else is tested with the real server.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use super::*;
use crate::client::connection::ServerConnection;
use crate::client::link::{Address, Link, Security};

struct Nobody;

impl Frontend for Nobody {
    fn show(&mut self, _: Output) -> ControlFlow<Exit> {
        ControlFlow::Continue(())
    }
}

impl Link for UnixStream {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut { self }, buffer)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut { self }, bytes)
    }

    fn unacknowledged(&self) -> u64 {
        0
    }

    fn shut(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// An engine that is logged in, and the server's end of its connection.
fn online() -> (Engine, UnixStream) {
    let options = EngineOptions {
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
    engine.session.connection =
        Some(ServerConnection::start(Arc::new(near), |_| true).expect("threads"));
    engine.session.phase = SessionPhase::Online;
    far.set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time-out");
    (engine, far)
}

/// A sign of life that also says whether the login lives: `134` has no status.
#[test]
fn a_silent_server_is_asked_for_what_can_say_407() {
    let (mut engine, far) = online();
    let now = Instant::now();
    engine.look_at_connection(now + Duration::from_secs(29));
    assert_eq!(engine.pending.waiting().count(), 0);
    for _ in 0..2 {
        // Once, until it is answered.
        engine.look_at_connection(now + Duration::from_secs(31));
    }
    let mut line = String::new();
    let mut far = io::BufReader::new(far);
    io::BufRead::read_line(&mut far, &mut line).expect("a line");
    assert_eq!(line.trim_end(), "135 0 0");
    assert_eq!(engine.pending.waiting().count(), 1);
}
