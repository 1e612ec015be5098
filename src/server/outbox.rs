//! What one login is still to be sent, and the thread that sends it.
//!
//! The database is the truth; the channel makes it fast. A push carries the ids of its first and
//! last message and of the message before it to the same recipient. The writer drops what is at
//! or below its cursor, sends at once what follows it without a gap, and reads everything else
//! from the store, in pages: so nothing is lost, doubled or out of order whatever happens to the
//! channel, and a backlog costs disk, not memory.
//!
//! The writer thread lives while there is something to write, or was recently. Whether one runs
//! changes only under the lock of its state.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::threads::Threads;
use super::wire::{Wire, Writing};
use crate::protocol::Reply;
use crate::store::deliveries::Position;
use crate::store::{MessageId, Store, StoreError, UserId, contacts, lock, messages};

/// Pushes that may wait in the channel; behind that, the writer reads from the store.
const CHANNEL: usize = 64;

/// Bytes that may wait in the channel.
const CHANNEL_BYTES: usize = 256 << 10;

/// A writer without anything to do ends after this.
const IDLE: Duration = Duration::from_secs(5);

/// Bytes read from the store, or gathered from the channel, for one write.
const PAGE: usize = 64 << 10;

/// Contact events read from the store at once.
const EVENTS: u32 = 256;

/// Messages of one transaction to one recipient, as they go over the wire.
pub struct Push {
    /// The message before `first` to the same recipient, [`MessageId::MAX`] when not known.
    pub previous: MessageId,
    /// The first message's id.
    pub first: MessageId,
    /// The last message's id.
    pub last: MessageId,
    /// The `220` lines.
    pub bytes: Vec<u8>,
}

enum Item {
    Messages(Push),
    /// There is something to be read from the store.
    Look,
}

/// What a login is still to be sent. It belongs to the login, not to the connection.
pub struct Outbox {
    user: UserId,
    name: String,
    wire: Arc<Wire>,
    store: Store,
    threads: Arc<Threads>,
    /// No push goes out before the login's reply, nor after the logout's. Cleared under the
    /// wire's lock, so that a push is either out before or never.
    open: AtomicBool,
    /// The login is over.
    ended: AtomicBool,
    /// Grows when what was queued or read may not be sent any more (a chat was deleted).
    epoch: AtomicU64,
    /// Only `135` moves the user's position. Read and set under the wire's lock.
    explicit: AtomicBool,
    /// Bytes in the channel.
    queued: AtomicUsize,
    state: Mutex<State>,
}

/// Lock order: the outbox's state before the list of the starved; the wire's lock is never taken
/// while this is held.
struct State {
    /// The way to the writer thread, while one runs.
    writer: Option<Sender<Item>>,
    /// The store holds messages that no push will bring.
    behind: bool,
    /// The store holds contact events that were not told.
    events: bool,
    /// Nothing was told since the login: open requests come first.
    fresh: bool,
    /// Everything up to here was written. The running writer has a newer one of its own.
    cursor: Position,
}

enum Delivery {
    Done,
    /// The epoch has moved on: what was to be sent is to be read again.
    Stale,
    /// The login has ended, or the connection is gone.
    Closed,
}

impl Outbox {
    /// The outbox of a login that begins; it holds everything back until [`Outbox::begin`].
    pub fn new(
        user: UserId,
        name: &str,
        wire: &Arc<Wire>,
        store: &Store,
        threads: &Arc<Threads>,
    ) -> Arc<Outbox> {
        Arc::new(Outbox {
            user,
            name: name.to_owned(),
            wire: Arc::clone(wire),
            store: store.clone(),
            threads: Arc::clone(threads),
            open: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            explicit: AtomicBool::new(false),
            queued: AtomicUsize::new(0),
            state: Mutex::new(State {
                writer: None,
                behind: false,
                events: false,
                fresh: true,
                cursor: Position::default(),
            }),
        })
    }

    /// Whose it is.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// The connection that it writes to.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The login's reply is out: what has waited for the user may follow. Called after the hub
    /// knows the outbox, so that nothing falls between the backlog and the first push.
    pub fn begin(self: &Arc<Self>) {
        // A login with nothing waiting, the usual case of an idle client, needs no writer thread.
        let (cursor, waiting) = match self.look_ahead() {
            Ok(found) => found,
            Err(error) => {
                log::warn!("the backlog of user {} cannot be read: {error}", self.user);
                self.wire.cut("its backlog cannot be read");
                return;
            }
        };
        let mut state = lock(&self.state);
        state.cursor = cursor;
        state.fresh = waiting;
        state.behind |= waiting;
        self.open.store(true, Ordering::Release);
        // What came in since the look has only been marked so far.
        if state.behind || state.events {
            self.wake(&mut state);
        }
    }

