//! What goes when its days have passed, and what must not. Time is a parameter here.

use super::*;
use crate::ids::{MediaId, Position};
use crate::store::deliveries;
use crate::store::media;
use crate::store::removal::retention::Retention;
use std::time::Duration;

const HOUR: i64 = 3_600 * 1_000;
const DAY: i64 = 24 * HOUR;

fn days(count: i64) -> Duration {
    Duration::from_millis((count * DAY) as u64)
}

fn keep_messages() -> Limits {
    Limits {
        keep_messages: Some(days(30)),
        ..Limits::default()
    }
}

fn keep_media() -> Limits {
    Limits {
        keep_media: Some(days(30)),
        ..Limits::default()
    }
}

/// One whole pass, as if it were `later` milliseconds from now.
fn pass(
    store: &Store,
    limits: Limits,
    later: i64,
    pinned: impl Fn(ChatId) -> bool + Send + 'static,
) {
    done(store, move |tx| {
        let mut retention = Retention::new(&limits);
        let now = tx.now() + later;
        while !retention.step(tx, now, &pinned)? {}
        Ok(())
    });
}

fn none(_: ChatId) -> bool {
    false
}

fn kept(store: &Store, from: UserId, chat: ChatId, body: &str) -> messages::Kept {
    match send(store, from, chat, body) {
        Ok(Sent::Kept(kept)) => kept,
        other => panic!("{other:?}"),
    }
}

fn arrived(store: &Store, user: UserId, message: MessageId) {
    done(store, move |tx| {
        let position = Position { message, event: 0 };
        deliveries::save(tx.connection, &vec![(user, position.into())])
    });
}

/// Messages in the database.
fn count(store: &Store) -> i64 {
    number(store, "SELECT count(*) FROM message")
}

/// Moves the TimeStamps of all messages.
fn shift(store: &Store, by: i64) {
    done(store, move |tx| {
        Ok(tx.run("UPDATE message SET timestamp = timestamp + ?1", [by])?)
    });
}

fn send_media(store: &Store, from: UserId, chat: ChatId, data: &str) -> Option<messages::Kept> {
    let data = data.to_owned();
    done(store, move |tx| {
        let Some(id) = media::begin(tx, from, chat, data.len(), false)? else {
            return Ok(None);
        };
        media::add(tx, id, 0, &data)?;
        match media::finish(tx, from, chat, "see", id)? {
            Sent::Kept(kept) => Ok(Some(kept)),
            other => panic!("{other:?}"),
        }
    })
}

fn finds(store: &Store, user: UserId, id: MediaId) -> bool {
    let found = store.read(|connection| media::find(connection, user, id));
    matches!(found, Ok(media::Lookup::Found(_)))
}

/// Waits for the purge, which comes by itself: nothing tells of it, so the database is asked.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(
            std::time::Instant::now() < end,
            "waited in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_has_arrived_goes_when_it_is_old_and_nothing_else_does() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let old = kept(&scratch, a, chat, "arrived");
    kept(&scratch, a, chat, "not arrived");
    kept(&scratch, b, chat, "not arrived, the other way");
    arrived(&scratch, b, old.id);
    pass(&scratch, keep_messages(), 30 * DAY - 60_000, none);
    assert_eq!(count(&scratch), 3, "not yet");
    pass(&scratch, keep_messages(), 31 * DAY, none);
    assert_eq!(bodies(&scratch, b, MessageId::NONE), ["not arrived"]);
    assert_eq!(
        bodies(&scratch, a, MessageId::NONE),
        ["not arrived, the other way"]
    );
    // History is what is left, and 135 for the removed one finds nothing to go back to.
    let history =
        scratch.read(|connection| messages::history(connection, chat, 0, 10, MessageId::NONE));
    assert_eq!(history.unwrap().len(), 2);
    let upto = scratch
        .read(|connection| messages::newest_upto(connection, b, chat, old.timestamp))
        .unwrap();
    assert_eq!(upto, Ok(None));
    // Where the walk has been it does not go again.
    let newest = number(&scratch, "SELECT max(id) FROM message");
    assert_eq!(
        number(
            &scratch,
            "SELECT value FROM counter WHERE name = 'kept_message'"
        ),
        newest
    );
}

#[test]
fn timestamps_do_not_go_back_when_the_newest_message_goes() {
    let mut scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let ahead = kept(&scratch, a, chat, "from a clock that was ahead");
    arrived(&scratch, b, ahead.id);
    // Ahead of today, and yet older than the days by the clock of the pass.
    shift(&scratch, 10 * DAY);
    pass(&scratch, keep_messages(), 60 * DAY, none);
    assert_eq!(count(&scratch), 0);
    scratch.reopen();
    let next = kept(&scratch, a, chat, "next");
    assert!(next.timestamp > ahead.timestamp + 10 * DAY);
    assert!(next.id > ahead.id);
    assert_eq!(bodies(&scratch, b, ahead.id), ["next"]);
}

