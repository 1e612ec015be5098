//! The end of a connection: what waits is written, what has arrived is noted, the name is free.

use std::time::{Duration, Instant};

use super::Session;
use crate::ids::MessageId;
use crate::net::connection::Rest;

/// How long a push that is being written may hold up the end of a connection.
const LAST_PUSH: Duration = Duration::from_secs(3);

/// How often it is looked whether a backlog has been written: no event tells.
const LOOK: Duration = Duration::from_millis(2);

/// How long the last bytes may take to arrive, so that they count as delivered.
const LAST_BYTES: Duration = Duration::from_secs(1);

impl Session {
    /// Who sends nothing more may still read: what has waited for the login and belongs behind its
    /// `212` is written first, as long as the peer takes it (contract, section 1, the end of input).
    /// What comes meanwhile does not prolong it.
    pub(crate) fn await_backlog(&self) {
        let Some(login) = &self.responder.ops.login else {
            return;
        };
        let upto = self.responder.ops.context.store.committed();
        let (mut began, mut moved) = (None, (MessageId::NONE, Instant::now()));
        while let Some(cursor) = login.outbox.unwritten() {
            if cursor != moved.0 {
                moved = (cursor, Instant::now());
            }
            // While it stands where it stood, contact events may be on their way before the messages.
            let enough = cursor >= upto && began.is_some_and(|began| cursor > began);
            began = began.or(Some(cursor));
            // A peer that has closed for good resets as soon as something reaches it.
            if enough
                || moved.1.elapsed() > LAST_PUSH
                || self.responder.ops.peer.connection().rest(LOOK) != Rest::Over
            {
                return;
            }
        }
    }

    /// Ends the login when the connection is ending: pushes stop, what has arrived is noted, and
    /// only then the name is free.
    pub(crate) fn end_login(&mut self) {
        let context = &self.responder.ops.context;
        let connection = self.responder.ops.peer.connection();
        let login = self.responder.ops.login.take();
        if let Some(login) = &login {
            login.outbox.refuse();
        }
        // A push to a peer that does not read holds the lock.
        let mut writing = match connection.lock_for(LAST_PUSH) {
            Some(writing) => writing,
            None => {
                connection.abort("it did not read");
                connection.lock()
            }
        };
        // With input left, closing would destroy what is on its way.
        let with_input = self.ends_early || self.responder.server.is_stopping();
        if with_input {
            writing.finish();
        }
        if writing.collect_acknowledgements() || with_input {
            writing.linger(LAST_BYTES);
        }
        if !with_input {
            // The socket itself closes when the last thread that knows it lets go.
            writing.finish();
        }
        drop(writing);
        if let Some(login) = login {
            login.outbox.end_receipts(self.in_order);
            context.hub.leave(&login.outbox);
        }
    }
}
