//! One connection's two directions: reading, and writing under a lock that counts bytes.
//!
//! A message counts as delivered when the peer's TCP has acknowledged the byte it ends at:
//! bytes written less `SIOCOUTQ`. With TLS those are the bytes of its records, and a message ends
//! where the record ends that it ends in.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Socket, TcpKeepalive};

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::lock;
use crate::sync::timed::Mutex;
use crate::sys;
use crate::sys::Standing;
#[cfg(feature = "tls")]
use crate::tls::{Channel, Taken};
use write_guard::Out;
pub(crate) use write_guard::{Arrivals, WriteGuard};

mod write_guard;

/// What the kernel may queue for a peer that does not read. It doubles the number for its own
/// book-keeping; without a cap it queued 3 MB a connection, invisible in resident memory.
const SEND_BUFFER: usize = 128 << 10;

/// A peer that was not heard of for this long, with something unanswered, is dead.
const SILENT: Duration = Duration::from_secs(45);

/// Where no event can tell of the server's end, it is looked for so often.
const LOOK: Duration = Duration::from_millis(100);

/// How [`Connection::rest`] came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// The time is over.
    Over,
    /// No answer can arrive any more.
    Gone,
    /// The server is ending.
    Stopping,
}

/// A client's connection.
pub(crate) struct Connection {
    id: u64,
    peer: SocketAddr,
    stream: TcpStream,
    transport: Transport,
    out: Mutex<Out>,
    /// Milliseconds after `born` at which the sweep cuts the connection; 0 for never.
    deadline: AtomicU64,
    born: Instant,
    /// Reading was ended from our side, for the server is ending.
    stopped: AtomicBool,
    /// There is no way to the peer on which somebody could read along: it is on this machine.
    is_near: bool,
    /// What has been read holds a CR and no line end.
    unended: AtomicBool,
    /// Why the connection was aborted from our side, for the log.
    aborted: std::sync::Mutex<Option<&'static str>>,
}

/// Sets on a listening socket what each of its connections is to have: Linux hands all of these
/// options on when it accepts, which spares six calls a connection.
pub(crate) fn set_options(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    // A silent idle peer is found after 20 + 4 * 6 seconds.
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(Duration::from_secs(20))
            .with_interval(Duration::from_secs(6))
            .with_retries(4),
    )?;
    // Where the kernel is too old, a peer that dies with a closed window is found later.
    let _ = sys::limit_retransmission_pause(socket, Duration::from_secs(10));
    Ok(())
}

/// What lines travel in.
pub(crate) enum Transport {
    /// Nothing: as they are.
    Plain,
    /// The records of a TLS session.
    #[cfg(feature = "tls")]
    Tls(Box<Channel>),
}

impl Connection {
    /// Takes over an accepted connection, which has the [options](set_options) of its listener.
    pub(crate) fn new(
        id: u64,
        peer: SocketAddr,
        stream: TcpStream,
        transport: Transport,
    ) -> Connection {
        let is_near = peer.ip().is_loopback();
        Connection::forwarded(id, peer, is_near, stream, transport)
    }

    /// The same for a connection of which a proxy has said whose it is, and it is known whether it
    /// comes from this machine.
    pub(crate) fn forwarded(
        id: u64,
        peer: SocketAddr,
        is_near: bool,
        stream: TcpStream,
        transport: Transport,
    ) -> Connection {
        Connection {
            id,
            peer,
            stream,
            transport,
            out: Mutex::default(),
            deadline: AtomicU64::new(0),
            born: Instant::now(),
            stopped: AtomicBool::new(false),
            is_near,
            unended: AtomicBool::new(false),
            aborted: std::sync::Mutex::new(None),
        }
    }

    /// Numbers the connections of one run of the server.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The other end.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether nobody on the way can read along: by TLS, or because there is no way.
    pub(crate) fn is_private(&self) -> bool {
        match &self.transport {
            Transport::Plain => self.is_near,
            #[cfg(feature = "tls")]
            Transport::Tls(_) => true,
        }
    }

    /// Reads below any transport, what comes before it.
    pub(crate) fn read_below(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }

    /// The connection once more.
    pub(crate) fn stream_again(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// Takes the right to write. Whoever holds it writes whole replies or whole pushes.
    pub(crate) fn lock(&self) -> WriteGuard<'_> {
        WriteGuard {
            connection: self,
            out: self.out.lock(),
        }
    }

