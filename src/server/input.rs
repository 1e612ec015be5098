//! Reading a connection with a buffer that is small at idle.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use super::wire::Wire;

/// The buffer of an idle connection.
const SMALL: usize = 512;

/// The buffer while a burst or a long line is coming in.
const LARGE: usize = 32 << 10;

/// With nothing to read for this long, memory is given back.
const QUIET: Duration = Duration::from_secs(2);

/// The reading side of a connection.
pub(super) struct Input {
    reader: BufReader<Source>,
    /// The last read filled the buffer, so there is probably more.
    was_filled: bool,
    /// Memory was given back; reads wait for ever until something comes.
    quiet: bool,
}

/// How [`Input::fill`] came out.
pub(super) enum Filled {
    /// There is something in the buffer.
    Some,
    /// Nothing has come for a while; told once, then reads wait for ever.
    Quiet,
    /// The end of input.
    End,
}

struct Source(Arc<Wire>);

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Input {
    pub(super) fn new(wire: &Arc<Wire>) -> Input {
        Input {
            reader: BufReader::with_capacity(SMALL, Source(Arc::clone(wire))),
            was_filled: false,
            quiet: true,
        }
    }

    /// Waits until something has been read that is not consumed, or until nothing has come for a
    /// while.
    pub(super) fn fill(&mut self) -> io::Result<Filled> {
        while self.reader.buffer().is_empty() {
            let capacity = self.reader.capacity();
            match self.reader.fill_buf().map(<[u8]>::len) {
                Ok(count) => {
                    self.was_filled = count == capacity;
                    if self.quiet {
                        self.quiet = false;
                        self.reader.get_ref().0.set_read_timeout(Some(QUIET))?;
                    }
                    if count == 0 {
                        return Ok(Filled::End);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if !self.quiet => {
                        self.quiet = true;
                        self.reader.get_ref().0.set_read_timeout(None)?;
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
    pub(super) fn buffered(&self) -> &[u8] {
        self.reader.buffer()
    }

    /// Consumes `count` bytes; once a small buffer that was full is consumed, a large one follows.
    pub(super) fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        if self.was_filled && self.reader.capacity() == SMALL && self.reader.buffer().is_empty() {
            self.resize(LARGE);
        }
    }

    /// Replaces an empty buffer.
    fn resize(&mut self, capacity: usize) {
        if self.reader.capacity() != capacity {
            let wire = Arc::clone(&self.reader.get_ref().0);
            self.reader = BufReader::with_capacity(capacity, Source(wire));
        }
    }
}