    /// Where to begin, and whether anything waits.
    fn look_ahead(&self) -> Result<(Position, bool), StoreError> {
        let floor = self.store.committed();
        let mut cursor = self.store.delivered(self.user)?;
        let waiting = self.store.read(|connection| {
            Ok(
                contacts::newest_event(connection, self.user)? > cursor.event
                    || !contacts::open_requests(connection, self.user, 0, 1)?.is_empty()
                    || messages::backlog(connection, self.user, cursor.message, |_| false)?,
            )
        })?;
        if !waiting {
            cursor.message = cursor.message.max(floor);
        }
        Ok((cursor, waiting))
    }

    /// Queues messages that were committed. Never waits.
    pub fn push(self: &Arc<Self>, push: Push) {
        let mut state = lock(&self.state);
        if !self.open.load(Ordering::Acquire) {
            // Before the login's reply: the backlog is read later and holds it.
            state.behind = true;
            return;
        }
        if state.behind {
            // The store will be read anyway, and holds it.
            return self.wake(&mut state);
        }
        if state.writer.is_none() {
            self.start(&mut state);
        }
        let Some(writer) = &state.writer else {
            return;
        };
        let bytes = push.bytes.len();
        if self.queued.load(Ordering::Acquire) + bytes > CHANNEL_BYTES {
            state.behind = true;
            return self.wake(&mut state);
        }
        // Counted first: the writer takes it off again as soon as it has the push.
        self.queued.fetch_add(bytes, Ordering::AcqRel);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            writer.try_send(Item::Messages(push))
        {
            self.queued.fetch_sub(bytes, Ordering::AcqRel);
            // A full channel wakes the writer, who then finds this.
            state.behind = true;
        }
    }

    /// A contact event was committed.
    pub fn look_at_events(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.events = true;
        if self.open.load(Ordering::Acquire) {
            self.wake(&mut state);
        }
    }

    /// What was queued may not be sent any more; what may is read from the store.
    pub fn start_over(self: &Arc<Self>) {
        // Under the lock: a writer that sees the new epoch also sees that it has to look.
        let mut state = lock(&self.state);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        state.behind = true;
        self.wake(&mut state);
    }

    /// Tries again to have a writer for what could not be given one.
    pub fn retry(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if self.open.load(Ordering::Acquire) && (state.behind || state.events) {
            self.wake(&mut state);
        }
    }

    /// Ends the login's pushes: none goes out after this. The caller holds the wire's lock.
    pub fn close(&self, _proof: &Writing<'_>) {
        self.refuse();
    }

    /// Like [`Outbox::close`] for a connection that is ending: a push that is being written may
    /// still go out.
    pub fn refuse(&self) {
        self.ended.store(true, Ordering::Release);
        self.open.store(false, Ordering::Release);
        // Without a sender the writer's receiver ends its wait.
        lock(&self.state).writer = None;
    }

    /// From now on only `135` moves the user's position.
    pub fn count_explicitly(&self, writing: &mut Writing<'_>) {
        self.explicit.store(true, Ordering::Release);
        writing.count_explicitly(self.user);
    }

    /// Whether the login has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Sees to it that a writer runs and looks at the marks.
    fn wake(self: &Arc<Self>, state: &mut State) {
        match &state.writer {
            // A full channel wakes it as well.
            Some(writer) => drop(writer.try_send(Item::Look)),
            None => self.start(state),
        }
    }

    /// Starts the writer thread; without one the work stays marked, and is looked at again when
    /// another writer ends.
    fn start(self: &Arc<Self>, state: &mut State) {
        let (sender, receiver) = bounded(CHANNEL);
        // Whatever an earlier writer left in its channel went with it.
        self.queued.store(0, Ordering::Release);
        let outbox = Arc::clone(self);
        let cursor = state.cursor;
        let started = self
            .threads
            .spawn(format!("writer-{}", self.name), move || {
                let writer = Writer {
                    outbox,
                    cursor,
                    page: Vec::new(),
                };
                writer.run(&receiver);
            });
        match started {
            Ok(()) => {
                state.writer = Some(sender);
            }
            Err(error) => {
                state.behind = true;
                self.threads.starve(self, &error);
            }
        }
    }
}

