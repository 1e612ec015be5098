//! The engine's long transfers: which there are, and how far they are.

use std::time::{Duration, Instant};

use super::{Engine, Front, Purpose, TICK, Upload};
use crate::client::media;

/// How often progress is told.
const TELL_PROGRESS: Duration = Duration::from_secs(2);

/// Requests of at least this size are worth telling the progress of.
const LARGE: usize = 64 * 1024;

impl<F: Front> Engine<F> {
    /// Notes a message that takes a while.
    pub(super) fn note_upload(&mut self, name: &str, (start, end): (u64, u64)) {
        if end - start >= LARGE as u64 {
            self.uploads.push_back(Upload {
                name: name.to_owned(),
                start,
                end,
                told: Instant::now(),
            });
        }
    }

    /// Whether a reply with media is awaited.
    pub(super) fn awaits_media(&self) -> bool {
        let media = |purpose: &Purpose| matches!(purpose, Purpose::Facts(_) | Purpose::Save { .. });
        self.answers.waiting().any(media)
    }

    /// Tells how far long transfers are.
    pub(super) fn look_at_transfers(&mut self, now: Instant) {
        let Some(connection) = &self.connection else {
            return;
        };
        let (arrived, so_far) = (connection.arrived(), connection.line_so_far());
        let mut told = Vec::new();
        if let Some(upload) = self.uploads.front_mut()
            && now.saturating_duration_since(upload.told) >= TELL_PROGRESS - TICK
        {
            upload.told = now;
            let all = upload.end - upload.start;
            let done = arrived.clamp(upload.start, upload.end) - upload.start;
            let (percent, name) = (done * 100 / all.max(1), &upload.name);
            let (done, all) = (media::size(done), media::size(all));
            told.push(format!("sending {name}: {percent} % ({done} of {all})"));
        }
        if so_far >= LARGE as u64 {
            let begun = *self.download_told.get_or_insert(now);
            if now.saturating_duration_since(begun) >= TELL_PROGRESS - TICK {
                self.download_told = Some(now);
                told.push(format!("receiving media: {} so far", media::size(so_far)));
            }
        } else {
            self.download_told = None;
        }
        for text in told {
            self.note(text);
        }
    }
}
