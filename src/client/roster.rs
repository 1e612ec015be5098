//! The roster: chats, contacts and names that the user knows of. The engine holds it; the terminal
//! sees names alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::auth::names;

/// Names kept for TAB: nobody looks through more.
const NAMES_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chat {
    /// The other member; `~name` if the account is gone.
    pub(crate) with: String,
    /// Messages that came while another chat was the current one.
    pub(crate) unread: u32,
}

/// What a name is compared by, as the server compares it: two spellings of one user give the same.
/// The name of an account that is gone is its own.
fn mapped(name: &str) -> Cow<'_, str> {
    match names::mapped(name).filter(|_| !name.starts_with('~')) {
        Some(mapped) => Cow::Owned(mapped),
        None => Cow::Borrowed(name),
    }
}

fn same(one: &str, other: &str) -> bool {
    one == other || mapped(one) == mapped(other)
}

/// What the terminal may know of the roster. Each lock is held for a look only.
#[derive(Clone, Default)]
pub(crate) struct KnownNames {
    /// For TAB: what each name is compared by, and the name.
    names: Arc<Mutex<BTreeSet<(String, String)>>>,
    current: Arc<Mutex<Option<String>>>,
}

impl KnownNames {
    pub(crate) fn current(&self) -> Option<String> {
        self.current.lock().clone()
    }

    pub(super) fn set_current(&self, name: Option<String>) {
        *self.current.lock() = name;
    }

    /// The names that start with this, however it is written, in order.
    pub(crate) fn starting_with(&self, start: &str) -> Vec<String> {
        let start = names::mapped(start).unwrap_or_else(|| start.to_lowercase());
        let names = self.names.lock();
        let found = names.range((start.clone(), String::new())..);
        let found = found.take_while(|(mapped, _)| mapped.starts_with(&start));
        found.map(|(_, name)| name.clone()).collect()
    }

    /// Adds a name as the server writes it, unless its account is gone or a line cannot show it.
    pub(super) fn add(&self, name: &str) {
        let mut names = self.names.lock();
        let usual = !name.starts_with('~') && crate::sanitize::word(name) == name;
        if usual && names.len() < NAMES_MAX {
            names.insert((mapped(name).into_owned(), name.to_owned()));
        }
    }
}

#[derive(Default)]
pub(crate) struct Roster {
    pub(crate) own: String,
    pub(crate) chats: BTreeMap<i64, Chat>,
    pub(crate) contacts: BTreeSet<String>,
    pub(crate) names: KnownNames,
    /// What each chat's newest shown message is, so that none is shown twice: raised by pushes
    /// alone, since an own message may be newer than one that is still on its way.
    seen: BTreeMap<i64, i64>,
}

impl Roster {
    /// Takes the list of chats. What is unread stays.
    pub(crate) fn set_chats(&mut self, list: Vec<(i64, String, String)>) {
        let mut old = std::mem::take(&mut self.chats);
        for (id, creator, other) in list {
            let with = if creator == self.own { other } else { creator };
            self.names.add(&with);
            let unread = old.remove(&id).map_or(0, |chat| chat.unread);
            self.chats.insert(id, Chat { with, unread });
        }
    }

    pub(crate) fn set_contacts(&mut self, list: &[(String, i64)]) {
        self.contacts = list.iter().map(|(name, _)| name.clone()).collect();
        for name in &self.contacts {
            self.names.add(name);
        }
    }

    /// The chat with somebody, however the name is written.
    pub(crate) fn chat_with(&self, name: &str) -> Option<i64> {
        let find = |found: &dyn Fn(&str) -> bool| {
            let mut chats = self.chats.iter();
            chats.find(|(_, chat)| found(&chat.with)).map(|(id, _)| *id)
        };
        find(&|with| with == name).or_else(|| {
            let name = mapped(name);
            find(&|with| mapped(with) == name)
        })
    }

    /// The contact with this name, however it is written, as the server writes it.
    pub(crate) fn contact(&self, name: &str) -> Option<&str> {
        // Two accounts may share what they are compared by; then this spelling means just one.
        let exact = self.contacts.get(name);
        let mut contacts = self.contacts.iter();
        exact
            .or_else(|| contacts.find(|contact| same(contact, name)))
            .map(String::as_str)
    }

    pub(crate) fn forget_contact(&mut self, name: &str) {
        if !self.contacts.remove(name) {
            self.contacts.retain(|contact| !same(contact, name));
        }
    }

    pub(crate) fn partner(&self, chat: i64) -> String {
        match self.chats.get(&chat) {
            Some(chat) => chat.with.clone(),
            None => format!("chat {chat}"),
        }
    }

