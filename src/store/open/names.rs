//! Mapping the names of all accounts anew, when the rules that compare them have changed.
//!
//! `user.mapped` is what an account is found by. It was made by the rules of its time; whoever
//! changes them (another version of Unicode, a corrected mapping) hands the new mapping in with
//! another number, and all accounts are gone through once. Two accounts may have one mapped name
//! then. Both stay: one has it, the other is found by its name alone, exactly as it was
//! registered. No such name is a mapped one, so nothing is found by two ways.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::ids::UserId;
use crate::store::{Result, Source, Store, StoreError};

/// The row of `counter` with the number of the rules that the database was mapped by.
const COUNTER: &str = "name_rules";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clash {
    /// Found by every spelling.
    pub(crate) holder: String,
    /// Found by just this spelling.
    pub(crate) other: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Remapped {
    pub(crate) changed: usize,
    /// Those that had to share a mapped name, also those that did before.
    pub(crate) clashes: Vec<Clash>,
}

impl Store {
    /// Maps all names by `map`, unless that was done by the rules of this number; all or nothing.
    /// A name that `map` has nothing for keeps what it has.
    pub(crate) fn map_names(
        &self,
        rules: i64,
        map: fn(&str) -> Option<String>,
    ) -> Result<Remapped, StoreError> {
        if self.read(|view| view.counter(COUNTER))? == Some(rules) {
            return Ok(Remapped::default());
        }
        self.write(1, move |tx| Ok(map_all(tx.connection, rules, map)?))
    }
}

/// An account whose key changes, and its name.
type Moving = (UserId, String);

fn map_all(
    connection: &Connection,
    rules: i64,
    map: fn(&str) -> Option<String>,
) -> Result<Remapped> {
    let moving = moving(connection, map)?;
    // Keys are unique, and one account may get what another one still has.
    let all = moving.values().flatten();
    set_keys(connection, all.map(|(user, _)| (*user, None)))?;
    let mut remapped = Remapped::default();
    for (mapped, mut accounts) in moving {
        remapped.changed += accounts.len();
        let there: Option<Moving> =
            connection.row("SELECT id, name FROM user WHERE mapped = ?1", [&mapped])?;
        if let Some((user, _)) = there {
            set_keys(connection, [(user, None)])?;
        }
        accounts.splice(0..0, there);
        // Who is called so to the letter could not be found by another key.
        let holder = accounts.iter().position(|(_, name)| *name == mapped);
        let (user, holder) = accounts.remove(holder.unwrap_or(0));
        set_keys(connection, [(user, Some(mapped.as_str()))])?;
        for (user, other) in accounts {
            set_keys(connection, [(user, Some(other.as_str()))])?;
            let holder = holder.clone();
            remapped.clashes.push(Clash { holder, other });
        }
    }
    connection.set_counter(COUNTER, rules)?;
    Ok(remapped)
}

/// Accounts whose key is not what `map` makes of their names, by what it makes; oldest first.
fn moving(
    connection: &Connection,
    map: fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Vec<Moving>>> {
    let mut moving = BTreeMap::<String, Vec<Moving>>::new();
    let mut statement =
        connection.prepare("SELECT id, name, mapped FROM user WHERE mapped IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(1)?.as_str()?;
        if let Some(mapped) = map(name)
            && mapped != row.get_ref(2)?.as_str()?
        {
            let account = (row.get(0)?, name.to_owned());
            moving.entry(mapped).or_default().push(account);
        }
    }
    for accounts in moving.values_mut() {
        accounts.sort_by_key(|(user, _)| *user);
    }
    Ok(moving)
}

fn set_keys<'a>(
    connection: &Connection,
    keys: impl IntoIterator<Item = (UserId, Option<&'a str>)>,
) -> Result<()> {
    let mut statement = connection.prepare_cached("UPDATE user SET mapped = ?2 WHERE id = ?1")?;
    for key in keys {
        statement.execute(key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules that compare names by their letters in lower case, without dots.
    fn dotless(name: &str) -> Option<String> {
        Some(name.to_lowercase().replace('.', ""))
    }

    /// Names and keys.
    type Accounts<'a> = &'a [(&'a str, &'a str)];

    fn database(accounts: Accounts) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        crate::store::open::schema::prepare(&mut connection).unwrap();
        for account in accounts {
            connection
                .execute(
                    "INSERT INTO user (name, mapped, password, email, gender, created)
                     VALUES (?1, ?2, '', '', '', 1)",
                    *account,
                )
                .unwrap();
        }
        connection
    }

    fn keys(connection: &Connection) -> Vec<(String, String)> {
        let sql = "SELECT name, mapped FROM user WHERE mapped IS NOT NULL ORDER BY id";
        connection.rows(sql, []).unwrap()
    }

    fn pairs(expected: Accounts) -> Vec<(String, String)> {
        let owned = |(name, key): &(&str, &str)| ((*name).to_owned(), (*key).to_owned());
        expected.iter().map(owned).collect()
    }

    #[test]
    fn one_of_several_has_the_mapped_name_and_the_others_their_own() {
        let cases: &[(Accounts, Accounts, usize, usize)] = &[
            // Nothing to do.
            (
                &[("Anna", "anna"), ("x", "x")],
                &[("Anna", "anna"), ("x", "x")],
                0,
                0,
            ),
            // Another key, nobody in the way.
            (&[("A.nna", "a.nna")], &[("A.nna", "anna")], 1, 0),
            // Who has it already keeps it.
            (
                &[("An.na", "an.na"), ("Anna", "anna"), ("Ann.a", "ann.a")],
                &[("An.na", "An.na"), ("Anna", "anna"), ("Ann.a", "Ann.a")],
                2,
                2,
            ),
            // Nobody has it: the oldest.
            (
                &[("An.na", "an.na"), ("Ann.a", "ann.a")],
                &[("An.na", "anna"), ("Ann.a", "Ann.a")],
                2,
                1,
            ),
            // Who is called so can have no other key, whatever the others had.
            (
                &[("Anna", "anna"), ("anna", "odd")],
                &[("Anna", "Anna"), ("anna", "anna")],
                1,
                1,
            ),
            // Each wants what the other has.
            (&[("b", "a"), ("a", "b")], &[("b", "b"), ("a", "a")], 2, 0),
        ];
        for (before, after, changed, clashes) in cases {
            let connection = database(before);
            let remapped = map_all(&connection, 2, dotless).unwrap();
            assert_eq!(keys(&connection), pairs(after), "{before:?}");
            assert_eq!(
                (remapped.changed, remapped.clashes.len()),
                (*changed, *clashes),
                "{before:?}"
            );
            assert_eq!(connection.counter(COUNTER).unwrap(), Some(2));
            // Once more, and with the names kept apart still apart.
            map_all(&connection, 3, dotless).unwrap();
            assert_eq!(keys(&connection), pairs(after), "{before:?}");
        }
    }

    #[test]
    fn who_was_found_by_the_name_alone_gets_the_mapped_one_when_it_is_free() {
        let connection = database(&[("An.na", "An.na")]);
        connection
            .execute("INSERT INTO user (name, password, email, gender, created) VALUES ('anna', '', '', '', 1)", [])
            .unwrap();
        map_all(&connection, 2, dotless).unwrap();
        assert_eq!(keys(&connection), pairs(&[("An.na", "anna")]));
    }

    #[test]
    fn a_name_without_a_mapping_keeps_its_key() {
        let connection = database(&[("Anna", "odd")]);
        map_all(&connection, 2, |_| None).unwrap();
        assert_eq!(keys(&connection), pairs(&[("Anna", "odd")]));
    }
}
