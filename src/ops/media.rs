//! Media: kept in parts, given back in pieces.

use super::{Answer, Outcome, Refused, Session, Stream, logged_in, reply};
use crate::guard::log_limit::log_limited;
use crate::ids::{ChatId, MediaId, UserId};
use crate::protocol::memory;
use crate::protocol::value::{needs_quotes, push_escaped};
use crate::protocol::{Reply, Status};
use crate::store::media;
use crate::store::media::{Lookup, Media, PART};
use crate::store::messages::Sent;
use crate::store::{Pin, Store, StoreError};

/// `119 MediaID` → `227`.
pub(crate) fn fetch(session: &Session, id: MediaId) -> Outcome {
    let respond = |status| {
        reply(Reply::MediaResponse {
            status,
            media: None,
        })
    };
    let login = logged_in(session)?;
    let store = &session.context.store;
    let find = || store.read(|view| media::find(view, login.user, id));
    let found = match find()? {
        Lookup::NotFound => return respond(Status::MediaNotFound),
        Lookup::Denied => return respond(Status::ChatPermissionDenied),
        Lookup::Found(found) => found,
    };
    let pin = store.pin(found.chat);
    // Once more, now that it cannot be purged.
    if find()? != Lookup::Found(found) {
        return respond(Status::MediaNotFound);
    }
    Ok(Answer::Stream(Box::new(Fetch {
        store: store.clone(),
        media: found,
        next: Some(0),
        _pin: pin,
    })))
}

/// `227 400 Media`, part by part.
struct Fetch {
    store: Store,
    media: Media,
    /// None once the line has ended.
    next: Option<u32>,
    _pin: Pin,
}

impl Stream for Fetch {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, StoreError> {
        let Some(number) = self.next else {
            return Ok(false);
        };
        let Media { id, quoted, .. } = self.media;
        let part = self.store.read(|view| media::part(view, id, number))?;
        if number == 0 {
            // The packet's number and status, without the line end that format() adds.
            Reply::MediaResponse {
                status: Status::Ok,
                media: None,
            }
            .format(out);
            out.truncate(out.len().saturating_sub(2));
            out.push(b' ');
            if quoted {
                out.push(b'"');
            }
        }
        match part {
            Some(data) => {
                if quoted {
                    push_escaped(out, &data);
                } else {
                    out.extend_from_slice(data.as_bytes());
                }
                self.next = Some(number + 1);
            }
            None => {
                out.extend_from_slice(if quoted { b"\"\r\n" } else { b"\r\n" });
                self.next = None;
            }
        }
        Ok(true)
    }
}

/// Keeps media part by part and then sends its message, so that no transaction is long.
pub(crate) fn send(
    store: &Store,
    sender: UserId,
    chat: ChatId,
    message: &str,
    data: &str,
) -> Result<Sent, Refused> {
    let (size, quoted) = (data.len(), needs_quotes(data));
    let mut parts = parts(data);
    let first = memory::copy(parts.next().unwrap_or(""))?;
    let body = memory::copy(message)?;
    if size <= PART {
        let sent = store.grow(rows(&first), move |tx| {
            let Some(id) = media::begin(tx, sender, chat, size, quoted)? else {
                return Ok(None);
            };
            media::add(tx, id, 0, &first)?;
            media::finish(tx, sender, chat, &body, id).map(Some)
        })?;
        return Ok(sent.ok_or(StoreError::OverQuota)?);
    }
    let begun = store.grow(rows(&first), move |tx| {
        let id = media::begin(tx, sender, chat, size, quoted)?;
        if let Some(id) = id {
            media::add(tx, id, 0, &first)?;
        }
        Ok(id)
    })?;
    let id = begun.ok_or(StoreError::OverQuota)?;
    let mut upload = Upload {
        store,
        id: Some(id),
    };
    for (number, part) in (1..).zip(parts) {
        let part = memory::copy(part)?;
        store.grow(rows(&part), move |tx| media::add(tx, id, number, &part))?;
    }
    let sent = store.grow(2, move |tx| media::finish(tx, sender, chat, &body, id))?;
    upload.id = None;
    Ok(sent)
}

/// Gives the parts up when the upload does not come to its end.
struct Upload<'s> {
    store: &'s Store,
    /// None once the message is kept.
    id: Option<MediaId>,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let abandoned = self.store.write(1, move |tx| {
                media::abandon(tx, id);
                Ok(())
            });
            if let Err(error) = abandoned {
                log_limited!(
                    Warn,
                    "parts of media {id} stay until the next start: {error}"
                );
            }
        }
    }
}

/// What a part costs, in rows of a usual message.
fn rows(part: &str) -> usize {
    1 + part.len() / 256
}

/// Cuts text into parts of at most [`PART`] bytes, between characters.
fn parts(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (part, rest) = text.split_at(text.floor_char_boundary(PART));
        text = rest;
        Some(part)
    })
}
