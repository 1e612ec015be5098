//! Clients that follow docs/PROTOCOL.md ("Writing a client") to the letter, behind a proxy that swallows
//! what it has taken and cuts at random places: nothing is lost (promise 2), and nothing is sent twice.
//!
//! `PLAUSCH_CUTS=seconds` makes it longer; `scripts/receive-cuts` is that against a release build.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::support::client::{Client, TIMEOUT};
use crate::support::people::{PASSWORD, befriend, open_chat, register_and_login};
use crate::support::random::Random;
use crate::support::server::TestServer;

/// How long it goes on as a part of `make test`.
const SECONDS: u64 = 15;

/// A connection lasts so long at most.
const CONNECTION: Duration = Duration::from_millis(600);

/// What stands in front of each login, see the page.
const FIRST: &str = "135 0 0\r\n";

/// Passes bytes on until it has enough of a connection: then it takes what comes, drops it, and cuts.
struct Proxy {
    addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cuts: AtomicU32,
    /// Cuts before the first lines were whole.
    before_login: AtomicU32,
    /// Bytes that were taken and dropped.
    swallowed: AtomicU32,
}

impl Proxy {
    fn to(server: SocketAddr, seed: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("its number");
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            let mut random = Random::new(seed);
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else {
                    continue;
                };
                let _ = server.set_nodelay(true);
                let _ = client.set_nodelay(true);
                let plan = Plan::new(&mut random);
                // One after the other: the clients have one connection at a time.
                plan.carry_out(&client, &server, &shared);
            }
        });
        Proxy { addr, state }
    }
}

/// What is passed on of one connection.
struct Plan {
    up: usize,
    down: usize,
    lasts: Duration,
    swallows: Duration,
    reset: bool,
}

impl Plan {
    fn new(random: &mut Random) -> Plan {
        // Often amid the first lines, or right behind them.
        let up = [60, 600, 20_000];
        let down = [300, 4_000, 200_000];
        let (up, down) = (random.pick(&up), random.pick(&down));
        let lasts = random.below(CONNECTION.as_millis() as usize);
        let swallows = random.below(40);
        Plan {
            up: random.below(up),
            down: random.below(down),
            lasts: Duration::from_millis(lasts as u64),
            swallows: Duration::from_millis(swallows as u64),
            reset: random.below(2) == 0,
        }
    }

