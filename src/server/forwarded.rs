//! Connections that come through a proxy: who is behind one is read before anything else, and from
//! then on stands for the connection, in each limit and each line of the log.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Server;
use super::session;
use crate::net::connection::Connection;
use crate::net::proxy;
use crate::net::proxy::{LONGEST, ParsedHeader, ProxySource};
use crate::server::registry::Registered;

/// Reads the header of a connection of one of `--proxy-from`, and serves whoever is behind it. The
/// time until the login runs meanwhile.
pub(crate) fn serve(
    server: &Arc<Server>,
    connection: Arc<Connection>,
    registered: Registered,
    tls: bool,
) {
    connection.set_deadline(Some(server.context.login_grace));
    let proxy = connection.peer();
    let source = match header(&connection) {
        Ok(source) => source,
        Err(None) => {
            log::debug!(
                "connection {} from the proxy {proxy} ended before it began",
                connection.id()
            );
            return;
        }
        Err(Some(why)) => {
            // It knows itself when it is cut for its time, and that is told already.
            if connection.why_aborted().is_none() && !server.is_stopping() {
                server.context.log_limits.proxies.warn(format_args!(
                    "{proxy} was disconnected, as it is one of --proxy-from: {why}"
                ));
            }
            return;
        }
    };
    let (peer, is_near) = stands_for(source, proxy);
    if let Some((connection, registered)) =
        forward(server, &connection, registered, peer, is_near, tls)
    {
        log::debug!(
            "connection {} from {peer} comes through {proxy}",
            connection.id()
        );
        session::serve(server, connection, registered);
    }
}

/// Puts a connection that a proxy has made in its own name into that of who is behind it, if there
/// is a slot for that address. Nothing has been said on it but the proxy's header.
fn forward(
    server: &Server,
    by_proxy: &Connection,
    mut registered: Registered,
    peer: SocketAddr,
    is_near: bool,
    tls: bool,
) -> Option<(Arc<Connection>, Registered)> {
    let refuse = |error: std::io::Error| {
        let limit = &server.context.log_limits.slots;
        limit.warn(format_args!("{peer} was turned away: {error}"));
    };
    let stream = by_proxy.stream_again().map_err(refuse).ok()?;
    if let Err(full) = registered.slot.count_for(peer.ip()) {
        server.turn_away(&stream, full, peer, tls);
        return None;
    }
    let transport = server.transport(tls).map_err(refuse).ok()?;
    let connection = Connection::forwarded(by_proxy.id(), peer, is_near, stream, transport);
    connection.set_deadline(by_proxy.time_left());
    let connection = Arc::new(connection);
    registered.replace(&connection);
    if server.is_stopping() {
        connection.stop_reading();
    }
    Some((connection, registered))
}

/// Whose connection it is, and whether it has not left this machine: a proxy on another one can
/// have it from its own loopback, and one that does not know can have it from anywhere.
fn stands_for(source: ProxySource, proxy: SocketAddr) -> (SocketAddr, bool) {
    let is_here = |address: IpAddr| address.to_canonical().is_loopback();
    match source {
        ProxySource::Address(peer) => (peer, is_here(peer.ip()) && is_here(proxy.ip())),
        ProxySource::Proxy => (proxy, is_here(proxy.ip())),
        ProxySource::Unknown => (proxy, false),
    }
}

/// Reads one header and not a byte more. The error is why there is none, or `None` when the other
/// side has closed without a word, as probes of proxies do.
fn header(connection: &Connection) -> Result<ProxySource, Option<String>> {
    let mut bytes = [0; LONGEST];
    let mut length = 0;
    loop {
        let more = match proxy::parse(&bytes[..length]) {
            Ok(ParsedHeader::Whole(source)) => return Ok(source),
            Ok(ParsedHeader::More(more)) => more,
            Err(why) => return Err(Some(why.to_string())),
        };
        let room = bytes.get_mut(length..length + more);
        let Some(room) = room else {
            return Err(Some("its PROXY header is too long".to_owned()));
        };
        match connection.read_below(room) {
            Ok(0) if length == 0 => return Err(None),
            Ok(0) => return Err(Some("its PROXY header was cut".to_owned())),
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) if length == 0 => return Err(None),
            Err(error) => return Err(Some(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_not_left_this_machine_is_near() {
        let near = |source, proxy: &str| stands_for(source, proxy.parse().unwrap()).1;
        let from = |text: &str| ProxySource::Address(text.parse().unwrap());
        assert!(near(from("127.0.0.1:1"), "127.0.0.1:2"));
        assert!(near(from("[::1]:1"), "[::ffff:127.0.0.1]:2"));
        assert!(near(ProxySource::Proxy, "127.0.0.1:2"));
        assert!(
            !near(from("127.0.0.1:1"), "192.0.2.1:2"),
            "the proxy's loopback"
        );
        assert!(!near(from("192.0.2.7:1"), "127.0.0.1:2"));
        assert!(!near(ProxySource::Unknown, "127.0.0.1:2"));
        assert!(!near(ProxySource::Proxy, "192.0.2.1:2"));
    }
}
