//! Lists of one moment that hold their keys, not their lines.

use std::vec;

use super::Stream;
use crate::protocol::Reply;
use crate::store::{self, Pin, Store, StoreError, View};

/// Bytes of one piece of a reply.
pub(crate) const PIECE: usize = 16 << 10;

/// Turns a key into its line.
type Element<K> = Box<dyn Fn(&View<'_>, K, &mut Vec<u8>) -> store::Result<()>>;

/// A list between its begin and its end packet.
pub(crate) struct List<K> {
    store: Store,
    head: Vec<u8>,
    keys: vec::IntoIter<K>,
    element: Element<K>,
    tail: Option<Reply<'static>>,
    _pin: Option<Pin>,
}

impl<K> List<K> {
    /// A list of `keys`, behind the packets of `head`. `pin` keeps its lines from being purged.
    pub(crate) fn new(
        store: &Store,
        head: &[Reply<'_>],
        keys: Vec<K>,
        element: impl Fn(&View<'_>, K, &mut Vec<u8>) -> store::Result<()> + 'static,
        tail: Reply<'static>,
        pin: Option<Pin>,
    ) -> Box<List<K>> {
        let mut bytes = Vec::new();
        for reply in head {
            reply.format(&mut bytes);
        }
        Box::new(List {
            store: store.clone(),
            head: bytes,
            keys: keys.into_iter(),
            element: Box::new(element),
            tail: Some(tail),
            _pin: pin,
        })
    }
}

impl<K> Stream for List<K> {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, StoreError> {
        if self.tail.is_none() {
            return Ok(false);
        }
        out.append(&mut self.head);
        if !self.keys.as_slice().is_empty() {
            let (keys, element) = (&mut self.keys, &self.element);
            self.store.read(|view| {
                while out.len() < PIECE {
                    let Some(key) = keys.next() else { break };
                    element(view, key, out)?;
                }
                Ok(())
            })?;
        }
        if self.keys.as_slice().is_empty()
            && let Some(tail) = self.tail.take()
        {
            tail.format(out);
        }
        Ok(true)
    }
}
