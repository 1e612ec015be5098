//! Users, their store and hub, and a client without a thread, for what is raced.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::thread;

use crate::delivery::hub::Hub;
use crate::delivery::outbox::{Outbox, Push};
use crate::guard::threads::Threads;
use crate::ids::{ChatId, MessageId, UserId};
use crate::net::connection::{Connection, Transport};
use crate::net::listen;
use crate::protocol::PushPacket;
use crate::store::messages;
use crate::store::messages::Sent;
use crate::store::users;
use crate::store::users::NewAccount;
use crate::store::{Options, Store, StoreError, chats, contacts};

/// A store with contacts of `maria` who have a chat with her, and who is online.
pub(crate) struct World {
    directory: PathBuf,
    pub(crate) store: Store,
    hub: Arc<Hub>,
    threads: Arc<Threads>,
    pub(crate) maria: UserId,
    /// Each sender with its chat.
    pub(crate) senders: Vec<(UserId, ChatId)>,
}

impl World {
    pub(crate) fn new(senders: usize) -> World {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // In memory where there is such a place: what is tried here is not the disk.
        let shared = PathBuf::from("/dev/shm");
        let parent = if shared.is_dir() {
            shared
        } else {
            std::env::temp_dir()
        };
        let directory = parent.join(format!(
            "plausch-orders-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir(&directory).expect("a directory");
        let store = Store::open(&Options {
            path: directory.join("plausch.db"),
            // Whoever has one may be stopped while it has; nobody is to wait for one.
            readers: 6,
            limits: crate::store::commit::quota::Limits::default(),
            check: std::time::Duration::ZERO,
            marker: None,
            stop: Default::default(),
            leave_checkpoints: false,
        })
        .expect("a store");
        let (maria, senders) = store
            .write(1, move |tx| {
                let maria = account(tx, "maria")?;
                let mut all = Vec::new();
                for number in 0..senders {
                    let sender = account(tx, &format!("sender{number}"))?;
                    contacts::request(tx, sender, maria, 0, false)?;
                    contacts::request(tx, maria, sender, 0, false)?;
                    chats::create(tx, sender, maria)?;
                    all.push((sender, chats::of(tx, sender)?[0]));
                }
                Ok((maria, all))
            })
            .expect("the users");
        // The contact events are told, so that only messages are left.
        store.note_delivered(
            maria,
            crate::ids::Position {
                message: MessageId::NONE,
                event: i64::MAX,
            },
        );
        World {
            directory,
            store,
            hub: Arc::new(Hub::default()),
            threads: Arc::new(Threads::new()),
            maria,
            senders,
        }
    }

    /// A connection, and its client's end.
    pub(crate) fn connect(&self) -> (Arc<Connection>, Client) {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = listen::bind(anywhere, false).expect("bind");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(address).expect("connect");
        let (accepted, peer) = listener.accept().expect("accept");
        stream.set_nonblocking(true).expect("non-blocking");
        let client = Client {
            stream,
            text: String::new(),
        };
        (
            Arc::new(Connection::new(1, peer, accepted, Transport::Plain)),
            client,
        )
    }

    /// As a session does it: the hub first, then the reply, then what has waited.
    pub(crate) fn login(&self, connection: &Arc<Connection>) -> Arc<Outbox> {
        let outbox = Outbox::new(self.maria, "maria", connection, &self.store, &self.threads);
        assert!(self.hub.enter(&outbox));
        connection.lock().write(b"212\r\n").expect("written");
        outbox.begin();
        outbox
    }

    /// As a session does it: no push after the reply.
    pub(crate) fn logout(&self, connection: &Arc<Connection>, outbox: &Arc<Outbox>) {
        let mut writing = connection.lock();
        outbox.close(&writing);
        writing.collect_acknowledgements();
        self.hub.leave(outbox);
        writing.write(b"213\r\n").expect("written");
    }

    /// A thread that sends `count` messages, as a session would.
    pub(crate) fn sender(&self, which: usize, count: usize) -> thread::JoinHandle<()> {
        let (store, hub, maria) = (self.store.clone(), Arc::clone(&self.hub), self.maria);
        let (sender, chat) = self.senders[which];
        thread::spawn(move || {
            for number in 0..count {
                let body = format!("{which}-{number}");
                let text = body.clone();
                let sent = store.write(1, move |tx| {
                    let sent = messages::send(tx, sender, chat, &text, None)?;
                    Ok((sent, tx.newest()))
                });
                let Ok((Sent::Kept(kept), newest)) = sent else {
                    panic!("not kept: {:?}", sent.map(|(sent, _)| sent));
                };
                let mut bytes = Vec::new();
                PushPacket::MessageSended {
                    chat: chat.number(),
                    timestamp: kept.timestamp,
                    message: body.into(),
                    media: None,
                }
                .format(&mut bytes);
                if let Some(outbox) = hub.find(maria) {
                    outbox.push(Push {
                        previous: kept.previous,
                        first: kept.id,
                        last: kept.id,
                        more_coming: newest.is_after(maria, kept.id),
                        bytes: bytes.into(),
                    });
                }
            }
        })
    }

    /// How many messages to maria there are.
    pub(crate) fn count(&self) -> usize {
        let mut count = 0;
        let read = self.store.read(|view| {
            messages::backlog(view, self.maria, MessageId::NONE, |_| {
                count += 1;
                true
            })
        });
        read.expect("a read");
        count
    }

    /// Ends everything, so that the next order finds nothing running.
    pub(crate) fn end(self, login: Option<&Arc<Outbox>>) {
        if let Some(outbox) = login {
            outbox.refuse();
            self.hub.leave(outbox);
        }
        while self.threads.running() > 0 {
            thread::yield_now();
        }
        self.store.stop();
        // The pool's own thread, which is not the scheduler's, may be opening a connection still.
        for _ in 0..1000 {
            match std::fs::remove_dir_all(&self.directory) {
                Err(error) if error.kind() != ErrorKind::NotFound => std::thread::yield_now(),
                _ => return,
            }
        }
    }
}

fn account(tx: &mut crate::store::Tx<'_>, name: &str) -> Result<UserId, StoreError> {
    let account = NewAccount {
        name: name.to_owned(),
        mapped: name.to_owned(),
        password: "hash".to_owned(),
        email: "a@b".to_owned(),
        gender: "x".to_owned(),
    };
    Ok(users::create(tx, &account)?.expect("a free name"))
}

/// The other end of a connection, which reads without holding a thread up.
pub(crate) struct Client {
    stream: TcpStream,
    text: String,
}

impl Client {
    /// All that has come so far.
    pub(crate) fn read(&mut self) -> &str {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => self
                    .text
                    .push_str(str::from_utf8(&bytes[..count]).expect("UTF-8")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        &self.text
    }

    /// Waits until the last message of each of `senders` has come.
    pub(crate) fn await_all(&mut self, senders: usize, count: usize) {
        let last = |which: usize| format!(" {which}-{}\r\n", count - 1);
        for _ in 0..100_000 {
            let text = self.read();
            if (0..senders).all(|which| text.contains(&last(which))) {
                return;
            }
            thread::yield_now();
        }
        panic!("what came is:\n{}", self.text);
    }

    /// Asserts that each message of each of `senders` has come once, in order; gives all that came.
    pub(crate) fn has_each_once(&mut self, senders: usize, count: usize) -> &str {
        let text = self.read();
        for which in 0..senders {
            let expected: Vec<_> = (0..count).collect();
            assert_eq!(Client::of(text, which), expected, "{text}");
        }
        text
    }

    /// The messages of a sender among the lines of `text`.
    pub(crate) fn of(text: &str, which: usize) -> Vec<usize> {
        let start = format!("{which}-");
        let bodies = text.lines().filter(|line| line.starts_with("220 "));
        let bodies = bodies.filter_map(|line| line.rsplit(' ').next()?.strip_prefix(&start));
        bodies
            .map(|number| number.parse().expect("a number"))
            .collect()
    }
}
