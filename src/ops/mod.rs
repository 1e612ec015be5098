//! What it means: one handler a request, from a typed request to an answer.
//!
//! A handler sees who asks ([`Session`]) and the server's parts ([`Context`]); it reads by
//! `store.read`, writes by `store.write`, and never touches a socket. Its checks stand in the
//! order in which the contract lists the statuses.

pub mod account;
pub mod chat;
pub mod contact;
pub mod history;
pub mod list;
pub mod media;
pub mod message;
pub mod names;
pub mod passwords;
mod precis;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::memory::{self, NO_MEMORY, NoMemory};
use crate::protocol::{Reply, Request, Status};
use crate::server::brakes::{LoginBrake, Registrations};
use crate::server::complaints::Complaints;
use crate::server::hub::Hub;
use crate::server::outbox::Outbox;
use crate::server::threads::Threads;
use crate::server::wire::Wire;
use crate::store::texts::Text;
use crate::store::{Store, StoreError, UserId};
use passwords::{HashError, Hasher};

/// The parts of the server that handlers work with.
pub struct Context {
    /// What is kept.
    pub store: Store,
    /// Who is online.
    pub hub: Hub,
    /// Who computes hashes.
    pub hasher: Hasher,
    /// Threads for writers.
    pub threads: Arc<Threads>,
    /// Whether `117` is answered at all.
    pub registration_open: bool,
    /// How long a connection may stay without a login.
    pub login_grace: Duration,
    /// What slows down who guesses passwords.
    pub logins: LoginBrake,
    /// How many accounts an address may register.
    pub registrations: Registrations,
    /// How many contact requests of one user may be open; 0 for any number.
    pub max_requests: u32,
    /// Whether passwords are taken only where nobody on the way can read along.
    pub require_tls: bool,
    /// What the log says when a limit bites.
    pub complaints: Complaints,
}

/// A connection as the handlers see it.
pub struct Session {
    /// The server's parts.
    pub context: Arc<Context>,
    /// The connection, to be given to an outbox.
    pub wire: Arc<Wire>,
    /// The login, if there is one.
    pub login: Option<LoggedIn>,
    /// `135` was used without a login: the next one counts by it from its first byte on.
    pub will_confirm: bool,
}

/// Who is logged in on a connection.
#[derive(Clone)]
pub struct LoggedIn {
    /// The account's id.
    pub user: UserId,
    /// What is still to be sent to this login.
    pub outbox: Arc<Outbox>,
    /// What of the user's text waits to be received.
    pub text: Arc<Text>,
}

/// What a request is answered with.
pub enum Answer {
    /// One packet.
    Reply(Reply<'static>),
    /// A reply of several packets, or a long one, read from the store while it is written.
    Stream(Box<dyn Stream>),
    /// The session has logged in: after this packet, what has waited follows.
    Enter(Reply<'static>),
    /// The login ends: before this packet, its pushes stop.
    Leave(Reply<'static>),
}

/// A reply that is made piece by piece, so that a connection holds one piece at most.
pub trait Stream {
    /// Appends the next piece to `out`; false when there is none any more.
    ///
    /// # Errors
    /// When the store cannot be read. Before the first piece that is a refusal; later the
    /// connection has to end, since half a reply cannot be taken back.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, StoreError>;
}

/// A request that was understood and cannot be carried out: `211`, nothing was kept.
#[derive(Debug)]
pub enum Refused {
    /// For a reason that the asker may know.
    Because(&'static str),
    /// The store failed; the log says why.
    Store(StoreError),
    /// There is no memory for what it needs.
    NoMemory,
    /// The connection went away, or the server is ending, before the answer.
    Gone,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            // Limits, not failures: the store says in the log that they were met.
            StoreError::NoRoom => Refused::Because("the server is full; nothing more is kept"),
            StoreError::OverQuota => {
                Refused::Because("your media take up all the room that they may")
            }
            error => Refused::Store(error),
        }
    }
}

impl From<NoMemory> for Refused {
    fn from(_: NoMemory) -> Self {
        Refused::NoMemory
    }
}

impl From<HashError> for Refused {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Gone | HashError::Stopped => Refused::Gone,
            HashError::Failed => Refused::Because("the password could not be hashed"),
        }
    }
}

impl Refused {
    /// The reason as the asker may see it.
    pub fn reason(&self) -> &'static str {
        match self {
            Refused::Because(reason) => reason,
            Refused::Store(_) => "the server cannot keep anything just now; try again",
            Refused::NoMemory => NO_MEMORY,
            Refused::Gone => "the server is ending",
        }
    }
}

/// A handler's result.
pub type Outcome = Result<Answer, Refused>;

/// Carries out one request. Messages without media come in batches instead, see
/// [`message::Batch`].
///
/// # Errors
/// When it is refused without a status of its own.
pub fn handle(session: &mut Session, request: &Request<'_>) -> Outcome {
    use Request as R;
    if session.context.require_tls && request.has_password() && !session.wire.is_private() {
        return Err(Refused::Because(
            "passwords are taken over TLS only; connect to the port that has it",
        ));
    }
    match request {
        R::Login { user, password } => account::login(session, user, password),
        R::Logout => account::logout(session),
        R::ChatList => chat::list(session),
        R::ChatCreate { contact } => chat::create(session, contact),
        R::ChatDelete { chat } => chat::delete(session, *chat),
        R::MessageSend {
            chat,
            message,
            media,
        } => message::send(session, *chat, message, media.as_deref()),
        R::Register {
            user,
            password,
            email,
            gender,
        } => account::register(session, user, password, email, gender),
        R::OwnContactList => contact::own_list(session),
        R::MediaFetch { media } => media::fetch(session, *media),
        R::ContactList => contact::list(session),
        R::ContactConfirm { user } => contact::confirm(session, user),
        R::History {
            chat,
            before,
            count,
        } => history::request(session, *chat, *before, *count),
        R::ContactDelete { user } => contact::delete(session, user),
        R::PasswordChange { old, new } => account::change_password(session, old, new),
        R::AccountDelete { password } => account::delete(session, password),
        R::Received { chat, timestamp } => history::received(session, *chat, *timestamp),
        // It may be as long as a line.
        R::Ping { text } => Ok(Answer::Reply(Reply::Pong {
            text: match text {
                Some(text) => Some(Cow::Owned(memory::copy(text)?)),
                None => None,
            },
        })),
    }
}

/// The login, or the status that there is none.
fn logged_in(session: &Session) -> Result<&LoggedIn, Status> {
    session.login.as_ref().ok_or(Status::ClientNotLoggedIn)
}

/// Shortens handlers whose every status goes into the same packet.
fn reply(reply: Reply<'static>) -> Outcome {
    Ok(Answer::Reply(reply))
}
