//! All integration tests, in one program: it is linked once, and its tests run beside each other,
//! more of them than there are cores (`.cargo/config.toml`), since they wait most of the time.
//! Those of one file are run by `cargo test --test all FILE::`.
// `over_tls` has some of them once more.
#![allow(clippy::duplicate_mod)]
#![allow(clippy::too_many_lines)]

// Some of it is for tests of a feature alone.
#[cfg_attr(not(all(feature = "client", feature = "tls")), allow(dead_code))]
mod support;

mod ctl;
mod ctl_copies;
mod delivery;
mod faults;
mod fuzz_corpus;
mod health;
mod idle;
mod ids;
mod layers;
mod limits;
mod listening;
mod logging;
mod logins;
mod long_start;
mod media;
mod memory;
mod names;
mod network;
mod new_database;
mod options;
mod packets;
mod place;
mod proxies;
mod received;
mod retention;
mod salvage;
mod secrets;
mod shutdown;
mod signals;
mod slow;
mod table_only;
mod telnet;
mod text_quota;
mod transcripts;

#[cfg(feature = "client")]
mod client;

#[cfg(feature = "tls")]
mod certificates;
// Its pages have the options of TLS.
#[cfg(feature = "tls")]
mod manual;
#[cfg(feature = "tls")]
mod over_tls;
#[cfg(feature = "tls")]
mod tls;

/// A file that is not listed above would be left out without a word.
#[test]
fn each_file_is_listed() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let listed: Vec<&str> = include_str!("main.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    for entry in std::fs::read_dir(directory).expect("tests") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let rust = path.extension().is_some_and(|ext| ext == "rs");
        if let Some(name) = name.filter(|&name| rust && name != "main") {
            assert!(listed.contains(&name), "tests/{name}.rs: no `mod {name};`");
        }
    }
}
