use proptest::prelude::*;

use super::*;

/// A push of one message, behind the one before it.
fn push(message: i64, more_coming: bool) -> Push<'static> {
    Push {
        previous: Some(MessageId::new(message - 1)),
        first: MessageId::new(message),
        last: MessageId::new(message),
        more_coming,
        bytes: vec![b'x'; 10].into(),
    }
}

fn buffer(pushes: impl IntoIterator<Item = Push<'static>>) -> ReorderBuffer {
    let mut buffer = ReorderBuffer::new(PUSHES);
    for push in pushes {
        assert!(buffer.add(push));
    }
    buffer
}

/// First and last message of what is due.
fn due(buffer: &mut ReorderBuffer, cursor: i64) -> Option<(i64, i64)> {
    match buffer.take_due(MessageId::new(cursor)) {
        Due::Nothing => None,
        Due::Push(push) => Some((push.first.number(), push.last.number())),
        Due::Overlap => panic!("an overlap"),
    }
}

#[test]
fn a_push_waits_for_what_is_coming() {
    let mut buffer = buffer([push(6, true), push(5, true)]);
    assert_eq!(due(&mut buffer, 4), None);
    // Of the next COMMIT; that of 7 is complete before it.
    assert!(buffer.add(push(8, true)));
    assert!(buffer.add(push(7, false)));
    assert_eq!(due(&mut buffer, 4), Some((5, 7)));
    assert_eq!((buffer.pushes.len(), buffer.bytes), (1, 10));
}

#[test]
fn what_is_put_back_waits_for_nothing_that_it_holds() {
    let mut buffer = buffer([push(6, false), push(5, true)]);
    let Due::Push(both) = buffer.take_due(MessageId::new(4)) else {
        panic!("nothing is due");
    };
    assert!(buffer.add(both));
    assert_eq!(due(&mut buffer, 4), Some((5, 6)));
}

#[test]
fn nothing_is_due_behind_a_gap() {
    let mut buffer = buffer([push(6, false), push(7, false)]);
    assert_eq!(due(&mut buffer, 4), None);
    assert!(buffer.add(push(5, true)));
    assert_eq!(due(&mut buffer, 4), Some((5, 7)));
}

#[test]
fn what_the_store_has_sent_is_dropped_and_waits_for_nothing() {
    let mut buffer = buffer([push(5, true), push(6, true)]);
    assert_eq!(due(&mut buffer, 5), None);
    assert_eq!((buffer.pushes.len(), buffer.bytes), (1, 10));
    let across = Push {
        last: MessageId::new(9),
        ..push(7, true)
    };
    assert!(buffer.add(across));
    assert!(matches!(buffer.take_due(MessageId::new(8)), Due::Overlap));
}

#[test]
fn enough_is_due_whatever_is_coming() {
    let enough = PUSHES / 4 + 1;
    let many = i64::try_from(enough).unwrap();
    let mut few = buffer((1..many).map(|message| push(message, true)));
    assert_eq!(due(&mut few, 0), None);
    assert!(few.add(push(many, true)));
    assert_eq!(due(&mut few, 0), Some((1, many)));
    let mut large = push(1, true);
    large.bytes = vec![b'x'; ENOUGH_BYTES].into();
    assert_eq!(due(&mut buffer([large]), 0), Some((1, 1)));
}

#[test]
fn too_many_are_refused() {
    let count = i64::try_from(PUSHES).unwrap();
    let mut full = buffer((1..=count).map(|message| push(message, true)));
    assert!(!full.add(push(count + 1, true)));
    let mut large = push(1, true);
    large.bytes = vec![b'x'; BYTES + 1].into();
    assert!(!buffer([]).add(large));
}

#[test]
fn the_second_sweep_finds_what_has_waited() {
    let mut buffer = buffer([push(6, false)]);
    assert!(!buffer.has_waited());
    // Something has gone on.
    assert!(buffer.add(push(5, false)));
    assert_eq!(due(&mut buffer, 4), Some((5, 6)));
    assert!(buffer.add(push(8, true)));
    assert!(!buffer.has_waited());
    assert!(buffer.has_waited());
}

/// Pushes that follow each other, of one to three messages, with the order in which they come.
fn shuffled() -> impl Strategy<Value = (Vec<(i64, bool)>, Vec<usize>)> {
    prop::collection::vec((1..=3_i64, any::<bool>()), 1..PUSHES).prop_flat_map(|pushes| {
        let order = Just((0..pushes.len()).collect::<Vec<_>>()).prop_shuffle();
        (Just(pushes), order)
    })
}

proptest! {
    /// In whatever order they come, each message goes out once, in order; and at last none is left.
    #[test]
    fn each_goes_out_once_in_order((pushes, order) in shuffled()) {
        let mut end = 0;
        let mut all: Vec<_> = pushes
            .into_iter()
            .map(|(length, more_coming)| {
                let previous = end;
                end += length;
                let bytes = (previous + 1..=end).map(|id| id as u8).collect::<Vec<_>>();
                Push {
                    previous: Some(MessageId::new(previous)),
                    first: MessageId::new(previous + 1),
                    last: MessageId::new(end),
                    more_coming,
                    bytes: bytes.into(),
                }
            })
            .map(Some)
            .collect();
        all.last_mut().unwrap().as_mut().unwrap().more_coming = false;
        let mut buffer = ReorderBuffer::new(PUSHES);
        let mut sent = Vec::new();
        for index in order {
            prop_assert!(buffer.add(all[index].take().unwrap()));
            if let Due::Push(push) = buffer.take_due(MessageId::new(sent.len() as i64)) {
                sent.extend_from_slice(&push.bytes);
                prop_assert_eq!(sent.len() as i64, push.last.number());
            }
        }
        let expected: Vec<_> = (1..=end).map(|id| id as u8).collect();
        prop_assert_eq!(sent, expected);
        prop_assert_eq!((buffer.pushes.len(), buffer.bytes), (0, 0));
    }
}
