//! The real `plausch`, in a pseudo-terminal and in scripts, against the real server.
#![cfg(feature = "client")]

#[path = "../support/mod.rs"]
mod support;

mod person;
mod relay;

mod chatting;
mod floods;
mod losses;
mod passwords;
mod scripts;
#[cfg(feature = "tls")]
mod tls;
