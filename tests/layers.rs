//! The directions of the house: which room may use which, and that no two files use each other.
//! Read from the sources' own paths, so that a new arrow is a line in the table below or a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room of `src/`, from the ground up, and the rooms that it may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("sync", &[]),
    ("sys", &[]),
    ("sanitize", &[]),
    ("logger", &[]),
    ("options", &[]),
    ("notify", &["sys"]),
    ("secrets", &["sys"]),
    ("protocol", &["ids", "sys"]),
    ("guard", &["sync", "sys"]),
    ("tls", &["sanitize", "sys"]),
    ("net", &["ids", "sync", "sys", "protocol", "guard", "tls"]),
    ("auth", &["sys", "guard"]),
    ("store", &["ids", "sync", "sys", "guard"]),
    (
        "delivery",
        &["ids", "sync", "sys", "protocol", "guard", "net", "store"],
    ),
    (
        "ops",
        &[
            "ids", "sync", "sys", "protocol", "guard", "auth", "store", "delivery",
        ],
    ),
    ("config", &["options", "guard", "net", "auth", "store"]),
    (
        "server",
        &[
            "ids", "sync", "sys", "notify", "protocol", "guard", "tls", "net", "auth", "store",
            "delivery", "ops", "config",
        ],
    ),
    (
        "client",
        &[
            "ids", "sys", "sanitize", "options", "secrets", "protocol", "tls", "auth",
        ],
    ),
    (
        "ctl",
        &[
            "ids", "sys", "sanitize", "options", "notify", "secrets", "protocol", "auth", "store",
        ],
    ),
];

/// A source file as a module: its path within the crate, and the modules that it uses.
type Modules = BTreeMap<Vec<String>, (PathBuf, BTreeSet<Vec<String>>)>;

fn source(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every source of the library, found in its folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("src") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        if ["bin", "tests", "races"]
            .iter()
            .any(|left_out| name == *left_out)
        {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The library's sources, by module; its tests may use whatever they like.
fn modules() -> Modules {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let mut modules: Modules = found
        .into_iter()
        .map(|file| {
            let inner = file
                .strip_prefix(&root)
                .expect("below src")
                .with_extension("");
            let mut module: Vec<String> = inner
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if module
                .last()
                .is_some_and(|last| last == "mod" || last == "lib")
            {
                module.pop();
            }
            (module, (file, BTreeSet::new()))
        })
        .collect();
    let names: BTreeSet<Vec<String>> = modules.keys().cloned().collect();
    for (module, (file, uses)) in &mut modules {
        for path in paths(&source(file), module) {
            // The longest beginning that is a module; what follows is an item of it.
            let known = (0..=path.len()).rev().map(|len| &path[..len]);
            let used = known.into_iter().find(|path| names.contains(*path));
            uses.extend(used.filter(|used| *used != module).map(<[String]>::to_vec));
        }
    }
    modules
}

/// The paths within the crate that a source names, in full.
fn paths(source: &str, module: &[String]) -> Vec<Vec<String>> {
    let code: String = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .fold(String::new(), |code, line| code + line + "\n");
    let mut paths = Vec::new();
    for keyword in ["crate::", "super::"] {
        for (at, _) in code.match_indices(keyword) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || "_:$".contains(c)) {
                continue;
            }
            let start = if keyword == "crate::" {
                Vec::new()
            } else {
                module.to_vec()
            };
            expand(&code[at..], start, &mut paths);
        }
    }
    paths
}

/// Reads one path behind `text`'s start, with the groups in braces that it ends in.
fn expand(text: &str, mut path: Vec<String>, paths: &mut Vec<Vec<String>>) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let skipped = rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        at += skipped;
        if rest.starts_with('{') {
            at += 1;
            loop {
                at += expand(&text[at..], path.clone(), paths);
                let next = text[at..].trim_start();
                at = text.len() - next.len();
                match next.chars().next() {
                    Some(',') => at += 1,
                    Some('}') => return at + 1,
                    _ => return at,
                }
            }
        }
        let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let name = &rest[..name.unwrap_or(rest.len())];
        at += name.len();
        match name {
            "crate" | "self" => {}
            "super" => drop(path.pop()),
            name => path.push(name.to_owned()),
        }
        if !text[at..].starts_with("::") {
            paths.push(path);
            return at;
        }
        at += 2;
    }
}

#[test]
fn every_arrow_goes_down() {
    let mut bad = Vec::new();
    for (module, (file, uses)) in modules() {
        let Some(room) = module.first() else { continue };
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| name == room) else {
            panic!("{}: no room of that name in the table", file.display());
        };
        for used in uses.iter().filter_map(|used| used.first()) {
            if used != room && !allowed.contains(&used.as_str()) {
                bad.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    bad.dedup();
    assert!(bad.is_empty(), "not in the table:\n{}", bad.join("\n"));
}

/// The table itself names only rooms that stand further down.
#[test]
fn the_table_has_no_circle() {
    for (at, (room, allowed)) in ROOMS.iter().enumerate() {
        for used in *allowed {
            assert!(
                ROOMS[..at].iter().any(|(below, _)| below == used),
                "{room} may use {used}, which does not stand below it"
            );
        }
    }
}

/// A parent and its own children aside, where private fields are the reason.
#[test]
fn no_two_files_use_each_other() {
    let modules = modules();
    let mut bad = Vec::new();
    for (module, (_, uses)) in &modules {
        for used in uses.iter().filter(|used| *used > module) {
            let related = used.starts_with(module) || module.starts_with(used);
            if !related && modules[used].1.contains(module) {
                bad.push(format!("{} and {}", module.join("::"), used.join("::")));
            }
        }
    }
    assert!(bad.is_empty(), "use each other:\n{}", bad.join("\n"));
}

#[test]
fn only_the_store_names_the_database_library() {
    for (module, (file, _)) in modules() {
        let named = source(&file).contains("rusqlite::");
        assert!(
            !named || module.first().is_some_and(|room| room == "store"),
            "{} names rusqlite",
            file.display()
        );
    }
}
