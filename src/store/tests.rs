//! The committer against failing jobs and full disks; each test has a database of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::limits::Limits;
use super::messages::{self, Sent};
use super::users::{self, NewAccount};
use super::{Newest, Options, Store, StoreError, Tx, UserId, chats, contacts};

use scratch::Scratch;

mod lanes;
mod retention;
mod scratch;

fn account(tx: &mut Tx<'_>, name: &str) -> Result<UserId, StoreError> {
    let id = users::create(
        tx,
        &NewAccount {
            name: name.to_owned(),
            mapped: name.to_owned(),
            password: "hash".to_owned(),
            email: "a@b".to_owned(),
            gender: "x".to_owned(),
        },
    )?;
    Ok(id.unwrap())
}

/// Two contacts and their chat.
fn pair(store: &Store) -> (UserId, UserId, i64) {
    store
        .write(1, |tx| {
            let (a, b) = (account(tx, "a")?, account(tx, "b")?);
            contacts::request(tx, a, b, 0)?;
            contacts::request(tx, b, a, 0)?;
            chats::create(tx, a, b)?;
            Ok((a, b, chats::of(tx.connection, a)?[0]))
        })
        .unwrap()
}

fn send(store: &Store, from: UserId, chat: i64, body: &str) -> Result<Sent, StoreError> {
    let body = body.to_owned();
    store.write(1, move |tx| messages::send(tx, from, chat, &body, None))
}

fn bodies(store: &Store, to: UserId, after: i64) -> Vec<String> {
    let mut bodies = Vec::new();
    store
        .read(|connection| {
            messages::backlog(connection, to, after, |message| {
                bodies.push(message.body.to_owned());
                true
            })
        })
        .unwrap();
    bodies
}

#[test]
fn a_failed_job_leaves_nothing_and_harms_no_other() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let failed: Result<(), _> = scratch.write(1, move |tx| {
        messages::send(tx, a, chat, "not to be kept", None)?;
        Err(StoreError::Stopped)
    });
    assert!(matches!(failed, Err(StoreError::Stopped)));
    assert!(matches!(send(&scratch, a, chat, "kept"), Ok(Sent::Kept(_))));
    assert_eq!(bodies(&scratch, b, 0), ["kept"]);
}

/// So many jobs that send messages, by their numbers, in one transaction.
fn together<T: Send + 'static>(
    store: &Store,
    count: usize,
    job: impl Fn(usize, &mut Tx<'_>) -> Result<T, StoreError> + Copy + Send + Sync + 'static,
) -> Vec<Result<T, StoreError>> {
    // Holds the lead until the others are queued, so that they share a transaction.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (leads, led) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let job = move |_: &mut Tx<'_>| {
                leads.send(()).unwrap();
                Ok(wait.recv().is_ok())
            };
            store.write(1, job).unwrap()
        });
        led.recv().unwrap();
        let jobs: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || store.send(2, move |tx| job(number, tx))))
            .collect();
        while store.queue_depth() < count {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    })
}

/// Without a savepoint too, beside other jobs of the same transaction.
#[test]
fn a_failed_job_of_messages_leaves_none_of_them() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let results = together(&scratch, 9, move |number, tx| {
        messages::send(tx, a, chat, &format!("{number} first"), None)?;
        match number % 3 {
            0 => Err(StoreError::Stopped),
            1 => panic!("on purpose, in a test"),
            _ => messages::send(tx, a, chat, &format!("{number} second"), None),
        }
    });
    for (number, result) in results.into_iter().enumerate() {
        assert_eq!(result.is_ok(), number % 3 == 2, "{number}");
    }
    let mut kept = bodies(&scratch, b, 0);
    kept.sort();
    let wanted = [2, 5, 8].map(|number| [format!("{number} first"), format!("{number} second")]);
    assert_eq!(kept, wanted.concat());
}