    fn carry_out(&self, client: &TcpStream, server: &TcpStream, state: &State) {
        let began = Instant::now();
        // When one of the two ways has had enough, neither takes anything any more.
        let enough = AtomicBool::new(false);
        let passed_up = thread::scope(|scope| {
            let down = scope.spawn(|| self.pass(server, client, self.down, began, &enough, state));
            let up = self.pass(client, server, self.up, began, &enough, state);
            down.join().expect("the way down");
            up
        });
        state.cuts.fetch_add(1, Ordering::SeqCst);
        if passed_up < FIRST.len() + "110 bernd ".len() + PASSWORD.len() {
            state.before_login.fetch_add(1, Ordering::SeqCst);
        }
        for stream in [client, server] {
            if self.reset {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            } else {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// One way; how many bytes were passed on. Ends with the cut.
    fn pass(
        &self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        limit: usize,
        began: Instant,
        enough: &AtomicBool,
        state: &State,
    ) -> usize {
        let mut buffer = [0; 4096];
        let mut passed = 0;
        let _ = from.set_read_timeout(Some(Duration::from_millis(2)));
        let mut cut_at = None;
        loop {
            let over = passed >= limit || began.elapsed() >= self.lasts;
            if over || enough.load(Ordering::SeqCst) {
                enough.store(true, Ordering::SeqCst);
                let end = *cut_at.get_or_insert_with(|| Instant::now() + self.swallows);
                if Instant::now() >= end {
                    return passed;
                }
            }
            match from.read(&mut buffer) {
                Ok(0) => {
                    enough.store(true, Ordering::SeqCst);
                    return passed;
                }
                Ok(count) => {
                    let kept = match enough.load(Ordering::SeqCst) {
                        true => 0,
                        false => count.min(limit.saturating_sub(passed)),
                    };
                    if to.write_all(&buffer[..kept]).is_err() {
                        enough.store(true, Ordering::SeqCst);
                        return passed;
                    }
                    passed += kept;
                    state
                        .swallowed
                        .fetch_add((count - kept) as u32, Ordering::SeqCst);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => {
                    enough.store(true, Ordering::SeqCst);
                    return passed;
                }
            }
        }
    }
}

/// The connection is gone, or its login was refused since the one before has not ended yet.
struct Gone;

/// What a client keeps on disk.
#[derive(Default)]
struct Kept {
    last_seen: HashMap<i64, i64>,
    shown: Vec<String>,
    again: u32,
}

/// One connection of a client as the page has it.
struct Connection<'k> {
    reader: BufReader<TcpStream>,
    partial: Vec<u8>,
    kept: &'k mut Kept,
    unconfirmed: Option<(i64, i64)>,
    since: u32,
}

impl<'k> Connection<'k> {
    /// "On a new connection, in one write."
    fn open(addr: SocketAddr, name: &str, kept: &'k mut Kept) -> Result<Connection<'k>, Gone> {
        let stream = TcpStream::connect(addr).map_err(|_| Gone)?;
        // "When nothing has come for a second", a short one here.
        let idle = Duration::from_millis(50);
        stream.set_read_timeout(Some(idle)).map_err(|_| Gone)?;
        let mut connection = Connection {
            reader: BufReader::new(stream),
            partial: Vec::new(),
            kept,
            unconfirmed: None,
            since: 0,
        };
        connection.write(&format!("{FIRST}110 {name} {PASSWORD}\r\n"))?;
        let first = connection.line()?;
        assert_eq!(first, "248 407");
        match connection.reply()? {
            reply if reply == format!("212 400 {name}") => Ok(connection),
            reply => {
                assert_eq!(reply, format!("212 405 {name}"));
                Err(Gone)
            }
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Gone> {
        let stream = self.reader.get_mut();
        stream.write_all(text.as_bytes()).map_err(|_| Gone)
    }

    /// The next line, whatever it is.
    fn line(&mut self) -> Result<String, Gone> {
        loop {
            match self.reader.read_until(b'\n', &mut self.partial) {
                Ok(_) if self.partial.ends_with(b"\r\n") => {
                    let line = std::mem::take(&mut self.partial);
                    let line = String::from_utf8(line).expect("UTF-8");
                    return Ok(line.trim_end().to_owned());
                }
                // A line without its end is none.
                Ok(_) => return Err(Gone),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    self.confirm()?;
                }
                Err(_) => return Err(Gone),
            }
        }
    }

    /// The next line that is neither a push nor the answer to a `135`.
    fn reply(&mut self) -> Result<String, Gone> {
        loop {
            let line = self.line()?;
            if line.starts_with("220 ") {
                self.push(&line)?;
            } else if line.starts_with("248 ") {
                assert_eq!(line, "248 400");
            } else if !line.starts_with("233 ") {
                return Ok(line);
            }
        }
    }

    /// "On 220 (chat, time, message, media)".
    fn push(&mut self, line: &str) -> Result<(), Gone> {
        let mut words = line.splitn(4, ' ').skip(1);
        let mut next = || words.next().expect("a value");
        let (chat, time) = (
            next().parse().expect("a ChatID"),
            next().parse().expect("a time"),
        );
        let message = next();
        let last_seen = self.kept.last_seen.entry(chat).or_insert(0);
        if time > *last_seen {
            self.kept.shown.push(message.to_owned());
            *last_seen = time;
        } else {
            self.kept.again += 1;
        }
        self.unconfirmed = Some((chat, time));
        self.since += 1;
        // "Now and then".
        if self.since >= 5 {
            self.confirm()
        } else {
            Ok(())
        }
    }

    fn confirm(&mut self) -> Result<(), Gone> {
        self.since = 0;
        match self.unconfirmed.take() {
            Some((chat, time)) => self.write(&format!("135 {chat} {time}\r\n")),
            None => Ok(()),
        }
    }
}

/// "Sending surely", for one chat.
#[derive(Default)]
struct Outgoing {
    doubtful: VecDeque<String>,
    base: i64,
    acknowledged: usize,
    sent_again: usize,
    found_kept: usize,
}

impl Outgoing {
    /// "After the next login": which of those without a `219` were kept.
    fn look(&mut self, connection: &mut Connection<'_>, name: &str, chat: i64) -> Result<(), Gone> {
        if self.doubtful.is_empty() {
            return Ok(());
        }
        let (mut own, mut before) = (0, 0);
        loop {
            let page = history(connection, chat, before, 100)?;
            own += page
                .iter()
                .filter(|(time, from)| from == name && *time > self.base)
                .count();
            match page.first() {
                None => break,
                Some((oldest, _)) => before = *oldest,
            }
            if before <= self.base {
                break;
            }
        }
        let kept = own.saturating_sub(self.acknowledged);
        assert!(kept <= self.doubtful.len(), "more were kept than sent");
        self.doubtful.drain(..kept);
        self.acknowledged += kept;
        self.found_kept += kept;
        self.sent_again += self.doubtful.len();
        Ok(())
    }

    /// "Before the first message to a chat on a connection".
    fn take_base(&mut self, connection: &mut Connection<'_>, chat: i64) -> Result<(), Gone> {
        // Only when it has come whole: what is in doubt is counted from the one before.
        let base = history(connection, chat, 0, 1)?;
        self.base = base.first().map_or(0, |(time, _)| *time);
        self.acknowledged = 0;
        Ok(())
    }
}

/// TimeStamps and names of a page of `130`, oldest first.
fn history(
    connection: &mut Connection<'_>,
    chat: i64,
    before: i64,
    count: u32,
) -> Result<Vec<(i64, String)>, Gone> {
    connection.write(&format!("130 {chat} {before} {count}\r\n"))?;
    assert_eq!(connection.reply()?, "240 400");
    assert!(connection.reply()?.starts_with("241 "));
    let mut page = Vec::new();
    loop {
        let line = connection.reply()?;
        if line == "243" {
            return Ok(page);
        }
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], "242", "{line}");
        page.push((words[2].parse().expect("a time"), words[3].to_owned()));
    }
}

/// Sends texts until it is told to stop, then until all are acknowledged; gives all of them.
fn send_surely(
    addr: SocketAddr,
    chat: i64,
    kept: &mut Kept,
    stop: &AtomicBool,
) -> (Vec<String>, Outgoing) {
    let mut random = Random::new(77);
    let mut all = Vec::new();
    let mut outgoing = Outgoing::default();
    let mut done = false;
    let end = Instant::now() + seconds() + TIMEOUT;
    while !done {
        assert!(
            Instant::now() < end,
            "{} are in doubt for ever",
            outgoing.doubtful.len()
        );
        let result = (|| {
            let mut connection = Connection::open(addr, "dora", kept)?;
            outgoing.look(&mut connection, "dora", chat)?;
            outgoing.take_base(&mut connection, chat)?;
            loop {
                while outgoing.doubtful.len() <= random.below(4) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    // Most are equal, so that a look at the texts would say nothing.
                    let text = format!("yes {}", random.below(3));
                    all.push(text.clone());
                    outgoing.doubtful.push_back(text);
                }
                if outgoing.doubtful.is_empty() {
                    done = true;
                    return Ok(());
                }
                let lines: String = outgoing
                    .doubtful
                    .iter()
                    .map(|text| format!("115 {chat} {text}\r\n"))
                    .collect();
                connection.write(&lines)?;
                for _ in 0..outgoing.doubtful.len() {
                    assert_eq!(connection.reply()?, "219 400");
                    outgoing.doubtful.pop_front();
                    outgoing.acknowledged += 1;
                }
                thread::sleep(Duration::from_millis(random.below(20) as u64));
            }
        })();
        let _: Result<(), Gone> = result;
    }
    (all, outgoing)
}

/// Receives until it is told to stop and has what there is.
fn receive_surely(addr: SocketAddr, name: &str, kept: &mut Kept, all: impl Fn(&Kept) -> bool) {
    let end = Instant::now() + seconds() + TIMEOUT;
    while !all(kept) {
        assert!(
            Instant::now() < end,
            "something is missing: {} came",
            kept.shown.len()
        );
        let Ok(mut connection) = Connection::open(addr, name, kept) else {
            continue;
        };
        while !all(connection.kept) && Instant::now() < end {
            let Ok(line) = connection.line() else { break };
            if line.starts_with("220 ") && connection.push(&line).is_err() {
                break;
            }
        }
        let _ = connection.confirm();
    }
}

fn seconds() -> Duration {
    let given = std::env::var("PLAUSCH_CUTS").ok();
    Duration::from_secs(given.and_then(|text| text.parse().ok()).unwrap_or(SECONDS))
}

/// Sends texts, one at a time, until it is told to stop; gives them, and what has come meanwhile.
fn talk(
    client: &mut Client,
    chat: i64,
    text: impl Fn(usize) -> String,
    pause: usize,
    stop: &AtomicBool,
) -> (Vec<String>, Vec<String>) {
    let mut random = Random::new(chat as u64);
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::SeqCst) {
        let text = text(sent.len());
        client.send(&format!("115 {chat} {text}"));
        sent.push(text);
        let lines = client.recv_until("219 400");
        received.extend(lines.iter().filter_map(|line| message(line)));
        thread::sleep(Duration::from_millis(random.below(pause) as u64));
    }
    (sent, received)
}

/// The text of a `220`.
fn message(line: &str) -> Option<String> {
    let text = line.strip_prefix("220 ")?.splitn(3, ' ').nth(2)?;
    Some(text.to_owned())
}

/// Anna sends to Bernd, who is cut off; Dora, who is cut off, sends to Emil, who talks to her.
#[test]
fn who_follows_the_page_loses_nothing() {
    let server = TestServer::start();
    let mut anna = register_and_login(&server, "anna");
    let mut bernd = register_and_login(&server, "bernd");
    befriend(&mut anna, &mut bernd);
    let to_bernd = open_chat(&mut anna, &bernd);
    let mut dora = register_and_login(&server, "dora");
    let mut emil = register_and_login(&server, "emil");
    befriend(&mut dora, &mut emil);
    let to_emil = open_chat(&mut dora, &emil);
    for client in [&mut bernd, &mut dora] {
        client.logout();
    }
    let receiving = Proxy::to(server.addr(), 1);
    let sending = Proxy::to(server.addr(), 2);
    let (mut bernds, mut doras) = (Kept::default(), Kept::default());
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let (annas, sent, outgoing, emils, mut at_emil) = thread::scope(|scope| {
        let anna = scope.spawn(|| talk(&mut anna, to_bernd, |n| format!("number {n}"), 20, &stop));
        let emil = scope.spawn(|| {
            let (sent, received) =
                talk(&mut emil, to_emil, |n| format!("yes {}", n % 3), 100, &stop);
            (sent, received, emil)
        });
        let dora = scope.spawn(|| send_surely(sending.addr, to_emil, &mut doras, &stop));
        let total = Arc::new(AtomicU32::new(u32::MAX));
        let wanted = Arc::clone(&total);
        let bernds = &mut bernds;
        let bernd = scope.spawn(move || {
            receive_surely(receiving.addr, "bernd", bernds, |kept| {
                kept.shown.len() >= wanted.load(Ordering::SeqCst) as usize
            });
            receiving
        });
        thread::sleep(seconds());
        stop.store(true, Ordering::SeqCst);
        let (annas, _) = anna.join().expect("anna");
        // Nor is the last cut the end of what is tried: what is left comes through cuts too.
        total.store(annas.len() as u32, Ordering::SeqCst);
        let receiving = bernd.join().expect("bernd");
        let (sent, outgoing) = dora.join().expect("dora");
        let (emils, at_emil, emil) = emil.join().expect("emil");
        report("receiving", &receiving, began);
        report("sending", &sending, began);
        (annas, sent, outgoing, emils, (at_emil, emil))
    });
    println!(
        "anna sent {}, bernd has shown {}, {} came again; dora sent {}, of which {} were found kept \
         and {} sent again, and has shown {} of {}",
        annas.len(),
        bernds.shown.len(),
        bernds.again,
        sent.len(),
        outgoing.found_kept,
        outgoing.sent_again,
        doras.shown.len(),
        emils.len(),
    );
    assert!(bernds.again > 0 && outgoing.found_kept > 0 && outgoing.sent_again > 0);
    same("bernd", &annas, &bernds.shown);
    // The rest of what Dora sent is on its way to Emil.
    while at_emil.0.len() < sent.len() {
        at_emil.0.push(at_emil.1.recv_push().message);
    }
    at_emil.1.silent();
    same("emil", &sent, &at_emil.0);
    // She may have been away when Emil's last ones were sent.
    let wanted = emils.len();
    receive_surely(sending.addr, "dora", &mut doras, |kept| {
        kept.shown.len() >= wanted
    });
    same("dora", &emils, &doras.shown);
}

fn report(what: &str, proxy: &Proxy, began: Instant) {
    let count = |number: &AtomicU32| number.load(Ordering::SeqCst);
    let (cuts, early) = (count(&proxy.state.cuts), count(&proxy.state.before_login));
    println!(
        "{what}: {cuts} cuts in {:?}, {early} before the login was whole, {} bytes swallowed",
        began.elapsed(),
        count(&proxy.state.swallowed)
    );
    // At least 500 in five minutes.
    assert!(
        u64::from(cuts) >= 2 * seconds().as_secs() && early > 0,
        "too few cuts"
    );
}

/// Once each, in order.
fn same(who: &str, sent: &[String], received: &[String]) {
    let at = sent
        .iter()
        .zip(received)
        .position(|(sent, received)| sent != received);
    assert!(
        sent == received,
        "{who}: {} were sent, {} came; they differ from {at:?} on",
        sent.len(),
        received.len()
    );
}
