//! The fuzz target, for libFuzzer: see scripts/fuzz.
#![no_main]

mod check;
// Not the whole library: SQLite would have to be built with the sanitizer too, for nothing.
#[path = "../../src/protocol/mod.rs"]
#[allow(dead_code, unused_imports)]
mod protocol;

/// What `protocol` asks the system.
mod sys {
    /// libFuzzer has a limit of its own for memory, and ends at it.
    pub fn could_map(_: usize) -> bool {
        true
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
