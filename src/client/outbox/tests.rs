use super::*;
use proptest::prelude::*;

fn message(chat: i64, text: &str) -> OutgoingMessage {
    OutgoingMessage {
        chat,
        to: "bernd".to_owned(),
        text: text.to_owned(),
        media: None,
    }
}

fn texts(messages: &[OutgoingMessage]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.text.as_str())
        .collect()
}

/// Takes all steps that send; a base that is asked for is `newest`.
fn send_all(outbox: &mut ClientOutbox, newest: i64) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(step) = outbox.next_step() {
        match step {
            OutboxStep::AskBase(chat) => outbox.based(chat, newest),
            OutboxStep::Send(message) => sent.push(message.text),
        }
    }
    sent
}

/// Whoever is logged out gets 407 for all that is in flight: none of it was stored.
#[test]
fn what_is_in_flight_while_the_login_ends_waits_again_in_its_place() {
    let mut outbox = ClientOutbox::default();
    for text in ["kept", "one", "two"] {
        outbox.push(message(7, text));
    }
    assert_eq!(send_all(&mut outbox, 100), ["kept", "one", "two"]);
    outbox.answered(true);
    outbox.push(message(7, "three"));
    outbox.logged_out();
    outbox.lost();
    assert_eq!(outbox.unconfirmed(), []);
    assert_eq!(send_all(&mut outbox, 101), ["one", "two", "three"]);
}

#[test]
fn a_chat_is_looked_at_before_its_first_message_and_messages_stay_in_order() {
    let mut outbox = ClientOutbox::default();
    for text in ["one", "two"] {
        outbox.push(message(7, text));
    }
    assert_eq!(outbox.next_step(), Some(OutboxStep::AskBase(7)));
    assert_eq!(outbox.next_step(), None);
    outbox.based(7, 100);
    for text in ["one", "two"] {
        let step = OutboxStep::Send(message(7, text));
        assert_eq!(outbox.next_step(), Some(step));
    }
    assert_eq!(outbox.answered(true), Some(message(7, "one")));
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox.answered(false), Some(message(7, "two")));
    assert!(outbox.is_empty());
    assert_eq!(outbox.answered(true), None);
}

#[test]
fn equal_texts_are_counted() {
    let mut outbox = ClientOutbox::default();
    for _ in 0..4 {
        outbox.push(message(7, "ok"));
    }
    send_all(&mut outbox, 100);
    outbox.answered(true);
    outbox.lost();
    let chat = UnconfirmedChat {
        chat: 7,
        base: 100,
        likely: 4,
    };
    assert_eq!(outbox.unconfirmed(), [chat]);
    assert_eq!(outbox.next_step(), None);
    // One acknowledged and one unconfirmed were stored.
    let kept = outbox.resolve(7, &[("ok", false), ("ok", false)], 120);
    assert_eq!(texts(&kept), ["ok"]);
    assert_eq!(send_all(&mut outbox, 0), ["ok", "ok"]);
    assert_eq!(outbox.unconfirmed(), []);
}

#[test]
fn what_was_not_kept_goes_before_what_was_typed_since() {
    let mut outbox = ClientOutbox::default();
    for (chat, text) in [(7, "a"), (8, "b"), (7, "c"), (7, "d")] {
        outbox.push(message(chat, text));
    }
    send_all(&mut outbox, 5);
    outbox.lost();
    outbox.push(message(7, "e"));
    // The refusal of "c" was lost too; "d" was kept.
    assert_eq!(
        texts(&outbox.resolve(7, &[("a", false), ("d", false)], 9)),
        ["a", "d"]
    );
    assert_eq!(outbox.next_step(), None);
    assert_eq!(texts(&outbox.resolve(8, &[], 9)), Vec::<&str>::new());
    assert_eq!(send_all(&mut outbox, 9), ["b", "c", "e"]);
}

#[test]
fn media_and_text_are_not_taken_for_each_other() {
    let mut outbox = ClientOutbox::default();
    let mut picture = message(7, "look");
    picture.media = Some(Attachment {
        uri: "data:,x".into(),
        name: "x".to_owned(),
    });
    outbox.push(picture);
    send_all(&mut outbox, 0);
    outbox.lost();
    assert_eq!(outbox.resolve(7, &[("look", false)], 9), []);
    send_all(&mut outbox, 0);
    outbox.lost();
    assert_eq!(texts(&outbox.resolve(7, &[("look", true)], 10)), ["look"]);
}

