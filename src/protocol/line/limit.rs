//! How long a line may get.

use memchr::memchr_iter;

/// A limit above this many bytes makes room for escapes, see [`LineDecoder::step`](super::LineDecoder::step). Up to it, as
/// before login, a limit is a plain count. Buffers up to this size are wiped when given back, since
/// the lines that hold passwords are short.
pub const PLAIN_LIMIT: usize = 4096;

/// The longest line allowed, given the backslashes in it.
pub(super) fn ceiling(limit: usize, backslashes: usize) -> usize {
    if limit <= PLAIN_LIMIT {
        return limit;
    }
    let escaped = limit.saturating_add(backslashes.saturating_mul(5));
    escaped.min(limit.saturating_mul(6))
}

/// How many bytes of `text`, put behind a line of `length` bytes, it takes to make the line too
/// long; `None` if it stays within the limit. Each byte is judged by what came up to it, so the
/// answer does not depend on how the bytes arrived. A CR at the end may yet belong to the line end.
pub(super) fn overflow(
    mut length: usize,
    mut backslashes: usize,
    text: &[u8],
    limit: usize,
) -> Option<usize> {
    if length + text.len() <= limit {
        return None;
    }
    let mut at = 0;
    while at < text.len() {
        let room = ceiling(limit, backslashes).saturating_sub(length);
        let next = &text[at..text.len().min(at + room.max(1))];
        backslashes += count_backslashes(next);
        length += next.len();
        at += next.len();
        if room == 0 && length - usize::from(next == b"\r") > ceiling(limit, backslashes) {
            return Some(at);
        }
    }
    None
}

pub(super) fn count_backslashes(text: &[u8]) -> usize {
    memchr_iter(b'\\', text).count()
}
