//! What goes into the engine and comes out of it, and what it keeps in mind.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::Sender;
use zeroize::Zeroizing;

use crate::auth::names::{NameFault, PasswordFault};
use crate::client::answers::Line;
use crate::client::command::Command;
use crate::client::connection::Happened;
use crate::client::link::{Address, Link, LinkError, Security};
use crate::client::options::Exit;
use crate::client::outbox::Message;
use crate::protocol::Status;

/// What the engine is to do by itself.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the server is.
    pub address: Address,
    /// How it is spoken to.
    pub security: Security,
    /// Whether to show packets.
    pub raw: bool,
    /// Whether to fetch media as they arrive.
    pub fetch_media: bool,
    /// Whether to show what arrives, and tell the server so. If not, it comes again.
    pub listens: bool,
    /// For scripts: whether to end at the first thing that goes wrong, and write over files.
    pub strict: bool,
    /// Whether the first thing that goes wrong decides the exit code, if all else goes well.
    pub remembers: bool,
    /// When to end at the latest.
    pub deadline: Option<Instant>,
}

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A message arrived.
    Message {
        /// ChatID.
        chat: i64,
        /// Who wrote it.
        from: String,
        /// Milliseconds since 1970-01-01T00:00:00Z.
        timestamp: i64,
        /// The text.
        text: String,
        /// MediaID.
        media: Option<i64>,
        /// `None` in the current chat; else how many of its messages are unread.
        unread: Option<u32>,
    },
    /// What the media of a message is.
    Media {
        /// MediaID.
        media: i64,
        /// Its type, if it has one.
        kind: Option<String>,
        /// Bytes of the file.
        size: usize,
    },
    /// Somebody asks to be a contact, or agreed.
    Contact {
        /// Who.
        name: String,
        /// Whether they are contacts now.
        agreed: bool,
    },
    /// A message of the history.
    Past(Line),
    /// A list for people.
    List {
        /// What it is of.
        heading: String,
        /// A line each.
        lines: Vec<String>,
    },
    /// Something good to know.
    Note(String),
    /// Something that went wrong.
    Problem(String),
    /// A message that was not sent, or not for certain.
    Unsent {
        /// The message.
        message: Message,
        /// Why.
        why: String,
    },
    /// A message of which it was not certain whether it had been sent: it was.
    Kept(Message),
    /// A packet, as `--raw` shows it.
    Raw {
        /// Whether it was sent, not received.
        sent: bool,
        /// Without its line end.
        line: Vec<u8>,
    },
}

/// What to do after something was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// To go on.
    GoOn,
    /// To end.
    End(Exit),
}

/// Whoever looks on.
pub trait Front {
    /// Shows something. A message counts as read when it is not among the unshown any more. Must
    /// not wait for the user, who may be waiting for the engine.
    fn show(&mut self, output: Output) -> After;

    /// How many of the last things are not on the screen yet.
    fn unshown(&self) -> usize {
        0
    }

    /// What holds up the network while too many are not.
    fn brake(&self) -> Brake {
        Brake::default()
    }
}

/// Holds up what comes from the network while it is on.
#[derive(Clone, Default)]
pub struct Brake(Arc<(Mutex<bool>, Condvar)>);

impl Brake {
    /// Switches it on or off.
    pub fn set(&self, on: bool) {
        let (state, changed) = &*self.0;
        *state.lock().unwrap_or_else(PoisonError::into_inner) = on;
        changed.notify_all();
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is off.
    pub fn wait(&self) {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let off = changed.wait_while(state, |on| *on);
        drop(off.unwrap_or_else(PoisonError::into_inner));
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// With whom the current chat is.
    pub chat: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out, or it goes on by itself.
    Fine,
    /// The server refused, with a status if it has one for that. Why has been shown.
    Refused(Option<Status>),
    /// It needs a connection, and there is none. That has been shown.
    Unreachable,
    /// The engine has ended.
    Ended(Exit),
}

/// Who gave a command, and waits for its end.
pub type Waiter = Option<Sender<Done>>;

/// What the engine is told.
pub enum Input {
    /// To do something.
    Command(Command, Waiter),
    /// What became of the attempt with this number.
    Connected(u64, Result<Link, LinkError>),
    /// Something happened on the connection with this number.
    Net(u64, Happened),
    /// Something went wrong before it came to be a command.
    Wrong(Exit),
    /// What was among the unshown has been shown.
    Shown,
}

/// What a request was sent for.
pub(super) enum Purpose {
    Login(Waiter),
    Register {
        /// What this program finds wrong with the name and the password, for `401` and `402`.
        faults: (Option<NameFault>, Option<PasswordFault>),
        waiter: Waiter,
    },
    Logout,
    Received,
    Ping,
    Chats(ChatsFor),
    Contacts(ContactsFor),
    People {
        show: bool,
        waiter: Waiter,
    },
    Create(Opening),
    Confirm {
        name: String,
        waiter: Waiter,
    },
    Remove {
        name: String,
        waiter: Waiter,
    },
    Delete {
        chat: i64,
        waiter: Waiter,
    },
    Passwd {
        new: Zeroizing<String>,
        waiter: Waiter,
    },
    History(Waiter),
    Message,
    Base(i64),
    Settle {
        chat: i64,
        count: u32,
    },
    Facts(i64),
    Save {
        media: i64,
        path: PathBuf,
        waiter: Waiter,
    },
}

/// Why the list of chats was asked for.
pub(super) enum ChatsFor {
    /// To know it; pushes wait for it.
    Knowledge,
    /// To show it.
    Show(Waiter),
    /// To find the chat that was just opened.
    Opening(Opening),
}

/// Why the list of contacts was asked for.
pub(super) enum ContactsFor {
    /// To know it.
    Knowledge,
    /// To show it.
    Show(Waiter),
    /// To tell whether somebody who was pushed asks or agreed.
    Pushed(String),
    /// To tell whether somebody who was asked is a contact now.
    Asked(String, Waiter),
}

/// A chat on its way to being the current one.
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) waiter: Waiter,
}

pub(super) enum State {
    /// No connection, and none wanted before there is a login to try.
    Idle,
    /// No connection; the next attempt is due then.
    Waiting(Instant),
    /// An attempt is being made, from the instant on.
    Connecting,
    /// Connected, not logged in.
    Guest,
    /// Waiting for `212`.
    LoggingIn,
    /// Logged in.
    Online,
    /// Said good-bye; gone at that time at the latest.
    Leaving(Instant, Exit),
}

/// A file on its way out.
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) told: Instant,
}
