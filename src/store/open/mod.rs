//! Opening a database: its place, its schema, whether it is whole, the pool of readers.

pub(crate) mod health;
pub(crate) mod marker;
pub(crate) mod names;
pub(crate) mod place;
pub(crate) mod pool;
pub(crate) mod schema;
