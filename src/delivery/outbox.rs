//! What one login is still to be sent, and the thread that sends it.
//!
//! The database is the truth; pushes make it fast. A push carries the ids of its first and last
//! message and of the message before it to the same recipient. What is at or below the cursor was
//! sent; what follows it without a gap is sent, at once or with what is known to come behind it;
//! everything else is read from the store, in pages: so nothing is lost, doubled or out of order
//! whatever becomes of a push, and a backlog costs disk, not memory.
//!
//! Whoever brings a push writes it (`push`), if nobody else is writing and the kernel takes it
//! without waiting: no thread has to wake for it. Otherwise it goes through a channel to the
//! writer thread, which may wait. That thread lives while there is something to write, or was recently.
//! Whether one runs changes only under the lock of the outbox's state.

pub(crate) mod push;
pub(crate) mod receipts;
mod writer;

use std::sync::Arc;

use crate::delivery::outbox::push::{Push, ReorderBuffer};
use crate::delivery::outbox::receipts::Receipts;
use crate::delivery::outbox::writer::Writer;
use crate::guard::log_limit::log_limited;
use crate::guard::threads::Threads;
use crate::ids::{MessageId, UserId};
use crate::net::connection::{Connection, WriteGuard};
use crate::store::deliveries::{Position, Standing};
use crate::store::{Store, StoreError, contacts, messages};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use crate::sync::channel::{Sender, TrySendError, bounded};
use crate::sync::lock;

/// Pushes that may wait in the channel; behind that, the writer reads from the store.
pub(crate) const CHANNEL: usize = if cfg!(all(test, feature = "shuttle")) {
    2
} else {
    64
};

/// Bytes that may wait in the channel.
pub(crate) const CHANNEL_BYTES: usize = 256 << 10;

pub(crate) enum Item {
    Messages(Push<'static>),
    /// There is something to be read from the store.
    Look,
}

/// What a login is still to be sent. It belongs to the login, not to the connection.
pub(crate) struct Outbox {
    pub(crate) user: UserId,
    name: String,
    pub(crate) connection: Arc<Connection>,
    pub(crate) store: Store,
    pub(crate) threads: Arc<Threads>,
    /// No push goes out before the login's reply, nor after the logout's. Cleared under the
    /// wire's lock, so that a push is either out before or never.
    pub(crate) open: AtomicBool,
    /// The login is over.
    ended: AtomicBool,
    /// Grows when what was queued or read may not be sent any more (a chat was deleted).
    pub(crate) epoch: AtomicU64,
    pub(crate) receipts: Receipts,
    /// Messages up to this one were written. Grows under the wire's lock; also without it where
    /// the store has none in between.
    pub(crate) cursor: AtomicI64,
    /// Contact events up to this one were told; the writer's alone once it runs.
    pub(crate) told: AtomicI64,
    /// Bytes in the channel.
    pub(crate) queued: AtomicUsize,
    pub(crate) state: Mutex<State>,
}

/// Lock order: the wire's lock before this, this before the list of the starved.
pub(crate) struct State {
    /// The way to the writer thread, while one runs.
    pub(crate) writer: Option<Sender<Item>>,
    /// The store holds messages that no push will bring.
    pub(crate) behind: bool,
    /// The store holds contact events that were not told.
    pub(crate) events: bool,
    /// Nothing was told since the login: open requests come first.
    pub(crate) fresh: bool,
    /// The writer is reading from the store what was marked.
    pub(crate) looking: bool,
    /// The kernel has not taken all that was written.
    pub(crate) stuck: bool,
    /// Pushes that others are to write; see `push`.
    pub(crate) early: ReorderBuffer,
    /// The next sweep looks at this outbox.
    pub(crate) noted: bool,
    /// It waits for a thread for its writer, in the list of those who do.
    starved: bool,
}

impl State {
    /// Whether the writer has to look at something besides its channel.
    pub(crate) fn has_marks(&self) -> bool {
        self.behind || self.events || self.stuck
    }
}

pub(crate) enum Delivery {
    Done,
    /// The epoch has moved on: what was to be sent is to be read again.
    Stale,
    /// The login has ended, or the connection is gone.
    Closed,
}

impl Outbox {
    /// The outbox of a login that begins; it holds everything back until [`Outbox::begin`].
    pub(crate) fn new(
        user: UserId,
        name: &str,
        connection: &Arc<Connection>,
        store: &Store,
        threads: &Arc<Threads>,
    ) -> Arc<Outbox> {
        Arc::new(Outbox {
            user,
            name: name.to_owned(),
            connection: Arc::clone(connection),
            store: store.clone(),
            threads: Arc::clone(threads),
            open: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            receipts: Receipts::default(),
            cursor: AtomicI64::new(0),
            told: AtomicI64::new(0),
            queued: AtomicUsize::new(0),
            state: Mutex::new(State {
                writer: None,
                behind: false,
                events: false,
                fresh: true,
                looking: false,
                stuck: false,
                early: ReorderBuffer::default(),
                noted: false,
                starved: false,
            }),
        })
    }

