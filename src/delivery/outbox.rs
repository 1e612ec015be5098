//! The undelivered pushes of one login.
//!
//! The database is the truth; pushes make it fast. A push carries the ids of its first and last
//! message and of the message before it to the same recipient. What is at or below the cursor was
//! sent; what follows it without a gap is sent, at once or with what is known to come behind it;
//! everything else is read from the store, in pages: so nothing is lost, doubled or out of order
//! whatever becomes of a push, and a backlog costs disk, not memory.
//!
//! `state` decides what may be sent and by whom, as a value; `reorder` keeps pushes that wait. They
//! leave in two ways: a session writes directly (`direct`), with no thread to wake, if nobody else
//! is writing and the kernel takes it without waiting; what has to wait goes through a channel to the
//! catch-up thread (`catch_up`), which lives while there is something to do, or was recently.

mod catch_up;
mod direct;
mod receipts;
mod reorder;
mod state;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use self::receipts::Receipts;
pub(crate) use self::reorder::Push;
use self::state::{Action, OutboxState};
use crate::guard::log_limit::log_limited;
use crate::guard::threads::{Retry, Threads};
use crate::ids::{MessageId, Position, UserId};
use crate::net::connection::{Connection, WriteGuard};
use crate::store::deliveries::Standing;
use crate::store::{Store, StoreError, contacts, messages};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::channel::{Sender, bounded};
use crate::sync::{Mutex, bound, lock};

/// What a login is still to be sent. It belongs to the login, not to the connection.
pub(crate) struct Outbox {
    user: UserId,
    name: String,
    connection: Arc<Connection>,
    store: Store,
    threads: Arc<Threads>,
    receipts: Receipts,
    /// The login is over: for who asks once a line, without the lock.
    ended: AtomicBool,
    /// Lock order: the connection's lock before this, this before the lists of `threads`. Held for
    /// single steps, and for starting a thread.
    state: Mutex<Shared>,
}

/// The state, and the way to the catch-up thread while there is one. What goes into the channel is
/// put there under the state's lock, so the thread leaves nothing behind when it ends.
struct Shared {
    state: OutboxState,
    writer: Option<Sender<Item>>,
}

impl Deref for Shared {
    type Target = OutboxState;

    fn deref(&self) -> &OutboxState {
        &self.state
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut OutboxState {
        &mut self.state
    }
}

/// What the catch-up thread is told.
enum Item {
    Push(Push<'static>),
    /// The state says what there is to do.
    Look,
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
            receipts: Receipts::default(),
            ended: AtomicBool::new(false),
            state: Mutex::new(Shared {
                state: OutboxState::new(bound(reorder::PUSHES)),
                writer: None,
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
        // A login with nothing waiting, the usual case of an idle client, needs no thread.
        let (found, cursor, waiting) = match self.look_ahead() {
            Ok(found) => found,
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
        self.begin_receipts(found.position.message, found.explicit);
        self.change(|state| state.begin(cursor.message, cursor.event, waiting));
    }

    /// How the user stands, where to begin, and whether anything waits.
    fn look_ahead(&self) -> Result<(Standing, Position, bool), StoreError> {
        let watermark = self.store.committed();
        let standing = self.store.standing(self.user)?;
        let mut cursor = standing.position;
        let waiting = self.store.read(|view| {
            Ok(contacts::newest_event(view, self.user)? > cursor.event
                || !contacts::open_requests(view, self.user, None, 1)?.is_empty()
                || messages::backlog(view, self.user, cursor.message, |_| false)?)
        })?;
        if !waiting {
            cursor.message = cursor.message.max(watermark);
        }
        Ok((standing, cursor, waiting))
    }

    /// A contact event was committed.
    pub(crate) fn look_at_events(self: &Arc<Self>) {
        self.change(OutboxState::note_events);
    }

    /// What waits may not be sent any more; what may is read from the store.
    pub(crate) fn start_over(self: &Arc<Self>) {
        self.change(OutboxState::start_over);
    }

    /// Ends the login's pushes: none goes out after this. The caller holds the connection's lock.
    pub(crate) fn close(&self, _proof: &WriteGuard<'_>) {
        self.refuse();
    }

    /// Like [`Outbox::close`] for a connection that is ending: a push that is being written may
    /// still go out.
    pub(crate) fn refuse(&self) {
        self.ended.store(true, Ordering::Release);
        let mut state = lock(&self.state);
        state.end();
        // Without a sender the thread's wait ends.
        state.writer = None;
    }

    /// The newest message written, while something is left that was waiting to be written.
    pub(crate) fn unwritten(&self) -> Option<MessageId> {
        lock(&self.state).unwritten()
    }

    /// Whether the login has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn change(self: &Arc<Self>, change: impl FnOnce(&mut OutboxState)) {
        let mut state = lock(&self.state);
        change(&mut state);
        self.attend(&mut state);
    }

    /// Carries out what a change of the state asks for.
    fn attend(self: &Arc<Self>, state: &mut Shared) {
        match state.action() {
            Action::Nothing => {}
            Action::WakeThread => {
                // A full channel wakes it, too.
                let _ = state
                    .writer
                    .as_ref()
                    .map(|writer| writer.try_send(Item::Look));
            }
            Action::Sweep => self.threads.try_later(self),
            Action::StartThread => {
                let outbox = Arc::clone(self);
                let (writer, items) = bounded(reorder::PUSHES);
                let name = format!("writer-{}", self.name);
                match self.threads.spawn(name, move || outbox.catch_up(&items)) {
                    Ok(()) => {
                        state.started();
                        state.writer = Some(writer);
                    }
                    Err(error) => {
                        state.starve();
                        self.threads.starve(self, &error);
                    }
                }
            }
        }
    }

    /// Notes that messages or events up to `position` were written, and where they end.
    fn note_sent(&self, writing: &mut WriteGuard<'_>, mut position: Position) {
        if position.message > MessageId::NONE {
            self.store.note_sent(self.user, position.message);
        }
        if self.receipts.are_explicit() {
            position.message = MessageId::NONE;
        }
        if position != Position::default() {
            writing.mark(self.user, self.receipts.number(), position);
        }
    }
}

impl Retry for Outbox {
    fn retry(self: Arc<Self>) -> bool {
        let mut state = lock(&self.state);
        state.retry();
        self.attend(&mut state);
        state.needs_thread()
    }

    fn sweep(self: Arc<Self>) {
        self.change(OutboxState::sweep);
    }
}

#[cfg(test)]
mod tests;
