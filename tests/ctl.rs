//! The operator's tool, beside a server and without one: what it changes holds from a client's next
//! packet on, whatever else the server has to do.

use crate::support::client::{Client, TIMEOUT};
use crate::support::ctl::{Flood, ctl, ctl_with, json, refused};
use crate::support::people::{PASSWORD, befriend, open_chat, pair, register_and_login};
use crate::support::server::{CHEAP_SCRYPT, TestServer};
use crate::support::system::{TempDir, wait_for};
use std::path::Path;

#[test]
fn accounts_change_beside_a_busy_server_and_the_next_packet_knows() {
    let server = TestServer::start();
    let database = server.database();
    let flood = Flood::start(&server);
    let (mut hans, mut maria, chat) = pair(&server, "Hans", "maria");

    // Added: can log in at once.
    let added = ctl_with(
        &database,
        &["user", "add", "Otto", "--scrypt", CHEAP_SCRYPT],
        "swordfish\r\n",
    );
    assert!(added.contains("Otto is registered"), "{added}");
    let mut otto = server.connect();
    otto.send("110 otto swordfish");
    otto.expect("212 400 Otto");

    // A new password: the login ends, the old password is wrong, the new one is right.
    ctl_with(
        &database,
        &["user", "passwd", "hans", "--scrypt", CHEAP_SCRYPT],
        "correct-horse\n",
    );
    hans.send(&format!("115 {chat} am I in?"));
    hans.expect("219 407");
    hans.send("112");
    hans.expect("211");
    hans.send(&format!("110 Hans {PASSWORD}"));
    hans.expect("212 406 Hans");
    hans.send("110 Hans correct-horse");
    hans.expect("212 400 Hans");
    hans.say(chat, "back again");
    assert_eq!(maria.recv_push().message, "back again");

    // Kicked: no push arrives any more, the name is free, nothing is lost.
    ctl(&database, &["user", "kick", "HANS"]);
    maria.say(chat, "where are you?");
    hans.silent();
    let mut elsewhere = server.connect();
    elsewhere.send("110 Hans correct-horse");
    elsewhere.expect("212 400 Hans");
    assert_eq!(elsewhere.recv_push().message, "where are you?");
    hans.send("111");
    hans.expect("213 407");
    hans.close();

    // Renamed: the login ends; contacts, chats and messages are there under the new name.
    ctl(&database, &["user", "rename", "hans", "Johann"]);
    elsewhere.send("118");
    elsewhere.expect("223 407");
    elsewhere.send("110 Hans correct-horse");
    elsewhere.expect("212 406 Hans");
    elsewhere.send("110 johann correct-horse");
    elsewhere.expect("212 400 Johann");
    elsewhere.say(chat, "call me Johann");
    assert_eq!(maria.recv_push().message, "call me Johann");
    maria.send("112");
    assert_eq!(
        maria.recv_until("216"),
        ["214 1", &format!("215 {chat} Johann maria"), "216"]
    );

    // Deleted: as if the owner had done it.
    let asked = refused(&database, &["user", "delete", "Johann"], "y\n", 1);
    assert!(asked.contains("--force"), "{asked}");
    ctl(&database, &["user", "delete", "Johann", "--force"]);
    elsewhere.send(&format!("115 {chat} still here?"));
    elsewhere.expect("219 407");
    elsewhere.send("110 johann correct-horse");
    elsewhere.expect("212 406 johann");
    maria.send(&format!("115 {chat} hello?"));
    maria.expect("219 410");
    maria.send("112");
    assert_eq!(
        maria.recv_until("216"),
        ["214 1", &format!("215 {chat} ~Johann maria"), "216"]
    );
    // Its contacts are taken away by the server, which has been told.
    wait_for("the contact is gone", TIMEOUT, || {
        maria.send("118");
        (maria.recv_until("226")[1] == "224 0").then_some(())
    });
    register_and_login(&server, "johann").close();

    flood.wait_for(flood.acknowledged() + 1);
    flood.end();
    assert_eq!(ctl(&database, &["check"]), "ok\n");
}

