//! Obeys what another process asks by way of the database; see [`crate::store::orders`].

use super::Server;
use crate::store::orders::{self, Order, Placed};

/// What was obeyed and may still be there, since its removal failed: to be obeyed once only.
#[derive(Default)]
pub(super) struct Orders {
    obeyed: Vec<Placed>,
}

impl Orders {
    /// Looks for orders and obeys them. Without any, this is one look at one page.
    pub(super) fn look(&mut self, server: &Server) {
        let store = &server.context.store;
        let waiting = match store.read(orders::waiting) {
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
                log::warn!("an order cannot be removed, to be tried again: {error}");
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
                outbox.wire().id()
            );
            // From here on no push goes out, and the session takes itself for a guest, who has the
            // usual time to log in; then the name is free.
            outbox.wire().set_deadline(Some(context.login_grace));
            outbox.refuse();
            context.hub.leave(&outbox);
        }
        // Done along with the removal, within the committer.
        Order::Purge => log::info!("the operator wants something purged"),
    }
}
