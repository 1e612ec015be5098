//! Accounts: registering, logging in and out, changing the password, leaving for good.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::{Answer, LoggedIn, Outcome, Refused, Session, logged_in, reply};
use crate::auth::names;
use crate::delivery::outbox::Outbox;
use crate::guard::log_limit::log_limited;
use crate::protocol::memory;
use crate::protocol::{Reply, Status};
use crate::store::users;
use crate::store::users::{Account, NewAccount};

/// `110 User Password` → `212`.
pub(crate) fn login(session: &mut Session, user: &str, password: &str) -> Outcome {
    // As typed, and that may be as long as a line.
    let refuse = |status| {
        reply(Reply::LoginResponse {
            status,
            user: Cow::Owned(memory::copy(user)?),
        })
    };
    if session.login.is_some() {
        return refuse(Status::ClientAlreadyLoggedIn);
    }
    let context = Arc::clone(&session.context);
    let keys = names::keys(user);
    let account = context.store.read(|view| users::by_name(view, &keys))?;
    // A name that is not there, or cannot be, costs the same time as a wrong password.
    let prepared = names::typed_password(password);
    let stored = match (&account, &prepared) {
        (Some(account), Some(_)) => Some(account.password.as_str()),
        _ => None,
    };
    let prepared = prepared.as_deref().map_or(password, |text| text);
    let verdict = session
        .peer
        .without_deadline(|wanted| context.hasher.verify(prepared, stored, wanted))?;
    let name = keys.last().map_or(user, |mapped| mapped);
    hold_back(session, name, account.is_some() && verdict.matches)?;
    let Some(account) = account.filter(|_| verdict.matches) else {
        return refuse(Status::PasswordWrong);
    };
    // What of an earlier login on this connection has arrived by now.
    session.peer.connection().lock().collect_acknowledgements();
    let outbox = Outbox::new(
        account.id,
        &account.name,
        session.peer.connection(),
        &context.store,
        &context.threads,
    );
    if !context.hub.enter(&outbox) {
        return refuse(Status::UsernameAlreadyLoggedIn);
    }
    session.login = Some(LoggedIn {
        user: account.id,
        outbox: Arc::clone(&outbox),
        text: context.store.text_of(account.id),
    });
    // The password was checked against what was read before the hash: the account may have been
    // deleted, or its password changed, by a login that has ended meanwhile.
    let now = context.store.read(|view| users::by_id(view, account.id));
    if !matches!(&now, Ok(Some(now)) if now.password == account.password) {
        session.login = None;
        context.hub.leave(&outbox);
        now?;
        return refuse(Status::PasswordWrong);
    }
    if verdict.stale {
        renew(session, &account, prepared);
    }
    if std::mem::take(&mut session.will_confirm) {
        outbox.expect_receipts();
    }
    Ok(Answer::Enter(Reply::LoginResponse {
        status: Status::Ok,
        user: Cow::Owned(account.name),
    }))
}

/// `111` → `213`.
pub(crate) fn logout() -> Outcome {
    Ok(Answer::Leave(Reply::LogoutResponse { status: Status::Ok }))
}

/// `117 User Password Email Gender` → `222`.
pub(crate) fn register(
    session: &Session,
    user: &str,
    password: &str,
    email: &str,
    gender: &str,
) -> Outcome {
    let respond = |status| reply(Reply::RegisterAccountResponse { status });
    let context = &session.context;
    if !context.registration_open {
        return Err(Refused::Because("registration is closed on this server"));
    }
    if session.login.is_some() {
        return respond(Status::ClientAlreadyLoggedIn);
    }
    let name = match names::username(user) {
        Ok(name) => name,
        Err(fault) => return respond(note_fault(session, Status::UsernameInvalid, &fault)),
    };
    let password = match names::password(password) {
        Ok(password) => password,
        Err(fault) => return respond(note_fault(session, Status::PasswordInvalid, &fault)),
    };
    // Spares the hash; whether the name is free is decided in the job below.
    let taken = context
        .store
        .read(|view| users::id_of(view, &[&name.shown, &name.mapped]))?;
    if taken.is_some() {
        return respond(Status::UsernameAlreadyTaken);
    }
    let peer = session.peer.address();
    let Some(permit) = context.registrations.take(peer.ip(), Instant::now()) else {
        context.log_limits.registrations.warn(format_args!(
            "{peer} may not register an account: its address has had its share of this hour \
             (--register-rate)"
        ));
        return Err(Refused::Because(
            "too many registrations from this address, try again in an hour",
        ));
    };
    let hash = session
        .peer
        .without_deadline(|wanted| context.hasher.hash(&password, wanted))?;
    let account = NewAccount {
        name: name.shown,
        mapped: name.mapped,
        password: hash,
        email: email.to_owned(),
        gender: gender.to_owned(),
    };
    let created = context
        .store
        .grow(2, move |tx| users::create(tx, &account))?;
    respond(match created {
        Some(_) => {
            permit.used();
            Status::Ok
        }
        None => Status::UsernameAlreadyTaken,
    })
}

