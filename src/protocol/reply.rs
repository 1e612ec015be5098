//! What the server says (contract, sections 3, 5 and 6): lines → typed replies and pushes.

use crate::protocol::packet::row_of;
use crate::protocol::refusal::Refusal;
use crate::protocol::row::{Role, Row, Sender};
use crate::protocol::status::Status;
use crate::protocol::table::{PACKETS, PushPacket, Reply};
use crate::protocol::value::{Value, padded};
use crate::protocol::values::values;

/// A packet of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromServer<'a> {
    /// It answers a request.
    Reply(Reply<'a>),
    /// It was sent unasked.
    Push(PushPacket<'a>),
}

impl<'a> FromServer<'a> {
    /// Reads a line (without its line end). Allocates only for a value with escapes, and for the
    /// reason of a refusal. Sizes are the server's to keep; here is no limit but the line's.
    pub fn parse(line: &'a [u8]) -> Result<FromServer<'a>, Refusal> {
        let (row, rest) = row_of(line, Sender::Server)?;
        let values = values(row, rest)?;
        let packet = match row.role {
            Role::Push => PushPacket::of(row, values).map(FromServer::Push),
            _ => Reply::of(row, values).map(FromServer::Reply),
        };
        packet.ok_or_else(|| Refusal::of(row, "is not understood"))
    }
}

impl<'a> From<Reply<'a>> for FromServer<'a> {
    fn from(reply: Reply<'a>) -> FromServer<'a> {
        FromServer::Reply(reply)
    }
}

impl Reply<'_> {
    /// The reply to a request that says nothing but this status, if there is such a packet.
    pub fn of_status(request: &Row, status: Status) -> Option<Reply<'static>> {
        let row = PACKETS.iter().find(|row| match row.role {
            Role::Reply { to, statuses } => {
                to == Some(request.number) && statuses.contains(&status.code())
            }
            _ => false,
        })?;
        Reply::of(row, padded([Value::Status(status)]))
    }

    /// The number of the request that it answers; `None` for `210` and `211`, which answer any.
    pub fn to(&self) -> Option<u16> {
        match self.row().role {
            Role::Reply { to, .. } => to,
            _ => None,
        }
    }

    /// The STATUSCODE, in a packet that has one.
    pub fn status(&self) -> Option<Status> {
        self.visit(|_, values| match values {
            [Value::Status(status), ..] => Some(*status),
            _ => None,
        })
    }

    /// The room that the line may take for texts, in bytes: what is given back as a client has sent
    /// it may be as long as a line, and escapes at most double it.
    pub fn room(&self) -> usize {
        let length = |value: &Value<'_>| match value {
            Value::Text(text) => text.len(),
            _ => 0,
        };
        self.visit(|_, values| 2 * values.iter().map(length).sum::<usize>())
    }
}

#[cfg(test)]
mod tests;
