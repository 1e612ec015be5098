//! Names of all scripts (contract, section 2): each of the table in tests/data is registered and
//! logged in by another form of the same name, or refused with its reason. And accounts from before
//! today's rules: they stay usable, and the operator is told what is odd about them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use crate::support::client::{Client, TIMEOUT};
use crate::support::ctl::{ctl, refused};
use crate::support::people::PASSWORD;
use crate::support::server::{CHEAP_SCRYPT, TestServer};
use rusqlite::Connection;

const TABLE: &str = include_str!("data/names.txt");

/// A row of the table, without its escapes.
enum Row {
    Allowed {
        name: String,
        other: String,
        shown: String,
    },
    Refused {
        name: String,
        why: String,
    },
}

/// The rows, and the scripts that they are of.
fn table() -> (Vec<Row>, BTreeSet<&'static str>) {
    let lines = TABLE.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("# "));
    let lines = lines.filter(|line| *line != "#");
    let mut scripts = BTreeSet::new();
    let rows = lines.map(|line| {
        let cells: Vec<_> = line.split(" | ").collect();
        scripts.insert(cells[0]);
        let (name, other, last) = (cells[1], cells[2], cells.get(3));
        if other == "refused" {
            let why = last.unwrap_or_else(|| panic!("no reason: {line}"));
            return Row::Refused {
                name: unescape(name),
                why: (*why).to_owned(),
            };
        }
        let name = unescape(name);
        Row::Allowed {
            other: match other {
                "=" => escaped(&name),
                other => unescape(other),
            },
            shown: last.map_or_else(|| name.clone(), |shown| unescape(shown)),
            name,
        }
    });
    (rows.collect(), scripts)
}

/// `\u{…}` becomes the character.
fn unescape(text: &str) -> String {
    let mut parts = text.split("\\u{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once('}').expect("a closing brace");
        let number = u32::from_str_radix(number, 16).expect("a number");
        out.push(char::from_u32(number).expect("a character"));
        out.push_str(rest);
    }
    out
}

/// The name in quotes, each of its UTF-16 units as an escape of JSON.
fn escaped(name: &str) -> String {
    let mut out = String::from('"');
    for unit in name.encode_utf16() {
        write!(out, "\\u{unit:04x}").expect("a String");
    }
    out + "\""
}

#[test]
fn names_of_all_scripts_are_registered_logged_in_by_another_form_and_shown() {
    let server = TestServer::with(&["--max-requests", "0"]);
    let (rows, scripts) = table();
    let mut client = server.connect();
    let mut expected = BTreeSet::new();
    for row in &rows {
        let Row::Allowed { name, other, shown } = row else {
            continue;
        };
        client.send(&format!("117 {name} {PASSWORD} a@example.org m"));
        client.expect("222 400");
        client.send(&format!("117 {other} {PASSWORD} a@example.org m"));
        client.expect("222 403");
        for form in [other, shown] {
            client.send(&format!("110 {form} {PASSWORD}"));
            client.expect(&format!("212 400 {shown}"));
            client.logout();
        }
        assert!(expected.insert(shown.clone()), "{shown} is there twice");
    }
    assert!(expected.len() >= 120, "only {} names", expected.len());
    assert!(scripts.len() >= 40, "only {} scripts", scripts.len());
    // The others read them as they were registered, and can type what they read.
    client.register("viewer");
    client.login("viewer");
    client.send("120");
    let list = client.recv_until("231");
    let listed: BTreeSet<_> = list
        .iter()
        .filter_map(|line| line.strip_prefix("230 "))
        .collect();
    assert_eq!(listed, expected.iter().map(String::as_str).collect());
    for row in &rows {
        if let Row::Allowed { other, shown, .. } = row {
            for form in [shown, other] {
                client.send(&format!("121 {form}"));
                client.expect("232 400");
            }
        }
    }
}

