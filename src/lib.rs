//! Plausch: a small chat server.
pub mod protocol;
pub mod store;
