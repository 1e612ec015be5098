//! What threads hand over to each other, in many orders of their steps: hub, outbox, writer and
//! the committer's lead, on a real store and real sockets, under shuttle's scheduler. Run by
//! `cargo test --features shuttle races`; `PLAUSCH_ORDERS` says how many orders are tried
//! (default 500 of each kind), `PLAUSCH_SEED` where they begin.
//!
//! Time-outs may come at any moment here (see `src/sync/model.rs`), and a writer's channel holds
//! two pushes, so that it overflows all the time.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler};

use super::hub::Hub;
use super::outbox::{Outbox, Push};
use super::threads::Threads;
use super::wire::Wire;
use crate::protocol::Reply;
use crate::store::messages::{self, Sent};
use crate::store::users::{self, NewAccount};
use crate::store::{ChatId, MessageId, Options, Store, StoreError, UserId, chats, contacts};
use crate::sync::thread;

/// Tries many orders: at random, and with few but well-placed changes of thread.
fn orders(scenario: fn()) {
    let number = |name, default| {
        let given = std::env::var(name).ok();
        given.map_or(default, |text| text.parse().expect("a number"))
    };
    let (count, seed) = (number("PLAUSCH_ORDERS", 500), number("PLAUSCH_SEED", 1));
    let config = || {
        let mut config = shuttle::Config::new();
        config.stack_size = 1 << 20;
        config.silence_warnings = true;
        config
    };
    let count = usize::try_from(count).expect("a number");
    Runner::new(RandomScheduler::new_from_seed(seed, count), config()).run(scenario);
    Runner::new(PctScheduler::new_from_seed(seed, 3, count), config()).run(scenario);
}

/// A store with contacts of `maria` who have a chat with her, and who is online.
struct World {
    directory: PathBuf,
    store: Store,
    hub: Arc<Hub>,
    threads: Arc<Threads>,
    maria: UserId,
    /// Each sender with its chat.
    senders: Vec<(UserId, ChatId)>,
}

