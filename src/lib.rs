//! Plausch: a small chat server.
pub mod protocol;
