//! Starts a server: everything that can fail is opened first, then the threads begin. `plauschd` and
//! the tests call it; `reload` asks for the limit of connections again.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::health::Health;
use super::{Running, Server, acceptor, sweep};
use crate::auth::names;
use crate::auth::passwords::Hasher;
use crate::config::Config;
use crate::delivery::hub::Hub;
use crate::guard::connection_slots::ConnectionSlots;
use crate::guard::log_limit::LogLimits;
use crate::guard::login_throttle::{LoginThrottle, Registrations};
use crate::guard::memory_budget::MemoryBudget;
use crate::guard::threads::Threads;
use crate::net::listen;
use crate::net::listen::Listener;
use crate::ops::Context;
use crate::protocol::Limits;
use crate::store;
use crate::store::{Store, StoreError};
use crate::sys;

#[cfg(feature = "tls")]
use crate::tls::server::{FileError, Identity};

/// Descriptors that are not connections: listeners, standard streams, log, with some room.
const OTHER_FILES: u64 = 40;

/// Descriptors of one connection to the database: the file, its write-ahead log and index.
const FILES_PER_POOLED: u64 = 3;

/// Why a server could not be started.
#[derive(Debug)]
pub enum StartError {
    /// The database cannot be used.
    Database(PathBuf, StoreError),
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The certificate or its key cannot be used.
    #[cfg(feature = "tls")]
    Identity(FileError),
    /// The system refused a thread or another resource.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Database(path, error) => {
                write!(f, "cannot use the database {}: {error}", path.display())
            }
            StartError::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            #[cfg(feature = "tls")]
            StartError::Identity(error) => error.fmt(f),
            StartError::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::System(error)
    }
}

impl Server {
    /// What is to be done to the process before it has any threads.
    pub fn prepare(config: &Config) {
        sys::temporary_files_beside(&config.database);
    }

    /// Opens the database and the listeners, and starts the threads that are not a connection's.
    ///
    /// # Errors
    /// When the database or an address cannot be had, or `stop` has become true while the database
    /// was being looked through or upgraded; nothing is left running then.
    pub fn start(config: &Config, stop: &Arc<AtomicBool>) -> Result<Running, StartError> {
        sys::keep_heap_small();
        sys::private_files();
        if let Err(error) = sys::no_core_dumps() {
            log::warn!("core dumps may be written, with what is in memory: {error}");
        }
        #[cfg(feature = "tls")]
        let identity = identity(config)?;
        let listeners = listen::open(&config.listen, &config.tls_listen)
            .map_err(|(address, error)| StartError::Listen(address, error))?;
        let threads = Arc::new(Threads::new());
        let clients = max_clients(config, &threads)?;
        // What can fail comes before the store, which has threads of its own.
        let hasher = Hasher::start(config.cost)?;
        let store = open_store(config, stop)
            .map_err(|error| StartError::Database(config.database.clone(), error))?;
        warn_if_open(&config.database);
        #[cfg(feature = "tls")]
        if let Some(identity) = &identity {
            identity.tell();
        }
        let context = Context {
            store,
            hub: Hub::default(),
            hasher,
            threads,
            registration_open: config.registration_open,
            login_grace: config.login_grace,
            logins: LoginThrottle::new(config.login_delay),
            registrations: Registrations::new(config.register_rate),
            max_requests: config.max_requests,
            require_tls: config.require_tls,
            log_limits: LogLimits::default(),
        };
        let server = Arc::new(Server {
            context: Arc::new(context),
            explain: config.explain,
            limits: Limits {
                media: config.max_media,
            },
            slots: ConnectionSlots::new(clients, config.max_per_ip),
            proxies: config.proxy_from.clone(),
            rate: config.rate,
            budget: MemoryBudget::new(config.max_inflight),
            #[cfg(feature = "tls")]
            identity,
            registry: Arc::default(),
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            stop: (Mutex::new(false), Condvar::new()),
        });
        Running::begin(server, config, listeners).map_err(StartError::System)
    }
}

