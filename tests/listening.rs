//! Where a server listens: both families on `[::]`, addresses that are not there. That an address
//! comes later, and a machine without IPv6, need network namespaces: scripts/net-listen.

use crate::support::client::{Client, TIMEOUT};
use crate::support::server::TestServer;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

/// The port that the log names behind `[::]`, and the line.
fn port_of(server: &TestServer) -> (u16, String) {
    let line = server.wait_for_log("listening on [::]:", TIMEOUT);
    let rest = line.split("listening on [::]:").nth(1).unwrap_or_default();
    let word = rest.split_ascii_whitespace().next().unwrap_or_default();
    (word.parse().expect("a port"), line.clone())
}

/// A port that nobody else gets in either family: it is bound and not listened on, so the server,
/// which asks for the same (SO_REUSEADDR), can have it.
fn reserve() -> Socket {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.set_only_v6(false).expect("IPV6_V6ONLY");
    let any: SocketAddr = "[::]:0".parse().expect("an address");
    socket.bind(&any.into()).expect("bind");
    socket
}

/// A connection from one address of this machine's own to another.
fn between(from: [u8; 4], to: [u8; 4], port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    let from = SocketAddr::from((Ipv4Addr::from(from), 0));
    socket.bind(&from.into()).expect("bind");
    let to = SocketAddr::from((Ipv4Addr::from(to), port));
    socket.connect(&to.into()).expect("connect");
    socket.set_read_timeout(Some(TIMEOUT)).expect("time-out");
    socket.into()
}

fn answer(stream: &mut TcpStream) -> String {
    // One that is turned away may be closed already.
    let _ = stream.write_all(b"134 there\r\n");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

#[test]
fn everywhere_is_both_families() {
    let server = TestServer::with(&["--listen", "[::]:0"]);
    let (port, line) = port_of(&server);
    assert!(line.ends_with(" and IPv4"), "{line}");
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        Client::connect(address.parse().expect("an address")).silent();
    }
}

/// With an address of IPv4 on the same port, each has its own.
#[test]
fn an_address_of_ipv4_beside_everywhere_has_its_own_listener() {
    for beside in ["0.0.0.0", "127.0.0.1"] {
        for order in [false, true] {
            let reserved = reserve();
            let port = reserved.local_addr().expect("local_addr");
            let port = port.as_socket().expect("an address").port();
            let mut both = [format!("{beside}:{port}"), format!("[::]:{port}")];
            if order {
                both.reverse();
            }
            let server = TestServer::with(&["--listen", &both[0], "--listen", &both[1]]);
            let (named, line) = port_of(&server);
            assert_eq!(named, port);
            assert!(!line.contains("IPv4"), "{line}");
            for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
                Client::connect(address.parse().expect("an address")).silent();
            }
        }
    }
}

/// Who comes by IPv4 on `[::]` is one address, and not all of them the one network ::ffff:0:0/64.
#[test]
fn who_comes_by_ipv4_counts_by_the_address() {
    let server = TestServer::with(&["--listen", "[::]:0", "--max-per-ip", "1"]);
    let (port, _) = port_of(&server);
    let mut first = between([127, 0, 0, 2], [127, 0, 0, 1], port);
    assert_eq!(answer(&mut first), "247 there");
    let mut second = between([127, 0, 0, 3], [127, 0, 0, 1], port);
    assert_eq!(answer(&mut second), "247 there");
    let mut surplus = between([127, 0, 0, 2], [127, 0, 0, 1], port);
    assert_eq!(answer(&mut surplus), "211");
    let line = server.wait_for_log("was turned away", TIMEOUT);
    assert!(
        line.contains("127.0.0.2:") && !line.contains("ffff"),
        "{line}"
    );
}

/// 203.0.113.0/24 is nobody's (RFC 5737).
#[test]
fn an_address_that_is_not_there_is_waited_for_beside_one_that_is() {
    let mut server =
        TestServer::with(&["--listen", "203.0.113.1:0", "--listen", "[2001:db8::1]:0"]);
    for absent in ["203.0.113.1:0", "[2001:db8::1]:0"] {
        let line = server.wait_for_log(&format!("cannot listen on {absent} yet"), TIMEOUT);
        assert!(line.contains("WARN"), "{line}");
    }
    server.connect().silent();
    // Those that wait for an address end too.
    server.stop();
    let tries = server
        .log()
        .into_iter()
        .filter(|line| line.contains("203.0.113.1"));
    assert_eq!(tries.count(), 1);
}
