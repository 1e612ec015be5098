//! How a session has requests carried out, and what it writes of their answers.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use super::holds;
use crate::guard::log_limit::log_limited;
use crate::net::connection::Connection;
use crate::ops;
use crate::ops::message;
use crate::ops::message::Batch;
use crate::ops::{Answer, Context, Refused, Stream};
use crate::protocol::memory;
use crate::protocol::memory::NoMemory;
use crate::protocol::{Foreign, Refusal, Reply, Request};
use crate::server::Server;

/// How long a logout waits for the acknowledgement of what was pushed before it.
const LAST_PUSHES: Duration = Duration::from_millis(50);

/// Answers the messages gathered so far.
pub(crate) fn send_batch(
    session: &ops::Session,
    server: &Server,
    batch: &mut Batch,
    out: &mut Vec<u8>,
) {
    if batch.is_empty() {
        return;
    }
    let Some(login) = &session.login else { return };
    let what = "115 MessageSend";
    let sent = message::send_batch(session, login, batch, |result| match result {
        Ok(status) => Reply::MessageSendResponse { status }.format(out),
        Err(why) => refuse(session, server, out, &refusal(what, &why)),
    });
    if let Err((count, error)) = sent {
        // Logged once, not once a message: the log may be on the same full disk.
        let why = Refused::from(error);
        refused(session, server, out, what, &why);
        for _ in 1..count {
            refuse(session, server, out, &refusal(what, &why));
        }
    }
}

/// Carries one request out and appends, or writes, its reply.
pub(crate) fn carry_out(
    session: &mut ops::Session,
    server: &Server,
    out: &mut Vec<u8>,
    request: &Request<'_>,
) -> io::Result<()> {
    if holds::may_take_long(request) {
        flush(session.peer.connection(), out)?;
    }
    let answer = match ops::handle(session, request) {
        Ok(answer) => answer,
        Err(why) => {
            let what = format!("{} {}", request.number(), request.name());
            refused(session, server, out, &what, &why);
            return Ok(());
        }
    };
    match answer {
        Answer::Reply(reply) => match memory::reserve(out, reply.room()) {
            Ok(()) => reply.format(out),
            Err(NoMemory) => refuse(session, server, out, &Refusal::NoMemory),
        },
        Answer::Stream(stream) => return write_stream(session, server, out, request, stream),
        Answer::Enter(reply) => {
            session.peer.connection().set_deadline(None);
            // An operator may have ended the login since it began.
            if session
                .login
                .as_ref()
                .is_some_and(|login| login.outbox.has_ended())
            {
                session
                    .peer
                    .connection()
                    .set_deadline(Some(server.context.login_grace));
            }
            reply.format(out);
            flush(session.peer.connection(), out)?;
            if let Some(login) = &session.login {
                login.outbox.begin();
            }
        }
        Answer::Leave(reply) => {
            reply.format(out);
            leave(session, out)?;
        }
    }
    Ok(())
}

/// Ends the login and writes the reply that says so, with no push between or behind.
fn leave(session: &mut ops::Session, out: &mut Vec<u8>) -> io::Result<()> {
    let Context {
        hub, login_grace, ..
    } = &*session.context;
    let mut writing = session.peer.connection().lock();
    if let Some(login) = session.login.take() {
        login.outbox.close(&writing);
        // What is on its way would otherwise be sent again to a login that follows at once.
        writing.await_arrival(LAST_PUSHES);
        login.outbox.end_receipts(true);
        hub.leave(&login.outbox);
    }
    session.peer.connection().set_deadline(Some(*login_grace));
    let result = writing.write(out);
    out.clear();
    result
}

/// Writes a reply of several pieces without letting a push in between.
fn write_stream(
    session: &ops::Session,
    server: &Server,
    out: &mut Vec<u8>,
    request: &Request<'_>,
    mut stream: Box<dyn Stream>,
) -> io::Result<()> {
    // The first piece is made before anything is written: until then it can be refused.
    let mut piece = Vec::new();
    let mut more = match stream.next(&mut piece) {
        Ok(more) => more,
        Err(error) => {
            let what = format!("{} {}", request.number(), request.name());
            refused(session, server, out, &what, &Refused::Store(error));
            return Ok(());
        }
    };
    let mut writing = session.peer.connection().lock();
    writing.write(out)?;
    out.clear();
    while more {
        writing.write(&piece)?;
        piece.clear();
        more = stream.next(&mut piece).map_err(|error| {
            log_limited!(
                Error,
                "half a reply was written, its connection is ended: {error}"
            );
            session
                .peer
                .connection()
                .abort("the store failed within a reply");
            io::Error::other(error)
        })?;
    }
    Ok(())
}

/// Appends `210` or `211`, with the reason if the operator wants it told.
pub(crate) fn refuse(
    session: &ops::Session,
    server: &Server,
    out: &mut Vec<u8>,
    refusal: &Refusal,
) {
    holds::note_refusal(session, refusal);
    let reason = refusal
        .reason()
        .filter(|_| server.explain)
        .map(Cow::Borrowed);
    match refusal {
        Refusal::Blank => {}
        Refusal::Unknown(_) => Reply::Unknown { reason }.format(out),
        Refusal::Invalid(_) | Refusal::TooLong(_) | Refusal::NoMemory => {
            Reply::Invalid { reason }.format(out);
        }
    }
}

/// Says that a connection is no client's, and gives the reason of its end. HTTP gets no answer: a
/// page may be waiting for one.
pub(crate) fn foreign(
    session: &ops::Session,
    server: &Server,
    out: &mut Vec<u8>,
    protocol: Foreign,
) -> &'static str {
    let why = match protocol {
        Foreign::Http => "it began like HTTP",
        Foreign::Tls => "it began with a TLS handshake where none is due",
    };
    holds::note_foreign(session, why);
    if protocol == Foreign::Tls {
        // By this, a client knows.
        Reply::Invalid {
            reason: server
                .explain
                .then(|| "no TLS handshake is due here".into()),
        }
        .format(out);
    }
    why
}

/// Answers a request that could not be carried out.
fn refused(session: &ops::Session, server: &Server, out: &mut Vec<u8>, what: &str, why: &Refused) {
    if let Refused::Store(error) = why {
        log_limited!(
            Warn,
            "connection {}: {what} failed: {error}",
            session.peer.connection().id()
        );
    }
    refuse(session, server, out, &refusal(what, why));
}

/// `211` with the reason why `what` could not be carried out.
fn refusal(what: &str, why: &Refused) -> Refusal {
    if let Refused::NoMemory = why {
        return Refusal::NoMemory;
    }
    Refusal::Invalid(Cow::Owned(format!("{what}: {}", why.reason())))
}

pub(crate) fn flush(connection: &Connection, out: &mut Vec<u8>) -> io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let result = connection.lock().write(out);
    out.clear();
    result
}
