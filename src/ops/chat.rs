//! Chats: listing, creating, deleting.

use super::{Answer, Outcome, Session, contact, logged_in, reply};
use crate::ids::ChatId;
use crate::ops::list::List;
use crate::protocol::{Reply, Status};
use crate::store::StoreError;
use crate::store::chats;
use crate::store::chats::{Access, Created};

/// `112` → `214`, `215` …, `216`.
pub(crate) fn list(session: &Session) -> Outcome {
    let login = logged_in(session)?;
    let store = &session.context.store;
    let keys = store.read(|view| chats::of(view, login.user))?;
    Ok(Answer::Stream(List::new(
        store,
        &[Reply::ChatListBegin {
            count: keys.len() as u64,
        }],
        keys,
        |view, key, out| {
            let (creator, other) = chats::names(view, key)?;
            Reply::ChatListElement {
                chat: key.number(),
                creator: creator.into(),
                other: other.into(),
            }
            .format(out);
            Ok(())
        },
        Reply::ChatListEnd {},
        None,
    )))
}

/// `113 Contact` → `217`.
pub(crate) fn create(session: &Session, name: &str) -> Outcome {
    let respond = |status| reply(Reply::ChatCreateResponse { status });
    let Some((user, with)) = contact::both(session, name)? else {
        return respond(Status::ContactNotFound);
    };
    let created = session
        .context
        .store
        .write(4, move |tx| chats::create(tx, user, with))?;
    respond(match created {
        Created::NoRoom => return Err(StoreError::NoRoom.into()),
        Created::NotConfirmed => Status::ContactNotConfirmed,
        Created::Listed => Status::Ok,
    })
}

/// `114 ChatID` → `218`.
pub(crate) fn delete(session: &Session, chat: ChatId) -> Outcome {
    let respond = |status| reply(Reply::ChatDeleteResponse { status });
    let login = logged_in(session)?;
    let user = login.user;
    let access = session
        .context
        .store
        .write(8, move |tx| chats::delete(tx, user, chat))?;
    respond(match access {
        Access::NotFound => Status::ChatNotFound,
        Access::Denied => Status::ChatPermissionDenied,
        Access::Member { .. } => {
            // What was queued of this chat is not to come any more.
            login.outbox.start_over();
            Status::Ok
        }
    })
}
