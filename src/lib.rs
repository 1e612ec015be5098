//! Plausch: a small chat server that a person with `telnet` can talk to.
//!
//! A line's way, which is also the order to read in: a connection (`net`) reads bytes; they become
//! lines, and lines become requests ([`protocol`]). A session of the [`server`] calls one handler per
//! request (`ops`), which reads and writes the [`store`]. Replies go back on the same connection;
//! pushes go to the recipients' outboxes (`delivery`).
//!
//! The rooms, from the ground up. A room uses those above it in this list only; `tests/layers.rs`
//! checks that.
//!
//! - `ids`, `sync`, `sys`: identifiers; locks, threads and channels; system calls.
//! - [`protocol`]: bytes, lines, values, typed packets.
//! - `guard`: limits on whoever wants too much.
//! - [`tls`], `net`: TLS, connections, listening sockets. They know neither users nor the store.
//! - `auth`: user names and passwords.
//! - [`store`]: the database. No other room names `rusqlite`.
//! - `delivery`: who is online, and the undelivered pushes of each login.
//! - `ops`: what each request means. No socket, no SQL.
//! - [`server`]: start and stop, acceptors, sessions, periodic work.
//!
//! [`client`] (cargo feature `client`) is the terminal client and speaks the other direction of
//! [`protocol`]. [`ctl`], the operator's tool, works on the store without a server. [`config`] and
//! [`options`] are the command lines of all three programs; `secrets` reads passwords for both
//! tools.

#![cfg_attr(test, allow(clippy::too_many_lines))]

mod auth;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
pub mod ctl;
mod delivery;
mod guard;
mod ids;
pub mod logger;
mod net;
pub mod notify;
mod ops;
pub mod options;
pub mod protocol;
mod sanitize;
mod secrets;
pub mod server;
pub mod store;
mod sync;
mod sys;
#[cfg(feature = "tls")]
pub mod tls;
