//! Live delivery: who is online, and the undelivered pushes of each login.

pub(crate) mod hub;
pub(crate) mod outbox;
pub(crate) mod peer;

#[cfg(test)]
mod races;
