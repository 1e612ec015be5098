//! Reading a connection with a buffer that is small at idle.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use super::wire::Wire;

/// The buffer of an idle connection.
const SMALL: usize = 512;

/// The buffer while a burst or a long line is coming in.
const LARGE: usize = 32 << 10;

/// With a large buffer and nothing to read for this long, it is given back.
const QUIET: Duration = Duration::from_secs(2);

/// The reading side of a connection.
pub(super) struct Input {
    reader: BufReader<Source>,
    /// The last read filled the buffer, so there is probably more.
    was_filled: bool,
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
        }
    }

    /// What has been read and not consumed; waits for more when there is none. Empty at the end of
    /// input. `rest` is called each time a large buffer is given back, for others to do alike.
    pub(super) fn fill(&mut self, mut rest: impl FnMut()) -> io::Result<&[u8]> {
        loop {
            if !self.reader.buffer().is_empty() {
                break;
            }
            let capacity = self.reader.capacity();
            match self.reader.fill_buf().map(<[u8]>::len) {
                Ok(count) => {
                    self.was_filled = count == capacity;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if capacity == LARGE
                        && matches!(
                            error.kind(),
                            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                        ) =>
                {
                    self.resize(SMALL, None)?;
                    rest();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.reader.buffer())
    }

    /// What has been read and not consumed, without waiting.
    pub(super) fn buffered(&self) -> &[u8] {
        self.reader.buffer()
    }

    /// Consumes `count` bytes; once a small buffer that was full is consumed, a large one follows.
    pub(super) fn consume(&mut self, count: usize) -> io::Result<()> {
        self.reader.consume(count);
        if self.was_filled && self.reader.capacity() == SMALL && self.reader.buffer().is_empty() {
            self.resize(LARGE, Some(QUIET))?;
        }
        Ok(())
    }

    fn resize(&mut self, capacity: usize, timeout: Option<Duration>) -> io::Result<()> {
        let wire = Arc::clone(&self.reader.get_ref().0);
        wire.set_read_timeout(timeout)?;
        self.reader = BufReader::with_capacity(capacity, Source(wire));
        Ok(())
    }
}