/// What TCP alone has acknowledged may come again as long as its login lasts.
#[test]
fn what_the_first_135_may_take_back_is_held() {
    let mut scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let save = |store: &Store| store.write(1, |_| Ok(())).unwrap();
    let arrive = |store: &Store, from: MessageId, message: MessageId| {
        let login = store.begin_login(b, from, true);
        store.note_arrived(b, login, Position { message, event: 0 });
        store.save_soon();
        save(store);
        login
    };
    let age = |store: &Store| shift(store, -31 * DAY);
    let message = kept(&scratch, a, chat, "once").id;
    let login = arrive(&scratch, MessageId::NONE, message);
    age(&scratch);
    pass(&scratch, keep_messages(), 0, none);
    assert_eq!(count(&scratch), 1, "its login goes on");
    scratch.end_login(b, login, false);
    save(&scratch);
    pass(&scratch, keep_messages(), HOUR, none);
    pass(&scratch, keep_messages(), DAY + HOUR, none);
    assert_eq!(count(&scratch), 0, "its login has ended");

    // Nobody begins to count by 135 after more than a day.
    let message = kept(&scratch, a, chat, "at a terminal").id;
    arrive(&scratch, message.previous(), message);
    age(&scratch);
    pass(&scratch, keep_messages(), DAY - HOUR, none);
    assert_eq!(count(&scratch), 1, "its login is young");
    pass(&scratch, keep_messages(), DAY + HOUR, none);
    pass(&scratch, keep_messages(), 2 * DAY + HOUR, none);
    assert_eq!(count(&scratch), 0, "its login is older than a day");

    // Said by 135, it is over at once, and what came before goes.
    let first = kept(&scratch, a, chat, "confirmed").id;
    let second = kept(&scratch, a, chat, "taken back").id;
    arrive(&scratch, message, second);
    assert!(scratch.receive_explicitly(b, first, || false).unwrap());
    pass(&scratch, keep_messages(), 64 * DAY, none);
    assert_eq!(bodies(&scratch, b, MessageId::NONE), ["taken back"]);

    // A crash ends all logins.
    let third = kept(&scratch, a, chat, "third").id;
    arrive(&scratch, second, third);
    assert_eq!(number(&scratch, "SELECT count(*) FROM login_start"), 1);
    scratch.reopen();
    assert_eq!(number(&scratch, "SELECT count(*) FROM login_start"), 0);
    assert!(scratch.standing(b).unwrap().explicit);
}

#[test]
fn what_was_held_stays_a_day_after_it_has_arrived() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let late = kept(&scratch, a, chat, "for somebody who is away");
    let count = || count(&scratch);
    for day in [31, 60, 90] {
        pass(&scratch, keep_messages(), day * DAY, none);
        assert_eq!(count(), 1, "after {day} days");
    }
    arrived(&scratch, b, late.id);
    pass(&scratch, keep_messages(), 91 * DAY, none);
    pass(&scratch, keep_messages(), 92 * DAY - 60_000, none);
    assert_eq!(count(), 1, "the day is not over");
    pass(&scratch, keep_messages(), 92 * DAY + 60_000, none);
    assert_eq!(count(), 0);
    assert_eq!(number(&scratch, "SELECT count(*) FROM held_lane"), 0);
}

#[test]
fn a_chat_that_is_being_read_stays_until_it_is_not() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let old = kept(&scratch, a, chat, "being read");
    arrived(&scratch, b, old.id);
    pass(&scratch, keep_messages(), 31 * DAY, move |pinned| {
        pinned == chat
    });
    assert_eq!(count(&scratch), 1);
    pass(&scratch, keep_messages(), 31 * DAY, none);
    pass(&scratch, keep_messages(), 33 * DAY, none);
    assert_eq!(count(&scratch), 0);
}

/// Otherwise one message with a TimeStamp of the far future would end retention for ever.
#[test]
fn a_timestamp_of_the_future_does_not_end_the_walk() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    kept(&scratch, a, chat, "from 2100");
    done(&scratch, |tx| {
        Ok(tx.run("UPDATE message SET timestamp = 4102444800000", [])?)
    });
    let (c, d, other) = done(&scratch, |tx| {
        let (c, d) = (account(tx, "c")?, account(tx, "d")?);
        Ok((c, d, befriend(tx, c, d)?))
    });
    let old = kept(&scratch, c, other, "of today");
    arrived(&scratch, d, old.id);
    arrived(&scratch, b, old.id);
    pass(&scratch, keep_messages(), 31 * DAY, none);
    assert_eq!(bodies(&scratch, d, MessageId::NONE), Vec::<String>::new());
    assert_eq!(bodies(&scratch, b, MessageId::NONE), ["from 2100"]);
    // Once that year is past, too.
    pass(&scratch, keep_messages(), 40_000 * DAY, none);
    pass(&scratch, keep_messages(), 40_002 * DAY, none);
    assert_eq!(bodies(&scratch, b, MessageId::NONE), Vec::<String>::new());
}

