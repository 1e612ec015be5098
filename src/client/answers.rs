//! Which reply answers which request (PROTOCOL.md, "Order of packets"): replies come in the order
//! of the requests, pushes come in between. Pure: the engine notes what it sends, and hands in each
//! line.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::protocol::{FromServer, PushPacket, Refusal, Reply, Request, Status};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerAnswer {
    Status(Status),
    /// `212`, with the name.
    Login(Status, String),
    /// `214` to `216`: ChatID, creator, other member.
    Chats(Vec<(i64, String, String)>),
    /// `223` 400 to `226`: contact, and since when in milliseconds.
    Contacts(Vec<(String, i64)>),
    /// `228` 400 to `231`.
    People(Vec<String>),
    /// `240` 400 to `243`, oldest first.
    History(Vec<HistoryLine>),
    /// `227` 400.
    Media(String),
    /// `211`, with the reason if the server gives one.
    Refused(Option<String>),
    /// `210`: the server does not know the request.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistoryLine {
    pub(crate) chat: i64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) timestamp: i64,
    pub(crate) user: String,
    pub(crate) message: String,
    pub(crate) media: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<T> {
    Push(PushPacket<'static>),
    /// The last line of an answer, to the request that was noted with this.
    Answer(T, ServerAnswer),
    /// A line of an answer with more to come, or an empty one.
    More,
    /// `210` or `211` though nothing was asked: a server that is full says so, and closes.
    Unasked(Option<String>),
}

type TakenAnswer<T> = Result<Incoming<T>, OutOfOrder>;

/// The line cannot have been sent by a server that keeps the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

pub(crate) struct Answers<T> {
    waiting: VecDeque<(u16, T)>,
    partial: Option<ServerAnswer>,
    /// How many elements the list announced, less those that came.
    missing: u64,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Answers {
            waiting: VecDeque::new(),
            partial: None,
            missing: 0,
        }
    }
}

impl<T> Answers<T> {
    pub(crate) fn expect(&mut self, request: &Request<'_>, note: T) {
        self.waiting.push_back((request.number(), note));
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, note)| note)
    }

    /// Forgets all requests in flight and gives them, oldest first.
    pub(crate) fn lost(&mut self) -> Vec<T> {
        self.partial = None;
        self.waiting.drain(..).map(|(_, note)| note).collect()
    }

    /// Takes a line of the server; an error if it is no packet of one, or answers nothing asked.
    pub(crate) fn take(&mut self, line: &[u8]) -> TakenAnswer<T> {
        let reply = match FromServer::parse(line) {
            Ok(FromServer::Push(push)) => return Ok(Incoming::Push(push.into_owned())),
            Ok(FromServer::Reply(reply)) => reply,
            // What a newer server may push some day is none of our business.
            Err(Refusal::Blank | Refusal::Unknown(_)) => return Ok(Incoming::More),
            Err(_) => return Err(OutOfOrder),
        };
        match reply {
            Reply::Unknown { .. } if self.partial.is_none() && !self.waiting.is_empty() => {
                self.done(ServerAnswer::Unknown)
            }
            Reply::Unknown { reason } | Reply::Invalid { reason } if self.partial.is_none() => {
                let reason = reason.map(Cow::into_owned);
                match self.waiting.is_empty() {
                    true => Ok(Incoming::Unasked(reason)),
                    false => self.done(ServerAnswer::Refused(reason)),
                }
            }
            // Of a reply to something else, nothing is taken.
            reply if reply.to() != self.waiting.front().map(|(asked, _)| *asked) => Err(OutOfOrder),
            reply => match self.partial.take() {
                None => self.begin(reply),
                Some(partial) => self.go_on(partial, reply),
            },
        }
    }

    fn begin(&mut self, reply: Reply<'_>) -> TakenAnswer<T> {
        use ServerAnswer as A;
        // Where a status alone stands first, what follows says how many there are.
        let list = match reply {
            Reply::ChatListBegin { count } => return Ok(self.list(A::Chats(Vec::new()), count)),
            Reply::OwnContactListResponse { status: Status::Ok } => A::Contacts(Vec::new()),
            Reply::ContactListResponse { status: Status::Ok } => A::People(Vec::new()),
            Reply::HistoryResponse { status: Status::Ok } => A::History(Vec::new()),
            Reply::LoginResponse { status, user } => {
                return self.done(A::Login(status, user.into_owned()));
            }
            Reply::MediaResponse {
                status: Status::Ok,
                media,
            } => return self.done(A::Media(media.ok_or(OutOfOrder)?.into_owned())),
            reply => return self.done(A::Status(reply.status().ok_or(OutOfOrder)?)),
        };
        Ok(self.list(list, u64::MAX))
    }

    fn list(&mut self, partial: ServerAnswer, count: u64) -> Incoming<T> {
        self.partial = Some(partial);
        self.missing = count;
        Incoming::More
    }

    fn go_on(&mut self, mut partial: ServerAnswer, reply: Reply<'_>) -> TakenAnswer<T> {
        use ServerAnswer as A;
        match (&mut partial, reply) {
            (A::Contacts(_), Reply::ContactOwnListBegin { count })
            | (A::People(_), Reply::ContactListBegin { count })
            | (A::History(_), Reply::HistoryBegin { count })
                if self.missing == u64::MAX =>
            {
                return Ok(self.list(partial, count));
            }
            (A::Chats(_), Reply::ChatListEnd {})
            | (A::Contacts(_), Reply::ContactOwnListEnd {})
            | (A::People(_), Reply::ContactListEnd {})
            | (A::History(_), Reply::HistoryEnd {})
                if self.missing == 0 =>
            {
                return self.done(partial);
            }
            _ if self.missing == 0 || self.missing == u64::MAX => return Err(OutOfOrder),
            (
                A::Chats(chats),
                Reply::ChatListElement {
                    chat,
                    creator,
                    other,
                },
            ) => {
                chats.push((chat, creator.into_owned(), other.into_owned()));
            }
            (A::Contacts(contacts), Reply::ContactOwnListElem { name, since }) => {
                contacts.push((name.into_owned(), since));
            }
            (A::People(people), Reply::ContactListElement { name }) => {
                people.push(name.into_owned());
            }
            (
                A::History(lines),
                Reply::HistoryElement {
                    chat,
                    timestamp,
                    user,
                    message,
                    media,
                },
            ) => lines.push(HistoryLine {
                chat,
                timestamp,
                user: user.into_owned(),
                message: message.into_owned(),
                media,
            }),
            _ => return Err(OutOfOrder),
        }
        self.missing -= 1;
        self.partial = Some(partial);
        Ok(Incoming::More)
    }

    fn done(&mut self, answer: ServerAnswer) -> TakenAnswer<T> {
        let (_, note) = self.waiting.pop_front().ok_or(OutOfOrder)?;
        Ok(Incoming::Answer(note, answer))
    }
}

#[cfg(test)]
mod tests;
