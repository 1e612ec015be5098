//! Writing under the lock of a [`Connection`], and knowing what of it has arrived.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{Connection, Transport};
use crate::ids::{LoginNumber, MessageId, Position, UserId};
use crate::sync::timed::MutexGuard;
use crate::sys;
use crate::sys::Standing;
#[cfg(feature = "tls")]
use crate::tls;

/// Marks kept before the kernel is asked what has arrived; a mark is 40 bytes.
const MARKS: usize = 64;

/// What has been written, and what of it is not known to have arrived.
#[derive(Default)]
pub(crate) struct Out {
    /// Bytes that the kernel took, as they go over the network.
    written: u64,
    /// Of the same kind: what the kernel did not take when it was asked not to wait; it goes out before all else.
    pending: Vec<u8>,
    marks: VecDeque<Mark>,
    /// Who is told what has arrived; there since the first login, before the first mark.
    arrivals: Option<Box<dyn Arrivals>>,
}

/// Who is told what has arrived at a peer.
pub(crate) trait Arrivals: Send + Sync {
    /// `user` has received in `login` everything up to `position`. Called under the connection's
    /// lock.
    fn arrived(&self, user: UserId, login: LoginNumber, position: Position);
}

/// When the bytes up to `end` have arrived, `user` has received in `login` everything up to
/// `position`.
struct Mark {
    end: u64,
    user: UserId,
    login: LoginNumber,
    position: Position,
}

/// The right to write to a [`Connection`].
pub(crate) struct WriteGuard<'w> {
    pub(crate) connection: &'w Connection,
    pub(crate) out: MutexGuard<'w, Out>,
}

