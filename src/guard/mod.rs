//! What slows down whoever wants too much, and whoever strangers could make the server do or log
//! without end.

pub(crate) mod connection_slots;
pub(crate) mod log_limit;
pub(crate) mod login_throttle;
pub(crate) mod memory_budget;
pub(crate) mod threads;
pub(crate) mod token_bucket;
