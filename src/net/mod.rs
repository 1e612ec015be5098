//! A connection's two directions (`connection`), its buffer (`input`), the PROXY header (`proxy`),
//! listening sockets (`listen`). Knows no store; what was acknowledged is handed to a trait.

pub(crate) mod connection;
pub(crate) mod input;
pub(crate) mod listen;
pub(crate) mod proxy;
