//! What is said: bytes ↔ lines ↔ values ↔ packets.
//!
//! The way of a line, and the order in which to read:
//!
//! - [`table`]: one row a packet, from which parsing, `help` and the reasons of `--explain` come.
//! - [`status`]: one line a status code.
//! - [`memory`]: room for what comes from the wire, or that there is none.
//! - [`mod@line`]: bytes → bounded lines, telnet commands taken out and answered, other protocols
//!   told apart.
//! - [`value`]: bare and quoted values, both ways.
//! - `unescape`: what a quoted value's escapes stand for.
//! - `data_uri`: media as the last word of a bare message.
//! - [`refusal`]: why a line is no packet.
//! - [`request`]: typed requests ↔ lines.
//! - [`reply`]: typed replies and pushes ↔ lines.
//!
//! Server and client both live on these types, each on the other direction. This module knows
//! nothing of sockets, sessions or the store. A new packet is a row in `table` and a variant.

mod data_uri;
pub mod line;
pub mod memory;
pub mod refusal;
pub mod reply;
pub mod request;
pub mod status;
pub mod table;
mod unescape;
pub mod value;

#[cfg(test)]
mod proptests;

pub use line::{Event, Foreign, LineDecoder, Step};
pub use refusal::Refusal;
pub use reply::Reply;
pub use request::{Limits, MESSAGE_MAX, Request};
pub use status::Status;
