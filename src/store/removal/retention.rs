//! Removing what is old: messages that have arrived, and media.
//!
//! Ids grow with time, so a walk goes up the ids from where the last one ended (a row in `counter`) to
//! the first message that is not old yet: nothing is looked at twice, and nothing is scanned. An old
//! message that has not arrived stays; its lane is noted in `held_lane` and looked at in each pass.
//!
//! What had to be held stays a further day once it has arrived, so that somebody who was away for
//! long can fetch the media of what he is told.
//!
//! All of it is done in short slices with long pauses, in transactions of the maintenance thread's own.

use std::time::{Duration, Instant};

use crate::guard::log_limit::log_limited;
use crate::ids::{ChatId, Lane, MediaId};
use crate::store::{Limits, Result, Source, StoreError, Tx};
use clock::{Clock, Doubt};
use slice::Slice;

mod clock;
mod slice;

/// Time between two passes.
const PASS: Duration = Duration::from_secs(3_600);

/// How long a slice goes on; its COMMIT, and a checkpoint now and then, come on top.
const SLICE: Duration = Duration::from_millis(4);

/// Messages and media looked at in one slice. Each may dirty a page of the lanes' index of its own,
/// and all of those are written to the database, and synced, by the checkpoint behind the slice.
const MOST: u32 = 96;

/// The pause after a slice, as a multiple of what the slice took: retention is never urgent.
const PAUSES: u32 = 4;

const AGAIN: Duration = Duration::from_secs(60);

/// When to look for what is old, and how far the looking has come.
#[derive(Default)]
pub(crate) struct Retention {
    /// How old they become, in milliseconds.
    messages: Option<i64>,
    media: Option<i64>,
    /// None when nothing is ever removed.
    next: Option<Instant>,
    began: Option<Instant>,
    stage: Stage,
    removed_messages: u64,
    removed_media: u64,
    clock: Clock,
    /// Something was older than the days since the last pass explain.
    too_old: bool,
    begun: bool,
    /// The longest that a slice of this pass has held up everybody else, its COMMIT included.
    longest: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Messages,
    /// Lanes above this one.
    HeldLanes(Option<Lane>),
    Media,
    /// Media above this id.
    HeldMedia(Option<MediaId>),
}

impl Retention {
    pub(crate) fn new(limits: &Limits) -> Retention {
        let milliseconds = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let some = limits.keep_messages.is_some() || limits.keep_media.is_some();
        Retention {
            messages: limits.keep_messages.map(milliseconds),
            media: limits.keep_media.map(milliseconds),
            next: some.then(Instant::now),
            ..Retention::default()
        }
    }

    pub(crate) fn pause(&self) -> Duration {
        self.next.map_or(Duration::MAX, |next| {
            next.saturating_duration_since(Instant::now())
        })
    }

    pub(crate) fn is_due(&self) -> bool {
        self.next.is_some_and(|next| Instant::now() >= next)
    }

    /// One slice as [`Retention::step`], if the clock is to be believed.
    pub(crate) fn careful_step(
        &mut self,
        tx: &mut Tx<'_>,
        now: i64,
        pinned: impl Fn(ChatId) -> bool,
    ) -> Result<bool, StoreError> {
        if !self.begun {
            if let Some(doubt) = self.clock.look(tx, now)? {
                self.clock.say(Some(doubt));
                return Ok(true);
            }
            self.begun = true;
        }
        let ended = self.step(tx, now, pinned)?;
        if ended {
            self.begun = false;
            self.clock.say(self.too_old.then_some(Doubt::TooOld));
            if !self.too_old {
                note_retained(tx.connection, now)?;
            }
            self.too_old = false;
        }
        Ok(ended)
    }

    /// One slice inside an open transaction; true when the pass has come to its end. `now` is in
    /// milliseconds since 1970.
    pub(crate) fn step(
        &mut self,
        tx: &mut Tx<'_>,
        now: i64,
        pinned: impl Fn(ChatId) -> bool,
    ) -> Result<bool, StoreError> {
        let began = Instant::now();
        self.began = Some(began);
        let mut slice = Slice::new(tx, now, pinned, began + SLICE, MOST);
        slice.span = self.clock.span;
        let ended = self.stages(&mut slice)?;
        self.too_old |= slice.too_old;
        self.removed_messages += slice.messages;
        self.removed_media += slice.media;
        Ok(ended)
    }

    fn stages(
        &mut self,
        slice: &mut Slice<'_, '_, impl Fn(ChatId) -> bool>,
    ) -> Result<bool, StoreError> {
        // Their further day is counted by the same clock.
        let strict = self.clock.is_strict();
        let before = |age: i64| slice.now.saturating_sub(age);
        let (messages, media) = (self.messages.map(before), self.media.map(before));
        loop {
            // Each returns where to go on when the slice has to end within it.
            let (unfinished, next) = match (self.stage, messages, media) {
                (Stage::Messages, Some(cutoff), _) => (
                    slice.messages(cutoff)?.then_some(Stage::Messages),
                    Some(Stage::HeldLanes(None)),
                ),
                (Stage::HeldLanes(_), _, _) if strict => (None, Some(Stage::Media)),
                (Stage::HeldMedia(_), _, _) if strict => (None, None),
                (Stage::HeldLanes(mut after), Some(cutoff), _) => {
                    let unfinished = slice.held_lanes(&mut after, cutoff)?;
                    (
                        unfinished.then_some(Stage::HeldLanes(after)),
                        Some(Stage::Media),
                    )
                }
                (Stage::Messages | Stage::HeldLanes(_), None, _) => (None, Some(Stage::Media)),
                (Stage::Media, _, Some(cutoff)) => (
                    slice.media(cutoff)?.then_some(Stage::Media),
                    Some(Stage::HeldMedia(None)),
                ),
                (Stage::HeldMedia(after), _, Some(cutoff)) => {
                    let unfinished = slice.held_media(after, cutoff)?;
                    (unfinished.map(|id| Stage::HeldMedia(Some(id))), None)
                }
                (Stage::Media | Stage::HeldMedia(_), _, None) => (None, None),
            };
            if let Some(stage) = unfinished {
                self.stage = stage;
                return Ok(false);
            }
            self.stage = next.unwrap_or_default();
            if next.is_none() {
                return Ok(true);
            }
        }
    }

    /// Plans the next slice, after the transaction of this one.
    pub(crate) fn stepped(&mut self, result: Result<bool, StoreError>) {
        let now = Instant::now();
        let took = self.began.map_or(Duration::ZERO, |began| now - began);
        self.longest = self.longest.max(took);
        self.next = Some(match result {
            Ok(false) => now + took.max(SLICE) * PAUSES,
            Ok(true) => {
                if self.removed_messages + self.removed_media > 0 {
                    log::info!(
                        "retention has removed {} old messages, and media of {} kept ones, in steps \
                         of at most {:.1} ms",
                        self.removed_messages,
                        self.removed_media,
                        self.longest.as_secs_f64() * 1_000.0
                    );
                }
                self.longest = Duration::ZERO;
                (self.removed_messages, self.removed_media) = (0, 0);
                now + PASS
            }
            Err(error) => {
                log_limited!(
                    Warn,
                    "old messages could not be removed, to be tried again: {error}"
                );
                self.stage = Stage::default();
                self.begun = false;
                now + AGAIN
            }
        });
    }
}

/// Notes that what was old at `now` has been removed, by the server or by a person who believes the
/// clock: what has become old since may be removed without one.
pub(crate) fn note_retained(source: &impl Source, now: i64) -> Result<()> {
    source.set_counter("retained", now)
}