    /// Whose it is.
    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    /// The user's name as registered.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The connection that it writes to.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The login's reply is out: what has waited for the user may follow. Called after the hub
    /// knows the outbox, so that nothing falls between the backlog and the first push.
    pub(crate) fn begin(self: &Arc<Self>) {
        // A login with nothing waiting, the usual case of an idle client, needs no writer thread.
        let (cursor, waiting) = match self.look_ahead() {
            Ok((found, cursor, waiting)) => {
                self.begin_receipts(found.position.message, found.explicit);
                (cursor, waiting)
            }
            Err(error) => {
                log_limited!(
                    Warn,
                    "the backlog of user {} cannot be read: {error}",
                    self.user
                );
                self.connection.abort("its backlog cannot be read");
                return;
            }
        };
        let mut state = lock(&self.state);
        self.cursor
            .store(cursor.message.number(), Ordering::Release);
        self.told.store(cursor.event, Ordering::Release);
        state.fresh = waiting;
        state.behind |= waiting;
        self.open.store(true, Ordering::SeqCst);
        // The operator may have ended it already.
        if self.ended.load(Ordering::SeqCst) {
            self.open.store(false, Ordering::SeqCst);
            return;
        }
        // What came in since the look has only been marked so far.
        if state.behind || state.events {
            self.wake(&mut state);
        }
    }

    /// How the user stands, where to begin, and whether anything waits.
    fn look_ahead(&self) -> Result<(Standing, Position, bool), StoreError> {
        let floor = self.store.committed();
        let standing = self.store.standing(self.user)?;
        let mut cursor = standing.position;
        let waiting = self.store.read(|view| {
            Ok(contacts::newest_event(view, self.user)? > cursor.event
                || !contacts::open_requests(view, self.user, None, 1)?.is_empty()
                || messages::backlog(view, self.user, cursor.message, |_| false)?)
        })?;
        if !waiting {
            cursor.message = cursor.message.max(floor);
        }
        Ok((standing, cursor, waiting))
    }

    /// Hands a push to the writer.
    pub(crate) fn queue(self: &Arc<Self>, state: &mut State, push: Push<'_>) {
        if !self.open.load(Ordering::Acquire) {
            // Before the login's reply: the backlog is read later and holds it.
            state.behind = true;
            return;
        }
        if state.behind {
            // The store will be read anyway, and holds it.
            return self.wake(state);
        }
        if state.writer.is_none() {
            self.start(state);
        }
        let Some(writer) = &state.writer else {
            return;
        };
        let bytes = push.bytes.len();
        if self.queued.load(Ordering::Acquire) + bytes > CHANNEL_BYTES {
            state.behind = true;
            return self.wake(state);
        }
        // Counted first: the writer takes it off again as soon as it has the push.
        self.queued.fetch_add(bytes, Ordering::AcqRel);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            writer.try_send(Item::Messages(push.kept()))
        {
            self.queued.fetch_sub(bytes, Ordering::AcqRel);
            // A full channel wakes the writer, who then finds this.
            state.behind = true;
        }
    }

    /// A contact event was committed.
    pub(crate) fn look_at_events(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.events = true;
        if self.open.load(Ordering::Acquire) {
            self.wake(&mut state);
        }
    }

    /// What was queued may not be sent any more; what may is read from the store.
    pub(crate) fn start_over(self: &Arc<Self>) {
        // Under the lock: a writer that sees the new epoch also sees that it has to look.
        let mut state = lock(&self.state);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        state.behind = true;
        self.wake(&mut state);
    }

    /// Tries again to have a writer for what could not be given one. False when it needs none any
    /// more, so that somebody else may have the thread.
    pub(crate) fn retry(self: &Arc<Self>) -> bool {
        let mut state = lock(&self.state);
        state.starved = false;
        self.serve(&mut state);
        state.writer.is_some() || state.starved
    }