impl Running {
    /// Starts the threads of a server.
    fn begin(
        server: Arc<Server>,
        config: &Config,
        listeners: Vec<Listener>,
    ) -> io::Result<Running> {
        let mut running = Running {
            server: Arc::clone(&server),
            config: config.clone(),
            listeners: Vec::new(),
            threads: Vec::new(),
        };
        sys::give_back_heap();
        running.spawn("sweep".to_owned(), {
            let server = Arc::clone(&server);
            // Before anybody reads in the log that it listens.
            let health = Health::new(&server);
            move || sweep::run(&server, health)
        })?;
        for (number, listener) in listeners.into_iter().enumerate() {
            let listener = Arc::new(listener);
            listener.announce();
            running.listeners.push(Arc::clone(&listener));
            let server = Arc::clone(&server);
            running.spawn(format!("acceptor-{}", number + 1), move || {
                acceptor::accept(&server, &listener);
            })?;
        }
        Ok(running)
    }
}

/// Opens the database, and brings it up to today's rules.
fn open_store(config: &Config, stop: &Arc<AtomicBool>) -> Result<Store, StoreError> {
    let store = Store::open(&store::Options {
        path: config.database.clone(),
        marker: config.marker.clone(),
        readers: config.pool,
        check: config.check,
        leave_checkpoints: config.leave_checkpoints,
        stop: Arc::clone(stop),
        limits: kept(config),
    })?;
    map_names(&store)?;
    Ok(store)
}

/// The certificate that connections with TLS are shown.
#[cfg(feature = "tls")]
fn identity(config: &Config) -> Result<Option<Identity>, StartError> {
    match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Identity::load(certificate, key)
            .map(Some)
            .map_err(StartError::Identity),
        _ => Ok(None),
    }
}

/// How much is kept, and for how long.
fn kept(config: &Config) -> store::commit::quota::Limits {
    let days = |days: u32| (days > 0).then(|| Duration::from_secs(u64::from(days) * 24 * 3_600));
    store::commit::quota::Limits {
        media_quota: config.media_quota,
        text_quota: config.text_quota,
        max_database: config.max_database,
        keep_messages: days(config.keep_days),
        keep_media: days(config.keep_media_days),
    }
}

/// Brings what accounts are found by up to today's rules, and names those that share a name now.
fn map_names(store: &Store) -> Result<(), StoreError> {
    let remapped = store.map_names(names::RULES, names::mapped)?;
    if remapped.changed > 0 {
        log::info!("{} names were mapped anew", remapped.changed);
    }
    for store::open::names::Clash { holder, other } in remapped.clashes {
        log::warn!(
            "the names {holder} and {other} are the same by today's rules: every other spelling \
             means {holder}, and {other} is found by just this one; give one of them another \
             name: plauschctl user rename {other} NEW"
        );
    }
    Ok(())
}

/// What the server creates is its owner's alone; a database that was there may have been made by
/// somebody less careful.
fn warn_if_open(database: &Path) {
    let Ok(found) = std::fs::metadata(database) else {
        return;
    };
    let mode = found.permissions().mode() & 0o777;
    if found.is_file() && mode & 0o077 != 0 {
        log::warn!(
            "{} may be read by others than its owner (mode {mode:o}): chmod 600",
            database.display()
        );
    }
}

/// The limit of connections, lowered to what the system has descriptors and threads for.
pub(crate) fn max_clients(config: &Config, threads: &Threads) -> io::Result<usize> {
    let wanted = config.max_clients;
    let others = OTHER_FILES + FILES_PER_POOLED * (u64::from(config.pool) + 1);
    let files = sys::raise_open_files()?.saturating_sub(others);
    let possible = usize::try_from(files)
        .unwrap_or(usize::MAX)
        .min(threads.for_readers())
        .max(1);
    let (limit, by) = (threads.limit(), threads.limited_by());
    let allowed = format!("the system allows {files} open files and {limit} threads ({by})");
    if wanted > possible {
        log::warn!("--max-clients {wanted} is lowered to {possible}: {allowed}");
    } else {
        log::debug!("{allowed}");
    }
    Ok(wanted.min(possible))
}
