//! Accepting connections.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::admission::NO_ROOM;
use super::{Server, forwarded, session};
use crate::guard::log_limit::log_limited;
use crate::net::connection::Connection;
use crate::net::listen::Listener;

/// How long accepting rests when the system is out of descriptors or memory.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Accepts connections until the server stops.
pub(crate) fn accept(server: &Arc<Server>, listener: &Listener) {
    let Some(socket) = listener.wait(|patience| server.wait_for_stop(patience)) else {
        return;
    };
    let mut exhausted = false;
    loop {
        match socket.accept() {
            Ok((stream, mut peer)) => {
                if exhausted {
                    log_limited!(Info, "accepting connections again");
                    exhausted = false;
                }
                if server.is_stopping() {
                    return;
                }
                // On `[::]` one of IPv4 comes in as ::ffff:192.0.2.1, and would count as a part of
                // one network with all others of IPv4.
                peer.set_ip(peer.ip().to_canonical());
                admit(server, stream, peer, listener.tls);
            }
            Err(_) if server.is_stopping() => return,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !exhausted {
                    log_limited!(Error, "connections cannot be accepted just now: {error}");
                    exhausted = true;
                }
                server.wait_for_stop(EXHAUSTED);
            }
        }
    }
}

/// Whether the peer has reset the connection already, or closed it without a word.
fn is_gone(stream: &TcpStream) -> bool {
    let mut one = [MaybeUninit::uninit()];
    match SockRef::from(stream).recv_with_flags(&mut one, libc::MSG_PEEK | libc::MSG_DONTWAIT) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// Starts the session of a new connection, if there is a slot for it.
fn admit(server: &Arc<Server>, stream: TcpStream, peer: SocketAddr, tls: bool) {
    // Whose it is, a proxy says before anything else.
    let by_proxy = server.proxies.iter().any(|it| it.contains(peer.ip()));
    let slot = match server.slots.take((!by_proxy).then(|| peer.ip())) {
        Ok(slot) => slot,
        Err(full) => return server.turn_away(&stream, full, peer, tls),
    };
    // Nobody to serve: a thread would cost ten times as much as this look.
    if is_gone(&stream) {
        return;
    }
    let id = server.registry.next_id();
    // A proxy's header comes before any handshake.
    let connection = match server.transport(tls && !by_proxy) {
        Ok(transport) => Arc::new(Connection::new(id, peer, stream, transport)),
        Err(error) => {
            let limit = &server.context.log_limits.slots;
            limit.warn(format_args!("{peer} was turned away: {error}"));
            return;
        }
    };
    let registered = server.registry.enter(&connection, slot);
    if server.is_stopping() {
        // Those that the stop has looked at were told; this one may have come too late for that.
        connection.stop_reading();
    }
    let reader = {
        let (server, connection) = (Arc::clone(server), Arc::clone(&connection));
        move || match by_proxy {
            false => session::serve(&server, connection, registered),
            true => forwarded::serve(&server, connection, registered, tls),
        }
    };
    if let Err(error) = server.context.threads.spawn(format!("reader-{id}"), reader) {
        let limit = &server.context.log_limits.slots;
        limit.warn(format_args!("{peer} was turned away: no thread: {error}"));
        // Nothing was written to it yet, so this cannot wait.
        let line = match tls && by_proxy {
            false => server.refusal("the server has no thread to spare"),
            true => NO_ROOM.to_vec(),
        };
        let _ = connection.lock().write(&line);
    }
}

/// An error that says something of one connection only, see accept(2).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::WouldBlock
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable
            | Kind::NetworkDown
            | Kind::PermissionDenied
    ) || error.raw_os_error() == Some(libc::EPROTO)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;
    use crate::net::listen::bind;

    /// A listener, and a client of it with the connection that was accepted.
    fn connection() -> (TcpListener, TcpStream, TcpStream) {
        let listener = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        (listener, client, accepted)
    }

    #[test]
    fn a_connection_has_the_options_of_its_listener() {
        let (_listener, client, accepted) = connection();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(20)
        );
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap(),
            Duration::from_secs(6)
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
        // The kernel doubles the number.
        let plain = SockRef::from(&client).send_buffer_size().unwrap();
        assert_eq!(socket.send_buffer_size().unwrap(), 256 << 10);
        assert_ne!(plain, 256 << 10);
    }

    #[test]
    fn who_has_gone_is_told_from_who_is_silent() {
        let (_listener, client, accepted) = connection();
        assert!(!is_gone(&accepted), "silent");
        (&client).write_all(b"1").unwrap();
        accepted.peek(&mut [0]).unwrap();
        assert!(!is_gone(&accepted), "with something to read");
        drop(client);
        assert!(!is_gone(&accepted), "closed after a word");

        let (_listener, client, accepted) = connection();
        drop(client);
        // Returns when the end has come.
        accepted.peek(&mut [0]).unwrap();
        assert!(is_gone(&accepted), "closed without a word");

        let (_listener, client, accepted) = connection();
        SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(client);
        assert!(is_gone(&accepted), "reset");
    }
}
