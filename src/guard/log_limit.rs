//! The log's rate limit: lines that can recur without end, because strangers cause them or because a
//! fault lasts, cannot fill a disk. Every room logs by it; each kind of line has a lock of its own.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::lock;

/// Between two lines of one kind.
const PAUSE: Duration = Duration::from_secs(10);

/// Where lines come from whose kind is said in several places.
const SERVER: &str = "plausch::server";

/// Logs a line as `log::log!` does, with a limit of its own for this place in the source: the first
/// is written at once, further ones at most every ten seconds, with the number of those left out.
/// Every line of a running server that can recur is written this way, or by a [`LogLimit`].
macro_rules! log_limited {
    ($level:ident, $($line:tt)+) => {{
        static HERE: $crate::guard::log_limit::LogLimit = $crate::guard::log_limit::LogLimit::new();
        HERE.log(module_path!(), log::Level::$level, format_args!($($line)+));
    }};
}

pub(crate) use log_limited;

/// One kind of log line: the first is written at once, further ones at most every ten seconds, with
/// the number of those left out.
#[derive(Default)]
pub(crate) struct LogLimit {
    state: Mutex<LimitState>,
}

#[derive(Default)]
struct LimitState {
    last: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    /// One of which nothing was written yet.
    pub(crate) const fn new() -> LogLimit {
        LogLimit {
            state: Mutex::new(LimitState {
                last: None,
                left_out: 0,
            }),
        }
    }

    /// Writes a warning, unless one was written a moment ago.
    pub(crate) fn warn(&self, line: fmt::Arguments<'_>) {
        self.log(SERVER, log::Level::Warn, line);
    }

    /// The same for what is nothing to look into.
    pub(crate) fn info(&self, line: fmt::Arguments<'_>) {
        self.log(SERVER, log::Level::Info, line);
    }

    /// Writes a line of the module `target`, unless one was written a moment ago.
    pub(crate) fn log(&self, target: &str, level: log::Level, line: fmt::Arguments<'_>) {
        match self.due(Instant::now()) {
            None => {}
            Some(0) => log::log!(target: target, level, "{line}"),
            Some(left_out) => {
                log::log!(target: target, level, "{line} ({left_out} such lines were left out)")
            }
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

/// The kinds of lines that several places log, each with a limit of its own.
#[derive(Default)]
pub(crate) struct LogLimits {
    /// `--max-clients` and `--max-per-ip`, and the system's limits.
    pub(crate) slots: LogLimit,
    /// `--proxy-from`.
    pub(crate) proxies: LogLimit,
    /// `--login-grace`.
    pub(crate) grace: LogLimit,
    /// `--login-delay`.
    pub(crate) logins: LogLimit,
    /// `--register-rate`.
    pub(crate) registrations: LogLimit,
    /// `--max-requests`.
    pub(crate) requests: LogLimit,
    /// `--text-quota`.
    pub(crate) texts: LogLimit,
    /// `--rate`.
    pub(crate) rate: LogLimit,
    /// `--max-inflight`.
    pub(crate) inflight: LogLimit,
    /// Connections that speak another protocol.
    pub(crate) foreign: LogLimit,
    /// The longest line.
    pub(crate) lines: LogLimit,
    /// `--max-media`, and the longest Message.
    pub(crate) values: LogLimit,
    /// Why a line was answered by `210` or `211`; at level debug each of them is logged instead.
    pub(crate) refusals: LogLimit,
    /// What the system has of memory.
    pub(crate) memory: LogLimit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_and_the_number_of_the_others() {
        let limit = LogLimit::default();
        let start = Instant::now();
        assert_eq!(limit.due(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(limit.due(start + PAUSE / 2), None);
        }
        assert_eq!(limit.due(start + PAUSE), Some(1000));
        assert_eq!(limit.due(start + PAUSE * 3 / 2), None);
        assert_eq!(limit.due(start + PAUSE * 3), Some(1));
    }
}
