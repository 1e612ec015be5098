//! One client: reads lines, has them carried out, writes the replies. The acceptor starts it on a
//! thread of its own, which holds no lock while it reads.
//!
//! All complete lines that are in the buffer are served together: runs of messages become one job
//! of the store, and their replies leave in one write.

use std::io;
use std::sync::{Arc, Mutex};

use super::Server;
use crate::delivery::peer::Peer;
use crate::guard::memory_budget::Share;
use crate::net::connection::Connection;
use crate::net::input::{Filled, Input};
use crate::net::proxy;
use crate::ops;
use crate::protocol::line::PLAIN_LIMIT;
use crate::protocol::{Event, LineDecoder, Refusal};
use crate::server::registry::Registered;
use crate::sync::lock;
use crate::sys;
use responder::{Responder, Worn};

mod ending;
mod holds;
mod responder;

/// Serves a connection until it ends. `registered` is dropped last of all.
pub(crate) fn serve(server: &Arc<Server>, connection: Arc<Connection>, registered: Registered) {
    let context = Arc::clone(&server.context);
    // A proxy's header has taken its part of the time already.
    if connection.time_left().is_none() {
        connection.set_deadline(Some(context.login_grace));
    }
    let share = server.budget.share(connection.id());
    Box::new(Session {
        input: Input::new(&connection),
        decoder: LineDecoder::wary(),
        ends_early: false,
        is_new: true,
        share,
        responder: Responder::new(
            server,
            ops::Session {
                context,
                peer: Peer::new(connection),
                login: None,
                will_confirm: false,
            },
        ),
        in_order: false,
        _registered: registered,
    })
    .go_on();
}

struct Session {
    input: Input,
    decoder: LineDecoder,
    /// The connection ends before its input does.
    ends_early: bool,
    /// Nothing but empty lines has come.
    is_new: bool,
    share: Share,
    responder: Responder,
    /// The peer has ended its input behind a whole line.
    in_order: bool,
    _registered: Registered,
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
            let connection = self.responder.ops.peer.connection();
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
        self.responder.worn = Worn::Fresh;
        let threads = Arc::clone(&self.responder.ops.context.threads);
        let name = format!("reader-{}", self.responder.ops.peer.connection().id());
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

/// How [`Session::next_line`] came out.
enum LineResult {
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
            if self.responder.worn == Worn::LeaveNow && self.input.buffered().is_empty() {
                return Ok(Turn::Move);
            }
            match self.input.fill()? {
                Filled::Some => self.responder.bucket.fill(),
                Filled::End => {
                    self.in_order = self.decoder.buffered() == 0
                        && self.responder.ops.peer.connection().why_aborted().is_none()
                        && !self.responder.server.is_stopping();
                    if self.in_order {
                        self.await_backlog();
                    }
                    return Ok(Turn::End("closed by the peer"));
                }
                Filled::Quiet => {
                    self.decoder.release();
                    self.responder.release();
                    if self.responder.worn == Worn::Used {
                        return Ok(Turn::Move);
                    }
                    continue;
                }
            }
            loop {
                if self.responder.server.is_stopping() {
                    self.responder.flush()?;
                    return Ok(Turn::End("the server is ending"));
                }
                self.hold_back()?;
                match self.next_line() {
                    LineResult::Carried(result) => result?,
                    LineResult::More => break,
                    LineResult::End(why) => {
                        self.ends_early = true;
                        self.responder.flush()?;
                        return Ok(Turn::End(why));
                    }
                }
            }
            self.responder.flush_all()?;
        }
    }

    /// Waits where `--rate` or `--max-inflight` asks for it, after flushing all pending replies.
    #[inline]
    fn hold_back(&mut self) -> io::Result<()> {
        let responder = &mut self.responder;
        if responder.bucket.is_spent() {
            let pause = responder.bucket.rest();
            if !pause.is_zero() {
                responder.flush_all()?;
                holds::rest(&responder.ops, &mut responder.bucket, pause);
            }
        }
        let (buffered, chunk) = (self.decoder.buffered(), self.input.buffered());
        if self.share.is_concerned(buffered, chunk) && responder.ops.login.is_some() {
            let limit = responder.server.limits.line();
            if !self.share.try_take(buffered, chunk, limit) {
                responder.flush_all()?;
                holds::wait_for_room(&responder.ops, &mut self.share, buffered, chunk, limit)?;
            }
        }
        Ok(())
    }

    /// Takes one line out of the buffer and carries it out.
    fn next_line(&mut self) -> LineResult {
        if self.input.buffered().is_empty() {
            return LineResult::More;
        }
        self.notice_ended_login();
        let responder = &mut self.responder;
        let is_guest = responder.ops.login.is_none();
        let limit = match is_guest {
            true => PLAIN_LIMIT,
            false => responder.server.limits.line(),
        };
        let step = self.decoder.step(self.input.buffered(), limit);
        let used = step.used;
        if is_guest {
            responder.bucket.spend_strangely(used);
        }
        // Also if there is no line yet.
        let mut blank = true;
        if let Some(Event::Line(line)) = &step.event {
            self.share.received();
            blank = line.is_empty();
        }
        // What may have been a password is wiped as soon as it has been dealt with; messages are
        // not, since they are on disk anyway.
        let mut secret = is_guest;
        let result = match step.event {
            None => Ok(()),
            Some(Event::Line(line)) if self.is_new && proxy::is_line_of_header(line) => {
                // Who is no proxy of ours must not choose the address that counts; and who is one
                // has said it already.
                holds::note_header(&responder.ops);
                return LineResult::End("it began with a PROXY header that is not wanted");
            }
            Some(Event::Line(line)) => {
                let (result, had_password) = responder.serve(line);
                secret |= had_password;
                result
            }
            Some(Event::Answer(answer)) => {
                responder.answer_telnet(answer.bytes());
                Ok(())
            }
            Some(Event::TooLong) => {
                responder.refuse_long_line(self.decoder.lacks_line_ends());
                Ok(())
            }
            Some(Event::NoMemory) => {
                responder.refuse_unread(&Refusal::NoMemory);
                Ok(())
            }
            Some(Event::EndOfInput) => {
                responder.send_batch();
                return LineResult::End("closed by the peer, by telnet's EOF");
            }
            Some(Event::Foreign(protocol)) => return LineResult::End(responder.foreign(protocol)),
        };
        self.is_new &= blank;
        self.consume(used, secret);
        LineResult::Carried(result.and(self.responder.flush_many()))
    }

    /// Makes the session a guest's, from its next line on, when an operator has ended the login.
    #[inline]
    fn notice_ended_login(&mut self) {
        let responder = &mut self.responder;
        let login = responder.ops.login.as_ref();
        if login.is_some_and(|login| login.outbox.has_ended()) {
            responder.send_batch();
            responder.ops.login = None;
            let grace = responder.ops.context.login_grace;
            responder.ops.peer.connection().set_deadline(Some(grace));
        }
    }

    /// Takes what was read of the buffer out of it, and gives back what no line needs any more.
    fn consume(&mut self, used: usize, secret: bool) {
        let ops = &self.responder.ops;
        if ops.login.is_none() {
            let unended = self.decoder.lacks_line_ends();
            ops.peer.connection().set_unended(unended);
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
    }
}
