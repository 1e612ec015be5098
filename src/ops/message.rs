//! Messages: the hot path. Complete lines that a client has sent together become one job.

use std::ops::Range;

use super::{LoggedIn, Outcome, Refused, Session, logged_in, media, reply};
use crate::delivery::outbox::Push;
use crate::ids::{ChatId, MediaId, UserId};
use crate::protocol::memory;
use crate::protocol::memory::NoMemory;
use crate::protocol::{PushPacket, Reply, Status};
use crate::store::chats;
use crate::store::chats::Access;
use crate::store::messages;
use crate::store::messages::{Insert, Kept, Sent};
use crate::store::{self, Newest, StoreError, View, contacts};

/// Messages of one batch at most.
const BATCH_MESSAGES: usize = 256;

/// Bytes of text of one batch at most; one message more than fits is never taken.
const BATCH_BYTES: usize = 256 << 10;

/// Messages without media that a client has sent one after the other.
#[derive(Default)]
pub(crate) struct Batch {
    text: String,
    items: Vec<BatchItem>,
    /// What goes to one recipient; kept for its memory alone.
    lines: Vec<u8>,
}

struct BatchItem {
    chat: ChatId,
    body: Range<usize>,
    result: Option<Sent>,
}

impl BatchItem {
    fn kept(&self) -> Option<Kept> {
        match self.result {
            Some(Sent::Kept(kept)) => Some(kept),
            _ => None,
        }
    }

    fn recipient(&self) -> Option<UserId> {
        self.kept().map(|kept| kept.recipient)
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether it should be sent before another message is added.
    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= BATCH_MESSAGES || self.text.len() >= BATCH_BYTES
    }

