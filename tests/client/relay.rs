//! A network that loses what one wants it to lose.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

#[derive(Default)]
struct State {
    drop_requests: AtomicBool,
    drop_replies: AtomicBool,
    hold_requests: Mutex<bool>,
    let_go: Condvar,
    /// Cuts at the first `115`: before it (1), or after the server has answered it (2).
    trap: AtomicU8,
    streams: Mutex<Vec<TcpStream>>,
    closed: AtomicBool,
}

impl State {
    fn cut(&self) {
        // Held to the end: a new connection has to wait until nothing is dropped any more.
        let mut streams = self.streams.lock().expect("streams");
        for stream in streams.drain(..) {
            // One side may have gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.drop_requests.store(false, Ordering::SeqCst);
        self.drop_replies.store(false, Ordering::SeqCst);
    }

    /// Waits while requests are to wait.
    fn wait_while_held(&self) {
        let held = self.hold_requests.lock().expect("hold");
        drop(self.let_go.wait_while(held, |held| *held).expect("hold"));
    }

    fn hold_requests(&self, hold: bool) {
        *self.hold_requests.lock().expect("hold") = hold;
        self.let_go.notify_all();
    }

    /// Whether this is what the trap was set for. It catches once.
    fn springs(&self, start: &str, set: u8, bytes: &[u8]) -> bool {
        let mut lines = bytes.split(|&byte| byte == b'\n');
        lines.any(|line| line.starts_with(start.as_bytes()))
            && self
                .trap
                .compare_exchange(set, 0, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }
}

/// Stands between a client and a server, both of which keep their addresses.
pub struct Relay {
    addr: SocketAddr,
    state: Arc<State>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("its number");
        let state = Arc::<State>::default();
        let relay = Relay {
            addr,
            state: Arc::clone(&state),
        };
        thread::spawn(move || {
            for client in listener.incoming() {
                if state.closed.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else {
                    continue;
                };
                let mut streams = state.streams.lock().expect("streams");
                let clone = |stream: &TcpStream| stream.try_clone().expect("a clone");
                streams.extend([clone(&client), clone(&server)]);
                let (from, to) = (clone(&client), clone(&server));
                let requests = Arc::clone(&state);
                thread::spawn(move || pump(from, to, |state| &state.drop_requests, &requests));
                let replies = Arc::clone(&state);
                thread::spawn(move || pump(server, client, |state| &state.drop_replies, &replies));
            }
        });
        relay
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on what the client sends is swallowed.
    pub fn drop_requests(&self) {
        self.state.drop_requests.store(true, Ordering::SeqCst);
    }

    /// From now on what the server sends is swallowed.
    pub fn drop_replies(&self) {
        self.state.drop_replies.store(true, Ordering::SeqCst);
    }

    /// Whether what the client sends is to wait.
    pub fn hold_requests(&self, hold: bool) {
        self.state.hold_requests(hold);
    }

    /// Cuts all connections at the first message: before the server sees it, or (`kept`) in place
    /// of its acknowledgement.
    pub fn at_first_message(&self, kept: bool) {
        self.state
            .trap
            .store(if kept { 2 } else { 1 }, Ordering::SeqCst);
    }

    /// Cuts all connections. New ones work.
    pub fn cut(&self) {
        self.state.cut();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        self.state.hold_requests(false);
        self.cut();
        // Wakes the listener up.
        let _ = TcpStream::connect(self.addr);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, drops: fn(&State) -> &AtomicBool, state: &State) {
    let mut buffer = [0; 16 * 1024];
    let is_request = std::ptr::eq(drops(state), &state.drop_requests);
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if is_request {
            state.wait_while_held();
        }
        let bytes = &buffer[..read];
        let (start, set) = if is_request { ("115 ", 1) } else { ("219 ", 2) };
        if state.springs(start, set, bytes) {
            state.cut();
            return;
        }
        if !drops(state).load(Ordering::SeqCst) && to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
