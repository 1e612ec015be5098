//! Media: probed as they arrive, one at a time, kept for a while, and saved to files.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::requests::{Asker, RequestKind};
use super::{Engine, Output, Waiter};
use crate::client::answers::ServerAnswer;
use crate::client::media;
use crate::client::options::Exit;
use crate::protocol::Request;

/// Fetched media are kept for `/save` up to this much.
const CACHE_MAX: usize = 32 << 20;

/// Media that wait for their probe; beyond that, their type and size stay unknown.
const TO_PROBE_MAX: usize = 32;

#[derive(Default)]
pub(super) struct MediaCache {
    to_probe: VecDeque<i64>,
    facts: HashMap<i64, (Option<String>, usize)>,
    /// The media themselves, oldest first.
    texts: VecDeque<(i64, String)>,
}

impl Engine {
    pub(super) fn show_media(&mut self, media: i64) -> bool {
        let Some((kind, size)) = self.media.facts.get(&media).cloned() else {
            return false;
        };
        self.show(Output::Media { media, kind, size });
        true
    }

    pub(super) fn probe_later(&mut self, media: i64) {
        if self.media.to_probe.len() < TO_PROBE_MAX {
            self.media.to_probe.push_back(media);
            self.probe_next();
        }
    }

    /// Fetches the next media, one at a time, so that other replies come in between.
    fn probe_next(&mut self) {
        if !self.is_online() || self.is_pending(&[RequestKind::Probe]) {
            return;
        }
        let Some(media) = self.media.to_probe.pop_front() else {
            return;
        };
        let request = Request::RequestMedia { media };
        self.send(&request, RequestKind::Probe, move |engine, answer| {
            match answer {
                Some(ServerAnswer::Media(text)) => engine.learn(media, text),
                Some(_) => {}
                None => return engine.media.to_probe.push_front(media),
            }
            engine.probe_next();
        });
    }

    fn learn(&mut self, media: i64, text: String) {
        self.media.facts.insert(media, media::facts(&text));
        let texts = &mut self.media.texts;
        texts.push_back((media, text));
        while texts.iter().map(|(_, text)| text.len()).sum::<usize>() > CACHE_MAX {
            texts.pop_front();
        }
        self.show_media(media);
    }

    pub(super) fn save(&mut self, media: i64, path: PathBuf, waiter: Waiter) {
        let mut texts = self.media.texts.iter();
        if let Some((_, text)) = texts.find(|(id, _)| *id == media) {
            let text = text.clone();
            return self.store(media, &text, &path);
        }
        let what = format!("media {media}");
        let mut asker = Asker::new(format!("/save {media}"), what, waiter);
        asker.kind = RequestKind::Download;
        let request = Request::RequestMedia { media };
        self.ask(&request, asker, move |engine, answer| {
            let ServerAnswer::Media(text) = answer else {
                return Err(answer);
            };
            engine.store(media, &text, &path);
            Ok(())
        });
    }

    fn store(&mut self, media: i64, text: &str, path: &Path) {
        let bytes = media::to_bytes(text);
        let kind = media::facts(text).0;
        let kind = kind.as_deref().unwrap_or("unknown type");
        let shown = path.display();
        match write(path, &bytes, self.options.strict) {
            Ok(()) => {
                let size = media::size(bytes.len() as u64);
                self.note(format!("media {media} ({kind}, {size}) is in {shown}"));
            }
            Err(error) => {
                self.problem(format!("{shown} cannot be written: {error}"), Exit::Failed);
            }
        }
    }
}

/// To a new file; a script may write over one, or to standard output.
fn write(path: &Path, bytes: &[u8], script: bool) -> io::Result<()> {
    if script && path == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        return out.flush();
    }
    let mut file = match script {
        true => File::create(path)?,
        false => OpenOptions::new().write(true).create_new(true).open(path)?,
    };
    file.write_all(bytes)?;
    file.sync_all().or_else(|error| match error.kind() {
        // Pipes and devices cannot be synced, and need not be.
        io::ErrorKind::InvalidInput => Ok(()),
        _ => Err(error),
    })
}
