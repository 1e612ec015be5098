//! What is looked at every second: deadlines, lines that stand still, deliveries, dead peers, threads
//! that were missing; and, more often, what an operator wants.

use std::sync::Arc;
#[cfg(feature = "tls")]
use std::time::SystemTime;
use std::time::{Duration, Instant};

use super::Server;
use crate::net::connection::Connection;
use crate::server::control::Orders;
use crate::server::health::Health;

/// Between two sweeps.
const PAUSE: Duration = Duration::from_secs(1);

/// So many times between two sweeps orders are looked for: `plauschctl` waits for them.
const LOOKS: u32 = 4;

/// Every so many sweeps the kernel is asked about each peer.
const ASK_EVERY: u32 = 5;

impl Server {
    /// Cuts a connection whose login has not come in time. Whether it was for want of line ends, of
    /// which `--explain` tells the peer.
    fn end_of_grace(&self, connection: &Connection) -> bool {
        let unended = connection.is_unended();
        if unended
            && self.explain
            && let Some(mut writing) = connection.try_lock()
        {
            // What is not taken at once is lost: here nobody can wait.
            let _ = writing.try_write(&self.refusal("lines end with LF, CR LF or CR NUL"));
        }
        connection.abort("it did not log in in time");
        unended
    }
}

/// Sweeps until the server stops.
pub(crate) fn run(server: &Arc<Server>, mut health: Health) {
    let mut round = 0;
    let mut orders = Orders::new(server);
    loop {
        for _ in 0..LOOKS {
            if server.wait_for_stop(PAUSE / LOOKS) {
                return;
            }
            if server.context.store.is_lost() {
                // The program ends as by SIGTERM, in order; `Store::stop` gives the exit code.
                if let Err(error) = signal_hook::low_level::raise(signal_hook::consts::SIGTERM) {
                    log::error!("the server does not end: {error}");
                }
                server.wait_for_stop(Duration::MAX);
                return;
            }
            health.look(server);
            orders.look(server);
        }
        round = (round + 1) % ASK_EVERY;
        let stalled = server.budget.stalled(Instant::now());
        for connection in server.registry.all() {
            if stalled.contains(&connection.id()) {
                connection.abort("its long line stood still while others waited for room");
                server.context.log_limits.inflight.warn(format_args!(
                    "{} was disconnected: its long line stood still while others waited for room \
                     (--max-inflight)",
                    connection.peer()
                ));
            } else if connection.is_overdue() {
                let hint = match server.end_of_grace(&connection) {
                    true => "; what it sent has a CR and no line end",
                    false => "",
                };
                server.context.log_limits.grace.warn(format_args!(
                    "{} was disconnected: it did not log in in time (--login-grace){hint}",
                    connection.peer()
                ));
            } else if round == 0 && connection.is_silent() {
                connection.abort("the peer has gone silent");
            }
            connection.collect_if_free();
        }
        server.context.threads.sweep();
        make_room(server);
        #[cfg(feature = "tls")]
        if let Some(identity) = &server.identity {
            identity.remind(SystemTime::now(), Instant::now());
        }
    }
}

/// Gives the threads of those who have not logged in to writers that the system has refused. By the
/// limits that were read there are threads enough; but they may have been lowered since, or be used
/// up by others, and messages must not wait for strangers who say nothing.
fn make_room(server: &Server) {
    /// A few serve many: while somebody waits, no writer idles.
    const AT_ONCE: usize = 4;
    let wanted = server.context.threads.take_refused().min(AT_ONCE);
    if wanted == 0 {
        return;
    }
    let mut strangers: Vec<_> = server
        .registry
        .all()
        .into_iter()
        .filter_map(|connection| Some((connection.time_left()?, connection)))
        .collect();
    // Who has been there longest first.
    strangers.sort_by_key(|(left, _)| *left);
    for (_, connection) in strangers.into_iter().take(wanted) {
        connection.abort("users' messages needed its thread");
        server.context.log_limits.slots.warn(format_args!(
            "{} was disconnected: it has not logged in, and the system has no other thread for \
             users' messages",
            connection.peer()
        ));
    }
}