#[test]
fn messages_to_a_deleted_account_go_too() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    kept(&scratch, a, chat, "never read");
    done(&scratch, move |tx| users::delete(tx, b, "hash"));
    pass(&scratch, keep_messages(), 31 * DAY, none);
    assert_eq!(count(&scratch), 0);
    assert!(matches!(
        send(&scratch, a, chat, "more"),
        Ok(Sent::NoContact)
    ));
}

#[test]
fn old_media_go_and_their_messages_stay() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let seen = send_media(&scratch, a, chat, "seen").unwrap();
    let unseen = send_media(&scratch, a, chat, "not seen").unwrap();
    let (first, second) = (seen.media.unwrap(), unseen.media.unwrap());
    arrived(&scratch, b, seen.id);
    pass(&scratch, keep_media(), 31 * DAY, none);
    assert!(!finds(&scratch, b, first));
    assert!(finds(&scratch, b, second), "it has not arrived");
    assert_eq!(bodies(&scratch, b, MessageId::NONE), ["see", "see"]);
    until(
        "the media's parts are gone, and the owner has room again",
        || {
            number(&scratch, "SELECT count(*) FROM media_part") == 1
                && number(&scratch, "SELECT bytes FROM media_use") == 8
        },
    );
    arrived(&scratch, b, unseen.id);
    pass(&scratch, keep_media(), 32 * DAY, none);
    assert!(finds(&scratch, b, second), "it has arrived only now");
    pass(&scratch, keep_media(), 34 * DAY, none);
    assert!(!finds(&scratch, b, second));
    assert_eq!(number(&scratch, "SELECT count(*) FROM held_media"), 0);
    assert_eq!(bodies(&scratch, b, MessageId::NONE), ["see", "see"]);
}

#[test]
fn media_go_with_their_messages() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let seen = send_media(&scratch, a, chat, "seen").unwrap();
    arrived(&scratch, b, seen.id);
    pass(&scratch, keep_messages(), 31 * DAY, none);
    assert!(!finds(&scratch, a, seen.media.unwrap()));
    until("nothing is left", || {
        number(&scratch, "SELECT count(*) FROM media") == 0
            && number(&scratch, "SELECT bytes FROM media_use") == 0
    });
}

#[test]
fn retention_runs_by_itself() {
    let mut scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let old = kept(&scratch, a, chat, "old");
    arrived(&scratch, b, old.id);
    shift(&scratch, -31 * DAY);
    scratch.limits = keep_messages();
    scratch.reopen();
    until("the old message is gone", || count(&scratch) == 0);
}

#[test]
fn a_quota_counts_what_is_there() {
    let scratch = Scratch::with(Limits {
        media_quota: 10,
        ..Limits::default()
    });
    let (a, b, chat) = pair(&scratch);
    let first = send_media(&scratch, a, chat, "123456").unwrap();
    assert!(send_media(&scratch, a, chat, "12345").is_none(), "11 bytes");
    assert!(
        send_media(&scratch, b, chat, "12345").is_some(),
        "another's"
    );
    assert!(send_media(&scratch, a, chat, "1234").is_some(), "10 bytes");
    assert!(send_media(&scratch, a, chat, "1").is_none());
    arrived(&scratch, b, first.id);
    pass(&scratch, keep_media(), 31 * DAY, none);
    until("the removed media's bytes are free", || {
        send_media(&scratch, a, chat, "123456").is_some()
    });
}

#[test]
fn a_full_database_takes_nothing_until_something_goes() {
    let scratch = Scratch::with(Limits {
        max_database: 400 << 10,
        ..Limits::default()
    });
    let (a, b, chat) = pair(&scratch);
    let text = "x".repeat(8_000);
    let fill = |most: usize| {
        let kept = (0..most).take_while(|_| {
            let text = text.clone();
            let kept = scratch.grow(1, move |tx| messages::send(tx, a, chat, &text, None));
            match kept {
                Ok(Sent::Kept(_)) => true,
                Err(StoreError::NoRoom) => false,
                other => panic!("{other:?}"),
            }
        });
        kept.count()
    };
    let first = fill(100);
    assert!((20..60).contains(&first), "{first} messages of 8 KiB fit");
    assert_eq!(fill(1), 0);
    // What adds nothing, or takes away, goes on.
    let newest = scratch.committed();
    arrived(&scratch, b, newest);
    let requested = scratch.write(1, move |tx| {
        let c = account(tx, "c")?;
        Ok((
            contacts::request(tx, a, b, 0, false)?,
            contacts::request(tx, a, c, 0, false)?,
        ))
    });
    assert_eq!(
        requested.unwrap(),
        (contacts::Requested::Unchanged, contacts::Requested::NoRoom)
    );
    pass(&scratch, keep_messages(), 31 * DAY, none);
    let pages = number(&scratch, "PRAGMA page_count");
    // The same pages are used again: the file does not grow.
    let second = fill(first);
    assert!(second + 2 >= first, "{second} after {first}");
    assert!(number(&scratch, "PRAGMA page_count") <= pages + 4);
}
