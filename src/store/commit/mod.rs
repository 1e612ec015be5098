//! Writing: group commit.

pub(crate) mod checkpoint;
pub(crate) mod maintenance;
pub(crate) mod queue;
pub(crate) mod quota;
pub(crate) mod text_quota;
pub(crate) mod tx;
pub(crate) mod wal_repair;
pub(crate) mod worker;
