//! The pages of a damaged database and of its write-ahead log, read without SQLite, which gives up a
//! whole tree for one bad page of it. Nothing that is read is believed: a page that cannot be read
//! or makes no sense is passed over. The terms are those of SQLite's file format
//! (<https://www.sqlite.org/fileformat2.html>).

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::bytes::{be16, be32};
use super::log::{self, Log};

/// The page sizes that databases of ours have had.
const SIZES: [usize; 2] = [8192, 4096];

const MAGIC: &[u8] = b"SQLite format 3\0";

/// Header of the first page, in bytes.
const HEADER: usize = 100;

/// Trees are not that deep.
const DEPTH: usize = 20;

/// What a page is there for, by the map of pages (section 1.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The map does not say: there is none, or it is damaged.
    Unknown,
    /// It is a page of the tree with this root.
    Tree(u32),
    /// It is free, the map itself, or the rest of a long row.
    Other,
}

pub(crate) struct Pages {
    file: File,
    log: Log,
    pub(crate) size: usize,
    pub(crate) count: u32,
    /// The first page has a header that makes sense: `application_id` and `user_version`.
    pub(crate) marks: Option<(u32, u32)>,
    /// How many pages more the file should have, by its header.
    pub(crate) missing: u32,
    first_free: u32,
    uses: Vec<Use>,
}

impl Pages {
    pub(crate) fn open(path: &Path, log: &Path) -> io::Result<Pages> {
        let file = File::open(path)?;
        let log = log::read(log);
        let mut head = vec![0; HEADER];
        let told = log.page(1, &mut head) || file.read_exact_at(&mut head, 0).is_ok();
        let size = match be16(&head, 16) {
            Some(size) if told && head.starts_with(MAGIC) && SIZES.contains(&size.into()) => {
                Some(usize::from(size))
            }
            _ => None,
        };
        let marks = size.map(|_| (be32(&head, 68), be32(&head, 60)));
        let mapped = size.map(|_| be32(&head, 52) != 0);
        let size = size
            .or(log.size.filter(|size| SIZES.contains(size)))
            .unwrap_or_else(|| likely_size(&file));
        let pages = file.metadata()?.len() / size as u64;
        let pages = log.count.map_or(pages, |count| pages.max(count.into()));
        let count = u32::try_from(pages).unwrap_or(u32::MAX);
        // Its length counts if both marks of the last change are the same.
        let is_length_true = marks.is_some() && be32(&head, 24) == be32(&head, 92);
        let length = if is_length_true { be32(&head, 28) } else { 0 };
        let mut pages = Pages {
            file,
            log,
            size,
            count,
            missing: length.saturating_sub(count),
            first_free: if marks.is_some() { be32(&head, 32) } else { 0 },
            marks,
            uses: Vec::new(),
        };
        // Those of 4 KiB are from before there was a map.
        pages.read_map(mapped.unwrap_or(size == SIZES[0]));
        pages.read_free();
        Ok(pages)
    }

    pub(crate) fn log_lost(&self) -> u64 {
        self.log.lost
    }

    pub(crate) fn page(&self, number: u32) -> Option<Vec<u8>> {
        let mut page = vec![0; self.size];
        let place = u64::from(number.checked_sub(1)?) * self.size as u64;
        let read =
            self.log.page(number, &mut page) || self.file.read_exact_at(&mut page, place).is_ok();
        read.then_some(page)
    }

    pub(crate) fn use_of(&self, number: u32) -> Use {
        let known = self.uses.get(number as usize);
        known.copied().unwrap_or(Use::Other)
    }

    /// Follows the map from each page up to the root of its tree.
    fn read_map(&mut self, mapped: bool) {
        let count = self.count as usize;
        self.uses = vec![Use::Unknown; count + 1];
        self.uses[0] = Use::Other;
        if let Some(first) = self.uses.get_mut(1) {
            *first = Use::Tree(1);
        }
        if !mapped {
            return;
        }
        // The parent of a page in a tree; a root is its own.
        let mut parents = vec![0_u32; count + 1];
        let entries = self.size / 5;
        for map in (2..=self.count).step_by(entries + 1) {
            self.uses[map as usize] = Use::Other;
            let Some(page) = self.page(map) else { continue };
            for (entry, number) in page.chunks_exact(5).zip(map + 1..=self.count) {
                let place = number as usize;
                match (entry[0], be32(entry, 1)) {
                    (1, 0) => parents[place] = number,
                    (5, parent) if parent >= 1 && parent <= self.count => parents[place] = parent,
                    (2, 0) | (3 | 4, 1..) => self.uses[place] = Use::Other,
                    _ => {}
                }
            }
        }
        parents[1.min(count)] = 1;
        for number in 2..=count {
            let mut at = number;
            for _ in 0..DEPTH {
                let parent = parents[at] as usize;
                if parent == at && parent > 0 {
                    self.uses[number] = Use::Tree(parents[at]);
                    break;
                }
                at = parent;
            }
        }
    }

