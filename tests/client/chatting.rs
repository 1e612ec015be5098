//! People at terminals.

use std::fs;

use super::person::{Person, anna_with_bernd, command, command_with_echo};
use crate::support::people::{PASSWORD, Push, befriend, open_chat, pair, register_and_login};
use crate::support::server::TestServer;
use crate::support::system::TempDir;

/// The line that is being typed stays whole while something arrives, and is sent whole.
#[test]
fn arrivals_do_not_tear_the_line_being_typed() {
    let (_server, mut anna, mut bernd, chat) = anna_with_bernd();
    anna.types("half a li");
    anna.sees("half a li");
    bernd.say(chat, "are you there?");
    let before = anna.sees("bernd: are you there?");
    // The line was taken off the screen for the arrival: a carriage return and "erase".
    assert!(before.contains("\r\u{1b}[K"), "{before:?}");
    anna.sees("bernd> half a li");
    anna.types("ne");
    anna.types("\r");
    assert_eq!(bernd.recv_push().message, "half a line");
    anna.sees("bernd> ");
    anna.leaves(0);
}

#[test]
fn somebody_new_registers_finds_a_friend_and_chats() {
    let server = TestServer::start();
    let mut bernd = register_and_login(&server, "Bernd");
    // The pseudo-terminal begins without echo; with it, a password that is echoed would be seen.
    let mut asked = command_with_echo("anna");
    asked.env_remove("PLAUSCH_PASSWORD");
    asked.env_remove("PLAUSCH_USER");
    asked.env("NO_COLOR", "1").arg(server.addr().to_string());
    let mut anna = Person::with(asked, "anna");
    anna.sees("Name: ");
    anna.enters("anna");
    anna.sees("Password of anna: ");
    anna.enters("swordfish-1");
    let shown = anna.sees("no such user, or wrong password (406)");
    assert!(!shown.contains("swordfish"), "{shown:?}");
    anna.sees("Register anna as a new user? [y/N] ");
    anna.enters("y");
    anna.sees("The same password again: ");
    anna.enters("swordfish-1");
    let shown = anna.sees("E-mail address: ");
    assert!(!shown.contains("swordfish"), "{shown:?}");
    anna.enters("anna@example.org");
    anna.sees("Gender: ");
    anna.enters("female");
    anna.sees("logged in as anna");
    anna.sees("> ");
    anna.enters("/people");
    anna.sees("people: 1");
    anna.sees("Bernd");
    // TAB completes commands and names, whatever their case.
    anna.types("/ad\tber\t");
    anna.sees("/add Bernd ");
    anna.types("\r");
    bernd.expect("233 anna");
    anna.sees("Bernd is asked, and has to agree");
    anna.enters("/chat Bernd");
    anna.sees("no chat with Bernd: you are not contacts yet");
    bernd.send("121 anna");
    bernd.expect("232 400");
    anna.sees("Bernd agreed: you are contacts; /chat Bernd");
    anna.enters("/contacts");
    anna.sees("contacts: 1");
    anna.goes_to("Bernd");
    anna.enters("hello  \"there\"");
    assert_eq!(bernd.recv_push().message, "hello  \"there\"");
    // Not to a command: a line that begins with a slash.
    anna.enters("//quit");
    assert_eq!(bernd.recv_push().message, "/quit");
    anna.enters("/passwd");
    for (prompt, password) in [
        ("Old password: ", "swordfish-1"),
        ("New password: ", "swordfish-2"),
        ("The new password again: ", "swordfish-2"),
    ] {
        anna.sees(prompt);
        anna.enters(password);
    }
    anna.sees("the password is changed");
    anna.leaves(0);
}

/// `222` says only that a name or a password is not allowed; the client knows the rules too.
#[test]
fn who_may_not_register_is_told_why() {
    let server = TestServer::start();
    for (name, password, why) in [
        (
            "аnna",
            PASSWORD,
            "this name is not allowed: U+006E is of another script than the characters before it",
        ),
        (
            "--",
            PASSWORD,
            "this name is not allowed: U+002D does not begin a name",
        ),
        (
            "anna",
            "hearts-❤\u{fe0f}",
            "this password is not allowed: it has an invisible character",
        ),
        (
            "anna",
            "seven-7",
            "this password is not allowed: a password has 8 to 128 characters",
        ),
    ] {
        let mut asked = command(name);
        asked.env("PLAUSCH_PASSWORD", password);
        asked.env("NO_COLOR", "1").arg(server.addr().to_string());
        let mut anna = Person::with(asked, name);
        anna.sees(&format!("Register {name} as a new user? [y/N] "));
        anna.enters("y");
        anna.sees("E-mail address: ");
        anna.enters("anna@example.org");
        anna.sees("Gender: ");
        anna.enters("female");
        anna.sees(&format!("not registered: {why}"));
        anna.ends(4);
    }
}

