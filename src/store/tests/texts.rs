//! Text that waits to be received.

use super::*;
use crate::ids::Position;
use crate::store::commit::text_quota;

fn bytes(store: &Store, user: UserId) -> u64 {
    let waiting = store.read(|view| text_quota::waiting(view, user, |user| store.sent(user)));
    waiting.unwrap().bytes
}

#[test]
fn text_waits_until_it_is_received_wherever_it_is_listed() {
    let mut scratch = Scratch::new();
    let (a, b, chat) = pair(&scratch);
    let kept = |store: &Store, from, body: &str| match send(store, from, chat, body).unwrap() {
        Sent::Kept(kept) => kept.id,
        other => panic!("{other:?}"),
    };
    // Bytes, not characters, and of the sender alone.
    let message = kept(&scratch, a, "äöü");
    kept(&scratch, a, "12345");
    kept(&scratch, b, "1");
    assert_eq!((bytes(&scratch, a), bytes(&scratch, b)), (11, 1));
    // From the index as well as from the tail, and from both.
    scratch.reopen();
    assert_eq!((bytes(&scratch, a), bytes(&scratch, b)), (11, 1));
    kept(&scratch, a, "12");
    assert_eq!(bytes(&scratch, a), 13);
    // What was written to a connection is on its way; what has arrived stays so.
    scratch.note_sent(b, message);
    assert_eq!(bytes(&scratch, a), 7);
    scratch.note_delivered(b, Position { message, event: 0 });
    scratch.reopen();
    assert_eq!(bytes(&scratch, a), 7);
    // What the recipient has deleted waits no more; what comes after does.
    done(&scratch, move |tx| chats::delete(tx, b, chat));
    assert_eq!(bytes(&scratch, a), 0);
    kept(&scratch, a, "again");
    assert_eq!(bytes(&scratch, a), 5);
}