/// The writer thread's own state.
struct Writer {
    outbox: Arc<Outbox>,
    /// Everything up to here was written.
    cursor: Position,
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
    fn run(mut self, receiver: &Receiver<Item>) {
        // A panic below must leave the outbox able to have another writer.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            loop {
                self.serve_marks()?;
                match receiver.recv_timeout(IDLE) {
                    Ok(item) => self.serve(item, receiver)?,
                    Err(RecvTimeoutError::Timeout) => {
                        let mut state = lock(&self.outbox.state);
                        if receiver.is_empty() && !state.behind && !state.events {
                            state.writer = None;
                            state.cursor = self.cursor;
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
                log::warn!("messages of user {} wait: {error}", outbox.user);
                let mut state = lock(&outbox.state);
                if state.writer.is_some() {
                    state.writer = None;
                    state.cursor = self.cursor;
                    state.behind = true;
                    outbox.threads.try_later(outbox);
                }
            }
            Err(_) => {
                log::error!("a writer panicked; its connection is ended");
                outbox.wire.cut("its writer panicked");
            }
        }
    }

    /// Reads from the store what no push brings.
    fn serve_marks(&mut self) -> Result<(), End> {
        loop {
            let (fresh, events, behind) = {
                let mut state = lock(&self.outbox.state);
                (
                    std::mem::take(&mut state.fresh),
                    std::mem::take(&mut state.events),
                    std::mem::take(&mut state.behind),
                )
            };
            let served = (|| {
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
            if state.behind || state.events {
                drop(state);
                self.serve_marks()?;
            }
        }
        let mut reached = self.cursor.message;
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
                        self.page = push.bytes;
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
            match self.outbox.deliver(&page, position, epoch) {
                Delivery::Done => self.cursor.message = reached,
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
            let mut last = self.cursor.message;
            self.page.clear();
            let page = &mut self.page;
            let more = outbox.store.read(|connection| {
                page.clear();
                messages::backlog(connection, outbox.user, self.cursor.message, |message| {
                    last = message.id;
                    Reply::MessageSended {
                        chat: message.chat,
                        timestamp: message.timestamp,
                        message: message.body.into(),
                        media: message.media,
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
                match outbox.deliver(&self.page, position, epoch) {
                    Delivery::Done => self.cursor.message = last,
                    Delivery::Stale => continue,
                    Delivery::Closed => return Err(End::Closed),
                }
            }
            if !more {
                // Above all, a push for a message that was deleted meanwhile is now an old one.
                self.cursor.message = self.cursor.message.max(floor);
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
            .read(|connection| contacts::newest_event(connection, outbox.user))?;
        let mut event = self.cursor.event;
        loop {
            let page = outbox.store.read(|connection| {
                contacts::settled_events(connection, outbox.user, event, newest, EVENTS)
            })?;
            let Some(last) = page.last() else { break };
            event = last.key;
            self.tell(&page, event)?;
        }
        // The open ones last: a quick client may answer one as soon as it is told, and it would be
        // a settled event then.
        let mut asker = 0;
        loop {
            let page = outbox.store.read(|connection| {
                contacts::open_requests(connection, outbox.user, asker, EVENTS)
            })?;
            let Some(last) = page.last() else { break };
            asker = last.key;
            self.tell(&page, 0)?;
        }
        // All up to the newest has been told, the open requests among them.
        self.tell(&[], newest)?;
        self.cursor.event = newest.max(event);
        // What has come since is told like any other event.
        self.new_events()
    }

    /// Tells of the contact events behind the cursor.
    fn new_events(&mut self) -> Result<(), End> {
        let outbox = Arc::clone(&self.outbox);
        loop {
            let page = outbox.store.read(|connection| {
                contacts::events(connection, outbox.user, self.cursor.event, EVENTS)
            })?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            let event = last.key;
            self.tell(&page, event)?;
            self.cursor.event = event;
        }
    }

    /// Sends `233` lines; when they have arrived, so has every event up to `event`.
    fn tell(&mut self, events: &[contacts::Event], event: i64) -> Result<(), End> {
        self.page.clear();
        for event in events {
            Reply::ConfirmContactAdd {
                user: event.name.as_str().into(),
            }
            .format(&mut self.page);
        }
        let position = Position { message: 0, event };
        loop {
            let epoch = self.outbox.epoch.load(Ordering::Acquire);
            match self.outbox.deliver(&self.page, position, epoch) {
                Delivery::Done => return Ok(()),
                // A chat was deleted: contact events stay true.
                Delivery::Stale => {}
                Delivery::Closed => return Err(End::Closed),
            }
        }
    }
}

impl Outbox {
    /// Writes pushes, unless the login has ended or they are not to be sent any more.
    fn deliver(&self, bytes: &[u8], position: Position, epoch: u64) -> Delivery {
        let mut writing = self.wire.lock();
        if !self.open.load(Ordering::Acquire) {
            return Delivery::Closed;
        }
        if self.epoch.load(Ordering::Acquire) != epoch {
            return Delivery::Stale;
        }
        if writing.write(bytes).is_err() {
            return Delivery::Closed;
        }
        if position.message > 0 {
            self.store.note_sent(self.user, position.message);
        }
        let mut position = position;
        if self.explicit.load(Ordering::Acquire) {
            position.message = 0;
        }
        if position != Position::default() {
            writing.mark(self.user, position, &self.store);
        }
        Delivery::Done
    }
}
