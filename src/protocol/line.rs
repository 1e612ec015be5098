//! Bytes → bounded lines (contract, section 1): line ends, telnet commands, corrections by
//! BACKSPACE, and a limit that holds whatever the peer sends.
//!
//! The decoder decides byte by byte: what it reports does not depend on how the bytes were split
//! into reads. It works on runs of bytes only to be quick.

mod limit;
mod telnet;

use std::fmt;

use memchr::{memchr, memchr3};
use zeroize::Zeroize;

use super::memory::{self, NoMemory};
pub use limit::PLAIN_LIMIT;
use limit::{ceiling, count_backslashes, overflow};
use telnet::{IAC, Telnet};

const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7F;
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// What the bytes so far amounted to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A complete line without its LF or CR LF.
    Line(&'a [u8]),
    /// The line being read is longer than the limit. Said once, as soon as that is certain; the
    /// rest of the line is dropped silently.
    TooLong,
    /// The system has no memory for the line being read. Said once; the rest of the line is dropped
    /// silently.
    NoMemory,
    /// `IAC DO TIMING-MARK`, to be answered by `IAC WONT TIMING-MARK`. The line around it goes on.
    TimingMark,
}

/// Without the text, which may hold a password.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Line(line) => write!(f, "Line({} bytes)", line.len()),
            Event::TooLong => f.write_str("TooLong"),
            Event::NoMemory => f.write_str("NoMemory"),
            Event::TimingMark => f.write_str("TimingMark"),
        }
    }
}

/// The result of [`LineDecoder::step`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step<'a> {
    /// How many bytes of the chunk are done with: all of them, if there is no event. With an event
    /// it may be none.
    pub used: usize,
    /// What they amounted to, if anything yet.
    pub event: Option<Event<'a>>,
}

/// Makes lines from the bytes of one connection.
///
/// Idle, it holds no memory besides itself (48 bytes). While a line is incomplete it holds that
/// line, hence no more than the limit allows; a line that lies in one chunk is never copied.
pub struct LineDecoder {
    /// The line so far, or the line handed out by the last step if `finished`.
    buffer: Vec<u8>,
    /// How many of the bytes in `buffer` are backslashes.
    backslashes: usize,
    /// The length of the subnegotiation so far.
    sub_length: usize,
    telnet: Telnet,
    /// How much of a byte order mark the connection began with; 3 once it is decided.
    mark: u8,
    /// The line has been reported as too long, or lost by it: bytes up to its LF are not kept.
    dropping: bool,
    finished: bool,
}

/// Without the text, which may hold a password.
impl fmt::Debug for LineDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineDecoder")
            .field("buffered", &self.buffered())
            .field("telnet", &self.telnet)
            .field("dropping", &self.dropping)
            .finish_non_exhaustive()
    }
}

impl Default for LineDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for LineDecoder {
    fn drop(&mut self) {
        self.forget();
    }
}

impl LineDecoder {
    /// A decoder for a connection from which nothing has been read yet.
    pub const fn new() -> Self {
        LineDecoder {
            buffer: Vec::new(),
            backslashes: 0,
            sub_length: 0,
            telnet: Telnet::Text,
            mark: 0,
            dropping: false,
            finished: false,
        }
    }

    /// Takes bytes from `chunk` up to the first event, at most one line end, and says how many. To
    /// be called again with what is left until nothing is.
    ///
    /// `limit` is the length in bytes that the line being read may have, line end not counted; it
    /// may differ from call to call. Up to [`PLAIN_LIMIT`] that is all. Above it, since quoted
    /// values may be escaped (`\u0001` is six bytes for one), a line may have five bytes more for
    /// each backslash in it, up to six times the limit. A telnet subnegotiation longer than
    /// `limit` counts as an over-long line; what follows it up to IAC SE and then LF, or up to the
    /// next LF if that comes first, is dropped.
    pub fn step<'a>(&'a mut self, chunk: &'a [u8], limit: usize) -> Step<'a> {
        if self.finished {
            self.forget();
        }
        let mut at = 0;
        // Where the next LF, IAC or DEL is, kept between rounds: searching it anew for each
        // BACKSPACE would make a chunk of them cost the square of its length.
        let mut stop = 0;
        while let Some(&byte) = chunk.get(at) {
            if self.telnet != Telnet::Text {
                let (used, event) = self.telnet_bytes(&chunk[at..], limit);
                at += used;
                if event.is_some() {
                    return Step { used: at, event };
                }
                continue;
            }
            if self.mark < 3 && byte != IAC && self.takes_mark(byte) {
                at += 1;
                continue;
            }
            if stop <= at {
                let rest = &chunk[at..];
                stop = at + memchr3(b'\n', IAC, DELETE, rest).unwrap_or(rest.len());
            }
            let run = &chunk[at..stop];
            let run = &run[..memchr(BACKSPACE, run).unwrap_or(run.len())];
            let end = at + run.len();
            if self.dropping {
                at = end;
            } else if chunk.get(end) == Some(&b'\n') && self.buffer.is_empty() {
                // The usual case: the whole line is here and needs no copy.
                if let Some(over) = overflow(0, 0, run, limit) {
                    self.dropping = true;
                    return Step {
                        used: at + over,
                        event: Some(Event::TooLong),
                    };
                }
                return Step {
                    used: end + 1,
                    event: Some(Event::Line(without_cr(run))),
                };
            } else if let Some(over) = overflow(self.buffer.len(), self.backslashes, run, limit) {
                self.drop_line();
                return Step {
                    used: at + over,
                    event: Some(Event::TooLong),
                };
            } else if self.keep(run, limit).is_err() {
                self.drop_line();
                return Step {
                    used: end,
                    event: Some(Event::NoMemory),
                };
            } else {
                at = end;
            }
            match chunk.get(at) {
                None => break,
                Some(&b'\n') => match self.line_end(limit) {
                    End::Dropped => {}
                    End::TooLong => {
                        return Step {
                            used: at + 1,
                            event: Some(Event::TooLong),
                        };
                    }
                    End::Complete => {
                        return Step {
                            used: at + 1,
                            event: Some(Event::Line(&self.buffer)),
                        };
                    }
                },
                Some(&IAC) => self.telnet = Telnet::Command,
                Some(_) => self.take_back(),
            }
            at += 1;
        }
        Step {
            used: at,
            event: None,
        }
    }

