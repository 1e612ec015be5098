//! The plan of every statement in the store, read from the sources themselves: no scan of a table
//! that grows, no temporary b-tree.

use std::path::Path;

use rusqlite::Connection;

/// Every file of SQL; a test below sees to it that none is forgotten.
const SOURCES: &[(&str, &str)] = &[
    ("asked.rs", include_str!("asked.rs")),
    ("chats.rs", include_str!("chats.rs")),
    ("committer.rs", include_str!("committer.rs")),
    ("contacts.rs", include_str!("contacts.rs")),
    ("deliveries.rs", include_str!("deliveries.rs")),
    ("lanes.rs", include_str!("lanes.rs")),
    ("lanes/indexing.rs", include_str!("lanes/indexing.rs")),
    ("media.rs", include_str!("media.rs")),
    ("mend.rs", include_str!("mend.rs")),
    ("messages.rs", include_str!("messages.rs")),
    ("orders.rs", include_str!("orders.rs")),
    ("pool.rs", include_str!("pool.rs")),
    ("purge.rs", include_str!("purge.rs")),
    ("retention/slice.rs", include_str!("retention/slice.rs")),
    ("retention/clock.rs", include_str!("retention/clock.rs")),
    (
        "retention/slice/held.rs",
        include_str!("retention/slice/held.rs"),
    ),
    ("texts.rs", include_str!("texts.rs")),
    ("upkeep.rs", include_str!("upkeep.rs")),
    ("users.rs", include_str!("users.rs")),
];

/// Files of the store without statements on tables.
const WITHOUT: &[&str] = &[
    "beside.rs",
    "committer/rest.rs",
    "committer/checkpoint.rs",
    "copy.rs",
    "deliveries/tests.rs",
    "error.rs",
    "health.rs",
    "figures.rs",
    "jobs.rs",
    "limits.rs",
    "marker.rs",
    "mod.rs",
    "place.rs",
    "plans.rs",
    "retention.rs",
    "salvage/log.rs",
    "salvage/pages.rs",
    "salvage/rows.rs",
    "schema.rs",
    "tests",
    "tests.rs",
    "tx.rs",
];

/// Files whose statements look at everything there is, in a process of their own or once after an
/// upgrade.
const MEANT_TO_SCAN: &[&str] = &[
    "census.rs",
    "check.rs",
    "names.rs",
    "salvage.rs",
    "salvage/mending.rs",
];

/// Scans that are meant, by a piece of their plan.
const MEANT: &[(&str, &str)] = &[
    (
        "SCAN user USING INDEX sqlite_autoindex_user_1",
        "120 lists all users, in the order of that index",
    ),
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
    super::schema::prepare(&mut connection).unwrap();
    let (mut seen, mut bad) = (0, Vec::<String>::new());
    for (file, source) in SOURCES {
        for statement in statements(source) {
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

/// Whether a file of the store, by its path within it, is in one of the lists above.
fn is_known(path: &str) -> bool {
    WITHOUT.contains(&path)
        || MEANT_TO_SCAN.contains(&path)
        || SOURCES.iter().any(|(file, _)| *file == path)
}

#[test]
fn no_file_of_the_store_is_forgotten() {
    let store = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store"));
    let mut directories = vec![store.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(store).unwrap().to_str().unwrap();
            if path.is_dir() && !is_known(name) {
                directories.push(path);
            } else {
                assert!(is_known(name), "{name} is not looked at");
            }
        }
    }
}
