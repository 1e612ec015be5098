//! Looks whether a database is whole: SQLite's own checks, and what the schema promises beyond
//! what SQLite can be told.

use rusqlite::Connection;

use crate::store::{Result, Source};

/// Complaints of one kind that are listed.
const EACH: usize = 20;

/// Promise of the schema, and what finds it broken: one text a row.
struct Invariant {
    what: &'static str,
    sql: &'static str,
}

/// Messages and media that retention has removed may still be named, and a deleted account is taken
/// apart in steps: neither breaks anything.
const INVARIANTS: &[Invariant] = &[
    Invariant {
        what: "a deleted account keeps nothing but its name",
        sql: "SELECT 'user ' || id FROM user
              WHERE mapped IS NULL AND (password <> '' OR email <> '' OR gender <> '')",
    },
    Invariant {
        what: "an account has a password",
        sql: "SELECT 'user ' || id FROM user WHERE mapped IS NOT NULL AND password = ''",
    },
    Invariant {
        what: "a confirmed contact is there from both sides, since the same moment",
        sql: "SELECT 'users ' || a.user_id || ' and ' || a.contact_id FROM contact a
              LEFT JOIN contact b ON b.user_id = a.contact_id AND b.contact_id = a.user_id
              WHERE a.since IS NOT b.since AND (a.since IS NOT NULL OR b.user_id IS NOT NULL)",
    },
    Invariant {
        what: "nobody is their own contact",
        sql: "SELECT 'user ' || user_id FROM contact WHERE user_id = contact_id",
    },
    Invariant {
        what: "what a deleted account has asked, or been asked, is forgotten",
        sql: "SELECT 'user ' || u.id FROM user u
              WHERE u.mapped IS NULL AND u.id NOT IN (SELECT user_id FROM departure)
              AND (u.id IN (SELECT user_id FROM asked) OR u.id IN (SELECT contact_id FROM asked))",
    },
    Invariant {
        what: "a chat has its two members",
        sql: "SELECT 'chat ' || c.id FROM chat c
              WHERE (SELECT count(*) FROM member m WHERE m.chat_id = c.id
                     AND ((m.user_id = c.creator_id AND m.other_id = c.other_id)
                       OR (m.user_id = c.other_id AND m.other_id = c.creator_id))) <> 2
              OR c.creator_id = c.other_id",
    },
    Invariant {
        what: "a member is one of a chat",
        sql: "SELECT 'user ' || m.user_id || ' of chat ' || m.chat_id FROM member m
              LEFT JOIN chat c ON c.id = m.chat_id
              WHERE c.id IS NULL OR m.user_id NOT IN (c.creator_id, c.other_id)",
    },
    Invariant {
        what: "a message belongs to a chat, or is to be purged",
        sql: "SELECT 'message ' || x.id FROM message x LEFT JOIN chat c ON c.id = x.lane / 2
              LEFT JOIN purge p ON p.lane = x.lane
              WHERE c.id IS NULL AND (p.upto IS NULL OR p.upto < x.id)",
    },
    Invariant {
        what: "TimeStamps grow within a chat",
        sql: "SELECT 'message ' || id FROM
                (SELECT id, timestamp, lag(timestamp) OVER (PARTITION BY lane / 2 ORDER BY id) past
                 FROM message) WHERE timestamp <= past",
    },
    Invariant {
        what: "no TimeStamp is more than a day ahead of the clock",
        sql: "SELECT 'message ' || id FROM message
              WHERE timestamp > unixepoch() * 1000 + 86400000",
    },
    Invariant {
        what: "a lane names all its messages up to where it is complete",
        sql: "SELECT 'message ' || x.id FROM message x
              LEFT JOIN lane_message l ON l.lane = x.lane AND l.message_id = x.id
              WHERE l.lane IS NULL
              AND x.id <= (SELECT value FROM counter WHERE name = 'indexed')",
    },
    Invariant {
        what: "a lane names no other messages",
        sql: "SELECT 'message ' || l.message_id FROM lane_message l
              LEFT JOIN message x ON x.id = l.message_id WHERE x.lane IS NOT l.lane",
    },
    Invariant {
        what: "no id of a message is above the mark",
        sql: "SELECT 'message ' || id FROM message
              WHERE id > (SELECT value FROM counter WHERE name = 'message')",
    },
    Invariant {
        what: "nothing has arrived that was not sent",
        sql: "SELECT 'user ' || user_id FROM delivery
              WHERE message_id > (SELECT value FROM counter WHERE name = 'message')",
    },
    Invariant {
        what: "media and their message name each other",
        sql: "SELECT 'media ' || a.id FROM media a LEFT JOIN message m ON m.id = a.message_id
              WHERE a.message_id IS NOT NULL
              AND (m.id IS NULL OR m.media_id IS NOT a.id OR m.lane / 2 <> a.chat_id)",
    },
    Invariant {
        what: "media are as long as they say, without a gap",
        sql: "SELECT 'media ' || a.id FROM media a LEFT JOIN media_part p ON p.media_id = a.id
              WHERE a.message_id IS NOT NULL GROUP BY a.id
              HAVING coalesce(sum(length(CAST(p.data AS BLOB))), 0) <> a.size
              OR coalesce(max(p.part) + 1, 0) <> count(p.part)",
    },
    Invariant {
        what: "what a user's media take up is counted",
        sql: "SELECT 'user ' || u.id FROM user u
              LEFT JOIN media_use n ON n.user_id = u.id
              LEFT JOIN (SELECT owner_id, sum(size) size FROM media GROUP BY owner_id) m
                ON m.owner_id = u.id
              WHERE coalesce(n.bytes, 0) <> coalesce(m.size, 0)",
    },
];

