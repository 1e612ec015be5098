//! The races model: what threads hand over to each other, in many orders of their steps, on a real
//! store and real sockets under shuttle's scheduler (`src/sync/model.rs`): hub, outbox with its two
//! ways out, and the lead of a group commit. `PLAUSCH_ORDERS` says how many orders of each kind are
//! tried, `PLAUSCH_SEED` where they begin.
//!
//! Time-outs may come at any moment here, and an outbox keeps two pushes, so that it overflows all
//! the time.

use std::sync::Arc;

use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread;

use crate::guard::threads::Retry;
use crate::store::StoreError;
use crate::store::messages;
use crate::store::messages::Sent;
use crate::sync::model::scheduled;
use world::{Client, World};

mod world;

/// Tries many orders: at random, and with few but well-placed changes of thread.
fn orders(scenario: fn()) {
    let number = |name, default| {
        let given = std::env::var(name).ok();
        given.map_or(default, |text| text.parse().expect("a number"))
    };
    let (count, seed) = (number("PLAUSCH_ORDERS", 100), number("PLAUSCH_SEED", 1));
    let config = || {
        let mut config = shuttle::Config::new();
        config.stack_size = 1 << 20;
        config.silence_warnings = true;
        config
    };
    let count = usize::try_from(count).expect("a number");
    scheduled(|| {
        Runner::new(RandomScheduler::new_from_seed(seed, count), config()).run(scenario);
        Runner::new(PctScheduler::new_from_seed(seed, 3, count), config()).run(scenario);
    });
}

/// Each message once, in order, and none before the login's reply.
#[test]
fn push_against_login() {
    orders(|| {
        const COUNT: usize = 4;
        let world = World::new(1);
        let (connection, mut client) = world.connect();
        let sender = world.sender(0, COUNT);
        let login = world.login(&connection);
        sender.join().expect("the sender");
        client.await_all(1, COUNT);
        let text = client.has_each_once(1, COUNT);
        assert!(text.starts_with("212\r\n"), "{text}");
        world.end(Some(&login));
    });
}

/// Nothing between `213` and the next `212`; then what has not come, in order.
#[test]
fn push_against_logout() {
    orders(|| {
        const COUNT: usize = 5;
        let world = World::new(1);
        let (connection, mut client) = world.connect();
        let first = world.login(&connection);
        let sender = world.sender(0, COUNT);
        world.logout(&connection, &first);
        let second = world.login(&connection);
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
        let (connection, mut client) = world.connect();
        let login = world.login(&connection);
        let senders = [world.sender(0, COUNT), world.sender(1, COUNT)];
        let holder = {
            let connection = Arc::clone(&connection);
            thread::spawn(move || {
                for _ in 0..3 {
                    let writing = connection.lock();
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
        client.has_each_once(2, COUNT);
        world.end(Some(&login));
    });
}

/// A chat is deleted while two write, and sweeps come by: no thread is left asleep beside what
/// waits.
#[test]
fn starting_over_against_push() {
    orders(|| {
        const COUNT: usize = 4;
        let world = World::new(2);
        let (connection, mut client) = world.connect();
        let login = world.login(&connection);
        let senders = [world.sender(0, COUNT), world.sender(1, COUNT)];
        login.start_over();
        Arc::clone(&login).sweep();
        login.look_at_events();
        Arc::clone(&login).sweep();
        for sender in senders {
            sender.join().expect("a sender");
        }
        client.await_all(2, COUNT);
        client.has_each_once(2, COUNT);
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
        assert_eq!(world.count(), kept);
        world.end(None);
    });
}

/// Everybody leads now and then, and the maintenance thread takes its turns: each sees its own at once.
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
                    let seen = store.read(|view| {
                        let mut seen = false;
                        messages::backlog(view, maria, kept.id.previous(), |message| {
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
        assert_eq!(world.count(), 12);
        assert_eq!(world.store.queue_depth(), 0);
        world.end(None);
    });
}