#[test]
fn a_loss_while_a_newer_base_is_asked_for_keeps_the_old_one() {
    let mut outbox = ClientOutbox::default();
    for _ in 0..=BASE_LASTS {
        outbox.push(message(7, "x"));
    }
    send_all(&mut outbox, 3);
    for _ in 0..BASE_LASTS {
        outbox.answered(true);
    }
    outbox.push(message(7, "y"));
    assert_eq!(outbox.next_step(), Some(OutboxStep::AskBase(7)));
    assert_eq!(outbox.next_step(), None);
    outbox.lost();
    let [chat] = outbox.unconfirmed()[..] else {
        panic!("one chat")
    };
    assert_eq!((chat.base, chat.likely), (3, BASE_LASTS + 1));
}

#[test]
fn a_loss_with_nothing_unconfirmed_forgets_the_bases() {
    let mut outbox = ClientOutbox::default();
    outbox.push(message(7, "x"));
    send_all(&mut outbox, 3);
    outbox.answered(true);
    outbox.lost();
    outbox.push(message(7, "y"));
    assert_eq!(outbox.next_step(), Some(OutboxStep::AskBase(7)));
    // Lost again before the answer: asked again.
    outbox.lost();
    assert_eq!(outbox.next_step(), Some(OutboxStep::AskBase(7)));
}

#[test]
fn a_chat_that_is_gone_gives_its_messages_back() {
    let mut outbox = ClientOutbox::default();
    for (chat, text) in [(7, "a"), (8, "b"), (7, "c")] {
        outbox.push(message(chat, text));
    }
    assert_eq!(texts(&outbox.baseless(7)), ["a", "c"]);
    send_all(&mut outbox, 0);
    outbox.lost();
    assert_eq!(texts(&outbox.unresolvable(8)), ["b"]);
    assert!(outbox.is_empty());
    outbox.push(message(7, "d"));
    let (unconfirmed, unsent) = outbox.give_up();
    assert_eq!((texts(&unconfirmed), texts(&unsent)), (vec![], vec!["d"]));
}

/// A server that takes a connection's messages in order until it is cut.
#[derive(Default)]
struct FakeServer {
    kept: Vec<(i64, String)>,
}

proptest! {
    /// Whatever is typed, acknowledged and cut: each message is kept once, in the order typed.
    #[test]
    fn nothing_is_lost_or_doubled(
        rounds in prop::collection::vec(
            (prop::collection::vec(0..2_u8, 0..6), 0..8_usize, 0..8_usize), 1..8)
    ) {
        let mut outbox = ClientOutbox::default();
        let mut server = FakeServer::default();
        let mut typed = Vec::new();
        let last = rounds.len() - 1;
        for (at, (messages, taken, acknowledged)) in rounds.into_iter().enumerate() {
            for chat in outbox.unconfirmed() {
                let own: Vec<(&str, bool)> = server.kept.iter()
                    .filter(|(timestamp, _)| *timestamp > chat.base)
                    .map(|(_, text)| (text.as_str(), false)).collect();
                outbox.resolve(chat.chat, &own, server.kept.len() as i64);
            }
            for text in messages {
                // Few texts, so that many are equal.
                typed.push(text.to_string());
                outbox.push(message(7, &text.to_string()));
            }
            let (mut taken, mut acknowledged) = (taken, acknowledged);
            if at == last {
                (taken, acknowledged) = (usize::MAX, usize::MAX);
            }
            while let Some(step) = outbox.next_step() {
                match step {
                    OutboxStep::AskBase(chat) => outbox.based(chat, server.kept.len() as i64),
                    OutboxStep::Send(message) => {
                        if taken == 0 {
                            continue;
                        }
                        taken -= 1;
                        server.kept.push((server.kept.len() as i64 + 1, message.text));
                        if acknowledged > 0 {
                            acknowledged -= 1;
                            outbox.answered(true);
                        }
                    }
                }
            }
            if at < last {
                outbox.lost();
            }
        }
        let kept: Vec<String> = server.kept.into_iter().map(|(_, text)| text).collect();
        prop_assert_eq!(kept, typed);
        prop_assert!(outbox.is_empty());
    }
}
