//! The system has no memory to give for what a connection sends: that line is refused, and nobody
//! else notices. `scripts/faults-limits` tries the same with a storm, from the start on.

use crate::support::people::pair;
use crate::support::server::TestServer;
use crate::support::system::{limit_writable_memory, wait_for, writable_memory};
use std::time::{Duration, Instant};

/// What the server leaves free for small things, see src/protocol/memory.rs.
const HEADROOM: u64 = 4 << 20;

/// What is left to it beside that, from step to step.
const STEP: u64 = 512 << 10;
const STEPS: u64 = 10;

/// Sessions that have been quiet for two seconds move to other threads, and give memory back.
const QUIET: Duration = Duration::from_secs(3);

/// The memory of a server that does nothing, in bytes.
fn settled(pid: u32) -> u64 {
    let mut last = (writable_memory(pid), Instant::now());
    wait_for("nothing changes any more", 10 * QUIET, || {
        let now = writable_memory(pid);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() >= QUIET).then_some(now)
    })
}

#[test]
fn a_line_without_memory_is_refused_and_the_server_lives() {
    let mut server = TestServer::with(&["--explain"]);
    let (mut hans, mut maria, chat) = pair(&server, "hans", "maria");
    // A name as long as this is only echoed where there is a login.
    let long = |bytes: usize| "x".repeat(bytes);
    let lines = [
        ("the line", format!("115 {chat} \"m\" {}", long(7 << 20))),
        (
            "a value with escapes",
            format!("115 {chat} \"m\" \"{}\\n\"", long(1_600_000)),
        ),
        ("the copy for an echo", format!("134 {}", long(1_600_000))),
        ("the reply of an echo", format!("134 {}", long(900_000))),
        ("a name", format!("110 {} password", long(1_600_000))),
    ];
    let base = settled(server.pid()) + HEADROOM;
    let mut refused = [0; 5];
    for step in 0..STEPS {
        limit_writable_memory(server.pid(), Some(base + step * STEP));
        for ((what, line), refused) in lines.iter().zip(&mut refused) {
            // The lack may come anywhere on the way: in the line, a value, a copy, or the reply.
            hans.send(line);
            let answer = hans.recv();
            if answer.starts_with("211 ") {
                assert!(answer.contains("short of memory"), "{what}: {answer}");
                *refused += 1;
            } else if answer.starts_with("219 400") {
                assert!(maria.recv().starts_with("220 "));
            }
            // The rest of the line was swallowed, the connection goes on, and so do others.
            assert_eq!(hans.ask("134 still-there"), "247 still-there", "{what}");
            maria.say(chat, what);
            assert_eq!(hans.recv_push().message, *what);
        }
    }
    assert!(refused.iter().all(|&times| times > 0), "{refused:?}");
    server.wait_for_log(
        "there is no memory for what it sent",
        Duration::from_secs(5),
    );

    limit_writable_memory(server.pid(), None);
    for (what, line) in &lines {
        hans.send(line);
        let answer = hans.recv();
        assert!(!answer.starts_with("211"), "{what}: {answer}");
    }
    server.stop();
}
