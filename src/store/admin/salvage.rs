//! Saving what can be read of a damaged database into a new one.
//!
//! In reading order: `pages` (the pages of the file and of its log), `rows` (the rows of a page),
//! this file (which row belongs to which table), `repair` (what makes a sound database of them).
//! Which page belongs to which table is told by SQLite's map of pages and by the trees; where
//! neither is left, by what the rows look like. The damaged files are only read.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::{access, check};
use crate::store::admin::copy::{CopyError, Part, Target};
use crate::store::open::{place, schema};
use crate::store::{Result, StoreError};
use pages::{Pages, Use};
use rows::Row;

mod bytes;
mod log;
mod pages;
mod repair;
mod rows;

/// Rows of one transaction.
const BATCH: usize = 20_000;

/// No contact and no request was made before, in milliseconds since 1970; no id is above.
const SINCE: i64 = 1_000_000_000_000;

struct Table {
    name: &'static str,
    /// A letter a column: `k` the key of the tree, `i` a number, `t` a text; `n` and `m` the same
    /// or NULL.
    columns: &'static str,
    /// Whether a row of this look is of this table, when nothing else tells; None when it never is.
    told: Option<fn(&[Value]) -> bool>,
}

/// The tables that are saved, with what repair needs. The rest follows from them.
const TABLES: &[Table] = &[
    table("user", "ktmttti", Some(|_| true)),
    table("delivery", "ki", None),
    table("explicit_receipt", "k", None),
    table("login_start", "kii", None),
    table(
        "contact",
        "iin",
        Some(|row| row[2] == Value::Null || number(&row[2]) > SINCE),
    ),
    table("asked", "iiiii", Some(|row| number(&row[2]) > SINCE)),
    table("contact_event", "kii", None),
    table("chat", "kiii", Some(|_| true)),
    table(
        "member",
        "iiiii",
        Some(|row| number(&row[2]) < SINCE && (0..=1).contains(&number(&row[4]))),
    ),
    table("message", "kiitn", Some(|_| true)),
    table("lane_message", "ii", None),
    table("media", "kiinii", Some(|_| true)),
    table("media_part", "iit", Some(|_| true)),
    table("purge", "ki", None),
    table("departure", "k", None),
    table(COUNTER, "ti", Some(|row| is_text(&row[0], MARK))),
    table(
        SEQUENCE,
        "ti",
        Some(|row| repair::NUMBERED.iter().any(|name| is_text(&row[0], name))),
    ),
];

const COUNTER: &str = "counter";
const MARK: &str = "message";
const SEQUENCE: &str = "sqlite_sequence";
const SCHEMA: Table = table("sqlite_schema", "tttim", Some(|_| true));

const fn table(
    name: &'static str,
    columns: &'static str,
    told: Option<fn(&[Value]) -> bool>,
) -> Table {
    Table {
        name,
        columns,
        told,
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        _ => 0,
    }
}

fn is_text(value: &Value, expected: &str) -> bool {
    matches!(value, Value::Text(text) if text == expected)
}

impl Table {
    /// Kept in the order of rowids.
    fn has_rowids(&self) -> bool {
        self.columns.starts_with('k') || [SEQUENCE, SCHEMA.name].contains(&self.name)
    }

    fn fits(&self, row: &Row) -> bool {
        let fits = |(column, value): (u8, &Value)| match value {
            Value::Null => matches!(column, b'k' | b'n' | b'm'),
            Value::Integer(_) => matches!(column, b'i' | b'n'),
            Value::Text(_) => matches!(column, b't' | b'm'),
            _ => false,
        };
        self.has_rowids() == row.rowid.is_some()
            && self.columns.len() == row.values.len()
            && self.columns.bytes().zip(&row.values).all(fits)
            && (!self.columns.starts_with('k') || row.rowid > Some(0))
    }

