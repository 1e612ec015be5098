//! Reading a connection with a buffer that is small at idle, and that can be wiped: a password is
//! read into it before anything else sees it. The standard library's reader does not let go of
//! what it has consumed.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroize;

use crate::net::connection::Connection;
use crate::protocol::memory;
use crate::protocol::memory::NoMemory;

/// The buffer of an idle connection.
const SMALL: usize = 512;

/// The buffer while a burst or a long line is coming in.
const LARGE: usize = 32 << 10;

/// With nothing to read for this long, memory is given back.
const QUIET: Duration = Duration::from_secs(2);

/// The reading side of a connection.
pub(crate) struct Input {
    connection: Arc<Connection>,
    buffer: Box<[u8]>,
    /// What has been read and not consumed is `buffer[start..end]`.
    start: usize,
    end: usize,
    /// The last read filled the buffer, so there is probably more.
    was_filled: bool,
    /// Memory was given back; reads wait for ever until something comes.
    quiet: bool,
}

/// How [`Input::fill`] came out.
pub(crate) enum Filled {
    /// There is something in the buffer.
    Some,
    /// Nothing has come for a while; told once, then reads wait for ever.
    Quiet,
    /// The end of input.
    End,
}

/// What is left unread of a connection that ends may be a password.
impl Drop for Input {
    fn drop(&mut self) {
        self.buffer[self.start..self.end].zeroize();
    }
}

impl Input {
    pub(crate) fn new(connection: &Arc<Connection>) -> Input {
        Input {
            connection: Arc::clone(connection),
            buffer: vec![0; SMALL].into_boxed_slice(),
            start: 0,
            end: 0,
            was_filled: false,
            quiet: true,
        }
    }

    /// Waits until something has been read that is not consumed, or until nothing has come for a
    /// while.
    pub(crate) fn fill(&mut self) -> io::Result<Filled> {
        while self.buffered().is_empty() {
            if self.was_filled && self.buffer.len() == LARGE {
                // Whoever sends without end lets the others go first.
                std::thread::yield_now();
            }
            match (&*self.connection).read(&mut self.buffer) {
                Ok(count) => {
                    (self.start, self.end) = (0, count);
                    self.was_filled = count == self.buffer.len();
                    if self.quiet {
                        self.quiet = false;
                        self.connection.set_read_timeout(Some(QUIET))?;
                    }
                    if count == 0 {
                        return Ok(Filled::End);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if !self.quiet => {
                        self.quiet = true;
                        self.connection.set_read_timeout(None)?;
                        self.resize(SMALL);
                        return Ok(Filled::Quiet);
                    }
                    _ => return Err(error),
                },
            }
        }
        Ok(Filled::Some)
    }

    /// What has been read and not consumed, without waiting.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Consumes `count` bytes; once a small buffer that was full is consumed, a large one follows.
    /// With `wipe` nothing is left of them.
    pub(crate) fn consume(&mut self, count: usize, wipe: bool) {
        let until = self.end.min(self.start + count);
        if wipe {
            self.buffer[self.start..until].zeroize();
        }
        self.start = until;
        if self.was_filled && self.buffer.len() == SMALL && self.buffered().is_empty() {
            self.resize(LARGE);
        }
    }

    /// Replaces an empty buffer, if there is memory for the other one.
    fn resize(&mut self, size: usize) {
        if self.buffer.len() != size
            && let Ok(buffer) = room(size)
        {
            self.buffer = buffer;
            (self.start, self.end) = (0, 0);
        }
    }
}

fn room(size: usize) -> Result<Box<[u8]>, NoMemory> {
    let mut buffer = Vec::new();
    memory::reserve_exact(&mut buffer, size)?;
    buffer.resize(size, 0);
    Ok(buffer.into_boxed_slice())
}
