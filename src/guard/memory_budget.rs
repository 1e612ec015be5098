//! The memory of all long lines that are being received at once (`--max-inflight`).
//!
//! Beyond an allowance, a connection takes from one budget before its line's buffer grows. When the
//! budget is used up it waits, without reading, until others are done.
//!
//! - **No deadlock.** Connections come in the order in which their lines became long. The first of
//!   them may always go on, past the budget if it must: so somebody can, and the memory is at most
//!   the budget and one line. When it is done the next is the first, so nobody waits for ever.
//! - **No hostage.** While somebody waits, a line that is neither complete nor growing is ended with
//!   its connection, see [`MemoryBudget::stalled`]. Who only waits, or whose line is being carried out, is
//!   not meant.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use memchr::memchr;

use crate::sync::lock;

/// What a line may take up without asking. Only a long message written in escapes throughout is
/// longer (48 KiB); so it is media that wait.
pub(crate) const ALLOWANCE: usize = 32 << 10;

/// While others wait, a line has to grow by [`PROGRESS`] in this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes; in ten seconds that is what a poor mobile network manages.
const PROGRESS: usize = 64 << 10;

/// Who waits looks so often whether its connection is still there.
const LOOK: Duration = Duration::from_secs(1);

/// The budget of a server.
pub(crate) struct MemoryBudget {
    size: usize,
    state: Mutex<BudgetState>,
    /// Something was given back, or the server is ending.
    changed: Condvar,
}

#[derive(Default)]
struct BudgetState {
    used: usize,
    closed: bool,
    waiting: usize,
    next: u64,
    /// By the order in which their lines became long.
    lines: BTreeMap<u64, Line>,
}

/// A long line that is being received.
struct Line {
    connection: u64,
    /// Taken from the budget.
    held: usize,
    /// Received so far.
    length: usize,
    doing: Doing,
    /// Its length at some time since which others wait, and that time.
    mark: Option<(usize, Instant)>,
}

#[derive(PartialEq, Eq)]
enum Doing {
    Receiving,
    Waiting,
    /// It is complete and being carried out.
    CarriedOut,
}

/// A connection's part of the budget; given back when dropped.
pub(crate) struct Share {
    budget: Arc<MemoryBudget>,
    connection: u64,
    /// Its line's place in the order, while it holds anything.
    ticket: Option<u64>,
    held: usize,
}

/// The connection or the server has ended while a line waited.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended;