    /// Whether a row that nothing else tells about is one of this table.
    fn is_told(&self, row: &Row) -> bool {
        self.fits(row) && self.told.is_some_and(|told| told(&row.values))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    /// Accounts, chats and so on, in the order of the list.
    pub(crate) kinds: Vec<Kind>,
    /// Pages that should hold rows and cannot be read.
    pub(crate) pages_lost: u64,
    /// Bytes of the write-ahead log that cannot be read.
    pub(crate) log_lost: u64,
    /// What `check` finds in the new database: nothing, unless this program has a fault.
    pub(crate) problems: Vec<String>,
    /// False where the file system cannot say whether the name of the new file is on stable storage.
    pub(crate) synced: bool,
}

#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) saved: u64,
    pub(crate) lost: u64,
}

/// Saves what can be read of the database `damaged` and its log into a new database `new`.
///
/// Rows that refer to what is lost are left out; a lost account stays as a deleted one where it has a
/// chat. No id is given again. `progress` is told pages done and pages in all.
pub(crate) fn salvage(
    damaged: &Path,
    new: &Path,
    mut progress: impl FnMut(i32, i32),
) -> Result<Salvaged, CopyError> {
    let mut target = Target::take(damaged, new, false, false).map_err(CopyError::Target)?;
    let (mut pages, _lock) = open(damaged).map_err(CopyError::Source)?;
    let part = Part::create(&target.path).map_err(CopyError::Target)?;
    // Nobody else knows it: no locks. A half-written one is removed, so nothing has to be synced.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let filled = Connection::open_with_flags_and_vfs(&part.path, flags, "unix-none")
        .map_err(StoreError::from)
        .and_then(|mut connection| {
            schema::prepare(&mut connection)?;
            connection.execute_batch(
                "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;",
            )?;
            let mut found = read(&connection, &mut pages, &mut progress)?;
            let mut salvaged = repair::repair(&connection, &mut found)?;
            salvaged.pages_lost = found.pages_lost;
            salvaged.log_lost = pages.log_lost();
            salvaged.problems = check::problems(&connection, |_| {})?;
            Ok(salvaged)
        });
    let mut salvaged = filled.map_err(CopyError::Target)?;
    if salvaged.kinds.iter().all(|kind| kind.saved == 0) {
        let text = "no account and no message can be read in it".to_owned();
        return Err(CopyError::Source(StoreError::Foreign(text)));
    }
    salvaged.synced = (|| {
        File::open(&part.path)?.sync_all()?;
        part.inherit(&target)?;
        target.give_name(part)
    })()
    .map_err(CopyError::Target)?;
    Ok(salvaged)
}

/// The pages, and what keeps a server from starting on them.
fn open(damaged: &Path) -> Result<(Pages, File), StoreError> {
    let path = place::resolve(damaged)?;
    let file = File::open(&path)?;
    if !place::has_no_locks(&file) {
        access::expect_unused(&file)?;
    }
    let pages = Pages::open(&path, &place::beside_it(&path, "-wal"))?;
    if let Some((application, version)) = pages.marks {
        schema::expect_marks(application.into(), version.into())?;
    }
    Ok((pages, file))
}

/// What was read beside the rows that are in the new database already.
#[derive(Default)]
struct FoundRows {
    /// Rows that made no sense or were there twice, by their table.
    unreadable: BTreeMap<&'static str, u64>,
    pages_lost: u64,
    /// The mark of messages.
    mark: i64,
    /// The highest ids that SQLite has noted, by their table.
    numbered: BTreeMap<String, i64>,
    /// Something that would tell of ids is missing.
    is_uncertain: bool,
}

/// Table of each tree; None for one of no use here.
type Roots = BTreeMap<u32, Option<&'static Table>>;

