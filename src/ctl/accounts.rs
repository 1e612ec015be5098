//! Accounts.
//!
//! What a login depends on is changed together with an order to end it, so that a running server
//! cannot miss it; a command returns when the server has obeyed.

use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use super::terminal;
use super::{Database, Failure, Outcome};
use crate::auth::names;
use crate::auth::names::Username;
use crate::auth::passwords::Hasher;
use crate::ctl::options::Call;
use crate::protocol::request;
use crate::protocol::request::GENDER_MAX;
use crate::sanitize;
use crate::store::admin::orders;
use crate::store::admin::orders::Order;
use crate::store::admin::queries;
use crate::store::admin::queries::{Details, Listed};
use crate::store::users;
use crate::store::users::{Account, NewAccount};

/// Whether the protocol would take this address.
pub(super) fn is_email(text: &str) -> bool {
    request::is_email(text) && !text.contains(char::is_control)
}

/// Whether the protocol would take this gender.
pub(super) fn is_gender(text: &str) -> bool {
    (1..=GENDER_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
}

pub(super) fn list(call: &Call) -> Outcome {
    let database = Database::open(call)?;
    let accounts = database.named(database.beside.read(|moment| queries::accounts(moment)))?;
    if call.json {
        let rows: Vec<_> = accounts
            .iter()
            .map(|row| {
                json!({
                    "id": row.id.number(),
                    "name": row.name,
                    "registered": row.created,
                    "remark": remark(row),
                })
            })
            .collect();
        return Ok(json!(rows).to_string());
    }
    let rows = accounts.iter().map(|row| {
        let remark = remark(row).map(|remark| format!("  ({remark})"));
        let remark = remark.unwrap_or_default();
        format!("{:>6}  {}  {}{remark}", row.id, row.created, row.name)
    });
    Ok(rows.collect::<Vec<_>>().join("\n"))
}

pub(super) fn show(call: &Call) -> Outcome {
    let database = Database::open(call)?;
    let name = call.argument(0);
    let keys = names::keys(name);
    let details = database
        .beside
        .view(|connection| queries::details(connection, &keys));
    let Some(details) = database.named(details)? else {
        return Err(nobody(name));
    };
    let Details {
        listed,
        email,
        gender,
        contacts,
        requests,
        chats,
        undelivered,
        text_bytes,
        media_bytes,
    } = details;
    if call.json {
        return Ok(json!({
            "id": listed.id.number(),
            "name": listed.name,
            "registered": listed.created,
            "remark": remark(&listed),
            "email": email,
            "gender": gender,
            "contacts": contacts,
            "requests": requests,
            "chats": chats,
            "undelivered": undelivered,
            "text_bytes": text_bytes,
            "media_bytes": media_bytes,
        })
        .to_string());
    }
    // They may hold what turns the reading direction, or is not seen.
    let (email, gender) = (sanitize::word(&email), sanitize::word(&gender));
    let remark = remark(&listed).map(|remark| format!("\nremark       {remark}"));
    let remark = remark.unwrap_or_default();
    Ok(format!(
        "name         {}{remark}\nid           {}\nregistered   {}\nemail        {email}\n\
         gender       {gender}\ncontacts     {contacts}\nrequests     {requests}\n\
         chats        {chats}\nundelivered  {undelivered}\n\
         waiting      {text_bytes} bytes of text for others\nmedia        {media_bytes} bytes",
        listed.name, listed.id, listed.created
    ))
}

pub(super) fn add(call: &Call) -> Outcome {
    let mut database = Database::open(call)?;
    let name = new_name(call.argument(0))?;
    let password = hashed(call)?;
    let email = call.email.clone();
    let account = NewAccount {
        email: email.unwrap_or_else(|| format!("{}@localhost", name.mapped)),
        gender: call.gender.clone().unwrap_or_else(|| "-".to_owned()),
        name: name.shown.clone(),
        mapped: name.mapped,
        password,
    };
    let created = database.beside.write(|tx| users::create(tx, &account));
    match database.named(created)? {
        Some(id) => Ok(format!("{} is registered with id {id}", name.shown)),
        None => Err(taken(&name.shown)),
    }
}

pub(super) fn passwd(call: &Call) -> Outcome {
    let mut database = Database::open(call)?;
    // Whoever mistypes the name is not asked for a password first.
    let account = find(&database, call.argument(0))?;
    let fresh = hashed(call)?;
    // The owner may have changed it meanwhile; the operator's wins.
    let placed = database.beside.write(|tx| {
        let Some(now) = users::by_id(&*tx, account.id)? else {
            return Ok(None);
        };
        users::set_password(tx, now.id, &now.password, &fresh)?;
        orders::place(tx, Order::End(now.id)).map(Some)
    });
    let Some(placed) = database.named(placed)? else {
        return Err(nobody(&account.name));
    };
    let late = database.settle(placed)?;
    Ok(format!(
        "{} has a new password, and must log in with it{late}",
        account.name
    ))
}

pub(super) fn rename(call: &Call) -> Outcome {
    let mut database = Database::open(call)?;
    let account = find(&database, call.argument(0))?;
    let name = new_name(call.argument(1))?;
    let placed = database.beside.write(|tx| {
        if !queries::rename(tx, account.id, &name.shown, &name.mapped)? {
            return Ok(None);
        }
        orders::place(tx, Order::End(account.id)).map(Some)
    });
    let Some(placed) = database.named(placed)? else {
        return Err(taken(&name.shown));
    };
    let late = database.settle(placed)?;
    Ok(format!("{} is {} now{late}", account.name, name.shown))
}

pub(super) fn kick(call: &Call) -> Outcome {
    let mut database = Database::open(call)?;
    let account = find(&database, call.argument(0))?;
    let live = database.beside.is_live();
    if !database.named(live)? {
        return Err(Failure::Refused(format!(
            "no server uses {}, so nobody is logged in",
            database.path.display()
        )));
    }
    let placed = database
        .beside
        .write(|tx| orders::place(tx, Order::End(account.id)));
    let placed = database.named(placed)?;
    let late = database.settle(placed)?;
    Ok(format!("{} is not logged in any more{late}", account.name))
}

pub(super) fn delete(call: &Call) -> Outcome {
    let mut database = Database::open(call)?;
    let account = find(&database, call.argument(0))?;
    if !call.force {
        let question = format!("Delete {} with contacts and chats, for good?", account.name);
        match terminal::confirm(&question)? {
            Some(true) => {}
            Some(false) => return Err(Failure::Refused("nothing was deleted".to_owned())),
            None => {
                let why = "nobody can be asked whether to delete; --force does not ask";
                return Err(Failure::Refused(why.to_owned()));
            }
        }
    }
    let placed = database.beside.write(|tx| {
        let Some(now) = users::by_id(&*tx, account.id)? else {
            return Ok(None);
        };
        users::delete(tx, now.id, &now.password)?;
        orders::place(tx, Order::Purge)?;
        orders::place(tx, Order::End(now.id)).map(Some)
    });
    let Some(placed) = database.named(placed)? else {
        return Err(nobody(&account.name));
    };
    let late = database.settle(placed)?;
    // Without a server nobody else takes contacts and chats away.
    let purged = database.beside.purge_alone();
    database.named(purged)?;
    Ok(format!("{} is deleted{late}", account.name))
}

/// What an operator should know of an account's name: that it shares its mapped name with another
/// account, or that it might not be registered today, such as one that looks like another.
fn remark(account: &Listed) -> Option<String> {
    if names::mapped(&account.name).is_some_and(|mapped| mapped != account.mapped) {
        return Some(
            "found by just this spelling: every other one means another account".to_owned(),
        );
    }
    let fault = names::username(&account.name).err()?;
    Some(format!("not allowed today: {fault}"))
}

/// The account of a name, however it is written.
fn find(database: &Database, name: &str) -> Result<Account, Failure> {
    let keys = names::keys(name);
    let account = database
        .beside
        .read(|connection| users::by_name(connection, &keys));
    database.named(account)?.ok_or_else(|| nobody(name))
}

fn new_name(name: &str) -> Result<Username, Failure> {
    names::username(name)
        .map_err(|fault| Failure::Refused(format!("{name:?} is not allowed as a name: {fault}")))
}

/// Asks for a password and hashes it.
fn hashed(call: &Call) -> Result<String, Failure> {
    let given = terminal::new_password(call.password_file.as_deref())?;
    let password: Zeroizing<String> = names::password(&given)
        .map_err(|fault| Failure::Refused(format!("the password is not allowed: {fault}")))?;
    Hasher::start(call.cost)?
        .hash(&password, Arc::new(|| true))
        .map_err(|error| Failure::Refused(error.to_string()))
}

fn nobody(name: &str) -> Failure {
    Failure::Refused(format!("there is no user {name:?}"))
}

fn taken(name: &str) -> Failure {
    Failure::Refused(format!("the name {name} is taken"))
}
