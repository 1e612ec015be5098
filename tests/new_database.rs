//! A database that is not there: it is made, loudly, and a second one never is where `--marker` says
//! that there was one.

use crate::support::client::TIMEOUT;
use crate::support::people::{pair, register_and_login};
use crate::support::server::{self, TestServer};
use crate::support::system::TempDir;
use std::fs;
use std::path::Path;

/// A server that must not start; the line with which it ends.
fn refused(database: &Path, marker: &Path) -> String {
    server::refused(&[
        "--database".as_ref(),
        database.as_ref(),
        "--marker".as_ref(),
        marker.as_ref(),
    ])
}

/// The log says which database it is, that it is new, and what an older one holds.
#[test]
fn the_start_says_which_database_it_is_and_what_it_holds() {
    let mut server = TestServer::start();
    let line = server.wait_for_log("NEW", TIMEOUT);
    let name = server.database().display().to_string();
    assert!(line.contains("WARN") && line.contains(&name), "{line}");
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    hans.say_all(chat, (0..30).map(|number| number.to_string()));
    server.restart();
    let line = server.wait_for_log("2 accounts", TIMEOUT);
    assert!(
        line.contains(&name) && line.contains("30 messages"),
        "{line}"
    );
    let news = server
        .log()
        .iter()
        .filter(|line| line.contains("NEW"))
        .count();
    assert_eq!(news, 1);
}

/// A disk that is not mounted at boot: the directory is there and empty.
#[test]
fn no_second_database_is_made_where_the_marker_says_that_there_was_one() {
    let elsewhere = TempDir::new();
    let marker = elsewhere.path().join("marker");
    let option = marker.to_str().expect("UTF-8");
    let mut server = TestServer::with(&["--marker", option]);
    register_and_login(&server, "hans").close();
    let text = fs::read_to_string(&marker).expect("a marker");
    let database = server.database();
    assert!(text.contains(database.to_str().expect("UTF-8")), "{text}");
    server.stop();

    let away = database.with_extension("away");
    fs::rename(&database, &away).expect("rename");
    let said = refused(&database, &marker);
    assert!(said.contains("mounted") && said.contains(option), "{said}");
    assert!(!database.exists(), "one was made");
    // An empty file is no database either.
    fs::write(&database, "").expect("write");
    assert!(refused(&database, &marker).contains("mounted"));
    assert_eq!(fs::metadata(&database).expect("metadata").len(), 0);

    fs::rename(&away, &database).expect("rename");
    server.restart();
    server.connect().login("hans");
    server.stop();
    // Whoever wants an empty one says so.
    fs::remove_file(&database).expect("remove_file");
    fs::remove_file(&marker).expect("remove_file");
    server.restart();
    assert!(
        server
            .connect()
            .ask("110 hans geheim-12345")
            .starts_with("212 406")
    );
    assert!(marker.exists(), "and from then on it is marked again");
}

/// A marker for a database that was made before there was one.
#[test]
fn a_database_that_is_there_is_marked_and_one_that_cannot_be_is_not_begun() {
    let mut server = TestServer::start();
    register_and_login(&server, "hans").close();
    server.stop();
    let elsewhere = TempDir::new();
    let nowhere = elsewhere.path().join("nowhere/marker");
    let said = refused(&server.database(), &nowhere);
    assert!(
        said.contains("--marker") && said.contains("nowhere"),
        "{said}"
    );
}
