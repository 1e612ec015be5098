//! Progress of long transfers, for people: which uploads there are, and what to say when.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::TICK;
use crate::client::connection::ServerConnection;
use crate::client::media;

const TELL_PROGRESS: Duration = Duration::from_secs(2);

/// Size in bytes from which the progress of a request or reply is shown.
const LARGE: u64 = 64 * 1024;

struct UploadProgress {
    name: String,
    /// Its place among all bytes of the connection.
    bytes: Range<u64>,
    told: Instant,
}

#[derive(Default)]
pub(super) struct Transfers {
    uploads: VecDeque<UploadProgress>,
    download_told: Option<Instant>,
}

impl Transfers {
    pub(super) fn is_uploading(&self) -> bool {
        !self.uploads.is_empty()
    }

    pub(super) fn uploading(&mut self, name: &str, bytes: Range<u64>) {
        if bytes.end - bytes.start >= LARGE {
            self.uploads.push_back(UploadProgress {
                name: name.to_owned(),
                bytes,
                told: Instant::now(),
            });
        }
    }

    /// The oldest upload is acknowledged; it is among these if it is large.
    pub(super) fn uploaded(&mut self, name: &str) {
        self.uploads.pop_front_if(|upload| upload.name == name);
    }

    pub(super) fn report(&mut self, connection: &ServerConnection, now: Instant) -> Vec<String> {
        let is_due = |told: Instant| now.saturating_duration_since(told) >= TELL_PROGRESS - TICK;
        let mut texts = Vec::new();
        if let Some(upload) = self
            .uploads
            .front_mut()
            .filter(|upload| is_due(upload.told))
        {
            upload.told = now;
            let Range { start, end } = upload.bytes;
            let (all, name) = (end - start, &upload.name);
            let done = connection.arrived().clamp(start, end) - start;
            let percent = done * 100 / all.max(1);
            let (done, all) = (media::size(done), media::size(all));
            texts.push(format!("sending {name}: {percent} % ({done} of {all})"));
        }
        let so_far = connection.line_so_far();
        if so_far < LARGE {
            self.download_told = None;
        } else if is_due(*self.download_told.get_or_insert(now)) {
            self.download_told = Some(now);
            texts.push(format!("receiving media: {} so far", media::size(so_far)));
        }
        texts
    }
}
