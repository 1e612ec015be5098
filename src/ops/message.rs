//! Messages: the hot path. Complete lines that a client has sent together become one job.

use std::ops::Range;

use super::{LoggedIn, Outcome, Session, logged_in, media, reply};
use crate::protocol::memory::{self, NoMemory};
use crate::protocol::{Reply, Status};
use crate::server::outbox::Push;
use crate::store::chats::{self, Access};
use crate::store::messages::{self, Insert, Kept, Sent};
use crate::store::{ChatId, MessageId, Newest, StoreError, UserId, contacts};

/// Messages of one batch at most.
const BATCH_MESSAGES: usize = 256;

/// Bytes of text of one batch at most; one message more than fits is never taken.
const BATCH_BYTES: usize = 256 << 10;

/// Messages without media that a client has sent one after the other.
#[derive(Default)]
pub struct Batch {
    text: String,
    items: Vec<Item>,
}

struct Item {
    chat: ChatId,
    body: Range<usize>,
    result: Option<Sent>,
}

impl Batch {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether it should be sent before another message is added.
    pub fn is_full(&self) -> bool {
        self.items.len() >= BATCH_MESSAGES || self.text.len() >= BATCH_BYTES
    }

    /// Adds a message.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn push(&mut self, chat: ChatId, message: &str) -> Result<(), NoMemory> {
        let start = self.text.len();
        self.items.try_reserve(1)?;
        memory::append(&mut self.text, message)?;
        self.items.push(Item {
            chat,
            body: start..self.text.len(),
            result: None,
        });
        Ok(())
    }

    fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(16 << 10);
        self.items.clear();
    }
}

/// Sends a batch as one job and hands the status of each message to `answer`, in order; the batch
/// is empty then.
///
/// # Errors
/// When the store failed: nothing of the batch was kept, and `answer` was not called.
pub fn send_batch(
    session: &Session,
    login: &LoggedIn,
    batch: &mut Batch,
    mut answer: impl FnMut(Status),
) -> Result<usize, (usize, StoreError)> {
    let count = batch.items.len();
    let mut taken = std::mem::take(batch);
    let sender = login.user;
    let store = &session.context.store;
    let sent = store.send(count, move |tx| {
        let mut insert = Insert::new(tx.connection)?;
        for item in &mut taken.items {
            let body = taken.text.get(item.body.clone()).unwrap_or("");
            let sent = messages::send_by(tx, &mut insert, sender, item.chat, body, None)?;
            item.result = Some(sent);
        }
        Ok((taken, tx.newest()))
    });
    // Only now, after the COMMIT, anything of it may be seen.
    let (mut taken, newest) = sent.map_err(|error| (count, error))?;
    let mut pushes = Pushes::default();
    for item in &taken.items {
        let Some(result) = item.result else { continue };
        answer(status(result));
        if let Sent::Kept(kept) = result {
            let body = taken.text.get(item.body.clone()).unwrap_or("");
            pushes.add(kept, item.chat, body, None);
        }
    }
    pushes.send(session, &newest);
    taken.clear();
    *batch = taken;
    Ok(count)
}

/// `115 ChatID Message Media` → `219`; without media, messages go through [`send_batch`].
pub(super) fn send(session: &Session, chat: ChatId, message: &str, data: Option<&str>) -> Outcome {
    let respond = |status| reply(Reply::MessageSendResponse { status });
    let login = match logged_in(session) {
        Ok(login) => login,
        Err(status) => return respond(status),
    };
    let user = login.user;
    let store = &session.context.store;
    let Some(data) = data else {
        let mut batch = Batch::default();
        batch.push(chat, message)?;
        let mut status = Status::Ok;
        return match send_batch(session, login, &mut batch, |given| status = given) {
            Ok(_) => respond(status),
            Err((_, error)) => Err(error.into()),
        };
    };
    // Spares the upload of what will be refused; decided for good with the message itself.
    if let Some(status) = store.read(|connection| refusal(connection, user, chat))? {
        return respond(status);
    }
    let sent = media::send(store, user, chat, message, data)?;
    if let Sent::Kept(kept) = sent {
        let mut pushes = Pushes::default();
        pushes.add(kept, chat, message, kept.media);
        pushes.send(session, &Newest::default());
    }
    respond(status(sent))
}

/// Why a user cannot send into a chat now.
fn refusal(
    connection: &rusqlite::Connection,
    user: UserId,
    chat: ChatId,
) -> rusqlite::Result<Option<Status>> {
    Ok(match chats::access(connection, user, chat)? {
        Access::NotFound => Some(Status::ChatNotFound),
        Access::Denied => Some(Status::ChatPermissionDenied),
        Access::Member { .. } => {
            let open = match chats::members(connection, chat)? {
                Some((creator, other)) => contacts::confirmed(connection, creator, other)?,
                None => false,
            };
            (!open).then_some(Status::ContactNotFound)
        }
    })
}

fn status(sent: Sent) -> Status {
    match sent {
        Sent::Kept(_) => Status::Ok,
        Sent::NotFound => Status::ChatNotFound,
        Sent::Denied => Status::ChatPermissionDenied,
        Sent::NoContact => Status::ContactNotFound,
    }
}

/// The `220` lines of one transaction, by recipient. Nearly always there is one.
#[derive(Default)]
struct Pushes {
    to: Vec<(UserId, Push)>,
    kept: usize,
}

impl Pushes {
    fn add(&mut self, kept: Kept, chat: ChatId, body: &str, media: Option<i64>) {
        self.kept += 1;
        let index = match self.to.iter().position(|(user, _)| *user == kept.recipient) {
            Some(index) => index,
            None => {
                self.to.push((
                    kept.recipient,
                    Push {
                        previous: kept.previous,
                        first: kept.id,
                        last: MessageId::MIN,
                        followed: false,
                        bytes: Vec::new(),
                    },
                ));
                self.to.len() - 1
            }
        };
        let push = &mut self.to[index].1;
        push.last = kept.id;
        Reply::MessageSended {
            chat,
            timestamp: kept.timestamp,
            message: body.into(),
            media,
        }
        .format(&mut push.bytes);
    }

    fn send(self, session: &Session, newest: &Newest) {
        session.context.store.figures().note_messages(self.kept);
        for (user, mut push) in self.to {
            if let Some(outbox) = session.context.hub.find(user) {
                push.followed = newest.is_after(user, push.last);
                outbox.push(push);
            }
        }
    }
}