#[test]
fn a_kicked_session_that_does_nothing_is_closed_after_the_login_grace() {
    // Long enough to log in on a busy machine.
    let server = TestServer::with(&["--login-grace", "4"]);
    let mut hans = register_and_login(&server, "hans");
    ctl(&server.database(), &["user", "kick", "hans"]);
    hans.closed();
}

#[test]
fn what_cannot_be_done_to_an_account_is_said_in_one_line() {
    let server = TestServer::start();
    let database = server.database();
    register_and_login(&server, "hans").close();
    register_and_login(&server, "maria").close();
    for (arguments, input, named) in [
        (&["user", "show", "nobody"][..], "", "nobody"),
        (&["user", "kick", "no body"], "", "no body"),
        (&["user", "add", "HANS"], "swordfish\n", "taken"),
        (&["user", "add", "two words"], "swordfish\n", "not allowed"),
        (&["user", "add", "otto"], "short\n", "password"),
        (&["user", "add", "otto"], "", "password"),
        (&["user", "rename", "hans", "Maria"], "", "taken"),
        (&["user", "rename", "hans", "a b"], "", "not allowed"),
        (&["user", "passwd", "nobody"], "swordfish\n", "nobody"),
    ] {
        let line = refused(&database, arguments, input, 1);
        assert!(line.contains(named), "{arguments:?}: {line}");
        assert!(!line.contains("swordfish"), "{line}");
    }
    for arguments in [&["user", "add", "otto", "swordfish"][..], &["dance"], &[]] {
        let line = refused(&database, arguments, "", 2);
        assert!(!line.contains("swordfish"), "{line}");
    }
    let nowhere = TempDir::new();
    let line = refused(&nowhere.path().join("no.db"), &["stats"], "", 1);
    assert!(line.contains("no.db"), "{line}");
    let letter = nowhere.path().join("letter.txt");
    std::fs::write(&letter, "Dear database,\n".repeat(1000)).expect("write");
    let line = refused(&letter, &["stats"], "", 1);
    assert!(line.contains("letter.txt"), "{line}");
    // Only the case is another: the same name, shown differently.
    ctl(&database, &["user", "rename", "hans", "HANS"]);
    let list = json(&database, &["user", "list", "--json"]);
    assert_eq!(list[0]["name"], "HANS");
    assert_eq!(list[1]["name"], "maria");
}

#[test]
fn without_a_server_accounts_are_changed_as_well() {
    let mut server = TestServer::start();
    let database = server.database();
    let (hans, maria, chat) = pair(&server, "hans", "maria");
    hans.close();
    maria.close();
    let line = {
        server.stop();
        refused(&database, &["user", "kick", "hans"], "", 1)
    };
    assert!(line.contains("nobody is logged in"), "{line}");
    ctl(&database, &["user", "rename", "hans", "Johann"]);
    ctl(&database, &["user", "delete", "maria", "--force"]);
    assert_eq!(ctl(&database, &["check"]), "ok\n");
    let show = json(&database, &["user", "show", "johann", "--json"]);
    assert_eq!(
        (show["contacts"].as_i64(), show["chats"].as_i64()),
        (Some(0), Some(1))
    );
    assert_eq!(show["email"], "hans@example.org");
    server.restart();
    let mut johann = server.connect();
    johann.login("Johann");
    johann.send("112");
    assert_eq!(
        johann.recv_until("216"),
        ["214 1", &format!("215 {chat} Johann ~maria"), "216"]
    );
}

