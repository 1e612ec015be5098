//! `--proxy-from`: a proxy says by a header whose a connection is, and from then on that address
//! counts. The proxy of these tests is 127.0.0.9; everybody else of this machine is nobody's proxy.

use std::time::{Duration, Instant};

use crate::support::client::{Client, TIMEOUT};
use crate::support::people::PASSWORD;
use crate::support::server::TestServer;

const PROXY: u8 = 9;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn start(options: &[&str]) -> TestServer {
    let all = [&["--proxy-from", "127.0.0.9", "--explain"], options].concat();
    TestServer::with(&all)
}

fn v1(from: &str) -> Vec<u8> {
    let family = if from.contains(':') { "TCP6" } else { "TCP4" };
    format!("PROXY {family} {from} {from} 40000 4110\r\n").into_bytes()
}

/// With something of the proxy's own behind the addresses.
fn v2(from: [u8; 4]) -> Vec<u8> {
    let body = [
        &from[..],
        &[10, 0, 0, 1, 156, 64, 16, 14],
        &[3, 0, 4, 1, 2, 3, 4],
    ]
    .concat();
    let length = body.len() as u8;
    [V2_SIGNATURE, &[0x21, 0x11, 0, length], &body].concat()
}

/// A connection through the proxy, its header sent.
fn through(server: &TestServer, header: &[u8]) -> Client {
    let mut client = Client::connect_from(PROXY, server.addr());
    client.send_raw(header);
    client
}

fn registration(name: &str) -> String {
    format!("117 {name} {PASSWORD} {name}@example.org x")
}

/// That nothing of a connection was carried out, and that it ended without a word of the server's.
fn ended_without_a_word(mut client: Client, server: &TestServer, name: &str) {
    assert_eq!(client.recv_to_end(), Vec::<String>::new());
    let mut other = server.connect();
    let answer = other.ask(&format!("110 {name} {PASSWORD}"));
    assert_eq!(answer, format!("212 406 {name}"), "an account was made");
}

#[test]
fn the_address_of_the_header_counts() {
    let server = start(&["--max-per-ip", "1", "--register-rate", "1"]);
    let mut anna = through(&server, &v1("192.0.2.7"));
    anna.silent();
    // The same address by each way of saying it, a network of IPv6 as one.
    for header in [v1("192.0.2.7"), v1("::ffff:192.0.2.7"), v2([192, 0, 2, 7])] {
        let mut second = through(&server, &header);
        let lines = second.recv_to_end();
        assert_eq!(lines, ["211 too many connections from this address"]);
    }
    server.wait_for_log("192.0.2.7:40000 was turned away: too many", TIMEOUT);
    let mut bernd = through(&server, &v1("2001:db8::7"));
    bernd.silent();
    let mut neighbour = through(&server, &v1("2001:db8::8"));
    assert_eq!(neighbour.recv_to_end().len(), 1);
    let mut carla = through(&server, &v2([192, 0, 2, 8]));
    carla.silent();

    // Registrations are counted for it too.
    assert_eq!(anna.ask(&registration("anna")), "222 400");
    let again = anna.ask(&registration("anton"));
    assert!(again.starts_with("211 "), "{again}");
    assert_eq!(carla.ask(&registration("carla")), "222 400");
    server.wait_for_log("192.0.2.7", TIMEOUT);

    // Who goes makes room for one of that address.
    anna.close();
    crate::support::system::wait_for("a place of 192.0.2.7", TIMEOUT, || {
        let mut next = through(&server, &v1("192.0.2.7"));
        next.send_raw_if_open(b"134 hello\r\n");
        matches!(next.next(TIMEOUT), crate::support::client::Received::Line(line) if line == "247 hello")
            .then_some(())
    });
    // Nobody else needs a header.
    server.connect().silent();
}

