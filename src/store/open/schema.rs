//! Which version of the schema a database has, and how an older one is brought up to date.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::{Result, StoreError};

const SCHEMA: &str = include_str!("../../../schema.sql");

pub(crate) const VERSION: i64 = 5;

/// Marks a file as ours ("Plau"), so that another program's database is not taken for an empty one.
const APPLICATION_ID: i64 = 0x506C_6175;

/// `UPGRADES[n]` turns version n + 1 into version n + 2.
const UPGRADES: &[&str] = &[
    "CREATE INDEX media_owner ON media (owner_id, size);",
    // Text for text as in schema.sql, so that an upgraded database is like a new one.
    "DROP INDEX media_owner;
CREATE TABLE media_use (
    user_id INTEGER PRIMARY KEY REFERENCES user (id),
    bytes   INTEGER NOT NULL
) STRICT;
CREATE TRIGGER media_added AFTER INSERT ON media BEGIN
    INSERT INTO media_use (user_id, bytes) VALUES (new.owner_id, new.size)
    ON CONFLICT (user_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER media_removed AFTER DELETE ON media BEGIN
    UPDATE media_use SET bytes = bytes - old.size WHERE user_id = old.owner_id;
END;
CREATE TABLE held_lane (
    lane    INTEGER PRIMARY KEY,
    upto    INTEGER NOT NULL,
    arrived INTEGER
) STRICT;
CREATE TABLE held_media (
    media_id INTEGER PRIMARY KEY,
    arrived  INTEGER
) STRICT;
INSERT INTO counter (name, value) VALUES ('kept_message', 0), ('kept_media', 0);
INSERT INTO media_use (user_id, bytes) SELECT owner_id, sum(size) FROM media GROUP BY owner_id;",
    "CREATE TABLE lane_message (
    lane       INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (lane, message_id)
) WITHOUT ROWID, STRICT;
INSERT INTO lane_message (lane, message_id) SELECT lane, id FROM message ORDER BY lane, id;
DROP INDEX message_lane;
INSERT INTO counter (name, value) SELECT 'indexed', coalesce(max(id), 0) FROM message;",
    "CREATE TABLE asked (
    user_id    INTEGER NOT NULL REFERENCES user (id),
    contact_id INTEGER NOT NULL REFERENCES user (id),
    told       INTEGER NOT NULL,
    declined   INTEGER NOT NULL DEFAULT 0,
    quiet      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, contact_id)
) WITHOUT ROWID, STRICT;
CREATE INDEX asked_contact ON asked (contact_id);
CREATE TABLE explicit_receipt (
    user_id INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE
) STRICT;
CREATE TABLE login_start (
    user_id    INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    message_id INTEGER NOT NULL,
    since      INTEGER NOT NULL
) STRICT;",
];

/// Bytes of a page of a new database; an older one keeps those of 4 KiB that it was made with. A
/// commit of a burst of messages changes the pages that these fill and three more for the growth.
const PAGE: u32 = 8192;

/// Whether the database is ours, of a version that we know, or empty. Nothing is written.
pub(crate) fn recognise(connection: &Connection) -> Result<(), StoreError> {
    let version: i64 = pragma(connection, "user_version")?;
    let application: i64 = pragma(connection, "application_id")?;
    if count_tables(connection)? > 0 && application != APPLICATION_ID {
        return Err(StoreError::Foreign(
            "it is a database of another program".to_owned(),
        ));
    }
    expect_known(version)
}

fn expect_known(version: i64) -> Result<(), StoreError> {
    if version > VERSION {
        return Err(StoreError::Foreign(format!(
            "it has version {version}, written by a newer Plausch; this one knows up to {VERSION}"
        )));
    }
    Ok(())
}

fn count_tables(connection: &Connection) -> Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

/// Creates the tables, or upgrades an older database in one transaction; refuses as [`recognise`] does.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    recognise(connection)?;
    let version: i64 = pragma(connection, "user_version")?;
    if count_tables(connection)? == 0 {
        // Takes effect only before the first table, and outside a transaction.
        let page = format!("PRAGMA page_size = {PAGE};");
        connection.execute_batch(&page)?;
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    }
    connection.execute_batch("PRAGMA journal_mode = WAL;")?;
    if version < VERSION {
        upgrade(connection)?;
    }
    Ok(())
}

/// Refuses what is no database of ours, or not of this version, without changing anything.
pub(crate) fn expect_newest(connection: &Connection) -> Result<(), StoreError> {
    match expect_ours(connection)? {
        VERSION => Ok(()),
        older => Err(StoreError::Foreign(format!(
            "it has version {older}, this program works on {VERSION}: start plauschd on it once, \
             which brings it up to date"
        ))),
    }
}

/// Refuses what is no database of ours, or of a newer version; gives the version.
pub(crate) fn expect_ours(connection: &Connection) -> Result<i64, StoreError> {
    expect_marks(
        pragma(connection, "application_id")?,
        pragma(connection, "user_version")?,
    )
}

