//! The clock of TimeStamps.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock; TimeStamps are kept increasing whatever it does.
pub(crate) fn milliseconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
