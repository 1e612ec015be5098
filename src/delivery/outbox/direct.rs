//! The direct way out: pushes that are written by whoever brings them.

use std::sync::Arc;

use super::state::Written;
use super::{Outbox, Push};
use crate::ids::Position;
use crate::net::connection::WriteGuard;
use crate::sync::lock;

impl Outbox {
    /// Sends messages that were committed, or keeps them for who may. Never waits.
    pub(crate) fn push(self: &Arc<Self>, push: Push<'_>) {
        let due = {
            let mut state = lock(&self.state);
            let due = state.offer(push);
            self.attend(&mut state);
            due
        };
        if let Some(push) = due {
            self.write_directly(push);
        }
    }

    /// Writes a push that is due, and with it what has come early.
    fn write_directly(self: &Arc<Self>, push: Push<'_>) {
        let free = self.connection.try_lock();
        let Some(mut writing) = free.filter(|writing| !writing.has_pending()) else {
            return self.change(|state| state.hand_over(push));
        };
        let mut state = lock(&self.state);
        let mut due = state.recheck(push);
        while let Some(push) = due {
            drop(state);
            let written = self.write_now(&mut writing, &push);
            state = lock(&self.state);
            due = state.written(push.last, written);
        }
        // With both locks held, so that the next one to push finds the connection free.
        drop(writing);
        self.attend(&mut state);
    }

    fn write_now(&self, writing: &mut WriteGuard<'_>, push: &Push<'_>) -> Written {
        let Ok(all) = writing.try_write(&push.bytes) else {
            return Written::Gone;
        };
        let position = Position {
            message: push.last,
            event: 0,
        };
        self.note_sent(writing, position);
        if all { Written::All } else { Written::Stuck }
    }
}
