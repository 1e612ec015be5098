//! The index of the lanes, which comes behind the messages. Runs are short in tests, so that many
//! begin, and end, among few messages.

use rusqlite::Params;
use rusqlite::types::FromSql;

use super::*;

use crate::store::View;

/// As many messages as a run begins with, in tests.
const RUN: usize = 64;

/// Four users who are all contacts, with a chat for each two.
fn company(store: &Store) -> (Vec<UserId>, Vec<ChatId>) {
    done(store, |tx| {
        let users: Vec<UserId> = ["a", "b", "c", "d"]
            .into_iter()
            .map(|name| account(tx, name))
            .collect::<Result<_, _>>()?;
        for (index, &a) in users.iter().enumerate() {
            for &b in &users[index + 1..] {
                befriend(tx, a, b)?;
            }
        }
        Ok((users, (1..=6).map(ChatId::new).collect()))
    })
}

/// Numbers without a pattern, the same in each run of a test.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

fn column<T: FromSql>(view: &View<'_>, sql: &str, values: impl Params) -> Vec<T> {
    view.values(sql, values).unwrap()
}

/// Asks in every way that goes by lanes, and compares with the messages themselves.
fn compare(store: &Store, users: &[UserId], chats: &[ChatId]) {
    store
        .read(|view| {
            for &user in users {
                let mut found = Vec::new();
                messages::backlog(view, user, MessageId::NONE, |message| {
                    found.push(message.id);
                    true
                })?;
                let all = "SELECT x.id FROM message x JOIN chat c ON c.id = x.lane / 2
                           JOIN member m ON m.chat_id = c.id AND m.user_id = ?1
                           WHERE x.id > m.cleared_id AND x.lane % 2 = (c.creator_id <> ?1)
                           ORDER BY x.id";
                assert_eq!(
                    found,
                    column::<MessageId>(view, all, [user]),
                    "the backlog of {user}"
                );
            }
            for &chat in chats {
                let times = "SELECT timestamp FROM message WHERE lane / 2 = ?1 ORDER BY id";
                let times = column::<i64>(view, times, [chat]);
                for before in [0, times.get(times.len() / 2).copied().unwrap_or(1)] {
                    let found = messages::history(view, chat, before, 7, MessageId::NONE)?;
                    let all = "SELECT id FROM (SELECT id FROM message
                               WHERE lane / 2 = ?1 AND (?2 = 0 OR timestamp < ?2)
                               ORDER BY id DESC LIMIT 7) ORDER BY id";
                    assert_eq!(
                        found,
                        column::<MessageId>(view, all, (chat, before)),
                        "chat {chat}"
                    );
                }
                for &time in times.iter().step_by(5) {
                    let creator = column(view, "SELECT creator_id FROM chat WHERE id = ?1", [chat]);
                    let found = messages::newest_upto(view, creator[0], chat, time)?;
                    let all = "SELECT max(id) FROM message WHERE lane = ?1 * 2 AND timestamp <= ?2
                               HAVING max(id) IS NOT NULL";
                    let wanted = column::<MessageId>(view, all, (chat, time))
                        .first()
                        .copied();
                    assert_eq!(found.unwrap_or(None), wanted, "chat {chat} at {time}");
                }
            }
            Ok(())
        })
        .unwrap();
}

fn indexed(store: &Store) -> i64 {
    number(store, "SELECT value FROM counter WHERE name = 'indexed'")
}

/// Whether the index has rows of a run that has not come to its end.
fn is_unfinished(store: &Store) -> bool {
    let rows = "SELECT EXISTS (SELECT 1 FROM lane_message WHERE message_id >
                (SELECT value FROM counter WHERE name = 'indexed'))";
    number(store, rows) > 0
}

fn newest(store: &Store) -> i64 {
    number(store, "SELECT coalesce(max(id), 0) FROM message")
}

