//! `plauschctl health` and `plauschctl ping` tell the truth: of a server that is well, one that
//! hangs, one whose disk takes nothing more, and one that is not there.

use crate::support::client::TIMEOUT;
use crate::support::ctl::{ctl, refused};
use crate::support::people::pair;
use crate::support::server::{TestServer, signal};

#[test]
fn a_server_that_is_well_or_gone() {
    let mut server = TestServer::start();
    let (database, address) = (server.database(), server.addr().to_string());
    let said = ctl(&database, &["health"]);
    assert!(said.starts_with("ok: "), "{said}");
    let said = ctl(&database, &["ping", &address]);
    assert!(said.contains("store was not checked"), "{said}");
    server.stop();
    let said = refused(&database, &["health"], "", 1);
    assert!(said.contains("no server"), "{said}");
    refused(&database, &["ping", &address], "", 1);
    refused(&database, &["ping"], "", 2);
    refused(&database.with_extension("none"), &["health"], "", 1);
}

#[test]
fn a_server_that_hangs() {
    let server = TestServer::start();
    let (database, address) = (server.database(), server.addr().to_string());
    ctl(&database, &["health"]);
    signal("STOP", server.pid());
    let said = refused(&database, &["health"], "", 1);
    assert!(said.contains("does not respond"), "{said}");
    refused(&database, &["ping", &address], "", 1);
    signal("CONT", server.pid());
    ctl(&database, &["health"]);
}

/// No file may grow beyond a limit, as on a full disk: a pong still comes, messages are refused.
#[test]
fn a_server_whose_disk_takes_nothing_more() {
    let server = TestServer::after_shell("trap '' XFSZ; ulimit -f 4000", &["--explain"]);
    let (mut hans, _maria, chat) = pair(&server, "hans", "maria");
    let database = server.database();
    ctl(&database, &["health"]);
    let text = "x".repeat(8_000);
    let refused_at = (0..2_000).find(|_| {
        hans.send(&format!("115 {chat} {text}"));
        hans.recv().starts_with("211")
    });
    assert!(refused_at.is_some(), "the limit was never met");
    server.wait_for_log("failed", TIMEOUT);
    ctl(&database, &["ping", &server.addr().to_string()]);
    let said = refused(&database, &["health"], "", 1);
    assert!(said.contains("last transaction failed"), "{said}");
}