    /// Pages of the free list, where the map does not know them.
    fn read_free(&mut self) {
        let (mut trunk, mut seen) = (self.first_free, HashSet::new());
        while trunk > 0 && seen.insert(trunk) {
            self.mark(trunk, Use::Other);
            let Some(page) = self.page(trunk) else { return };
            let leaves = (be32(&page, 4) as usize).min(self.size / 4 - 2);
            for place in 0..leaves {
                self.mark(be32(&page, 8 + 4 * place), Use::Other);
            }
            trunk = be32(&page, 0);
        }
    }

    fn mark(&mut self, number: u32, as_what: Use) {
        if let Some(known @ Use::Unknown) = self.uses.get_mut(number as usize) {
            *known = as_what;
        }
    }

    /// Pages below a root, where the map does not know them.
    pub(crate) fn walk(&mut self, root: u32) {
        if !self.uses.contains(&Use::Unknown) {
            return;
        }
        self.mark(root, Use::Tree(root));
        let (mut open, mut seen) = (vec![root], HashSet::new());
        while let Some(number) = open.pop() {
            if self.use_of(number) != Use::Tree(root) || !seen.insert(number) {
                continue;
            }
            let Some(page) = self.page(number) else {
                continue;
            };
            for child in children(&page, number) {
                self.mark(child, Use::Tree(root));
                open.push(child);
            }
        }
    }
}

/// The size by which most of the beginning looks like pages of trees.
fn likely_size(file: &File) -> usize {
    let looks = |size: usize| {
        let alike = (1..64_u64).filter(|number| {
            let mut page = vec![0; size];
            let read = file.read_exact_at(&mut page, number * size as u64);
            read.is_ok() && Tree::of(&page, 2).is_some_and(|tree| tree.cells > 0)
        });
        alike.count() * size
    };
    let [large, small] = SIZES;
    if looks(small) > looks(large) {
        small
    } else {
        large
    }
}

/// The header of a page of a tree (section 1.6).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree {
    begin: usize,
    /// A table with rowids, or else an index or a table without.
    pub(crate) rowids: bool,
    pub(crate) leaf: bool,
    pub(crate) cells: usize,
}

impl Tree {
    pub(crate) fn of(page: &[u8], number: u32) -> Option<Tree> {
        let begin = if number == 1 { HEADER } else { 0 };
        let (rowids, leaf) = match page.get(begin)? {
            0x0d => (true, true),
            0x05 => (true, false),
            0x0a => (false, true),
            0x02 => (false, false),
            _ => return None,
        };
        let cells = usize::from(be16(page, begin + 3)?);
        let tree = Tree {
            begin,
            rowids,
            leaf,
            cells,
        };
        (tree.pointers() + 2 * cells <= page.len()).then_some(tree)
    }

    fn pointers(&self) -> usize {
        self.begin + if self.leaf { 8 } else { 12 }
    }

    pub(crate) fn cell<'p>(&self, page: &'p [u8], index: usize) -> Option<&'p [u8]> {
        let place = usize::from(be16(page, self.pointers() + 2 * index)?);
        let within = place >= self.pointers() + 2 * self.cells;
        page.get(place..).filter(|_| within)
    }
}

fn children(page: &[u8], number: u32) -> Vec<u32> {
    match Tree::of(page, number) {
        Some(tree) if !tree.leaf => (0..tree.cells)
            .filter_map(|index| tree.cell(page, index))
            .map(|cell| be32(cell, 0))
            .chain([be32(page, tree.begin + 8)])
            .collect(),
        _ => Vec::new(),
    }
}
