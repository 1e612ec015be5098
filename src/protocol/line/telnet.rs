//! Telnet's commands within the bytes of a connection: what is no text, and what of it counts.

use memchr::{memchr, memchr2};

use super::limit::overflow;
use super::{Event, LineDecoder};

// RFC 854 and, for the first command, RFC 1184; TIMING-MARK is RFC 860.
const FIRST_COMMAND: u8 = 236;
const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const DO: u8 = 253;
const DONT: u8 = 254;
pub(super) const IAC: u8 = 255;
const TIMING_MARK: u8 = 6;

/// Where in a telnet command the stream stands (RFC 854, RFC 855).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Telnet {
    /// In none: bytes are text.
    Text,
    /// After IAC.
    Command,
    /// After IAC WILL, WONT, DO (`asked`) or DONT: the next byte is the option.
    Option { asked: bool },
    /// In a subnegotiation.
    Sub,
    /// After IAC in a subnegotiation.
    SubCommand,
    /// In a subnegotiation that outgrew the limit: an LF ends it as well, so that an endless one
    /// cannot make the connection deaf.
    Overgrown,
    /// After IAC in such a one.
    OvergrownCommand,
}

impl LineDecoder {
    /// One step through a telnet command; `bytes` is not empty. Returns how many it took.
    pub(super) fn telnet_bytes(
        &mut self,
        bytes: &[u8],
        limit: usize,
    ) -> (usize, Option<Event<'static>>) {
        let byte = bytes[0];
        let mut event = None;
        self.telnet = match self.telnet {
            Telnet::Text => return (0, None),
            Telnet::Command => match byte {
                SB => {
                    self.sub_length = 0;
                    Telnet::Sub
                }
                WILL..=DONT => Telnet::Option { asked: byte == DO },
                // Doubled, it is data: 0xFF, which no UTF-8 holds.
                IAC => {
                    event = self.keep_stray(limit);
                    Telnet::Text
                }
                FIRST_COMMAND.. => Telnet::Text,
                // No command: a stray 0xFF in the text, and this byte (perhaps the LF) is text.
                _ => {
                    self.telnet = Telnet::Text;
                    return (0, self.keep_stray(limit));
                }
            },
            Telnet::Option { asked } => {
                event = (asked && byte == TIMING_MARK).then_some(Event::TimingMark);
                Telnet::Text
            }
            Telnet::Sub if byte == IAC => Telnet::SubCommand,
            Telnet::Sub => {
                let data = memchr(IAC, bytes).unwrap_or(bytes.len());
                return self.count_sub(data, Telnet::Overgrown, limit);
            }
            Telnet::SubCommand if byte == SE => Telnet::Text,
            // Data (IAC IAC), or nonsense that must count for the limit all the same.
            Telnet::SubCommand => {
                self.telnet = Telnet::Sub;
                return self.count_sub(1, Telnet::OvergrownCommand, limit);
            }
            Telnet::Overgrown | Telnet::OvergrownCommand if byte == b'\n' => {
                self.dropping = false;
                Telnet::Text
            }
            Telnet::Overgrown if byte == IAC => Telnet::OvergrownCommand,
            Telnet::Overgrown => {
                let data = memchr2(IAC, b'\n', bytes).unwrap_or(bytes.len());
                return (data, None);
            }
            Telnet::OvergrownCommand if byte == SE => Telnet::Text,
            Telnet::OvergrownCommand => Telnet::Overgrown,
        };
        (1, event)
    }

    /// Counts bytes of a subnegotiation, which are not kept. If they are too many, the rest of
    /// them is left to the state `overgrown`, for an LF may be among them.
    fn count_sub(
        &mut self,
        data: usize,
        overgrown: Telnet,
        limit: usize,
    ) -> (usize, Option<Event<'static>>) {
        let room = limit.saturating_sub(self.sub_length);
        if data <= room {
            self.sub_length += data;
            return (data, None);
        }
        self.telnet = overgrown;
        let event = (!self.dropping).then_some(Event::TooLong);
        self.drop_line();
        (room, event)
    }

    /// Keeps an 0xFF that is text.
    fn keep_stray(&mut self, limit: usize) -> Option<Event<'static>> {
        if self.mark < 3 {
            self.takes_mark(IAC);
        }
        if self.dropping {
            return None;
        }
        if overflow(self.buffer.len(), self.backslashes, &[IAC], limit).is_some() {
            self.drop_line();
            return Some(Event::TooLong);
        }
        if self.keep(&[IAC], limit).is_err() {
            self.drop_line();
            return Some(Event::NoMemory);
        }
        None
    }
}
