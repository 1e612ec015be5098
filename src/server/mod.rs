//! The running server: start and stop, acceptors, sessions, periodic work.
//!
//! In reading order: [`Server`] here, `start` (opens everything), `acceptor` (accepts connections),
//! `admission` (what a new one gets), `registry` (all that are there), `forwarded` (reads a proxy's
//! header), `session` (one client's loop), `sweep` (work of every second), `control` (what
//! `plauschctl` orders), `reload` and `metrics` (SIGHUP, SIGUSR1), `health` (`plauschctl health`).

mod acceptor;
mod admission;
mod control;
mod forwarded;
mod health;
mod metrics;
mod registry;
mod reload;
mod session;
mod start;
mod sweep;

pub use start::StartError;
pub(crate) use start::max_clients;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::guard::connection_slots::ConnectionSlots;
use crate::guard::memory_budget::MemoryBudget;
use crate::net::listen::Listener;
use crate::net::proxy::Network;
use crate::ops::Context;
use crate::protocol::Limits;
use crate::sync::lock;
use crate::sys;
use registry::Registry;

#[cfg(feature = "tls")]
use crate::tls::server::Identity;

/// How long sessions may take for an orderly end; then they are cut.
const ORDERLY: Duration = Duration::from_secs(5);

/// How long they may take after that.
const CUT: Duration = Duration::from_secs(3);

/// A running server. Threads hold it together; [`Running`] is the way to end it.
pub struct Server {
    pub(crate) context: Arc<Context>,
    explain: bool,
    limits: Limits,
    slots: Arc<ConnectionSlots>,
    /// Where proxies are, whose connections begin with a header.
    proxies: Vec<Network>,
    /// Messages a second of one connection; 0 for any number.
    rate: u32,
    budget: Arc<MemoryBudget>,
    #[cfg(feature = "tls")]
    identity: Option<Identity>,
    registry: Arc<Registry>,
    started: Instant,
    stopping: AtomicBool,
    stop: (Mutex<bool>, Condvar),
}

impl Server {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits for the stop, `patience` at most; true when it has come.
    pub(crate) fn wait_for_stop(&self, patience: Duration) -> bool {
        let (stop, told) = &self.stop;
        let (stopped, _) = told
            .wait_timeout_while(lock(stop), patience, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}

/// A server with its threads; ends in order by [`Running::stop`].
pub struct Running {
    server: Arc<Server>,
    config: Config,
    listeners: Vec<Arc<Listener>>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// The addresses that are listened on by now, with the real ports; those with TLS last.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|listener| listener.local_addr())
            .collect()
    }

    /// What the server is doing just now.
    pub fn figures(&self) -> impl fmt::Display {
        metrics::ServerMetrics::of(&self.server)
    }

    /// Reads again what can change under a running server, and says in the log what that was.
    /// Whatever cannot be read stays as it is; no connection is touched.
    pub fn reload(&self) {
        reload::all(&self.server, &self.config);
    }

    /// Ends within ten seconds, whatever the clients do: no new connections, no further lines;
    /// what was taken is finished, what was written is given time to arrive, positions are saved,
    /// the write-ahead log is checkpointed.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let server = &self.server;
        if server.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        *lock(&server.stop.0) = true;
        server.stop.1.notify_all();
        for listener in &self.listeners {
            listener.close();
        }
        // Queued hashes are dropped: their logins could not go on anyway.
        server.context.hasher.close();
        server.budget.close();
        for connection in server.registry.all() {
            connection.stop_reading();
        }
        let threads = &server.context.threads;
        if !threads.wait_until_none(ORDERLY) {
            let left = server.registry.all();
            log::info!("{} connections are cut", left.len());
            for connection in left {
                connection.abort("the server is ending");
            }
            if !threads.wait_until_none(CUT) {
                log::warn!("{} threads did not end in time", threads.running());
            }
        }
        for thread in self.threads.drain(..) {
            // A panic was logged by the thread itself.
            let _ = thread.join();
        }
        server.context.hasher.shutdown();
        server.context.store.stop();
    }

    fn spawn(&mut self, name: String, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new()
            .name(name)
            .stack_size(sys::stack_size(128 << 10))
            .spawn(f)?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shut_down();
    }
}
