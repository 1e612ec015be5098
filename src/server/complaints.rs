//! Log lines of which strangers could cause any number: one at a time, so that a log is no way to
//! fill a disk.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::store::lock;

/// Between two lines of one kind.
const PAUSE: Duration = Duration::from_secs(10);

/// What is said when a limit bites, each kind with a measure of its own.
#[derive(Default)]
pub struct Complaints {
    /// `--max-clients` and `--max-per-ip`, and the system's limits.
    pub places: Complaint,
    /// `--login-grace`.
    pub grace: Complaint,
    /// `--login-delay`.
    pub logins: Complaint,
    /// `--register-rate`.
    pub registrations: Complaint,
    /// `--max-requests`.
    pub requests: Complaint,
    /// `--rate`.
    pub rate: Complaint,
    /// `--max-inflight`.
    pub inflight: Complaint,
    /// The longest line.
    pub lines: Complaint,
    /// `--max-media`, and the longest Message.
    pub values: Complaint,
    /// Why a line was answered by `210` or `211`; at level debug each of them is logged instead.
    pub refusals: Complaint,
    /// What the system has of memory.
    pub memory: Complaint,
}

/// One kind of log line: the first is written at once, further ones at most every ten seconds, with
/// the number of those left out.
#[derive(Default)]
pub struct Complaint {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Complaint {
    /// Writes a warning, unless one was written a moment ago.
    pub fn warn(&self, line: fmt::Arguments<'_>) {
        self.log(log::Level::Warn, line);
    }

    /// The same for what is nothing to look into.
    pub fn info(&self, line: fmt::Arguments<'_>) {
        self.log(log::Level::Info, line);
    }

    fn log(&self, level: log::Level, line: fmt::Arguments<'_>) {
        match self.due(Instant::now()) {
            None => {}
            Some(0) => log::log!(level, "{line}"),
            Some(left_out) => log::log!(level, "{line} ({left_out} such lines were left out)"),
        }
    }

    /// How many were left out before, if it is time for another.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut state = lock(&self.state);
        let early = |last| now.saturating_duration_since(last) < PAUSE;
        if state.last.is_some_and(early) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_and_the_number_of_the_others() {
        let complaint = Complaint::default();
        let start = Instant::now();
        assert_eq!(complaint.due(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(complaint.due(start + PAUSE / 2), None);
        }
        assert_eq!(complaint.due(start + PAUSE), Some(1000));
        assert_eq!(complaint.due(start + PAUSE * 3 / 2), None);
        assert_eq!(complaint.due(start + PAUSE * 3), Some(1));
    }
}
