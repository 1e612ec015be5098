//! The write-ahead log of a damaged database, as far as it can be read (section 4 of SQLite's file
//! format). Behind the first frame that is not as it was written nothing can be told from what was
//! taken back, so nothing more is used.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::bytes::be32;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// What a log begins with; its last bit tells the order of the bytes in checksums.
const MAGIC: u32 = 0x377f_0682;

/// How many logs ago a frame may have been written.
const STALE: u32 = 1 << 24;

/// Where pages that the log has are to be found.
type Frames = HashMap<u32, u64>;

#[derive(Default)]
pub(crate) struct Log {
    file: Option<File>,
    frames: Frames,
    pub(crate) size: Option<usize>,
    /// Pages of the database after its last transaction.
    pub(crate) count: Option<u32>,
    pub(crate) lost: u64,
}

impl Log {
    /// Reads the beginning of a page that the log has; false if it has it not.
    pub(crate) fn page(&self, number: u32, into: &mut [u8]) -> bool {
        match (&self.file, self.frames.get(&number)) {
            (Some(file), Some(place)) => file.read_exact_at(into, *place).is_ok(),
            _ => false,
        }
    }
}

/// A log that is missing has nothing.
pub(crate) fn read(path: &Path) -> Log {
    let Ok(file) = File::open(path) else {
        return Log::default();
    };
    let length = file.metadata().map_or(0, |data| data.len());
    let mut log = Log {
        lost: length,
        ..Log::default()
    };
    let mut header = [0; HEADER];
    if length == 0 || file.read_exact_at(&mut header, 0).is_err() {
        return log;
    }
    let (magic, size) = (be32(&header, 0), be32(&header, 8) as usize);
    let big = magic & 1 == 1;
    let mut sum = checksum(big, &header[..24], (0, 0));
    if magic & !1 != MAGIC
        || !(512..=65_536).contains(&size)
        || sum != (be32(&header, 24), be32(&header, 28))
    {
        return log;
    }
    let mut frame = vec![0; FRAME_HEADER + size];
    let mut place = HEADER as u64;
    let mut pending = Frames::new();
    let mut is_stale = false;
    while file.read_exact_at(&mut frame, place).is_ok() {
        // Of an older log, which this one has not overwritten yet: each counts one on.
        let older = be32(&header, 16).wrapping_sub(be32(&frame, 8));
        is_stale = (1..STALE).contains(&older);
        sum = checksum(big, &frame[..8], sum);
        sum = checksum(big, &frame[FRAME_HEADER..], sum);
        if frame[8..16] != header[16..24] || sum != (be32(&frame, 16), be32(&frame, 20)) {
            break;
        }
        pending.insert(be32(&frame, 0), place + FRAME_HEADER as u64);
        place += frame.len() as u64;
        let count = be32(&frame, 4);
        if count > 0 {
            log.count = Some(count);
            log.frames.extend(pending.drain());
        }
    }
    log.lost = if is_stale { 0 } else { length - place };
    log.size = Some(size);
    log.file = Some(file);
    log
}

/// The checksum of a log over some of its bytes, going on from the one before.
fn checksum(big: bool, bytes: &[u8], (mut one, mut two): (u32, u32)) -> (u32, u32) {
    let word = |at: &[u8]| match big {
        true => be32(at, 0),
        false => be32(at, 0).swap_bytes(),
    };
    for pair in bytes.chunks_exact(8) {
        one = one.wrapping_add(word(pair)).wrapping_add(two);
        two = two.wrapping_add(word(&pair[4..])).wrapping_add(one);
    }
    (one, two)
}