/// So many messages in one transaction.
fn send_many(store: &Store, from: UserId, chat: ChatId, rows: usize, count: usize) {
    let sent = store.write(rows, move |tx| {
        for _ in 0..count {
            messages::send(tx, from, chat, "x", None)?;
        }
        Ok(())
    });
    sent.unwrap();
}

/// A message, or many at once, or one that is not kept, or a chat deleted.
fn something(store: &Store, users: &[UserId], chats: &[ChatId], numbers: &mut Numbers) {
    let (user, chat) = (
        users[numbers.below(users.len())],
        chats[numbers.below(chats.len())],
    );
    match numbers.below(200) {
        0..4 => {
            done(store, move |tx| chats::delete(tx, user, chat));
            // It can be used again.
            done(store, move |tx| {
                let (creator, other) = chats::members(tx.connection, chat)?.unwrap();
                match user {
                    user if user == creator => chats::create(tx, user, other),
                    user if user == other => chats::create(tx, user, creator),
                    _ => Ok(chats::Created::Listed),
                }
            });
        }
        4..8 => {
            let failed = store.write(2, move |tx| -> Result<(), StoreError> {
                messages::send(tx, user, chat, "not to be kept", None)?;
                Err(StoreError::Stopped)
            });
            assert!(failed.is_err());
        }
        8 => {
            // So many to one lane go into the index at once, if not much is before them.
            send_many(store, user, chat, 30, 30);
        }
        _ => {
            send(store, user, chat, "x").unwrap();
        }
    }
}

#[test]
fn a_reader_sees_the_same_however_far_the_index_has_come() {
    let mut scratch = Scratch::new();
    let (users, chats) = company(&scratch);
    let mut numbers = Numbers(1);
    let (mut seen, mut behind, mut halves) = (std::collections::BTreeSet::new(), 0, 0);
    for step in 1.. {
        // On a machine with much else to do the maintenance thread flushes in pauses of ours instead.
        let enough = seen.len() > 5 && behind > 20 && halves > 20;
        if step > 40 * RUN && (enough || step > 400 * RUN) {
            break;
        }
        something(&scratch, &users, &chats, &mut numbers);
        let half = is_unfinished(&scratch);
        if half || step % 31 == 0 {
            halves += i32::from(half);
            compare(&scratch, &users, &chats);
            seen.insert(indexed(&scratch));
            behind += i32::from(indexed(&scratch) < newest(&scratch));
        }
        if step % (9 * RUN) == 0 {
            scratch.reopen();
            compare(&scratch, &users, &chats);
        }
    }
    assert!(
        seen.len() > 5 && behind > 20 && halves > 20,
        "{seen:?}, {behind} times behind, {halves} in the middle of a run"
    );
    scratch.stop();
    assert_sound(scratch.path());
}

/// What a crash leaves: messages that the index does not name, and rows of half a run.
#[test]
fn a_crash_at_any_moment_costs_the_index_nothing() {
    let scratch = Scratch::new();
    let (users, chats) = company(&scratch);
    let mut numbers = Numbers(2);
    let (mut crashes, mut halves) = (0, 0);
    // Runs also end by themselves, in the pauses: so it is looked for the middle of one.
    for step in 1..100 * RUN {
        something(&scratch, &users, &chats, &mut numbers);
        let half = is_unfinished(&scratch) && indexed(&scratch) > 0;
        if !half && step % (2 * RUN) != 0 {
            continue;
        }
        let crashed = scratch.crashed();
        crashes += 1;
        // The copy counts, as the run may have ended before it was made; and a second run or later.
        halves += i32::from(is_unfinished(&crashed) && indexed(&crashed) > 0);
        compare(&crashed, &users, &chats);
        // It goes on from there.
        for _ in 0..RUN {
            something(&crashed, &users, &chats, &mut numbers);
        }
        compare(&crashed, &users, &chats);
        crashed.stop();
        assert_sound(crashed.path());
        if halves >= 3 && crashes > halves {
            return;
        }
    }
    panic!("{halves} of {crashes} crashes were in the middle of a run");
}

