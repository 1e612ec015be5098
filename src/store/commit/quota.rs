//! How much may be kept. Decided inside the job that would keep it, so nothing can come in between.

use std::time::Duration;

use rusqlite::Connection;

use crate::guard::log_limit::log_limited;
use crate::ids::UserId;
use crate::store::{Result, Source, StoreError};

/// What an operator allows; the default allows everything and keeps it for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of media that one user may have in the database; 0 for no limit.
    pub media_quota: u64,
    /// Bytes of text of one user that may wait to be received; 0 for no limit.
    pub text_quota: u64,
    /// Bytes of the database that may be in use before nothing is added any more; pages that are
    /// free inside the file do not count. 0 for no limit.
    pub max_database: u64,
    /// Messages that have arrived are removed when they are older; None: never.
    pub keep_messages: Option<Duration>,
    /// The same for media alone.
    pub keep_media: Option<Duration>,
}

pub(super) fn has_room(connection: &Connection, limits: &Limits) -> Result<bool, StoreError> {
    let most = limits.max_database;
    if most == 0 {
        return Ok(true);
    }
    // All three are numbers in the header or in memory; inside a transaction they count what
    // it has done so far.
    let number = |pragma: &str| -> Result<u64> {
        connection
            .one::<i64>(pragma, [])
            .map(|number| u64::try_from(number).unwrap_or(0))
    };
    let pages = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
    let used = pages.saturating_mul(number("PRAGMA page_size")?);
    if used < most {
        return Ok(true);
    }
    log_limited!(
        Warn,
        "the database has reached --max-database: {used} of {most} bytes are in use; \
         nothing is added until something is deleted"
    );
    Ok(false)
}

/// Whether a user whose media take up `used` bytes may have `size` more.
pub(crate) fn has_media_quota(limits: &Limits, user: UserId, used: u64, size: u64) -> bool {
    let most = limits.media_quota;
    let fits = most == 0 || used.saturating_add(size) <= most;
    if !fits {
        log_limited!(
            Warn,
            "user {user} has reached --media-quota: {used} of {most} bytes are in use, \
             {size} more were refused"
        );
    }
    fits
}
