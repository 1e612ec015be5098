//! The budget without sockets.

use super::*;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

const LIMIT: usize = 8 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

/// A line that has `length` bytes once this chunk of it is taken.
fn chunk(length: usize) -> (usize, Vec<u8>) {
    (length - 100, vec![b'x'; 100])
}

fn try_take(share: &mut Share, length: usize) -> bool {
    let (buffered, chunk) = chunk(length);
    share.try_take(buffered, &chunk, LIMIT)
}

fn used(budget: &MemoryBudget) -> usize {
    lock(&budget.state).used
}

/// Waits for room on a thread of its own; gives the share back through the channel.
fn take_later(
    budget: &Arc<MemoryBudget>,
    mut share: Share,
    length: usize,
) -> Receiver<Option<Share>> {
    let (told, result) = channel();
    let before = lock(&budget.state).waiting;
    thread::spawn(move || {
        let (buffered, chunk) = chunk(length);
        let taken = share.take(buffered, &chunk, LIMIT, || false);
        let _ = told.send(taken.is_ok().then_some(share));
    });
    let end = Instant::now() + TIMEOUT;
    while lock(&budget.state).waiting == before {
        assert!(Instant::now() < end, "it does not wait");
        thread::yield_now();
    }
    result
}

#[test]
fn short_lines_take_nothing() {
    let budget = MemoryBudget::new(0);
    let mut share = budget.share(1);
    assert!(!share.is_concerned(0, &[b'x'; ALLOWANCE + 1]));
    assert!(!share.is_concerned(1, &[b'x'; ALLOWANCE - 1]));
    assert!(share.is_concerned(1, &[b'x'; ALLOWANCE]));
    // Concerned, but the line is short: others follow it in the chunk.
    let mut lines = vec![b'x'; ALLOWANCE];
    lines[10] = b'\n';
    assert!(share.try_take(ALLOWANCE - 100, &lines, LIMIT));
    assert!(!share.is_held());
}

#[test]
fn room_is_what_the_decoder_makes() {
    assert_eq!(room(ALLOWANCE + 1, LIMIT), 2 * ALLOWANCE);
    assert_eq!(room((4 << 20) + 1, LIMIT), LIMIT);
    assert_eq!(room(LIMIT + 1, LIMIT), LIMIT + 1);
    assert_eq!(room(LIMIT + 2, LIMIT), LIMIT + 2 + LIMIT / 2 + 1);
    assert_eq!(room(usize::MAX, LIMIT), usize::MAX);
}

#[test]
fn what_is_taken_is_given_back() {
    let budget = MemoryBudget::new(1 << 20);
    let mut share = budget.share(1);
    assert!(try_take(&mut share, 60 << 10));
    assert_eq!(used(&budget), 64 << 10);
    assert!(try_take(&mut share, 62 << 10));
    assert_eq!(used(&budget), 64 << 10);
    assert!(try_take(&mut share, 500 << 10));
    assert_eq!(used(&budget), 512 << 10);
    share.give_back();
    assert_eq!(used(&budget), 0);
    assert!(try_take(&mut share, 500 << 10));
    drop(share);
    assert_eq!(used(&budget), 0);
    assert!(lock(&budget.state).lines.is_empty());
}

#[test]
fn the_first_may_always_go_on() {
    let budget = MemoryBudget::new(1 << 20);
    let (mut first, mut second) = (budget.share(1), budget.share(2));
    assert!(try_take(&mut first, 500 << 10));
    assert!(try_take(&mut second, 500 << 10));
    // The budget is used up, and both need more.
    assert!(!try_take(&mut second, 600 << 10));
    let waits = take_later(&budget, second, 600 << 10);
    assert!(try_take(&mut first, 5 << 20));
    assert!(waits.try_recv().is_err());
    first.give_back();
    let second = waits.recv_timeout(TIMEOUT).unwrap().unwrap();
    assert_eq!(used(&budget), 1 << 20);
    drop(second);
    assert_eq!(used(&budget), 0);
}

#[test]
fn who_waits_is_served_in_order_and_not_passed_for_ever() {
    let budget = MemoryBudget::new(1 << 20);
    let (mut first, mut small) = (budget.share(1), budget.share(3));
    assert!(try_take(&mut first, 1 << 20));
    let large = take_later(&budget, budget.share(2), 2 << 20);
    // It does not fit in at all, but it is the next that will be the first.
    assert!(!try_take(&mut small, 100 << 10));
    first.give_back();
    let large = large.recv_timeout(TIMEOUT).unwrap().unwrap();
    assert!(!try_take(&mut small, 100 << 10));
    drop(large);
    assert!(try_take(&mut small, 100 << 10));
}

#[test]
fn who_stands_still_while_others_wait_is_named() {
    let budget = MemoryBudget::new(1 << 20);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let shares: Vec<Share> = (1..=3)
        .map(|connection| {
            let mut share = budget.share(connection);
            assert!(try_take(&mut share, 200 << 10));
            share
        })
        .collect();
    let [mut slow, _still, mut done] = <[Share; 3]>::try_from(shares).ok().unwrap();
    // Nobody waits: everybody may take any time.
    assert!(budget.stalled(at(0)).is_empty());
    assert!(budget.stalled(at(1000)).is_empty());
    let waits = take_later(&budget, budget.share(4), 800 << 10);
    done.received();
    assert!(budget.stalled(at(1000)).is_empty());
    assert!(budget.stalled(at(1009)).is_empty());
    assert!(try_take(&mut slow, (200 << 10) + PROGRESS));
    assert!(budget.stalled(at(1009)).is_empty());
    // The second has not grown; the third is being carried out; the fourth waits itself.
    assert_eq!(budget.stalled(at(1010)), [2]);
    assert_eq!(budget.stalled(at(1018)), [2]);
    assert_eq!(budget.stalled(at(1019)), [1, 2]);
    drop((slow, _still, done));
    assert!(waits.recv_timeout(TIMEOUT).unwrap().is_some());
}

#[test]
fn a_wait_ends_with_the_server_or_the_connection() {
    let budget = MemoryBudget::new(0);
    let mut first = budget.share(1);
    assert!(try_take(&mut first, 100 << 10));
    let mut gone = budget.share(2);
    let (buffered, line) = chunk(100 << 10);
    assert_eq!(gone.take(buffered, &line, LIMIT, || true), Err(Ended));
    assert_eq!(lock(&budget.state).waiting, 0);
    let waits = take_later(&budget, budget.share(3), 100 << 10);
    budget.close();
    assert!(waits.recv_timeout(TIMEOUT).unwrap().is_none());
}
