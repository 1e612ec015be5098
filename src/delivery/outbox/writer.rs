//! The thread that sends what an [`Outbox`] holds: from the channel what follows its cursor, from
//! the store everything else.

use std::sync::Arc;
use std::time::Duration;

use super::{Delivery, Item, Outbox};
use crate::guard::log_limit::log_limited;
use crate::ids::{MediaId, MessageId};
use crate::protocol::PushPacket;
use crate::store::deliveries::Position;
use crate::store::{StoreError, contacts, messages};
use crate::sync::atomic::Ordering;
use crate::sync::channel::{Receiver, RecvTimeoutError};
use crate::sync::lock;

/// A writer without anything to do ends after this.
const IDLE: Duration = Duration::from_secs(5);

/// So often meanwhile it looks whether somebody else needs its thread.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes read from the store, or gathered from the channel, for one write.
const PAGE: usize = 64 << 10;

/// Contact events read from the store at once.
const EVENTS: u32 = 256;

/// The writer thread's own state.
pub(crate) struct Writer {
    outbox: Arc<Outbox>,
    page: Vec<u8>,
}

/// Why a writer ends.
enum End {
    Closed,
    /// The store did not answer; the work stays marked.
    Failed(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        End::Failed(error)
    }
}

impl Writer {
    /// The writer of an outbox.
    pub(crate) fn new(outbox: Arc<Outbox>) -> Writer {
        Writer {
            outbox,
            page: Vec::new(),
        }
    }