#[test]
fn the_brake_for_failed_logins_is_that_of_the_address() {
    let server = start(&["--login-delay", "2"]);
    let mut guesser = through(&server, &v1("192.0.2.7"));
    let mut other = through(&server, &v1("192.0.2.8"));
    for _ in 0..3 {
        assert_eq!(guesser.ask("110 anna wrong-password"), "212 406 anna");
    }
    // Held back by now for as long as it can be; from elsewhere, half a second.
    let slow = Instant::now();
    assert_eq!(guesser.ask("110 nobody wrong-password"), "212 406 nobody");
    let slow = slow.elapsed();
    let quick = Instant::now();
    assert_eq!(other.ask("110 somebody wrong-password"), "212 406 somebody");
    let quick = quick.elapsed();
    assert!(slow >= Duration::from_secs(2), "{slow:?}");
    assert!(
        quick < slow,
        "{quick:?} from elsewhere, {slow:?} from the guesser"
    );
}

#[test]
fn a_header_may_come_in_pieces_or_with_the_first_lines() {
    let server = start(&[]);
    for header in [
        v1("192.0.2.7"),
        v1("2001:db8::7"),
        v2([192, 0, 2, 7]),
        b"PROXY UNKNOWN\r\n".to_vec(),
    ] {
        let together = [&header[..], b"134 one\r\n134 two\r\n"].concat();
        let mut client = through(&server, &together);
        client.expect("247 one");
        client.expect("247 two");
        let mut client = Client::connect_from(PROXY, server.addr());
        client.socket().set_nodelay(true).expect("no delay");
        for byte in &together {
            client.send_raw_and_wait(std::slice::from_ref(byte));
        }
        client.expect("247 one");
        client.expect("247 two");
    }
}

#[test]
fn without_a_right_header_a_proxy_is_closed() {
    let server = start(&[]);
    for (number, start) in [
        &b""[..],
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
        b"PROXY TCP4 192.0.2.777 10.0.0.1 1 2\r\n",
        b"proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
        b"\r\n",
        &[V2_SIGNATURE, &[0x21, 0x11, 0, 4, 1, 2, 3, 4]].concat(),
        &[V2_SIGNATURE, &[0x21, 0x11, 2, 9], &[7; 600]].concat(),
        &[V2_SIGNATURE, &[0x31, 0x11, 0, 12], &[7; 12]].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("anna{number}");
        let lines = format!("{}\r\n134 x\r\n", registration(&name));
        let client = through(&server, &[start, lines.as_bytes()].concat());
        ended_without_a_word(client, &server, &name);
    }
    // A line of the log for each would be a way to fill it.
    let log = server.log();
    let said = |line: &&String| line.contains("127.0.0.9:") && line.contains("--proxy-from");
    assert_eq!(log.iter().filter(said).count(), 1, "{log:#?}");
    // A probe that says nothing is no complaint, and hurts nobody.
    drop(Client::connect_from(PROXY, server.addr()));
    through(&server, &v1("192.0.2.7")).silent();
}

#[test]
fn from_elsewhere_a_header_is_refused() {
    for options in [&["--proxy-from", "127.0.0.9"][..], &[]] {
        let server = TestServer::with(options);
        for (number, header) in [
            v1("192.0.2.7"),
            v1("2001:db8::7"),
            b"PROXY UNKNOWN\r\n".to_vec(),
            v2([192, 0, 2, 7]),
            [V2_SIGNATURE, &[0x20, 0, 0, 0]].concat(),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("bernd{number}");
            let mut client = server.connect();
            client.send_raw(&header);
            let lines = format!("{}\r\n134 x\r\n", registration(&name));
            client.send_raw_if_open(lines.as_bytes());
            ended_without_a_word(client, &server, &name);
        }
        server.wait_for_log("PROXY", TIMEOUT);
        // Enter alone is no header.
        let mut patient = server.connect();
        patient.send_raw(b"\r\n\r\n");
        patient.silent();
    }
}

#[test]
fn half_a_header_is_given_the_login_grace() {
    let server = start(&["--login-grace", "2"]);
    let begin = Instant::now();
    let silent = Client::connect_from(PROXY, server.addr());
    let half = through(&server, b"PROXY TCP4 192.0.2.7 10.0");
    let half_v2 = through(&server, &V2_SIGNATURE[..7]);
    // What the header took is not given again.
    let mut late = Client::connect_from(PROXY, server.addr());
    while begin.elapsed() < Duration::from_secs(1) {
        std::thread::park_timeout(Duration::from_secs(1).saturating_sub(begin.elapsed()));
    }
    late.send_raw(&v1("192.0.2.7"));
    late.silent();
    for mut client in [silent, half, half_v2, late] {
        assert_eq!(client.recv_to_end(), Vec::<String>::new());
    }
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(10),
        "{took:?}"
    );
    server.wait_for_log("did not log in in time (--login-grace)", TIMEOUT);
}