#[test]
fn what_is_no_name_is_refused_and_the_operator_reads_why() {
    let server = TestServer::start();
    let (rows, _) = table();
    let mut client = server.connect();
    let mut refusals = 0;
    for row in &rows {
        let Row::Refused { name, why } = row else {
            continue;
        };
        refusals += 1;
        client.send(&format!("117 {} {PASSWORD} a@example.org m", escaped(name)));
        client.expect("222 401");
        client.send(&format!("110 {} {PASSWORD}", escaped(name)));
        assert!(client.recv().starts_with("212 406 "), "{name}");
        // A dash would be an option.
        let arguments = ["user", "add", "--scrypt", CHEAP_SCRYPT, "--", name];
        let said = refused(&server.database(), &arguments, "", 1);
        assert!(
            said.ends_with(&format!(" is not allowed as a name: {why}\n")),
            "{name}: {said}"
        );
    }
    assert!(refusals >= 40, "only {refusals} refusals");
    // The packet has no place for the reason; the log has, without the name.
    server.wait_for_log(
        "401 USERNAME_INVALID: U+0040 is no letter, mark or digit",
        TIMEOUT,
    );
}

#[test]
fn a_password_is_refused_with_the_kind_of_fault_and_nothing_of_itself() {
    let server = TestServer::start();
    let mut client = server.connect();
    for (password, why) in [
        ("sieben7", "a password has 8 to 128 characters"),
        ("hearts-❤\u{fe0f}", "it has an invisible character"),
        (
            "jamo-and-\u{1100}",
            "it has a character that may stand beside certain others only",
        ),
        (
            "private-\u{e000}",
            "it has a character that passwords may not have",
        ),
    ] {
        client.send(&format!("117 hans {password} a@example.org m"));
        client.expect("222 402");
        let arguments = ["user", "add", "hans", "--scrypt", CHEAP_SCRYPT];
        let said = refused(&server.database(), &arguments, &format!("{password}\n"), 1);
        assert!(
            said.contains(&format!("the password is not allowed: {why}")),
            "{said}"
        );
        assert!(!said.contains("U+") && !said.contains(password), "{said}");
    }
    server.wait_for_log(
        "402 PASSWORD_INVALID: a password has 8 to 128 characters",
        TIMEOUT,
    );
    // What Unicode got in the last twelve years, and spaces of all kinds, which are one.
    for (name, password, typed) in [
        ("emoji", "🙂🤔🥳🫠🫨🪿🩷🛜", "🙂🤔🥳🫠🫨🪿🩷🛜"),
        ("signs", "100₽_20₾_5₿", "100₽_20₾_5₿"),
        ("flags", "👍🏽🇩🇪🇺🇦🇫🇷", "👍🏽🇩🇪🇺🇦🇫🇷"),
        (
            "spaces",
            "\"ein Satz mit Worten\"",
            "ein\u{a0}Satz\u{2003}mit\u{3000}Worten",
        ),
        ("parts", "schlu\u{308}ssel", "schlüssel"),
    ] {
        client.send(&format!("117 {name} {password} a@example.org m"));
        client.expect("222 400");
        client.send(&format!("110 {name} {typed}"));
        client.expect(&format!("212 400 {name}"));
        client.logout();
    }
}

/// Passwords of tests/data/accounts-4.sql, and other forms of them.
const OLD_PASSWORDS: &[(&str, &[&str])] = &[
    ("plain", &[PASSWORD]),
    ("parts", &["schlu\u{308}ssel", "schlüssel"]),
    (
        "spaces",
        &[
            "ein\u{a0}Satz\u{2003}mit\u{3000}Worten",
            "ein Satz mit Worten",
        ],
    ),
    ("kana", &["パスワード文字列", "ハ\u{309a}スワード文字列"]),
    ("variants", &["ﬁﬀ²½Ⅳ™㎏①"]),
    ("greek", &["ΣΊΓΜΑ ς σ", "ΣΙ\u{301}ΓΜΑ ς σ"]),
    ("right", &["שלום עולם محمد"]),
    ("joiner", &["क्\u{200d}षक्षक्ष"]),
    ("dots", &["l·l l·l l·l", "l\u{387}l l·l l·l"]),
    (
        "angstrom",
        &[
            "\u{212b}ngström-1",
            "Ångström-1",
            "A\u{30a}ngstro\u{308}m-1",
        ],
    ),
    ("symbols", &["Jack of ♦s ☃"]),
    ("halfwidth", &["ﾊﾟｽﾜｰﾄﾞ12345"]),
];