    /// Like [`Connection::lock`] when nobody else has it.
    pub(crate) fn try_lock(&self) -> Option<WriteGuard<'_>> {
        self.out.try_lock().map(|out| WriteGuard {
            connection: self,
            out,
        })
    }

    /// Like [`Connection::lock`], giving up after `patience`.
    pub(crate) fn lock_for(&self, patience: Duration) -> Option<WriteGuard<'_>> {
        self.out.try_lock_for(patience).map(|out| WriteGuard {
            connection: self,
            out,
        })
    }

    /// Collects acknowledgements, unless somebody is writing just now.
    pub(crate) fn collect_if_free(&self) {
        if let Some(mut writing) = self.try_lock()
            && writing.has_marks()
        {
            writing.collect_acknowledgements();
        }
    }

    /// Ends the connection at once, in both directions; wakes whoever reads or writes.
    pub(crate) fn abort(&self, why: &'static str) {
        lock(&self.aborted).get_or_insert(why);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Makes the reader see the end of input. A client that floods is still heard after this.
    pub(crate) fn stop_reading(&self) {
        self.stopped.store(true, Ordering::Release);
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    /// Waits for `pause` with nothing read and no lock held, less when no answer can arrive any
    /// more or the server is ending. A peer that only sends nothing more still waits for answers,
    /// and one that has closed looks just like it, so neither ends the rest.
    pub(crate) fn rest(&self, pause: Duration) -> Rest {
        let end = Instant::now() + pause;
        let mut half_closed = false;
        loop {
            if self.stopped.load(Ordering::Acquire) {
                return Rest::Stopping;
            }
            let mut left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Rest::Over;
            }
            if half_closed {
                // The end of the server would show as what is already there.
                left = left.min(LOOK);
            }
            match sys::await_end(&self.stream, !half_closed, left) {
                Standing::Gone => return Rest::Gone,
                Standing::HalfClosed => half_closed = true,
                Standing::Open => {}
            }
        }
    }

    /// Why we ended the connection, if we did.
    pub(crate) fn why_aborted(&self) -> Option<&'static str> {
        *lock(&self.aborted)
    }

    /// What is left until the deadline; None without one.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        match self.deadline.load(Ordering::Acquire) {
            0 => None,
            at => Some(Duration::from_millis(at).saturating_sub(self.born.elapsed())),
        }
    }

    /// The connection ends when `grace` has passed from now; None lifts the limit.
    pub(crate) fn set_deadline(&self, grace: Option<Duration>) {
        let at = grace.map_or(0, |grace| millis(self.born.elapsed() + grace).max(1));
        self.deadline.store(at, Ordering::Release);
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_overdue(&self) -> bool {
        match self.deadline.load(Ordering::Acquire) {
            0 => false,
            at => millis(self.born.elapsed()) >= at,
        }
    }

    /// Notes whether what has been read holds a CR and no line end.
    pub(crate) fn set_unended(&self, unended: bool) {
        self.unended.store(unended, Ordering::Relaxed);
    }

    /// Whether what has been read holds a CR and no line end.
    pub(crate) fn is_unended(&self) -> bool {
        self.unended.load(Ordering::Relaxed)
    }

    /// Whether the peer has been silent to probes or data for so long that it must be dead. A
    /// living peer that reads nothing answers zero-window probes and is none.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent_for(SILENT)
    }

    /// Like [`Connection::is_silent`] with a shorter measure, for when somebody wants the name.
    pub(crate) fn is_silent_for(&self, measure: Duration) -> bool {
        sys::peer_info(&self.stream).is_ok_and(|info| info.unanswered > 1 && info.silent > measure)
    }

    /// Whether the peer has closed or reset the connection, noticed by its session or not.
    pub(crate) fn has_hung_up(&self) -> bool {
        sys::has_hung_up(&self.stream)
    }

    /// Whether no answer can arrive any more.
    pub(crate) fn is_gone(&self) -> bool {
        sys::is_gone(&self.stream)
    }

    /// Sets how long a read waits; None for ever.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }
}

impl Read for &Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.transport {
            Transport::Plain => (&self.stream).read(buffer),
            #[cfg(feature = "tls")]
            Transport::Tls(channel) => self.read_records(channel, buffer),
        }
    }
}

#[cfg(feature = "tls")]
impl Connection {
    /// Reads text out of records. The handshake is made here too, by whoever reads first.
    fn read_records(&self, channel: &Channel, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let taken = channel.take(buffer).inspect_err(|_| self.tell_why(channel));
            match taken? {
                Taken::Text(count) => return Ok(count),
                Taken::End => return Ok(0),
                Taken::Nothing => {}
            }
            // No lock is held here. The records come into the room that the text will get.
            let count = (&self.stream).read(buffer)?;
            if count == 0 {
                // Not said in the session, so it may have been forged; but a line that lacks its
                // end is never carried out.
                return Ok(0);
            }
            let due = channel
                .feed(&buffer[..count])
                .inspect_err(|_| self.tell_why(channel))?;
            if due {
                if channel.is_handshaking() {
                    self.lock().write(&[])?;
                } else if let Some(mut writing) = self.try_lock() {
                    // What is not taken leaves with the next write, as it does when somebody is
                    // writing just now: none of it is urgent once the handshake is made.
                    writing.try_write(&[])?;
                }
            }
        }
    }

    /// Sends the alert that says what was wrong, if nobody is writing.
    fn tell_why(&self, channel: &Channel) {
        if let Some(mut writing) = self.try_lock() {
            let mut sealed = Vec::new();
            channel.close(&mut sealed);
            let _ = writing.try_send(&sealed);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
