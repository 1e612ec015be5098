//! Which messages a lane has: an index that is brought forward behind the messages.
//!
//! A commit only appends to `message`. What it has appended stays in memory, in the [`PendingIndex`],
//! until there is enough to be flushed into the index, `lane_message`, as one sorted run ([`Flush`]). A
//! message that went into the index by itself would dirty a page of its own, which is then written to
//! the log and once more to the database; a sorted run changes each page once. (Measured:
//! docs/PERFORMANCE.md.)
//!
//! - **Nothing new has to be safe.** The row of `message` says all; the pending index is read back at a
//!   start. `counter` has the row `indexed`: up to that id the index is complete. Rows above it are
//!   of a flush that did not come to its end, and nobody looks at them.
//! - **One moment.** A read takes the pending index first and begins its transaction then. So whatever
//!   that names is in the snapshot, and what has been flushed since is in it too: in the pending index
//!   that was taken. What was committed later is not seen at all.
//! - **Removed messages** are taken from both tables, and may stay in the pending index; a reader passes
//!   over what has no row, and a flush leaves it out.

mod flush;
mod pending_index;
mod view;

pub(crate) use flush::{Flush, index_all};
pub(crate) use pending_index::{Entry, PendingIndex};
pub(crate) use view::View;
