//! What a new connection gets: a transport for its lines, or a line that says why not.

use std::io;
use std::net::{SocketAddr, TcpStream};

use super::Server;
use crate::guard::connection_slots::Full;
use crate::net::connection::Transport;
use crate::protocol::Reply;

/// The record of an alert, `internal_error` (RFC 8446, section 6.2): the one that is for a lack of
/// something.
pub(crate) const NO_ROOM: &[u8] = &[21, 3, 3, 0, 2, 2, 80];

impl Server {
    /// What a new connection's lines travel in. The handshake is left to its own thread.
    pub(crate) fn transport(&self, tls: bool) -> io::Result<Transport> {
        #[cfg(feature = "tls")]
        if tls && let Some(identity) = &self.identity {
            return Ok(Transport::Tls(Box::new(identity.begin()?)));
        }
        if tls {
            // Never in clear text where somebody expects otherwise.
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Transport::Plain)
    }

    /// Tells one connection too many why, without a thread of its own.
    pub(crate) fn turn_away(&self, stream: &TcpStream, full: Full, peer: SocketAddr, tls: bool) {
        let limit = &self.context.log_limits.slots;
        limit.warn(format_args!("{peer} was turned away: {}", full.reason()));
        let line = if tls {
            // There is no session yet that a line could be sent in.
            NO_ROOM.to_vec()
        } else {
            self.refusal(full.reason())
        };
        // Its send buffer is empty, so this cannot wait; it must not even try to.
        if stream.set_nonblocking(true).is_ok() {
            let _ = io::Write::write(&mut &*stream, &line);
            // Closing with unread input would reset the connection and destroy the line.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = io::Read::read(&mut &*stream, &mut [0; 512]);
        }
    }

    /// The line for a connection that is turned away.
    pub(crate) fn refusal(&self, reason: &'static str) -> Vec<u8> {
        let mut line = Vec::new();
        Reply::Invalid {
            reason: self.explain.then(|| reason.into()),
        }
        .format(&mut line);
        line
    }
}
