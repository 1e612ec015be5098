//! The state machine of one login's pushes: what has been sent, what waits, and who may send it.
//! A value: no lock, no clock, no input or output. [`super::Outbox`] holds it under a mutex, and
//! whoever changes it carries out its [`Action`] (`Outbox::attend`).
//!
//! Pushes leave in two ways: a session writes them directly ([`OutboxState::offer`] to
//! [`OutboxState::written`]), or they go through a channel to the catch-up thread, which may wait
//! ([`OutboxState::received`] to [`OutboxState::sent`]). Direct writes are possible only while nothing else has to go out first.

use super::reorder::{BYTES, Due, Push, ReorderBuffer};
use crate::ids::MessageId;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The login's reply is not out: pushes are only marked, the backlog is read later.
    Opening,
    /// Pushes go out as they come.
    Live,
    /// The catch-up thread reads from the store, and nothing goes out beside that.
    CatchingUp,
    /// The login is over: nothing goes out.
    Ended,
}

/// Which contact events are to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Events {
    #[default]
    None,
    /// Those behind the last one told.
    New,
    /// Nothing was told since the login: open requests belong to it.
    First,
}

/// What the catch-up thread has to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Todo {
    /// The kernel has not taken all that was written directly.
    pub(super) flush: bool,
    pub(super) events: Events,
    /// The store holds messages that no push brings.
    pub(super) backlog: bool,
    /// Pushes that could not be written directly are in its channel.
    pushes: bool,
}

impl Todo {
    fn is_nothing(self) -> bool {
        self == Todo::default()
    }

    fn reads(self) -> bool {
        self.backlog || self.events > Events::None
    }
}

/// The catch-up thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CatchUpThread {
    None,
    /// There was none to be had. The outbox is in the list of those who wait for one.
    Starved,
    /// It looks at everything before it rests. So does one that ended with its connection, as there
    /// is nothing left to do.
    Busy,
    /// It waits for news.
    Resting,
}

/// What a change of the state asks of its caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    StartThread,
    WakeThread,
    /// The next sweep is to look: what the reorder buffer waits for may never come.
    Sweep,
}

/// How a direct write came out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// The kernel has not taken all: somebody has to wait for it.
    Stuck,
    Gone,
}

/// What becomes of a push that was offered.
pub(super) enum Way<'p> {
    /// The caller writes it now: the push, or several that it completes.
    Direct(Push<'p>),
    /// It goes through the channel to the catch-up thread.
    Thread(Push<'p>),
    /// It waits in the reorder buffer, or the store has it.
    Kept,
}

/// What the catch-up thread is to do next.
pub(super) enum Work {
    Read(Todo),
    Write(Push<'static>, Moment),
    Rest,
    Closed,
}

/// A moment of the outbox: what is read or taken then is to follow `cursor`, and may be sent while
/// the generation is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) cursor: MessageId,
    generation: u64,
}

/// Whether something may be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Permit {
    Granted,
    /// What was to be sent is to be read again.
    Stale,
    /// The login has ended, or has not begun.
    Closed,
}

pub(super) struct OutboxState {
    phase: Phase,
    todo: Todo,
    thread: CatchUpThread,
    /// A session is writing directly; it looks at the reorder buffer afterwards.
    direct: bool,
    /// Pushes that wait. None of them is of an earlier generation, nor while a backlog is to be
    /// read.
    reorder: ReorderBuffer,
    /// Bytes in the channel.
    queued: usize,
    /// Messages up to this one were written. Grows with the connection's lock held; also without it
    /// where the store has none in between.
    cursor: MessageId,
    /// Contact events up to this one were told.
    told: i64,
    /// Grows when what was read or taken may not be sent any more (a chat was deleted).
    generation: u64,
    /// The next sweep looks at this outbox.
    noted: bool,
}

impl OutboxState {
    /// Up to `bound` pushes may wait in it.
    pub(super) fn new(bound: usize) -> OutboxState {
        OutboxState {
            phase: Phase::Opening,
            todo: Todo::default(),
            thread: CatchUpThread::None,
            direct: false,
            reorder: ReorderBuffer::new(bound),
            queued: 0,
            cursor: MessageId::NONE,
            told: 0,
            generation: 0,
            noted: false,
        }
    }

    /// The login's reply is out. `waiting` when the store holds anything behind the cursor.
    pub(super) fn begin(&mut self, cursor: MessageId, told: i64, waiting: bool) {
        if self.phase != Phase::Opening {
            return;
        }
        self.phase = Phase::Live;
        (self.cursor, self.told) = (cursor, told);
        if waiting {
            self.todo.events = Events::First;
            self.todo.backlog = true;
        }
    }

