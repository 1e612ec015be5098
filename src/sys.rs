//! The system calls that no crate wraps: this module and its children alone have `unsafe`. Each is
//! a plain function without state or lock.
#![allow(unsafe_code)]

#[cfg(feature = "client")]
mod clock;
mod files;
mod memory;
mod process;
mod sockets;
mod threads;

#[cfg(feature = "client")]
pub(crate) use clock::{LocalTime, local_time};
pub(crate) use files::{
    FileIdentity, file_identity, private_files, rename_new, room, temporary_files_beside,
};
pub(crate) use memory::{could_map, give_back_heap, keep_heap_small, page_size};
pub(crate) use process::{no_core_dumps, raise_open_files, work};
pub(crate) use sockets::{
    DO_NOT_WAIT, Standing, await_end, has_failed, has_hung_up, is_gone, limit_retransmission_pause,
    peer_info, unacknowledged,
};
pub(crate) use threads::{give_way, release_stack, stack_size};
