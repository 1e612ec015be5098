//! The local time, which the terminal client shows.

use std::mem::MaybeUninit;

/// A time as the clock on the wall shows it, by `TZ` or the system's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalTime {
    /// Year, month from 1 on, day of the month from 1 on.
    pub(crate) date: (i64, u8, u8),
    /// 0 to 23.
    pub(crate) hour: u8,
    /// 0 to 59.
    pub(crate) minute: u8,
}

/// The local time of a count of milliseconds since 1970-01-01T00:00:00Z; `None` when it is too far
/// away for a calendar.
pub(crate) fn local_time(milliseconds: i64) -> Option<LocalTime> {
    let seconds = libc::time_t::try_from(milliseconds.div_euclid(1000)).ok()?;
    let mut broken = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid through the call, and localtime_r, unlike localtime, keeps
    // nothing of them. It reads TZ, which nothing here changes. Zero is valid for each field.
    let broken = unsafe {
        if libc::localtime_r(&raw const seconds, broken.as_mut_ptr()).is_null() {
            return None;
        }
        broken.assume_init()
    };
    let small = |number: libc::c_int| u8::try_from(number).ok();
    Some(LocalTime {
        date: (
            i64::from(broken.tm_year) + 1900,
            small(broken.tm_mon)? + 1,
            small(broken.tm_mday)?,
        ),
        hour: small(broken.tm_hour)?,
        minute: small(broken.tm_min)?,
    })
}
