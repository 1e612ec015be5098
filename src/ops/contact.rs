//! Contacts: asking, confirming, ending, listing.

use super::{Answer, Outcome, Refused, Session, logged_in, reply};
use crate::auth::names;
use crate::ids::UserId;
use crate::ops::list::List;
use crate::protocol::{Reply, Status};
use crate::store::contacts;
use crate::store::contacts::Requested;
use crate::store::{StoreError, users};

/// `121 User` → `232`.
pub(crate) fn confirm(session: &Session, name: &str) -> Outcome {
    let respond = |status| reply(Reply::ConfirmContactResponse { status });
    let Some((user, contact)) = both(session, name)? else {
        return respond(Status::ContactNotFound);
    };
    let context = &session.context;
    let most = context.max_requests;
    let online = context.hub.find(contact).is_some();
    let requested = context.store.write(4, move |tx| {
        contacts::request(tx, user, contact, most, online)
    })?;
    match requested {
        Requested::NoRoom => return Err(StoreError::NoRoom.into()),
        Requested::TooMany => {
            context.log_limits.requests.warn(format_args!(
                "user {user} may not ask for another contact: {most} requests are open \
                 (--max-requests)"
            ));
            return Err(Refused::Because(
                "too many open contact requests, withdraw one or wait for answers",
            ));
        }
        Requested::Nobody => return respond(Status::ContactNotFound),
        Requested::Unchanged | Requested::Quietly => {}
        Requested::Recorded => {
            if let Some(outbox) = context.hub.find(contact) {
                outbox.look_at_events();
            }
        }
    }
    respond(Status::Ok)
}

/// `131 User` → `244`.
pub(crate) fn delete(session: &Session, name: &str) -> Outcome {
    let respond = |status| reply(Reply::ContactDeleteResponse { status });
    let Some((user, contact)) = both(session, name)? else {
        return respond(Status::ContactNotFound);
    };
    let context = &session.context;
    let online = context.hub.find(contact).is_some();
    let removed = context
        .store
        .write(4, move |tx| contacts::end(tx, user, contact, online))?;
    respond(if removed {
        Status::Ok
    } else {
        Status::ContactNotFound
    })
}

/// `118` → `223`, `224`, `225` …, `226`.
pub(crate) fn own_list(session: &Session) -> Outcome {
    let login = logged_in(session)?;
    let store = &session.context.store;
    let user = login.user;
    let keys = store.read(|view| contacts::of(view, user))?;
    Ok(Answer::Stream(List::new(
        store,
        &[
            Reply::OwnContactListResponse { status: Status::Ok },
            Reply::ContactOwnListBegin {
                count: keys.len() as u64,
            },
        ],
        keys,
        move |view, key, out| {
            let contact = contacts::one(view, user, key)?;
            Reply::ContactOwnListElem {
                name: contact.name.into(),
                since: contact.since,
            }
            .format(out);
            Ok(())
        },
        Reply::ContactOwnListEnd {},
        None,
    )))
}

/// `120` → `228`, `229`, `230` …, `231`.
pub(crate) fn list(session: &Session) -> Outcome {
    let login = logged_in(session)?;
    let store = &session.context.store;
    let keys = store.read(|view| users::others(view, login.user))?;
    Ok(Answer::Stream(List::new(
        store,
        &[
            Reply::ContactListResponse { status: Status::Ok },
            Reply::ContactListBegin {
                count: keys.len() as u64,
            },
        ],
        keys,
        |view, key, out| {
            Reply::ContactListElement {
                name: users::shown_name(view, key)?.into(),
            }
            .format(out);
            Ok(())
        },
        Reply::ContactListEnd {},
        None,
    )))
}

/// Who asks, and the account of the name; `None` where that is nobody's or the asker's own.
pub(crate) fn both(session: &Session, name: &str) -> Result<Option<(UserId, UserId)>, Refused> {
    let user = logged_in(session)?.user;
    let keys = names::keys(name);
    let found = session
        .context
        .store
        .read(|view| users::id_of(view, &keys))?;
    let other = found.filter(|id| *id != user);
    Ok(other.map(|other| (user, other)))
}
