//! Text that waits to be received, by sender (`--text-quota`).
//!
//! What waits is counted from the database: a sender's messages above the positions of those that
//! they are for. That takes too long for each message, so a sender's login adds up what it sends,
//! and only when the sum passes the quota is it counted again, outside any transaction that writes.
//! After a restart nothing is known, so the first message has it counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ids::{ChatId, Lane, MessageId, UserId};
use crate::store::{Result, Source, Store, StoreError, View};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::lock;

/// A sender at the quota who tries again and again is to cost little: after counting, so many times
/// as long is rested,
const REST: u32 = 20;

/// but no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Shared by the logins of one user.
pub(crate) struct Text {
    user: UserId,
    /// Bytes that waited when they were counted last, and all that were sent since.
    bytes: AtomicU64,
    counted: Mutex<Option<CountedText>>,
}

struct CountedText {
    at: Instant,
    took: Duration,
    waiting: Waiting,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Bytes of UTF-8.
    pub(crate) bytes: u64,
    /// The recipient for whom most of it waits, and what that one has received.
    most: Option<(UserId, MessageId)>,
}

pub(crate) struct Texts {
    /// Bytes; 0 for no limit.
    quota: u64,
    senders: Mutex<HashMap<UserId, Arc<Text>>>,
}

impl Texts {
    pub(crate) fn new(quota: u64) -> Texts {
        Texts {
            quota,
            senders: Mutex::default(),
        }
    }

    fn of(&self, user: UserId) -> Arc<Text> {
        let unknown = || {
            Arc::new(Text {
                user,
                bytes: AtomicU64::new(u64::MAX),
                counted: Mutex::new(None),
            })
        };
        Arc::clone(lock(&self.senders).entry(user).or_insert_with(unknown))
    }
}

impl Text {
    fn add(&self, bytes: u64, quota: u64) -> bool {
        let now = self.bytes.load(Ordering::Relaxed);
        let fits = now.saturating_add(bytes) <= quota;
        if fits {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        // Counted anew meanwhile, it may be less than that already.
        let less = |now: u64| (now != u64::MAX).then(|| now.saturating_sub(bytes as u64));
        let _ = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl CountedText {
    /// Whether it is time to count again: sooner when more has been received since.
    fn is_over(&self, store: &Store) -> bool {
        let news = |(user, received)| store.sent(user) > received;
        let times = match self.waiting.most.is_some_and(news) {
            true => 1,
            false => REST,
        };
        self.at.elapsed() >= (self.took * times).min(LONGEST_REST)
    }
}

impl Store {
    pub(crate) fn text_of(&self, user: UserId) -> Arc<Text> {
        self.inner.texts.of(user)
    }

    /// Bytes; 0 for none.
    pub(crate) fn text_quota(&self) -> u64 {
        self.inner.texts.quota
    }

    /// How many messages of these sizes, from the first on, may be sent now; those are noted as sent.
    pub(crate) fn take_text(
        &self,
        text: &Text,
        total: usize,
        sizes: impl ExactSizeIterator<Item = usize>,
    ) -> Result<usize, StoreError> {
        let quota = self.inner.texts.quota;
        let count = sizes.len();
        if quota == 0 || text.add(total as u64, quota) {
            return Ok(count);
        }
        let mut counted = lock(&text.counted);
        if counted.as_ref().is_none_or(|last| last.is_over(self)) {
            let began = Instant::now();
            let waiting = self.read(|view| waiting(view, text.user, |user| self.sent(user)))?;
            text.bytes.store(waiting.bytes, Ordering::Relaxed);
            let (at, took) = (Instant::now(), began.elapsed());
            *counted = Some(CountedText { at, took, waiting });
        }
        drop(counted);
        if text.add(total as u64, quota) {
            return Ok(count);
        }
        Ok(sizes
            .take_while(|size| text.add(*size as u64, quota))
            .count())
    }
}

/// A user's text above what each recipient has received, has deleted, and has been `sent`.
pub(crate) fn waiting(
    view: &View<'_>,
    user: UserId,
    sent: impl Fn(UserId) -> MessageId,
) -> Result<Waiting> {
    type FoundText = (ChatId, UserId, UserId, MessageId, Option<MessageId>);
    let lanes: Vec<FoundText> = view.rows(
        "SELECT m.chat_id, c.creator_id, m.other_id, o.cleared_id, d.message_id
         FROM member m JOIN chat c ON c.id = m.chat_id
         JOIN member o ON o.user_id = m.other_id AND o.chat_id = m.chat_id
         LEFT JOIN delivery d ON d.user_id = m.other_id
         WHERE m.user_id = ?1",
        [user],
    )?;
    let mut waiting = Waiting::default();
    let mut most = 0;
    for (chat, creator, other, cleared, delivered) in lanes {
        let received = delivered.unwrap_or_default().max(cleared).max(sent(other));
        let lane = Lane::of(chat, creator != user);
        let bytes = view.text(lane, received)?;
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        if bytes > most {
            most = bytes;
            waiting.most = Some((other, received));
        }
    }
    Ok(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::scratch::Scratch;

    #[test]
    fn counting_rests_and_less_so_when_something_was_received() {
        let store = Scratch::new();
        let counted = |ago: f64, took: f64| CountedText {
            at: Instant::now()
                .checked_sub(Duration::from_secs_f64(ago))
                .unwrap(),
            took: Duration::from_secs_f64(took),
            waiting: Waiting {
                bytes: 9,
                most: Some((UserId::new(7), MessageId::new(100))),
            },
        };
        assert!(!counted(0.0, 0.1).is_over(&store));
        assert!(!counted(1.5, 0.1).is_over(&store));
        assert!(counted(2.5, 0.1).is_over(&store));
        assert!(!counted(4.0, 9.0).is_over(&store));
        assert!(counted(5.5, 9.0).is_over(&store));
        store.note_sent(UserId::new(7), MessageId::new(100));
        assert!(!counted(1.5, 0.1).is_over(&store));
        store.note_sent(UserId::new(7), MessageId::new(101));
        assert!(counted(1.5, 0.1).is_over(&store));
        assert!(!counted(0.0, 0.1).is_over(&store));
    }

    #[test]
    fn what_is_given_back_was_taken() {
        let text = Texts::new(100).of(UserId::new(1));
        // Not counted yet: nothing fits, and nothing is made known by giving back.
        assert!(!text.add(1, 100));
        text.give_back(50);
        assert!(!text.add(1, 100));
        text.bytes.store(40, Ordering::Relaxed);
        assert!(!text.add(61, 100));
        assert!(text.add(60, 100));
        text.give_back(10);
        assert!(!text.add(11, 100));
        text.give_back(1_000);
        assert!(text.add(100, 100));
    }
}
