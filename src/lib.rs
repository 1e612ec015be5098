//! Plausch: a small chat server that a person with `telnet` can talk to.
//!
//! The way of a line, which is also the order to read in: bytes become lines, lines requests
//! ([`protocol`]); a session of the [`server`] has each request carried out by an operation
//! ([`ops`]) on the [`store`]; its reply, and the pushes to others, become bytes again.
//!
//! Directions: `protocol` knows nobody; `store` knows nobody; `ops` knows both, and the hub of
//! `server`; only `server` and [`client`] touch sockets. The terminal client lives on the other
//! direction of `protocol`, and on the rules for names in `ops`; without the cargo feature `client`
//! it is left out. [`ctl`], the operator's tool, works on the store without a server. The command
//! lines of all three share [`options`]; [`harmless`] makes what others wrote safe for the terminals
//! of both tools, and [`secrets`] is where both have passwords from.

#[cfg(feature = "client")]
pub mod client;
mod complaint;
pub mod config;
pub mod ctl;
pub mod harmless;
pub mod logger;
pub mod notify;
pub mod ops;
pub mod options;
pub mod protocol;
pub mod secrets;
pub mod server;
pub mod store;
mod sync;
mod sys;
#[cfg(feature = "tls")]
pub mod tls;
