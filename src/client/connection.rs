//! A connection: a link with a thread that reads lines (`receiver`) and one that writes them
//! (`sender`). The engine holds it; the threads tell it what happens, and it reads their counts of
//! bytes without a lock.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::client::link::Link;
use crate::protocol::{Event, LineDecoder};

/// The longest line while no media is awaited: many times a Message of nothing but escapes.
const LINE_MAX: usize = 64 * 1024;

/// The longest line with media in it: the highest limit that a server can be given.
const MEDIA_LINE_MAX: usize = 513 << 20;

/// Large packets are written in pieces, so that progress can be told.
const PIECE: usize = 64 * 1024;

pub(crate) enum ConnectionEvent {
    Line(Vec<u8>),
    /// The connection has ended, and why. Nothing comes behind it.
    Ended(String),
}

/// How far a connection is, for whoever tells about progress or looks for signs of life.
#[derive(Default)]
pub(crate) struct ByteCounts {
    written: AtomicU64,
    received: AtomicU64,
    line: AtomicU64,
    awaits_media: AtomicBool,
}

/// An open connection. Ends with its drop.
pub(crate) struct ServerConnection {
    outgoing: Sender<Vec<u8>>,
    link: Arc<dyn Link>,
    progress: Arc<ByteCounts>,
    queued: u64,
    /// The last sign of life, and the counts of bytes (received, arrived) by which it is known.
    alive: (Instant, u64, u64),
}

impl ServerConnection {
    /// Starts the threads. What happens is handed to `tell`, from the one that reads; `tell` may
    /// block, which slows the server down, and says whether anybody still listens.
    pub(crate) fn start(
        link: Arc<dyn Link>,
        tell: impl Fn(ConnectionEvent) -> bool + Send + 'static,
    ) -> io::Result<ServerConnection> {
        let (outgoing, lines) = unbounded();
        let connection = ServerConnection {
            outgoing,
            link: Arc::clone(&link),
            progress: Arc::default(),
            queued: 0,
            alive: (Instant::now(), 0, 0),
        };
        let (writer, progress) = (Arc::clone(&link), Arc::clone(&connection.progress));
        let send = move || {
            if write(&*writer, &lines, &progress).is_err() {
                // The reader sees the end and says why.
                writer.shut();
            }
        };
        let progress = Arc::clone(&connection.progress);
        let receive = move || read(&*link, &progress, &tell);
        // Not joined: when the connection is dropped, the reader may be waiting for room in the
        // channel of whoever drops it. It ends when that channel does, or when it has been drained.
        thread::Builder::new()
            .name("sender".to_owned())
            .spawn(send)?;
        thread::Builder::new()
            .name("receiver".to_owned())
            .spawn(receive)?;
        Ok(connection)
    }

    /// Sends a line, with its line end, behind what was sent before. Does not wait.
    pub(crate) fn send(&mut self, line: Vec<u8>) {
        self.queued += line.len() as u64;
        // Refused only when the writer has ended, and then the reader says so.
        let _ = self.outgoing.send(line);
    }

    pub(crate) fn queued(&self) -> u64 {
        self.queued
    }

    /// How many of the bytes sent are known to have reached the server's machine.
    pub(crate) fn arrived(&self) -> u64 {
        let written = self.progress.written.load(Ordering::Relaxed);
        written.saturating_sub(self.link.unacknowledged())
    }

    /// How long nothing has come, and nothing of what was sent has arrived, as far as was looked.
    pub(crate) fn silence(&mut self, now: Instant) -> Duration {
        let received = self.progress.received.load(Ordering::Relaxed);
        let arrived = self.arrived();
        if (received, arrived) != (self.alive.1, self.alive.2) {
            self.alive = (now, received, arrived);
        }
        now.saturating_duration_since(self.alive.0)
    }

    /// Counts as a sign of life, where none can come.
    pub(crate) fn assume_alive(&mut self, now: Instant) {
        self.alive.0 = now;
    }

    pub(crate) fn line_so_far(&self) -> u64 {
        self.progress.line.load(Ordering::Relaxed)
    }

    pub(crate) fn await_media(&self, awaited: bool) {
        self.progress.awaits_media.store(awaited, Ordering::Relaxed);
    }
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        self.link.shut();
    }
}

fn write(link: &dyn Link, lines: &Receiver<Vec<u8>>, progress: &ByteCounts) -> io::Result<()> {
    for line in lines {
        for piece in line.chunks(PIECE) {
            link.write_all(piece)?;
            let length = piece.len() as u64;
            progress.written.fetch_add(length, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn read(link: &dyn Link, progress: &ByteCounts, tell: &impl Fn(ConnectionEvent) -> bool) {
    let mut decoder = LineDecoder::new();
    let mut buffer = vec![0; PIECE];
    let reason = 'reading: loop {
        let read = match link.read(&mut buffer) {
            Ok(0) => break "the server closed the connection".to_owned(),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
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
                    if !tell(ConnectionEvent::Line(line.to_vec())) {
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
    tell(ConnectionEvent::Ended(reason));
}
