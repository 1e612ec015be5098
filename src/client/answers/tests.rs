use super::*;

fn asking(requests: &[Request<'_>]) -> Answers<usize> {
    let mut answers = Answers::default();
    for (at, request) in requests.iter().enumerate() {
        answers.expect(request, at);
    }
    answers
}

fn take(answers: &mut Answers<usize>, lines: &str) -> Vec<Incoming<usize>> {
    let lines = lines
        .lines()
        .map(|line| answers.take(line.trim().as_bytes()));
    let taken = lines.map(|taken| taken.expect("in order"));
    taken.filter(|taken| *taken != Incoming::More).collect()
}

#[test]
fn answers_come_in_the_order_of_the_requests_with_pushes_between() {
    let mut answers = asking(&[
        Request::RequestChatList {},
        Request::RequestOwnContactList {},
        Request::RequestContactList {},
        Request::RequestHistory {
            chat: 7,
            before: 0,
            count: 9,
        },
        Request::RequestMedia { media: 1 },
        Request::RequestMedia { media: 2 },
        Request::RequestHistory {
            chat: 8,
            before: 0,
            count: 9,
        },
        Request::Logout {},
    ]);
    let taken = take(
        &mut answers,
        "233 dora\n214 1\n215 7 anna bernd\n216\n220 7 5 hello there\n223 400\n224 0\n226\n228 400\n229 2\n230 anna\n230 carla\n231\n240 400\n241 1\n242 7 4 anna \"look\" 3\n243\n227 400 data:,x\n227 412\n240 409\n213 400",
    );
    let name = |text: &str| text.to_owned();
    let line = HistoryLine {
        chat: 7,
        timestamp: 4,
        user: name("anna"),
        message: name("look"),
        media: Some(3),
    };
    let message = PushPacket::MessageSended {
        chat: 7,
        timestamp: 5,
        message: "hello there".into(),
        media: None,
    };
    use Incoming::{Answer as Is, Push as Pushed};
    let expected = vec![
        Pushed(PushPacket::ConfirmContactAdd {
            user: "dora".into(),
        }),
        Is(
            0,
            ServerAnswer::Chats(vec![(7, name("anna"), name("bernd"))]),
        ),
        Pushed(message),
        Is(1, ServerAnswer::Contacts(Vec::new())),
        Is(2, ServerAnswer::People(vec![name("anna"), name("carla")])),
        Is(3, ServerAnswer::History(vec![line])),
        Is(4, ServerAnswer::Media(name("data:,x"))),
        Is(5, ServerAnswer::Status(Status::MediaNotFound)),
        Is(6, ServerAnswer::Status(Status::ChatPermissionDenied)),
        Is(7, ServerAnswer::Status(Status::Ok)),
    ];
    assert_eq!(taken, expected);
    assert!(answers.waiting().next().is_none());
}

#[test]
fn refusals_answer_the_oldest_request_or_nobody() {
    let mut answers = asking(&[Request::RequestChatList {}, Request::Logout {}]);
    let taken = take(&mut answers, "211 no login\n210\n211 full");
    let expected = vec![
        Incoming::Answer(0, ServerAnswer::Refused(Some("no login".to_owned()))),
        Incoming::Answer(1, ServerAnswer::Unknown),
        Incoming::Unasked(Some("full".to_owned())),
    ];
    assert_eq!(taken, expected);
}

#[test]
fn what_breaks_the_contract_is_noticed() {
    for lines in [
        "219 400",
        "216",
        "213 400\n213 400",
        "215 7 a b",
        "226",
        "227 400",
        "214 x",
        "\u{1b}[2J",
    ] {
        let mut answers = asking(&[Request::Logout {}]);
        let all: Result<Vec<_>, _> = lines
            .lines()
            .map(|line| answers.take(line.as_bytes()))
            .collect();
        assert_eq!(all.err(), Some(OutOfOrder), "{lines:?}");
    }
    for lines in [
        "214 1\n216",
        "214 0\n215 7 a b",
        "214 1\n215 7 a b\n215 8 a b",
        "214 1\n211",
    ] {
        let mut answers = asking(&[Request::RequestChatList {}]);
        let all: Result<Vec<_>, _> = lines
            .lines()
            .map(|line| answers.take(line.as_bytes()))
            .collect();
        assert_eq!(all.err(), Some(OutOfOrder), "{lines:?}");
    }
}

/// A newer server may say more, amid an answer too, and in words of its own.
#[test]
fn what_a_newer_server_pushes_is_left_alone() {
    let mut answers = asking(&[Request::RequestChatList {}]);
    let lines = "999\n214 1\n899 7 \"a\" some\ttext\n215 7 a b\n65535 x\n70000\n216\n1000000";
    let chats = ServerAnswer::Chats(vec![(7, "a".to_owned(), "b".to_owned())]);
    assert_eq!(take(&mut answers, lines), [Incoming::Answer(0, chats)]);
}

#[test]
fn a_lost_connection_gives_the_requests_back() {
    let mut answers = asking(&[Request::RequestChatList {}, Request::Logout {}]);
    assert_eq!(take(&mut answers, "214 5\n215 7 a b"), Vec::new());
    assert_eq!(answers.waiting().copied().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(answers.lost(), [0, 1]);
    answers.expect(&Request::Logout {}, 9);
    let taken = take(&mut answers, "213 400");
    assert_eq!(
        taken,
        [Incoming::Answer(9, ServerAnswer::Status(Status::Ok))]
    );
}
