//! Carries out what a session's input turned out to be, and gathers the replies. The session
//! calls it with one event at a time. It knows nothing of the input, and holds no lock but that of
//! the connection while it writes.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::holds;
use crate::guard::log_limit::log_limited;
use crate::guard::token_bucket::TokenBucket;
use crate::ids::ChatId;
use crate::net::connection::Connection;
use crate::ops;
use crate::ops::message;
use crate::ops::message::Batch;
use crate::ops::{Answer, Context, Refused, Stream};
use crate::protocol::memory;
use crate::protocol::memory::NoMemory;
use crate::protocol::{Foreign, Refusal, Reply, Request, table};
use crate::server::Server;

/// Replies gathered before they are written.
const REPLIES: usize = 16 << 10;

/// How long a logout waits for the acknowledgement of what was pushed before it.
const LAST_PUSHES: Duration = Duration::from_millis(50);

/// All of a session but its input.
pub(super) struct Responder {
    pub(super) server: Arc<Server>,
    pub(super) ops: ops::Session,
    pub(super) bucket: TokenBucket,
    pub(super) worn: Worn,
    /// Messages that are not in the store yet.
    batch: Batch,
    /// Replies that are not written yet.
    out: Vec<u8>,
}

/// What a thread has been used for. SQL leaves up to 16 KiB on a thread's stack and 10 KiB in the
/// allocator's cache for it, which only the thread's end gives back; so a session that goes idle
/// moves to a fresh thread, which costs about 0.1 ms.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum Worn {
    Fresh,
    /// It should be left when nothing comes for a while.
    Used,
    /// It should be left now: most logins are followed by a long time of nothing.
    LeaveNow,
}

impl Responder {
    pub(super) fn new(server: &Arc<Server>, ops: ops::Session) -> Responder {
        Responder {
            server: Arc::clone(server),
            ops,
            bucket: TokenBucket::new(server.rate),
            worn: Worn::Fresh,
            batch: Batch::default(),
            out: Vec::new(),
        }
    }

    /// Carries out a line. Also tells whether it may have had a password, and is to be wiped.
    pub(super) fn serve(&mut self, line: &[u8]) -> (io::Result<()>, bool) {
        let request = Request::parse(line, &self.server.limits);
        // A refused line costs what a message does.
        let cost = request.as_ref().map_or(1, |request| request.row().cost());
        self.bucket.spend(cost);
        match request {
            Ok(Request::MessageSend {
                chat,
                message,
                media: None,
            }) if self.ops.login.is_some() => {
                self.gather(ChatId::new(chat), &message);
                (Ok(()), false)
            }
            Ok(mut request) => {
                let secret = request.has_password();
                self.send_batch();
                self.worn = match request {
                    Request::Login { .. } => Worn::LeaveNow,
                    Request::Ping { .. } => self.worn,
                    _ if self.worn == Worn::Fresh => Worn::Used,
                    _ => self.worn,
                };
                let result = self.carry_out(&request);
                request.wipe();
                (result, secret)
            }
            Err(refusal) => {
                self.send_batch();
                if self.server.explain && line.trim_ascii().eq_ignore_ascii_case(b"help") {
                    self.help();
                } else {
                    self.refuse(&refusal);
                }
                // It may be a mistyped login.
                (Ok(()), true)
            }
        }
    }

    /// Appends the decoder's answer to a telnet command.
    pub(super) fn answer_telnet(&mut self, answer: &[u8]) {
        self.send_batch();
        self.out.extend_from_slice(answer);
    }

    /// Refuses a line that is longer than it may be.
    pub(super) fn refuse_long_line(&mut self, has_only_cr: bool) {
        holds::note_long_line(&self.ops);
        self.refuse_unread(&Refusal::Invalid(Cow::Borrowed(match has_only_cr {
            true => "the line is too long; lines end with LF, CR LF or CR NUL",
            false => "the line is too long",
        })));
    }

    /// Refuses a line that could not be read as a whole.
    pub(super) fn refuse_unread(&mut self, refusal: &Refusal) {
        self.bucket.spend(1);
        self.send_batch();
        self.refuse(refusal);
    }

