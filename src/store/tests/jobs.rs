//! Group commit against failing jobs and full disks, and what jobs of one transaction know of each
//! other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::{bodies, done, pair, send};
use crate::ids::MessageId;
use crate::store::messages;
use crate::store::messages::Sent;
use crate::store::tests::scratch::Scratch;
use crate::store::{Newest, Store, StoreError, Tx, chats};

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
    assert_eq!(bodies(&scratch, b, MessageId::NONE), ["kept"]);
}

/// So many jobs that send messages, by their numbers, in one transaction.
fn together<T: Send + 'static>(
    store: &Store,
    count: usize,
    job: impl Fn(usize, &mut Tx<'_>) -> Result<T, StoreError> + Copy + Send + Sync + 'static,
) -> Vec<Result<T, StoreError>> {
    // Leads until the others are queued, so that they share a transaction.
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
            .map(|number| scope.spawn(move || store.write(2, move |tx| job(number, tx))))
            .collect();
        while store.queue_depth() < count {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    })
}

/// Beside other jobs of the same transaction.
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
    let mut kept = bodies(&scratch, b, MessageId::NONE);
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
        assert!(!newest.is_after(b, MessageId::NONE), "before the COMMIT");
        Ok((kept.id, newest))
    };
    let followed = |sent: &[Result<(MessageId, Newest), StoreError>]| {
        let mut sent: Vec<_> = sent.iter().flatten().collect();
        sent.sort_by_key(|(id, _)| *id);
        let followed = sent.iter().map(|(id, newest)| newest.is_after(b, *id));
        followed.collect::<Vec<_>>()
    };
    assert_eq!(followed(&[scratch.write(1, send)]), [false]);
    let sent = together(&scratch, 4, move |_, tx| send(tx));
    assert_eq!(followed(&sent), [true, true, true, false]);
    assert!(
        sent.iter()
            .flatten()
            .all(|(_, newest)| !newest.is_after(a, MessageId::NONE))
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
    let listed = || scratch.read(|view| chats::of(view, b)).unwrap();
    // A message brings a chat back into the list of a member who has deleted it.
    done(&scratch, move |tx| chats::delete(tx, b, chat));
    let failed = scratch.write(1, move |tx| -> Result<(), StoreError> {
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
    assert_eq!(bodies(&scratch, b, MessageId::NONE), ["kept"]);
}

/// Several jobs in one transaction when the disk fills: what was answered with success is there,
/// what was answered with an error is not, and when there is room again it goes on.
#[test]
fn a_full_disk_keeps_exactly_what_was_answered() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let limit = |pages: i64| {
        done(&scratch, move |tx| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(tx.connection.execute_batch(&sql)?)
        });
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
    let mut found = bodies(&scratch, b, MessageId::NONE);
    assert_eq!(found.last().map(String::as_str), Some("room again"));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
