//! What is due of the pushes that wait for others.

use super::*;

/// A push of one message, behind the one before it.
fn push(message: i64, followed: bool) -> Push<'static> {
    let message = MessageId::new(message);
    Push {
        previous: message.previous(),
        first: message,
        last: message,
        followed,
        bytes: vec![b'x'; 10].into(),
    }
}

fn early(pushes: impl IntoIterator<Item = Push<'static>>) -> ReorderBuffer {
    let mut early = ReorderBuffer::default();
    for push in pushes {
        assert!(early.add(push));
    }
    early
}

fn due(early: &mut ReorderBuffer, reached: i64) -> Vec<i64> {
    let due = early.take_due(MessageId::new(reached));
    due.iter().map(|push| push.first.number()).collect()
}

#[test]
fn what_is_followed_waits_for_what_follows_it() {
    let mut early = early([push(6, true), push(5, true)]);
    assert!(due(&mut early, 4).is_empty());
    // Of the next COMMIT; that of 7 is complete before it.
    assert!(early.add(push(8, true)));
    assert!(early.add(push(7, false)));
    assert_eq!(due(&mut early, 4), [5, 6, 7]);
    assert_eq!((early.pushes.len(), early.bytes), (1, 10));
}

#[test]
fn nothing_is_due_behind_a_gap() {
    let mut early = early([push(6, false), push(7, false)]);
    assert!(due(&mut early, 4).is_empty());
    assert!(early.add(push(5, true)));
    assert_eq!(due(&mut early, 4), [5, 6, 7]);
}

#[test]
fn what_the_store_has_sent_waits_for_nothing() {
    let mut early = early([push(5, true), push(6, true)]);
    assert_eq!(due(&mut early, 5), [5]);
    let across = Push {
        last: MessageId::new(9),
        ..push(7, true)
    };
    assert!(early.add(across));
    assert_eq!(due(&mut early, 8), [6, 7]);
}

#[test]
fn enough_is_due_whatever_follows() {
    let many = i64::try_from(ENOUGH).unwrap();
    let mut few = early((1..many).map(|message| push(message, true)));
    assert!(due(&mut few, 0).is_empty());
    assert!(few.add(push(many, true)));
    assert_eq!(due(&mut few, 0).len(), ENOUGH);
    let mut large = push(1, true);
    large.bytes = vec![b'x'; ENOUGH_BYTES].into();
    assert_eq!(due(&mut early([large]), 0), [1]);
}

#[test]
fn the_second_sweep_gives_up() {
    let mut early = early([push(6, false)]);
    assert!(!early.is_overdue());
    // Something has gone on.
    assert!(early.add(push(5, false)));
    assert_eq!(due(&mut early, 4), [5, 6]);
    assert!(early.add(push(8, true)));
    assert!(!early.is_overdue());
    assert!(early.is_overdue());
    assert_eq!((early.pushes.len(), early.bytes), (0, 0));
}