    pub(crate) fn push(&mut self, chat: ChatId, message: &str) -> Result<(), NoMemory> {
        let start = self.text.len();
        self.items.try_reserve(1)?;
        memory::append(&mut self.text, message)?;
        self.items.push(BatchItem {
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
        self.lines.clear();
        self.lines.shrink_to(16 << 10);
    }
}

/// Sends a batch as one job and hands the status of each message to `answer`, in order; the batch
/// is empty then. What is beyond the sender's allowance is refused. When the store fails, nothing of
/// the batch is kept and `answer` is not called.
pub(crate) fn send_batch(
    session: &Session,
    login: &LoggedIn,
    batch: &mut Batch,
    mut answer: impl FnMut(Result<Status, Refused>),
) -> Result<usize, (usize, StoreError)> {
    let count = batch.items.len();
    let mut taken = std::mem::take(batch);
    let sender = login.user;
    let store = &session.context.store;
    let sizes = taken.items.iter().map(|item| item.body.len());
    let allowed = store
        .take_text(&login.text, taken.text.len(), sizes)
        .map_err(|error| (count, error))?;
    if allowed == 0 {
        let statuses = statuses(session, sender, &taken.items);
        statuses.for_each(|status| answer(status.ok_or(OVER_QUOTA)));
        note_quota(session, login, count);
        taken.clear();
        *batch = taken;
        return Ok(count);
    }
    let bytes = match taken.items.get(allowed) {
        None => taken.text.len(),
        Some(first_refused) => first_refused.body.start,
    };
    let sent = store.write(allowed, move |tx| {
        let room = tx.has_room()?;
        if room {
            let mut insert = Insert::new(tx)?;
            for item in taken.items.iter_mut().take(allowed) {
                let body = taken.text.get(item.body.clone()).unwrap_or("");
                let sent = messages::send_by(tx, &mut insert, sender, item.chat, body, None)?;
                item.result = Some(sent);
            }
        }
        Ok((taken, tx.newest(), room))
    });
    // Only now, after the COMMIT, anything of it may be seen.
    let (mut taken, newest, room) = sent.map_err(|error| {
        login.text.give_back(bytes);
        (count, error)
    })?;
    let decided = if room { allowed } else { 0 };
    let (decided, refused) = taken.items.split_at(decided.min(count));
    for item in decided {
        answer(item.result.map(status).ok_or(OVER_QUOTA));
        if item.kept().is_none() {
            login.text.give_back(item.body.len());
        }
    }
    if !room {
        login.text.give_back(bytes);
    }
    if !refused.is_empty() {
        statuses(session, sender, refused).for_each(|status| {
            answer(status.ok_or_else(|| match room {
                true => OVER_QUOTA,
                false => StoreError::NoRoom.into(),
            }));
        });
    }
    if allowed < count {
        note_quota(session, login, count - allowed);
    }
    let Batch { text, items, lines } = &mut taken;
    push(session, &newest, lines, items, text);
    taken.clear();
    *batch = taken;
    Ok(count)
}

/// What messages that may not be kept are answered with: a status where one applies, since those
/// come before a refusal that has none.
fn statuses(
    session: &Session,
    sender: UserId,
    items: &[BatchItem],
) -> impl Iterator<Item = Option<Status>> {
    let found = session.context.store.read(|view| {
        let chats = items.iter().map(|item| item.chat);
        chats
            .map(|chat| refusal(view, sender, chat))
            .collect::<store::Result<Vec<_>>>()
    });
    // What cannot be looked up is refused all the same.
    let found = found.unwrap_or_else(|_| vec![None; items.len()]);
    found.into_iter()
}

/// Why a message is refused whose sender is over `--text-quota`.
const OVER_QUOTA: Refused =
    Refused::Because("too much of your text waits to be received; try again later");

fn note_quota(session: &Session, login: &LoggedIn, refused: usize) {
    session.context.log_limits.texts.warn(format_args!(
        "user {} (id {}) has reached --text-quota: {} bytes of text wait to be received; messages \
         are refused, {refused} just now",
        login.outbox.name(),
        login.user,
        session.context.store.text_quota(),
    ));
}

/// `115 ChatID Message Media` → `219`; without media, messages go through [`send_batch`].
pub(crate) fn send(session: &Session, chat: ChatId, message: &str, data: Option<&str>) -> Outcome {
    let respond = |status| reply(Reply::MessageSendResponse { status });
    let login = logged_in(session)?;
    let user = login.user;
    let store = &session.context.store;
    let Some(data) = data else {
        let mut batch = Batch::default();
        batch.push(chat, message)?;
        let mut result = Ok(Status::Ok);
        return match send_batch(session, login, &mut batch, |given| result = given) {
            Ok(_) => respond(result?),
            Err((_, error)) => Err(error.into()),
        };
    };
    // Spares the upload of what will be refused; decided for good with the message itself.
    if let Some(status) = store.read(|view| refusal(view, user, chat))? {
        return respond(status);
    }
    let size = message.len();
    if store.take_text(&login.text, size, std::iter::once(size))? == 0 {
        note_quota(session, login, 1);
        return Err(OVER_QUOTA);
    }
    let sent = media::send(store, user, chat, message, data)
        .inspect_err(|_| login.text.give_back(size))?;
    if !matches!(sent, Sent::Kept(_)) {
        login.text.give_back(size);
    }
    let body = 0..message.len();
    let result = Some(sent);
    let mut sent_alone = [BatchItem { chat, body, result }];
    let lines = &mut Vec::new();
    push(session, &Newest::default(), lines, &mut sent_alone, message);
    respond(status(sent))
}

/// Why a user cannot send into a chat now.
fn refusal(view: &View<'_>, user: UserId, chat: ChatId) -> store::Result<Option<Status>> {
    Ok(match chats::access(view, user, chat)? {
        Access::NotFound => Some(Status::ChatNotFound),
        Access::Denied => Some(Status::ChatPermissionDenied),
        Access::Member { .. } => {
            let open = match chats::members(view, chat)? {
                Some((creator, other)) => contacts::confirmed(view, creator, other)?,
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

/// Hands the recipients of what was kept of `items` their `220` lines, in one push each. `text` has
/// the messages, `lines` is room for what one recipient gets; the items are put in another order.
fn push(
    session: &Session,
    newest: &Newest,
    lines: &mut Vec<u8>,
    items: &mut [BatchItem],
    text: &str,
) {
    // Nearly always there is one recipient, and nothing to be moved.
    items.sort_unstable_by_key(|item| item.kept().map(|kept| (kept.recipient, kept.id)));
    let mut count = 0;
    for items in items.chunk_by(|one, next| one.recipient() == next.recipient()) {
        let mut kept = items.iter().filter_map(BatchItem::kept);
        let Some(first) = kept.next() else { continue };
        let last = kept.next_back().unwrap_or(first).id;
        count += items.len();
        let Some(outbox) = session.context.hub.find(first.recipient) else {
            continue;
        };
        lines.clear();
        for item in items {
            let Some(kept) = item.kept() else { continue };
            PushPacket::MessageSended {
                chat: item.chat.number(),
                timestamp: kept.timestamp,
                message: text.get(item.body.clone()).unwrap_or("").into(),
                media: kept.media.map(MediaId::number),
            }
            .format(lines);
        }
        outbox.push(Push {
            previous: first.previous,
            first: first.id,
            last,
            more_coming: newest.is_after(first.recipient, last),
            bytes: lines.as_slice().into(),
        });
    }
    session.context.store.figures().note_messages(count);
}
