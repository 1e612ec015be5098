use super::*;

const USER: UserId = UserId::new(7);

fn id(number: i64) -> MessageId {
    MessageId::new(number)
}

fn at(message: i64) -> Position {
    Position {
        message: id(message),
        event: 0,
    }
}

fn position(deliveries: &Deliveries, saved: i64) -> i64 {
    let standing = deliveries.unsaved(USER).on(id(saved), true);
    standing.position.message.number()
}

#[test]
fn a_late_acknowledgement_of_an_earlier_login_does_not_count() {
    let mut deliveries = Deliveries::default();
    let first = deliveries.begin(USER, Some(id(0)));
    deliveries.note_arrived(USER, first, at(3));
    deliveries.end(USER, first, false);
    deliveries.note_arrived(USER, first, at(4));
    assert_eq!(position(&deliveries, 0), 4, "nobody has come since");
    let second = deliveries.begin(USER, Some(id(4)));
    deliveries.note_arrived(USER, second, at(9));
    deliveries.set_back(USER, id(5));
    deliveries.note_arrived(USER, first, at(8));
    assert_eq!(position(&deliveries, 9), 5);
    // Nor does its end, should it be noticed late, end the second.
    deliveries.end(USER, first, true);
    assert!(deliveries.unsaved(USER).on(id(5), true).explicit);
}

#[test]
fn what_was_saved_is_forgotten_and_what_has_come_since_is_not() {
    let mut deliveries = Deliveries::default();
    let login = deliveries.begin(USER, Some(id(2)));
    deliveries.note_arrived(USER, login, at(6));
    let before = deliveries.snapshot();
    assert_eq!(before[0].1.start, Start::Is(id(2)));
    // Taken back while 6 was being saved: 3 replaces it.
    deliveries.set_back(USER, id(3));
    deliveries.saved(&before);
    assert_eq!(position(&deliveries, 6), 3);
    let back = deliveries.snapshot();
    assert!(back[0].1.back && back[0].1.start == Start::Goes);
    // Raised while 3 was being saved: from there on the larger counts.
    deliveries.note(USER, at(4));
    deliveries.saved(&back);
    let last = deliveries.unsaved(USER);
    assert_eq!(
        last,
        Unsaved {
            position: at(4),
            ..Unsaved::default()
        }
    );
    let last = deliveries.snapshot();
    deliveries.saved(&last);
    assert!(deliveries.snapshot().is_empty());
}

#[test]
fn a_plain_login_is_not_taken_for_the_next_one() {
    let mut deliveries = Deliveries::default();
    let login = deliveries.begin(USER, None);
    deliveries.end(USER, login, true);
    assert!(!deliveries.unsaved(USER).on(id(0), true).explicit);
    let saved = deliveries.snapshot();
    deliveries.begin(USER, Some(id(0)));
    deliveries.set_back(USER, id(0));
    deliveries.saved(&saved);
    assert!(deliveries.unsaved(USER).on(id(0), true).explicit);
}
