//! The orderly end, and the sudden one, over TLS: `support::link` sees it by the name of this program.
#![cfg(feature = "tls")]

#[path = "shutdown.rs"]
mod over_tls;
