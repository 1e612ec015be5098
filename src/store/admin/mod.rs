//! What `plauschctl` does on the file.

pub(crate) mod access;
pub(crate) mod check;
pub(crate) mod copy;
pub(crate) mod orders;
pub(crate) mod queries;
pub(crate) mod salvage;
pub(crate) mod statistics;