/// After the COMMIT all jobs but the last know that a message to the same recipient follows; before
/// it none does, nor one that is alone, nor one behind which a job has failed.
#[test]
fn senders_learn_who_follows_in_their_transaction() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let send = move |tx: &mut Tx<'_>| {
        let Sent::Kept(kept) = messages::send(tx, a, chat, "x", None)? else {
            return Err(StoreError::Stopped);
        };
        let newest = tx.newest();
        assert!(!newest.is_after(b, 0), "before the COMMIT");
        Ok((kept.id, newest))
    };
    let followed = |sent: &[Result<(i64, Newest), StoreError>]| {
        let mut sent: Vec<_> = sent.iter().flatten().collect();
        sent.sort_by_key(|(id, _)| *id);
        let followed = sent.iter().map(|(id, newest)| newest.is_after(b, *id));
        followed.collect::<Vec<_>>()
    };
    assert_eq!(followed(&[scratch.send(1, send)]), [false]);
    let sent = together(&scratch, 4, move |_, tx| send(tx));
    assert_eq!(followed(&sent), [true, true, true, false]);
    assert!(
        sent.iter()
            .flatten()
            .all(|(_, newest)| !newest.is_after(a, 0))
    );
    static FAILED: AtomicI64 = AtomicI64::new(0);
    let sent = together(&scratch, 4, move |_, tx| {
        let kept = send(tx)?;
        // The last one, whichever that is.
        match FAILED.fetch_add(1, Ordering::Relaxed) {
            3 => Err(StoreError::Stopped),
            _ => Ok(kept),
        }
    });
    assert_eq!(followed(&sent), [false; 3]);
}

#[test]
fn a_failed_job_of_messages_brings_no_chat_back() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let listed = || scratch.read(|view| super::chats::of(view, b)).unwrap();
    // A message brings a chat back into the list of a member who has deleted it.
    scratch
        .write(1, move |tx| super::chats::delete(tx, b, chat))
        .unwrap();
    let failed = scratch.send(1, move |tx| -> Result<(), StoreError> {
        messages::send(tx, a, chat, "not to be kept", None)?;
        Err(StoreError::Stopped)
    });
    assert!(failed.is_err());
    assert!(listed().is_empty());
    send(&scratch, a, chat, "kept").unwrap();
    assert_eq!(listed(), [chat]);
}

#[test]
fn a_panic_in_a_job_fails_that_job_alone() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let failed: Result<(), _> = scratch.write(1, move |tx| {
        messages::send(tx, a, chat, "not to be kept", None)?;
        panic!("on purpose, in a test")
    });
    assert!(matches!(failed, Err(StoreError::Panicked)));
    assert!(matches!(send(&scratch, a, chat, "kept"), Ok(Sent::Kept(_))));
    assert_eq!(bodies(&scratch, b, 0), ["kept"]);
}

/// Several jobs in one transaction when the disk fills: what was answered with success is there,
/// what was answered with an error is not, and when there is room again it goes on.
#[test]
fn a_full_disk_keeps_exactly_what_was_answered() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let limit = |pages: i64| {
        scratch
            .write(1, move |tx| {
                tx.connection
                    .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
                Ok(())
            })
            .unwrap();
    };
    limit(300);
    let number = Arc::new(AtomicI64::new(0));
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let (store, number) = (scratch.clone(), Arc::clone(&number));
            std::thread::spawn(move || {
                let (mut kept, mut failed) = (Vec::new(), 0);
                for _ in 0..100 {
                    let body = format!(
                        "{:05} {}",
                        number.fetch_add(1, Ordering::Relaxed),
                        "x".repeat(3_000)
                    );
                    match send(&store, a, chat, &body) {
                        Ok(Sent::Kept(_)) => kept.push(body),
                        Ok(other) => panic!("{other:?}"),
                        Err(_) => failed += 1,
                    }
                }
                (kept, failed)
            })
        })
        .collect();
    let (mut expected, mut failures) = (Vec::new(), 0);
    for sender in senders {
        let (kept, failed) = sender.join().unwrap();
        expected.extend(kept);
        failures += failed;
    }
    assert!(failures > 0, "the disk never was full");
    assert!(!expected.is_empty(), "nothing was kept before");
    limit(1_000_000);
    assert!(matches!(
        send(&scratch, a, chat, "room again"),
        Ok(Sent::Kept(_))
    ));
    expected.push("room again".to_owned());
    let mut found = bodies(&scratch, b, 0);
    assert_eq!(found.last().map(String::as_str), Some("room again"));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn ids_and_timestamps_only_grow_whatever_is_removed() {
    let mut scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let Ok(Sent::Kept(first)) = send(&scratch, a, chat, "one") else {
        panic!("not sent")
    };
    // Deleted by the one, back by a later message, deleted by the other: the first is purged.
    scratch
        .write(1, move |tx| {
            chats::delete(tx, b, chat)?;
            chats::delete(tx, a, chat)
        })
        .unwrap();
    scratch.reopen();
    let again = scratch
        .write(1, move |tx| {
            chats::create(tx, a, b)?;
            Ok(chats::of(tx.connection, a)?)
        })
        .unwrap();
    assert!(again[0] > chat, "the chat's id was used again");
    let Ok(Sent::Kept(second)) = send(&scratch, a, again[0], "two") else {
        panic!("not sent")
    };
    assert!(second.id > first.id);
    assert_eq!(bodies(&scratch, b, first.id), ["two"]);
}

