//! The text of the line being read: kept, taken back or dropped.

use zeroize::Zeroize;

use super::{Event, Foreign, LineDecoder, first};
use crate::protocol::line::limit::{PLAIN_LIMIT, count_backslashes, overflow};
use crate::protocol::memory;
use crate::protocol::memory::NoMemory;

impl LineDecoder {
    /// Appends text that fits. Room grows by doubling, but not beyond the limit before it must.
    pub(super) fn keep(&mut self, text: &[u8], limit: usize) -> Result<(), NoMemory> {
        let (length, room) = (self.buffer.len(), self.buffer.capacity());
        let needed = length + text.len();
        if needed > room {
            let line = limit.saturating_add(1);
            let goal = if needed <= line {
                (2 * room).max(64).min(line)
            } else {
                room + room / 2
            };
            let goal = goal.max(needed);
            if length <= PLAIN_LIMIT {
                // Not realloc, which would leave a password behind where the line was.
                let mut grown = Vec::new();
                memory::reserve_exact(&mut grown, goal)?;
                grown.extend_from_slice(&self.buffer);
                self.buffer.zeroize();
                self.buffer = grown;
            } else {
                memory::reserve_exact(&mut self.buffer, goal - length)?;
            }
        }
        self.buffer.extend_from_slice(text);
        self.backslashes += count_backslashes(text);
        Ok(())
    }

    /// Whether the text so far ends with a CR.
    pub(super) fn is_after_cr(&self) -> bool {
        match self.dropping {
            true => self.dropped_cr,
            false => self.buffer.last() == Some(&b'\r'),
        }
    }

    /// Keeps a byte of text that is no usual one.
    pub(super) fn keep_byte(&mut self, byte: u8, limit: usize) -> Option<Event<'static>> {
        if self.dropping {
            self.drop_text(&[byte]);
            return None;
        }
        if overflow(self.buffer.len(), self.backslashes, &[byte], limit).is_some() {
            return Some(self.too_long(&[byte]));
        }
        if self.keep(&[byte], limit).is_err() {
            self.drop_line(&[byte]);
            return Some(Event::NoMemory);
        }
        None
    }

    /// Takes back the last character. Of bytes that are no UTF-8, the last one.
    pub(super) fn take_back(&mut self) {
        if self.dropping {
            self.dropped_cr = false;
            return;
        }
        let Some(last) = self.buffer.len().checked_sub(1) else {
            return;
        };
        let tail = self.buffer.iter().rev().take(4);
        let continuations = tail.take_while(|&&byte| byte & 0xC0 == 0x80).count();
        let mut keep = last;
        if let Some(lead) = last.checked_sub(continuations)
            && self.buffer[lead] >= 0xC0
        {
            keep = lead;
        }
        self.backslashes -= count_backslashes(&self.buffer[keep..]);
        self.buffer[keep..].zeroize();
        self.buffer.truncate(keep);
    }

    /// Whether a complete line is the first and HTTP's. From the first that is not blank on, none
    /// is looked at.
    pub(super) fn is_foreign(&mut self, line: &[u8]) -> bool {
        self.wary = line.iter().all(|&byte| byte == b' ');
        first::is_http(line)
    }

    /// The line has become too long with this text, which is not kept.
    pub(super) fn too_long(&mut self, text: &[u8]) -> Event<'static> {
        let mut head = [0; first::HEAD];
        let mut length = 0;
        if self.wary {
            for (room, &byte) in head.iter_mut().zip(self.buffer.iter().chain(text)) {
                *room = byte;
                length += 1;
            }
        }
        self.drop_line(text);
        match first::begins_like_http(&head[..length]) {
            true => Event::Foreign(Foreign::Http),
            false => Event::TooLong,
        }
    }

    /// Drops the line, what was kept of it and this text.
    pub(super) fn drop_line(&mut self, text: &[u8]) {
        let kept = self.buffer.len().saturating_sub(first::TAIL);
        let mut kept = match self.wary {
            true => self.buffer[kept..].to_vec(),
            false => Vec::new(),
        };
        self.forget();
        self.dropping = true;
        self.dropped_cr = false;
        self.mark = 3;
        self.drop_text(&kept);
        kept.zeroize();
        self.drop_text(text);
    }

    /// Drops text of the line being dropped. Of the first one, the end is kept for a look at it.
    pub(super) fn drop_text(&mut self, text: &[u8]) {
        let Some(&last) = text.last() else { return };
        self.dropped_cr = last == b'\r';
        if self.wary {
            let tail = &text[text.len().saturating_sub(first::TAIL)..];
            let excess = (self.buffer.len() + tail.len()).saturating_sub(first::TAIL);
            self.buffer.drain(..excess);
            self.buffer.extend_from_slice(tail);
        }
    }

    /// Empties the buffer, leaving nothing of a short line to be read in freed memory.
    pub(super) fn forget(&mut self) {
        if self.buffer.len() <= PLAIN_LIMIT {
            self.buffer.as_mut_slice().zeroize();
        }
        self.buffer.clear();
        if self.buffer.capacity() > PLAIN_LIMIT {
            self.buffer = Vec::new();
        }
        self.backslashes = 0;
        self.finished = false;
    }
}
