//! Bytes → bounded lines (contract, section 1): line ends, telnet commands, corrections by
//! BACKSPACE, and a limit that holds whatever the peer sends.
//!
//! The decoder decides byte by byte: what it reports does not depend on how the bytes were split
//! into reads. It works on runs of bytes only to be quick.

mod first;
mod limit;
mod telnet;
mod text;

use std::fmt;

use memchr::{memchr, memchr2, memchr3};

pub use first::Foreign;
pub use limit::PLAIN_LIMIT;
use limit::{ceiling, overflow};
pub use telnet::TelnetAnswer;
use telnet::{IAC, Negotiation, Telnet};

const NUL: u8 = 0x00;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7F;
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// What the bytes so far amounted to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A complete line without its LF, CR LF or CR NUL.
    Line(&'a [u8]),
    /// The line being read is longer than the limit. Said once, as soon as that is certain; the
    /// rest of the line is dropped silently.
    TooLong,
    /// The system has no memory for the line being read. Said once; the rest of the line is dropped
    /// silently.
    NoMemory,
    /// A telnet command that wants this answer, in its place among the replies. The line around
    /// it goes on.
    Answer(TelnetAnswer),
    /// `IAC EOF`: nothing more will come, and what has come of a line is none.
    EndOfInput,
    /// The peer is no client: nothing of what it sends is to be carried out. Only
    /// [wary](LineDecoder::wary) decoders look.
    Foreign(Foreign),
}

/// Without the text, which may hold a password.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Line(line) => write!(f, "Line({} bytes)", line.len()),
            Event::TooLong => f.write_str("TooLong"),
            Event::NoMemory => f.write_str("NoMemory"),
            Event::Answer(answer) => write!(f, "Answer({})", answer.bytes().escape_ascii()),
            Event::EndOfInput => f.write_str("EndOfInput"),
            Event::Foreign(protocol) => write!(f, "Foreign({protocol:?})"),
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

