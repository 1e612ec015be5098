//! What a handler may do with its client's connection: ask about it, rest on it, move its deadline.
//! Reading and writing stay with the session and the outbox.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::net::connection::{Connection, Rest};

/// The client that a session serves.
#[derive(Clone)]
pub(crate) struct Peer(Arc<Connection>);

impl Peer {
    /// The client at the other end of `connection`.
    pub(crate) fn new(connection: Arc<Connection>) -> Peer {
        Peer(connection)
    }

    /// The connection, for the session that serves it and for an outbox.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }

    /// The connection's number in the log.
    pub(crate) fn id(&self) -> u64 {
        self.0.id()
    }

    /// Where it comes from; behind a proxy, what the proxy says.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.peer()
    }

    /// Whether nobody on the way can read along: TLS, or this machine's own loopback.
    pub(crate) fn is_private(&self) -> bool {
        self.0.is_private()
    }

    /// Rests for `pause`; false when no answer can arrive any more, or the server is ending.
    pub(crate) fn rest(&self, pause: Duration) -> bool {
        self.0.rest(pause) == Rest::Over
    }

    /// Runs `work` while the login grace stands still. `work` may ask whether its result is still
    /// wanted, from any thread.
    pub(crate) fn without_deadline<T>(
        &self,
        work: impl FnOnce(Arc<dyn Fn() -> bool + Send + Sync>) -> T,
    ) -> T {
        let left = self.0.time_left();
        self.0.set_deadline(None);
        let connection = Arc::clone(&self.0);
        let result = work(Arc::new(move || !connection.is_gone()));
        // An order to end the login has set a deadline of its own meanwhile.
        if self.0.time_left().is_none() {
            self.0.set_deadline(left);
        }
        result
    }
}
