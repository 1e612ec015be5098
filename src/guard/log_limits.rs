//! Log lines of which strangers could cause any number, where one kind is said in several places.

use crate::guard::log_limit::Complaint;

/// What is said when a limit bites, each kind with a measure of its own.
#[derive(Default)]
pub(crate) struct Complaints {
    /// `--max-clients` and `--max-per-ip`, and the system's limits.
    pub(crate) places: Complaint,
    /// `--proxy-from`.
    pub(crate) proxies: Complaint,
    /// `--login-grace`.
    pub(crate) grace: Complaint,
    /// `--login-delay`.
    pub(crate) logins: Complaint,
    /// `--register-rate`.
    pub(crate) registrations: Complaint,
    /// `--max-requests`.
    pub(crate) requests: Complaint,
    /// `--text-quota`.
    pub(crate) texts: Complaint,
    /// `--rate`.
    pub(crate) rate: Complaint,
    /// `--max-inflight`.
    pub(crate) inflight: Complaint,
    /// Connections that speak another protocol.
    pub(crate) foreign: Complaint,
    /// The longest line.
    pub(crate) lines: Complaint,
    /// `--max-media`, and the longest Message.
    pub(crate) values: Complaint,
    /// Why a line was answered by `210` or `211`; at level debug each of them is logged instead.
    pub(crate) refusals: Complaint,
    /// What the system has of memory.
    pub(crate) memory: Complaint,
}
