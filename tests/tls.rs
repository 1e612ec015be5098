//! TLS itself: certificates, handshakes that go wrong, who is let in where. What is said over it is
//! tested by `over_tls.rs`.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;

use crate::support::certificates::{self, Authority, NAMES, Validity, authority, trust, trust_in};
use crate::support::client::{Client, TIMEOUT};
use crate::support::link::Link;
use crate::support::people::{PASSWORD, pair, register_and_login};
use crate::support::server::{TestServer, program, refuses, signal};
use crate::support::system::TempDir;
use plausch::tls::client::{ConnectError, Stream, Trust};

/// A server with a plain port and one with TLS, and the files of its certificate.
struct Both {
    server: TestServer,
    tls: SocketAddr,
    files: (std::path::PathBuf, std::path::PathBuf),
    _directory: TempDir,
}

impl Both {
    fn start(options: &[&str]) -> Both {
        Both::with(authority().sign(NAMES, Validity::Now), options)
    }

    fn with(signed: (String, String), options: &[&str]) -> Both {
        let directory = TempDir::new();
        let files = certificates::write(directory.path(), signed);
        let tls = certificates::options(&files);
        let all: Vec<&str> = tls
            .iter()
            .map(String::as_str)
            .chain(options.iter().copied())
            .collect();
        let server = TestServer::with(&all);
        let line = server.wait_for_log(" with TLS", TIMEOUT);
        let words: Vec<&str> = line.split(' ').collect();
        let addr = words.iter().find_map(|word| word.parse().ok());
        Both {
            server,
            tls: addr.expect("an address"),
            files,
            _directory: directory,
        }
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.tls).expect("connect");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a time-out");
        stream.set_write_timeout(Some(TIMEOUT)).expect("a time-out");
        stream
    }

    fn begin(&self, name: &str, trust: &Trust) -> Result<Stream, ConnectError> {
        Stream::begin(self.tcp(), name, trust)
    }

    fn connect(&self) -> Client {
        match self.begin("127.0.0.1", trust()) {
            Ok(stream) => Client::with(Link::Tls(Arc::new(stream))),
            Err(error) => panic!("{error}"),
        }
    }
}

fn refusal(both: &Both, name: &str, trust: &Trust) -> String {
    match both.begin(name, trust) {
        Ok(_) => panic!("it was taken for {name}"),
        Err(error) => error.to_string(),
    }
}

/// Reads until the server closes; a reset counts.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    if let Err(error) = end {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    bytes
}

#[test]
fn plain_and_tls_talk_to_each_other() {
    let both = Both::start(&[]);
    let mut anna = both.connect();
    anna.register("anna");
    anna.login("anna");
    let mut bernd = register_and_login(&both.server, "bernd");
    crate::support::people::befriend(&mut anna, &mut bernd);
    let chat = crate::support::people::open_chat(&mut anna, &bernd);
    anna.say(chat, "sealed");
    assert_eq!(bernd.recv_push().message, "sealed");
    bernd.say(chat, "plain");
    assert_eq!(anna.recv_push().message, "plain");
    // More than a record holds, both ways.
    let media = format!("data:,{}", "x".repeat(300_000));
    anna.send(&format!("115 {chat} \"big\" {media}"));
    anna.expect("219 400");
    let pushed = bernd.recv();
    let id = pushed.rsplit(' ').next().expect("an id");
    let fetched = anna.ask(&format!("119 {id}"));
    assert_eq!(fetched, format!("227 400 {media}"));
    anna.close();
    bernd.close();
}

#[test]
fn a_certificate_has_to_be_right() {
    let both = Both::start(&[]);
    for name in NAMES {
        assert!(both.begin(name, trust()).is_ok(), "{name}");
    }
    let other = refusal(&both, "chat.example", trust());
    assert!(
        other.contains("it is for ") && other.contains("localhost"),
        "{other}"
    );
    assert!(other.contains("not for chat.example; connect"), "{other}");
    let stranger = refusal(&both, "localhost", &trust_in(&Authority::new("another CA")));
    assert!(
        stranger.contains("nobody whom this machine trusts has signed it"),
        "{stranger}"
    );
    assert!(refusal(&both, "a b", trust()).contains("not the name of a server"));
    for (validity, why) in [
        (Validity::Past, "it has expired"),
        (Validity::Future, "it is not valid yet"),
    ] {
        let both = Both::with(authority().sign(NAMES, validity), &[]);
        let text = refusal(&both, "localhost", trust());
        assert!(text.contains(why), "{text}");
    }
    // The other way round: who expects TLS where there is none is told so.
    let plain = TcpStream::connect(both.server.addr()).expect("connect");
    plain.set_read_timeout(Some(TIMEOUT)).expect("a time-out");
    let Err(none) = Stream::begin(plain, "localhost", trust()) else {
        panic!("a session with a plain port");
    };
    let none = none.to_string();
    assert!(none.contains("does not speak TLS on this port"), "{none}");
}

