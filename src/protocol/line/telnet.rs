//! Telnet's commands within the bytes of a connection: what is no text, and what of it counts or
//! wants an answer.

use memchr::{memchr, memchr2};

use super::{Event, LineDecoder};

// RFC 854 and, for EOF and SUSP, the first of the commands, RFC 1184.
const EOF: u8 = 236;
const SUSP: u8 = 237;
const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
pub(super) const IAC: u8 = 255;
// RFC 856, RFC 860.
const BINARY: u8 = 0;
const TIMING_MARK: u8 = 6;

/// Where in a telnet command the stream stands (RFC 854, RFC 855).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Telnet {
    /// In none: bytes are text.
    Text,
    /// After IAC.
    Command,
    /// After IAC and this verb (WILL, WONT, DO or DONT): the next byte is the option.
    Option { verb: u8 },
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

/// What is remembered of somebody who speaks telnet. Who does not costs nothing of it.
#[derive(Default)]
pub(super) struct Negotiation {
    /// The length of the subnegotiation so far.
    sub_length: usize,
    /// Which WILL, and which DO, have been answered: a bit for each option. So no answer can make
    /// a peer ask again without end.
    answered: [[u64; 4]; 2],
}

impl Negotiation {
    /// Whether this is the first WILL, or DO, for an option. It is not from then on.
    fn is_first(&mut self, verb: u8, option: u8) -> bool {
        let word = &mut self.answered[usize::from(verb == DO)][usize::from(option / 64)];
        let bit = 1 << (option % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    /// What a verb and an option are answered by (contract, section 1). Options are refused but
    /// BINARY: refused, telnet goes on taking letters for signals.
    fn answer(&mut self, verb: u8, option: u8) -> Option<TelnetAnswer> {
        match (verb, option) {
            // Each time: telnet throws all output away until then.
            (DO, TIMING_MARK) => {
                let mut answer = TelnetAnswer::of(WONT, TIMING_MARK);
                // Asked of the peer once, unless it has offered it.
                if self.is_first(WILL, BINARY) {
                    answer.append(DO, BINARY);
                }
                Some(answer)
            }
            (WILL | DO, _) if !self.is_first(verb, option) => None,
            (WILL, BINARY) => Some(TelnetAnswer::of(DO, BINARY)),
            (DO, BINARY) => Some(TelnetAnswer::of(WILL, BINARY)),
            (WILL, _) => Some(TelnetAnswer::of(DONT, option)),
            (DO, _) => Some(TelnetAnswer::of(WONT, option)),
            _ => None,
        }
    }
}

/// Telnet commands that answer those of the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelnetAnswer {
    bytes: [u8; 6],
    length: usize,
}

impl TelnetAnswer {
    fn of(verb: u8, option: u8) -> TelnetAnswer {
        TelnetAnswer {
            bytes: [IAC, verb, option, 0, 0, 0],
            length: 3,
        }
    }

    fn append(&mut self, verb: u8, option: u8) {
        self.bytes[3..].copy_from_slice(&[IAC, verb, option]);
        self.length = 6;
    }

    /// What goes over the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl LineDecoder {
    fn negotiation(&mut self) -> &mut Negotiation {
        self.negotiation.get_or_insert_default()
    }

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
                    self.negotiation().sub_length = 0;
                    Telnet::Sub
                }
                WILL..=DONT => Telnet::Option { verb: byte },
                // Doubled, it is data: 0xFF, which no UTF-8 holds.
                IAC => {
                    event = self.keep_stray(limit);
                    Telnet::Text
                }
                EOF => {
                    event = Some(Event::EndOfInput);
                    Telnet::Text
                }
                SUSP.. => Telnet::Text,
                // No command: a stray 0xFF in the text, and this byte (perhaps the LF) is text.
                _ => {
                    self.telnet = Telnet::Text;
                    return (0, self.keep_stray(limit));
                }
            },
            Telnet::Option { verb } => {
                event = self.negotiation().answer(verb, byte).map(Event::Answer);
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
                self.forget();
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
        let sub_length = &mut self.negotiation().sub_length;
        let room = limit.saturating_sub(*sub_length);
        if data <= room {
            *sub_length += data;
            return (data, None);
        }
        self.telnet = overgrown;
        let event = (!self.dropping).then(|| self.too_long(&[]));
        (room, event)
    }

    /// Keeps an 0xFF that is text.
    fn keep_stray(&mut self, limit: usize) -> Option<Event<'static>> {
        if self.mark < 3 {
            self.takes_mark(IAC);
        }
        self.keep_byte(IAC, limit)
    }
}