#[test]
fn timestamps_grow_within_a_chat_however_fast_messages_come() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let stamps = scratch
        .write(100, move |tx| {
            let mut stamps = Vec::new();
            for number in 0..100 {
                let from = if number % 3 == 0 { b } else { a };
                match messages::send(tx, from, chat, "x", None)? {
                    Sent::Kept(kept) => stamps.push(kept.timestamp),
                    other => panic!("{other:?}"),
                }
            }
            Ok(stamps)
        })
        .unwrap();
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
}

/// A backlog is of one moment: a later message of one chat must not come before an earlier one of
/// another, since the cursor would move past that for ever.
#[test]
fn a_backlog_gathered_amid_new_messages_has_no_hole() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let mut others = Vec::new();
    for name in ["c", "d"] {
        others.push(
            scratch
                .write(1, move |tx| {
                    let other = account(tx, name)?;
                    contacts::request(tx, other, b, 0)?;
                    contacts::request(tx, b, other, 0)?;
                    chats::create(tx, other, b)?;
                    Ok((other, chats::of(tx.connection, other)?[0]))
                })
                .unwrap(),
        );
    }
    let ((c, with_c), (d, with_d)) = (others[0], others[1]);
    let kept = |from, chat, body| {
        assert!(matches!(
            send(&scratch, from, chat, body),
            Ok(Sent::Kept(_))
        ));
    };
    kept(a, chat, "1");
    kept(c, with_c, "2");
    let mut found = Vec::new();
    scratch
        .read(|connection| {
            messages::backlog(connection, b, 0, |message| {
                // Between the reading of two lanes: one more in a third, and then in the second.
                if found.is_empty() {
                    kept(d, with_d, "3");
                    kept(c, with_c, "4");
                }
                found.push(message.body.to_owned());
                true
            })
        })
        .unwrap();
    assert_eq!(found, ["1", "2"]);
    assert_eq!(bodies(&scratch, b, 0), ["1", "2", "3", "4"]);
}

/// What a server left in order needs no look at its next start; whatever was changed since does.
#[test]
fn an_orderly_end_is_noticed_and_so_is_every_change_since() {
    let scratch = Scratch::new();
    let path = scratch.path().to_owned();
    let sealed = || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = rusqlite::Connection::open_with_flags(&path, flags).unwrap();
        super::health::is_sealed(&connection, &path)
    };
    let (a, _, chat) = pair(&scratch);
    send(&scratch, a, chat, "kept").unwrap();
    assert!(!sealed(), "beside its log");
    scratch.stop();
    assert!(sealed());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert!(!sealed(), "written again");
    let ended = UNIX_EPOCH + Duration::from_millis(1);
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(ended).unwrap();
    assert!(!sealed(), "of another time");
}

#[test]
fn a_second_server_is_kept_away() {
    let scratch = Scratch::new();
    let second = Store::open(&Options {
        path: scratch.path().to_owned(),
        readers: 1,
        check: Duration::ZERO,
        leave_checkpoints: false,
        limits: Limits::default(),
    });
    assert!(matches!(second, Err(StoreError::Foreign(_))));
}

/// History and the position of `135` find their place by bisection.
#[test]
fn history_pages_from_any_timestamp() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let all = scratch
        .write(300, move |tx| {
            let mut all = Vec::new();
            for number in 0..300 {
                let from = if number % 7 < 3 { a } else { b };
                if let Sent::Kept(kept) = messages::send(tx, from, chat, "x", None)? {
                    all.push((kept.id, kept.timestamp));
                }
            }
            Ok(all)
        })
        .unwrap();
    for before in [0, 1, 5, 100, 299] {
        let upto = if before == 0 { all.len() } else { before };
        let stamp = if before == 0 { 0 } else { all[before].1 };
        let found = scratch
            .read(|connection| messages::history(connection, chat, stamp, 20, 0))
            .unwrap();
        let expected: Vec<i64> = all[upto.saturating_sub(20)..upto]
            .iter()
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(found, expected, "before {before}");
    }
}