/// The server on the accounts of tests/data/accounts-4.sql, in a database of their version.
fn with_old_accounts() -> TestServer {
    let mut server = TestServer::with(&["--max-requests", "0"]);
    server.stop();
    let path = server.database();
    fs::remove_file(&path).expect("the database is there");
    let database = Connection::open(&path).expect("open");
    database
        .execute_batch(include_str!("data/schema-4.sql"))
        .expect("its tables");
    database
        .execute_batch("PRAGMA application_id = 0x506C6175; PRAGMA user_version = 4;")
        .expect("its version");
    database
        .execute_batch(include_str!("data/accounts-4.sql"))
        .expect("its accounts");
    drop(database);
    server.restart();
    server
}

/// A client that has logged in as `typed`, which has to be shown as `shown`.
fn login(server: &TestServer, typed: &str, shown: &str) -> Client {
    let mut client = server.connect();
    client.send(&format!("110 {} {PASSWORD}", escaped(typed)));
    client.expect(&format!("212 400 {shown}"));
    client
}

#[test]
fn passwords_from_before_todays_rules_are_right() {
    let server = with_old_accounts();
    let mut client = server.connect();
    for (name, forms) in OLD_PASSWORDS {
        for form in *forms {
            client.send(&format!("110 {name} {}", escaped(form)));
            client.expect(&format!("212 400 {name}"));
            client.send("111");
            client.expect("213 400");
        }
    }
}

/// Σ once had the small letter σ wherever it stood, so that Νίκος and ΝΊΚΟΣ were two.
#[test]
fn two_accounts_that_have_one_name_now_stay_two_and_the_operator_is_told() {
    let mut server = with_old_accounts();
    for (holder, other) in [("Νίκος", "ΝΊΚΟΣ"), ("Όμηρος", "ΌΜΗΡΟΣ")] {
        let line = server.wait_for_log(&format!("the names {holder} and {other} "), TIMEOUT);
        assert!(
            line.contains(&format!("plauschctl user rename {other} NEW")),
            "{line}"
        );
    }
    assert_eq!(
        server
            .log()
            .iter()
            .filter(|line| line.contains("are the same by today's rules"))
            .count(),
        2
    );
    let database = server.database();
    let list = ctl(&database, &["user", "list"]);
    let remark = "  (found only by this exact spelling; any other means another account)";
    for marked in ["ΝΊΚΟΣ", "ΌΜΗΡΟΣ"] {
        assert!(list.contains(&format!("  {marked}{remark}\n")), "{list}");
    }
    assert_eq!(list.matches(remark).count(), 2, "{list}");

    // Each is found by its own name, the one that has the common name by any other spelling too.
    let mut holder = login(&server, "Νίκος", "Νίκος");
    let mut other = login(&server, "ΝΊΚΟΣ", "ΝΊΚΟΣ");
    for spelling in ["νίκος", "Νι\u{301}κος", "ΝΊΚΟς"] {
        let mut client = server.connect();
        client.send(&format!("110 {spelling} {PASSWORD}"));
        client.expect(&format!("212 405 {spelling}"));
    }
    let mut hans = login(&server, "hans", "Hans");
    for (typed, shown, client) in [
        ("Νίκος", "Νίκος", &mut holder),
        ("ΝΊΚΟΣ", "ΝΊΚΟΣ", &mut other),
    ] {
        hans.send(&format!("121 {typed}"));
        hans.expect("232 400");
        client.expect("233 Hans");
        client.send("121 HANS");
        client.expect("232 400");
        hans.expect(&format!("233 {shown}"));
        hans.send(&format!("113 {typed}"));
        hans.expect("217 400");
    }
    hans.send("112");
    let chats = hans.recv_until("216");
    for (shown, client) in [("Νίκος", &mut holder), ("ΝΊΚΟΣ", &mut other)] {
        let line = chats
            .iter()
            .find(|line| line.ends_with(&format!(" Hans {shown}")));
        let id: i64 = line
            .and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .unwrap_or_else(|| panic!("no chat with {shown}: {chats:?}"));
        hans.say(id, &format!("to {shown}"));
        assert_eq!(client.recv_push().message, format!("to {shown}"));
        client.say(id, &format!("from {shown}"));
        assert_eq!(hans.recv_push().message, format!("from {shown}"));
    }
    // Nobody new can have either name.
    for name in ["Νίκος", "ΝΊΚΟΣ", "νίκος"] {
        let mut guest = server.connect();
        guest.send(&format!("117 {name} {PASSWORD} a@b m"));
        guest.expect("222 403");
    }

    // Nothing of it changes at the next start, and it is done once.
    drop((holder, other, hans));
    let before = ctl(&database, &["user", "list"]);
    server.restart();
    assert_eq!(ctl(&database, &["user", "list"]), before);
    let told = server
        .log()
        .iter()
        .filter(|line| line.contains("mapped anew"))
        .count();
    assert_eq!(told, 1);

    // What the line advises helps; and who is left alone with a name has it by every spelling
    // after the same command.
    ctl(&database, &["user", "rename", "ΝΊΚΟΣ", "Nikos"]);
    login(&server, "NIKOS", "Nikos").close();
    ctl(&database, &["user", "delete", "όμηρος", "--force"]);
    let mut guest = server.connect();
    guest.send(&format!("117 ΌΜΗΡΟΣ {PASSWORD} a@b m"));
    guest.expect("222 403");
    ctl(&database, &["user", "rename", "ΌΜΗΡΟΣ", "ΌΜΗΡΟΣ"]);
    login(&server, "όμηρος", "ΌΜΗΡΟΣ").close();
    assert!(!ctl(&database, &["user", "list"]).contains(remark));
}

