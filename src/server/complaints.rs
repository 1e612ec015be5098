//! Log lines of which strangers could cause any number, where one kind is said in several places.

use crate::complaint::Complaint;

/// What is said when a limit bites, each kind with a measure of its own.
#[derive(Default)]
pub struct Complaints {
    /// `--max-clients` and `--max-per-ip`, and the system's limits.
    pub places: Complaint,
    /// `--proxy-from`.
    pub proxies: Complaint,
    /// `--login-grace`.
    pub grace: Complaint,
    /// `--login-delay`.
    pub logins: Complaint,
    /// `--register-rate`.
    pub registrations: Complaint,
    /// `--max-requests`.
    pub requests: Complaint,
    /// `--text-quota`.
    pub texts: Complaint,
    /// `--rate`.
    pub rate: Complaint,
    /// `--max-inflight`.
    pub inflight: Complaint,
    /// Connections that speak another protocol.
    pub foreign: Complaint,
    /// The longest line.
    pub lines: Complaint,
    /// `--max-media`, and the longest Message.
    pub values: Complaint,
    /// Why a line was answered by `210` or `211`; at level debug each of them is logged instead.
    pub refusals: Complaint,
    /// What the system has of memory.
    pub memory: Complaint,
}
