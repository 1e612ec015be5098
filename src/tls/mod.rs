//! TLS, apart from any socket: one end of a session that a reader and writers share.
//!
//! A [`Channel`] turns what comes from a socket into text and text into what goes to one. Its lock
//! is held for computing alone, never while anybody waits for a socket, so a reader that waits
//! keeps no writer back. [`server`] reads an operator's files, [`client`] is the other end; both say in
//! `words` what is wrong with certificates, and with their `files`.

pub mod client;
mod files;
pub mod look;
pub mod server;
mod words;

use std::fmt;
use std::io::{self, Read, Write};

use parking_lot::Mutex;
use rustls::Connection;

/// Text that is sealed at once: four full records.
pub const PIECE: usize = 64 << 10;

/// One end of a TLS session.
pub struct Channel(Mutex<ChannelState>);

struct ChannelState {
    connection: Connection,
    /// Came from the socket when the session had no room; `unfed[fed..]` is still to be taken.
    unfed: Vec<u8>,
    fed: usize,
}

/// How [`Channel::take`] came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes of text.
    Text(usize),
    /// The peer has said that nothing more comes.
    End,
    /// More has to come from the socket first.
    Nothing,
}

impl Channel {
    /// The end of a session that begins.
    #[must_use]
    pub fn new(connection: impl Into<Connection>) -> Channel {
        let mut connection = connection.into();
        // What is sealed is taken out at once, so that this bounds nothing.
        connection.set_buffer_limit(None);
        Channel(Mutex::new(ChannelState {
            connection,
            unfed: Vec::new(),
            fed: 0,
        }))
    }

    /// Moves text that has come to `buffer`. After an error, [`Channel::seal`] gives what tells the
    /// peer that it broke the protocol.
    pub fn take(&self, buffer: &mut [u8]) -> io::Result<Taken> {
        let mut state = self.0.lock();
        loop {
            match state.connection.reader().read(buffer) {
                Ok(0) => return Ok(Taken::End),
                Ok(count) => return Ok(Taken::Text(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if state.unfed.is_empty() {
                return Ok(Taken::Nothing);
            }
            let unfed = std::mem::take(&mut state.unfed);
            let fed = std::mem::take(&mut state.fed);
            state.feed(&unfed[fed..])?;
        }
    }

    /// Takes what has come from the socket; true when something is to be answered at once, which
    /// [`Channel::seal`] gives.
    pub fn feed(&self, bytes: &[u8]) -> io::Result<bool> {
        let mut state = self.0.lock();
        state.feed(bytes)?;
        Ok(state.connection.wants_write())
    }

    /// Whether the two ends have not agreed on keys yet.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.0.lock().connection.is_handshaking()
    }

    /// Appends to `out` what is to go over the socket: first whatever the session itself has to
    /// say, then `text`. It has to go there before anything that is sealed later.
    pub fn seal(&self, text: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut state = self.0.lock();
        let mut rest = text;
        while !rest.is_empty() {
            match state.connection.writer().write(rest)? {
                0 => return Err(io::ErrorKind::BrokenPipe.into()),
                count => rest = &rest[count..],
            }
        }
        state.drain(out)
    }

    /// Appends what tells the peer that nothing more will be sealed.
    pub fn close(&self, out: &mut Vec<u8>) {
        let mut state = self.0.lock();
        state.connection.send_close_notify();
        // To a vector nothing fails.
        let _ = state.drain(out);
    }
}

impl ChannelState {
    fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.connection.read_tls(&mut bytes) {
                // After the peer's close_notify the rest is of no meaning.
                Ok(0) => return Ok(()),
                Ok(_) => {
                    self.connection.process_new_packets().map_err(broken)?;
                }
                // There is no room until somebody takes the text.
                Err(_) if !self.unread_is_empty() => {
                    self.unfed.extend_from_slice(bytes);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn unread_is_empty(&mut self) -> bool {
        use std::io::BufRead;
        let mut reader = self.connection.reader();
        reader.fill_buf().map_or(true, <[u8]>::is_empty)
    }

    fn drain(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(out)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys have no place in a log.
        f.write_str("Channel")
    }
}

/// What broke the protocol, for the log or for people.
fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
