//! What it means: the operations behind the requests.
pub mod names;
pub mod passwords;