fn read(
    connection: &Connection,
    pages: &mut Pages,
    progress: &mut impl FnMut(i32, i32),
) -> Result<FoundRows, StoreError> {
    pages.walk(1);
    let mut roots = roots(pages);
    let is_known = !roots.is_empty();
    if !is_known {
        // A new database has them at the same places as that one had, mostly.
        roots = new_roots(connection)?;
    }
    for root in roots.keys() {
        pages.walk(*root);
    }
    let mut found = FoundRows {
        pages_lost: pages.missing.into(),
        is_uncertain: pages.log_lost() > 0 || pages.missing > 0,
        ..FoundRows::default()
    };
    connection.execute_batch("BEGIN")?;
    let mut written = 0;
    for number in 1..=pages.count {
        if number % 1_024 == 0 {
            let part = |pages: u32| i32::try_from(pages).unwrap_or(i32::MAX);
            progress(part(number), part(pages.count));
        }
        let owner = match pages.use_of(number) {
            Use::Other => continue,
            Use::Unknown => None,
            Use::Tree(root) => match roots.get(&root) {
                Some(None) => continue,
                Some(table) => *table,
                None => None,
            },
        };
        let page = pages.page(number);
        let read = page.and_then(|page| rows::rows(pages, number, &page));
        let Some(read) = read else {
            found.pages_lost += 1;
            continue;
        };
        for row in read {
            let own = owner.filter(|table| row.as_ref().is_some_and(|row| table.fits(row)));
            let guessed = || {
                let row = row.as_ref()?;
                TABLES.iter().find(|table| table.is_told(row))
            };
            let table = match own {
                None if owner.is_none() || !is_known => guessed(),
                own => own,
            };
            let is_kept = match (table, row) {
                (Some(table), Some(row)) => keep(connection, &mut found, table, row)?,
                _ => false,
            };
            if let Some(table) = table.or(owner).filter(|_| !is_kept) {
                *found.unreadable.entry(table.name).or_default() += 1;
            }
            written += 1;
            if written % BATCH == 0 {
                connection.execute_batch("COMMIT; BEGIN")?;
            }
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(found)
}

/// Puts a row where it belongs; false if its key is there already.
fn keep(
    connection: &Connection,
    found: &mut FoundRows,
    table: &'static Table,
    row: Row,
) -> Result<bool, StoreError> {
    let mut values = row.values;
    match (table.name, &values[..]) {
        (COUNTER, [name, value]) => {
            if is_text(name, MARK) {
                found.mark = found.mark.max(number(value));
            }
            return Ok(true);
        }
        (SEQUENCE, [Value::Text(name), value]) => {
            let highest = found.numbered.entry(name.clone()).or_default();
            *highest = number(value).max(*highest);
            return Ok(true);
        }
        _ => {}
    }
    if let (true, Some(rowid)) = (table.columns.starts_with('k'), row.rowid) {
        values[0] = Value::Integer(rowid);
    }
    let marks = vec!["?"; values.len()].join(", ");
    let insert = format!("INSERT OR IGNORE INTO {} VALUES ({marks})", table.name);
    let mut insert = connection.prepare_cached(&insert)?;
    Ok(insert.execute(params_from_iter(values))? == 1)
}

/// Roots that the damaged database itself names.
fn roots(pages: &Pages) -> Roots {
    let mut roots = Roots::new();
    for number in 1..=pages.count {
        if pages.use_of(number) != Use::Tree(1) {
            continue;
        }
        let page = pages.page(number);
        let read = page.and_then(|page| rows::rows(pages, number, &page));
        for row in read.into_iter().flatten().flatten() {
            if SCHEMA.fits(&row)
                && let [kind, Value::Text(name), _, Value::Integer(root), _] = &row.values[..]
                && let Ok(root @ 1..) = u32::try_from(*root)
            {
                note_root(&mut roots, is_text(kind, "table"), name, root);
            }
        }
    }
    roots
}

fn new_roots(connection: &Connection) -> Result<Roots> {
    let mut roots = Roots::new();
    let mut statement =
        connection.prepare("SELECT type = 'table', name, rootpage FROM sqlite_schema")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (is_table, name, root): (bool, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if root > 0 {
            note_root(&mut roots, is_table, &name, root);
        }
    }
    roots.insert(1, None);
    Ok(roots)
}

fn note_root(roots: &mut Roots, is_table: bool, name: &str, root: u32) {
    let table = TABLES.iter().find(|table| is_table && table.name == name);
    roots.insert(root, table);
    roots.insert(1, None);
}
