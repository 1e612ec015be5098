//! Who is online: at most one outbox a user.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::delivery::outbox::Outbox;
use crate::ids::UserId;
use crate::sync::lock;
use crate::sync::{Condvar, Mutex, PoisonError};

/// How long a new login waits for one that is just ending.
const LEAVING: Duration = Duration::from_secs(5);

/// With probes or data unanswered for this long, a right password takes the name over.
const TAKEOVER: Duration = Duration::from_secs(10);

/// The users that are logged in.
///
/// Lock order: `online` is held only to look up, enter or leave; never while taking an outbox's or
/// a connection's lock, and never across a system call.
#[derive(Default)]
pub(crate) struct Hub {
    online: Mutex<HashMap<UserId, Arc<Outbox>>>,
    left: Condvar,
}

impl Hub {
    /// The outbox of a user who is logged in.
    pub(crate) fn find(&self, user: UserId) -> Option<Arc<Outbox>> {
        lock(&self.online).get(&user).cloned()
    }

    /// How many users are logged in.
    pub(crate) fn len(&self) -> usize {
        lock(&self.online).len()
    }

    /// Makes `outbox` its user's. False when the user is logged in on a living connection; a dead
    /// one is aborted, and one that is just closing is waited for.
    pub(crate) fn enter(&self, outbox: &Arc<Outbox>) -> bool {
        let end = Instant::now() + LEAVING;
        loop {
            let there = {
                let mut online = lock(&self.online);
                match online.get(&outbox.user()) {
                    None => {
                        online.insert(outbox.user(), Arc::clone(outbox));
                        return true;
                    }
                    Some(there) => Arc::clone(there),
                }
            };
            if there.connection().is_silent_for(TAKEOVER) {
                there.connection().abort("silent, and its name was wanted");
            } else if !there.has_ended() && !there.connection().has_hung_up() {
                return false;
            }
            let online = lock(&self.online);
            let Some(patience) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            let gone = |online: &mut HashMap<UserId, Arc<Outbox>>| {
                online
                    .get(&outbox.user())
                    .is_some_and(|now| Arc::ptr_eq(now, &there))
            };
            drop(
                self.left
                    .wait_timeout_while(online, patience, gone)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
    }

    /// Frees the name.
    pub(crate) fn leave(&self, outbox: &Arc<Outbox>) {
        let mut online = lock(&self.online);
        if online
            .get(&outbox.user())
            .is_some_and(|there| Arc::ptr_eq(there, outbox))
        {
            online.remove(&outbox.user());
            self.left.notify_all();
        }
    }
}
