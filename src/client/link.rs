//! The stream to the server. Here alone is known that it is TCP: another transport needs a
//! function like [`connect`] and a [`Handle`], and nothing else of the client changes.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::sys;

/// The port without which an address stands.
const DEFAULT_PORT: u16 = 4110;

/// How long one address of a host may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Address {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Address> {
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
            None => DEFAULT_PORT,
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

/// An open stream, in the parts that its threads need.
pub struct Link {
    /// What comes from the server. Blocks; 0 bytes are the end.
    pub reader: Box<dyn Read + Send>,
    /// What goes to the server. Blocks while the server does not read.
    pub writer: Box<dyn Write + Send>,
    /// What can be done from elsewhere meanwhile.
    pub handle: Arc<dyn Handle>,
}

/// A stream, for whoever neither reads nor writes it.
pub trait Handle: Send + Sync {
    /// Bytes written that the server's machine has not acknowledged, as far as is known.
    fn unacknowledged(&self) -> u64;

    /// Ends reading and writing, also for who is just blocked in either.
    fn shut(&self);
}

/// Connects over plain TCP: to each address of the host in turn, until one answers.
///
/// # Errors
///
/// That of the last address, or of the look-up.
pub fn connect(address: &Address) -> io::Result<Link> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                let shared = Plain(Arc::new(stream));
                return Ok(Link {
                    reader: Box::new(shared.clone()),
                    writer: Box::new(shared.clone()),
                    handle: Arc::new(shared),
                });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[derive(Clone)]
struct Plain(Arc<TcpStream>);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Handle for Plain {
    fn unacknowledged(&self) -> u64 {
        sys::unacknowledged(&self.0).unwrap_or(0)
    }

    fn shut(&self) {
        // Fails only on a stream that has ended already.
        let _ = self.0.shutdown(Shutdown::Both);
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
            let address = Address::parse(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), Some(written), "{text}");
        }
        for text in [
            "", ":1", "h:", "h:x", "h:+1", "h:65536", "[::1", "[::1]x", "[]:1", "a b", "a\x1b",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
