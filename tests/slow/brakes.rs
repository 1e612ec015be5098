//! What slows down whoever guesses passwords, registers accounts, asks for contacts or sends messages
//! without end; and that nobody else is slowed down by it.

use crate::support::client::{Client, Received, TIMEOUT};
use crate::support::people::{
    PASSWORD, befriend, login_when_free, open_chat, pair, register_and_login,
};
use crate::support::server::TestServer;
use crate::support::system::{RssWatch, open_sockets, wait_for};
use std::time::{Duration, Instant};

/// The first failure's pause; each further one doubles it.
const FIRST: Duration = Duration::from_millis(500);

/// What the third and the fourth failure cost. An answer that is not held back comes long before,
/// however busy the machine is.
const THIRD: Duration = Duration::from_secs(2);
const FOURTH: Duration = Duration::from_secs(4);

/// Asks, and gives how long the answer took.
fn timed(client: &mut Client, line: &str, answer: &str) -> Duration {
    let begin = Instant::now();
    client.send(line);
    client.expect(answer);
    begin.elapsed()
}

fn right(client: &mut Client, name: &str) -> Duration {
    let (line, answer) = (format!("110 {name} {PASSWORD}"), format!("212 400 {name}"));
    timed(client, &line, &answer)
}

fn wrong(client: &mut Client, name: &str) -> Duration {
    let (line, answer) = (
        format!("110 {name} wrong-password"),
        format!("212 406 {name}"),
    );
    timed(client, &line, &answer)
}

/// So many failures of 127.0.0.1 and of a name, side by side since that takes less time.
fn failures(server: &TestServer, count: usize, name: &str) {
    let mut guessers: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    for guesser in &mut guessers {
        guesser.send(&format!("110 {name} wrong-password"));
    }
    for guesser in &mut guessers {
        guesser.expect(&format!("212 406 {name}"));
    }
}

/// The server ends, and nobody has to be cut for it, as those are who hold it up for five seconds.
fn ends_in_order(mut server: TestServer) {
    server.stop();
    let log = server.log().join("\n");
    assert!(!log.contains("connections are cut"), "{log}");
}

#[test]
fn failed_logins_are_answered_ever_later_and_others_at_once() {
    let server = TestServer::with(&["--login-delay", "4"]);
    server.connect().register("hans");
    server.connect().register("maria");
    let mut guesser = Client::connect_from(2, server.addr());
    for pause in [FIRST, 2 * FIRST, THIRD, FOURTH] {
        let took = wrong(&mut guesser, "hans");
        assert!(took >= pause, "answered after {took:?}");
    }
    let line = server.wait_for_log("--login-delay", TIMEOUT);
    assert!(!line.contains("hans") && !line.contains("wrong"), "{line}");

    std::thread::scope(|scope| {
        // It does not go on growing beyond what the option says.
        let held = scope.spawn(|| wrong(&mut guesser, "hans"));
        // The name pays for the address ...
        let addr = server.addr();
        let name = scope.spawn(move || wrong(&mut Client::connect_from(4, addr), "hans"));
        // ... and the address for the name: right or wrong, there it takes its time.
        let address = scope.spawn(move || right(&mut Client::connect_from(2, addr), "maria"));

        // While they wait for their answers, nobody else does, not even at the same address; and
        // the owner gets in from elsewhere, at once.
        let begin = Instant::now();
        Client::connect_from(2, addr).silent();
        let mut owner = Client::connect_from(3, addr);
        right(&mut owner, "hans");
        owner.logout();
        right(&mut owner, "hans");
        let took = begin.elapsed();
        assert!(took < FOURTH, "the others waited {took:?}");

        let held = held.join().expect("a guess");
        assert!(held >= FOURTH && held < 2 * FOURTH, "took {held:?}");
        assert!(name.join().expect("a guess") >= FOURTH);
        assert!(address.join().expect("a login") >= FOURTH);
    });
}