#[test]
fn figures_are_right() {
    let server = TestServer::start();
    let database = server.database();
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    hans.say(chat, "one");
    maria.recv();
    // Saved before it counts.
    wait_for("it has arrived", TIMEOUT, || {
        let stats = json(&database, &["stats", "--json"]);
        (stats["undelivered"] == 0).then_some(())
    });
    maria.close();
    hans.say(chat, "two");
    hans.send(&format!("115 {chat} \"three\" data:,12345"));
    hans.expect("219 400");
    let stats = json(&database, &["stats", "--json"]);
    for (name, value) in [
        ("users", 2),
        ("contacts", 1),
        ("chats", 1),
        ("messages", 3),
        ("undelivered", 2),
        ("media", 1),
        ("media_bytes", 11),
    ] {
        assert_eq!(stats[name].as_i64(), Some(value), "{name} in {stats}");
    }
    assert_eq!(stats["server_running"], true);
    let maria = json(&database, &["user", "show", "Maria", "--json"]);
    assert_eq!(maria["undelivered"].as_i64(), Some(2));
    let hans = json(&database, &["user", "show", "hans", "--json"]);
    assert_eq!(hans["media_bytes"].as_i64(), Some(11));
    // Two of three messages wait; the first was received.
    assert_eq!(hans["text_bytes"].as_i64(), Some(8));
    let text = ctl(&database, &["stats"]);
    assert!(
        text.contains("undelivered  2") && text.contains("server       running"),
        "{text}"
    );
    assert!(ctl(&database, &["user", "list"]).contains("  hans\n"));
}

#[test]
fn a_new_contact_of_a_user_who_was_added_works() {
    let server = TestServer::start();
    ctl_with(
        &server.database(),
        &[
            "user",
            "add",
            "otto",
            "--email",
            "otto@example.org",
            "--gender",
            "m",
            "--scrypt",
            CHEAP_SCRYPT,
        ],
        &format!("{PASSWORD}\n"),
    );
    let mut otto: Client = server.connect();
    otto.login("otto");
    let mut hans = register_and_login(&server, "hans");
    befriend(&mut otto, &mut hans);
    let chat = open_chat(&mut otto, &hans);
    otto.say(chat, "hello");
    assert_eq!(hans.recv_push().message, "hello");
}

/// A server that was killed before it could obey must not end a later login.
#[test]
fn an_order_of_before_the_start_is_forgotten() {
    let mut server = TestServer::start();
    let database = server.database();
    register_and_login(&server, "hans").close();
    server.stop();
    let connection = rusqlite::Connection::open(&database).expect("open");
    connection
        .execute_batch("INSERT INTO counter VALUES ('order:end:1', 5), ('order:purge', 5)")
        .expect("INSERT");
    drop(connection);
    server.restart();
    let mut hans = server.connect();
    hans.login("hans");
    let mut maria = register_and_login(&server, "maria");
    befriend(&mut hans, &mut maria);
    // This kick is obeyed, so orders have been looked for since; hans is still there.
    ctl(&database, &["user", "kick", "maria"]);
    maria.send("118");
    maria.expect("223 407");
    hans.silent();
    hans.send("118");
    hans.expect("223 400");
}

/// What somebody has registered with does nothing to the operator's terminal.
#[test]
fn what_others_wrote_is_harmless() {
    let server = TestServer::start();
    let mut mallory = server.connect();
    mallory.send(&format!(
        r#"117 mallory {PASSWORD} "a\u202e\u2066@b\u00ad" "x\u202egnp""#
    ));
    mallory.expect("222 400");
    let said = ctl(&server.database(), &["user", "show", "mallory"]);
    assert!(
        said.contains("a<U+202E><U+2066>@b<U+00AD>\n") && said.contains("x<U+202E>gnp\n"),
        "{said:?}"
    );
}

/// A link to the database is as good as its place: the log lies beside the file, not the link.
#[test]
fn a_database_behind_a_link_is_found_by_both() {
    // Before the server starts; the fourth word behind is the database. The link leads nowhere yet.
    let make_link = r#"mkdir -p "${4%/*}/disk" && ln -sf disk/real.db "$4""#;
    let mut server = TestServer::after_shell(make_link, &[]);
    let link = server.database();
    let directory = link.parent().expect("a directory").to_owned();
    let real = directory.join("disk/real.db");
    let mut hans = register_and_login(&server, "hans");
    for (path, user) in [(&real, "jane"), (&link, "joe")] {
        ctl_with(path, &["user", "add", user], "swordfish42\n");
    }
    ctl(&link, &["user", "kick", "hans"]);
    hans.send("118");
    hans.expect("223 407");
    let copy = directory.join("copy.db");
    ctl(&link, &["backup", text(&copy)]);
    let busy = refused(&link, &["restore", "--force", text(&copy)], "", 1);
    assert!(busy.contains("a server is using it"), "{busy}");
    assert!(real.with_extension("db-wal").exists());
    server.stop();
    ctl(&link, &["user", "delete", "--force", "joe"]);
    ctl(&link, &["restore", "--force", text(&copy)]);
    let kept = std::fs::symlink_metadata(&link).expect("the link");
    assert!(kept.is_symlink(), "the restore replaced the link");
    assert!(ctl(&real, &["user", "list"]).contains("joe"));
}

