//! Names and passwords: services that ops, config, ctl and the client share.

pub(crate) mod names;
pub(crate) mod passwords;
mod precis;