impl MemoryBudget {
    pub(crate) fn new(size: usize) -> Arc<MemoryBudget> {
        Arc::new(MemoryBudget {
            size,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// A connection's share, with nothing taken yet.
    pub(crate) fn share(self: &Arc<Self>, connection: u64) -> Share {
        Share {
            budget: Arc::clone(self),
            connection,
            ticket: None,
            held: 0,
        }
    }

    /// Wakes everybody who waits, for the server is ending.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// The connections that hold others up: their lines have hardly grown for ten seconds in which
    /// somebody waited. To be called about once a second.
    pub(crate) fn stalled(&self, now: Instant) -> Vec<u64> {
        let mut state = lock(&self.state);
        let needed = state.waiting > 0;
        let mut stalled = Vec::new();
        for line in state.lines.values_mut() {
            if !needed || line.doing != Doing::Receiving {
                line.mark = None;
                continue;
            }
            let (length, since) = *line.mark.get_or_insert((line.length, now));
            if line.length.saturating_sub(length) >= PROGRESS {
                line.mark = Some((line.length, now));
            } else if now.saturating_duration_since(since) >= PATIENCE {
                stalled.push(line.connection);
            }
        }
        stalled
    }

    /// Grants the line of `ticket` the whole of `wanted`, if there is room or it is the first.
    fn grant(&self, state: &mut BudgetState, ticket: u64, wanted: usize) -> bool {
        let first = state.lines.keys().next() == Some(&ticket);
        let Some(line) = state.lines.get_mut(&ticket) else {
            return false;
        };
        let more = wanted.saturating_sub(line.held);
        if !first && state.used.saturating_add(more) > self.size {
            return false;
        }
        line.held += more;
        state.used += more;
        true
    }
}

impl Share {
    /// Whether the budget has to be asked before `chunk` is put behind `buffered` bytes of a line.
    /// The usual answer, no, takes no lock.
    #[inline]
    pub(crate) fn is_concerned(&self, buffered: usize, chunk: &[u8]) -> bool {
        buffered > 0 && buffered + chunk.len() > ALLOWANCE
    }

    /// Whether anything was taken.
    pub(crate) fn is_held(&self) -> bool {
        self.ticket.is_some()
    }

    /// Takes the room that a line of `buffered` bytes needs for what of it is in `chunk`; false when
    /// there is none at the moment.
    pub(crate) fn try_take(&mut self, buffered: usize, chunk: &[u8], limit: usize) -> bool {
        let length = length_with(buffered, chunk);
        if length <= ALLOWANCE {
            return true;
        }
        let wanted = room(length, limit);
        let budget = Arc::clone(&self.budget);
        let mut state = lock(&budget.state);
        let ticket = self.enter(&mut state);
        if let Some(line) = state.lines.get_mut(&ticket) {
            line.length = length;
        }
        if wanted > self.held {
            if !budget.grant(&mut state, ticket, wanted) {
                return false;
            }
            self.held = wanted;
        }
        true
    }

    /// As [`Share::try_take`], and waits until there is room. `is_gone` tells whether nobody is there
    /// any more to wait for it.
    pub(crate) fn take(
        &mut self,
        buffered: usize,
        chunk: &[u8],
        limit: usize,
        is_gone: impl Fn() -> bool,
    ) -> Result<(), Ended> {
        let wanted = room(length_with(buffered, chunk), limit);
        let budget = Arc::clone(&self.budget);
        let mut state = lock(&budget.state);
        let ticket = self.enter(&mut state);
        state.set(ticket, Doing::Waiting);
        state.waiting += 1;
        let result = loop {
            if state.closed {
                break Err(Ended);
            }
            if budget.grant(&mut state, ticket, wanted) {
                self.held = self.held.max(wanted);
                break Ok(());
            }
            state = budget
                .changed
                .wait_timeout(state, LOOK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if is_gone() {
                break Err(Ended);
            }
        };
        state.waiting -= 1;
        state.set(ticket, Doing::Receiving);
        result
    }

    /// The line is complete: from here on it is the server that takes its time.
    pub(crate) fn received(&mut self) {
        if let Some(ticket) = self.ticket {
            lock(&self.budget.state).set(ticket, Doing::CarriedOut);
        }
    }

    /// Gives everything back; the line's buffer is gone.
    pub(crate) fn give_back(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        self.held = 0;
        let mut state = lock(&self.budget.state);
        if let Some(line) = state.lines.remove(&ticket) {
            state.used -= line.held;
        }
        drop(state);
        self.budget.changed.notify_all();
    }

    /// Its line's place in the order.
    fn enter(&mut self, state: &mut BudgetState) -> u64 {
        if let Some(ticket) = self.ticket {
            return ticket;
        }
        let ticket = state.next;
        state.next += 1;
        state.lines.insert(
            ticket,
            Line {
                connection: self.connection,
                held: 0,
                length: 0,
                doing: Doing::Receiving,
                mark: None,
            },
        );
        self.ticket = Some(ticket);
        ticket
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl BudgetState {
    fn set(&mut self, ticket: u64, doing: Doing) {
        if let Some(line) = self.lines.get_mut(&ticket) {
            line.doing = doing;
        }
    }
}

/// The length of a line of `buffered` bytes with what of it is in `chunk`.
fn length_with(buffered: usize, chunk: &[u8]) -> usize {
    buffered + memchr(b'\n', chunk).unwrap_or(chunk.len())
}

/// The buffer of a line of `length` bytes, as the decoder makes it grow: doubled up to its limit,
/// and from there on by halves.
fn room(length: usize, limit: usize) -> usize {
    let line = limit.saturating_add(1);
    if length <= line {
        length.next_power_of_two().min(line)
    } else {
        length.saturating_add(length / 2)
    }
}

#[cfg(test)]
mod tests;
