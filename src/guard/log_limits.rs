//! Log lines of which strangers could cause any number, where one kind is said in several places.

use crate::guard::log_limit::LogLimit;

/// What is said when a limit bites, each kind with a measure of its own.
#[derive(Default)]
pub(crate) struct LogLimits {
    /// `--max-clients` and `--max-per-ip`, and the system's limits.
    pub(crate) places: LogLimit,
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