impl World {
    fn new(senders: usize) -> World {
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
            limits: crate::store::limits::Limits::default(),
            check: std::time::Duration::ZERO,
            leave_checkpoints: false,
        })
        .expect("a store");
        let (maria, senders) = store
            .write(1, move |tx| {
                let maria = account(tx, "maria")?;
                let mut all = Vec::new();
                for number in 0..senders {
                    let sender = account(tx, &format!("sender{number}"))?;
                    contacts::request(tx, sender, maria, 0)?;
                    contacts::request(tx, maria, sender, 0)?;
                    chats::create(tx, sender, maria)?;
                    all.push((sender, chats::of(tx.connection, sender)?[0]));
                }
                Ok((maria, all))
            })
            .expect("the users");
        // The contact events are told, so that only messages are left.
        store.note_delivered(
            maria,
            crate::store::deliveries::Position {
                message: 0,
                event: MessageId::MAX,
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
    fn connect(&self) -> (Arc<Wire>, Client) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(address).expect("connect");
        let (accepted, peer) = listener.accept().expect("accept");
        stream.set_nonblocking(true).expect("non-blocking");
        let client = Client {
            stream,
            text: String::new(),
        };
        (
            Arc::new(Wire::new(1, peer, accepted, super::wire::Transport::Plain).expect("a wire")),
            client,
        )
    }

    /// As a session does it: the hub first, then the reply, then what has waited.
    fn login(&self, wire: &Arc<Wire>) -> Arc<Outbox> {
        let outbox = Outbox::new(self.maria, "maria", wire, &self.store, &self.threads);
        assert!(self.hub.enter(&outbox));
        wire.lock().write(b"212\r\n").expect("written");
        outbox.begin();
        outbox
    }

    /// As a session does it: no push after the reply.
    fn logout(&self, wire: &Arc<Wire>, outbox: &Arc<Outbox>) {
        let mut writing = wire.lock();
        outbox.close(&writing);
        writing.settle(&self.store);
        self.hub.leave(outbox);
        writing.write(b"213\r\n").expect("written");
    }

    /// A thread that sends `count` messages, as a session would.
    fn sender(&self, which: usize, count: usize) -> thread::JoinHandle<()> {
        let (store, hub, maria) = (self.store.clone(), Arc::clone(&self.hub), self.maria);
        let (sender, chat) = self.senders[which];
        thread::spawn(move || {
            for number in 0..count {
                let body = format!("{which}-{number}");
                let text = body.clone();
                let sent = store.write(1, move |tx| messages::send(tx, sender, chat, &text, None));
                let Ok(Sent::Kept(kept)) = sent else {
                    panic!("not kept: {sent:?}");
                };
                let mut bytes = Vec::new();
                Reply::MessageSended {
                    chat,
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
                        bytes,
                    });
                }
            }
        })
    }

    /// Ends everything, so that the next order finds nothing running.
    fn end(self, login: Option<&Arc<Outbox>>) {
        if let Some(outbox) = login {
            outbox.refuse();
            self.hub.leave(outbox);
        }
        while self.threads.running() > 0 {
            thread::yield_now();
        }
        self.store.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
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
struct Client {
    stream: TcpStream,
    text: String,
}

impl Client {
    /// All that has come so far.
    fn read(&mut self) -> &str {
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
    fn await_all(&mut self, senders: usize, count: usize) {
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

    /// The messages of a sender among the lines of `text`.
    fn of(text: &str, which: usize) -> Vec<usize> {
        let start = format!("{which}-");
        let bodies = text.lines().filter(|line| line.starts_with("220 "));
        let bodies = bodies.filter_map(|line| line.rsplit(' ').next()?.strip_prefix(&start));
        bodies
            .map(|number| number.parse().expect("a number"))
            .collect()
    }
}

/// Each message once, in order, and none before the login's reply.
#[test]
fn push_against_login() {
    orders(|| {
        const COUNT: usize = 4;
        let world = World::new(1);
        let (wire, mut client) = world.connect();
        let sender = world.sender(0, COUNT);
        let login = world.login(&wire);
        sender.join().expect("the sender");
        client.await_all(1, COUNT);
        let text = client.read();
        assert!(text.starts_with("212\r\n"), "{text}");
        assert_eq!(
            Client::of(text, 0),
            (0..COUNT).collect::<Vec<_>>(),
            "{text}"
        );
        world.end(Some(&login));
    });
}

/// Nothing between `213` and the next `212`; then what has not come, in order.
#[test]
fn push_against_logout() {
    orders(|| {
        const COUNT: usize = 5;
        let world = World::new(1);
        let (wire, mut client) = world.connect();
        let first = world.login(&wire);
        let sender = world.sender(0, COUNT);
        world.logout(&wire, &first);
        let second = world.login(&wire);
        sender.join().expect("the sender");
        client.await_all(1, COUNT);
        let text = client.read();
        assert!(text.contains("213\r\n212\r\n"), "{text}");
        let (before, after) = text.split_once("213\r\n").expect("a logout");
        let (before, after) = (Client::of(before, 0), Client::of(after, 0));
        // What its TCP has acknowledged by the logout does not come again; the rest may.
        assert_eq!(before, (0..before.len()).collect::<Vec<_>>(), "{text}");
        let from = after.first().copied().unwrap_or(COUNT);
        assert!(from <= before.len(), "{text}");
        assert_eq!(after, (from..COUNT).collect::<Vec<_>>(), "{text}");
        world.end(Some(&second));
    });
}

/// Two senders, a channel that overflows, and a connection that is held up now and then.
#[test]
fn overflow_against_catch_up() {
    orders(|| {
        const COUNT: usize = 6;
        let world = World::new(2);
        let (wire, mut client) = world.connect();
        let login = world.login(&wire);
        let senders = [world.sender(0, COUNT), world.sender(1, COUNT)];
        let holder = {
            let wire = Arc::clone(&wire);
            thread::spawn(move || {
                for _ in 0..3 {
                    let writing = wire.lock();
                    thread::yield_now();
                    drop(writing);
                }
            })
        };
        for thread in senders.into_iter().chain([holder]) {
            thread.join().expect("a thread");
        }
        client.await_all(2, COUNT);
        // Nothing is to come behind it: a double would.
        for _ in 0..50 {
            thread::yield_now();
        }
        let text = client.read();
        for which in 0..2 {
            assert_eq!(
                Client::of(text, which),
                (0..COUNT).collect::<Vec<_>>(),
                "{text}"
            );
        }
        world.end(Some(&login));
    });
}

/// A chat is deleted while it is written to: no writer is left asleep beside what waits.
#[test]
fn starting_over_against_push() {
    orders(|| {
        const COUNT: usize = 4;
        let world = World::new(1);
        let (wire, mut client) = world.connect();
        let login = world.login(&wire);
        let sender = world.sender(0, COUNT);
        login.start_over();
        login.look_at_events();
        sender.join().expect("the sender");
        client.await_all(1, COUNT);
        let text = client.read();
        assert_eq!(
            Client::of(text, 0),
            (0..COUNT).collect::<Vec<_>>(),
            "{text}"
        );
        world.end(Some(&login));
    });
}

/// What was answered with success is there; everything is answered, and nothing after the stop.
#[test]
fn shutdown_against_commit() {
    orders(|| {
        let world = World::new(3);
        let mut writers = Vec::new();
        for &(sender, chat) in &world.senders {
            let store = world.store.clone();
            writers.push(thread::spawn(move || {
                let mut kept = 0;
                for _ in 0..3 {
                    match store.write(1, move |tx| messages::send(tx, sender, chat, "x", None)) {
                        Ok(Sent::Kept(_)) => kept += 1,
                        Err(StoreError::Stopped) => break,
                        other => panic!("{other:?}"),
                    }
                }
                kept
            }));
        }
        world.store.stop();
        let late = world.store.write(1, |_| Ok(()));
        assert!(matches!(late, Err(StoreError::Stopped)), "{late:?}");
        let kept: usize = writers
            .into_iter()
            .map(|w| w.join().expect("a writer"))
            .sum();
        assert_eq!(count(&world), kept);
        world.end(None);
    });
}

/// Everybody leads now and then, and the committer takes its turns: each sees its own at once.
#[test]
fn the_lead_is_handed_over() {
    orders(|| {
        let world = World::new(4);
        let mut writers = Vec::new();
        for &(sender, chat) in &world.senders {
            let store = world.store.clone();
            let maria = world.maria;
            writers.push(thread::spawn(move || {
                for _ in 0..3 {
                    let sent =
                        store.write(1, move |tx| messages::send(tx, sender, chat, "x", None));
                    let Ok(Sent::Kept(kept)) = sent else {
                        panic!("not kept: {sent:?}");
                    };
                    assert!(store.committed() >= kept.id);
                    let seen = store.read(|connection| {
                        let mut seen = false;
                        messages::backlog(connection, maria, kept.id - 1, |message| {
                            seen |= message.id == kept.id;
                            true
                        })?;
                        Ok(seen)
                    });
                    assert!(seen.expect("a read"));
                }
            }));
        }
        for writer in writers {
            writer.join().expect("a writer");
        }
        assert_eq!(count(&world), 12);
        assert_eq!(world.store.queue_depth(), 0);
        world.end(None);
    });
}

/// The messages to maria.
fn count(world: &World) -> usize {
    let mut count = 0;
    let read = world.store.read(|connection| {
        messages::backlog(connection, world.maria, 0, |_| {
            count += 1;
            true
        })
    });
    read.expect("a read");
    count
}
