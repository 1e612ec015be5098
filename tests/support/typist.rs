//! Somebody at a terminal that need not be set to UTF-8: types bytes.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::client::TIMEOUT;
use super::system::wait_for;

/// A program in a pseudo-terminal, by script(1), which hands on each byte as it is.
pub struct Typist {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    seen: usize,
}

impl Typist {
    /// Starts the program with these arguments and nothing but these variables.
    pub fn at(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Typist {
        let words = arguments.iter().map(|word| format!("'{word}'"));
        let line = words.fold(format!("exec '{program}'"), |line, word| line + " " + &word);
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("script(1)");
        let keys = child.stdin.take().expect("keys");
        let mut screen = child.stdout.take().expect("a screen");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                sink.lock()
                    .expect("screen")
                    .extend_from_slice(&bytes[..count]);
            }
        });
        Typist {
            child,
            keys,
            shown,
            seen: 0,
        }
    }

    /// Waits until the text appears behind what was seen before.
    pub fn sees(&mut self, text: &str) {
        let shown = Arc::clone(&self.shown);
        let from = self.seen;
        self.seen = wait_for(&format!("`{text}` on the screen"), TIMEOUT, || {
            let shown = shown.lock().expect("screen");
            let at = shown[from..]
                .windows(text.len())
                .position(|it| it == text.as_bytes());
            at.map(|at| from + at + text.len())
        });
    }

    /// Types a line and Enter.
    pub fn enters(&mut self, line: &[u8]) {
        let typed = [line, b"\r"].concat();
        self.keys.write_all(&typed).expect("typed");
        self.keys.flush().expect("typed");
    }

    /// All that was on the screen.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("screen")).into_owned()
    }

    /// The program ends by itself; its exit code.
    pub fn ends(&mut self) -> Option<i32> {
        let status = wait_for("the program's end", TIMEOUT, || {
            self.child.try_wait().expect("try_wait")
        });
        status.code()
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
