//! `plausch --tls`: whom it trusts, and what it says when it does not.

use std::net::SocketAddr;
use std::process::Command;

use super::person::{Person, command};
use crate::support::certificates::{self, Authority, NAMES, Validity, authority};
use crate::support::client::TIMEOUT;
use crate::support::people::pair;
use crate::support::server::TestServer;
use crate::support::system::TempDir;

/// A server with TLS beside its plain port, and a file with the CA to trust.
struct Secured {
    server: TestServer,
    tls: SocketAddr,
    directory: TempDir,
}

impl Secured {
    fn start(names: &[&str], validity: Validity) -> Secured {
        let directory = TempDir::new();
        let files = certificates::write(directory.path(), authority().sign(names, validity));
        let options = certificates::options(&files);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let server = TestServer::with(&options);
        let line = server.wait_for_log(" with TLS", TIMEOUT);
        let tls = line.split(' ').find_map(|word| word.parse().ok());
        std::fs::write(directory.path().join("ca.pem"), authority().pem()).expect("write");
        Secured {
            server,
            tls: tls.expect("an address"),
            directory,
        }
    }

    fn ca(&self) -> String {
        let path = self.directory.path().join("ca.pem");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// `plausch send` over TLS, by this host name.
    fn send(&self, host: &str, ca: Option<&str>) -> Command {
        let mut command = command("anna");
        command.args(["send", "--tls", "--to", "bernd", "over TLS"]);
        command
            .arg("--server")
            .arg(format!("{host}:{}", self.tls.port()));
        if let Some(ca) = ca {
            command.args(["--ca", ca]);
        }
        command
    }
}

fn refused(mut command: Command) -> String {
    let output = command.output().expect("started");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    stderr
}

#[test]
fn a_message_goes_over_tls() {
    let secured = Secured::start(NAMES, Validity::Now);
    let (anna, mut bernd, _) = pair(&secured.server, "anna", "bernd");
    drop(anna);
    for host in ["localhost", "127.0.0.1"] {
        let output = secured
            .send(host, Some(&secured.ca()))
            .output()
            .expect("started");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert_eq!(bernd.recv_push().message, "over TLS");
    }
}

#[test]
fn a_person_chats_over_tls() {
    let secured = Secured::start(NAMES, Validity::Now);
    let (anna, mut bernd, chat) = pair(&secured.server, "anna", "bernd");
    anna.close();
    let mut client = command("anna");
    client
        .env("NO_COLOR", "1")
        .args(["--tls", "--ca", &secured.ca()]);
    client.arg(secured.tls.to_string());
    let mut person = Person::with(client, "anna");
    person.sees("logged in as anna");
    bernd.say(chat, "sealed for you");
    person.sees("sealed for you");
    person.enters("/quit");
    person.ends(0);
}

#[test]
fn a_certificate_that_is_not_right_is_refused_with_a_reason() {
    let secured = Secured::start(&["chat.example"], Validity::Now);
    let ca = secured.ca();
    let wrong_name = refused(secured.send("localhost", Some(&ca)));
    let reason = "the server's certificate is refused: it is for chat.example, not for localhost";
    assert!(wrong_name.contains(reason), "{wrong_name}");

    let unknown = refused(secured.send("localhost", None));
    assert!(
        unknown.contains("nobody whom this machine trusts has signed it")
            || unknown.contains("no certificates to trust"),
        "{unknown}"
    );
    let other = secured.directory.path().join("other.pem");
    std::fs::write(&other, Authority::new("another").pem()).expect("write");
    let stranger = refused(secured.send("localhost", other.to_str()));
    assert!(stranger.contains("(--ca)"), "{stranger}");

    let expired = Secured::start(NAMES, Validity::Past);
    let expired = refused(expired.send("localhost", Some(&expired.ca())));
    assert!(expired.contains("it has expired"), "{expired}");
    let early = Secured::start(NAMES, Validity::Future);
    let early = refused(early.send("localhost", Some(&early.ca())));
    assert!(early.contains("look at this machine's clock"), "{early}");
}

#[test]
fn files_and_ports_that_are_not_right_are_named() {
    let secured = Secured::start(NAMES, Validity::Now);
    let missing = refused(secured.send("localhost", Some("/nonexistent")));
    assert!(missing.contains("cannot trust /nonexistent"), "{missing}");
    let pem = authority().pem();
    for (text, why) in [
        (&pem[..pem.len() / 2], "ca.pem"),
        ("", "there is no certificate in it"),
    ] {
        std::fs::write(secured.ca(), text).expect("write");
        let cut = refused(secured.send("localhost", Some(&secured.ca())));
        assert!(cut.contains("cannot trust") && cut.contains(why), "{cut}");
    }
    std::fs::write(secured.ca(), pem).expect("write");
    let mut plain = command("anna");
    plain.args(["send", "--tls", "--ca", &secured.ca(), "--to", "bernd", "x"]);
    plain.arg("--server").arg(secured.server.addr().to_string());
    let plain = refused(plain);
    assert!(plain.contains("does not speak TLS on this port"), "{plain}");
}