#[test]
fn an_unknown_name_costs_what_a_known_one_costs() {
    let server = TestServer::with(&["--login-delay", "1"]);
    server.connect().register("hans");
    std::thread::scope(|scope| {
        for (host, name) in [(2, "hans"), (3, "nobody"), (4, "no!body")] {
            let addr = server.addr();
            scope.spawn(move || {
                let mut guesser = Client::connect_from(host, addr);
                for pause in [FIRST, 2 * FIRST] {
                    let took = wrong(&mut guesser, name);
                    assert!(took >= pause, "{name}: {took:?}");
                    // How much they differ otherwise is tests/secrets.rs's to tell.
                    assert!(took < pause + FOURTH, "{name}: {took:?}");
                }
            });
        }
    });
}

#[test]
fn an_owner_who_slips_is_forgiven() {
    let server = TestServer::with(&["--login-delay", "4"]);
    let mut owner = server.connect();
    owner.register("hans");
    failures(&server, 3, "hans");
    // As if it were wrong, so that nobody learns anything by hanging up early ...
    assert!(right(&mut owner, "hans") >= FOURTH);
    owner.logout();
    // ... but then it is forgotten.
    let took = right(&mut owner, "hans");
    assert!(took < FOURTH, "took {took:?}");
}

#[test]
fn many_connections_at_once_are_no_way_around() {
    let server = TestServer::with(&["--login-delay", "2"]);
    let mut guessers: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    let begin = Instant::now();
    for (index, guesser) in guessers.iter_mut().enumerate() {
        guesser.send(&format!("110 user{index} wrong-password"));
    }
    let mut early = 0;
    for (index, guesser) in guessers.iter_mut().enumerate() {
        guesser.expect(&format!("212 406 user{index}"));
        early += usize::from(begin.elapsed() < THIRD);
    }
    assert!(early <= 2, "{early} answers came early");
}

/// What was earned before is not held back with it, and what follows keeps its place.
#[test]
fn only_the_answer_itself_is_held_back() {
    let server = TestServer::with(&["--login-delay", "2"]);
    failures(&server, 2, "hans");
    let mut client = server.connect();
    let begin = Instant::now();
    client.send_raw(b"134 before\n110 hans wrong-password\n110 hans wrong-password\n134 after\n");
    client.expect("247 before");
    let before = begin.elapsed();
    assert!(before < THIRD, "answered after {before:?}");
    client.expect("212 406 hans");
    let first = begin.elapsed();
    assert!(first >= THIRD, "answered after {first:?}");
    client.expect("212 406 hans");
    let second = begin.elapsed();
    assert!(second >= 2 * THIRD, "answered after {second:?}");
    client.expect("247 after");
}

#[test]
fn sending_nothing_more_is_no_way_around() {
    let server = TestServer::with(&["--login-delay", "1"]);
    for pause in [FIRST, 2 * FIRST] {
        let mut client = server.connect();
        let begin = Instant::now();
        client.send_raw(b"110 hans wrong-password\n134 after\n");
        client.shutdown_write();
        assert_eq!(client.recv_to_end(), ["212 406 hans", "247 after"]);
        let took = begin.elapsed();
        assert!(took >= pause, "answered after {took:?}");
    }
}

/// Answers that are held back for half a minute end with their connection, and with the server.
#[test]
fn who_is_gone_and_a_server_that_ends_do_not_wait() {
    let server = TestServer::with(&["--login-delay", "30"]);
    let mut guessers: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    for guesser in &mut guessers {
        guesser.silent();
    }
    let sockets = open_sockets(server.pid());
    for guesser in &mut guessers {
        guesser.send("110 hans wrong-password");
    }
    // One of the twelve answers comes after half a second, and then ever fewer: seven of them are
    // held back for more than ten seconds.
    wait_for("the first is answered", TIMEOUT, || {
        let first = |guesser: &mut Client| match guesser.next(Duration::from_millis(20)) {
            Received::Line(line) => Some(line),
            _ => None,
        };
        guessers.iter_mut().find_map(first)
    });
    for guesser in guessers.drain(..8) {
        guesser.reset();
    }
    // Three of these at least are still held back; ten seconds are less than they would be.
    wait_for("eight are gone", Duration::from_secs(10), || {
        (open_sockets(server.pid()) <= sockets - 8).then_some(())
    });
    ends_in_order(server);
}

