//! Each conversation in `tests/transcripts`. Their README says how they are written;
//! `PLAUSCH_SERVER=host:port` runs them against a server that is already there, and
//! `PLAUSCH_TRANSCRIPT=name` runs one alone.

use super::support::transcript;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

/// They wait most of the time.
const AT_ONCE: usize = 4;

#[test]
fn every_conversation_goes_as_it_is_written() {
    let one = std::env::var("PLAUSCH_TRANSCRIPT").ok();
    let mut names = transcript::names();
    names.retain(|name| one.as_ref().is_none_or(|one| one == name));
    assert!(!names.is_empty(), "no such transcript: {one:?}");
    let names = Mutex::new(names.into_iter());
    let failed = Mutex::new(Vec::new());
    let next = || names.lock().expect("not poisoned").next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(name) = next() {
                    // What it panics with says where.
                    if catch_unwind(AssertUnwindSafe(|| transcript::run(&name))).is_err() {
                        failed.lock().expect("not poisoned").push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("not poisoned");
    assert!(failed.is_empty(), "not as written: {failed:?}");
}
