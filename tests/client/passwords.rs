//! Where `plausch` has its password from, and what it takes for none.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::person::{PROGRAM, command};
use crate::support::client::TIMEOUT;
use crate::support::people::{PASSWORD, pair};
use crate::support::server::TestServer;
use crate::support::system::{TempDir, wait_for};
use crate::support::typist::Typist;

fn send(server: &TestServer, file: Option<&Path>) -> Command {
    let mut command = command("anna");
    command.env_remove("PLAUSCH_PASSWORD");
    command.args(["--server", &server.addr().to_string()]);
    if let Some(file) = file {
        command.arg("--password-file").arg(file);
    }
    command.args(["send", "--to", "bernd", "by a file"]);
    command
}

fn says(mut command: Command, code: i32) -> String {
    let output = command.output().expect("started");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn a_password_comes_from_the_first_line_of_a_file() {
    let server = TestServer::start();
    let (anna, mut bernd, _) = pair(&server, "anna", "bernd");
    drop(anna);
    let directory = TempDir::new();
    let file = directory.path().join("password");
    for text in [
        PASSWORD.to_owned(),
        format!("{PASSWORD}\n"),
        format!("{PASSWORD}\r\nthe rest is of no meaning\n"),
    ] {
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("chmod");
        assert_eq!(says(send(&server, Some(&file)), 0), "");
        assert_eq!(bernd.recv_push().message, "by a file");
    }
    // It is meant more than the environment is.
    let mut both = send(&server, Some(&file));
    both.env("PLAUSCH_PASSWORD", "of-somebody-else");
    assert_eq!(says(both, 0), "");
    assert_eq!(bernd.recv_push().message, "by a file");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("chmod");
    let warned = says(send(&server, Some(&file)), 0);
    assert!(
        warned.contains("others may read the password file"),
        "{warned}"
    );
    assert_eq!(bernd.recv_push().message, "by a file");

    // As systemd hands it over.
    let mut unit = Command::new("sh");
    unit.args([
        "-c",
        "exec \"$0\" --password-file \"$CREDENTIALS_DIRECTORY/password\" \"$@\"",
    ]);
    unit.arg(PROGRAM)
        .args(["--user", "anna", "send", "--to", "bernd", "--server"]);
    unit.arg(server.addr().to_string()).arg("by a unit");
    unit.env("CREDENTIALS_DIRECTORY", directory.path());
    fs::set_permissions(&file, Permissions::from_mode(0o400)).expect("chmod");
    assert_eq!(says(unit, 0), "");
    assert_eq!(bernd.recv_push().message, "by a unit");
}

#[test]
fn a_file_without_a_password_is_named() {
    let server = TestServer::start();
    let directory = TempDir::new();
    let file = directory.path().join("password");
    let missing = says(send(&server, Some(&file)), 4);
    assert!(
        missing.contains("cannot read the password file"),
        "{missing}"
    );
    for (text, why) in [
        (&b""[..], "the first line is empty"),
        (b"\n", "the first line is empty"),
        (b"\r\nswordfish-1\n", "the first line is empty"),
        (b"swordfish-\xfc\n", "is not UTF-8"),
        (b"\xff\xfes\0w\0o\0r\0d\0", "is not UTF-8"),
    ] {
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("chmod");
        let said = says(send(&server, Some(&file)), 4);
        assert!(
            said.contains(why) && said.lines().count() == 1,
            "{why}: {said}"
        );
        assert!(
            said.contains("password") && !said.contains("swordfish"),
            "{said}"
        );
    }
    let none = says(send(&server, None), 4);
    assert!(
        none.contains("--password-file or PLAUSCH_PASSWORD"),
        "{none}"
    );
}

#[test]
fn a_variable_that_is_not_utf_8_is_not_taken_for_none() {
    let server = TestServer::start();
    let latin = OsString::from_vec(b"swordfish-\xfc".to_vec());
    let mut command = send(&server, None);
    command.env("PLAUSCH_PASSWORD", &latin);
    let said = says(command, 2);
    assert!(said.contains("PLAUSCH_PASSWORD is not UTF-8"), "{said}");
    let mut command = send(&server, None);
    command.env("PLAUSCH_USER", &latin);
    let said = says(command, 2);
    assert!(said.contains("PLAUSCH_USER is not UTF-8"), "{said}");
}

/// On a terminal set to Latin-1, the password of Anna was one that nobody could type again.
#[test]
fn a_password_that_is_typed_has_to_be_utf_8() {
    let server = TestServer::start();
    drop(pair(&server, "anna", "bernd"));
    let address = server.addr().to_string();
    let mut anna = Typist::at(PROGRAM, &["--user", "anna", &address], &[]);
    anna.sees("Password of anna: ");
    for typed in [&b"swordfish-\xfc\xf6"[..], b"sw\xe4rdfish-1"] {
        anna.enters(typed);
        anna.sees("that is not UTF-8");
        anna.sees("Password of anna: ");
    }
    anna.enters(PASSWORD.as_bytes());
    anna.sees("logged in as anna");
    anna.enters(b"/passwd");
    anna.sees("Old password: ");
    anna.enters(PASSWORD.as_bytes());
    anna.sees("New password: ");
    anna.enters(b"swordfish-\xfc\xf6");
    anna.sees("that is not UTF-8");
    anna.sees("New password: ");
    anna.enters("swordfish-üö".as_bytes());
    anna.sees("The new password again: ");
    anna.enters("swordfish-üö".as_bytes());
    anna.sees("the password is changed");
    anna.enters(b"/quit");
    assert_eq!(anna.ends(), Some(0));
    assert!(!anna.screen().contains("swordfish"), "{}", anna.screen());
    wait_for("the name is free", TIMEOUT, || {
        let answer = server.connect().ask("110 anna swordfish-üö");
        (answer == "212 400 anna").then_some(())
    });
}
