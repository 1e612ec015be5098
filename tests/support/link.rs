//! What a test's connection travels in: TCP as it is, or TLS over it.
//!
//! Below `over_tls.rs` that is TLS wherever a test connects: so the same tests
//! are run once over each.

use std::io::{Read, Result, Write};
use std::net::TcpStream;

#[cfg(feature = "tls")]
use super::certificates;
#[cfg(feature = "tls")]
use plausch::tls::client::Stream;

/// Whether the tests that use this speak TLS.
pub fn wants_tls() -> bool {
    module_path!().contains("::over_tls::")
}

/// One of possibly several handles to the same connection.
#[derive(Clone)]
pub enum Link {
    Plain(std::sync::Arc<TcpStream>),
    #[cfg(feature = "tls")]
    Tls(std::sync::Arc<Stream>),
}

impl Link {
    /// Makes the handshake, if these tests speak TLS.
    pub fn over(stream: TcpStream) -> Result<Link> {
        #[cfg(feature = "tls")]
        if wants_tls() {
            stream.set_read_timeout(Some(super::client::TIMEOUT))?;
            let trust = certificates::trust();
            let stream =
                Stream::begin(stream, "127.0.0.1", trust).map_err(std::io::Error::other)?;
            return Ok(Link::Tls(stream.into()));
        }
        assert!(!wants_tls(), "this build has no TLS");
        Ok(Link::Plain(stream.into()))
    }

    /// The connection below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Link::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Link::Tls(stream) => stream.socket(),
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) -> Result<()> {
        match self {
            Link::Plain(stream) => stream.shutdown(std::net::Shutdown::Write),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => stream.finish(),
        }
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Link::Plain(stream) => (&**stream).read(buffer),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => (&**stream).read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Link::Plain(stream) => (&**stream).write(bytes),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => (&**stream).write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
