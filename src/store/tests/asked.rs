//! What is told of requests that are made again, over days.

use super::*;
use crate::ids::Position;
use crate::store::admin::check;
use crate::store::asked::DAY;
use crate::store::contacts::Requested;

/// Two accounts that have nothing to do with each other.
fn strangers(store: &Store) -> (UserId, UserId) {
    done(store, |tx| Ok((account(tx, "a")?, account(tx, "b")?)))
}

fn ask(store: &Store, user: UserId, contact: UserId, online: bool) -> Requested {
    done(store, move |tx| {
        contacts::request(tx, user, contact, 0, online)
    })
}

fn end(store: &Store, user: UserId, contact: UserId, online: bool) -> bool {
    done(store, move |tx| contacts::end(tx, user, contact, online))
}

/// Moves everything that was told into the past; the future if negative.
fn wait(store: &Store, milliseconds: i64) {
    done(store, move |tx| {
        Ok(tx.run("UPDATE asked SET told = told - ?1", [milliseconds])?)
    });
}

/// Who is told of at a login of `user`.
fn told_at_login(store: &Store, user: UserId) -> Vec<String> {
    let open = store.read(|view| contacts::open_requests(view, user, None, 100));
    open.unwrap().into_iter().map(|(_, name)| name).collect()
}

fn rows(store: &Store) -> i64 {
    number(store, "SELECT count(*) FROM asked")
}

#[test]
fn a_request_made_again_is_told_once_a_day() {
    let scratch = Scratch::new();
    let (a, b) = strangers(&scratch);
    assert_eq!(ask(&scratch, a, b, true), Requested::Recorded);
    for _ in 0..100 {
        assert!(end(&scratch, a, b, true));
        assert_eq!(ask(&scratch, a, b, true), Requested::Quietly);
        assert_eq!(ask(&scratch, a, b, true), Requested::Unchanged);
    }
    assert!(told_at_login(&scratch, b).is_empty());
    wait(&scratch, DAY - 60_000);
    assert!(end(&scratch, a, b, true));
    assert_eq!(ask(&scratch, a, b, true), Requested::Quietly);
    assert!(told_at_login(&scratch, b).is_empty());
    // After a day it is a request like any other, told at each login; made again, it is told.
    wait(&scratch, 120_000);
    assert_eq!(told_at_login(&scratch, b), ["a"]);
    assert_eq!(told_at_login(&scratch, b), ["a"]);
    assert!(end(&scratch, a, b, true));
    assert_eq!(ask(&scratch, a, b, true), Requested::Recorded);
    assert!(end(&scratch, a, b, true));
    assert_eq!(ask(&scratch, a, b, true), Requested::Quietly);
    // A clock that was wrong silences nobody.
    wait(&scratch, -50 * DAY);
    assert_eq!(told_at_login(&scratch, b), ["a"]);
    assert!(end(&scratch, a, b, false));
    assert_eq!(ask(&scratch, a, b, true), Requested::Recorded);
}

#[test]
fn what_has_arrived_counts_as_told() {
    let mut scratch = Scratch::new();
    let (a, b) = strangers(&scratch);
    // Nobody was there: neither told nor counted.
    for _ in 0..3 {
        assert_eq!(ask(&scratch, a, b, false), Requested::Recorded);
        assert!(end(&scratch, a, b, false));
    }
    assert_eq!(rows(&scratch), 0);
    assert_eq!(ask(&scratch, a, b, false), Requested::Recorded);
    let event = scratch
        .read(|view| contacts::newest_event(view, b))
        .unwrap();
    assert_eq!(told_at_login(&scratch, b), ["a"]);
    let message = MessageId::NONE;
    scratch.note_delivered(b, Position { message, event });
    scratch.reopen();
    // It stands, so it is told again; made again it is not.
    assert_eq!(told_at_login(&scratch, b), ["a"]);
    assert!(end(&scratch, a, b, false));
    assert_eq!(ask(&scratch, a, b, false), Requested::Quietly);
    assert!(told_at_login(&scratch, b).is_empty());
    // Withdrawn while the other is there: it may have been told just now.
    let c = scratch.write(1, |tx| account(tx, "c")).unwrap();
    assert_eq!(ask(&scratch, c, b, false), Requested::Recorded);
    assert!(end(&scratch, c, b, true));
    assert_eq!(ask(&scratch, c, b, true), Requested::Quietly);
}

#[test]
fn declined_is_for_good_and_for_one_side() {
    let scratch = Scratch::new();
    let (a, b) = strangers(&scratch);
    ask(&scratch, a, b, true);
    assert!(end(&scratch, b, a, true));
    wait(&scratch, 1_000 * DAY);
    for _ in 0..3 {
        assert_eq!(ask(&scratch, a, b, true), Requested::Quietly);
        assert!(told_at_login(&scratch, b).is_empty());
        assert!(end(&scratch, a, b, true));
    }
    // Nor does declining what was not told change anything.
    assert_eq!(ask(&scratch, a, b, true), Requested::Quietly);
    assert!(end(&scratch, b, a, true));
    assert!(!end(&scratch, b, a, true));
    // The other direction is as it was; asking takes the refusal back.
    assert_eq!(ask(&scratch, b, a, true), Requested::Recorded);
    assert!(end(&scratch, b, a, true));
    assert_eq!(ask(&scratch, a, b, true), Requested::Recorded);
    assert_eq!(ask(&scratch, b, a, true), Requested::Recorded);
    assert_eq!(rows(&scratch), 0);
    let both = scratch.read(|view| contacts::confirmed(view, a, b));
    assert!(both.unwrap());
    // Who ends a contact has declined no request yet: the first one is told.
    assert!(end(&scratch, a, b, true));
    assert_eq!(ask(&scratch, b, a, true), Requested::Recorded);
    assert!(end(&scratch, a, b, true));
    assert_eq!(ask(&scratch, b, a, true), Requested::Quietly);
    assert_eq!(ask(&scratch, a, b, true), Requested::Recorded);
}

#[test]
fn what_was_asked_goes_with_an_account() {
    let mut scratch = Scratch::new();
    let (a, b) = strangers(&scratch);
    let others: Vec<_> = (0..150)
        .map(|number| {
            let name = format!("other{number}");
            scratch.write(1, move |tx| account(tx, &name)).unwrap()
        })
        .collect();
    for other in &others {
        ask(&scratch, *other, a, true);
        assert!(end(&scratch, a, *other, true));
        ask(&scratch, a, *other, true);
        assert!(end(&scratch, *other, a, true));
    }
    ask(&scratch, b, others[0], true);
    assert_eq!(rows(&scratch), 151);
    assert!(done(&scratch, move |tx| users::delete(tx, a, "hash")));
    // The purge is done in steps; what the end leaves, the next start goes on with.
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while rows(&scratch) > 1 {
        assert!(std::time::Instant::now() < end);
        std::thread::yield_now();
    }
    scratch.reopen();
    let found = scratch.read(|view| check::problems(view, |_| {})).unwrap();
    assert_eq!(found, Vec::<String>::new());
}
