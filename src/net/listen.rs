//! Opening listening sockets, also where a family of addresses is missing or an address is not
//! there yet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::connection;
use crate::sync::lock;

/// Connections that may wait to be accepted; at std's 128, a thousand connects at the same moment
/// took 1.05 s, at this 0.06 s.
const BACKLOG: i32 = 4096;

/// Between two tries for an address that is not there yet.
const AGAIN: Duration = Duration::from_secs(1);

/// A socket that is listened on, or is to be.
pub(crate) struct Listener {
    address: SocketAddr,
    /// Whether IPv4 comes in there too; only `[::]` can.
    both: bool,
    /// Whether its connections begin with a handshake.
    pub(crate) tls: bool,
    /// None as long as the address is not there.
    socket: Mutex<Option<Arc<TcpListener>>>,
}

/// Opens what the options name: `[::]` for IPv4 too, unless an address of IPv4 with the same port
/// is named beside it. An address of a family that the machine lacks is left out, one that is not
/// there yet is to be tried again by [`Listener::wait`].
pub(crate) fn open(
    plain: &[SocketAddr],
    tls: &[SocketAddr],
) -> Result<Vec<Listener>, (SocketAddr, io::Error)> {
    let plain = plain.iter().map(|address| (*address, false));
    let tls = tls.iter().map(|address| (*address, true));
    let wanted: Vec<_> = plain.chain(tls).collect();
    let mut listeners = Vec::new();
    // Of no interest when it comes to nothing.
    let mut warnings = Vec::new();
    let mut refused = None;
    for &(address, tls) in &wanted {
        let ports_of_ipv4 = wanted.iter().filter(|(other, _)| other.is_ipv4());
        let both = is_everywhere(address)
            && (address.port() == 0
                || !ports_of_ipv4
                    .map(|(other, _)| other.port())
                    .any(|port| port == address.port()));
        let listener = |address, both, socket| Listener {
            address,
            both,
            tls,
            socket: Mutex::new(socket),
        };
        match bind(address, both) {
            Ok(socket) => listeners.push(listener(address, both, Some(Arc::new(socket)))),
            Err(error) if both && lacks_family(&error) => {
                let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
                let socket = bind(address, false).map_err(|error| (address, error))?;
                warnings.push(format!(
                    "this machine has no IPv6: listening on {address} instead"
                ));
                listeners.push(listener(address, false, Some(Arc::new(socket))));
            }
            Err(error) if lacks_family(&error) => {
                warnings.push(format!("cannot listen on {address}: {error}"));
                refused = refused.or(Some((address, error)));
            }
            Err(error) if is_absent(&error) => {
                warnings.push(format!(
                    "cannot listen on {address} yet: {error}; it is tried again each second"
                ));
                listeners.push(listener(address, both, None));
                refused = refused.or(Some((address, error)));
            }
            Err(error) => return Err((address, error)),
        }
    }
    let one = listeners.iter().any(|listener| listener.get().is_some());
    match refused {
        // To look alive and serve nobody would help no one; whoever has started it may try again.
        Some(error) if !one => Err(error),
        _ => {
            for warning in warnings {
                log::warn!("{warning}");
            }
            Ok(listeners)
        }
    }
}

/// Whether it is `[::]`.
fn is_everywhere(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V6(ip) if ip.is_unspecified())
}

/// A kernel without IPv6, or a service that is not let to it.
fn lacks_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// An address that no interface has; it may come with one.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Opens a listening socket; `both` lets IPv4 in on `[::]` too.
pub(crate) fn bind(address: SocketAddr, both: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Whatever the system's default is (net.ipv6.bindv6only).
        socket.set_only_v6(!both)?;
    }
    connection::set_options(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listener {
    /// The socket, if the address is there.
    pub(crate) fn get(&self) -> Option<Arc<TcpListener>> {
        lock(&self.socket).clone()
    }

    /// The address that is listened on, with its real port.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.get()?.local_addr().ok()
    }

    /// Waits until the address is there. `ended` waits for the server's end, so long at most, and
    /// tells whether it has come; then the result is None.
    pub(crate) fn wait(&self, ended: impl Fn(Duration) -> bool) -> Option<Arc<TcpListener>> {
        let mut last = None;
        loop {
            if let Some(socket) = self.get() {
                return Some(socket);
            }
            if ended(AGAIN) {
                return None;
            }
            match bind(self.address, self.both) {
                Ok(socket) => {
                    let socket = Arc::new(socket);
                    // The stop looks at the socket under this lock after it has said that it
                    // stops: either it finds the socket, or it is seen here.
                    let mut place = lock(&self.socket);
                    if ended(Duration::ZERO) {
                        return None;
                    }
                    *place = Some(Arc::clone(&socket));
                    drop(place);
                    self.announce();
                    return Some(socket);
                }
                Err(error) => {
                    // Once for each reason: taken meanwhile, say.
                    let kind = error.kind();
                    if !is_absent(&error) && last != Some(kind) {
                        log::warn!("still cannot listen on {}: {error}", self.address);
                    }
                    last = Some(kind);
                }
            }
        }
    }

    /// Says in the log where it listens.
    pub(crate) fn announce(&self) {
        let Some(address) = self.local_addr() else {
            return;
        };
        let both = if self.both { " and IPv4" } else { "" };
        let tls = if self.tls { " with TLS" } else { "" };
        log::info!("listening on {address}{both}{tls}");
    }

    /// Makes accept(2) return.
    pub(crate) fn close(&self) {
        if let Some(socket) = self.get() {
            let _ = SockRef::from(&*socket).shutdown(std::net::Shutdown::Both);
        }
    }
}