impl<'a> Step<'a> {
    fn of(used: usize, event: Event<'a>) -> Step<'a> {
        let event = Some(event);
        Step { used, event }
    }
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
    /// Made when a telnet command needs it.
    negotiation: Option<Box<Negotiation>>,
    telnet: Telnet,
    /// How much of a byte order mark the connection began with; 3 once it is decided.
    mark: u8,
    /// The line has been reported as too long, or lost by it: bytes up to its end are not kept.
    dropping: bool,
    /// The last byte that was dropped is a CR.
    dropped_cr: bool,
    finished: bool,
    /// The first line that is not blank is still to come, and is to be looked at.
    wary: bool,
    ends: Ends,
}

/// What is known of how the peer ends its lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Unknown,
    /// A CR has come, and never the end of a line.
    OnlyCr,
    Known,
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
            negotiation: None,
            telnet: Telnet::Text,
            mark: 0,
            dropping: false,
            dropped_cr: false,
            finished: false,
            wary: false,
            ends: Ends::Unknown,
        }
    }

    /// A decoder for a connection that anybody can have made: one that begins as another protocol
    /// does is [told](Event::Foreign) from a client's (contract, section 1).
    pub const fn wary() -> Self {
        let mut decoder = LineDecoder::new();
        decoder.wary = true;
        decoder
    }

    /// Takes bytes from `chunk` up to the first event, at most one line end, and says how many. To
    /// be called again with what is left until nothing is.
    ///
    /// `limit` is the length in bytes that the line being read may have, line end not counted; it
    /// may differ from call to call. Up to [`PLAIN_LIMIT`] that is all. Above it, since quoted
    /// values may be escaped (`\u0001` is six bytes for one), a line may have five bytes more for
    /// each backslash in it, up to six times the limit. A telnet subnegotiation longer than
    /// `limit` counts as an over-long line; what follows it up to IAC SE and then a line end, or up
    /// to the next LF if that comes first, is dropped.
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
            if self.mark < 3 && byte != IAC {
                if self.wary && self.mark == 0 && byte == first::TLS_HANDSHAKE {
                    return Step::of(at + 1, Event::Foreign(Foreign::Tls));
                }
                if self.takes_mark(byte) {
                    at += 1;
                    continue;
                }
            }
            if stop <= at {
                let rest = &chunk[at..];
                stop = at + memchr3(b'\n', IAC, DELETE, rest).unwrap_or(rest.len());
            }
            let run = &chunk[at..stop];
            let run = &run[..memchr2(BACKSPACE, NUL, run).unwrap_or(run.len())];
            let end = at + run.len();
            let next = chunk.get(end).copied();
            let ends = self.is_end(run, next);
            if self.dropping {
                self.drop_text(run);
            } else if let Some(step) = self.take_run(at, run, ends, limit) {
                return step;
            }
            at = end;
            match next {
                None => break,
                Some(_) if ends => match self.line_end(limit) {
                    End::Dropped => {}
                    End::TooLong => return Step::of(at + 1, Event::TooLong),
                    End::Foreign => return Step::of(at + 1, Event::Foreign(Foreign::Http)),
                    End::Complete => return Step::of(at + 1, Event::Line(&self.buffer)),
                },
                Some(IAC) => self.telnet = Telnet::Command,
                Some(NUL) => {
                    if let Some(event) = self.keep_byte(NUL, limit) {
                        return Step::of(at + 1, event);
                    }
                }
                Some(_) => self.take_back(),
            }
            at += 1;
        }
        Step {
            used: at,
            event: None,
        }
    }

    /// Whether a line ends with the byte behind a run of text.
    fn is_end(&mut self, run: &[u8], next: Option<u8>) -> bool {
        if self.ends == Ends::Unknown && memchr(b'\r', run).is_some() {
            self.ends = Ends::OnlyCr;
        }
        match next {
            Some(b'\n') => true,
            Some(NUL) => run.last().map_or(self.is_after_cr(), |&last| last == b'\r'),
            _ => false,
        }
    }

    /// Takes a run of text that stands at `at` of the chunk, and says what came of it, if anything.
    fn take_run<'a>(
        &mut self,
        at: usize,
        run: &'a [u8],
        ends: bool,
        limit: usize,
    ) -> Option<Step<'a>> {
        if let Some(over) = overflow(self.buffer.len(), self.backslashes, run, limit) {
            return Some(Step::of(at + over, self.too_long(&run[..over])));
        }
        let end = at + run.len();
        if ends && self.buffer.is_empty() {
            // The usual case: the whole line is here and needs no copy.
            self.ends = Ends::Known;
            let line = without_cr(run);
            let event = match self.wary && self.is_foreign(line) {
                true => Event::Foreign(Foreign::Http),
                false => Event::Line(line),
            };
            return Some(Step::of(end + 1, event));
        }
        if self.keep(run, limit).is_err() {
            self.drop_line(run);
            return Some(Step::of(end, Event::NoMemory));
        }
        None
    }

    /// Whether the stream stands inside a line (kept or dropped) or inside a telnet command.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> bool {
        self.buffered() > 0
            || self.dropping
            || self.telnet != Telnet::Text
            || matches!(self.mark, 1 | 2)
    }

    /// Whether a CR has come, and never the end of a line: the peer may take the one for the other.
    pub fn lacks_line_ends(&self) -> bool {
        self.ends == Ends::OnlyCr
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

    fn line_end(&mut self, limit: usize) -> End {
        self.ends = Ends::Known;
        if self.dropping {
            self.dropping = false;
            let foreign = self.wary && first::ends_like_http(without_cr(&self.buffer));
            self.wary = false;
            self.forget();
            return match foreign {
                true => End::Foreign,
                false => End::Dropped,
            };
        }
        // The limit may have shrunk since the bytes came.
        let content = without_cr(&self.buffer).len();
        if content > ceiling(limit, self.backslashes) {
            self.forget();
            return End::TooLong;
        }
        self.buffer.truncate(content);
        self.finished = true;
        if self.wary {
            let line = std::mem::take(&mut self.buffer);
            let foreign = self.is_foreign(&line);
            self.buffer = line;
            if foreign {
                return End::Foreign;
            }
        }
        End::Complete
    }
}

/// What the end of a line meant.
enum End {
    Dropped,
    TooLong,
    Foreign,
    Complete,
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
pub(super) mod tests;
