//! What the engine shows, and the trait of whoever shows it: the screen of a person, or a script's
//! standard output.

use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::client::answers::HistoryLine;
use crate::client::options::Exit;
use crate::client::outbox::OutgoingMessage;

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A message arrived.
    Message {
        message: HistoryLine,
        /// `None` in the current chat; else how many of its messages are unread.
        unread: Option<u32>,
    },
    /// Type (if known) and size of a message's media.
    Media {
        media: i64,
        kind: Option<String>,
        size: usize,
    },
    /// Somebody asks to be a contact, or agreed.
    Contact { name: String, agreed: bool },
    /// A message of the history.
    Past(HistoryLine),
    /// A list for people.
    List { heading: String, lines: Vec<String> },
    /// Something good to know.
    Note(String),
    /// Something that went wrong.
    Problem(String),
    /// A message that was not sent, or not for certain.
    Unsent {
        message: OutgoingMessage,
        why: String,
    },
    /// An unconfirmed message turned out to be stored.
    Stored(OutgoingMessage),
    /// A packet without its line end, for `--raw`.
    Raw { sent: bool, line: Vec<u8> },
}

/// Whoever shows what the engine tells. Called in the engine's thread.
pub(crate) trait Frontend: Send {
    /// Shows something, and says whether to go on. A message counts as read when it is no longer
    /// among the unshown. Must not wait for the user, who may be waiting for the engine.
    fn show(&mut self, output: Output) -> ControlFlow<Exit>;

    /// How many of the last things are not on the screen yet.
    fn unshown(&self) -> usize {
        0
    }

    /// What holds up the network while too many are not.
    fn backpressure(&self) -> Backpressure {
        Backpressure::default()
    }
}

/// Holds up what comes from the network while it is on.
#[derive(Clone, Default)]
pub(crate) struct Backpressure(Arc<(Mutex<bool>, Condvar)>);

impl Backpressure {
    pub(crate) fn set(&self, on: bool) {
        *self.0.0.lock() = on;
        self.0.1.notify_all();
    }

    pub(crate) fn is_on(&self) -> bool {
        *self.0.0.lock()
    }

    /// Waits until it is off.
    pub(crate) fn wait(&self) {
        self.0.1.wait_while(&mut self.0.0.lock(), |on| *on);
    }
}
