//! What the black-box tests stand on: a server of one's own, connections whose every read is timed,
//! and the runner of the transcripts. Nothing here looks into the server: it is started as a
//! program, spoken to over TCP, and watched through its log and /proc.

#[cfg(feature = "tls")]
pub mod certificates;
pub mod client;
pub mod ctl;
pub mod link;
pub mod people;
pub mod process;
pub mod random;
pub mod server;
pub mod system;
pub mod transcript;
pub mod typist;
