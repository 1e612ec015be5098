//! Plausch: a small chat server.
pub mod config;
pub mod ops;
pub mod protocol;
pub mod store;
