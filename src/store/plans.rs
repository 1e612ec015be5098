//! The plan of every statement in the store, read from the sources themselves: no scan of a table
//! that grows, no temporary b-tree.

use std::path::Path;

use rusqlite::Connection;

/// Files and folders whose statements look at everything there is, in a process of their own or
/// once after an upgrade, and tests.
const MEANT_TO_SCAN: &[&str] = &[
    "admin/check.rs",
    "admin/salvage",
    "admin/salvage.rs",
    "admin/statistics.rs",
    "open/names.rs",
    "open/schema.rs",
    "plans.rs",
    "tests",
    "tests.rs",
];

/// Scans that are meant, by a piece of their plan.
const MEANT: &[(&str, &str)] = &[
    (
        "SCAN user USING INDEX sqlite_autoindex_user_1",
        "120 lists all users, in the order of that index",
    ),
    ("SCAN sqlite_master", "the schema itself"),
    ("SCAN purge", "the orders to purge, all of which are due"),
    ("SCAN departure", "the same for accounts"),
    (
        "SCAN login_start",
        "what a crash has left of it, once at the start",
    ),
    (
        "SCAN (subquery",
        "at most 10,001 rows, for the first line of the log",
    ),
    ("SCAN given", "ids that are bound to the statement"),
    (
        "SCAN media USING INDEX media_loose",
        "a partial index of what is to be purged, all of it",
    ),
];

/// The statements of a source: its string literals that begin like SQL.
fn statements(source: &str) -> Vec<String> {
    source
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|literal| {
            ["SELECT", "INSERT", "UPDATE", "DELETE"]
                .iter()
                .any(|verb| literal.starts_with(verb))
        })
        .map(|literal| {
            literal
                .replace("{marks}", "(?1)")
                .replace("{pairs}", "(?1, ?2)")
        })
        .collect()
}

fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    connection
        .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
        .unwrap_or_else(|error| panic!("{statement}: {error}"))
        .query_map(
            // Values do not matter for a plan, only their number.
            rusqlite::params_from_iter(1..=parameters(statement)),
            |row| row.get(3),
        )
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// The highest `?N` of a statement.
fn parameters(statement: &str) -> i64 {
    (1..=9)
        .filter(|number| statement.contains(&format!("?{number}")))
        .max()
        .unwrap_or(0)
}

#[test]
fn no_statement_scans_what_grows_or_sorts() {
    let mut connection = Connection::open_in_memory().unwrap();
    super::open::schema::prepare(&mut connection).unwrap();
    let (mut seen, mut bad) = (0, Vec::<String>::new());
    for (file, source) in sources() {
        for statement in statements(&source) {
            seen += 1;
            for step in plan(&connection, &statement) {
                let meant = MEANT.iter().any(|(piece, _)| step.contains(piece));
                let scans = step.starts_with("SCAN") && !step.contains("CONSTANT ROW");
                if step.contains("TEMP B-TREE") || (scans && !meant) {
                    bad.push(format!("{file}: {statement}\n{step}"));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(seen > 60, "only {seen} statements were found");
}

/// Every other file of the store: its path within it, and its text.
fn sources() -> Vec<(String, String)> {
    let store = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store"));
    let mut left = vec![store.to_owned()];
    let mut sources = Vec::new();
    while let Some(path) = left.pop() {
        let name = path.strip_prefix(store).unwrap().to_str().unwrap();
        if MEANT_TO_SCAN.contains(&name) {
            continue;
        }
        if path.is_dir() {
            left.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            let source = std::fs::read_to_string(&path).unwrap();
            sources.push((name.to_owned(), source));
        }
    }
    sources
}
