//! Pins: chats that a reply is being read from are not purged meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::ChatId;
use crate::store::{Shared, Store};
use crate::sync::lock;

/// Readers of each pinned chat.
pub(crate) type Pins = HashMap<ChatId, u32>;

impl Store {
    /// Keeps the messages and media of `chat` from being purged while the pin lives.
    pub(crate) fn pin(&self, chat: ChatId) -> Pin {
        *lock(&self.inner.shared.pins).entry(chat).or_insert(0) += 1;
        Pin {
            shared: Arc::clone(&self.inner.shared),
            chat,
        }
    }
}

pub(crate) struct Pin {
    shared: Arc<Shared>,
    chat: ChatId,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = lock(&self.shared.pins);
        if let Some(count) = pins.get_mut(&self.chat) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.chat);
            }
        }
    }
}
