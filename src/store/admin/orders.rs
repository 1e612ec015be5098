//! What another process (`plauschctl`) asks of a running server, by rows of `counter`.
//!
//! A change to the database alone does not reach what a server keeps in memory: who is logged in,
//! and that there is something to purge. So the change and an order are committed together; the
//! server looks for orders several times a second, obeys, and removes the row. Whoever placed it
//! waits for that, and so knows that the change holds from the next packet on.

use rusqlite::Connection;

use crate::ids::UserId;
use crate::store::{Result, Source, StoreError, Tx};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    End(UserId),
    Purge,
}

/// An order as it was placed; the token tells it from a later one of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) order: Order,
    /// Milliseconds since 1970 at which it was placed, or a little more.
    pub(crate) token: i64,
}

impl Order {
    /// The row's name; all of them lie between `order:` and `order;`.
    fn name(self) -> String {
        match self {
            Order::End(user) => format!("order:end:{user}"),
            Order::Purge => "order:purge".to_owned(),
        }
    }

    /// None for an order of a newer version, which stays for a newer server.
    fn from_name(name: &str) -> Option<Order> {
        match name.strip_prefix("order:")? {
            "purge" => Some(Order::Purge),
            other => {
                let user = other.strip_prefix("end:")?.parse().ok()?;
                Some(Order::End(UserId::new(user)))
            }
        }
    }
}

pub(crate) fn place(tx: &mut Tx<'_>, order: Order) -> Result<Placed, StoreError> {
    let name = order.name();
    let before: i64 = tx.counter(&name)?.unwrap_or(0);
    let token = tx.now().max(before.saturating_add(1));
    tx.set_counter(&name, token)?;
    Ok(Placed { order, token })
}

pub(crate) fn waiting(source: &impl Source) -> Result<Vec<Placed>> {
    let found: Vec<(String, i64)> = source.rows(
        "SELECT name, value FROM counter WHERE name > 'order:' AND name < 'order;'",
        [],
    )?;
    let placed = |(name, token): (String, i64)| {
        let order = Order::from_name(&name)?;
        Some(Placed { order, token })
    };
    Ok(found.into_iter().filter_map(placed).collect())
}

/// Orders from before the start mean nothing: nobody was logged in yet.
pub(crate) fn forget(connection: &Connection) -> Result<(), StoreError> {
    if !waiting(connection)?.is_empty() {
        connection.run(
            "DELETE FROM counter WHERE name > 'order:' AND name < 'order;'",
            [],
        )?;
    }
    Ok(())
}

/// Removes an order that was obeyed, unless it was placed again meanwhile.
pub(crate) fn done(tx: &mut Tx<'_>, placed: Placed) -> Result<(), StoreError> {
    if placed.order == Order::Purge {
        tx.purge_soon();
    }
    Ok(tx.run(
        "DELETE FROM counter WHERE name = ?1 AND value = ?2",
        (placed.order.name(), placed.token),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_its_order() {
        let end = |user| Order::End(UserId::new(user));
        for order in [end(1), end(i64::MAX), Order::Purge] {
            assert_eq!(Order::from_name(&order.name()), Some(order));
        }
        for other in ["message", "order:", "order:end:x", "order:dance"] {
            assert_eq!(Order::from_name(other), None, "{other}");
        }
    }
}