    /// Whether the stream stands inside a line (kept or dropped) or inside a telnet command.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> bool {
        self.buffered() > 0
            || self.dropping
            || self.telnet != Telnet::Text
            || matches!(self.mark, 1 | 2)
    }

    /// How many bytes are held for the line being read.
    pub fn buffered(&self) -> usize {
        if self.finished { 0 } else { self.buffer.len() }
    }

    /// Gives back all memory if no line is being gathered; else does nothing.
    pub fn release(&mut self) {
        if self.buffered() == 0 {
            self.forget();
            self.buffer = Vec::new();
        }
    }

    /// Takes a byte of a byte order mark at the start of the connection. If it turns out to be
    /// none, what was taken of it becomes text.
    fn takes_mark(&mut self, byte: u8) -> bool {
        let taken = usize::from(self.mark);
        if byte == BYTE_ORDER_MARK[taken] {
            self.mark += 1;
            return true;
        }
        self.buffer.extend_from_slice(&BYTE_ORDER_MARK[..taken]);
        self.mark = 3;
        false
    }

    /// Appends text that fits. Room grows by doubling, but not beyond the limit before it must.
    fn keep(&mut self, text: &[u8], limit: usize) -> Result<(), NoMemory> {
        let (length, room) = (self.buffer.len(), self.buffer.capacity());
        let needed = length + text.len();
        if needed > room {
            let line = limit.saturating_add(1);
            let goal = if needed <= line {
                (2 * room).max(64).min(line)
            } else {
                room + room / 2
            };
            let goal = goal.max(needed);
            if length <= PLAIN_LIMIT {
                // Not realloc, which would leave a password behind where the line was.
                let mut grown = Vec::new();
                memory::reserve_exact(&mut grown, goal)?;
                grown.extend_from_slice(&self.buffer);
                self.buffer.zeroize();
                self.buffer = grown;
            } else {
                memory::reserve_exact(&mut self.buffer, goal - length)?;
            }
        }
        self.buffer.extend_from_slice(text);
        self.backslashes += count_backslashes(text);
        Ok(())
    }

    /// Takes back the last character. Of bytes that are no UTF-8, the last one.
    fn take_back(&mut self) {
        let Some(last) = self.buffer.len().checked_sub(1) else {
            return;
        };
        let tail = self.buffer.iter().rev().take(4);
        let continuations = tail.take_while(|&&byte| byte & 0xC0 == 0x80).count();
        let mut keep = last;
        if let Some(lead) = last.checked_sub(continuations)
            && self.buffer[lead] >= 0xC0
        {
            keep = lead;
        }
        self.backslashes -= count_backslashes(&self.buffer[keep..]);
        self.buffer[keep..].zeroize();
        self.buffer.truncate(keep);
    }

    fn line_end(&mut self, limit: usize) -> End {
        if self.dropping {
            self.dropping = false;
            return End::Dropped;
        }
        // The limit may have shrunk since the bytes came.
        let content = without_cr(&self.buffer).len();
        if content > ceiling(limit, self.backslashes) {
            self.forget();
            return End::TooLong;
        }
        self.buffer.truncate(content);
        self.finished = true;
        End::Complete
    }

    fn drop_line(&mut self) {
        self.forget();
        self.dropping = true;
        self.mark = 3;
    }

    /// Empties the buffer, leaving nothing of a short line to be read in freed memory.
    fn forget(&mut self) {
        if self.buffer.len() <= PLAIN_LIMIT {
            self.buffer.as_mut_slice().zeroize();
        }
        self.buffer.clear();
        if self.buffer.capacity() > PLAIN_LIMIT {
            self.buffer = Vec::new();
        }
        self.backslashes = 0;
        self.finished = false;
    }
}

/// What an LF meant.
enum End {
    Dropped,
    TooLong,
    Complete,
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests;