/// `132 Old New` → `245`.
pub(crate) fn change_password(session: &Session, old: &str, new: &str) -> Outcome {
    let respond = |status| reply(Reply::PasswordChangeResponse { status });
    let login = logged_in(session)?;
    let Some(stored) = check(session, old)? else {
        return respond(Status::PasswordWrong);
    };
    let new = match names::password(new) {
        Ok(new) => new,
        Err(fault) => return respond(note_fault(session, Status::PasswordInvalid, &fault)),
    };
    let context = &session.context;
    let fresh = session
        .peer
        .without_deadline(|wanted| context.hasher.hash(&new, wanted))?;
    let user = login.user;
    let changed = context
        .store
        .write(1, move |tx| users::set_password(tx, user, &stored, &fresh))?;
    respond(if changed {
        Status::Ok
    } else {
        Status::PasswordWrong
    })
}

/// `133 Password` → `246`.
pub(crate) fn delete(session: &Session, password: &str) -> Outcome {
    let respond = |status| reply(Reply::AccountDeleteResponse { status });
    let login = logged_in(session)?;
    let Some(stored) = check(session, password)? else {
        return respond(Status::PasswordWrong);
    };
    let user = login.user;
    let deleted = session
        .context
        .store
        .write(4, move |tx| users::delete(tx, user, &stored))?;
    if !deleted {
        return respond(Status::PasswordWrong);
    }
    Ok(Answer::Leave(Reply::AccountDeleteResponse {
        status: Status::Ok,
    }))
}

/// Replaces a hash whose parameters are not today's. The login does not depend on it.
fn renew(session: &Session, account: &Account, password: &str) {
    let context = &session.context;
    let Ok(fresh) = session
        .peer
        .without_deadline(|wanted| context.hasher.hash(password, wanted))
    else {
        return;
    };
    let (user, old) = (account.id, account.password.clone());
    if let Err(error) = context
        .store
        .write(1, move |tx| users::set_password(tx, user, &old, &fresh))
    {
        log_limited!(
            Warn,
            "the hash of user {user} could not be renewed: {error}"
        );
    }
}

/// The stored hash of the session's account, if `password` is its password.
fn check(session: &Session, password: &str) -> Result<Option<String>, Refused> {
    let Some(login) = &session.login else {
        return Ok(None);
    };
    let account = session
        .context
        .store
        .read(|view| users::by_id(view, login.user))?;
    // Gone by another connection; the reply says so as if the password were wrong.
    let Some(account) = account else {
        return Ok(None);
    };
    let stored = account.password;
    let matches = match names::typed_password(password) {
        Some(password) => {
            let verify = |wanted| {
                let hasher = &session.context.hasher;
                hasher.verify(&password, Some(&stored), wanted)
            };
            session.peer.without_deadline(verify)?.matches
        }
        None => false,
    };
    // As a login would have it, since both tell whether a password is right.
    let name = names::mapped(&account.name).unwrap_or(account.name);
    hold_back(session, &name, matches)?;
    Ok(matches.then_some(stored))
}

/// Says in the log why a name or a password is not allowed, which the packet has no place for: each
/// time at level debug, otherwise now and then. Gives the status back, to be answered.
fn note_fault(session: &Session, status: Status, fault: &dyn fmt::Display) -> Status {
    let (peer, log_limits) = (&session.peer, &session.context.log_limits);
    if log::log_enabled!(log::Level::Debug) {
        log::debug!("connection {}: {status}: {fault}", peer.id());
    } else {
        log_limits.refusals.info(format_args!(
            "connection {} from {}: {status}: {fault}",
            peer.id(),
            peer.address()
        ));
    }
    status
}

/// Holds the answer about a password back for as long as the failures of the address and the name
/// ask for, with no lock, connection or hasher held. The login grace does not run meanwhile.
fn hold_back(session: &Session, name: &str, right: bool) -> Result<(), Refused> {
    let context = &session.context;
    let peer = session.peer.address();
    let verdict = context.logins.note(peer.ip(), name, right, Instant::now());
    let pause = verdict.pause;
    if !pause.is_zero() {
        context.log_limits.logins.warn(format_args!(
            "{peer}: an answer about a password is held back for {pause:?}, after {} failures from \
             its address and {} of the name (--login-delay)",
            verdict.from_address, verdict.of_name
        ));
        let rested = session.peer.without_deadline(|_| session.peer.rest(pause));
        rested.then_some(()).ok_or(Refused::Gone)?;
    }
    if right {
        context.logins.forgive(peer.ip(), name);
    }
    Ok(())
}