#[test]
fn files_that_cannot_be_used_are_one_line_and_exit_code_1() {
    let directory = TempDir::new();
    let path = |name: &str| {
        directory
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    };
    let (certificate, key) = authority().sign(NAMES, Validity::Now);
    let (_, strange_key) = authority().sign(NAMES, Validity::Now);
    let half = |text: &str| text[..text.len() / 2].to_owned();
    // Whole lines of a PEM file whose contents were cut.
    let cut = certificate
        .lines()
        .enumerate()
        .filter(|(number, _)| !(3..6).contains(number))
        .map(|(_, line)| format!("{line}\n"))
        .collect::<String>();
    for (certificate, key, why) in [
        (None, Some(&key), "cannot read "),
        (Some(&certificate), None, "cannot read "),
        (Some(&half(&certificate)), Some(&key), "cert.pem"),
        (Some(&cut), Some(&key), "the certificate is damaged"),
        (
            Some(&String::new()),
            Some(&key),
            "there is no certificate in ",
        ),
        (
            Some(&certificate),
            Some(&String::new()),
            "there is no private key in ",
        ),
        (Some(&certificate), Some(&half(&key)), "key.pem"),
        (
            Some(&certificate),
            Some(&strange_key),
            "the key is not the certificate's",
        ),
        (Some(&key), Some(&key), "there is no certificate in "),
    ] {
        for (name, text) in [("cert.pem", certificate), ("key.pem", key)] {
            match text {
                Some(text) => std::fs::write(path(name), text).expect("write"),
                None => drop(std::fs::remove_file(path(name))),
            }
        }
        let mut command = Command::new(program());
        command
            .args(["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"])
            .args(["--database", &path("plausch.db")])
            .args([
                "--tls-cert",
                &path("cert.pem"),
                "--tls-key",
                &path("key.pem"),
            ]);
        let stderr = refuses(&mut command, 1);
        assert!(stderr.contains(why), "{why}: {stderr}");
        assert!(!stderr.contains("BEGIN"), "{stderr}");
    }
}

#[test]
fn certificates_are_read_again_without_dropping_anybody() {
    let both = Both::start(&[]);
    let mut anna = both.connect();
    anna.register("anna");
    anna.login("anna");
    let later = Authority::new("a later CA");
    let (certificate, key) = later.sign(NAMES, Validity::Now);
    std::fs::write(&both.files.0, certificate).expect("write");

    // Half of a pair: the old one stays.
    signal("HUP", both.server.pid());
    let line = both
        .server
        .wait_for_log("not reloaded: certificate", TIMEOUT);
    assert!(line.contains("the key is not the certificate's"), "{line}");
    assert!(both.begin("localhost", trust()).is_ok());

    std::fs::write(&both.files.1, key).expect("write");
    signal("HUP", both.server.pid());
    both.server.wait_for_log("] reloaded: certificate", TIMEOUT);
    assert!(both.begin("localhost", &trust_in(&later)).is_ok());
    assert!(both.begin("localhost", trust()).is_err());
    anna.silent();
    anna.close();
}

/// A handshake that stops half-way costs its own connection alone, and that not for long.
#[test]
fn a_handshake_that_stalls_is_ended() {
    let both = Both::start(&["--login-grace", "10"]);
    let stalled: Vec<TcpStream> = (0..20)
        .map(|number| {
            let mut stream = both.tcp();
            // From nothing at all to half of a ClientHello.
            let hello = [
                22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7,
            ];
            stream.write_all(&hello[..number]).expect("write");
            stream
        })
        .collect();
    // Nobody else waits for them: not one of them has been ended yet.
    let mut anna = both.connect();
    anna.register("anna");
    anna.login("anna");
    for stream in &stalled {
        stream.set_nonblocking(true).expect("not to wait");
        let still = stream.peek(&mut [0]).expect_err("no end yet");
        assert_eq!(still.kind(), std::io::ErrorKind::WouldBlock, "{still}");
        stream.set_nonblocking(false).expect("to wait");
    }
    for stream in &stalled {
        rest(stream);
    }
    anna.silent();
}

