//! Removing what nobody can see any more, and what is old.

pub(crate) mod pin;
pub(crate) mod purge;
pub(crate) mod retention;