/// Everything that is wrong, one text each. `each` is told what is looked at.
pub(crate) fn problems(source: &impl Source, mut each: impl FnMut(&str)) -> Result<Vec<String>> {
    let connection = source.connection();
    let mut found = Vec::new();
    each("the file itself");
    texts(connection, "PRAGMA integrity_check(100)", |text| {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && *line != "ok");
        found.extend(lines.map(|line| format!("integrity_check: {line}")));
    })?;
    if !found.is_empty() {
        // Rows of a damaged file say nothing.
        return Ok(found);
    }
    each("references");
    for (table, rowid, parent) in
        source.rows::<(String, Option<i64>, String)>("PRAGMA foreign_key_check", [])?
    {
        let rowid = rowid.map_or_else(|| "a row".to_owned(), |id| format!("row {id}"));
        found.push(format!(
            "{rowid} of {table} refers to a {parent} that is not there"
        ));
    }
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != crate::store::open::schema::VERSION {
        // A copy that an older server has made: its tables are not those below.
        return Ok(found);
    }
    for invariant in INVARIANTS {
        each(invariant.what);
        let mut count = 0;
        texts(connection, invariant.sql, |text| {
            count += 1;
            if count <= EACH {
                found.push(format!("not so: {}: {text}", invariant.what));
            }
        })?;
        if count > EACH {
            found.push(format!("not so: {}: {} more", invariant.what, count - EACH));
        }
    }
    Ok(found)
}

fn texts(connection: &Connection, sql: &str, mut each: impl FnMut(&str)) -> Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(row.get_ref(0)?.as_str()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two users who are contacts with a chat, a message each way, one of them with media.
    const SOUND: &str = "
        INSERT INTO user VALUES (1, 'Ann', 'ann', 'x', 'a@x', 'f', 1), (2, 'Bob', 'bob', 'x', 'b@x', 'm', 1);
        INSERT INTO contact VALUES (1, 2, 5), (2, 1, 5);
        INSERT INTO chat VALUES (1, 1, 2, 0);
        INSERT INTO member VALUES (1, 1, 2, 0, 1), (2, 1, 1, 0, 1);
        INSERT INTO message VALUES (1, 3, 10, 'hi', NULL), (2, 2, 11, 'oh', 1);
        INSERT INTO media VALUES (1, 2, 1, 2, 3, 0);
        INSERT INTO media_part VALUES (1, 0, 'x'), (1, 1, 'yz');
        INSERT INTO delivery VALUES (1, 2);
        INSERT INTO lane_message VALUES (3, 1), (2, 2);
        UPDATE counter SET value = 9;";

    /// What breaks each invariant, in their order.
    const BREAKS: &[&str] = &[
        "INSERT INTO user VALUES (3, 'Cy', NULL, 'x', '', '', 1)",
        "UPDATE user SET password = '' WHERE id = 1",
        "UPDATE contact SET since = 6 WHERE user_id = 1",
        "INSERT INTO contact VALUES (1, 1, NULL)",
        "UPDATE user SET mapped = NULL, password = '', email = '', gender = '' WHERE id = 2;
         INSERT INTO asked VALUES (1, 2, 5, 0, 0)",
        "DELETE FROM member WHERE user_id = 1",
        "INSERT INTO member VALUES (1, 7, 1, 0, 1)",
        "INSERT INTO message VALUES (3, 8, 12, 'lost', NULL)",
        "UPDATE message SET timestamp = 10 WHERE id = 2",
        "UPDATE message SET timestamp = 9000000000000 WHERE id = 2",
        "DELETE FROM lane_message WHERE message_id = 2",
        "INSERT INTO lane_message VALUES (2, 1)",
        "UPDATE counter SET value = 1",
        "UPDATE delivery SET message_id = 10",
        "UPDATE message SET media_id = NULL WHERE id = 2",
        "DELETE FROM media_part WHERE part = 0",
        "UPDATE media_use SET bytes = 1",
    ];

    fn sound() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        crate::store::open::schema::prepare(&mut connection).unwrap();
        connection.execute_batch(SOUND).unwrap();
        connection
    }

    #[test]
    fn a_sound_database_gives_no_complaint() {
        let mut looked = 0;
        let found = problems(&sound(), |_| looked += 1).unwrap();
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(looked, INVARIANTS.len() + 2);
    }

    #[test]
    fn each_invariant_is_found_broken() {
        assert_eq!(BREAKS.len(), INVARIANTS.len());
        for (broken, invariant) in BREAKS.iter().zip(INVARIANTS) {
            let connection = sound();
            connection.execute_batch(broken).unwrap();
            let found = problems(&connection, |_| {}).unwrap().join("\n");
            assert!(found.contains(invariant.what), "{broken}: {found}");
        }
    }

    /// So that it can be restored, and be upgraded by the server then.
    #[test]
    fn an_older_database_is_not_measured_by_what_is_new() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(include_str!("../../../tests/data/schema-2.sql"))
            .unwrap();
        connection.pragma_update(None, "user_version", 2).unwrap();
        assert_eq!(problems(&connection, |_| {}).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_reference_to_nothing_is_found() {
        let connection = sound();
        connection
            .execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO delivery VALUES (77, 1);")
            .unwrap();
        let found = problems(&connection, |_| {}).unwrap();
        assert_eq!(
            found,
            ["row 77 of delivery refers to a user that is not there"]
        );
    }
}
