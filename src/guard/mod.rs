//! Limits on whoever wants too much: `connection_slots`, `login_throttle` (failed logins and
//! registrations), `token_bucket` (messages a second), `memory_budget` (long lines), `threads`,
//! `log_limit` (repeated log lines).

pub(crate) mod connection_slots;
pub(crate) mod log_limit;
pub(crate) mod login_throttle;
pub(crate) mod memory_budget;
pub(crate) mod threads;
pub(crate) mod token_bucket;