    /// The login is over.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Ended;
        self.reorder.clear();
    }

    /// What the change just made asks for. Called after each change, under the same lock.
    pub(super) fn action(&mut self) -> Action {
        if matches!(self.phase, Phase::Opening | Phase::Ended) {
            return Action::Nothing;
        }
        if !self.todo.is_nothing() {
            return match self.thread {
                CatchUpThread::None => Action::StartThread,
                _ => self.wake(),
            };
        }
        let waits = !self.reorder.is_empty() && !self.direct && self.thread != CatchUpThread::Busy;
        match waits && !std::mem::replace(&mut self.noted, true) {
            true => Action::Sweep,
            false => Action::Nothing,
        }
    }

    fn wake(&mut self) -> Action {
        if self.thread != CatchUpThread::Resting {
            return Action::Nothing;
        }
        self.thread = CatchUpThread::Busy;
        Action::WakeThread
    }

    /// The messages that wait are a matter for the store.
    fn fall_back(&mut self) {
        self.todo.backlog = true;
        self.reorder.clear();
    }

    fn keep(&mut self, push: Push<'_>) {
        if !self.reorder.add(push) {
            self.fall_back();
        }
    }

    /// A contact event was committed.
    pub(super) fn note_events(&mut self) {
        self.todo.events = self.todo.events.max(Events::New);
    }

    /// What waits or was read may not be sent any more; what may is read from the store.
    pub(super) fn start_over(&mut self) {
        self.generation += 1;
        self.fall_back();
    }

    /// For a sweep: gives up on pushes that wait for what does not come.
    pub(super) fn sweep(&mut self) {
        self.noted = false;
        if self.reorder.has_waited() && !self.direct && self.thread != CatchUpThread::Busy {
            self.fall_back();
        }
    }

    /// The newest message written, while something is left that was waiting to be written.
    pub(super) fn unwritten(&self) -> Option<MessageId> {
        let waits = self.todo.flush || self.todo.reads() || self.phase == Phase::CatchingUp;
        (waits && self.phase != Phase::Ended).then_some(self.cursor)
    }
}

/// For who writes directly.
impl OutboxState {
    /// Whether nothing has to go out before a push that follows the cursor.
    fn may_write(&self) -> bool {
        self.phase == Phase::Live && self.todo.is_nothing()
    }

    /// Takes a push that was committed.
    pub(super) fn offer<'p>(&mut self, push: Push<'p>) -> Way<'p> {
        match self.phase {
            Phase::Ended => return Way::Kept,
            Phase::Opening => self.fall_back(),
            Phase::Live | Phase::CatchingUp => {}
        }
        if self.todo.backlog {
            return Way::Kept;
        }
        let Some(previous) = push.previous else {
            self.fall_back();
            return Way::Kept;
        };
        if !self.may_write() {
            return self.for_thread(push);
        }
        let in_order = previous <= self.cursor && !push.more_coming && self.reorder.is_empty();
        if !self.direct && in_order {
            self.direct = true;
            return Way::Direct(push);
        }
        self.keep(push);
        match self.direct {
            true => Way::Kept,
            false => self.go_on().map_or(Way::Kept, Way::Direct),
        }
    }

    /// A push for the catch-up thread's channel, if there is room.
    fn for_thread<'p>(&mut self, push: Push<'p>) -> Way<'p> {
        if self.phase == Phase::Ended || self.todo.backlog {
            return Way::Kept;
        }
        if self.queued + push.bytes.len() > BYTES {
            self.fall_back();
            return Way::Kept;
        }
        self.todo.pushes = true;
        self.queued += push.bytes.len();
        Way::Thread(push)
    }

    /// The connection is locked: what may be written now.
    pub(super) fn recheck<'p>(&mut self, push: Push<'p>) -> Way<'p> {
        // The login may have ended since, and a push of it would come after its 213, or to the next
        // login; or something has to go out before.
        if !self.may_write() {
            return self.hand_over(push);
        }
        if self.cursor < push.first {
            return Way::Direct(push);
        }
        if self.cursor < push.last {
            self.fall_back();
        }
        self.go_on().map_or(Way::Kept, Way::Direct)
    }

    /// Leaves a push to the catch-up thread, who may wait for the connection.
    pub(super) fn hand_over<'p>(&mut self, push: Push<'p>) -> Way<'p> {
        self.direct = false;
        self.for_thread(push)
    }

    /// A push is in the channel, which wakes the thread.
    pub(super) fn queued(&mut self) {
        let _ = self.wake();
    }

    /// A push of so many bytes did not go into the channel: it was full, or there is no thread.
    pub(super) fn not_queued(&mut self, bytes: usize) {
        self.queued -= bytes;
        self.fall_back();
    }

    /// Messages up to `last` were written. Gives back what is to be written next.
    pub(super) fn written(&mut self, last: MessageId, how: Written) -> Option<Push<'static>> {
        if how == Written::Gone {
            self.direct = false;
            return None;
        }
        self.cursor = self.cursor.max(last);
        self.todo.flush |= how == Written::Stuck;
        self.go_on()
    }

    /// What can be written directly of what waits.
    fn go_on(&mut self) -> Option<Push<'static>> {
        let due = match self.may_write() {
            true => self.take_due(),
            false => None,
        };
        self.direct = due.is_some();
        due
    }

    fn take_due(&mut self) -> Option<Push<'static>> {
        match self.reorder.take_due(self.cursor) {
            Due::Nothing => None,
            Due::Push(push) => Some(push),
            Due::Overlap => {
                self.fall_back();
                None
            }
        }
    }
}

