//! One connection. Every read is timed, and what was said so far is shown when something is
//! missing.

#[cfg(feature = "tls")]
use super::certificates;
use super::link::{Lines, Link, Way};
use super::system::{reset, unread, wait_for};
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long whatever must come may take, unless a test says otherwise. Only a test that fails waits
/// so long, so it is far more than the busiest machine has been seen to need.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// So much of a conversation is kept for the message of a failure.
const KEPT_LINES: usize = 60;
const KEPT_CHARS: usize = 160;

/// Whether the tests that use this speak TLS: those below `over_tls.rs` do wherever they connect, so
/// that the same tests are run once over each.
pub fn wants_tls() -> bool {
    module_path!().contains("::over_tls::")
}

/// How the tests reach a server.
fn way() -> Way {
    #[cfg(feature = "tls")]
    if wants_tls() {
        return Way::Tls(certificates::trust().clone());
    }
    Way::Plain
}

pub struct Client {
    lines: Lines,
    said: VecDeque<String>,
    tokens: u64,
    /// The user name it was registered or logged in under by the helpers of `people`.
    pub user: String,
    pub timeout: Duration,
}

/// What a timed read can bring.
pub enum Received {
    /// A line, without its CR LF.
    Line(String),
    /// The server has closed, or reset, the connection.
    Closed,
    TimedOut,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Received::Line(line) => write!(f, "`{}`", short(line)),
            Received::Closed => f.write_str("the end of the connection"),
            Received::TimedOut => f.write_str("nothing in time"),
        }
    }
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Client {
        match Client::try_connect(addr) {
            Ok(client) => client,
            Err(error) => panic!("cannot connect to {addr}: {error}"),
        }
    }

    pub fn try_connect(addr: SocketAddr) -> std::io::Result<Client> {
        Client::over(TcpStream::connect_timeout(&addr, TIMEOUT)?)
    }

    /// A client with an address of its own, one of those of the loopback network: 127.0.0.`host`.
    pub fn connect_from(host: u8, to: SocketAddr) -> Client {
        Client::over(tcp_from(host, to)).expect("a connection")
    }

    /// A client on a connection that was made in some other way.
    pub fn over(stream: TcpStream) -> std::io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Client::with(Link::over(stream, &way())?))
    }

    /// A client that travels in this.
    pub fn with(stream: Link) -> Client {
        Client {
            lines: Lines::new(stream),
            said: VecDeque::new(),
            tokens: 0,
            user: String::new(),
            timeout: TIMEOUT,
        }
    }

    /// Sends a line, with CR LF as telnet does.
    pub fn send(&mut self, line: &str) {
        self.note('>', line);
        let mut bytes = Vec::with_capacity(line.len() + 2);
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        self.write(&bytes);
    }

    /// Sends bytes as they are, without a line end.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.note('>', &bytes.escape_ascii().to_string());
        self.write(bytes);
    }

    /// Sends bytes and waits until the server has read them all.
    pub fn send_raw_and_wait(&mut self, bytes: &[u8]) {
        self.send_raw(bytes);
        let socket = self.lines.link.socket();
        wait_for("the server has read everything", self.timeout, || {
            (unread(socket) == Some(0)).then_some(())
        });
    }

    /// Sends many lines in one write.
    pub fn send_lines(&mut self, lines: &[String]) {
        let mut bytes = lines.join("\r\n").into_bytes();
        bytes.extend_from_slice(b"\r\n");
        if let Some(last) = lines.last() {
            self.note('>', &format!("({} lines) {last}", lines.len()));
        }
        self.write(&bytes);
    }

    /// Sends bytes where it does not matter whether the server still takes them.
    pub fn send_raw_if_open(&mut self, bytes: &[u8]) -> bool {
        self.lines.link.write_all(bytes).is_ok()
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.lines.link.write_all(bytes) {
            panic!("cannot send: {error}\n{}", self.conversation());
        }
    }

    /// The next line, which must come in time.
    pub fn recv(&mut self) -> String {
        match self.next(self.timeout) {
            Received::Line(line) => line,
            other => panic!("wanted a line, got {other:?}\n{}", self.conversation()),
        }
    }

    /// The next line, which must be this one.
    pub fn expect(&mut self, line: &str) {
        let got = self.recv();
        assert!(
            got == line,
            "wanted `{}`, got `{}`\n{}",
            short(line),
            short(&got),
            self.conversation()
        );
    }

    /// Sends a line and gives the next one that comes.
    pub fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.recv()
    }

    /// The lines up to and including the first that begins with `prefix`.
    pub fn recv_until(&mut self, prefix: &str) -> Vec<String> {
        let mut lines = vec![self.recv()];
        while !lines[lines.len() - 1].starts_with(prefix) {
            lines.push(self.recv());
        }
        lines
    }

    /// The server must close now, and send nothing before.
    pub fn closed(&mut self) {
        match self.next(self.timeout) {
            Received::Closed => {}
            other => panic!("wanted the end, got {other:?}\n{}", self.conversation()),
        }
    }

    /// All lines up to the server's closing of the connection.
    pub fn recv_to_end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.next(self.timeout) {
                Received::Line(line) => lines.push(line),
                Received::Closed => return lines,
                Received::TimedOut => panic!("not closed in time\n{}", self.conversation()),
            }
        }
    }

    /// Proves that nothing waits: the answer to a Ping is the next thing that comes.
    pub fn silent(&mut self) {
        self.tokens += 1;
        let token = format!("silent-{}", self.tokens);
        self.send(&format!("134 {token}"));
        self.expect(&format!("247 {token}"));
    }

    /// Nothing more is sent; the server sees the end of input and still answers.
    pub fn shutdown_write(&mut self) {
        // A connection that the server has just closed is one to which nothing is sent, too.
        let _ = self.lines.link.finish();
    }

    /// Closes in order: sends nothing more, reads to the end. Afterwards the server has let go of
    /// the user name.
    pub fn close(mut self) {
        self.shutdown_write();
        self.recv_to_end();
    }

    /// Drops the connection by a reset, as a program does that crashes with input unread.
    pub fn reset(self) {
        reset(self.lines.link.socket());
    }

    /// A second handle to the same connection, for a thread that only writes.
    pub fn writer(&self) -> Link {
        self.lines.link.clone()
    }

    /// The connection's socket.
    pub fn socket(&self) -> &TcpStream {
        self.lines.link.socket()
    }

    /// What comes next within `timeout`.
    pub fn next(&mut self, timeout: Duration) -> Received {
        let end = Instant::now() + timeout;
        while !self.lines.has_line() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::TimedOut;
            }
            if !self.fill(left) {
                let rest = String::from_utf8_lossy(self.lines.ahead());
                assert!(
                    rest.is_empty(),
                    "the connection ends within a line: `{}`\n{}",
                    short(&rest),
                    self.conversation()
                );
                return Received::Closed;
            }
        }
        let line = self.lines.line().strip_suffix(b"\r\n").map(<[u8]>::to_vec);
        match line.map(String::from_utf8) {
            Some(Ok(text)) if !text.contains('\r') => {
                self.note('<', &text);
                Received::Line(text)
            }
            other => panic!(
                "not a line of UTF-8 with CR LF: {other:?}\n{}",
                self.conversation()
            ),
        }
    }

    /// The next bytes, so many or fewer if no more come; for what is not a line.
    pub fn recv_raw(&mut self, count: usize) -> Vec<u8> {
        let end = Instant::now() + self.timeout;
        while self.lines.ahead().len() < count {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.fill(left) {
                break;
            }
        }
        let count = count.min(self.lines.ahead().len());
        self.lines.take(count).to_vec()
    }

    /// Reads once. False at the end of the connection.
    fn fill(&mut self, timeout: Duration) -> bool {
        // The system rounds down to nothing what is shorter than its clock's tick.
        let timeout = timeout.max(Duration::from_millis(1));
        let set = self.lines.link.socket().set_read_timeout(Some(timeout));
        set.expect("set_read_timeout");
        match self.lines.fill() {
            Ok(read) => read > 0,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => true,
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                    self.lines.take(self.lines.ahead().len());
                    false
                }
                _ => panic!("cannot read: {error}\n{}", self.conversation()),
            },
        }
    }

    fn note(&mut self, direction: char, line: &str) {
        if self.said.len() == KEPT_LINES {
            self.said.pop_front();
        }
        self.said.push_back(format!("{direction} {}", short(line)));
    }

    /// The last of what was said, for the message of a failure.
    pub fn conversation(&self) -> String {
        let said: Vec<&str> = self.said.iter().map(String::as_str).collect();
        format!("--- {} said so far:\n{}", self.user, said.join("\n"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Closing is not enough: a program that another test just starts has a copy of the socket
        // until it runs, and what the server sends meanwhile would be acknowledged.
        if self.lines.link.is_last() {
            let _ = self.lines.link.socket().shutdown(Shutdown::Both);
        }
    }
}

/// A connection with an address of its own, 127.0.0.`host`.
pub fn tcp_from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    let from = SocketAddr::from(([127, 0, 0, host], 0));
    socket.bind(&from.into()).expect("bind");
    socket.connect(&to.into()).expect("connect");
    socket.into()
}

/// A line as a failure shows it: long ones are cut.
pub fn short(line: &str) -> String {
    match line.char_indices().nth(KEPT_CHARS) {
        None => line.to_owned(),
        Some((at, _)) => format!("{}… ({} bytes)", &line[..at], line.len()),
    }
}