#[test]
fn the_login_grace_does_not_run_while_an_answer_is_held_back() {
    let server = TestServer::with(&["--login-delay", "4", "--login-grace", "3"]);
    failures(&server, 3, "hans");
    let mut client = server.connect();
    assert!(wrong(&mut client, "hans") >= FOURTH);
    client.silent();
    // But it runs afterwards.
    assert!(client.recv_to_end().is_empty());
}

/// 132 and 133 tell whether a password is right, too.
#[test]
fn other_requests_with_a_password_are_no_way_around() {
    let server = TestServer::with(&["--login-delay", "4"]);
    let mut hans = register_and_login(&server, "hans");
    let mut maria = Client::connect_from(2, server.addr());
    maria.register("maria");
    maria.login("maria");
    let (change, delete) = ("132 wrong-password geheim-54321", "133 wrong-password");
    assert!(timed(&mut hans, change, "245 406") >= FIRST);
    assert!(timed(&mut hans, delete, "246 406") >= 2 * FIRST);
    assert!(timed(&mut hans, delete, "246 406") >= THIRD);
    // The right one takes its time as well, and makes up for all. Pushes go on meanwhile.
    let begin = Instant::now();
    hans.send(&format!("132 {PASSWORD} geheim-54321"));
    maria.send("121 hans");
    maria.expect("232 400");
    hans.expect("233 maria");
    hans.expect("245 400");
    assert!(begin.elapsed() >= FOURTH);
    let took = timed(&mut hans, "133 geheim-54321", "246 400");
    assert!(took < FOURTH, "took {took:?}");
}

#[test]
fn so_many_registrations_from_one_address() {
    let server = TestServer::with(&["--register-rate", "2", "--explain"]);
    let mut client = server.connect();
    client.register("hans");
    for _ in 0..5 {
        client.send(&format!("117 Hans {PASSWORD} hans@example.org m"));
        client.expect("222 403");
        client.send("117 otto short hans@example.org m");
        client.expect("222 402");
    }
    client.register("maria");
    for client in [&mut client, &mut server.connect()] {
        let answer = client.ask(&format!("117 otto {PASSWORD} otto@example.org m"));
        assert!(
            answer.starts_with("211 117 RegisterAccount: too many"),
            "{answer}"
        );
        // What has a status still gets it.
        client.send(&format!("117 maria {PASSWORD} maria@example.org m"));
        client.expect("222 403");
    }
    server.wait_for_log("--register-rate", TIMEOUT);
    client.send(&format!("110 otto {PASSWORD}"));
    client.expect("212 406 otto");
    client.login("maria");
    Client::connect_from(2, server.addr()).register("otto");
}

#[test]
fn so_many_open_contact_requests() {
    let server = TestServer::with(&["--max-requests", "2", "--explain"]);
    let mut hans = register_and_login(&server, "hans");
    let mut others: Vec<Client> = ["otto", "maria", "karl", "paul"]
        .map(|name| register_and_login(&server, name))
        .into();
    hans.send_raw(b"121 otto\n121 maria\n121 karl\n121 maria\n121 nobody\n");
    hans.expect("232 400");
    hans.expect("232 400");
    let answer = hans.recv();
    assert!(
        answer.starts_with("211 121 RequestConfirmContact: too many"),
        "{answer}"
    );
    hans.expect("232 400");
    hans.expect("232 410");
    server.wait_for_log("--max-requests", TIMEOUT);
    others[0].expect("233 hans");
    others[1].expect("233 hans");
    others[2].silent();
    // To agree is not to ask.
    others[3].send("121 hans");
    others[3].expect("232 400");
    hans.expect("233 paul");
    hans.send("121 paul");
    hans.expect("232 400");
    others[3].expect("233 hans");
    let may_ask_one_more = |hans: &mut Client, name: &str| {
        assert_eq!(hans.ask(&format!("121 {name}")), "232 400");
        let over = hans.ask("121 fritz");
        assert!(over.starts_with("211 "), "{over}");
    };
    server.connect().register("fritz");
    // An answer makes room for one, ...
    others[0].send("121 hans");
    others[0].expect("232 400");
    hans.expect("233 otto");
    may_ask_one_more(&mut hans, "karl");
    others[2].expect("233 hans");
    // ... a refusal does, ...
    others[2].send("131 hans");
    others[2].expect("244 400");
    may_ask_one_more(&mut hans, "karl");
    // ... and so does a withdrawal.
    hans.send("131 maria");
    hans.expect("244 400");
    may_ask_one_more(&mut hans, "maria");
}