/// The same by the two marks that a file carries.
pub(crate) fn expect_marks(application: i64, version: i64) -> Result<i64, StoreError> {
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign(
            "it is no database of Plausch".to_owned(),
        ));
    }
    expect_known(version)?;
    Ok(version)
}

fn upgrade(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have been faster.
    let version: i64 = pragma(&transaction, "user_version")?;
    match usize::try_from(version) {
        Ok(0) => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        Ok(older) => {
            log::info!(
                "upgrading the database from version {version} to {VERSION}; it takes a while if \
                 it is large, and is all or nothing"
            );
            for step in UPGRADES.iter().skip(older - 1) {
                transaction.execute_batch(step)?;
            }
        }
        Err(_) => return Err(StoreError::Foreign(format!("it has version {version}"))),
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    if version > 0 && version < VERSION {
        log::info!("database upgraded from version {version} to {VERSION}");
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Source;

    /// The schema as each older version had it.
    const OLDER: &[&str] = &[
        include_str!("../../../tests/data/schema-1.sql"),
        include_str!("../../../tests/data/schema-2.sql"),
        include_str!("../../../tests/data/schema-3.sql"),
        include_str!("../../../tests/data/schema-4.sql"),
    ];

    fn fresh() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        prepare(&mut connection).unwrap();
        connection
    }

    fn old(version: usize) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(OLDER[version - 1]).unwrap();
        connection
            .pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        connection
            .pragma_update(None, "user_version", version as i64)
            .unwrap();
        connection
    }

    /// Tables, indexes and triggers, as SQLite describes them.
    fn shape(connection: &Connection) -> Vec<(String, String, String)> {
        let sql = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema
                   WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name";
        connection.rows(sql, []).unwrap()
    }

    #[test]
    fn an_upgraded_database_is_like_a_new_one_and_keeps_its_rows() {
        for version in 1..=OLDER.len() {
            let mut old = old(version);
            old.execute_batch(
                "INSERT INTO user (name, mapped, password, email, gender, created)
                 VALUES ('Hans', 'hans', '$scrypt$', 'h@x', 'm', 1);
                 INSERT INTO media (owner_id, chat_id, size, quoted)
                 VALUES (1, 1, 30, 0), (1, 1, 12, 0);
                 UPDATE counter SET value = 7;",
            )
            .unwrap();
            assert_ne!(shape(&old), shape(&fresh()), "version {version} differs");
            prepare(&mut old).unwrap();
            assert_eq!(shape(&old), shape(&fresh()), "from version {version}");
            assert_eq!(pragma(&old, "user_version").unwrap(), VERSION);
            let sql = "SELECT name, bytes, (SELECT value FROM counter WHERE name = 'message')
                       FROM user JOIN media_use ON user_id = id WHERE mapped = 'hans'";
            let kept: Option<(String, i64, i64)> = old.row(sql, []).unwrap();
            let wanted = ("Hans".to_owned(), 42, 7);
            assert_eq!(kept, Some(wanted), "from version {version}");
        }
    }

    #[test]
    fn the_use_of_media_follows_what_comes_and_goes() {
        let database = fresh();
        let sql = "SELECT bytes FROM media_use WHERE user_id = 1";
        let bytes = || -> i64 { database.one(sql, []).unwrap() };
        database
            .execute_batch(
                "INSERT INTO user (name, password, email, gender, created)
                 VALUES ('Hans', '', '', '', 1);
                 INSERT INTO media (owner_id, chat_id, size, quoted)
                 VALUES (1, 1, 30, 0), (1, 1, 12, 0);",
            )
            .unwrap();
        assert_eq!(bytes(), 42);
        database
            .execute_batch("DELETE FROM media WHERE id = 1")
            .unwrap();
        assert_eq!(bytes(), 12);
    }

    #[test]
    fn only_a_new_database_gets_larger_pages() {
        let size = |connection: &Connection| pragma(connection, "page_size").unwrap();
        assert_eq!(size(&fresh()), i64::from(PAGE));
        let mut older = old(1);
        prepare(&mut older).unwrap();
        assert_eq!(size(&older), 4096);
    }

    #[test]
    fn there_is_a_step_from_each_version_to_the_next() {
        assert_eq!(UPGRADES.len() as i64, VERSION - 1);
        assert_eq!(OLDER.len() as i64, VERSION - 1);
    }

    #[test]
    fn a_newer_database_is_refused_and_left_alone() {
        let mut newer = fresh();
        newer
            .pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        let before = shape(&newer);
        let refusal = prepare(&mut newer).unwrap_err().to_string();
        assert!(refusal.contains("newer"), "{refusal}");
        assert_eq!(shape(&newer), before);
        assert_eq!(pragma(&newer, "user_version").unwrap(), VERSION + 1);
    }

    #[test]
    fn another_programs_database_is_refused_and_left_alone() {
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign
            .execute_batch("CREATE TABLE recipe (t TEXT)")
            .unwrap();
        let before = shape(&foreign);
        assert!(matches!(prepare(&mut foreign), Err(StoreError::Foreign(_))));
        assert_eq!(shape(&foreign), before);
    }
}
