//! Writing by group commit: whoever submits a job while nobody commits leads, and commits all that
//! waits in one transaction.
//!
//! In reading order: `job`, `queue` (who leads), `worker` (one transaction), `tx`, `cache` and `ids` (what a
//! job sees), `quota` and `text_quota` (what it may add), `maintenance` (the thread that does the rest),
//! `checkpoint`, `wal_repair`.

pub(crate) mod cache;
mod checkpoint;
mod ids;
mod job;
pub(crate) mod maintenance;
pub(crate) mod queue;
pub(crate) mod quota;
pub(crate) mod text_quota;
pub(crate) mod tx;
mod wal_repair;
mod worker;

pub(crate) use worker::WriteConnection;
