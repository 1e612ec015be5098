//! Where statements run, and the few ways to run one.
//!
//! Other rooms hold a [`View`], a [`Tx`] or a [`Moment`] and cannot name this trait, so they reach no SQL
//! through them. Each statement is prepared once per connection.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row, ToSql};

use super::{Result, Tx, View};

/// What a row of columns is read as: a tuple.
pub(crate) trait Columns: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error> {}

impl<T: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error>> Columns for T {}

pub(crate) trait Source {
    fn connection(&self) -> &Connection;

    /// Runs a statement that gives no rows.
    fn run(&self, sql: &str, parameters: impl Params) -> Result<()> {
        self.change(sql, parameters).map(drop)
    }

    /// The same; says how many rows it has changed.
    fn change(&self, sql: &str, parameters: impl Params) -> Result<usize> {
        self.connection().prepare_cached(sql)?.execute(parameters)
    }

    fn has(&self, sql: &str, parameters: impl Params) -> Result<bool> {
        self.connection().prepare_cached(sql)?.exists(parameters)
    }

    fn row<T: Columns>(&self, sql: &str, parameters: impl Params) -> Result<Option<T>> {
        self.connection()
            .prepare_cached(sql)?
            .query_row(parameters, |row| row.try_into())
            .optional()
    }

    /// First column of the first row.
    fn value<T: FromSql>(&self, sql: &str, parameters: impl Params) -> Result<Option<T>> {
        Ok(self.row(sql, parameters)?.map(|(value,)| value))
    }

    /// First column of a statement that always gives a row.
    fn one<T: FromSql>(&self, sql: &str, parameters: impl Params) -> Result<T> {
        self.connection()
            .prepare_cached(sql)?
            .query_row(parameters, |row| row.get(0))
    }

    /// What the table of numbers has under a name.
    fn counter(&self, name: &str) -> Result<Option<i64>> {
        self.value("SELECT value FROM counter WHERE name = ?1", [name])
    }

    fn set_counter(&self, name: &str, value: impl ToSql) -> Result<()> {
        self.run(
            "INSERT INTO counter (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )
    }

    fn rows<T: Columns>(&self, sql: &str, parameters: impl Params) -> Result<Vec<T>> {
        self.connection()
            .prepare_cached(sql)?
            .query_map(parameters, |row| row.try_into())?
            .collect()
    }

    /// First columns of all rows.
    fn values<T: FromSql>(&self, sql: &str, parameters: impl Params) -> Result<Vec<T>> {
        self.connection()
            .prepare_cached(sql)?
            .query_map(parameters, |row| row.get(0))?
            .collect()
    }
}

/// One moment of the database, for what reads no lanes.
pub(crate) struct Moment<'c>(pub(super) &'c Connection);

impl Source for Connection {
    fn connection(&self) -> &Connection {
        self
    }
}

impl Source for Moment<'_> {
    fn connection(&self) -> &Connection {
        self.0
    }
}

impl Source for View<'_> {
    fn connection(&self) -> &Connection {
        self.connection
    }
}

impl Source for Tx<'_> {
    fn connection(&self) -> &Connection {
        self.connection
    }
}
