//! The stream to the server. Here alone is known whether TLS is in it; nothing else of the client
//! depends on that. The engine's thread `connector` makes it; `connection` reads and writes it.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::client::dial::dial;
use crate::sys;
#[cfg(feature = "tls")]
use crate::tls::client::{Stream, Trust};

const DEFAULT_PORT: u16 = 4110;

const DEFAULT_TLS_PORT: u16 = 4111;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an address, IPv6 without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address.
    pub(crate) fn parse(text: &str, security: &Security) -> Option<Address> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']')?;
            match rest {
                "" => (host, None),
                rest => (host, Some(rest.strip_prefix(':')?)),
            }
        } else {
            match text.split_once(':') {
                Some((_, rest)) if rest.contains(':') => (text, None),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            None if *security == Security::None => DEFAULT_PORT,
            None => DEFAULT_TLS_PORT,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
            Some(_) => return None,
        };
        let bad = |c: char| c.is_control() || c == ' ';
        let host = Some(host).filter(|host| !host.is_empty() && !host.contains(bad))?;
        Some(Address {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whether anybody on the way can read along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    None,
    Tls {
        /// Whose certificates to trust; `None` for whom the system trusts.
        ca: Option<PathBuf>,
    },
}

/// An open stream to the server, shared by the threads that read it, write it and look at it.
pub(crate) trait Link: Send + Sync {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Waits while the server does not read.
    fn write_all(&self, bytes: &[u8]) -> io::Result<()>;

    /// Bytes written that the server's machine has not acknowledged, as far as is known.
    fn unacknowledged(&self) -> u64;

    /// Ends reading and writing, also for who is just blocked in either.
    fn shut(&self);
}

/// Connects to whichever address of the host answers first, see `dial`; or tells why not.
pub(crate) fn connect(address: &Address, security: &Security) -> Result<Arc<dyn Link>, String> {
    let stream = reach(address).map_err(|error| format!("{address} cannot be reached: {error}"))?;
    let link = match security {
        Security::None => return Ok(Arc::new(stream)),
        Security::Tls { ca } => secure(stream, &address.host, ca.as_deref()),
    };
    link.map_err(|error| format!("no connection to {address}: {error}"))
}

fn reach(address: &Address) -> io::Result<TcpStream> {
    let found = (address.host.as_str(), address.port).to_socket_addrs()?;
    let stream = dial(&found.collect::<Vec<_>>(), CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

type Secured = Result<Arc<dyn Link>, Box<dyn Error>>;

#[cfg(feature = "tls")]
fn secure(stream: TcpStream, host: &str, ca: Option<&Path>) -> Secured {
    // The file may have changed since the last time.
    let trust = match ca {
        Some(file) => Trust::file(file)?,
        None => Trust::system()?,
    };
    stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    let stream = Stream::begin(stream, host, &trust)?;
    stream.socket().set_read_timeout(None)?;
    Ok(Arc::new(stream))
}

/// The options never ask for this.
#[cfg(not(feature = "tls"))]
fn secure(_: TcpStream, _: &str, _: Option<&Path>) -> Secured {
    Err("this build has no TLS".into())
}

impl Link for TcpStream {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut { self }, buffer)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(&mut { self }, bytes)
    }

    fn unacknowledged(&self) -> u64 {
        sys::unacknowledged(self).unwrap_or(0)
    }

    fn shut(&self) {
        // Fails only on a stream that has ended already.
        let _ = self.shutdown(Shutdown::Both);
    }
}

#[cfg(feature = "tls")]
impl Link for Stream {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut { self }, buffer)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(&mut { self }, bytes)
    }

    fn unacknowledged(&self) -> u64 {
        // Records are longer than what is in them: nothing counts as arrived too early.
        sys::unacknowledged(self.socket()).unwrap_or(0)
    }

    fn shut(&self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let cases = [
            ("h", "h:4110"),
            ("h:1", "h:1"),
            ("10.0.0.1:65535", "10.0.0.1:65535"),
            ("fe80::1", "[fe80::1]:4110"),
            ("[fe80::1]", "[fe80::1]:4110"),
            ("[fe80::1]:23", "[fe80::1]:23"),
        ];
        for (text, written) in cases {
            let address = Address::parse(text, &Security::None).map(|address| address.to_string());
            assert_eq!(address.as_deref(), Some(written), "{text}");
        }
        let tls = Security::Tls { ca: None };
        for (text, written) in [("h", "h:4111"), ("h:4110", "h:4110"), ("::1", "[::1]:4111")] {
            let address = Address::parse(text, &tls).map(|address| address.to_string());
            assert_eq!(address.as_deref(), Some(written), "{text}");
        }
        for text in [
            "", ":1", "h:", "h:x", "h:+1", "h:65536", "[::1", "[::1]x", "[]:1", "a b", "a\x1b",
        ] {
            assert_eq!(Address::parse(text, &Security::None), None, "{text}");
        }
    }
}
