//! The catch-up thread of an [`Outbox`]: writes what no session could write at once, and reads from
//! the store what no push brings.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::state::{Action, Events, Moment, Permit, Todo, Work};
use super::{Item, Outbox, Shared};
use crate::guard::log_limit::log_limited;
use crate::ids::{MediaId, MessageId, Position};
use crate::protocol::PushPacket;
use crate::store::{StoreError, contacts, messages};
use crate::sync::channel::{Receiver, RecvTimeoutError};
use crate::sync::{bound, lock};

/// With nothing to do, the thread looks so often whether somebody else needs it.
const LOOK: Duration = Duration::from_secs(1);

/// After so many looks it ends.
const LOOKS: usize = 5;

/// Bytes read from the store for one write.
const PAGE: usize = 64 << 10;

/// Contact events read from the store at once.
const EVENTS: u32 = 256;

/// Why the thread cannot go on.
enum CatchUpEnd {
    /// The login has ended, or the connection is gone.
    Closed,
    /// The store did not answer.
    Failed(StoreError),
}

impl From<StoreError> for CatchUpEnd {
    fn from(error: StoreError) -> Self {
        CatchUpEnd::Failed(error)
    }
}

fn take(state: &mut Shared, item: Item) {
    match item {
        Item::Push(push) => state.received(push),
        Item::Look => {}
    }
}

impl Outbox {
    /// Sends until there has been nothing to do for a while, or the login ends.
    pub(super) fn catch_up(self: Arc<Self>, items: &Receiver<Item>) {
        let result = catch_unwind(AssertUnwindSafe(|| self.work(items)));
        if result.is_err() {
            log_limited!(Error, "a writer panicked; its connection is ended");
            self.connection.abort("its writer panicked");
        }
    }

    fn work(self: &Arc<Self>, items: &Receiver<Item>) {
        let mut looks = 0;
        loop {
            let mut state = lock(&self.state);
            while let Ok(item) = items.try_recv() {
                take(&mut state, item);
            }
            let (todo, done) = match state.take_work() {
                Work::Closed => return,
                Work::Rest if looks >= bound(LOOKS) || self.threads.are_short() => {
                    state.retire();
                    state.writer = None;
                    return self.attend(&mut state);
                }
                Work::Rest => {
                    state.rest();
                    self.attend(&mut state);
                    drop(state);
                    let news = items.recv_timeout(LOOK);
                    if matches!(news, Err(RecvTimeoutError::Disconnected)) {
                        return;
                    }
                    let mut state = lock(&self.state);
                    match news {
                        Ok(item) => take(&mut state, item),
                        Err(_) => looks += 1,
                    }
                    state.wake_up();
                    continue;
                }
                Work::Write(push, moment) => {
                    drop(state);
                    let position = Position {
                        message: push.last,
                        event: 0,
                    };
                    let permit = self.deliver(&push.bytes, Some(moment), position);
                    if let Ok(Permit::Stale) = permit {
                        lock(&self.state).read_again();
                    }
                    (Todo::default(), permit.map(drop))
                }
                Work::Read(todo) => {
                    drop(state);
                    (todo, self.read(todo))
                }
            };
            looks = 0;
            match done {
                Ok(()) => {}
                Err(CatchUpEnd::Closed) => return,
                Err(CatchUpEnd::Failed(error)) => {
                    log_limited!(Warn, "messages of user {} wait: {error}", self.user);
                    let mut state = lock(&self.state);
                    state.writer = None;
                    if state.fail(todo) == Action::Sweep {
                        self.threads.try_later(self);
                    }
                    return;
                }
            }
        }
    }

    /// Writes, unless it is not to be sent any more.
    fn deliver(
        &self,
        bytes: &[u8],
        moment: Option<Moment>,
        position: Position,
    ) -> Result<Permit, CatchUpEnd> {
        let mut writing = self.connection.lock();
        let permit = lock(&self.state).permit(moment);
        match permit {
            Permit::Granted => {}
            Permit::Stale => return Ok(permit),
            Permit::Closed => return Err(CatchUpEnd::Closed),
        }
        if writing.write(bytes).is_err() {
            return Err(CatchUpEnd::Closed);
        }
        self.note_sent(&mut writing, position);
        lock(&self.state).sent(position.message);
        Ok(permit)
    }

