//! One client: reads lines, has them carried out, writes the replies.
//!
//! All complete lines that are in the buffer are served together: runs of messages become one job
//! of the store, and their replies leave in one write.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex};

use super::Server;
use crate::delivery::peer::Peer;
use crate::guard::memory_budget::Share;
use crate::guard::token_bucket::TokenBucket;
use crate::ids::ChatId;
use crate::net::connection::Connection;
use crate::net::input::{Filled, Input};
use crate::net::proxy;
use crate::ops;
use crate::ops::message::Batch;
use crate::protocol::line::PLAIN_LIMIT;
use crate::protocol::{Event, Limits, LineDecoder, Refusal, Reply, Request, table};
use crate::server::registry::Registered;
use crate::sync::lock;
use crate::sys;
use answering::{carry_out, flush, foreign, refuse, send_batch};

mod answering;
mod ending;
mod holds;

/// Replies gathered before they are written.
const REPLIES: usize = 16 << 10;

/// Serves a connection until it ends. `registered` is dropped last of all.
pub(crate) fn serve(server: &Arc<Server>, connection: Arc<Connection>, registered: Registered) {
    let context = Arc::clone(&server.context);
    // A proxy's header has taken its part of the time already.
    if connection.time_left().is_none() {
        connection.set_deadline(Some(context.login_grace));
    }
    Box::new(Session {
        server: Arc::clone(server),
        input: Input::new(&connection),
        decoder: LineDecoder::wary(),
        batch: Batch::default(),
        out: Vec::new(),
        ends_early: false,
        worn: Worn::Fresh,
        is_new: true,
        pace: TokenBucket::new(server.rate),
        share: server.budget.share(connection.id()),
        ops: ops::Session {
            context,
            peer: Peer::new(connection),
            login: None,
            will_confirm: false,
        },
        in_order: false,
        _registered: registered,
    })
    .go_on();
}

struct Session {
    server: Arc<Server>,
    input: Input,
    decoder: LineDecoder,
    batch: Batch,
    /// Replies that are not written yet.
    out: Vec<u8>,
    /// The connection ends before its input does.
    ends_early: bool,
    worn: Worn,
    /// Nothing but empty lines has come.
    is_new: bool,
    pace: TokenBucket,
    share: Share,
    ops: ops::Session,
    /// The peer has ended its input behind a whole line.
    in_order: bool,
    _registered: Registered,
}

/// What a thread has been used for. SQL leaves up to 16 KiB on a thread's stack and 10 KiB in the
/// allocator's cache for it, which only the thread's end gives back; so a session that goes idle
/// moves to a fresh thread, which costs about 0.1 ms.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Worn {
    Fresh,
    /// It should be left when nothing comes for a while.
    Used,
    /// It should be left now: most logins are followed by a long time of nothing.
    LeaveNow,
}

/// Why [`Session::run`] returned.
enum Turn {
    /// The session continues on a fresh thread.
    Move,
    /// The connection ends in order, for this reason.
    End(&'static str),
}

impl Session {
    /// Runs the session on this thread, until it ends or moves to another.
    fn go_on(mut self: Box<Self>) {
        sys::release_stack();
        loop {
            let end = match self.run() {
                Ok(Turn::Move) => match self.move_on() {
                    None => return,
                    Some(still_here) => {
                        self = still_here;
                        continue;
                    }
                },
                Ok(Turn::End(why)) => why.to_owned(),
                Err(error) => error.to_string(),
            };
            let connection = self.ops.peer.connection();
            let why = connection.why_aborted().map_or(end, str::to_owned);
            log::debug!(
                "connection {} from {} ended: {why}",
                connection.id(),
                connection.peer()
            );
            return;
        }
    }

