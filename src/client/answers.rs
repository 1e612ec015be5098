//! Which reply answers which request (contract, section 3, "Order of packets"): replies come in
//! the order of the requests, pushes come in between.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::protocol::{FromServer, PushPacket, Refusal, Reply, Request, Status};

/// The answer to a request, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status, and nothing else.
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
    History(Vec<Line>),
    /// `227` 400.
    Media(String),
    /// `247`
    Pong,
    /// `211`, with the reason if the server gives one.
    Refused(Option<String>),
    /// `210`: the server does not know the request.
    Unknown,
}

/// A message as the history has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// ChatID.
    pub chat: i64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp: i64,
    /// Who wrote it.
    pub user: String,
    /// The text.
    pub message: String,
    /// MediaID.
    pub media: Option<i64>,
}

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// A push.
    Push(PushPacket<'static>),
    /// The last line of an answer, to the request that was noted with this.
    Answer(T, Answer),
    /// A line of an answer with more to come, or an empty one.
    More,
    /// `210` or `211` though nothing was asked: a server that is full says so, and closes.
    Unasked(Option<String>),
}

/// The line cannot have been sent by a server that keeps the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

/// The requests under way, and the answer that is just coming in.
pub struct Answers<T> {
    waiting: VecDeque<(u16, T)>,
    partial: Option<Answer>,
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
    /// Notes a request that is being sent, and what it is for.
    pub fn expect(&mut self, request: &Request<'_>, note: T) {
        self.waiting.push_back((request.number(), note));
    }

    /// The requests under way, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, note)| note)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets all requests under way and gives them, oldest first.
    pub fn lost(&mut self) -> Vec<T> {
        self.partial = None;
        self.waiting.drain(..).map(|(_, note)| note).collect()
    }

    /// Takes a line of the server.
    ///
    /// # Errors
    ///
    /// When the line is no packet of a server, or answers nothing that was asked.
    pub fn take(&mut self, line: &[u8]) -> Result<Taken<T>, OutOfOrder> {
        let reply = match FromServer::parse(line) {
            Ok(FromServer::Push(push)) => return Ok(Taken::Push(push.into_owned())),
            Ok(FromServer::Reply(reply)) => reply,
            // What a newer server may push some day is none of our business.
            Err(Refusal::Blank | Refusal::Unknown(_)) => return Ok(Taken::More),
            Err(_) => return Err(OutOfOrder),
        };
        match reply {
            Reply::Unknown { .. } if self.partial.is_none() && !self.is_empty() => {
                self.done(Answer::Unknown)
            }
            Reply::Unknown { reason } | Reply::Invalid { reason } if self.partial.is_none() => {
                let reason = reason.map(Cow::into_owned);
                match self.is_empty() {
                    true => Ok(Taken::Unasked(reason)),
                    false => self.done(Answer::Refused(reason)),
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

    fn begin(&mut self, reply: Reply<'_>) -> Result<Taken<T>, OutOfOrder> {
        use Answer as A;
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
            Reply::Pong { .. } => return self.done(A::Pong),
            reply => return self.done(A::Status(reply.status().ok_or(OutOfOrder)?)),
        };
        Ok(self.list(list, u64::MAX))
    }

    fn list(&mut self, partial: Answer, count: u64) -> Taken<T> {
        self.partial = Some(partial);
        self.missing = count;
        Taken::More
    }

    fn go_on(&mut self, mut partial: Answer, reply: Reply<'_>) -> Result<Taken<T>, OutOfOrder> {
        use Answer as A;
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
            ) => lines.push(Line {
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
        Ok(Taken::More)
    }

    fn done(&mut self, answer: Answer) -> Result<Taken<T>, OutOfOrder> {
        let (_, note) = self.waiting.pop_front().ok_or(OutOfOrder)?;
        Ok(Taken::Answer(note, answer))
    }
}

#[cfg(test)]
mod tests;
