//! A connection that reads lines, cheaply enough for a load generator.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[cfg(feature = "tls")]
use plausch::tls::client::{Stream, Trust};

use crate::failure::{Doing, Failure, Result};

/// A peer that says nothing for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is read at a time.
const CHUNK: usize = 32 << 10;

/// How a server is reached.
#[derive(Clone)]
pub enum Way {
    /// As it is.
    Plain,
    /// With TLS.
    #[cfg(feature = "tls")]
    Tls(Trust),
}

/// What a connection travels in.
enum Transport {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<Stream>),
}

/// A connection and what was read from it ahead.
pub struct Wire {
    transport: Transport,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Wire {
    /// Connects, with TCP_NODELAY.
    pub fn connect(address: SocketAddr) -> Result<Wire> {
        Wire::connect_by(&Way::Plain, address)
    }

    /// Connects in this way.
    pub fn connect_by(way: &Way, address: SocketAddr) -> Result<Wire> {
        let stream = TcpStream::connect(address).doing(format_args!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let transport = match way {
            Way::Plain => Transport::Plain(stream),
            #[cfg(feature = "tls")]
            Way::Tls(trust) => {
                let stream = Stream::begin(stream, "127.0.0.1", trust);
                Transport::Tls(Box::new(stream.doing("the handshake")?))
            }
        };
        Ok(Wire {
            transport,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
        })
    }

    /// Lets the peer say nothing for as long as it likes.
    pub fn wait_for_ever(&mut self) -> Result<()> {
        self.socket().set_read_timeout(None)?;
        Ok(())
    }

    /// The connection below.
    pub fn socket(&self) -> &TcpStream {
        match &self.transport {
            Transport::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.socket(),
        }
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.transport {
            Transport::Plain(stream) => stream.write_all(bytes),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => (&**stream).write_all(bytes),
        }
        .doing("sending")
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> Result<&[u8]> {
        let mut searched = self.start;
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[searched..self.end]);
            if let Some(length) = found {
                let (start, end) = (self.start, searched + length);
                self.start = end + 1;
                let line = &self.buffer[start..end];
                return Ok(line.strip_suffix(b"\r").unwrap_or(line));
            }
            let seen = self.end - self.start;
            self.fill()?;
            searched = self.start + seen;
        }
    }

    /// Reads a line that must begin with `prefix`.
    pub fn receive(&mut self, prefix: &str) -> Result<()> {
        let line = self.line()?;
        if line.starts_with(prefix.as_bytes()) {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        Err(Failure::new(format!("expected {prefix}, got {shown:?}")))
    }

    /// Reads lines up to one that begins with `prefix`; returns how many came before it.
    pub fn until(&mut self, prefix: &str) -> Result<usize> {
        let mut before = 0;
        while !self.line()?.starts_with(prefix.as_bytes()) {
            before += 1;
        }
        Ok(before)
    }

    /// Reads exactly `count` bytes and drops them.
    pub fn skip(&mut self, mut count: usize) -> Result<()> {
        loop {
            let here = count.min(self.end - self.start);
            self.start += here;
            count -= here;
            if count == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = &mut self.buffer[self.end..];
        let read = match &mut self.transport {
            Transport::Plain(stream) => stream.read(room),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => (&**stream).read(room),
        };
        match read.doing("reading")? {
            0 => Err(Failure::new("the connection was closed")),
            count => {
                self.end += count;
                Ok(())
            }
        }
    }
}
