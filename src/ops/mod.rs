//! What each request means: one handler per request, from a typed request to an answer.
//!
//! In reading order: [`handle`] here, `account`, `contact`, `chat`, `message`, `media`, `history`,
//! and `list` (replies of many packets). A handler sees who asks ([`Session`]) and the server's parts
//! ([`Context`]); it reads by `store.read`, writes by `store.write`, and never touches a socket. Its
//! checks stand in the order in which the contract lists the statuses.

pub(crate) mod account;
pub(crate) mod chat;
pub(crate) mod contact;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod media;
pub(crate) mod message;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::passwords::{HashError, Hasher};
use crate::delivery::hub::Hub;
use crate::delivery::outbox::Outbox;
use crate::delivery::peer::Peer;
use crate::guard::log_limit::LogLimits;
use crate::guard::login_throttle::{LoginThrottle, Registrations};
use crate::guard::threads::Threads;
use crate::ids::{ChatId, MediaId, UserId};
use crate::protocol::memory;
use crate::protocol::memory::{NO_MEMORY, NoMemory};
use crate::protocol::{Reply, Request, Status};
use crate::store::commit::text_quota::Text;
use crate::store::{Store, StoreError};

/// The parts of the server that handlers work with.
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) hub: Hub,
    pub(crate) hasher: Hasher,
    pub(crate) threads: Arc<Threads>,
    /// Whether `117` is answered at all.
    pub(crate) registration_open: bool,
    /// How long a connection may stay without a login.
    pub(crate) login_grace: Duration,
    pub(crate) logins: LoginThrottle,
    pub(crate) registrations: Registrations,
    /// How many contact requests of one user may be open; 0 for any number.
    pub(crate) max_requests: u32,
    /// Whether passwords are taken only where nobody on the way can read along.
    pub(crate) require_tls: bool,
    pub(crate) log_limits: LogLimits,
}

/// A connection as the handlers see it.
pub(crate) struct Session {
    pub(crate) context: Arc<Context>,
    pub(crate) peer: Peer,
    pub(crate) login: Option<LoggedIn>,
    /// `135` was used without a login: the next one counts by it from its first byte on.
    pub(crate) will_confirm: bool,
}

/// Who is logged in on a connection.
#[derive(Clone)]
pub(crate) struct LoggedIn {
    pub(crate) user: UserId,
    /// What is still to be sent to this login.
    pub(crate) outbox: Arc<Outbox>,
    /// What of the user's text waits to be received.
    pub(crate) text: Arc<Text>,
}

/// What a request is answered with.
pub(crate) enum Answer {
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
pub(crate) trait Stream {
    /// Appends the next piece to `out`; false when there is none any more. An error before the
    /// first piece is a refusal; a later one has to end the connection, since half a reply cannot
    /// be taken back.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, StoreError>;
}

/// A request that was understood and cannot be carried out: `211`, nothing was kept.
#[derive(Debug)]
pub(crate) enum Refused {
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
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Refused::Because(reason) => reason,
            Refused::Store(_) => "the server cannot keep anything just now; try again",
            Refused::NoMemory => NO_MEMORY,
            Refused::Gone => "the server is ending",
        }
    }
}

pub(crate) type Outcome = Result<Answer, Refused>;

/// Carries out one request. Messages without media come in batches instead, see
/// [`message::Batch`].
pub(crate) fn handle(session: &mut Session, request: &Request<'_>) -> Outcome {
    use Request as R;
    let row = request.row();
    if session.context.require_tls && row.has_secret() && !session.peer.is_private() {
        return Err(Refused::Because(
            "passwords are taken over TLS only; connect to the port that has it",
        ));
    }
    if row.needs_login() && session.login.is_none() {
        // A client that cannot lose its first 135 on the way sends it in front of its login.
        session.will_confirm |= matches!(request, R::Received { .. });
        let refusal = Reply::of_status(row, Status::ClientNotLoggedIn);
        return refusal.map_or(Err(NOT_LOGGED_IN), reply);
    }
    match request {
        R::Login { user, password } => account::login(session, user, password),
        R::Logout {} => account::logout(),
        R::RequestChatList {} => chat::list(session),
        R::ChatCreate { contact } => chat::create(session, contact),
        R::ChatDelete { chat } => chat::delete(session, ChatId::new(*chat)),
        R::MessageSend {
            chat,
            message,
            media,
        } => message::send(session, ChatId::new(*chat), message, media.as_deref()),
        R::RegisterAccount {
            user,
            password,
            email,
            gender,
        } => account::register(session, user, password, email, gender),
        R::RequestOwnContactList {} => contact::own_list(session),
        R::RequestMedia { media } => media::fetch(session, MediaId::new(*media)),
        R::RequestContactList {} => contact::list(session),
        R::RequestConfirmContact { user } => contact::confirm(session, user),
        R::RequestHistory {
            chat,
            before,
            count,
        } => history::request(session, ChatId::new(*chat), *before, *count),
        R::ContactDelete { user } => contact::delete(session, user),
        R::PasswordChange { old, new } => account::change_password(session, old, new),
        R::AccountDelete { password } => account::delete(session, password),
        R::Received { chat, timestamp } => {
            history::received(session, ChatId::new(*chat), *timestamp)
        }
        // It may be as long as a line.
        R::Ping { text } => reply(Reply::Pong {
            text: text
                .as_deref()
                .map(memory::copy)
                .transpose()?
                .map(Cow::Owned),
        }),
    }
}

/// Where no reply could carry 407: `112`.
const NOT_LOGGED_IN: Refused = Refused::Because("not logged in");

/// The login, which [`handle`] has made sure of.
fn logged_in(session: &Session) -> Result<&LoggedIn, Refused> {
    session.login.as_ref().ok_or(NOT_LOGGED_IN)
}

/// Shortens handlers whose every status goes into the same packet.
fn reply(reply: Reply<'static>) -> Outcome {
    Ok(Answer::Reply(reply))
}