/// Whoever mistypes a password twice is hardly new.
#[test]
fn registering_is_offered_once() {
    let server = TestServer::start();
    register_and_login(&server, "anna").close();
    let mut asked = command_with_echo("anna");
    asked.env_remove("PLAUSCH_PASSWORD");
    asked.env("NO_COLOR", "1").arg(server.addr().to_string());
    let mut anna = Person::with(asked, "anna");
    anna.sees("Password of anna: ");
    anna.enters("mistyped-1");
    anna.sees("Register anna as a new user? [y/N] ");
    anna.enters("n");
    anna.sees("Password of anna: ");
    anna.enters("mistyped-2");
    let between = anna.sees("Password of anna: ");
    assert!(!between.contains("Register"), "{between:?}");
    anna.enters(PASSWORD);
    anna.sees("logged in as anna");
    anna.leaves(0);
}

#[test]
fn two_clients_talk_and_other_chats_are_marked() {
    let server = TestServer::start();
    let (anna, bernd, _) = pair(&server, "anna", "bernd");
    let mut anna_raw = anna;
    let mut carla = register_and_login(&server, "carla");
    befriend(&mut anna_raw, &mut carla);
    let other = open_chat(&mut anna_raw, &carla);
    drop((anna_raw, bernd));
    let mut anna = Person::at(server.addr(), "anna");
    let mut bernd = Person::at(server.addr(), "bernd");
    anna.goes_to("bernd");
    bernd.goes_to("anna");
    anna.enters("hello bernd");
    let before = bernd.sees("anna: hello bernd");
    // With its time, of the zone that is set.
    let time = before
        .trim_end()
        .rsplit(['\r', '\n', 'K'])
        .next()
        .unwrap_or_default();
    let digits = time.bytes().filter(u8::is_ascii_digit).count();
    assert!(digits == 4 && time.contains(':'), "{before:?}");
    carla.say(other, "and me?");
    carla.say(other, "and me again?");
    anna.sees("[chat carla, 1 unread] carla: and me?");
    anna.sees("[chat carla, 2 unread] carla: and me again?");
    anna.enters("/chats");
    anna.sees("* bernd");
    anna.sees("carla (2 unread)");
    anna.enters("/chat carla");
    anna.sees("chat with carla, 2 unread until now");
    anna.sees("carla> ");
    anna.enters("yes you");
    assert_eq!(carla.recv_push().message, "yes you");
    anna.enters("/history 2");
    anna.sees("carla: and me again?");
    anna.sees("anna: yes you");
    anna.enters("/delete");
    anna.sees("Delete the chat with carla and its messages, for you? [y/N] ");
    anna.enters("n");
    anna.sees("carla> ");
    anna.enters("/delete");
    anna.sees("? [y/N] ");
    anna.enters("y");
    anna.sees("the chat with carla is deleted");
    // No chat is the current one now, so nothing goes to a wrong one.
    anna.enters("to nobody");
    anna.sees("not sent: to nobody -- no chat is open");
    anna.enters("/remove carla");
    anna.sees("carla is no contact of yours any more");
    carla.send(&format!("115 {other} gone?"));
    carla.expect("219 410");
    bernd.leaves(0);
    anna.leaves(0);
}

