//! The real `plausch`, in a pseudo-terminal and in scripts, against the real server.

mod person;
mod relay;

mod chatting;
mod floods;
mod losses;
mod passwords;
mod scripts;
#[cfg(feature = "tls")]
mod tls;