    /// Sends until there has been nothing to do for a while, or the login ends.
    pub(crate) fn run(mut self, receiver: &Receiver<Item>) {
        // A panic below must leave the outbox able to have another writer.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut idle = Duration::ZERO;
            loop {
                self.serve_marks()?;
                self.outbox.push_early();
                let threads = &self.outbox.threads;
                let patience = if threads.are_short() {
                    Duration::ZERO
                } else {
                    LOOK
                };
                match receiver.recv_timeout(patience) {
                    Ok(item) => {
                        idle = Duration::ZERO;
                        self.serve(item, receiver)?;
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        idle += patience;
                        if idle < IDLE && !threads.are_short() {
                            continue;
                        }
                        let mut state = lock(&self.outbox.state);
                        if receiver.is_empty() && !state.has_marks() {
                            state.writer = None;
                            return Ok(());
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => return Err(End::Closed),
                }
            }
        }));
        let outbox = &self.outbox;
        match result {
            Ok(Ok(()) | Err(End::Closed)) => {}
            Ok(Err(End::Failed(error))) => {
                log_limited!(Warn, "messages of user {} wait: {error}", outbox.user);
                let mut state = lock(&outbox.state);
                if state.writer.is_some() {
                    state.writer = None;
                    state.looking = false;
                    state.behind = true;
                    outbox.note(&mut state);
                }
            }
            Err(_) => {
                log_limited!(Error, "a writer panicked; its connection is ended");
                outbox.connection.abort("its writer panicked");
            }
        }
    }

    /// Reads from the store what no push brings.
    fn serve_marks(&mut self) -> Result<(), End> {
        loop {
            let stuck;
            let (fresh, events, behind) = {
                let mut state = lock(&self.outbox.state);
                // Nothing goes out beside what was marked, so that events come first.
                state.looking = state.fresh || state.events || state.behind;
                stuck = std::mem::take(&mut state.stuck);
                (
                    std::mem::take(&mut state.fresh),
                    std::mem::take(&mut state.events),
                    std::mem::take(&mut state.behind),
                )
            };
            let served = (|| {
                // Writing anything waits for the kernel to take what is left.
                if stuck && self.outbox.connection.lock().write(&[]).is_err() {
                    return Err(End::Closed);
                }
                if fresh {
                    self.first_events()?;
                } else if events {
                    self.new_events()?;
                }
                if behind {
                    self.catch_up()?;
                }
                Ok(())
            })();
            if let Err(End::Failed(_)) = &served {
                let mut state = lock(&self.outbox.state);
                state.fresh |= fresh;
                state.events |= events;
                state.behind |= behind;
            }
            served?;
            if !fresh && !events && !behind {
                return Ok(());
            }
        }
    }

    /// Sends pushes that follow the cursor, as many as are there, in one write.
    fn serve(&mut self, first: Item, receiver: &Receiver<Item>) -> Result<(), End> {
        let epoch = self.outbox.epoch.load(Ordering::Acquire);
        {
            // Contact events are told before the messages that they made possible, and what was
            // marked makes what is queued a matter for the store.
            let state = lock(&self.outbox.state);
            if state.has_marks() {
                drop(state);
                self.serve_marks()?;
            }
        }
        let from = self.outbox.cursor();
        let mut reached = from;
        let mut gap = false;
        self.page.clear();
        let mut item = Some(first);
        while let Some(next) = item.take() {
            if let Item::Messages(push) = next {
                self.outbox
                    .queued
                    .fetch_sub(push.bytes.len(), Ordering::AcqRel);
                if push.last <= reached {
                    // Sent already, by reading from the store.
                } else if push.previous <= reached && reached < push.first {
                    reached = push.last;
                    if self.page.is_empty() {
                        self.page = push.bytes.into_owned();
                    } else {
                        self.page.extend_from_slice(&push.bytes);
                    }
                } else {
                    gap = true;
                    break;
                }
            }
            if self.page.len() < PAGE {
                item = receiver.try_recv().ok();
            }
        }
        if !self.page.is_empty() {
            let position = Position {
                message: reached,
                event: 0,
            };
            let page = std::mem::take(&mut self.page);
            match self.outbox.deliver(&page, from, position, epoch) {
                Delivery::Done => {}
                Delivery::Stale => gap = true,
                Delivery::Closed => return Err(End::Closed),
            }
            self.page = page;
        }
        if gap {
            self.catch_up()?;
        }
        self.page.clear();
        self.page.shrink_to(PAGE);
        Ok(())
    }

    /// Reads messages from the store from the cursor on, page by page, until none is left.
    fn catch_up(&mut self) -> Result<(), End> {
        loop {
            let outbox = Arc::clone(&self.outbox);
            let epoch = outbox.epoch.load(Ordering::Acquire);
            // Whatever is at or below this is in the snapshot read next, or will never be.
            let floor = outbox.store.committed();
            let from = outbox.cursor();
            let mut last = from;
            self.page.clear();
            let page = &mut self.page;
            let more = outbox.store.read(|view| {
                page.clear();
                messages::backlog(view, outbox.user, from, |message| {
                    last = message.id;
                    PushPacket::MessageSended {
                        chat: message.chat.number(),
                        timestamp: message.timestamp,
                        message: message.body.into(),
                        media: message.media.map(MediaId::number),
                    }
                    .format(page);
                    page.len() < PAGE
                })
            })?;
            if !self.page.is_empty() {
                let position = Position {
                    message: last,
                    event: 0,
                };
                match outbox.deliver(&self.page, from, position, epoch) {
                    Delivery::Done => {}
                    Delivery::Stale => continue,
                    Delivery::Closed => return Err(End::Closed),
                }
            }
            if !more {
                // Above all, a push for a message that was deleted meanwhile is now an old one.
                outbox.pass(floor);
                self.page = Vec::new();
                return Ok(());
            }
        }
    }

    /// At the begin of a login: each event that was not told, then each open request.
    fn first_events(&mut self) -> Result<(), End> {
        let outbox = Arc::clone(&self.outbox);
        let newest = outbox
            .store
            .read(|view| contacts::newest_event(view, outbox.user))?;
        let mut event = outbox.told.load(Ordering::Acquire);
        loop {
            let page = outbox
                .store
                .read(|view| contacts::settled_events(view, outbox.user, event, newest, EVENTS))?;
            let Some(last) = page.last() else { break };
            event = last.key;
            self.tell(&page, event)?;
        }
        // The open ones last: a quick client may answer one as soon as it is told, and it would be
        // a settled event then.
        let mut asker = None;
        loop {
            let page = outbox
                .store
                .read(|view| contacts::open_requests(view, outbox.user, asker, EVENTS))?;
            let Some(last) = page.last() else { break };
            asker = Some(last.key);
            self.tell(&page, 0)?;
        }
        // All up to the newest has been told, the open requests among them.
        self.tell::<i64>(&[], newest)?;
        outbox.told.store(newest.max(event), Ordering::Release);
        // What has come since is told like any other event.
        self.new_events()
    }

    /// Tells of the contact events behind the cursor.
    fn new_events(&mut self) -> Result<(), End> {
        let outbox = Arc::clone(&self.outbox);
        loop {
            let page = outbox.store.read(|view| {
                let told = outbox.told.load(Ordering::Acquire);
                contacts::events(view, outbox.user, told, EVENTS)
            })?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            let event = last.key;
            self.tell(&page, event)?;
            outbox.told.store(event, Ordering::Release);
        }
    }

    /// Sends `233` lines; when they have arrived, so has every event up to `event`.
    fn tell<K>(&mut self, events: &[contacts::Event<K>], event: i64) -> Result<(), End> {
        self.page.clear();
        for event in events {
            PushPacket::ConfirmContactAdd {
                user: event.name.as_str().into(),
            }
            .format(&mut self.page);
        }
        let position = Position {
            message: MessageId::NONE,
            event,
        };
        loop {
            let epoch = self.outbox.epoch.load(Ordering::Acquire);
            match self
                .outbox
                .deliver(&self.page, MessageId::NONE, position, epoch)
            {
                Delivery::Done => return Ok(()),
                // A chat was deleted: contact events stay true.
                Delivery::Stale => {}
                Delivery::Closed => return Err(End::Closed),
            }
        }
    }
}
