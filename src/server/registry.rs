//! The registry of connections: every one that has a slot, by its number. Entering and leaving is
//! the connection's own doing, so whoever ends or panics is not left behind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::guard::connection_slots::Slot;
use crate::net::connection::Connection;
use crate::sync::lock;

/// The connections of one server.
#[derive(Default)]
pub(crate) struct Registry {
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    last_id: AtomicU64,
}

impl Registry {
    /// A number that no other connection has had since the start.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Enters a connection, for as long as the result lives.
    pub(crate) fn enter(self: &Arc<Self>, connection: &Arc<Connection>, slot: Slot) -> Registered {
        let id = connection.id();
        lock(&self.connections).insert(id, Arc::clone(connection));
        Registered {
            registry: Arc::clone(self),
            id,
            slot,
        }
    }

    /// All that are there now.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        lock(&self.connections).values().cloned().collect()
    }
}

/// A connection's entry, and its slot: both are given back when this is dropped, the slot last.
pub(crate) struct Registered {
    registry: Arc<Registry>,
    id: u64,
    /// The slot among all connections.
    pub(crate) slot: Slot,
}

impl Registered {
    /// Lets `connection` take the place of the one that was entered under the same number.
    pub(crate) fn replace(&self, connection: &Arc<Connection>) {
        lock(&self.registry.connections).insert(self.id, Arc::clone(connection));
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.registry.connections).remove(&self.id);
    }
}