#[test]
fn names_that_are_not_allowed_any_more_keep_working_and_are_marked() {
    let server = with_old_accounts();
    let database = server.database();
    let list = ctl(&database, &["user", "list"]);
    let rows: serde_json::Value =
        serde_json::from_str(&ctl(&database, &["user", "list", "--json"])).expect("JSON");
    let mut anna = login(&server, "anna", "anna");
    for (name, typed, why) in [
        (
            "аnna",
            "АNNA",
            "U+006E is of another script than the characters before it",
        ),
        (
            "Ωmega",
            "ωMEGA",
            "U+006D is of another script than the characters before it",
        ),
        (".", ".", "a name has at least one letter or digit"),
        ("_.", "_.", "a name has at least one letter or digit"),
        ("--X", "--x", "U+002D does not begin a name"),
        ("\u{301}a", "\u{301}A", "U+0301 does not begin a name"),
    ] {
        let mut client = login(&server, typed, name);
        anna.send(&format!("121 {typed}"));
        anna.expect("232 400");
        client.expect("233 anna");
        let remark = format!("not allowed for new accounts: {why}");
        assert!(list.contains(&format!("  {name}  ({remark})\n")), "{list}");
        let row = rows
            .as_array()
            .and_then(|rows| rows.iter().find(|row| row["name"] == name));
        assert_eq!(
            row.map(|row| &row["remark"]),
            Some(&remark.clone().into()),
            "{rows}"
        );
        let shown = ctl(&database, &["user", "show", "--", typed]);
        assert!(
            shown.contains(&format!("\nremark       {remark}\n")),
            "{shown}"
        );
        // It is free for nobody, and nobody may get such a name.
        client.logout();
        client.send(&format!("117 {typed} {PASSWORD} a@b m"));
        client.expect("222 401");
    }
    // All others are unmarked, with those that have a common name.
    assert_eq!(
        list.matches("not allowed for new accounts").count(),
        6,
        "{list}"
    );
    let unmarked = rows
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["remark"].is_null());
    assert_eq!(unmarked.count(), 26 - 6 - 2, "{rows}");
    // One that was registered in a capital letter is found as it always was.
    login(&server, "Άρης", "ΆΡΗΣ").close();
}

/// Going through all accounts is for once; it must not hold a start up.
#[test]
fn many_accounts_are_mapped_anew_within_moments() {
    let mut server = TestServer::start();
    server.stop();
    let mut database = Connection::open(server.database()).expect("open");
    let fill = database.transaction().expect("a transaction");
    fill.execute("DELETE FROM counter WHERE name = 'name_rules'", [])
        .expect("not mapped by any rules");
    fill.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO user (name, mapped, password, email, gender, created)
         SELECT 'Ον' || i || 'ΑΣ', 'ον' || i || 'ασ', 'x', 'a@b', 'm', 1 FROM n",
        [],
    )
    .expect("accounts");
    fill.commit().expect("commit");
    drop(database);
    let start = Instant::now();
    server.restart();
    server.wait_for_log("20000 names were mapped anew", TIMEOUT);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    let database = Connection::open(server.database()).expect("open");
    let count = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).expect(sql) };
    assert_eq!(
        count("SELECT count(*) FROM user WHERE mapped GLOB 'ον*ας'"),
        20_000
    );
}
