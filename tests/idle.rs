//! Connections at rest are cheap: one thread each, no buffers.

use crate::support::client::{Client, TIMEOUT};
use crate::support::server::TestServer;
use crate::support::system::{raise_open_files, threads, wait_for};

const CONNECTIONS: u64 = 2000;
const EACH_KIB: f64 = 16.0;

#[test]
fn two_thousand_idle_connections() {
    raise_open_files(CONNECTIONS + 100);
    let server = TestServer::with(&["--max-per-ip", "0"]);
    // What the server needs once, it has needed after this.
    let mut first = server.connect();
    first.register("user0");
    first.login("user0");
    let (before, idle) = (server.rss_kib(), threads(server.pid()));
    let mut clients: Vec<Client> = (1..=CONNECTIONS)
        .map(|index| {
            let mut client = server.connect();
            let name = format!("user{index}");
            client.register(&name);
            client.login(&name);
            client
        })
        .collect();
    // What a login needed is given back when the connection has come to rest.
    wait_for("the threads that worked have ended", TIMEOUT, || {
        (threads(server.pid()) <= idle + CONNECTIONS as usize).then_some(())
    });
    let mut each = f64::INFINITY;
    wait_for("the memory is given back", TIMEOUT, || {
        let now = (server.rss_kib() as f64 - before as f64) / CONNECTIONS as f64;
        if now < each {
            each = now;
            println!("{each:.1} KiB resident for each of {CONNECTIONS} connections");
        }
        (each <= EACH_KIB).then_some(())
    });
    for client in &mut clients {
        client.silent();
    }
}