/// For the catch-up thread.
impl OutboxState {
    /// It has taken a push out of its channel. One that was put there before a fall-back is the
    /// store's: the channel is emptied before a backlog is taken.
    pub(super) fn received(&mut self, push: Push<'static>) {
        self.queued -= push.bytes.len();
        if self.phase != Phase::Ended && !self.todo.backlog {
            self.keep(push);
        }
    }

    /// What it is to do next; with nothing to do it may end, or rest.
    pub(super) fn take_work(&mut self) -> Work {
        if self.phase == Phase::Ended {
            return Work::Closed;
        }
        self.phase = Phase::Live;
        if !self.todo.reads()
            && !self.todo.flush
            && !self.direct
            && let Some(push) = self.take_due()
        {
            return Work::Write(push, self.moment());
        }
        let todo = std::mem::take(&mut self.todo);
        if todo.reads() {
            self.phase = Phase::CatchingUp;
        } else if !todo.flush {
            return Work::Rest;
        }
        Work::Read(todo)
    }

    /// It waits for news.
    pub(super) fn rest(&mut self) {
        self.thread = CatchUpThread::Resting;
    }

    /// It has waited, and looks at everything.
    pub(super) fn wake_up(&mut self) {
        self.thread = CatchUpThread::Busy;
    }

    /// It ends for want of work.
    pub(super) fn retire(&mut self) {
        self.thread = CatchUpThread::None;
    }

    /// It could not read the store, and ends. The next sweep tries again.
    pub(super) fn fail(&mut self, todo: Todo) -> Action {
        if self.phase == Phase::Ended {
            return Action::Nothing;
        }
        self.thread = CatchUpThread::None;
        // Its channel goes with it.
        self.queued = 0;
        self.phase = Phase::Live;
        self.todo.flush |= todo.flush;
        self.todo.events = self.todo.events.max(todo.events);
        self.fall_back();
        match std::mem::replace(&mut self.noted, true) {
            true => Action::Nothing,
            false => Action::Sweep,
        }
    }

    /// A thread was started.
    pub(super) fn started(&mut self) {
        self.thread = CatchUpThread::Busy;
    }

    /// There was no thread; asked for again when another one ends, or by the next sweep. Until then
    /// nothing is tried: what cannot be had would be asked for at each push.
    pub(super) fn starve(&mut self) {
        self.thread = CatchUpThread::Starved;
        self.fall_back();
    }

    /// It may ask for a thread again.
    pub(super) fn retry(&mut self) {
        if self.thread == CatchUpThread::Starved {
            self.thread = CatchUpThread::None;
        }
    }

    /// Whether it has a thread, or waits for one.
    pub(super) fn needs_thread(&self) -> bool {
        self.thread != CatchUpThread::None
    }

    pub(super) fn moment(&self) -> Moment {
        Moment {
            cursor: self.cursor,
            generation: self.generation,
        }
    }

    /// Whether messages of the moment `moment`, or contact events (None), may be sent. The connection
    /// is locked.
    pub(super) fn permit(&self, moment: Option<Moment>) -> Permit {
        match self.phase {
            Phase::Opening | Phase::Ended => Permit::Closed,
            _ if moment.is_some_and(|moment| moment != self.moment()) => Permit::Stale,
            _ => Permit::Granted,
        }
    }

    /// Messages up to `last` were written.
    pub(super) fn sent(&mut self, last: MessageId) {
        self.cursor = self.cursor.max(last);
    }

    /// What was taken is stale: it is to be read.
    pub(super) fn read_again(&mut self) {
        self.fall_back();
    }

    /// The last contact event that was told.
    pub(super) fn told(&self) -> i64 {
        self.told
    }

    pub(super) fn set_told(&mut self, event: i64) {
        self.told = event;
    }
}

#[cfg(test)]
mod tests;
