//! Reading a chat back, and saying what was read.

use super::{Answer, Outcome, Session, logged_in, reply};
use crate::ids::{ChatId, MediaId};
use crate::ops::list::List;
use crate::protocol::{Reply, Status};
use crate::store::chats;
use crate::store::chats::Access;
use crate::store::{messages, users};

/// `130 ChatID Before Count` → `240`, `241`, `242` …, `243`.
pub(crate) fn request(session: &Session, chat: ChatId, before: i64, count: u32) -> Outcome {
    let respond = |status| reply(Reply::HistoryResponse { status });
    let login = logged_in(session)?;
    let store = &session.context.store;
    let pin = store.pin(chat);
    let user = login.user;
    let found = store.read(|view| {
        let access = chats::access(view, user, chat)?;
        let Access::Member { cleared, .. } = access else {
            return Ok(Err(access));
        };
        let Some((creator, other)) = chats::members(view, chat)? else {
            return Ok(Err(Access::NotFound));
        };
        Ok(Ok((
            messages::history(view, chat, before, count, cleared)?,
            users::shown_name(view, creator)?,
            users::shown_name(view, other)?,
        )))
    })?;
    let (keys, creator, other) = match found {
        Ok(found) => found,
        Err(access) => return respond(refusal(access)),
    };
    Ok(Answer::Stream(List::new(
        store,
        &[
            Reply::HistoryResponse { status: Status::Ok },
            Reply::HistoryBegin {
                count: keys.len() as u64,
            },
        ],
        keys,
        move |view, key, out| {
            // The pin keeps the server itself from purging it; another program may have.
            messages::one(view, key, |message| {
                let sender = if message.to_creator { &other } else { &creator };
                Reply::HistoryElement {
                    chat: message.chat.number(),
                    timestamp: message.timestamp,
                    user: sender.into(),
                    message: message.body.into(),
                    media: message.media.map(MediaId::number),
                }
                .format(out);
            })
        },
        Reply::HistoryEnd {},
        Some(pin),
    )))
}

/// `135 ChatID TimeStamp` → `248`.
pub(crate) fn received(session: &Session, chat: ChatId, timestamp: i64) -> Outcome {
    let respond = |status| reply(Reply::ReceivedResponse { status });
    let login = logged_in(session)?;
    // Under the lock, what is being written just now is either sent or not.
    let sent = {
        let mut writing = session.peer.connection().lock();
        login.outbox.count_explicitly(&mut writing);
        session.context.store.sent(login.user)
    };
    let store = &session.context.store;
    let user = login.user;
    let found = store.read(|view| messages::newest_upto(view, user, chat, timestamp))?;
    let (message, status) = match found {
        // What has not been sent yet cannot have been read.
        Ok(message) => (message.map(|message| message.min(sent)), Status::Ok),
        Err(access) => (None, refusal(access)),
    };
    respond(match login.outbox.received(message)? {
        true => status,
        // The operator has ended it since.
        false => Status::ClientNotLoggedIn,
    })
}

fn refusal(access: Access) -> Status {
    match access {
        Access::Denied => Status::ChatPermissionDenied,
        Access::NotFound | Access::Member { .. } => Status::ChatNotFound,
    }
}
