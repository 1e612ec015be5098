//! What is said: bytes ↔ lines ↔ values ↔ packets.
//!
//! The way of a line, and the order in which to read:
//!
//! - `status`: one line a status code.
//! - [`row`]: what a row of the table says, and the macro that makes types of the rows.
//! - [`table`]: the rows. From them come [`Request`], [`Reply`] and [`PushPacket`], parsing and
//!   formatting, `help` and the reasons of `--explain`.
//! - `memory`: room for what comes from the wire, or that there is none.
//! - [`mod@line`]: bytes → bounded lines, telnet commands taken out and answered, other protocols
//!   told apart.
//! - `packet`: the opcode of a line, and its row.
//! - `values`: the values behind it; `unescape`, `data_uri`: what they may hold.
//! - `value`: values → text, bare and quoted.
//! - `refusal`: why a line is no packet.
//! - `request`, `reply`: lines → typed packets, by the three before.
//!
//! Server and client both live on these types, each on the other direction. This module knows
//! nothing of sockets, sessions or the store.

mod data_uri;
pub mod line;
pub(crate) mod memory;
mod packet;
pub(crate) mod refusal;
pub(crate) mod reply;
pub(crate) mod request;
pub mod row;
pub(crate) mod status;
pub mod table;
mod unescape;
pub(crate) mod value;
mod values;

#[cfg(test)]
mod proptests;

pub use line::{Event, Foreign, LineDecoder, Step};
pub use refusal::Refusal;
pub use reply::FromServer;
pub use request::{Limits, MESSAGE_MAX};
pub use status::Status;
pub use table::{PushPacket, Reply, Request};
