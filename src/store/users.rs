//! Accounts.

use super::{Result, Source, StoreError, Tx};
use crate::ids::UserId;

/// What a login needs to know of an account.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) password: String,
}

/// A new account, all values checked.
pub(crate) struct NewAccount {
    pub(crate) name: String,
    pub(crate) mapped: String,
    pub(crate) password: String,
    /// As given; nothing is sent to it.
    pub(crate) email: String,
    pub(crate) gender: String,
}

/// Account of the first key that one has. A key is a mapped name, or the name itself where another
/// account has the mapped one, see [`names`](super::open::names).
pub(crate) fn by_name(source: &impl Source, keys: &[impl AsRef<str>]) -> Result<Option<Account>> {
    match id_of(source, keys)? {
        Some(user) => by_id(source, user),
        None => Ok(None),
    }
}

pub(crate) fn by_id(source: &impl Source, user: UserId) -> Result<Option<Account>> {
    let account = source.row(
        "SELECT name, password FROM user WHERE id = ?1 AND mapped IS NOT NULL",
        [user],
    )?;
    Ok(account.map(|(name, password)| Account {
        id: user,
        name,
        password,
    }))
}

/// Id of the first key that an account has; see [`by_name`].
pub(crate) fn id_of(source: &impl Source, keys: &[impl AsRef<str>]) -> Result<Option<UserId>> {
    for key in keys {
        let found = source.value("SELECT id FROM user WHERE mapped = ?1", [key.as_ref()])?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// False for a tombstone.
pub(crate) fn exists(source: &impl Source, user: UserId) -> Result<bool> {
    source.has(
        "SELECT 1 FROM user WHERE id = ?1 AND mapped IS NOT NULL",
        [user],
    )
}

/// The name as it is shown to others: a deleted account's has a `~` in front, which no account
/// can have.
pub(crate) fn shown_name(source: &impl Source, user: UserId) -> Result<String> {
    source.one(
        "SELECT CASE WHEN mapped IS NULL THEN '~' || name ELSE name END
         FROM user WHERE id = ?1",
        [user],
    )
}

/// All accounts but `user`, in code point order of their mapped names.
pub(crate) fn others(source: &impl Source, user: UserId) -> Result<Vec<UserId>> {
    source.values(
        "SELECT id FROM user WHERE mapped IS NOT NULL AND id <> ?1 ORDER BY mapped",
        [user],
    )
}

/// Creates an account; None when the name is taken.
pub(crate) fn create(tx: &mut Tx<'_>, account: &NewAccount) -> Result<Option<UserId>, StoreError> {
    if id_of(tx.connection, &[&account.name, &account.mapped])?.is_some() {
        return Ok(None);
    }
    tx.run(
        "INSERT INTO user (name, mapped, password, email, gender, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            &account.name,
            &account.mapped,
            &account.password,
            &account.email,
            &account.gender,
            tx.now(),
        ),
    )?;
    Ok(Some(UserId::new(tx.connection.last_insert_rowid())))
}

/// Replaces a password's hash, if it is still the one that was checked.
pub(crate) fn set_password(
    tx: &mut Tx<'_>,
    user: UserId,
    old: &str,
    new: &str,
) -> Result<bool, StoreError> {
    let changed = tx.change(
        "UPDATE user SET password = ?3 WHERE id = ?1 AND password = ?2",
        (user, old, new),
    )?;
    Ok(changed == 1)
}

/// Deletes an account, if the password's hash is still the one that was checked: the name is free
/// at once, contacts and chats are taken away in steps.
pub(crate) fn delete(tx: &mut Tx<'_>, user: UserId, password: &str) -> Result<bool, StoreError> {
    let deleted = tx.change(
        "UPDATE user SET mapped = NULL, password = '', email = '', gender = ''
         WHERE id = ?1 AND password = ?2 AND mapped IS NOT NULL",
        (user, password),
    )?;
    if deleted == 0 {
        return Ok(false);
    }
    for sql in [
        "DELETE FROM delivery WHERE user_id = ?1",
        "DELETE FROM login_start WHERE user_id = ?1",
        "DELETE FROM explicit_receipt WHERE user_id = ?1",
    ] {
        tx.run(sql, [user])?;
    }
    tx.run("INSERT INTO departure (user_id) VALUES (?1)", [user])?;
    tx.cache
        .chats
        .retain(|_, chat| chat.creator != user && chat.other != user);
    tx.purge_soon();
    Ok(true)
}
