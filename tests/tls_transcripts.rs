//! Each conversation of `tests/transcripts`, over TLS: `support::link` sees it by the name of this program.
#![cfg(feature = "tls")]

#[path = "transcripts.rs"]
mod over_tls;
