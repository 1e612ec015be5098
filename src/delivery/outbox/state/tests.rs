use super::*;
use crate::delivery::outbox::reorder::PUSHES;

/// A login that has begun, with nothing waiting and all up to `cursor` sent.
fn live(cursor: i64) -> OutboxState {
    let mut state = OutboxState::new(PUSHES);
    state.begin(MessageId::new(cursor), 0, false);
    assert_eq!(state.action(), Action::Nothing);
    state
}

fn push(message: i64) -> Push<'static> {
    Push {
        previous: Some(MessageId::new(message - 1)),
        first: MessageId::new(message),
        last: MessageId::new(message),
        more_coming: false,
        bytes: b"220\r\n".as_slice().into(),
    }
}

/// First and last message of what is to be written directly.
fn ids(way: Way<'_>) -> Option<(i64, i64)> {
    match way {
        Way::Direct(push) => Some((push.first.number(), push.last.number())),
        Way::Thread(_) | Way::Kept => None,
    }
}

/// First and last message of what is to be written next.
fn next(push: Option<Push<'_>>) -> Option<(i64, i64)> {
    ids(push.map_or(Way::Kept, Way::Direct))
}

/// The push that is to be written directly.
fn direct(way: Way<'_>) -> Push<'_> {
    match way {
        Way::Direct(push) => push,
        Way::Thread(_) | Way::Kept => panic!("not to be written directly"),
    }
}

/// Lets a push go through the channel.
fn hand(state: &mut OutboxState, way: Way<'_>) {
    match way {
        Way::Thread(push) => {
            state.queued();
            state.received(push.into_owned());
        }
        Way::Direct(_) | Way::Kept => panic!("not for the thread"),
    }
}

/// The messages that the catch-up thread is to write.
fn work(state: &mut OutboxState) -> (i64, i64, Moment) {
    match state.take_work() {
        Work::Write(push, moment) => (push.first.number(), push.last.number(), moment),
        _ => panic!("nothing to write"),
    }
}

fn todo(state: &mut OutboxState) -> Todo {
    match state.take_work() {
        Work::Read(todo) => todo,
        _ => panic!("nothing to read"),
    }
}

#[test]
fn a_push_that_follows_is_written_directly_and_takes_along_what_came_meanwhile() {
    let mut state = live(4);
    let first = state.offer(push(5));
    assert_eq!(ids(first), Some((5, 5)));
    assert_eq!(ids(state.recheck(push(5))), Some((5, 5)));
    // Another session, while the first one writes.
    assert_eq!(ids(state.offer(push(7))), None);
    assert_eq!(ids(state.offer(push(6))), None);
    assert_eq!(state.action(), Action::Nothing);
    assert_eq!(
        next(state.written(MessageId::new(5), Written::All)),
        Some((6, 7))
    );
    assert_eq!(next(state.written(MessageId::new(7), Written::All)), None);
    assert_eq!(state.moment().cursor, MessageId::new(7));
    assert_eq!(state.action(), Action::Nothing);
}

#[test]
fn behind_a_gap_it_waits_and_the_second_sweep_gives_up() {
    let mut state = live(4);
    assert_eq!(ids(state.offer(push(6))), None);
    assert_eq!(state.action(), Action::Sweep);
    assert_eq!(state.action(), Action::Nothing);
    state.sweep();
    assert_eq!(state.action(), Action::Sweep);
    state.sweep();
    assert_eq!(state.action(), Action::StartThread);
    state.started();
    assert!(todo(&mut state).backlog);
}

#[test]
fn what_cannot_be_written_at_once_goes_through_the_channel() {
    let mut state = live(4);
    let first = direct(state.offer(push(5)));
    let first = state.hand_over(first);
    assert_eq!(state.action(), Action::StartThread);
    state.started();
    hand(&mut state, first);
    let second = state.offer(push(6));
    hand(&mut state, second);
    let (first, last, moment) = work(&mut state);
    assert_eq!((first, last), (5, 6));
    assert_eq!(state.permit(Some(moment)), Permit::Granted);
    state.sent(MessageId::new(6));
    assert!(matches!(state.take_work(), Work::Rest));
    state.rest();
    assert_eq!(state.action(), Action::Nothing);
    assert_eq!(ids(state.offer(push(7))), Some((7, 7)));
    assert!(state.written(MessageId::new(7), Written::Stuck).is_none());
    assert_eq!(state.action(), Action::WakeThread);
    state.wake_up();
    assert!(todo(&mut state).flush);
}

#[test]
fn a_full_channel_is_the_stores_matter() {
    let mut state = live(4);
    let first = direct(state.offer(push(5)));
    let first = state.hand_over(first);
    assert_eq!(state.action(), Action::StartThread);
    state.started();
    hand(&mut state, first);
    let Way::Thread(second) = state.offer(push(6)) else {
        panic!("not for the thread");
    };
    state.not_queued(second.bytes.len());
    assert!(matches!(state.offer(push(7)), Way::Kept));
    assert!(todo(&mut state).backlog);
}

#[test]
fn what_was_queued_before_a_deletion_is_not_sent() {
    let mut state = live(4);
    let first = direct(state.offer(push(5)));
    let Way::Thread(first) = state.hand_over(first) else {
        panic!("not for the thread");
    };
    state.started();
    state.queued();
    state.start_over();
    state.received(first);
    assert!(todo(&mut state).backlog);
    assert!(matches!(state.take_work(), Work::Rest));
}

#[test]
fn contact_events_come_before_the_messages_behind_them() {
    let mut state = live(4);
    state.note_events();
    assert_eq!(state.action(), Action::StartThread);
    state.started();
    let first = state.offer(push(5));
    hand(&mut state, first);
    assert_eq!(todo(&mut state).events, Events::New);
    let second = state.offer(push(6));
    hand(&mut state, second);
    assert_eq!(state.unwritten(), Some(MessageId::new(4)));
    let (first, last, _) = work(&mut state);
    assert_eq!((first, last), (5, 6));
}

#[test]
fn nothing_of_an_earlier_generation_goes_out() {
    let mut state = live(4);
    let first = direct(state.offer(push(5)));
    let moment = state.moment();
    state.start_over();
    assert_eq!(state.permit(Some(moment)), Permit::Stale);
    assert_eq!(ids(state.recheck(first)), None);
    assert_eq!(ids(state.offer(push(6))), None);
    assert_eq!(state.action(), Action::StartThread);
    state.started();
    let todo = todo(&mut state);
    assert!(todo.backlog);
    // The store does not answer, and everything stays to be done.
    assert_eq!(state.fail(todo), Action::Sweep);
    assert_eq!(state.action(), Action::StartThread);
}

#[test]
fn before_the_login_and_after_its_end_nothing_goes_out() {
    let mut state = OutboxState::new(PUSHES);
    assert_eq!(ids(state.offer(push(5))), None);
    assert_eq!(state.action(), Action::Nothing);
    assert_eq!(state.permit(None), Permit::Closed);
    state.begin(MessageId::new(4), 0, false);
    assert_eq!(state.action(), Action::StartThread);
    state.end();
    assert_eq!(ids(state.offer(push(6))), None);
    assert_eq!(state.action(), Action::Nothing);
    assert!(matches!(state.take_work(), Work::Closed));
    state.begin(MessageId::new(4), 0, true);
    assert_eq!(state.permit(None), Permit::Closed);
}

#[test]
fn without_a_thread_the_store_keeps_what_waits() {
    let mut state = live(4);
    let first = direct(state.offer(push(5)));
    let Way::Thread(first) = state.hand_over(first) else {
        panic!("not for the thread");
    };
    state.starve();
    state.not_queued(first.bytes.len());
    assert_eq!(ids(state.offer(push(6))), None);
    assert_eq!(state.action(), Action::Nothing);
    assert!(state.needs_thread());
    state.retry();
    assert_eq!(state.action(), Action::StartThread);
}