    /// Puts a message into the batch, to be answered with it.
    fn gather(&mut self, chat: ChatId, message: &str) {
        if self.batch.is_full() {
            self.send_batch();
        }
        // Whoever sends may lead a transaction.
        if self.worn == Worn::Fresh {
            self.worn = Worn::Used;
        }
        if self.batch.push(chat, message).is_err() {
            self.send_batch();
            self.refuse(&Refusal::NoMemory);
        }
    }

    /// Answers the messages gathered so far.
    pub(super) fn send_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let (session, server, out) = (&self.ops, &*self.server, &mut self.out);
        let Some(login) = &session.login else { return };
        let what = "115 MessageSend";
        let sent = message::send_batch(session, login, &mut self.batch, |result| match result {
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

    /// Writes the replies gathered so far.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        flush(self.ops.peer.connection(), &mut self.out)
    }

    /// Writes them if there are many.
    pub(super) fn flush_many(&mut self) -> io::Result<()> {
        if self.out.len() > REPLIES {
            return self.flush();
        }
        Ok(())
    }

    /// Answers and writes everything that is pending.
    pub(super) fn flush_all(&mut self) -> io::Result<()> {
        self.send_batch();
        self.flush()
    }

    /// Gives back the memory of buffers, of which none holds anything.
    pub(super) fn release(&mut self) {
        self.batch = Batch::default();
        self.out = Vec::new();
    }

    fn help(&mut self) {
        for line in table::help_lines() {
            Reply::Unknown {
                reason: Some(line.into()),
            }
            .format(&mut self.out);
        }
    }

    /// Carries one request out and appends, or writes, its reply.
    fn carry_out(&mut self, request: &Request<'_>) -> io::Result<()> {
        if holds::may_take_long(request) {
            self.flush()?;
        }
        let answer = match ops::handle(&mut self.ops, request) {
            Ok(answer) => answer,
            Err(why) => {
                let what = format!("{} {}", request.number(), request.name());
                refused(&self.ops, &self.server, &mut self.out, &what, &why);
                return Ok(());
            }
        };
        match answer {
            Answer::Reply(reply) => match memory::reserve(&mut self.out, reply.room()) {
                Ok(()) => reply.format(&mut self.out),
                Err(NoMemory) => self.refuse(&Refusal::NoMemory),
            },
            Answer::Stream(stream) => {
                let (session, server, out) = (&self.ops, &*self.server, &mut self.out);
                return write_stream(session, server, out, request, stream);
            }
            Answer::Enter(reply) => return self.enter(&reply),
            Answer::Leave(reply) => {
                reply.format(&mut self.out);
                leave(&mut self.ops, &mut self.out)?;
            }
        }
        Ok(())
    }

    /// Writes the reply to a login; then what has waited for it follows.
    fn enter(&mut self, reply: &Reply<'_>) -> io::Result<()> {
        let connection = self.ops.peer.connection();
        connection.set_deadline(None);
        // An operator may have ended the login since it began.
        let login = self.ops.login.as_ref();
        if login.is_some_and(|login| login.outbox.has_ended()) {
            connection.set_deadline(Some(self.server.context.login_grace));
        }
        reply.format(&mut self.out);
        flush(connection, &mut self.out)?;
        if let Some(login) = login {
            login.outbox.begin();
        }
        Ok(())
    }

    fn refuse(&mut self, refusal: &Refusal) {
        refuse(&self.ops, &self.server, &mut self.out, refusal);
    }

    /// Says that a connection is no client's, and gives the reason of its end. HTTP gets no answer:
    /// a page may be waiting for one.
    pub(super) fn foreign(&mut self, protocol: Foreign) -> &'static str {
        let why = match protocol {
            Foreign::Http => "it began like HTTP",
            Foreign::Tls => "it began with a TLS handshake where none is due",
        };
        holds::note_foreign(&self.ops, why);
        if protocol == Foreign::Tls {
            // By this, a client knows.
            let reason = self.server.explain;
            Reply::Invalid {
                reason: reason.then(|| "no TLS handshake is due here".into()),
            }
            .format(&mut self.out);
        }
        why
    }
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
fn refuse(session: &ops::Session, server: &Server, out: &mut Vec<u8>, refusal: &Refusal) {
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

fn flush(connection: &Connection, out: &mut Vec<u8>) -> io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let result = connection.lock().write(out);
    out.clear();
    result
}
