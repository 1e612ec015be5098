//! Where a session waits on purpose: over its rate of messages, and for room for a long line.

use std::io;
use std::time::Duration;

use crate::guard::memory_budget::Share;
use crate::guard::token_bucket::Pace;
use crate::ops::Session;
use crate::protocol::{Refusal, Request};

/// Whether the answer to a request may take long, behind a hash or a brake: what was earned before
/// it is not to wait for it.
pub(crate) fn may_take_long(request: &Request<'_>) -> bool {
    request.has_password()
}

/// Rests until the connection may send messages again.
pub(crate) fn rest(session: &Session, pace: &mut Pace, pause: Duration) {
    let wire = &session.wire;
    session.context.complaints.rate.warn(format_args!(
        "connection {} from {} is read more slowly: it sends more messages than --rate allows",
        wire.id(),
        wire.peer()
    ));
    // However it ends, the session sees that by itself.
    wire.rest(pause);
    pace.fill();
}

/// Waits until there is room for more of a long line.
///
/// # Errors
/// When the connection or the server has ended.
pub(crate) fn wait_for_room(
    session: &Session,
    share: &mut Share,
    buffered: usize,
    chunk: &[u8],
    limit: usize,
) -> io::Result<()> {
    let wire = &session.wire;
    session.context.complaints.inflight.warn(format_args!(
        "connection {} from {} waits with a long line: --max-inflight is used up",
        wire.id(),
        wire.peer()
    ));
    share
        .take(buffered, chunk, limit, || wire.is_gone())
        .map_err(|_| io::Error::other("it ended while a long line waited for room"))
}

/// Says that a line was longer than it may be.
pub(crate) fn note_long_line(session: &Session) {
    let wire = &session.wire;
    let limit = match session.login {
        Some(_) => " (--max-media)",
        None => "",
    };
    session.context.complaints.lines.warn(format_args!(
        "connection {} from {} sent a line that is too long{limit}",
        wire.id(),
        wire.peer()
    ));
}

/// Says that a connection is ended because it began as a proxy's does.
pub(crate) fn note_header(session: &Session) {
    let wire = &session.wire;
    session.context.complaints.proxies.warn(format_args!(
        "{} was disconnected: it began with a PROXY header, and is not one of --proxy-from",
        wire.peer()
    ));
}

/// Says that a connection is ended for what it began with.
pub(crate) fn note_foreign(session: &Session, why: &str) {
    let wire = &session.wire;
    session.context.complaints.foreign.warn(format_args!(
        "connection {} from {} was ended, and nothing of it carried out: {why}",
        wire.id(),
        wire.peer()
    ));
}

/// Says why a line was refused: each one at level debug, otherwise one now and then. A reason
/// repeats nothing of the line.
pub(crate) fn note_refusal(session: &Session, refusal: &Refusal) {
    let Some(reason) = refusal.reason() else {
        return;
    };
    let (wire, complaints) = (&session.wire, &session.context.complaints);
    if log::log_enabled!(log::Level::Debug) {
        log::debug!("connection {}: {reason}", wire.id());
    } else {
        complaints.refusals.info(format_args!(
            "connection {} from {}: refused: {reason}",
            wire.id(),
            wire.peer()
        ));
    }
    match refusal {
        Refusal::TooLong(_) => complaints.values.warn(format_args!(
            "connection {} from {}: {reason} (--max-media for Media, 8 KiB for a Message)",
            wire.id(),
            wire.peer()
        )),
        Refusal::NoMemory => complaints.memory.warn(format_args!(
            "connection {} from {}: there is no memory for what it sent; it was refused",
            wire.id(),
            wire.peer()
        )),
        _ => {}
    }
}