fn lines(chat: i64, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers
        .map(|number| format!("115 {chat} {number}"))
        .collect()
}

/// Nothing is dropped or put out of order, what was earned comes at once, and others are not slowed.
#[test]
fn who_sends_too_fast_is_read_more_slowly() {
    const RATE: usize = 200;
    const BURST: usize = 10 * RATE;
    const OVER: usize = RATE * 3;
    let server = TestServer::with(&["--rate", &RATE.to_string()]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    let begin = Instant::now();
    let writer = {
        let text = lines(chat, 0..BURST + OVER).join("\n") + "\n";
        let mut stream = hans.writer();
        std::thread::spawn(move || {
            use std::io::Write;
            stream.write_all(text.as_bytes()).expect("all is taken");
        })
    };
    let reader = std::thread::spawn(move || {
        for number in 0..BURST + OVER {
            assert_eq!(maria.recv_push().message, number.to_string());
        }
        maria
    });
    for _ in 0..BURST {
        hans.expect("219 400");
    }
    let burst = begin.elapsed();
    let mut bystander = register_and_login(&server, "otto");
    for _ in 0..OVER {
        hans.expect("219 400");
    }
    let all = begin.elapsed();
    bystander.silent();
    writer.join().expect("the writer failed");
    let mut maria = reader.join().expect("the reader failed");
    println!("the burst took {burst:?}, all of it {all:?}");
    assert!(all >= Duration::from_millis(2500), "read within {all:?}");
    // Ten seconds by the rate.
    assert!(
        burst < Duration::from_secs(5),
        "the burst took {burst:?} of {all:?}"
    );
    server.wait_for_log("--rate", TIMEOUT);
    // It is the connection that is slowed, not the other side of the chat.
    let begin = Instant::now();
    maria.say_all(chat, (0..BURST).map(|number| number.to_string()));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "her burst took {took:?}");
}

/// Who is being read slowly can leave, and the server can end.
#[test]
fn a_slow_reader_notices_the_end() {
    let server = TestServer::with(&["--rate", "1"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.send_lines(&lines(chat, 0..2000));
    for number in 0..10 {
        hans.expect("219 400");
        assert_eq!(maria.recv_push().message, number.to_string());
    }
    hans.reset();
    let mut hans = login_when_free(server.addr(), "hans");
    hans.send_lines(&lines(chat, 0..2000));
    for _ in 0..10 {
        hans.expect("219 400");
    }
    ends_in_order(server);
}

/// A long line of so many bytes of media, without its end.
fn long_line(chat: i64, length: usize) -> Vec<u8> {
    let mut line = format!("115 {chat} data:,").into_bytes();
    line.resize(length, b'x');
    line
}

/// Two pairs and a budget for less than two long lines.
fn two_senders(server: &TestServer) -> [(Client, i64); 2] {
    let mut target = register_and_login(server, "target");
    ["hans", "otto"].map(|name| {
        let mut sender = register_and_login(server, name);
        befriend(&mut sender, &mut target);
        let chat = open_chat(&mut sender, &target);
        (sender, chat)
    })
}

#[test]
fn long_lines_wait_for_room() {
    let server = TestServer::with(&["--max-inflight", "1M"]);
    let [(mut hans, hans_chat), (mut otto, otto_chat)] = two_senders(&server);
    let line = long_line(hans_chat, 900 << 10);
    // He holds room for as much as he has sent, now that it was read: the next long line waits.
    hans.send_raw_and_wait(&line[..800 << 10]);
    let mut writer = otto.writer();
    let text = [&long_line(otto_chat, 900 << 10)[..], b"\n134 after\n"].concat();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        writer.write_all(&text).expect("all is taken");
    });
    server.wait_for_log("--max-inflight is used up", TIMEOUT);
    assert!(matches!(
        otto.next(Duration::from_millis(300)),
        Received::TimedOut
    ));
    // Whoever needs no room is not concerned; and the first one may always go on.
    let mut bystander = register_and_login(&server, "karl");
    bystander.silent();
    hans.send_raw(&line[800 << 10..]);
    hans.send_raw(b"\n");
    hans.expect("219 400");
    otto.expect("219 400");
    otto.expect("247 after");
    writer.join().expect("the writer failed");
    hans.silent();
}

