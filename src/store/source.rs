//! Where a statement runs. Other rooms hold a [`View`], a [`Tx`] or a [`Moment`] and cannot name this
//! trait, so they reach no SQL through them.

use rusqlite::Connection;

use super::{Tx, View};

pub(crate) trait Source {
    fn connection(&self) -> &Connection;
}

/// One moment of the database, for what reads no lanes.
pub(crate) struct Moment<'c>(pub(super) &'c Connection);

impl Source for Connection {
    fn connection(&self) -> &Connection {
        self
    }
}

impl Source for Moment<'_> {
    fn connection(&self) -> &Connection {
        self.0
    }
}

impl Source for View<'_> {
    fn connection(&self) -> &Connection {
        self.connection
    }
}

impl Source for Tx<'_> {
    fn connection(&self) -> &Connection {
        self.connection
    }
}
