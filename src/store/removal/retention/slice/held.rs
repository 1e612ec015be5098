//! What was held, for it had not arrived when its days had passed: looked at again in each pass.

use super::Slice;
use crate::ids::{ChatId, Lane, MediaId, MessageId};
use crate::store::deliveries::GRACE;
use crate::store::{Source, StoreError};

/// Messages of a held lane that are removed at a time.
const LANE_BATCH: usize = 16;

impl<P: Fn(ChatId) -> bool> Slice<'_, '_, P> {
    /// Looks at the held lanes above `after` again, and moves `after` on; true when time is up.
    pub(crate) fn held_lanes(
        &mut self,
        after: &mut Option<Lane>,
        cutoff: i64,
    ) -> Result<bool, StoreError> {
        loop {
            let held: Option<(Lane, MessageId, Option<i64>)> = self.tx.row(
                "SELECT lane, upto, arrived FROM held_lane WHERE lane > ?1
                  ORDER BY lane LIMIT 1",
                [after.map_or(0, Lane::number)],
            )?;
            let Some((lane, upto, arrived)) = held else {
                return Ok(false);
            };
            let known = self.lane(lane)?;
            if known.arrived < upto || known.pinned {
                // Still away.
            } else if known.arrived < MessageId::MAX && arrived.is_none() {
                self.tx.run(
                    "UPDATE held_lane SET arrived = ?2 WHERE lane = ?1",
                    (lane, self.now),
                )?;
            } else if self.is_past(arrived) {
                while self.lane_batch(lane, upto, cutoff)? {
                    if self.is_over() {
                        return Ok(true);
                    }
                }
                // What is younger, since a clock was wrong, keeps the row for a later pass.
                let mut younger = false;
                self.tx.view().up(lane, MessageId::NONE, |row| {
                    younger = row.get::<_, MessageId>(0)? <= upto;
                    Ok(false)
                })?;
                if !younger {
                    self.tx
                        .run("DELETE FROM held_lane WHERE lane = ?1", [lane])?;
                }
            }
            *after = Some(lane);
            if self.is_over() {
                return Ok(true);
            }
        }
    }

    /// False when no old message is left.
    fn lane_batch(&mut self, lane: Lane, upto: MessageId, cutoff: i64) -> Result<bool, StoreError> {
        let mut rows: Vec<(MessageId, i64, Option<MediaId>)> = Vec::new();
        self.tx.view().up(lane, MessageId::NONE, |row| {
            let id = row.get(0)?;
            if id <= upto {
                rows.push((id, row.get(1)?, row.get(3)?));
            }
            Ok(id < upto && rows.len() < LANE_BATCH)
        })?;
        let some = !rows.is_empty();
        self.left = self.left.saturating_sub(rows.len() as u32);
        for (id, timestamp, media) in rows {
            if timestamp >= cutoff {
                return Ok(false);
            }
            self.remove(id, lane, timestamp, media)?;
        }
        Ok(some)
    }

    /// Looks at held media above `after` again; the id to go on behind when time is up.
    pub(crate) fn held_media(
        &mut self,
        mut after: Option<MediaId>,
        cutoff: i64,
    ) -> Result<Option<MediaId>, StoreError> {
        loop {
            let held: Option<(MediaId, Option<i64>)> = self.tx.row(
                "SELECT media_id, arrived FROM held_media WHERE media_id > ?1
                 ORDER BY media_id LIMIT 1",
                [after.map_or(0, MediaId::number)],
            )?;
            let Some((id, arrived)) = held else {
                return Ok(None);
            };
            let message = self
                .tx
                .value("SELECT message_id FROM media WHERE id = ?1", [id])?
                .flatten();
            let done = match self.message_of(message)? {
                None => !self.tx.cache.uploading.contains(&id),
                Some((message, lane, timestamp)) => {
                    let known = self.lane(lane)?;
                    if known.arrived < message || known.pinned || timestamp >= cutoff {
                        false
                    } else if known.arrived < MessageId::MAX && arrived.is_none() {
                        self.tx.run(
                            "UPDATE held_media SET arrived = ?2 WHERE media_id = ?1",
                            (id, self.now),
                        )?;
                        false
                    } else if self.is_past(arrived) {
                        self.loosen(id)?;
                        true
                    } else {
                        false
                    }
                }
            };
            if done {
                self.tx
                    .run("DELETE FROM held_media WHERE media_id = ?1", [id])?;
            }
            after = Some(id);
            if self.is_over() {
                return Ok(after);
            }
        }
    }

    /// Whether the grace of something held is over; something without one has none.
    fn is_past(&self, arrived: Option<i64>) -> bool {
        arrived.is_none_or(|arrived| self.now.saturating_sub(arrived) >= GRACE)
    }
}
