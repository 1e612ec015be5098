//! Which version of the schema a database has, and how an older one is brought up to date.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The newest schema, as a new database gets it.
const SCHEMA: &str = include_str!("../../schema.sql");

/// The version of [`SCHEMA`].
pub const VERSION: i64 = 1;

/// Marks a file as ours ("Plau"), so that another program's database is not taken for an empty one.
const APPLICATION_ID: i64 = 0x506C_6175;

/// `UPGRADES[n]` turns version n + 1 into version n + 2.
const UPGRADES: &[&str] = &[];

/// Creates the tables in an empty database, upgrades an older one in one transaction, refuses a
/// newer or a foreign one without changing anything.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let version: i64 = pragma(connection, "user_version")?;
    let application: i64 = pragma(connection, "application_id")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(StoreError::Foreign(
            "it is a database of another program".to_owned(),
        ));
    }
    if version > VERSION {
        return Err(StoreError::Foreign(format!(
            "it has version {version}, written by a newer Plausch; this one knows up to {VERSION}"
        )));
    }
    if tables == 0 {
        // Takes effect only before the first table, and outside a transaction.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    }
    connection.execute_batch("PRAGMA journal_mode = WAL;")?;
    if version < VERSION {
        upgrade(connection)?;
    }
    Ok(())
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

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
