//! What the kernel knows of a TCP connection: `net::connection` asks.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// `TCP_RTO_MAX_MS` of linux/tcp.h (since Linux 6.15), which libc does not name yet.
const TCP_RTO_MAX_MS: libc::c_int = 44;

/// Flags of a `send` that takes what fits, and raises no signal when the peer is gone.
pub(crate) const DO_NOT_WAIT: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// What the kernel knows of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerInfo {
    /// Retransmissions and probes (keep-alive or zero-window) since the peer was last heard. One
    /// may just be on its way; from two on the peer has missed one.
    pub(crate) unanswered: u32,
    /// Since anything, data or acknowledgement, was last heard from the peer.
    pub(crate) silent: Duration,
}

/// Bytes written to a socket that the peer's TCP has not acknowledged yet (`SIOCOUTQ`).
///
/// It still answers after a reset, a time-out and a half-close.
pub(crate) fn unacknowledged(stream: &TcpStream) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int through the pointer, which
    // lives through the call; the descriptor is open as long as `stream` is borrowed.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Asks the kernel about a peer (`TCP_INFO`).
pub(crate) fn peer_info(stream: &TcpStream) -> io::Result<PeerInfo> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which is that large, and
    // whatever it leaves out stays zero, a valid value for each of the struct's integers.
    let info = unsafe {
        let result = libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        );
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        info.assume_init()
    };
    Ok(PeerInfo {
        unanswered: u32::from(info.tcpi_retransmits) + u32::from(info.tcpi_probes),
        silent: Duration::from_millis(info.tcpi_last_ack_recv.min(info.tcpi_last_data_recv).into()),
    })
}

/// Whether the peer has closed its side or reset the connection, without reading anything.
pub(crate) fn has_hung_up(stream: &TcpStream) -> bool {
    await_end(stream, true, Duration::ZERO) != Standing::Open
}

/// Whether the connection is shut in both directions, so that no answer can arrive any more.
pub(crate) fn is_gone(stream: &TcpStream) -> bool {
    await_end(stream, false, Duration::ZERO) == Standing::Gone
}

/// How a connection stands, see [`await_end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Open in both directions.
    Open,
    /// One side has said that it will send nothing more: the peer, or we by shutting our reading.
    HalfClosed,
    /// No answer can arrive any more.
    Gone,
}

/// Waits until the connection is gone, `patience` at most; with `half` also until one side has said
/// that it will send nothing more. Reads nothing. May return early.
pub(crate) fn await_end(stream: &TcpStream, half: bool, patience: Duration) -> Standing {
    let events = poll(stream, if half { libc::POLLRDHUP } else { 0 }, patience);
    if events & (libc::POLLHUP | libc::POLLERR) != 0 {
        Standing::Gone
    } else if events & libc::POLLRDHUP != 0 {
        Standing::HalfClosed
    } else {
        Standing::Open
    }
}

/// Whether the connection has failed: reset, or given up by TCP. Not so after a shutdown.
pub(crate) fn has_failed(stream: &TcpStream) -> bool {
    poll(stream, 0, Duration::ZERO) & libc::POLLERR != 0
}

/// What is true of a socket, of `events` and of hang-up and error, at this moment or within
/// `patience`.
fn poll(stream: &TcpStream, events: libc::c_short, patience: Duration) -> libc::c_short {
    // Rounded up, so that a wait of less than a millisecond does not spin.
    let milliseconds = patience.as_micros().div_ceil(1000);
    let milliseconds = libc::c_int::try_from(milliseconds).unwrap_or(libc::c_int::MAX);
    let mut poll = libc::pollfd {
        fd: stream.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: one pollfd that lives through the call, and a time-out that is not negative.
    let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    if ready > 0 { poll.revents } else { 0 }
}

/// Keeps the pause between two zero-window probes or retransmissions below `limit`, so that a peer
/// that dies with a closed window is noticed within a minute. Kernels before 6.15 refuse.
pub(crate) fn limit_retransmission_pause(socket: &impl AsRawFd, limit: Duration) -> io::Result<()> {
    let milliseconds = libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel reads one int through the pointer, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_RTO_MAX_MS,
            (&raw const milliseconds).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