/// What the service is told by its settings reaches the tool in its environment too.
#[test]
fn the_environment_names_the_database() {
    let mut server = TestServer::start();
    server.connect().register("hans");
    let elsewhere = TempDir::new();
    let list = |variable: &Path, more: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_plauschctl"))
            .args(more)
            .args(["user", "list"])
            .env("PLAUSCHD_DATABASE", variable)
            .current_dir(elsewhere.path())
            .output()
            .expect("plauschctl");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(list(&server.database(), &[]).contains("hans"));
    // An option is nearer than the environment, and the environment than what lies here.
    let nothing = elsewhere.path().join("nothing.db");
    assert!(list(&nothing, &["-d", text(&server.database())]).contains("hans"));
    server.stop();
    std::fs::copy(server.database(), elsewhere.path().join("plausch.db")).expect("a copy");
    assert_eq!(list(&nothing, &[]), "");
    assert!(list(Path::new(""), &[]).contains("hans"));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What could not be typed again is no password, wherever it comes from.
#[test]
fn a_password_for_an_account_is_utf_8_or_none() {
    use std::os::unix::fs::PermissionsExt;
    let server = TestServer::start();
    let database = server.database();
    let place = database.to_str().expect("UTF-8");
    let directory = TempDir::new();
    let file = directory.path().join("password");
    let path = file.to_str().expect("UTF-8");
    let add = |name| {
        [
            "user",
            "add",
            name,
            "--scrypt",
            CHEAP_SCRYPT,
            "--password-file",
            path,
        ]
    };

    // From a file.
    std::fs::write(&file, "swordfish-ü\r\nmore\n").expect("written");
    let chmod = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("chmod");
    };
    chmod(0o600);
    let output = crate::support::ctl::run(&database, &add("otto"), "");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    assert_eq!(server.connect().ask("110 otto swordfish-ü"), "212 400 otto");
    chmod(0o644);
    let output = crate::support::ctl::run(&database, &add("olga"), "");
    let warned = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{warned}");
    assert!(
        warned.contains("others may read the password file"),
        "{warned}"
    );
    chmod(0o600);
    for (text, why) in [
        (&b"\n"[..], "first line is empty"),
        (b"swordfish-\xfc", "not UTF-8"),
    ] {
        std::fs::write(&file, text).expect("written");
        let said = refused(&database, &add("odo"), "", 1);
        assert!(said.contains(why) && !said.contains("swordfish"), "{said}");
    }
    // From standard input.
    let mut shell = std::process::Command::new("sh");
    shell.args([
        "-c",
        "printf 'swordfish-\\374\\n' | exec \"$0\" --database \"$1\" user add odo",
    ]);
    let output = shell
        .arg(env!("CARGO_BIN_EXE_plauschctl"))
        .arg(place)
        .output();
    let output = output.expect("started");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("standard input is not UTF-8"), "{said}");
    // Typed.
    let arguments = [
        "--database",
        place,
        "user",
        "add",
        "odo",
        "--scrypt",
        CHEAP_SCRYPT,
    ];
    let program = env!("CARGO_BIN_EXE_plauschctl");
    let mut operator = crate::support::typist::Typist::at(program, &arguments, &[]);
    operator.sees("New password: ");
    for _ in 0..3 {
        operator.enters(b"swordfish-\xfc\xf6");
        operator.sees("that is not UTF-8");
    }
    assert_eq!(operator.ends(), Some(1));
    let said = refused(&database, &["user", "show", "odo"], "", 1);
    assert!(said.contains("odo"), "{said}");
}