#[test]
fn files_are_sent_and_saved() {
    let server = TestServer::start();
    let (anna, bernd, _) = pair(&server, "anna", "bernd");
    drop((anna, bernd));
    let directory = TempDir::new();
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at * 31 % 251) as u8).collect();
    let sent = directory.path().join("a picture.png");
    fs::write(&sent, &bytes).expect("written");
    let mut anna = Person::at(server.addr(), "anna");
    let mut bernd = Person::at(server.addr(), "bernd");
    anna.goes_to("bernd");
    anna.enters(&format!("/send \"{}\" look at this", sent.display()));
    anna.sees("sending a picture.png (image/png, 97.6 KiB)");
    anna.sees("a picture.png is sent");
    bernd.sees("anna: look at this [media 1]");
    bernd.sees("media 1: image/png, 97.6 KiB; /save 1 FILE");
    let saved = directory.path().join("saved.png");
    bernd.enters(&format!("/save 1 {}", saved.display()));
    bernd.sees("media 1 (image/png, 97.6 KiB) is in ");
    assert_eq!(fs::read(&saved).expect("saved"), bytes);
    // Never over a file that is there.
    bernd.enters(&format!("/save 1 {}", saved.display()));
    bernd.sees("cannot be written");
    bernd.enters("/save 77 x");
    bernd.sees("media 77: there is no such media");
    anna.enters("/send /nonexistent/file");
    anna.sees("/nonexistent/file cannot be sent");
    // Media that another client sent, without a type.
    anna.leaves(0);
    bernd.leaves(0);
}

/// What others send cannot do anything to the terminal.
#[test]
fn escapes_of_others_are_harmless() {
    let (_server, mut anna, mut bernd, chat) = anna_with_bernd();
    bernd.send(&format!(
        r#"115 {chat} "a\u001b[2J\u001b]0;t\u0007b\u009b1mc\u202ed\r\n12:00 anna: forged""#
    ));
    bernd.expect("219 400");
    let shown = "bernd: a\u{241b}[2J\u{241b}]0;t\u{2407}b<U+009B>1mc<U+202E>d";
    anna.sees(shown);
    anna.sees("\n      | 12:00 anna: forged");
    anna.leaves(0);
}

/// Colours are there on a terminal, and not with NO_COLOR.
#[test]
fn colours_can_be_switched_off() {
    let server = TestServer::start();
    let (anna, mut bernd, chat) = pair(&server, "anna", "bernd");
    drop(anna);
    for (value, coloured) in [("", true), ("1", false)] {
        let mut command = command("anna");
        command
            .env("NO_COLOR", value)
            .arg(server.addr().to_string());
        let mut anna = Person::with(command, "anna");
        anna.sees("logged in as anna");
        anna.sees("> ");
        bernd.say(chat, "hello");
        let mut before = anna.sees("hello");
        before.drain(..before.find("1 unread").expect("the mark"));
        assert_eq!(before.contains("\u{1b}[33m"), coloured, "{before:?}");
        anna.leaves(0);
    }
}

/// `--raw` shows packets, but no password.
#[test]
fn raw_shows_packets() {
    let server = TestServer::start();
    let (anna, mut bernd, chat) = pair(&server, "anna", "bernd");
    drop(anna);
    let mut command = command("anna");
    command
        .arg("--raw")
        .env("NO_COLOR", "1")
        .arg(server.addr().to_string());
    let mut anna = Person::with(command, "anna");
    anna.sees("> 110 Login ...");
    anna.sees("< 212 400 anna");
    anna.sees("/help lists");
    let Push { timestamp, .. } = {
        bernd.say(chat, "hello");
        let line = anna
            .sees("hello")
            .rsplit("< ")
            .next()
            .unwrap_or_default()
            .to_owned();
        Push::parse(&format!("{line}hello")).expect("a 220")
    };
    anna.sees(&format!("> 135 {chat} {timestamp}"));
    anna.sees("< 248 400");
    anna.leaves(0);
}

/// Lines that come faster than they can be edited, as when they are pasted, are all sent.
#[test]
fn lines_typed_ahead_are_not_forgotten() {
    let (_server, mut anna, mut bernd, _) = anna_with_bernd();
    let lines: Vec<String> = (0..50).map(|number| format!("line {number}")).collect();
    anna.types(&(lines.join("\r") + "\r"));
    for line in lines {
        assert_eq!(bernd.recv_push().message, line);
    }
    anna.leaves(0);
}

/// Without a terminal lines come from standard input, and the program ends when all is sent.
#[test]
fn lines_can_come_from_a_pipe() {
    use std::io::Write;
    use std::process::Stdio;
    let server = TestServer::start();
    let (anna, mut bernd, _) = pair(&server, "anna", "bernd");
    drop(anna);
    let mut child = command("anna")
        .arg(server.addr().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = "/chat bernd\n".to_owned();
    for number in 0..600 {
        lines.push_str(&format!("line {number}\n"));
    }
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(lines.as_bytes())
        .expect("written");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(0));
    for number in 0..600 {
        assert_eq!(bernd.recv_push().message, format!("line {number}"));
    }
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.contains("logged in as anna") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}
