//! Where a session waits on purpose: over its rate of messages, and for room for a long line.

use std::io;
use std::time::Duration;

use crate::guard::memory_budget::Share;
use crate::guard::token_bucket::TokenBucket;
use crate::ops::Session;
use crate::protocol::{Refusal, Request};

/// Whether the answer to a request may take long, behind a hash or the login throttle: pending
/// replies are flushed before it.
pub(crate) fn may_take_long(request: &Request<'_>) -> bool {
    request.has_password()
}

/// Rests until the connection may send messages again.
pub(crate) fn rest(session: &Session, bucket: &mut TokenBucket, pause: Duration) {
    let connection = session.peer.connection();
    session.context.log_limits.rate.warn(format_args!(
        "connection {} from {} is read more slowly: it sends more messages than --rate allows",
        connection.id(),
        connection.peer()
    ));
    // However it ends, the session sees that by itself.
    connection.rest(pause);
    bucket.fill();
}

/// Waits until there is room for more of a long line.
pub(crate) fn wait_for_room(
    session: &Session,
    share: &mut Share,
    buffered: usize,
    chunk: &[u8],
    limit: usize,
) -> io::Result<()> {
    let connection = session.peer.connection();
    session.context.log_limits.inflight.warn(format_args!(
        "connection {} from {} waits with a long line: --max-inflight is used up",
        connection.id(),
        connection.peer()
    ));
    share
        .take(buffered, chunk, limit, || connection.is_gone())
        .map_err(|_| io::Error::other("it ended while a long line waited for room"))
}

/// Says that a line was longer than it may be.
pub(crate) fn note_long_line(session: &Session) {
    let connection = session.peer.connection();
    let limit = match session.login {
        Some(_) => " (--max-media)",
        None => "",
    };
    session.context.log_limits.lines.warn(format_args!(
        "connection {} from {} sent a line that is too long{limit}",
        connection.id(),
        connection.peer()
    ));
}

/// Says that a connection is ended because it began as a proxy's does.
pub(crate) fn note_header(session: &Session) {
    let connection = session.peer.connection();
    session.context.log_limits.proxies.warn(format_args!(
        "{} was disconnected: it began with a PROXY header, and is not one of --proxy-from",
        connection.peer()
    ));
}

/// Says that a connection is ended for what it began with.
pub(crate) fn note_foreign(session: &Session, why: &str) {
    let connection = session.peer.connection();
    session.context.log_limits.foreign.warn(format_args!(
        "connection {} from {} was ended, and nothing of it carried out: {why}",
        connection.id(),
        connection.peer()
    ));
}

/// Says why a line was refused: each one at level debug, otherwise one now and then. A reason
/// repeats nothing of the line.
pub(crate) fn note_refusal(session: &Session, refusal: &Refusal) {
    let Some(reason) = refusal.reason() else {
        return;
    };
    let (connection, log_limits) = (session.peer.connection(), &session.context.log_limits);
    if log::log_enabled!(log::Level::Debug) {
        log::debug!("connection {}: {reason}", connection.id());
    } else {
        log_limits.refusals.info(format_args!(
            "connection {} from {}: refused: {reason}",
            connection.id(),
            connection.peer()
        ));
    }
    match refusal {
        Refusal::TooLong(_) => log_limits.values.warn(format_args!(
            "connection {} from {}: {reason} (--max-media for Media, 8 KiB for a Message)",
            connection.id(),
            connection.peer()
        )),
        Refusal::NoMemory => log_limits.memory.warn(format_args!(
            "connection {} from {}: there is no memory for what it sent; it was refused",
            connection.id(),
            connection.peer()
        )),
        _ => {}
    }
}
