//! Connecting to one of a host's addresses: the next is tried as soon as one fails, or has not
//! answered within a quarter of a second, and the first that answers is taken (RFC 8305). A host
//! whose address of one family leads nowhere costs that quarter of a second. Called in the engine's
//! thread `connector`; each attempt has a thread `dialer`.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long an attempt is alone before the next begins (RFC 8305, section 5).
const ALONE: Duration = Duration::from_millis(250);

/// Connects to the first address that answers within `patience`, or gives the last error.
pub(super) fn dial(addresses: &[SocketAddr], patience: Duration) -> io::Result<TcpStream> {
    let mut waiting = in_turns(addresses).into_iter();
    // An attempt that comes too late finds nobody who listens, and closes what it has.
    let (tell, told) = mpsc::channel();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut under_way = 0_usize;
    let mut next_at = Instant::now();
    loop {
        if (under_way == 0 || next_at <= Instant::now())
            && let Some(address) = waiting.next()
        {
            let tell = tell.clone();
            let attempt = thread::Builder::new()
                .name("dialer".to_owned())
                .spawn(move || {
                    let _ = tell.send(TcpStream::connect_timeout(&address, patience));
                });
            match attempt {
                Ok(_) => under_way += 1,
                Err(error) => last = error,
            }
            next_at = Instant::now() + ALONE;
            continue;
        }
        if under_way == 0 {
            return Err(last);
        }
        let pause = match waiting.len() {
            // Each attempt ends by itself.
            0 => patience + ALONE,
            _ => next_at.saturating_duration_since(Instant::now()),
        };
        match told.recv_timeout(pause) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                last = error;
                under_way -= 1;
                next_at = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(last),
        }
    }
}

/// The addresses in their order, but each followed by one of the other family as long as there is
/// one (RFC 8305, section 4), and each once.
fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let of_family = |same: bool| {
        let is_meant = move |it: &&SocketAddr| (it.is_ipv4() == first.is_ipv4()) == same;
        addresses.iter().filter(is_meant).copied()
    };
    let (mut one, mut other) = (of_family(true), of_family(false));
    let mut all: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            return all;
        }
        for address in pair.into_iter().flatten() {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// An address that takes no more connections and refuses none: its backlog is full.
    struct Dead {
        address: SocketAddr,
        _listener: Socket,
        _waiting: Vec<TcpStream>,
    }

    impl Dead {
        fn new() -> Dead {
            let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
            listener.bind(&any.into()).unwrap();
            listener.listen(0).unwrap();
            let address = listener.local_addr().unwrap().as_socket().unwrap();
            let patience = Duration::from_millis(200);
            let connect = || TcpStream::connect_timeout(&address, patience);
            let waiting: Vec<_> = std::iter::from_fn(|| connect().ok()).take(8).collect();
            assert!(waiting.len() < 8, "it takes more and more");
            Dead {
                address,
                _listener: listener,
                _waiting: waiting,
            }
        }
    }

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn refusing() -> SocketAddr {
        listening().1
    }

    #[test]
    fn an_address_that_is_dead_costs_a_quarter_of_a_second() {
        let (dead, (_listener, alive)) = (Dead::new(), listening());
        let begin = Instant::now();
        let stream = dial(&[dead.address, alive], PATIENCE).unwrap();
        let took = begin.elapsed();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert!(took >= ALONE && took < PATIENCE / 2, "{took:?}");
    }

    #[test]
    fn one_that_refuses_costs_nothing() {
        let (dead, (_listener, alive)) = (Dead::new(), listening());
        let begin = Instant::now();
        let stream = dial(&[refusing(), dead.address, refusing(), alive], PATIENCE).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
    }

    #[test]
    fn the_first_that_answers_is_the_only_one() {
        let ((_one, first), (other, second)) = (listening(), listening());
        let stream = dial(&[first, second], PATIENCE).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), first);
        other.set_nonblocking(true).unwrap();
        let asked = other.accept().expect_err("nobody asks the second");
        assert_eq!(asked.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn without_an_answer_the_reason_is_given() {
        let none = dial(&[], PATIENCE).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
        let refused = dial(&[refusing(), refusing()], PATIENCE).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let dead = Dead::new();
        let late = dial(&[dead.address], Duration::from_millis(300)).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn families_take_turns() {
        let of = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let given = of(&[
            "[::1]:1",
            "[::2]:1",
            "[::1]:1",
            "[::3]:1",
            "1.1.1.1:1",
            "1.1.1.2:1",
        ]);
        let wanted = of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(in_turns(&given), wanted);
        assert_eq!(in_turns(&of(&["1.1.1.1:1"])), of(&["1.1.1.1:1"]));
    }
}
