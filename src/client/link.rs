//! The stream to the server. Here alone is known whether TLS is in it; nothing else of the client
//! depends on that.

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

/// The port where none is named.
const DEFAULT_PORT: u16 = 4110;

/// The same with TLS.
const DEFAULT_TLS_PORT: u16 = 4111;

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
    pub fn parse(text: &str, security: &Security) -> Option<Address> {
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
pub enum Security {
    /// Everybody.
    None,
    /// Nobody, by TLS.
    Tls {
        /// Whose certificates to trust; `None` for whom the system trusts.
        ca: Option<PathBuf>,
    },
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

/// Why there is no connection.
#[derive(Debug)]
pub enum LinkError {
    /// Nobody answers there.
    Unreachable(io::Error),
    /// Somebody does, but not with TLS as it should be, and why.
    Insecure(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Unreachable(error) => write!(f, "it cannot be reached: {error}"),
            LinkError::Insecure(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> LinkError {
        LinkError::Unreachable(error)
    }
}

/// Connects to whichever address of the host answers first; see `dial`.
///
/// # Errors
///
/// That of the last address, or of the look-up; or what is wrong with the TLS of the one that
/// answered.
pub fn connect(address: &Address, security: &Security) -> Result<Link, LinkError> {
    let found = (address.host.as_str(), address.port).to_socket_addrs()?;
    let stream = dial(&found.collect::<Vec<_>>(), CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    match security {
        Security::None => Ok(link(Plain(Arc::new(stream)))),
        Security::Tls { ca } => secure(stream, &address.host, ca.as_deref()),
    }
}

fn link(stream: impl Read + Write + Handle + Clone + 'static) -> Link {
    Link {
        reader: Box::new(stream.clone()),
        writer: Box::new(stream.clone()),
        handle: Arc::new(stream),
    }
}

#[cfg(feature = "tls")]
fn secure(stream: TcpStream, host: &str, ca: Option<&Path>) -> Result<Link, LinkError> {
    // The file may have changed since the last time.
    let trust = match ca {
        Some(file) => Trust::file(file),
        None => Trust::system(),
    };
    stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    let stream = trust
        .and_then(|trust| Stream::begin(stream, host, &trust))
        .map_err(|error| LinkError::Insecure(error.to_string()))?;
    stream.socket().set_read_timeout(None)?;
    Ok(link(Secure(Arc::new(stream))))
}

/// The options never ask for this.
#[cfg(not(feature = "tls"))]
fn secure(_: TcpStream, _: &str, _: Option<&Path>) -> Result<Link, LinkError> {
    Err(LinkError::Insecure("this build has no TLS".to_owned()))
}

#[cfg(feature = "tls")]
#[derive(Clone)]
struct Secure(Arc<Stream>);

#[cfg(feature = "tls")]
impl Read for Secure {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

#[cfg(feature = "tls")]
impl Write for Secure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "tls")]
impl Handle for Secure {
    fn unacknowledged(&self) -> u64 {
        // Records are longer than what is in them: nothing counts as arrived too early.
        sys::unacknowledged(self.0.socket()).unwrap_or(0)
    }

    fn shut(&self) {
        self.0.end();
    }
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