#[test]
fn garbage_ends_its_own_connection_alone() {
    let both = Both::start(&[]);
    let (mut anna, mut bernd, chat) = pair(&both.server, "anna", "bernd");
    // Instead of a handshake: the alert says that this is no TLS.
    for text in [
        &b"110 anna secret\r\n"[..],
        &[0; 600],
        &[22, 3, 1, 0, 4, 1, 0, 0, 0],
    ] {
        let mut stream = both.tcp();
        stream.write_all(text).expect("write");
        let answer = rest(&stream);
        assert_eq!(answer.first(), Some(&21), "an alert, not {answer:?}");
    }
    // After it: what cannot be decrypted, a record that is too long, a handshake begun anew.
    let hello = [&[22, 3, 3, 0, 40, 1, 0, 0, 36, 3, 3][..], &[9; 34]].concat();
    let long = [&[23, 3, 3, 0x7f, 0xff][..], &[0; 1000]].concat();
    let noise = [&[23, 3, 3, 0, 100][..], &[7; 100]].concat();
    for bytes in [&b"134 in clear text\r\n"[..], &noise, &long, &hello] {
        let carla = both.begin("localhost", trust()).expect("a session");
        (&carla).write_all(b"134 here\n").expect("write");
        let mut text = [0; 100];
        assert_eq!(
            (&carla).read(&mut text).expect("read"),
            "247 here\r\n".len()
        );
        carla.socket().write_all(bytes).expect("write");
        let end = (&carla).read(&mut text).expect_err("an alert");
        assert!(end.to_string().contains("fatal alert"), "{end}");
    }
    anna.say(chat, "still there");
    assert_eq!(bernd.recv_push().message, "still there");
    both.connect().silent();
}

/// A line that came whole is carried out, whether the end behind it was said in order or not; one
/// that was cut is not.
#[test]
fn the_end_of_input() {
    let both = Both::start(&[]);
    let mut orderly = both.connect();
    orderly.send_raw(b"134 one\n134 tw");
    orderly.shutdown_write();
    assert_eq!(orderly.recv_to_end(), ["247 one"]);
    let mut cut = both.connect();
    cut.send_raw(b"134 one\n134 tw");
    cut.socket()
        .shutdown(std::net::Shutdown::Write)
        .expect("shutdown");
    assert_eq!(cut.recv_to_end(), ["247 one"]);
}

/// A client of this library's own making, of one version of TLS.
fn other_client(
    both: &Both,
    version: &'static rustls::SupportedProtocolVersion,
) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let (mut roots, file) = (rustls::RootCertStore::empty(), authority().pem());
    let ca = rustls::pki_types::CertificateDer::from_pem_slice(file.as_bytes()).expect("PEM");
    roots.add(ca).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let session = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = rustls::StreamOwned::new(session, both.tcp());
    stream.write_all(b"134 hello\n").expect("write");
    let mut line = [0; 11];
    stream.read_exact(&mut line).expect("read");
    assert_eq!(&line, b"247 hello\r\n");
    assert_eq!(stream.conn.protocol_version(), Some(version.version));
    stream
}

/// Whoever reads sees that the server meant to end.
#[test]
fn the_server_says_when_it_ends() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut both = Both::start(&[]);
        let mut stream = other_client(&both, version);
        both.server.stop();
        // Anything but an end in order would be an error.
        assert_eq!(stream.read(&mut [0]).expect("close_notify"), 0);
    }
}

/// Some clients cannot take a ticket between a handshake and the first line.
#[test]
fn no_ticket_follows_a_handshake() {
    let both = Both::start(&[]);
    let stream = other_client(&both, &rustls::version::TLS13);
    // It would have come before the answer.
    assert_eq!(stream.conn.tls13_tickets_received(), 0);
}

#[test]
fn one_too_many_is_turned_away_with_an_alert() {
    let both = Both::start(&["--max-clients", "1"]);
    let mut anna = both.connect();
    anna.silent();
    let answer = rest(&both.tcp());
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 80]);
    let mut plain = both.server.connect();
    plain.expect("211");
    plain.closed();
    anna.silent();
}

/// An address of this machine that is not one of its loopback; none where there is no network.
fn address_outside() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses from where it would be.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn required_tls_keeps_passwords_off_plain_ports() {
    let both = Both::start(&["--require-tls", "--explain", "--listen", "0.0.0.0:0"]);
    let mut near = both.server.connect();
    near.register("anna");
    near.login("anna");
    near.close();
    let mut sealed = both.connect();
    sealed.login("anna");
    sealed.close();
    let Some(outside) = address_outside() else {
        println!("this machine has no network: the rest cannot be shown");
        return;
    };
    let line = both.server.wait_for_log("listening on 0.0.0.0:", TIMEOUT);
    let port = line.rsplit(':').next().and_then(|port| port.parse().ok());
    let mut far = Client::connect(SocketAddr::new(outside, port.expect("a port")));
    for (line, what) in [
        (format!("110 anna {PASSWORD}"), "110 Login"),
        (
            format!("117 bernd {PASSWORD} b@example.org m"),
            "117 RegisterAccount",
        ),
        (
            format!("132 {PASSWORD} another-one"),
            "132 RequestPasswordChange",
        ),
        (format!("133 {PASSWORD}"), "133 RequestAccountDelete"),
    ] {
        let answer = far.ask(&line);
        assert!(answer.starts_with("211 "), "{answer}");
        assert!(
            answer.contains("passwords are taken over TLS only"),
            "{what}: {answer}"
        );
    }
    far.silent();
}
