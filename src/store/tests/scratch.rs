//! Stores for tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::store::commit::quota::Limits;
use crate::store::{Options, Store, Tx};

/// A store in a directory that goes with it.
pub(crate) struct Scratch {
    /// None only while it is being opened again.
    pub(crate) open: Option<Store>,
    pub(crate) directory: PathBuf,
    /// What it is opened with.
    pub(crate) limits: Limits,
}

impl std::ops::Deref for Scratch {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.open.as_ref().unwrap()
    }
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch::with(Limits::default())
    }

    pub(crate) fn directory() -> PathBuf {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let directory = std::env::temp_dir().join(format!(
            "plausch-store-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir(&directory).unwrap();
        directory
    }

    pub(crate) fn with(limits: Limits) -> Scratch {
        Scratch::at(Scratch::directory(), limits)
    }

    pub(crate) fn options(directory: &Path, limits: Limits) -> Options {
        Options {
            path: directory.join("plausch.db"),
            readers: 2,
            check: Duration::from_secs(5),
            marker: None,
            stop: Default::default(),
            leave_checkpoints: false,
            limits,
        }
    }

    pub(crate) fn open(directory: &Path, limits: Limits) -> Store {
        Store::open(&Scratch::options(directory, limits)).unwrap()
    }

    fn at(directory: PathBuf, limits: Limits) -> Scratch {
        Scratch {
            open: Some(Scratch::open(&directory, limits)),
            directory,
            limits,
        }
    }

    /// What there would be after a crash now.
    pub(crate) fn crashed(&self) -> Scratch {
        let directory = Scratch::directory();
        let (from, to) = (self.directory.clone(), directory.clone());
        // In a job, so that nobody writes meanwhile.
        let copy = move |_: &mut Tx<'_>| {
            for name in ["plausch.db", "plausch.db-wal"] {
                std::fs::copy(from.join(name), to.join(name))?;
            }
            Ok(())
        };
        self.write(1, copy).unwrap();
        Scratch::at(directory, self.limits)
    }

    pub(crate) fn reopen(&mut self) {
        self.stop();
        self.open = None;
        self.open = Some(Scratch::open(&self.directory, self.limits));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
