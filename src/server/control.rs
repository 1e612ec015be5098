//! Obeys what another process asks by way of the database; see [`crate::store::admin::orders`].

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::Server;
use crate::guard::log_limit::log_limited;
use crate::store::admin::orders;
use crate::store::admin::orders::{Order, Placed};

/// After a change, orders are looked for so much longer: the time of a file's last change is
/// coarse, and another one at nearly the same time may not be seen by it.
const COARSE: Duration = Duration::from_secs(1);

/// Looks for orders.
pub(crate) struct Orders {
    /// Whoever writes to the database writes to its write-ahead log.
    log: PathBuf,
    seen: Option<SystemTime>,
    /// When a change of the log was last noticed.
    noticed: Option<Instant>,
    /// What was obeyed and may still be there, since its removal failed: to be obeyed once only.
    obeyed: Vec<Placed>,
}

impl Orders {
    pub(crate) fn new(server: &Server) -> Orders {
        let mut log = server.context.store.path().as_os_str().to_owned();
        log.push("-wal");
        let mut orders = Orders {
            log: PathBuf::from(log),
            seen: None,
            noticed: None,
            obeyed: Vec::new(),
        };
        // What was ordered before the start is forgotten already.
        orders.seen = orders.last_change();
        orders
    }

    fn last_change(&self) -> Option<SystemTime> {
        fs::metadata(&self.log)
            .and_then(|data| data.modified())
            .ok()
    }

    /// Whether anybody may have written since the last look. An idle server spares itself the
    /// database, and the 250 KiB that a connection takes once it is used.
    fn has_changed(&mut self) -> bool {
        let now = self.last_change();
        if now.is_none() || now != self.seen {
            self.seen = now;
            self.noticed = Some(Instant::now());
        }
        self.noticed
            .is_some_and(|noticed| noticed.elapsed() <= COARSE)
    }

    /// Looks for orders and obeys them. This is one look at one page while others write, and none
    /// while nobody does.
    pub(crate) fn look(&mut self, server: &Server) {
        if !self.has_changed() && self.obeyed.is_empty() {
            return;
        }
        let store = &server.context.store;
        let waiting = match store.read(|view| orders::waiting(view)) {
            Ok(waiting) => waiting,
            Err(error) => {
                log::debug!("orders cannot be read: {error}");
                return;
            }
        };
        self.obeyed.retain(|placed| waiting.contains(placed));
        for placed in waiting {
            if !self.obeyed.contains(&placed) {
                obey(server, placed.order);
                self.obeyed.push(placed);
            }
            // Only then it is known to be obeyed.
            if let Err(error) = store.write(1, move |tx| orders::done(tx, placed)) {
                log_limited!(
                    Warn,
                    "an order cannot be removed, to be tried again: {error}"
                );
            }
        }
    }
}

fn obey(server: &Server, order: Order) {
    match order {
        Order::End(user) => {
            let context = &server.context;
            let Some(outbox) = context.hub.find(user) else {
                return;
            };
            log::info!(
                "the login of user {user} on connection {} is ended: the operator wants it",
                outbox.connection().id()
            );
            // From here on no push goes out, and the session takes itself for a guest, who has the
            // usual time to log in; then the name is free.
            // Refused first: a session that lifts its limit looks whether its login has ended then.
            outbox.refuse();
            outbox.connection().set_deadline(Some(context.login_grace));
            outbox.end_receipts(false);
            context.hub.leave(&outbox);
        }
        // Done along with the removal, by the maintenance thread.
        Order::Purge => log::info!("the operator wants something purged"),
    }
}
