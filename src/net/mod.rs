//! Connections and listening sockets. Knows neither users nor the store.

pub(crate) mod connection;
pub(crate) mod input;
pub(crate) mod listen;
pub(crate) mod proxy;
