//! Ids, backlogs, histories and starts; each test has a database of its own.

use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use super::messages;
use super::users;
use super::{Store, StoreError, Tx, chats, contacts};
use crate::ids::{ChatId, MessageId, UserId};
use crate::store::Source;
use crate::store::admin::check;
use crate::store::commit::quota::Limits;
use crate::store::messages::Sent;
use crate::store::users::NewAccount;

use scratch::Scratch;

mod asked;
mod jobs;
mod lanes;
mod retention;
pub(crate) mod scratch;
mod texts;

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

/// Runs a job that does not fail.
fn done<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    store.write(1, job).unwrap()
}

/// Makes two users contacts and creates their chat, the newest of the first one.
fn befriend(tx: &mut Tx<'_>, a: UserId, b: UserId) -> Result<ChatId, StoreError> {
    contacts::request(tx, a, b, 0, false)?;
    contacts::request(tx, b, a, 0, false)?;
    chats::create(tx, a, b)?;
    Ok(*chats::of(tx.connection, a)?.last().unwrap())
}

/// Two contacts and their chat.
fn pair(store: &Store) -> (UserId, UserId, ChatId) {
    done(store, |tx| {
        let (a, b) = (account(tx, "a")?, account(tx, "b")?);
        Ok((a, b, befriend(tx, a, b)?))
    })
}

/// The one number that a statement gives.
fn number(store: &Store, sql: &str) -> i64 {
    store.read(|view| view.one(sql, [])).unwrap()
}

/// Checks a database that nobody has open.
fn assert_sound(path: &std::path::Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let problems = check::problems(&connection, |_| {}).unwrap();
    assert_eq!(problems, Vec::<String>::new());
}

fn send(store: &Store, from: UserId, chat: ChatId, body: &str) -> Result<Sent, StoreError> {
    let body = body.to_owned();
    store.write(1, move |tx| messages::send(tx, from, chat, &body, None))
}

fn bodies(store: &Store, to: UserId, after: MessageId) -> Vec<String> {
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
fn ids_and_timestamps_only_grow_whatever_is_removed() {
    let mut scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let Ok(Sent::Kept(first)) = send(&scratch, a, chat, "one") else {
        panic!("not sent")
    };
    // Deleted by the one, back by a later message, deleted by the other: the first is purged.
    done(&scratch, move |tx| {
        chats::delete(tx, b, chat)?;
        chats::delete(tx, a, chat)
    });
    scratch.reopen();
    let again = done(&scratch, move |tx| {
        chats::create(tx, a, b)?;
        Ok(chats::of(tx.connection, a)?)
    });
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
        others.push(done(&scratch, move |tx| {
            let other = account(tx, name)?;
            Ok((other, befriend(tx, other, b)?))
        }));
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
            messages::backlog(connection, b, MessageId::NONE, |message| {
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
    assert_eq!(bodies(&scratch, b, MessageId::NONE), ["1", "2", "3", "4"]);
}

/// What a server left in order needs no look at its next start; whatever was changed since does.
#[test]
fn an_orderly_end_is_noticed_and_so_is_every_change_since() {
    let scratch = Scratch::new();
    let path = scratch.path().to_owned();
    let sealed = || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = rusqlite::Connection::open_with_flags(&path, flags).unwrap();
        super::open::health::is_sealed(&connection, &path)
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
    let second = Store::open(&Scratch::options(&scratch.directory, scratch.limits));
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
            .read(|connection| messages::history(connection, chat, stamp, 20, MessageId::NONE))
            .unwrap();
        let expected: Vec<MessageId> = all[upto.saturating_sub(20)..upto]
            .iter()
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(found, expected, "before {before}");
    }
}
