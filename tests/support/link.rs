//! What a connection travels in, and its lines. `plausch-bench` shares this file, so it needs nothing
//! else of the tests.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

#[cfg(feature = "tls")]
use plausch::tls::client::{Stream, Trust};

/// What is read at a time.
const CHUNK: usize = 32 << 10;

/// How a server is reached.
#[derive(Clone)]
pub enum Way {
    Plain,
    #[cfg(feature = "tls")]
    Tls(Trust),
}

/// One of possibly several handles to the same connection.
#[derive(Clone)]
pub enum Link {
    Plain(Arc<TcpStream>),
    #[cfg(feature = "tls")]
    Tls(Arc<Stream>),
}

impl Link {
    /// Makes the handshake, if there is to be one.
    pub fn over(stream: TcpStream, way: &Way) -> io::Result<Link> {
        match way {
            Way::Plain => Ok(Link::Plain(stream.into())),
            #[cfg(feature = "tls")]
            Way::Tls(trust) => match Stream::begin(stream, "127.0.0.1", trust) {
                Ok(stream) => Ok(Link::Tls(stream.into())),
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }

    /// The connection below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Link::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Link::Tls(stream) => stream.socket(),
        }
    }

    /// Whether there is no other handle.
    pub fn is_last(&self) -> bool {
        match self {
            Link::Plain(stream) => Arc::strong_count(stream) == 1,
            #[cfg(feature = "tls")]
            Link::Tls(stream) => Arc::strong_count(stream) == 1,
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) -> io::Result<()> {
        match self {
            Link::Plain(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => stream.finish(),
        }
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(stream) => (&**stream).read(buffer),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => (&**stream).read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Link::Plain(stream) => (&**stream).write(bytes),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => (&**stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection by lines, cheap enough for a load generator: what was read ahead is
/// `buffer[start..end]`, without a line end before `searched`.
pub struct Lines {
    pub link: Link,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    searched: usize,
}

impl Lines {
    pub fn new(link: Link) -> Lines {
        Lines {
            link,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            searched: 0,
        }
    }

    /// What was read ahead.
    pub fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes so many of the bytes that were read ahead.
    pub fn take(&mut self, count: usize) -> &[u8] {
        let start = self.start;
        self.start += count;
        self.searched = self.searched.max(self.start);
        &self.buffer[start..self.start]
    }

    /// Whether a whole line was read ahead.
    pub fn has_line(&mut self) -> bool {
        let found = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]);
        self.searched = found.map_or(self.end, |offset| self.searched + offset);
        found.is_some()
    }

    /// Takes a line that was read ahead, with its end; nothing where there is no whole one.
    pub fn line(&mut self) -> &[u8] {
        match self.has_line() {
            true => self.take(self.searched + 1 - self.start),
            false => &[],
        }
    }

    /// Reads once; how many bytes came, 0 at the end of the connection.
    pub fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let count = self.link.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }
}