#[test]
fn a_long_line_that_stands_still_holds_nobody_up_for_ever() {
    let server = TestServer::with(&["--max-inflight", "1M"]);
    let [(mut hans, hans_chat), (mut otto, otto_chat)] = two_senders(&server);
    hans.send_raw_and_wait(&long_line(hans_chat, 800 << 10));
    let mut writer = otto.writer();
    let text = [&long_line(otto_chat, 900 << 10)[..], b"\n"].concat();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        writer.write_all(&text).expect("all is taken");
    });
    server.wait_for_log("--max-inflight is used up", TIMEOUT);
    otto.expect("219 400");
    hans.closed();
    writer.join().expect("the writer failed");
    // Its name is free, and nothing of its line was kept.
    let mut hans = login_when_free(server.addr(), "hans");
    hans.send(&format!("130 {hans_chat} 0 1"));
    hans.expect("240 400");
    hans.expect("241 0");
    hans.expect("243");
}

/// A dozen long lines at once cost what the budget and one line cost, not what all of them would.
#[test]
fn long_lines_together_stay_within_the_budget() {
    const LINE: usize = 3 << 20;
    // The budget, a line, and the 8 MB that the store caches while there is much to do.
    const BOUND_KIB: u64 = 22 << 10;
    let server = TestServer::with(&["--max-inflight", "4M"]);
    let mut target = register_and_login(&server, "target");
    let senders: Vec<(Client, i64)> = (0..12)
        .map(|number| {
            let mut sender = register_and_login(&server, &format!("user{number}"));
            befriend(&mut sender, &mut target);
            let chat = open_chat(&mut sender, &target);
            (sender, chat)
        })
        .collect();
    let before = server.rss_kib();
    let watch = RssWatch::start(server.pid());
    std::thread::scope(|scope| {
        for (mut sender, chat) in senders {
            scope.spawn(move || {
                use std::io::Write;
                let mut writer = sender.writer();
                let line = [&long_line(chat, LINE)[..], b"\n"].concat();
                let sending = std::thread::spawn(move || writer.write_all(&line));
                // The last of them waits for all others, each part of whose lines is synced.
                sender.timeout = 10 * TIMEOUT;
                sender.expect("219 400");
                sending.join().expect("a sender").expect("all is taken");
            });
        }
    });
    let grown = watch.highest_kib().saturating_sub(before);
    println!("grown by {grown} KiB at most");
    assert!(grown < BOUND_KIB, "grown by {grown} KiB");
    server.wait_for_log("--max-inflight is used up", TIMEOUT);
}

/// A server that ends does not wait for lines that wait.
#[test]
fn waiting_for_room_ends_with_the_server() {
    let server = TestServer::with(&["--max-inflight", "1M"]);
    let [(mut hans, hans_chat), (mut otto, otto_chat)] = two_senders(&server);
    hans.send_raw_and_wait(&long_line(hans_chat, 800 << 10));
    otto.send_raw_if_open(&long_line(otto_chat, 500 << 10));
    server.wait_for_log("--max-inflight is used up", TIMEOUT);
    ends_in_order(server);
}
