//! What the engine shows, and the trait of whoever shows it: the screen of a person, or a script's
//! standard output.

use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::client::answers::HistoryLine;
use crate::client::options::Exit;
use crate::client::outbox::OutgoingMessage;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
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
    Contact {
        name: String,
        agreed: bool,
    },
    Past(HistoryLine),
    List {
        heading: String,
        lines: Vec<String>,
    },
    Note(String),
    Problem(String),
    /// A message that was not sent, or not for certain.
    Unsent {
        message: OutgoingMessage,
        why: String,
    },
    /// An unconfirmed message turned out to be stored.
    Stored(OutgoingMessage),
    /// A packet without its line end, for `--raw`.
    Raw {
        sent: bool,
        line: Vec<u8>,
    },
}

/// Whoever shows what the engine tells. Called in the engine's thread.
pub(crate) trait Frontend: Send {
    /// Shows something, and says whether to go on. A message counts as read when it is no longer
    /// among the unshown. Must not wait for the user, who may be waiting for the engine.
    fn show(&mut self, output: Output) -> ControlFlow<Exit>;

    fn unshown(&self) -> usize {
        0
    }

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

    pub(crate) fn wait(&self) {
        self.0.1.wait_while(&mut self.0.0.lock(), |on| *on);
    }
}
