//! What delivery promises, the orderly and the sudden end, and each conversation of
//! `tests/transcripts`, over TLS: the support that stands here speaks it.

#[allow(dead_code)]
#[path = "support/mod.rs"]
mod support;

#[path = "delivery.rs"]
mod delivery;
#[path = "shutdown.rs"]
mod shutdown;
#[path = "transcripts.rs"]
mod transcripts;
