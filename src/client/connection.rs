//! A connection: a link with a thread that reads lines and one that writes them.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::client::link::{Handle, Link};
use crate::protocol::{Event, LineDecoder};

/// The longest line while no media is awaited: room for a Message of nothing but escapes, a name
/// and numbers, many times over.
const LINE_MAX: usize = 64 * 1024;

/// The longest line with media in it. The server's own limit is unknown; this is the highest that
/// one can be given.
const MEDIA_LINE_MAX: usize = 513 << 20;

/// Large packets are written in pieces, so that progress can be told.
const PIECE: usize = 64 * 1024;

/// What happens on a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Happened {
    /// A line of the server, without its line end.
    Line(Vec<u8>),
    /// The connection has ended, and why. Nothing comes behind it.
    Ended(String),
}

/// How far a connection is, for whoever tells about progress or looks for signs of life.
#[derive(Default)]
pub struct Progress {
    written: AtomicU64,
    received: AtomicU64,
    line: AtomicU64,
    awaits_media: AtomicBool,
}

/// An open connection. Ends with its drop.
pub struct Connection {
    outgoing: Option<Sender<Vec<u8>>>,
    handle: Arc<dyn Handle>,
    progress: Arc<Progress>,
    queued: u64,
    threads: Vec<JoinHandle<()>>,
}

impl Connection {
    /// Starts the threads. What happens is handed to `tell`, from both of them; `tell` may block,
    /// which slows the server down, and says whether anybody still listens.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn start(
        link: Link,
        tell: impl Fn(Happened) -> bool + Clone + Send + 'static,
    ) -> std::io::Result<Connection> {
        let (outgoing, pieces) = unbounded();
        let mut connection = Connection {
            outgoing: Some(outgoing),
            handle: link.handle,
            progress: Arc::default(),
            queued: 0,
            threads: Vec::new(),
        };
        let (writer, progress) = (link.writer, Arc::clone(&connection.progress));
        let handle = Arc::clone(&connection.handle);
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(body)
        };
        let thread = spawn(
            "sender",
            Box::new(move || {
                if !write(writer, &pieces, &progress) {
                    // The reader sees the end and says why.
                    handle.shut();
                }
            }),
        )?;
        connection.threads.push(thread);
        let (reader, progress) = (link.reader, Arc::clone(&connection.progress));
        let thread = spawn("receiver", Box::new(move || read(reader, &progress, &tell)))?;
        connection.threads.push(thread);
        Ok(connection)
    }

    /// Sends a line, with its line end, behind what was sent before. Does not wait.
    ///
    /// Returns the count of bytes after which the line has been written; see
    /// [`arrived`](Connection::arrived).
    pub fn send(&mut self, line: Vec<u8>) -> u64 {
        self.queued += line.len() as u64;
        if let Some(outgoing) = &self.outgoing {
            // Refused only when the writer has ended, and then the reader says so.
            let _ = outgoing.send(line);
        }
        self.queued
    }

    /// How many of the bytes sent are known to have reached the server's machine.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        let written = self.progress.written.load(Ordering::Relaxed);
        written.saturating_sub(self.handle.unacknowledged())
    }

    /// How many bytes have come from the server.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.progress.received.load(Ordering::Relaxed)
    }

    /// How many bytes have come of the line that is just coming in.
    #[must_use]
    pub fn line_so_far(&self) -> u64 {
        self.progress.line.load(Ordering::Relaxed)
    }

    /// Says whether a reply with media is awaited. Only then may a line be long.
    pub fn await_media(&self, awaited: bool) {
        self.progress.awaits_media.store(awaited, Ordering::Relaxed);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.outgoing = None;
        self.handle.shut();
        // Not joined: the reader may be waiting for room in the channel of whoever drops this. It
        // ends when that channel does, or when it has been drained.
        self.threads.clear();
    }
}

/// Writes until the channel closes; false if the stream fails before that.
fn write(
    mut writer: Box<dyn Write + Send>,
    lines: &Receiver<Vec<u8>>,
    progress: &Progress,
) -> bool {
    for line in lines {
        for piece in line.chunks(PIECE) {
            if writer.write_all(piece).is_err() {
                return false;
            }
            progress
                .written
                .fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        // Several lines may wait; a transport with a buffer sends them together.
        if lines.is_empty() && writer.flush().is_err() {
            return false;
        }
    }
    true
}

fn read(mut reader: Box<dyn Read + Send>, progress: &Progress, tell: &impl Fn(Happened) -> bool) {
    let mut decoder = LineDecoder::new();
    let mut buffer = vec![0; PIECE];
    let reason = 'reading: loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break "the server closed the connection".to_owned(),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => break error.to_string(),
        };
        progress.received.fetch_add(read as u64, Ordering::Relaxed);
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let awaits_media = progress.awaits_media.load(Ordering::Relaxed);
            let limit = if awaits_media {
                MEDIA_LINE_MAX
            } else {
                LINE_MAX
            };
            let step = decoder.step(rest, limit);
            match step.event {
                Some(Event::Line(line)) => {
                    if !tell(Happened::Line(line.to_vec())) {
                        return;
                    }
                }
                Some(Event::TooLong) => {
                    break 'reading "the server sent a line that is too long".to_owned();
                }
                Some(Event::NoMemory) => {
                    break 'reading "there is no memory for what the server sent".to_owned();
                }
                // Servers begin no negotiation and have no use for it, and whom one has reached is
                // seen by its lines.
                Some(Event::Answer(_) | Event::EndOfInput | Event::Foreign(_)) | None => {}
            }
            rest = &rest[step.used..];
        }
        progress
            .line
            .store(decoder.buffered() as u64, Ordering::Relaxed);
    };
    tell(Happened::Ended(reason));
}
