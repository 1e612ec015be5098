//! The rows of a page: cells and records, as sections 1.6 and 2.1 of SQLite's file format have them.

use rusqlite::types::Value;

use super::bytes::be32;
use super::pages::{Pages, Tree, Use};

/// A row, its key first where it is that of the tree.
pub(crate) struct Row {
    pub(crate) rowid: Option<i64>,
    pub(crate) values: Vec<Value>,
}

/// The rows of a page, each None if it makes no sense; None for a page that is none of a tree.
pub(crate) fn rows(pages: &Pages, number: u32, page: &[u8]) -> Option<Vec<Option<Row>>> {
    let tree = Tree::of(page, number)?;
    if tree.rowids && !tree.leaf {
        // It only shows the way.
        return Some(Vec::new());
    }
    let row = |index| {
        let mut cell = tree.cell(page, index)?;
        if !tree.leaf {
            cell = cell.get(4..)?;
        }
        let length = usize::try_from(varint(&mut cell)?).ok()?;
        let rowid = if tree.rowids {
            Some(varint(&mut cell)?)
        } else {
            None
        };
        let values = record(&payload(pages, cell, length, tree.rowids)?)?;
        Some(Row { rowid, values })
    };
    Some((0..tree.cells).map(row).collect())
}

fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for index in 0..9 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if index == 8 {
            value = value << 8 | u64::from(*first);
            break;
        }
        value = value << 7 | u64::from(first & 0x7f);
        if first & 0x80 == 0 {
            break;
        }
    }
    Some(value.cast_signed())
}

/// A record of this length, which may go on in pages of its own.
fn payload(pages: &Pages, cell: &[u8], length: usize, rowids: bool) -> Option<Vec<u8>> {
    let size = pages.size;
    let most = if rowids {
        size - 35
    } else {
        (size - 12) * 64 / 255 - 23
    };
    if length <= most {
        return cell.get(..length).map(<[u8]>::to_vec);
    }
    if length > (pages.count as usize).checked_mul(size)? {
        return None;
    }
    let least = (size - 12) * 32 / 255 - 23;
    let local = least + (length - least) % (size - 4);
    let local = if local <= most { local } else { least };
    let mut bytes = cell.get(..local)?.to_vec();
    let mut next = be32(cell, local);
    while bytes.len() < length {
        if next == 0 || matches!(pages.use_of(next), Use::Tree(_)) {
            return None;
        }
        let page = pages.page(next)?;
        let more = (length - bytes.len()).min(size - 4);
        bytes.extend_from_slice(&page[4..4 + more]);
        next = be32(&page, 0);
    }
    (next == 0).then_some(bytes)
}

/// The columns of a record. No table of ours has others than NULL, INTEGER and TEXT, and no text
/// has a NUL.
fn record(bytes: &[u8]) -> Option<Vec<Value>> {
    let mut rest = bytes;
    let header = usize::try_from(varint(&mut rest)?).ok()?;
    let mut types = bytes.get(bytes.len() - rest.len()..header)?;
    let mut body = bytes.get(header..)?;
    let mut values = Vec::new();
    while !types.is_empty() {
        let kind = varint(&mut types)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 => 8,
            13.. if kind % 2 == 1 => (kind - 13) / 2,
            _ => return None,
        };
        let (value, others) = body.split_at_checked(usize::try_from(length).ok()?)?;
        body = others;
        values.push(match kind {
            0 => Value::Null,
            8 | 9 => Value::Integer(kind - 8),
            1..=6 => {
                let sign = i64::from(value.first()?.cast_signed()) >> 7;
                let number = value.iter().fold(sign, |n, byte| n << 8 | i64::from(*byte));
                Value::Integer(number)
            }
            _ => Value::Text(std::str::from_utf8(value).ok().filter(no_nul)?.to_owned()),
        });
    }
    body.is_empty().then_some(values)
}

fn no_nul(text: &&str) -> bool {
    !text.contains('\0')
}