    /// Does what was marked. Contact events come before the messages that they made possible.
    fn read(&self, todo: Todo) -> Result<(), CatchUpEnd> {
        // Writing anything waits for the kernel to take what is left.
        if todo.flush && self.connection.lock().write(&[]).is_err() {
            return Err(CatchUpEnd::Closed);
        }
        match todo.events {
            Events::None => {}
            Events::New => self.new_events()?,
            Events::First => self.first_events()?,
        }
        if todo.backlog {
            self.backlog()?;
        }
        Ok(())
    }

    /// Reads messages from the store from the cursor on, page by page, until none is left.
    fn backlog(&self) -> Result<(), CatchUpEnd> {
        let mut page = Vec::new();
        loop {
            let moment = lock(&self.state).moment();
            // Whatever is at or below this is in the snapshot read next, or will never be.
            let watermark = self.store.committed();
            let mut last = moment.cursor;
            page.clear();
            let more = self.store.read(|view| {
                page.clear();
                messages::backlog(view, self.user, moment.cursor, |message| {
                    last = message.id;
                    PushPacket::MessageSended {
                        chat: message.chat.number(),
                        timestamp: message.timestamp,
                        message: message.body.into(),
                        media: message.media.map(MediaId::number),
                    }
                    .format(&mut page);
                    page.len() < PAGE
                })
            })?;
            if !page.is_empty() {
                let position = Position {
                    message: last,
                    event: 0,
                };
                if self.deliver(&page, Some(moment), position)? == Permit::Stale {
                    continue;
                }
            }
            if !more {
                // Above all, a push for a message that was deleted meanwhile is now an old one.
                lock(&self.state).sent(watermark);
                return Ok(());
            }
        }
    }

    /// At the begin of a login: each event that was not told, then each open request.
    fn first_events(&self) -> Result<(), CatchUpEnd> {
        let newest = self
            .store
            .read(|view| contacts::newest_event(view, self.user))?;
        let mut event = lock(&self.state).told();
        loop {
            let page = self
                .store
                .read(|view| contacts::settled_events(view, self.user, event, newest, EVENTS))?;
            let Some(last) = page.last() else { break };
            event = last.0;
            self.tell(&page, event)?;
        }
        // The open ones last: a quick client may answer one as soon as it is told, and it would be
        // a settled event then.
        let mut asker = None;
        loop {
            let page = self
                .store
                .read(|view| contacts::open_requests(view, self.user, asker, EVENTS))?;
            let Some(last) = page.last() else { break };
            asker = Some(last.0);
            self.tell(&page, 0)?;
        }
        // All up to the newest has been told, the open requests among them.
        self.tell::<i64>(&[], newest)?;
        lock(&self.state).set_told(newest.max(event));
        // What has come since is told like any other event.
        self.new_events()
    }

    /// Tells of the contact events that were not told.
    fn new_events(&self) -> Result<(), CatchUpEnd> {
        loop {
            let told = lock(&self.state).told();
            let page = self
                .store
                .read(|view| contacts::events(view, self.user, told, EVENTS))?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            self.tell(&page, last.0)?;
            lock(&self.state).set_told(last.0);
        }
    }

    /// Sends `233` lines; when they have arrived, so has every event up to `event`.
    fn tell<K>(&self, events: &[contacts::ContactEvent<K>], event: i64) -> Result<(), CatchUpEnd> {
        let mut page = Vec::new();
        for (_, name) in events {
            PushPacket::ConfirmContactAdd {
                user: name.as_str().into(),
            }
            .format(&mut page);
        }
        // Also when a chat was deleted meanwhile: contact events stay true.
        let position = Position {
            message: MessageId::NONE,
            event,
        };
        self.deliver(&page, None, position).map(drop)
    }
}
