//! Identifiers as columns and parameters: integers in the database.

use crate::store::Result;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

use crate::ids::{ChatId, Lane, MediaId, MessageId, UserId};

macro_rules! integer {
    ($($id:ty),+) => {$(
        impl ToSql for $id {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                Ok(self.number().into())
            }
        }

        impl FromSql for $id {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map(Self::new)
            }
        }
    )+};
}

integer!(UserId, ChatId, Lane, MessageId, MediaId);
