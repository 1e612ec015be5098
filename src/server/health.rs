//! Tells `plauschctl health` how the server is: a socket of this machine's own that the sweep
//! answers at, so that a sweep that hangs answers nobody. Nothing is written to a disk.

use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use super::Server;
use crate::notify;

/// A transaction that takes so long hangs.
const HANGS: Duration = Duration::from_secs(10);

/// Asked at one look, at most.
const ASKED: usize = 16;

/// Answers who asks.
pub(crate) struct Health {
    listener: Option<UnixListener>,
    /// The transaction that was being carried out at the last look, and since when it is.
    running: Option<(u64, Instant)>,
}

impl Health {
    pub(crate) fn new(server: &Server) -> Health {
        let listener = listen(server);
        if let Err(error) = &listener {
            log::warn!("plauschctl health will not find this server: {error}");
        }
        Health {
            listener: listener.ok(),
            running: None,
        }
    }

    /// Notes what the store is doing, and answers.
    pub(crate) fn look(&mut self, server: &Server) {
        let figures = server.context.store.figures();
        self.running = match (figures.running(), self.running) {
            (Some(now), Some((before, since))) if now == before => Some((now, since)),
            (now, _) => now.map(|now| (now, Instant::now())),
        };
        let Some(listener) = &self.listener else {
            return;
        };
        let hangs = self
            .running
            .is_some_and(|(_, since)| since.elapsed() >= HANGS);
        let said = if hangs {
            "a transaction of the store hangs\n"
        } else if figures.has_failed() {
            "the store's last transaction failed; see the log\n"
        } else {
            "ok\n"
        };
        for _ in 0..ASKED {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            // A line always fits; who does not read it has not asked.
            let _ = stream
                .set_nonblocking(true)
                .and_then(|()| stream.write_all(said.as_bytes()));
        }
    }
}

fn listen(server: &Server) -> io::Result<UnixListener> {
    let name = notify::health_name(server.context.store.path())?;
    let listener = UnixListener::bind_addr(&name)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