    /// For a sweep: the same, and gives up on pushes that wait for what does not come.
    pub(crate) fn sweep(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.noted = false;
        if state.early.is_overdue() {
            state.behind = true;
        }
        self.note_early(&mut state);
        self.serve(&mut state);
    }

    /// Has the next sweep look at it.
    pub(crate) fn note(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.noted, true) {
            self.threads.try_later(self);
        }
    }

    fn serve(self: &Arc<Self>, state: &mut State) {
        if self.open.load(Ordering::Acquire) && state.has_marks() {
            self.wake(state);
        }
    }

    /// Ends the login's pushes: none goes out after this. The caller holds the wire's lock.
    pub(crate) fn close(&self, _proof: &WriteGuard<'_>) {
        self.refuse();
    }

    /// Like [`Outbox::close`] for a connection that is ending: a push that is being written may
    /// still go out.
    pub(crate) fn refuse(&self) {
        // In this order, and as seen by all: see `begin`.
        self.ended.store(true, Ordering::SeqCst);
        self.open.store(false, Ordering::SeqCst);
        let mut state = lock(&self.state);
        // Without a sender the writer's receiver ends its wait.
        state.writer = None;
        state.early.clear();
    }

    /// The newest message written, while something is left that was waiting to be written.
    pub(crate) fn unwritten(&self) -> Option<MessageId> {
        let state = lock(&self.state);
        let waits = state.has_marks() || state.looking;
        (waits && !self.has_ended()).then(|| self.cursor())
    }

    /// Whether the login has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Sees to it that a writer runs and looks at the marks.
    pub(crate) fn wake(self: &Arc<Self>, state: &mut State) {
        match &state.writer {
            // A full channel wakes it as well.
            Some(writer) => drop(writer.try_send(Item::Look)),
            None => self.start(state),
        }
    }

    /// Starts the writer thread; without one the work stays marked, and is looked at again when
    /// another thread ends, or by the next sweep. Until then nothing is tried: what cannot be had
    /// would be asked for at each push.
    fn start(self: &Arc<Self>, state: &mut State) {
        if state.starved {
            state.behind = true;
            return;
        }
        let (sender, receiver) = bounded(CHANNEL);
        // Whatever an earlier writer left in its channel went with it.
        self.queued.store(0, Ordering::Release);
        let outbox = Arc::clone(self);
        let started = self
            .threads
            .spawn(format!("writer-{}", self.name), move || {
                Writer::new(outbox).run(&receiver);
            });
        match started {
            Ok(()) => {
                state.writer = Some(sender);
            }
            Err(error) => {
                state.behind = true;
                state.starved = true;
                self.threads.starve(self, &error);
            }
        }
    }
}

/// For the writer.
impl Outbox {
    /// Writes pushes, unless the login has ended or they are not to be sent any more. `from` is the
    /// cursor that they follow.
    pub(crate) fn deliver(
        &self,
        bytes: &[u8],
        from: MessageId,
        position: Position,
        epoch: u64,
    ) -> Delivery {
        let mut writing = self.connection.lock();
        if !self.open.load(Ordering::Acquire) {
            return Delivery::Closed;
        }
        if self.epoch.load(Ordering::Acquire) != epoch
            || position.message > MessageId::NONE && self.cursor() != from
        {
            return Delivery::Stale;
        }
        if writing.write(bytes).is_err() {
            return Delivery::Closed;
        }
        self.note_sent(&mut writing, position);
        Delivery::Done
    }

    pub(crate) fn cursor(&self) -> MessageId {
        MessageId::new(self.cursor.load(Ordering::Acquire))
    }

    /// Moves the cursor up to `message`, never back.
    pub(crate) fn pass(&self, message: MessageId) {
        self.cursor.fetch_max(message.number(), Ordering::AcqRel);
    }

    /// Moves the cursor behind what was just written, and marks where it ends.
    pub(crate) fn note_sent(&self, writing: &mut WriteGuard<'_>, mut position: Position) {
        if position.message > MessageId::NONE {
            self.pass(position.message);
            self.store.note_sent(self.user, position.message);
        }
        if self.receipts.are_explicit() {
            position.message = MessageId::NONE;
        }
        if position != Position::default() {
            writing.mark(self.user, self.receipts.number(), position, &self.store);
        }
    }
}
