//! The direct way out: pushes that are written by whoever brings them.

use std::sync::Arc;

use super::state::{Way, Written};
use super::{Item, Outbox, Push, Shared};
use crate::ids::Position;
use crate::net::connection::WriteGuard;
use crate::sync::lock;

impl Outbox {
    /// Sends messages that were committed, or keeps them for who may. Never waits.
    pub(crate) fn push(self: &Arc<Self>, push: Push<'_>) {
        let mut state = lock(&self.state);
        let way = state.offer(push);
        if let Way::Direct(push) = way {
            drop(state);
            return self.write_directly(push);
        }
        self.pass_on(&mut state, way);
    }

    /// Puts what is the catch-up thread's into its channel.
    fn pass_on(self: &Arc<Self>, state: &mut Shared, way: Way<'_>) {
        // Starts the thread, if there is none.
        self.attend(state);
        let Way::Thread(push) = way else { return };
        let bytes = push.bytes.len();
        let item = Item::Push(push.into_owned());
        match state.writer.as_ref().map(|writer| writer.try_send(item)) {
            Some(Ok(())) => state.queued(),
            _ => state.not_queued(bytes),
        }
        self.attend(state);
    }

    /// Writes a push that is due, and with it what has come early.
    fn write_directly(self: &Arc<Self>, push: Push<'_>) {
        let free = self.connection.try_lock();
        let Some(mut writing) = free.filter(|writing| !writing.has_pending()) else {
            let mut state = lock(&self.state);
            let way = state.hand_over(push);
            return self.pass_on(&mut state, way);
        };
        let mut state = lock(&self.state);
        let mut way = state.recheck(push);
        while let Way::Direct(push) = way {
            drop(state);
            let written = self.write_now(&mut writing, &push);
            state = lock(&self.state);
            let next = state.written(push.last, written);
            way = next.map_or(Way::Kept, Way::Direct);
        }
        // With both locks held, so that the next one to push finds the connection free.
        drop(writing);
        self.pass_on(&mut state, way);
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