impl WriteGuard<'_> {
    /// Writes all of `text`; waits as long as a living peer does not read.
    pub(crate) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match &self.connection.transport {
            Transport::Plain => self.send(text),
            #[cfg(feature = "tls")]
            Transport::Tls(channel) => {
                let mut sealed = Vec::new();
                // At least once, for what the session itself has to say.
                let (first, rest) = text.split_at(text.len().min(tls::PIECE));
                for piece in std::iter::once(first).chain(rest.chunks(tls::PIECE)) {
                    sealed.clear();
                    channel.seal(piece, &mut sealed)?;
                    self.send(&sealed)?;
                }
                Ok(())
            }
        }
    }

    /// Writes what the kernel takes without waiting. False when something is left: the caller sees
    /// to it that somebody who may wait calls [`WriteGuard::write`] soon.
    pub(crate) fn try_write(&mut self, text: &[u8]) -> io::Result<bool> {
        match &self.connection.transport {
            Transport::Plain => self.try_send(text),
            #[cfg(feature = "tls")]
            Transport::Tls(channel) => {
                let mut sealed = Vec::new();
                channel.seal(text, &mut sealed)?;
                self.try_send(&sealed)
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.out.pending.is_empty() {
            let pending = std::mem::take(&mut self.out.pending);
            self.send_all(&pending)?;
        }
        self.send_all(bytes)
    }

    fn send_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match (&self.connection.stream).write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    // Counted piece by piece, so that what went out before an error counts too.
                    self.out.written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn try_send(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        let socket = SockRef::from(&self.connection.stream);
        while self.out.pending.is_empty() && !bytes.is_empty() {
            match socket.send_with_flags(bytes, sys::DO_NOT_WAIT) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.out.written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.out.pending.extend_from_slice(bytes);
        Ok(self.out.pending.is_empty())
    }

    /// Whether the kernel has not taken all yet.
    pub(crate) fn has_pending(&self) -> bool {
        !self.out.pending.is_empty()
    }

    /// Whether it is not known yet of something written that it has arrived.
    pub(crate) fn has_marks(&self) -> bool {
        !self.out.marks.is_empty()
    }

    /// From now on `arrivals` is told what has arrived.
    pub(crate) fn report_to(&mut self, arrivals: Box<dyn Arrivals>) {
        self.out.arrivals = Some(arrivals);
    }

    /// When all that was written so far has arrived, `user` has received in `login` up to
    /// `position`.
    pub(crate) fn mark(&mut self, user: UserId, login: LoginNumber, position: Position) {
        let end = self.out.written + self.out.pending.len() as u64;
        self.out.marks.push_back(Mark {
            end,
            user,
            login,
            position,
        });
        if self.out.marks.len() > MARKS {
            self.collect_acknowledgements();
            if self.out.marks.len() > MARKS {
                // Many small pushes at once: the newest of them speaks for all.
                self.thin_out();
            }
        }
    }

    /// Joins each two neighbouring marks of one login: known a little later, but nothing is lost.
    fn thin_out(&mut self) {
        let mut marks = std::mem::take(&mut self.out.marks).into_iter().peekable();
        while let Some(mut mark) = marks.next() {
            if let Some(next) = marks.next_if(|next| next.login == mark.login) {
                mark.end = next.end;
                mark.position.raise(next.position);
            }
            self.out.marks.push_back(mark);
        }
    }

    /// From now on only `135` moves `user`'s position on this connection, not what has arrived.
    pub(crate) fn count_explicitly(&mut self, user: UserId) {
        for mark in &mut self.out.marks {
            if mark.user == user {
                mark.position.message = MessageId::NONE;
            }
        }
    }

    /// Waits, up to `patience`, until what was marked has arrived.
    pub(crate) fn await_arrival(&mut self, patience: Duration) {
        // No event tells of an acknowledgement, so the kernel is asked; one tells of the end.
        const PAUSE: Duration = Duration::from_millis(2);
        let end = Instant::now() + patience;
        while self.collect_acknowledgements() && Instant::now() < end {
            if sys::await_end(&self.connection.stream, false, PAUSE) == Standing::Gone {
                // The last that it was told of may be newer than the look above.
                self.collect_acknowledgements();
                return;
            }
        }
    }

    /// Reports what has arrived by now; returns whether anything marked is still on its way.
    pub(crate) fn collect_acknowledgements(&mut self) -> bool {
        let Ok(waiting) = sys::unacknowledged(&self.connection.stream) else {
            return false;
        };
        let out = &mut *self.out;
        let arrived = out.written.saturating_sub(waiting);
        while let Some(mark) = out.marks.pop_front_if(|mark| mark.end <= arrived) {
            if let Some(arrivals) = &out.arrivals {
                arrivals.arrived(mark.user, mark.login, mark.position);
            }
        }
        !out.marks.is_empty()
    }

    /// Waits, up to `patience`, until all that was written has arrived. Input is read and dropped
    /// meanwhile: closing with unread input would reset the connection and destroy what is on its
    /// way out.
    pub(crate) fn linger(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut pause = Duration::from_millis(1);
        let stream = &self.connection.stream;
        let mut scrap = [0; 4096];
        // No event tells of an acknowledgement, so the kernel is asked, ever less often. Waiting in
        // poll(2) instead would be no waiting: once both sides have ended, it returns at once.
        while stream.set_nonblocking(true).is_ok() {
            while (&mut &*stream)
                .read(&mut scrap)
                .is_ok_and(|count| count > 0)
                && Instant::now() < end
            {}
            if !sys::unacknowledged(stream).is_ok_and(|bytes| bytes > 0)
                || sys::has_failed(stream)
                || Instant::now() >= end
            {
                break;
            }
            crate::sync::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        self.collect_acknowledgements();
    }

    /// Says that nothing more will be written; also frees a thread that is blocked in a write.
    pub(crate) fn finish(&mut self) {
        #[cfg(feature = "tls")]
        if let Transport::Tls(channel) = &self.connection.transport {
            let mut sealed = Vec::new();
            channel.close(&mut sealed);
            // A peer that does not read learns it from TCP alone.
            let _ = self.try_send(&sealed);
        }
        if self.connection.stream.shutdown(Shutdown::Write).is_ok() {
            // What did not leave before it never will.
            let written = self.out.written;
            self.out.marks.retain(|mark| mark.end <= written);
            // The FIN takes a number of its own, which the kernel counts as not acknowledged.
            self.out.written += 1;
        }
    }
}