    /// Hands the session to a fresh thread; gives it back when there is none to be had.
    fn move_on(mut self: Box<Self>) -> Option<Box<Session>> {
        self.worn = Worn::Fresh;
        let threads = Arc::clone(&self.ops.context.threads);
        let name = format!("reader-{}", self.ops.peer.connection().id());
        let slot = Arc::new(Mutex::new(Some(self)));
        let taken = Arc::clone(&slot);
        let moved = threads.spawn(name, move || {
            let session = lock(&taken).take();
            if let Some(session) = session {
                session.go_on();
            }
        });
        match moved {
            Ok(()) => None,
            Err(_) => lock(&slot).take(),
        }
    }
}

/// Whatever ends a session, also a panic, frees its name.
impl Drop for Session {
    fn drop(&mut self) {
        self.end_login();
    }
}

/// What a line turned out to be, with nothing borrowed from the buffer.
enum Next {
    /// The buffer holds no further complete line.
    More,
    Carried(io::Result<()>),
    /// Nothing behind it counts, for this reason.
    End(&'static str),
}

impl Session {
    /// Reads and serves until the end of input, or until the thread should be left.
    fn run(&mut self) -> io::Result<Turn> {
        loop {
            if self.worn == Worn::LeaveNow && self.input.buffered().is_empty() {
                return Ok(Turn::Move);
            }
            match self.input.fill()? {
                Filled::Some => self.pace.fill(),
                Filled::End => {
                    self.in_order = self.decoder.buffered() == 0
                        && self.ops.peer.connection().why_aborted().is_none()
                        && !self.server.is_stopping();
                    if self.in_order {
                        self.await_backlog();
                    }
                    return Ok(Turn::End("closed by the peer"));
                }
                Filled::Quiet => {
                    self.decoder.release();
                    self.batch = Batch::default();
                    self.out = Vec::new();
                    if self.worn == Worn::Used {
                        return Ok(Turn::Move);
                    }
                    continue;
                }
            }
            loop {
                if self.server.is_stopping() {
                    self.flush()?;
                    return Ok(Turn::End("the server is ending"));
                }
                self.hold_back()?;
                match self.next_line() {
                    Next::Carried(result) => result?,
                    Next::More => break,
                    Next::End(why) => {
                        self.ends_early = true;
                        self.flush()?;
                        return Ok(Turn::End(why));
                    }
                }
            }
            self.send_batch();
            self.flush()?;
        }
    }

    /// Waits where `--rate` or `--max-inflight` asks for it, with nothing earned kept back.
    #[inline]
    fn hold_back(&mut self) -> io::Result<()> {
        if self.pace.is_spent() {
            let pause = self.pace.rest();
            if !pause.is_zero() {
                self.send_batch();
                self.flush()?;
                holds::rest(&self.ops, &mut self.pace, pause);
            }
        }
        let (buffered, chunk) = (self.decoder.buffered(), self.input.buffered());
        if self.share.is_concerned(buffered, chunk) && self.ops.login.is_some() {
            let limit = self.server.limits.line();
            if !self.share.try_take(buffered, chunk, limit) {
                self.send_batch();
                self.flush()?;
                let chunk = self.input.buffered();
                holds::wait_for_room(&self.ops, &mut self.share, buffered, chunk, limit)?;
            }
        }
        Ok(())
    }

