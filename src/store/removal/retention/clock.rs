//! Whether the clock is to be believed, before anything is removed for its age.
//!
//! A board without a battery begins in 1970, and a mistyped date is a year ahead; messages that were
//! removed because of that do not come back when the clock is right. So a pass takes what the days
//! since the last one explain, and leaves the rest to a person (`plauschctl prune`).

use std::time::Instant;

use rusqlite::Connection;

use super::note_retained;
use crate::store::{Result, Source, StoreError, Tx};

const HOUR: i64 = 3_600 * 1_000;
const DAY: i64 = 24 * HOUR;

/// 2026-11-30T00:00Z, in milliseconds since 1970: no clock that is right was ever behind this. To be
/// moved on by each release.
const RELEASED: i64 = 1_795_996_800_000;

/// How long since the last pass the clock is believed across an end of the server, and how much
/// older than explained something may be.
const BELIEVED: i64 = 7 * DAY;

/// How far clock and TimeStamps may be apart: TimeStamps of a busy chat run ahead of the clock.
const SLACK: i64 = HOUR;

/// Why nothing, or nothing more, is removed in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The clock is behind the release or the newest TimeStamp.
    Behind,
    /// It has moved otherwise than time has, since the last look.
    Jumped,
    /// Older than the days since the last pass explain.
    TooOld,
}

#[derive(Default)]
pub(crate) struct Clock {
    /// When it was looked at last.
    last: Option<(Instant, i64)>,
    /// What was said last, so that it is not said each hour.
    said: Option<Doubt>,
    /// How much older than a pass's limit something may be, in milliseconds; below zero for nothing
    /// at all.
    pub(crate) span: Option<i64>,
}

impl Clock {
    /// Looks whether a pass may begin, at `now` in milliseconds since 1970.
    pub(crate) fn look(&mut self, tx: &Tx<'_>, now: i64) -> Result<Option<Doubt>, StoreError> {
        let before = self.last.replace((Instant::now(), now));
        if now < RELEASED || now < newest(tx.connection)?.saturating_sub(SLACK) {
            return Ok(Some(Doubt::Behind));
        }
        if let Some((then, wall)) = before {
            let passed = i64::try_from(then.elapsed().as_millis()).unwrap_or(i64::MAX);
            if now.saturating_sub(wall).abs_diff(passed) > SLACK.unsigned_abs() {
                return Ok(Some(Doubt::Jumped));
            }
        }
        let since = match tx.counter("retained")? {
            None => 0,
            // It was ahead then, and nothing was removed because of it.
            Some(last) if last > now => {
                note_retained(tx.connection, now)?;
                0
            }
            Some(last) => now - last,
        };
        self.span = Some(if since > BELIEVED {
            -1
        } else {
            since + BELIEVED
        });
        Ok(None)
    }

    /// Whether the days since the last pass are too many to be believed.
    pub(crate) fn is_strict(&self) -> bool {
        self.span.is_some_and(|span| span < 0)
    }

    /// Says once what keeps a pass from going on; None when nothing does any more.
    pub(crate) fn say(&mut self, doubt: Option<Doubt>) {
        if self.said == doubt {
            return;
        }
        self.said = doubt;
        match doubt {
            None => log::info!("the clock is believed again; what is old is removed"),
            Some(Doubt::Behind) => log::warn!(
                "nothing is removed for its age: the clock is behind the newest message or this \
                 release, so one of them is wrong"
            ),
            Some(Doubt::Jumped) => {
                log::warn!("nothing is removed for its age in this hour: the clock has jumped")
            }
            Some(Doubt::TooOld) => log::warn!(
                "something is much older than the days since the last pass explain, so the clock is \
                 or was wrong, or the server was off for more than a week: nothing more is removed \
                 until plauschctl prune --days N (or --media-days N) was run once"
            ),
        }
    }
}

/// TimeStamp of the newest message.
fn newest(connection: &Connection) -> Result<i64> {
    let newest = connection.value(
        "SELECT timestamp FROM message WHERE id = (SELECT max(id) FROM message)",
        [],
    )?;
    Ok(newest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::scratch::Scratch;

    #[test]
    fn a_clock_that_jumps_or_is_behind_is_not_believed() {
        let scratch = Scratch::new();
        let looks = move |tx: &mut Tx<'_>| {
            let mut clock = Clock::default();
            let mut look = |now| clock.look(tx, now);
            let now = RELEASED + 100 * DAY;
            let found = [
                look(RELEASED - 1)?,
                look(0)?,
                look(now)?,
                look(now)?,
                look(now + 2 * HOUR)?,
                look(now + 2 * HOUR + HOUR / 2)?,
                look(now)?,
            ];
            note_retained(tx.connection, now)?;
            let mut fresh = Clock::default();
            let spans: Vec<_> = [0, DAY, 8 * DAY]
                .map(|later| {
                    fresh.last = None;
                    fresh.look(tx, now + later).map(|doubt| (doubt, fresh.span))
                })
                .into_iter()
                .collect::<Result<_, _>>()?;
            // The one that was ahead is forgotten.
            fresh.last = None;
            fresh.look(tx, now - 50 * DAY)?;
            Ok((found, spans, tx.counter("retained")?, now))
        };
        let (found, spans, retained, now) = scratch.write(1, looks).unwrap();
        let (behind, jumped) = (Some(Doubt::Behind), Some(Doubt::Jumped));
        // The first one after a look that found it behind has jumped, and only that one.
        let expected = [behind, behind, jumped, None, jumped, None, jumped];
        assert_eq!(found, expected);
        let spans: Vec<_> = spans
            .into_iter()
            .map(|(doubt, span)| {
                assert_eq!(doubt, None);
                span.unwrap()
            })
            .collect();
        assert_eq!(spans, [BELIEVED, BELIEVED + DAY, -1]);
        assert_eq!(retained, Some(now - 50 * DAY));
    }
}