/// An orderly end in the middle of a run leaves nothing for the next start.
#[test]
fn an_orderly_end_indexes_everything() {
    let mut scratch = Scratch::new();
    let (a, _, chat) = pair(&scratch);
    let mut halves = 0;
    for _ in 0..10 {
        for count in [RUN, 2] {
            send_many(&scratch, a, chat, count, count);
        }
        // The second job has begun the flush; the maintenance thread goes on with it by itself.
        halves += i32::from(is_unfinished(&scratch));
        scratch.reopen();
        assert!(indexed(&scratch) >= newest(&scratch));
    }
    assert!(halves > 0, "each run had ended by itself");
}

/// What has gone while only the tail named it does not come into the index, whoever removed it.
#[test]
fn what_has_gone_stays_out_of_the_index() {
    let scratch = Scratch::new();
    let (users, chats) = company(&scratch);
    let many = |chat| {
        let sent = scratch.write(RUN, move |tx| {
            let members = chats::members(tx.connection, chat)?;
            let creator = members.map_or(UserId::new(0), |(creator, _)| creator);
            for _ in 0..RUN / 2 {
                messages::send(tx, creator, chat, "x", None)?;
            }
            Ok(())
        });
        sent.unwrap();
    };
    let other = rusqlite::Connection::open(scratch.path()).unwrap();
    // The maintenance thread also flushes in its pauses, and looks at each message then: hence some rounds.
    for round in 0..20 {
        many(chats[0]);
        if round % 2 == 0 {
            // By the server, once both members have deleted the chat.
            for user in [users[0], users[1]] {
                done(&scratch, move |tx| chats::delete(tx, user, ChatId::new(1)));
            }
            let end = std::time::Instant::now() + Duration::from_secs(30);
            while number(&scratch, "SELECT count(*) FROM purge") > 0 {
                assert!(std::time::Instant::now() < end, "not purged");
            }
            let (user, contact) = (users[0], users[1]);
            done(&scratch, move |tx| chats::create(tx, user, contact));
        } else {
            // By another process.
            let newest = newest(&scratch);
            for table in ["message WHERE id", "lane_message WHERE message_id"] {
                let sql = format!("DELETE FROM {table} > ?1");
                other.execute(&sql, [newest - 9]).unwrap();
            }
        }
        // A run, to its end.
        for _ in 0..6 {
            many(chats[1]);
        }
    }
    scratch.stop();
    assert_sound(scratch.path());
}

/// Purging, and with it the other maintenance, goes on while jobs come without a pause.
#[test]
fn a_crowd_that_never_pauses_does_not_keep_maintenance_from_its_duties() {
    let scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    // More than one slice of purging takes away.
    send_many(&scratch, a, chat, 1, 40_000);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let store = Store::clone(&scratch);
                    // It fills a group and lasts until another one is queued: so the queue is never
                    // empty.
                    let job = move |_: &mut Tx<'_>| {
                        let end = std::time::Instant::now() + Duration::from_millis(5);
                        while store.queue_depth() == 0 && std::time::Instant::now() < end {
                            std::thread::yield_now();
                        }
                        Ok(())
                    };
                    scratch.write(1 << 20, job).unwrap();
                }
            });
        }
        let end = std::time::Instant::now() + Duration::from_secs(30);
        let gone = (|| {
            for user in [a, b] {
                scratch.write(1, move |tx| chats::delete(tx, user, chat))?;
            }
            while std::time::Instant::now() < end {
                let left = scratch
                    .read(|view| Ok(column::<i64>(view, "SELECT count(*) FROM purge", [])[0]))?;
                if left == 0 {
                    return Ok(true);
                }
            }
            Ok::<_, StoreError>(false)
        })();
        // Before anything is asserted: the scope waits for the crowd.
        stop.store(true, Ordering::Relaxed);
        assert!(gone.unwrap(), "nothing was purged");
    });
}