    /// Takes one line out of the buffer and carries it out.
    fn next_line(&mut self) -> Next {
        if self.input.buffered().is_empty() {
            return Next::More;
        }
        if let Some(login) = &self.ops.login
            && login.outbox.has_ended()
        {
            // The operator has ended the login: from this line on it is a guest's.
            self.send_batch();
            self.ops.login = None;
            let grace = self.ops.context.login_grace;
            self.ops.peer.connection().set_deadline(Some(grace));
        }
        let chunk = self.input.buffered();
        let limits = self.server.limits;
        let limit = match self.ops.login {
            Some(_) => limits.line(),
            None => PLAIN_LIMIT,
        };
        let step = self.decoder.step(chunk, limit);
        let used = step.used;
        if self.ops.login.is_none() {
            self.pace.spend_strangely(used);
        }
        // Also if there is no line yet.
        let mut blank = true;
        if let Some(Event::Line(line)) = &step.event {
            self.share.received();
            blank = line.is_empty();
        }
        let mut help = false;
        // What may have been a password is wiped as soon as it has been dealt with; messages are
        // not, since they are on disk anyway.
        let mut secret = self.ops.login.is_none();
        let result = match step.event {
            None => Ok(()),
            Some(Event::Answer(answer)) => {
                send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
                self.out.extend_from_slice(answer.bytes());
                Ok(())
            }
            Some(Event::EndOfInput) => {
                send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
                return Next::End("closed by the peer, by telnet's EOF");
            }
            Some(Event::Foreign(protocol)) => {
                return Next::End(foreign(&self.ops, &self.server, &mut self.out, protocol));
            }
            Some(Event::TooLong) => {
                holds::note_long_line(&self.ops);
                self.pace.spend(1);
                send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
                let why = match self.decoder.lacks_line_ends() {
                    true => "the line is too long; lines end with LF, CR LF or CR NUL",
                    false => "the line is too long",
                };
                refuse(
                    &self.ops,
                    &self.server,
                    &mut self.out,
                    &Refusal::Invalid(Cow::Borrowed(why)),
                );
                Ok(())
            }
            Some(Event::NoMemory) => {
                self.pace.spend(1);
                send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
                refuse(&self.ops, &self.server, &mut self.out, &Refusal::NoMemory);
                Ok(())
            }
            Some(Event::Line(line)) if self.is_new && proxy::is_line_of_header(line) => {
                // Who is no proxy of ours must not choose the address that counts; and who is one
                // has said it already.
                holds::note_header(&self.ops);
                return Next::End("it began with a PROXY header that is not wanted");
            }
            Some(Event::Line(line)) => match paid(&mut self.pace, line, &limits) {
                Ok(Request::MessageSend {
                    chat,
                    message,
                    media: None,
                }) if self.ops.login.is_some() => {
                    if self.batch.is_full() {
                        send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
                    }
                    // Whoever sends may lead a transaction.
                    if self.worn == Worn::Fresh {
                        self.worn = Worn::Used;
                    }
                    if self.batch.push(ChatId::new(chat), &message).is_err() {
                        send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
                        refuse(&self.ops, &self.server, &mut self.out, &Refusal::NoMemory);
                    }
                    Ok(())
                }
                Ok(mut request) => {
                    secret |= request.has_password();
                    send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
                    self.worn = match request {
                        Request::Login { .. } => Worn::LeaveNow,
                        Request::Ping { .. } => self.worn,
                        _ if self.worn == Worn::Fresh => Worn::Used,
                        _ => self.worn,
                    };
                    let result = carry_out(&mut self.ops, &self.server, &mut self.out, &request);
                    request.wipe();
                    result
                }
                Err(refusal) => {
                    secret = true;
                    send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
                    help = self.server.explain && line.trim_ascii().eq_ignore_ascii_case(b"help");
                    if !help {
                        refuse(&self.ops, &self.server, &mut self.out, &refusal);
                    }
                    Ok(())
                }
            },
        };
        self.is_new &= blank;
        if self.ops.login.is_none() {
            self.ops
                .peer
                .connection()
                .set_unended(self.decoder.lacks_line_ends());
        }
        let gathered = self.decoder.buffered();
        if secret && gathered == 0 {
            self.decoder.release();
        }
        let gathering = 0 < gathered && gathered <= PLAIN_LIMIT;
        self.input.consume(used, secret || gathering);
        if self.share.is_held() && self.decoder.buffered() == 0 {
            self.decoder.release();
            self.share.give_back();
        }
        if help {
            for line in table::help_lines() {
                Reply::Unknown {
                    reason: Some(line.into()),
                }
                .format(&mut self.out);
            }
        }
        let flushed = if self.out.len() > REPLIES {
            self.flush()
        } else {
            Ok(())
        };
        Next::Carried(result.and(flushed))
    }

    fn send_batch(&mut self) {
        send_batch(&self.ops, &self.server, &mut self.batch, &mut self.out);
    }

    fn flush(&mut self) -> io::Result<()> {
        flush(self.ops.peer.connection(), &mut self.out)
    }
}

/// Reads a line, and takes what it costs from the bucket: a refused one counts like a message.
fn paid<'a>(
    bucket: &mut TokenBucket,
    line: &'a [u8],
    limits: &Limits,
) -> Result<Request<'a>, Refusal> {
    let request = Request::parse(line, limits);
    bucket.spend(request.as_ref().map_or(1, |request| request.row().cost()));
    request
}
