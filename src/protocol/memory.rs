//! Memory for what comes from the wire: asked for, not taken for granted.
//!
//! Where Rust's collections can get none they abort the process, and with it everybody's
//! connection. So wherever the wire says how much is needed, a lack of memory is a value.

use std::collections::TryReserveError;

use crate::sys;

/// From this size on, memory is only taken where [`HEADROOM`] is left.
const LARGE: usize = 16 << 10;

/// What large requests leave free, in bytes. The small ones of all threads live on it: those of
/// libraries and of the standard library cannot fail, they abort; so does a thread that is started
/// and gets no stack for its signals.
const HEADROOM: usize = 4 << 20;

/// The system has no memory to give, or little: the reason of a `211`.
pub(crate) const NO_MEMORY: &str = "the server is short of memory; try again";

/// There is no memory for what a peer has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoMemory;

impl From<TryReserveError> for NoMemory {
    fn from(_: TryReserveError) -> Self {
        NoMemory
    }
}

/// Makes room for `more` bytes behind those in `buffer`.
pub(crate) fn reserve(buffer: &mut Vec<u8>, more: usize) -> Result<(), NoMemory> {
    let missing = (buffer.len().saturating_add(more)).saturating_sub(buffer.capacity());
    if missing > 0 {
        // It grows by doubling.
        leave_headroom(missing.max(buffer.capacity()))?;
        buffer.try_reserve(more)?;
    }
    Ok(())
}

/// As [`reserve`], for just that many.
pub(crate) fn reserve_exact(buffer: &mut Vec<u8>, more: usize) -> Result<(), NoMemory> {
    leave_headroom(more)?;
    Ok(buffer.try_reserve_exact(more)?)
}

pub(crate) fn copy(text: &str) -> Result<String, NoMemory> {
    let mut copy = String::new();
    append(&mut copy, text)?;
    Ok(copy)
}

pub(crate) fn append(text: &mut String, more: &str) -> Result<(), NoMemory> {
    let missing = (text.len() + more.len()).saturating_sub(text.capacity());
    if missing > 0 {
        leave_headroom(missing.max(text.capacity()))?;
        text.try_reserve(more.len())?;
    }
    text.push_str(more);
    Ok(())
}

/// An empty text with room for just so many bytes.
pub(crate) fn text(room: usize) -> Result<String, NoMemory> {
    let mut text = String::new();
    leave_headroom(room)?;
    text.try_reserve_exact(room)?;
    Ok(text)
}

/// Asked before `wanted` bytes are taken. Afterwards would be too late: where the allocator cannot
/// map them it takes them of its heaps, and those do not give them back when they are freed.
fn leave_headroom(wanted: usize) -> Result<(), NoMemory> {
    if wanted < LARGE || sys::could_map(wanted.saturating_add(HEADROOM)) {
        Ok(())
    } else {
        Err(NoMemory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any system has.
    const TOO_MUCH: usize = isize::MAX as usize;

    #[test]
    fn what_cannot_be_had_is_an_error_and_nothing_is_lost() {
        let mut buffer = b"kept".to_vec();
        assert_eq!(reserve(&mut buffer, TOO_MUCH), Err(NoMemory));
        assert_eq!(reserve_exact(&mut buffer, TOO_MUCH), Err(NoMemory));
        assert_eq!(buffer, b"kept");
        assert_eq!(text(TOO_MUCH), Err(NoMemory));
    }

    #[test]
    fn what_can_be_had_is_there() {
        let mut buffer = Vec::new();
        assert_eq!(reserve_exact(&mut buffer, 100 << 10), Ok(()));
        assert!(buffer.capacity() >= 100 << 10);
        let mut words = copy("some").expect("memory");
        append(&mut words, " words").expect("memory");
        assert_eq!(words, "some words");
    }
}
