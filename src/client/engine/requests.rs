//! Requests in flight. Each carries what to do with its answer, and with the loss of it.

use super::{CommandOutcome, Engine, Output, SessionPhase, Waiter};
use crate::auth::names::{NameFault, PasswordFault};
use crate::client::answers::ServerAnswer;
use crate::client::options::Exit;
use crate::protocol::{Request, Status};

/// What is held up by a request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// Nothing; the client may leave without the answer.
    Background,
    /// The next ping.
    Ping,
    /// The next probe. Only while media are awaited may a line be long.
    Probe,
    /// Leaving.
    Foreground,
    /// Leaving; media are awaited.
    Download,
    /// Leaving, and pushed messages, which need the names of their chats.
    ChatNames,
    /// Leaving, and all commands, so that no line goes to another chat than its writer meant.
    Opening,
}

pub(super) struct PendingRequest {
    pub(super) kind: RequestKind,
    pub(super) then: Continuation,
}

/// Called once: with the answer, or with `None` when the connection was lost before it.
type Continuation = Box<dyn FnOnce(&mut Engine, Option<ServerAnswer>) + Send>;

/// For whom a request is sent, and how its failure is told.
pub(super) struct Asker {
    pub(super) kind: RequestKind,
    /// The command, for when no answer comes; empty to say nothing of it.
    typed: String,
    /// What has failed, for when the server refuses.
    failed: String,
    /// What is wrong with the name and the password as far as this program's rules tell: `401` and
    /// `402` have no place for it.
    pub(super) faults: (Option<NameFault>, Option<PasswordFault>),
    waiter: Waiter,
}

impl Asker {
    pub(super) fn new(
        typed: impl Into<String>,
        failed: impl Into<String>,
        waiter: Waiter,
    ) -> Asker {
        Asker {
            kind: RequestKind::Foreground,
            typed: typed.into(),
            failed: failed.into(),
            faults: (None, None),
            waiter,
        }
    }
}

impl Engine {
    /// Sends a request, with what to do with its answer. Without a connection both are dropped.
    pub(super) fn send(
        &mut self,
        request: &Request<'_>,
        kind: RequestKind,
        then: impl FnOnce(&mut Engine, Option<ServerAnswer>) + Send + 'static,
    ) {
        if self.session.connection.is_none() {
            return;
        }
        let mut line = Vec::new();
        request.format(&mut line);
        let then = Box::new(then);
        self.pending.expect(request, PendingRequest { kind, then });
        if self.options.raw {
            // Passwords stay off the screen.
            let line = match request.has_password() {
                true => format!("{} {} ...", request.number(), request.name()).into_bytes(),
                false => line.trim_ascii_end().to_vec(),
            };
            self.show(Output::Raw { sent: true, line });
        }
        // Before the request leaves: its answer may be quick.
        self.await_media();
        if let Some(connection) = &mut self.session.connection {
            connection.send(line);
        }
    }

    /// The same, where nothing is to be done about a loss.
    pub(super) fn request(
        &mut self,
        request: &Request<'_>,
        kind: RequestKind,
        then: impl FnOnce(&mut Engine, ServerAnswer) + Send + 'static,
    ) {
        self.send(request, kind, |engine, answer| {
            if let Some(answer) = answer {
                then(engine, answer);
            }
        });
    }

    /// Sends the request of a command. `then` takes its answer, or gives back what is a refusal.
    pub(super) fn ask(
        &mut self,
        request: &Request<'_>,
        asker: Asker,
        then: impl FnOnce(&mut Engine, ServerAnswer) -> Result<(), ServerAnswer> + Send + 'static,
    ) {
        self.send(request, asker.kind, |engine, answer| {
            match answer.map(|answer| then(engine, answer)) {
                Some(Ok(())) => {}
                Some(Err(answer)) => engine.refused(asker, &answer),
                None => engine.unanswered(asker),
            }
        });
    }

    pub(super) fn refused(&mut self, asker: Asker, answer: &ServerAnswer) {
        let why = why_not(answer, asker.faults);
        self.problem(format!("{}: {why}", asker.failed), Exit::Refused);
        let status = match answer {
            ServerAnswer::Status(status) => Some(*status),
            _ => None,
        };
        asker.waiter.tell(CommandOutcome::Refused(status));
    }

    pub(super) fn unanswered(&mut self, asker: Asker) {
        if !asker.typed.is_empty() {
            let lost = "the connection was lost; look, and repeat it";
            let text = format!("no answer to {}: {lost}", asker.typed);
            self.problem(text, Exit::Unreachable);
        }
        asker.waiter.tell(CommandOutcome::Unreachable);
    }

    pub(super) fn answered(&mut self, request: PendingRequest, answer: ServerAnswer) {
        let logged_out = answer == ServerAnswer::Status(Status::ClientNotLoggedIn);
        if logged_out && self.is_online() {
            self.outbox.logged_out();
            self.lose("the server ended the login");
            return (request.then)(self, None);
        }
        (request.then)(self, Some(answer));
        self.await_media();
    }

    pub(super) fn is_pending(&self, kinds: &[RequestKind]) -> bool {
        let mut pending = self.pending.waiting();
        pending.any(|request| kinds.contains(&request.kind))
    }

    pub(super) fn awaits_media(&self) -> bool {
        self.is_pending(&[RequestKind::Probe, RequestKind::Download])
    }

    fn await_media(&self) {
        if let Some(connection) = &self.session.connection {
            connection.await_media(self.awaits_media());
        }
    }

    pub(super) fn is_online(&self) -> bool {
        matches!(self.session.phase, SessionPhase::Online)
    }
}

impl ServerAnswer {
    pub(super) fn is_ok(&self) -> bool {
        *self == ServerAnswer::Status(Status::Ok)
    }

    pub(super) fn ok(self) -> Result<(), ServerAnswer> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }
}

pub(super) fn why(answer: &ServerAnswer) -> String {
    let (text, code) = match answer {
        ServerAnswer::Status(status) | ServerAnswer::Login(status, _) => {
            (status_text(*status), status.code())
        }
        ServerAnswer::Refused(Some(reason)) => (reason.as_str(), 211),
        ServerAnswer::Refused(None) => ("the server refused", 211),
        ServerAnswer::Unknown => ("this server does not know the request", 210),
        _ => ("the server answered something else", 211),
    };
    format!("{text} ({code})")
}

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Ok => "done",
        Status::UsernameInvalid => "this name is not allowed",
        Status::PasswordInvalid => "this password is not allowed",
        Status::UsernameAlreadyTaken => "somebody else has this name",
        Status::ClientAlreadyLoggedIn => "logged in already",
        Status::UsernameAlreadyLoggedIn => "logged in elsewhere",
        Status::PasswordWrong => "the password is wrong",
        Status::ClientNotLoggedIn => "not logged in",
        Status::ChatNotFound => "the chat is gone",
        Status::ChatPermissionDenied => "it belongs to other people",
        Status::ContactNotFound => "there is no such user or contact",
        Status::ContactNotConfirmed => "you are not contacts yet: both have to /add each other",
        Status::MediaNotFound => "there is no such media, or it is gone",
    }
}

fn why_not(answer: &ServerAnswer, faults: (Option<NameFault>, Option<PasswordFault>)) -> String {
    match (answer, faults) {
        (ServerAnswer::Status(Status::UsernameInvalid), (Some(fault), _)) => {
            format!("this name is not allowed: {fault} (401)")
        }
        (ServerAnswer::Status(Status::PasswordInvalid), (_, Some(fault))) => {
            format!("this password is not allowed: {fault} (402)")
        }
        _ => why(answer),
    }
}
