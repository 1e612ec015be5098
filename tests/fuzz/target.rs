//! The fuzz target, for libFuzzer: see scripts/fuzz.
#![no_main]

mod check;
// Not the whole library: SQLite would have to be built with the sanitizer too, for nothing.
#[path = "../../src/protocol/mod.rs"]
#[allow(dead_code, unused_imports)]
mod protocol;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
