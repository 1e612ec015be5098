//! The commands `user ...`.
//!
//! A change that ends a login is written in one transaction with the order to end it, so that a
//! running server cannot miss it; the command returns once the server has carried out the order.

use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use super::terminal;
use super::{CommandResult, Failure, await_server};
use crate::auth::names::{self, Username};
use crate::auth::passwords::Hasher;
use crate::ctl::call::Call;
use crate::protocol::request::{self, GENDER_MAX};
use crate::sanitize;
use crate::store::admin::access::AdminAccess;
use crate::store::admin::orders::{self, Order};
use crate::store::admin::queries::{self, Details, Listed};
use crate::store::users::{self, Account, NewAccount};

pub(super) fn is_email(text: &str) -> bool {
    request::is_email(text) && !text.contains(char::is_control)
}

pub(super) fn is_gender(text: &str) -> bool {
    (1..=GENDER_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
}

pub(super) fn list(call: &Call) -> CommandResult {
    let access = AdminAccess::open(&call.database())?;
    let accounts = access.read(|moment| queries::accounts(moment))?;
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

pub(super) fn show(call: &Call) -> CommandResult {
    let access = AdminAccess::open(&call.database())?;
    let name = call.argument(0);
    let keys = names::keys(name);
    let Some(details) = access.view(|connection| queries::details(connection, &keys))? else {
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
    // They may hold invisible characters, or ones that turn the reading direction.
    let (email, gender) = (sanitize::word(&email), sanitize::word(&gender));
    let remark = remark(&listed).map(|remark| format!("\nremark       {remark}"));
    let remark = remark.unwrap_or_default();
    Ok(format!(
        "name         {}{remark}\nid           {}\nregistered   {}\nemail        {email}\n\
         gender       {gender}\ncontacts     {contacts}\nrequests     {requests}\n\
         chats        {chats}\nundelivered  {undelivered}\n\
         waiting      {text_bytes} bytes of text not yet delivered\nmedia        {media_bytes} bytes",
        listed.name, listed.id, listed.created
    ))
}

pub(super) fn add(call: &Call) -> CommandResult {
    let mut access = AdminAccess::open(&call.database())?;
    let name = new_name(call.argument(0))?;
    let password = hashed(call)?;
    let email = call.email.clone();
    let account = NewAccount {
        email: email.unwrap_or_else(|| format!("{}@localhost", name.mapped)),
        gender: call.gender.clone(),
        name: name.shown.clone(),
        mapped: name.mapped,
        password,
    };
    let created = access.write(|tx| users::create(tx, &account))?;
    let id = created.ok_or_else(|| taken(&name.shown))?;
    Ok(format!("{} is registered with id {id}", name.shown))
}

pub(super) fn passwd(call: &Call) -> CommandResult {
    let mut access = AdminAccess::open(&call.database())?;
    // First, so that a mistyped name is refused before anybody types a password.
    let account = find(&access, call.argument(0))?;
    let fresh = hashed(call)?;
    // The owner may have changed the password meanwhile; the operator's wins.
    let placed = access
        .write(|tx| {
            let Some(now) = users::by_id(&*tx, account.id)? else {
                return Ok(None);
            };
            users::set_password(tx, now.id, &now.password, &fresh)?;
            orders::place(tx, Order::End(now.id)).map(Some)
        })?
        .ok_or_else(|| nobody(&account.name))?;
    let late = await_server(&access, placed)?;
    Ok(format!(
        "{} has a new password and must log in again{late}",
        account.name
    ))
}

pub(super) fn rename(call: &Call) -> CommandResult {
    let mut access = AdminAccess::open(&call.database())?;
    let account = find(&access, call.argument(0))?;
    let name = new_name(call.argument(1))?;
    let placed = access
        .write(|tx| {
            if !queries::rename(tx, account.id, &name.shown, &name.mapped)? {
                return Ok(None);
            }
            orders::place(tx, Order::End(account.id)).map(Some)
        })?
        .ok_or_else(|| taken(&name.shown))?;
    let late = await_server(&access, placed)?;
    Ok(format!("{} is now {}{late}", account.name, name.shown))
}

pub(super) fn kick(call: &Call) -> CommandResult {
    let mut access = AdminAccess::open(&call.database())?;
    let account = find(&access, call.argument(0))?;
    if !access.is_live()? {
        return Err(Failure::Refused(format!(
            "no server is using {}, so nobody is logged in",
            call.database().display()
        )));
    }
    let placed = access.write(|tx| orders::place(tx, Order::End(account.id)))?;
    let late = await_server(&access, placed)?;
    Ok(format!("{} is no longer logged in{late}", account.name))
}

pub(super) fn delete(call: &Call) -> CommandResult {
    let mut access = AdminAccess::open(&call.database())?;
    let account = find(&access, call.argument(0))?;
    if !call.force {
        let question = format!(
            "Permanently delete {} with all contacts and chats?",
            account.name
        );
        match terminal::confirm(&question)? {
            Some(true) => {}
            Some(false) => return Err(Failure::Refused("nothing was deleted".to_owned())),
            None => {
                let why = "cannot ask for confirmation without a terminal; --force deletes without asking";
                return Err(Failure::Refused(why.to_owned()));
            }
        }
    }
    let placed = access
        .write(|tx| {
            let Some(now) = users::by_id(&*tx, account.id)? else {
                return Ok(None);
            };
            users::delete(tx, now.id, &now.password)?;
            orders::place(tx, Order::Purge)?;
            orders::place(tx, Order::End(now.id)).map(Some)
        })?
        .ok_or_else(|| nobody(&account.name))?;
    let late = await_server(&access, placed)?;
    // Without a server nobody else removes contacts and chats.
    access.purge_alone()?;
    Ok(format!("{} is deleted{late}", account.name))
}

/// What an operator should know about an account's name: that it shares its mapped name with another
/// account, or that today's rules would refuse it, such as one that looks like another.
fn remark(account: &Listed) -> Option<String> {
    if names::mapped(&account.name).is_some_and(|mapped| mapped != account.mapped) {
        return Some(
            "found only by this exact spelling; any other means another account".to_owned(),
        );
    }
    let fault = names::username(&account.name).err()?;
    Some(format!("not allowed for new accounts: {fault}"))
}

/// The account of a name, in any of its spellings.
fn find(access: &AdminAccess, name: &str) -> Result<Account, Failure> {
    let keys = names::keys(name);
    let account = access.read(|moment| users::by_name(moment, &keys))?;
    account.ok_or_else(|| nobody(name))
}

fn new_name(name: &str) -> Result<Username, Failure> {
    names::username(name)
        .map_err(|fault| Failure::Refused(format!("{name:?} is not allowed as a name: {fault}")))
}

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
