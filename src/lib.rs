//! Plausch: a small chat server.
pub mod ops;
pub mod protocol;
