//! What delivery promises, by the tests of delivery.rs, over TLS: `support::link` sees it by the name of this program.
#![cfg(feature = "tls")]

#[path = "delivery.rs"]
mod over_tls;
