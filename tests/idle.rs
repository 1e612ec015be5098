//! Connections at rest are cheap: one thread each, no buffers. A program of its own, so that nothing
//! else disturbs the figures.

mod support;

use std::thread;
use std::time::{Duration, Instant};
use support::client::Client;
use support::server::TestServer;
use support::system::raise_open_files;

const CONNECTIONS: u64 = 2000;
const EACH_KIB: f64 = 16.0;

/// How long it may take until all threads that wrote have ended.
const REST: Duration = Duration::from_secs(20);

#[test]
fn two_thousand_idle_connections() {
    raise_open_files(CONNECTIONS + 100);
    let server = TestServer::with(&["--max-per-ip", "0"]);
    // What the server needs once, it has needed after this.
    let mut first = server.connect();
    first.register("user0");
    first.login("user0");
    let before = server.rss_kib();
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
    let rested = Instant::now() + REST;
    let mut each = EACH_KIB + 1.0;
    while each > EACH_KIB && Instant::now() < rested {
        thread::sleep(Duration::from_millis(100));
        each = (server.rss_kib() as f64 - before as f64) / CONNECTIONS as f64;
    }
    println!("{each:.1} KiB resident for each of {CONNECTIONS} connections");
    assert!(each <= EACH_KIB, "{each:.1} KiB for each connection");
    for client in &mut clients {
        client.silent();
    }
}
