//! Figures of the whole database, for people. Counting looks at everything there is, so nothing of
//! this belongs into the server.

use std::path::Path;

use super::queries;
use crate::ids::UserId;
use crate::store::lanes::View;
use crate::store::open::place;
use crate::store::{Result, Source};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) users: i64,
    /// Chats that at least one member has in its list.
    pub(crate) chats: i64,
    /// Pairs of confirmed contacts.
    pub(crate) contacts: i64,
    pub(crate) messages: i64,
    /// Messages that have not arrived, as far as that is saved.
    pub(crate) undelivered: i64,
    pub(crate) media: i64,
    pub(crate) media_bytes: i64,
    pub(crate) database_bytes: i64,
    pub(crate) free_bytes: i64,
    pub(crate) wal_bytes: i64,
    pub(crate) schema_version: i64,
}

pub(crate) fn count(view: &View<'_>, path: &Path) -> Result<Statistics> {
    let number = |sql: &str| -> Result<i64> { view.one(sql, []) };
    let page = number("PRAGMA page_size")?;
    let wal = place::length(&place::beside_it(path, "-wal"));
    Ok(Statistics {
        users: number("SELECT count(*) FROM user WHERE mapped IS NOT NULL")?,
        chats: number("SELECT count(*) FROM chat")?,
        contacts: number("SELECT count(*) / 2 FROM contact WHERE since IS NOT NULL")?,
        messages: number("SELECT count(*) FROM message")?,
        undelivered: undelivered(view)?,
        media: number("SELECT count(*) FROM media WHERE message_id IS NOT NULL")?,
        media_bytes: number(
            "SELECT coalesce(sum(size), 0) FROM media WHERE message_id IS NOT NULL",
        )?,
        database_bytes: number("PRAGMA page_count")? * page,
        free_bytes: number("PRAGMA freelist_count")? * page,
        wal_bytes: i64::try_from(wal).unwrap_or(i64::MAX),
        schema_version: number("PRAGMA user_version")?,
    })
}

fn undelivered(view: &View<'_>) -> Result<i64> {
    let mut count = 0;
    let users: Vec<UserId> = view.values("SELECT id FROM user WHERE mapped IS NOT NULL", [])?;
    for user in users {
        count += queries::undelivered(view, user)?;
    }
    Ok(count)
}
