//! Live delivery: `hub` (who is online), `outbox` (the undelivered pushes of each login), `peer`
//! (what a handler may do with a connection). `races` tries many orders of their threads' steps.

pub(crate) mod hub;
pub(crate) mod outbox;
pub(crate) mod peer;

#[cfg(test)]
mod races;