    pub(crate) fn is_new(&mut self, chat: i64, timestamp: i64) -> bool {
        let seen = self.seen.entry(chat).or_insert(i64::MIN);
        let new = timestamp > *seen;
        *seen = timestamp.max(*seen);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let mut roster = Roster {
            own: "Anna".to_owned(),
            ..Roster::default()
        };
        let chat = |id, a: &str, b: &str| (id, a.to_owned(), b.to_owned());
        roster.set_chats(vec![
            chat(1, "Anna", "Bernd"),
            chat(2, "carla", "Anna"),
            chat(3, "Anna", "~dora"),
        ]);
        roster
    }

    /// As the server does, whichever of its spellings somebody types.
    #[test]
    fn a_name_is_the_same_however_it_is_written() {
        let mut roster = roster();
        let chat = |id, with: &str| (id, "Anna".to_owned(), with.to_owned());
        roster.set_chats(vec![
            chat(4, "xaver"),
            chat(5, "J\u{f6}rg"),
            chat(6, "~J\u{f6}rg"),
        ]);
        roster.set_contacts(&[("J\u{f6}rg".to_owned(), 1)]);
        let spellings = [
            "J\u{f6}rg",
            "Jo\u{308}rg",
            "\u{ff2a}\u{d6}\u{ff32}\u{ff27}",
            "J\u{d6}RG",
        ];
        for name in spellings {
            assert_eq!(roster.chat_with(name), Some(5), "{name}");
            assert_eq!(roster.contact(name), Some("J\u{f6}rg"), "{name}");
            assert_eq!(roster.names.starting_with(name), ["J\u{f6}rg"], "{name}");
        }
        assert_eq!(roster.chat_with("~J\u{f6}rg"), Some(6));
        assert_eq!(roster.chat_with("~"), None);
        for name in spellings {
            roster.set_contacts(&[("J\u{f6}rg".to_owned(), 1), ("xaver".to_owned(), 1)]);
            roster.forget_contact(name);
            assert_eq!(roster.contact(name), None, "{name}");
            assert_eq!(roster.contact("XAVER"), Some("xaver"));
        }
    }

    /// After a change of the server's rules; then each is meant by its own spelling.
    #[test]
    fn two_who_share_a_compared_name_are_told_apart() {
        let mut roster = roster();
        let chat = |id, with: &str| (id, "Anna".to_owned(), with.to_owned());
        roster.set_chats(vec![chat(4, "ΝΊΚΟΣ"), chat(5, "Νίκος")]);
        for (name, id) in [("ΝΊΚΟΣ", 4), ("Νίκος", 5)] {
            roster.set_contacts(&[("ΝΊΚΟΣ".to_owned(), 1), ("Νίκος".to_owned(), 1)]);
            assert_eq!(roster.contact(name), Some(name));
            assert_eq!(roster.chat_with(name), Some(id));
            roster.forget_contact(name);
            assert_eq!(roster.contacts.len(), 1, "{name}");
            assert!(!roster.contacts.contains(name));
        }
        assert_eq!(roster.names.starting_with("νίκ"), ["ΝΊΚΟΣ", "Νίκος"]);
    }

    #[test]
    fn chats_are_found_by_the_other_name() {
        let roster = roster();
        for (name, chat) in [
            ("Bernd", Some(1)),
            ("bernd", Some(1)),
            ("CARLA", Some(2)),
            ("Anna", None),
        ] {
            assert_eq!(roster.chat_with(name), chat, "{name}");
        }
        assert_eq!(
            (roster.partner(2), roster.partner(9)),
            ("carla".to_owned(), "chat 9".to_owned())
        );
        assert_eq!(roster.names.starting_with("b"), ["Bernd"]);
        assert_eq!(roster.names.starting_with(""), ["Bernd", "carla"]);
    }

    #[test]
    fn unread_counts_survive_a_new_list() {
        let mut roster = roster();
        roster.chats.get_mut(&2).expect("chat 2").unread = 5;
        roster.set_chats(vec![(2, "carla".to_owned(), "Anna".to_owned())]);
        assert_eq!(roster.chats[&2].unread, 5);
        assert_eq!(roster.chats.len(), 1);
    }

    #[test]
    fn a_message_is_new_once() {
        let mut roster = roster();
        assert!(roster.is_new(1, 10));
        assert!(!roster.is_new(1, 10));
        assert!(roster.is_new(2, 5));
        assert!(roster.is_new(1, 11));
        assert!(!roster.is_new(1, 7));
    }
}