/// The end does not wait for a header.
#[test]
fn the_server_ends_while_a_header_is_awaited() {
    let mut server = start(&[]);
    let mut waiting: Vec<Client> = (0..5)
        .map(|_| through(&server, b"PROXY TCP4 192"))
        .collect();
    let mut served = through(&server, &v1("192.0.2.7"));
    served.silent();
    let begin = Instant::now();
    server.stop();
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    for client in &mut waiting {
        assert_eq!(client.recv_to_end(), Vec::<String>::new());
    }
    served.closed();
}

#[cfg(feature = "tls")]
mod tls {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use crate::support::certificates::{self, NAMES, Validity, authority, trust};
    use crate::support::client::tcp_from;
    use crate::support::system::TempDir;
    use plausch::tls::client::Stream;

    use super::*;

    fn with_tls(options: &[&str]) -> (TestServer, SocketAddr, TempDir) {
        let directory = TempDir::new();
        let files = certificates::write(directory.path(), authority().sign(NAMES, Validity::Now));
        let own = certificates::options(&files);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let server = start(&[&own[..], options].concat());
        let line = server.wait_for_log(" with TLS", TIMEOUT);
        let address = line.split(' ').find_map(|word| word.parse().ok());
        (server, address.expect("an address"), directory)
    }

    /// A connection of the proxy's to the port with TLS.
    fn raw(to: SocketAddr) -> TcpStream {
        let stream = tcp_from(PROXY, to);
        stream.set_read_timeout(Some(TIMEOUT)).expect("a time-out");
        stream
    }

    #[test]
    fn the_header_comes_before_the_handshake() {
        let (server, address, _files) = with_tls(&["--max-per-ip", "1", "--require-tls"]);
        let mut stream = raw(address);
        stream.write_all(&v1("192.0.2.7")).expect("write");
        let session = Stream::begin(stream, "localhost", trust()).expect("a session");
        (&session)
            .write_all(format!("{}\r\n", registration("anna")).as_bytes())
            .expect("write");
        let mut answer = [0; 9];
        (&session).read_exact(&mut answer).expect("read");
        assert_eq!(&answer, b"222 400\r\n");
        // One too many is told so by an alert.
        let mut second = raw(address);
        second.write_all(&v2([192, 0, 2, 7])).expect("write");
        let mut alert = Vec::new();
        second.read_to_end(&mut alert).expect("read");
        assert_eq!(alert, [21, 3, 3, 0, 2, 2, 80]);
        // Without a header no handshake.
        assert!(Stream::begin(raw(address), "localhost", trust()).is_err());
        server.wait_for_log("it does not begin with a PROXY header", TIMEOUT);
    }

    /// A proxy that has taken TLS away hands on what anybody may have read.
    #[test]
    fn a_proxied_connection_is_of_this_machine_only_from_end_to_end() {
        let (server, _, _files) = with_tls(&["--require-tls"]);
        let local = [V2_SIGNATURE, &[0x20, 0, 0, 0]].concat();
        let socket = [V2_SIGNATURE, &[0x21, 0x31, 0, 216], &[0; 216]].concat();
        for (number, (header, taken)) in [
            (v1("192.0.2.7"), false),
            (v2([192, 0, 2, 7]), false),
            (b"PROXY UNKNOWN\r\n".to_vec(), false),
            (socket, false),
            (v1("127.0.0.1"), true),
            (v1("::1"), true),
            (local, true),
        ]
        .into_iter()
        .enumerate()
        {
            let shown = header.escape_ascii().to_string();
            let mut client = through(&server, &header);
            let answer = client.ask(&registration(&format!("anna{number}")));
            assert_eq!(answer == "222 400", taken, "{shown}: {answer}");
            assert_eq!(
                answer.contains("over TLS only"),
                !taken,
                "{shown}: {answer}"
            );
        }
    }
}
