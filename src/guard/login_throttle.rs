//! What slows strangers down: failed logins, and registrations.
//!
//! Both count by address, and failed logins by account name too. What is counted stays in memory
//! only, ages, and is bounded, however many addresses and names somebody makes up. An IPv6 /64 is
//! one address.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::guard::connection_slots::network;
use crate::sync::lock;

/// What the first failure costs; each further one costs twice as much.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// Failures are forgotten when there was no further one for this long. In this time a guesser who
/// goes on makes more guesses than one who waits for it.
const FORGET: Duration = Duration::from_secs(15 * 60);

/// Registrations are counted from the first one on for this long.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Rows of a table at most; full, it takes 2 MB.
const ROWS: usize = 16 << 10;

/// Holds answers about passwords back, ever longer, where passwords are being guessed.
///
/// An answer is held back when the password was wrong, or when the address has failed before; then
/// right or wrong makes no difference in time, so that hanging up early tells nothing. A right
/// password from an address that has not failed is answered at once, whatever others do to the name.
pub(crate) struct LoginThrottle {
    /// The longest that an answer is held back; zero for never.
    longest: Duration,
    /// Names are kept as a keyed 64-bit hash: of fixed size, and no name that might be a mistyped
    /// password.
    hash: RandomState,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    addresses: FailureTable<IpAddr>,
    names: FailureTable<u64>,
}

/// How an attempt is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThrottleVerdict {
    /// How long the answer is to be held back.
    pub(crate) pause: Duration,
    /// Failures from the address, as far as they are remembered.
    pub(crate) from_address: u32,
    /// Failures of the name.
    pub(crate) of_name: u32,
}

impl LoginThrottle {
    /// A throttle that delays answers by `longest` at most; zero turns it off.
    #[must_use]
    pub(crate) fn new(longest: Duration) -> LoginThrottle {
        LoginThrottle {
            longest,
            hash: RandomState::new(),
            failures: Mutex::default(),
        }
    }

    /// Notes whether the password that `peer` gave for `name` was right. `name` is the mapped one,
    /// or what was given if no account can have it; whether there is such an account makes no
    /// difference.
    pub(crate) fn note(
        &self,
        peer: IpAddr,
        name: &str,
        right: bool,
        now: Instant,
    ) -> ThrottleVerdict {
        let mut verdict = ThrottleVerdict {
            pause: Duration::ZERO,
            from_address: 0,
            of_name: 0,
        };
        if self.longest.is_zero() {
            return verdict;
        }
        let name = self.hash.hash_one(name);
        let address = network(peer);
        let Failures { addresses, names } = &mut *lock(&self.failures);
        if right {
            verdict.from_address = addresses.count(&address, now);
            verdict.of_name = names.count(&name, now);
            if verdict.from_address == 0 {
                return verdict;
            }
            verdict.pause = self.pause(verdict.from_address.max(verdict.of_name) + 1);
        } else {
            let row = addresses.row(address, now, FORGET);
            row.add(now);
            row.name = match row.name {
                Names::None => Names::One(name),
                Names::One(known) if known == name => Names::One(name),
                Names::One(_) | Names::Several => Names::Several,
            };
            verdict.from_address = row.count;
            let row = names.row(name, now, FORGET);
            row.add(now);
            verdict.of_name = row.count;
            verdict.pause = self.pause(verdict.from_address.max(verdict.of_name));
        }
        verdict
    }

    /// Forgets an owner's slips after the right password, to be called when its answer goes out.
    /// Failures of other names stay: an account of one's own is no way to wipe them out.
    pub(crate) fn forgive(&self, peer: IpAddr, name: &str) {
        if self.longest.is_zero() {
            return;
        }
        let name = self.hash.hash_one(name);
        let address = network(peer);
        let Failures { addresses, names } = &mut *lock(&self.failures);
        let count = match addresses.rows.get(&address) {
            Some(row) if row.name == Names::One(name) => row.count,
            _ => return,
        };
        addresses.rows.remove(&address);
        if let Some(row) = names.rows.get_mut(&name) {
            row.count = row.count.saturating_sub(count);
            if row.count == 0 {
                names.rows.remove(&name);
            }
        }
    }

    /// What the `count`th failure costs, counted from 1.
    fn pause(&self, count: u32) -> Duration {
        let doublings = count.saturating_sub(1).min(16);
        (FIRST_DELAY * (1 << doublings)).min(self.longest)
    }
}

/// Limits how many accounts one address registers within an hour.
pub(crate) struct Registrations {
    /// 0 for no limit.
    limit: u32,
    made: Mutex<FailureTable<IpAddr>>,
}

impl Registrations {
    /// `limit` accounts an hour and address; 0 for no limit.
    #[must_use]
    pub(crate) fn new(limit: u32) -> Registrations {
        Registrations {
            limit,
            made: Mutex::default(),
        }
    }

    /// Takes the right to register one account; None when the address has had its share. The hour
    /// begins with its first account.
    #[must_use]
    pub(crate) fn take(&self, peer: IpAddr, now: Instant) -> Option<RegistrationPermit<'_>> {
        let address = network(peer);
        if self.limit > 0 {
            let mut made = lock(&self.made);
            let row = made.row(address, now, HOUR);
            if row.count >= self.limit {
                return None;
            }
            row.count += 1;
        }
        Some(RegistrationPermit {
            registrations: self,
            address,
            used: false,
        })
    }
}

/// The right to register one account, given back unless it is used.
pub(crate) struct RegistrationPermit<'r> {
    registrations: &'r Registrations,
    address: IpAddr,
    used: bool,
}

impl RegistrationPermit<'_> {
    /// The account was made.
    pub(crate) fn used(mut self) {
        self.used = true;
    }
}

impl Drop for RegistrationPermit<'_> {
    fn drop(&mut self) {
        if self.used || self.registrations.limit == 0 {
            return;
        }
        if let Some(row) = lock(&self.registrations.made).rows.get_mut(&self.address) {
            row.count = row.count.saturating_sub(1);
        }
    }
}

/// A bounded table of who has done something how often.
struct FailureTable<K> {
    rows: HashMap<K, FailureRow>,
}

struct FailureRow {
    count: u32,
    /// When it was last counted (failures) or begun (registrations).
    at: Instant,
    name: Names,
}

/// Which names the failures of an address were of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    None,
    One(u64),
    Several,
}

impl FailureRow {
    fn add(&mut self, now: Instant) {
        self.count = self.count.saturating_add(1);
        self.at = now;
    }

    fn is_old(&self, now: Instant, age: Duration) -> bool {
        now.saturating_duration_since(self.at) >= age
    }
}

impl<K> Default for FailureTable<K> {
    fn default() -> Self {
        FailureTable {
            rows: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> FailureTable<K> {
    /// The count of a key whose row is not too old.
    fn count(&self, key: &K, now: Instant) -> u32 {
        match self.rows.get(key) {
            Some(row) if !row.is_old(now, FORGET) => row.count,
            _ => 0,
        }
    }

    /// The row of a key, begun anew when it is older than `age`.
    fn row(&mut self, key: K, now: Instant, age: Duration) -> &mut FailureRow {
        if self.rows.len() >= ROWS && !self.rows.contains_key(&key) {
            self.make_room(now, age);
        }
        let begin = || FailureRow {
            count: 0,
            at: now,
            name: Names::None,
        };
        let row = self.rows.entry(key).or_insert_with(begin);
        if row.is_old(now, age) {
            *row = begin();
        }
        row
    }

    /// Drops what is too old; if that is nothing, the row that says least. Looking at all rows is
    /// cheap beside the hash that stands before each call.
    fn make_room(&mut self, now: Instant, age: Duration) {
        self.rows.retain(|_, row| !row.is_old(now, age));
        if self.rows.len() >= ROWS {
            let least = self.rows.iter().min_by_key(|(_, row)| (row.count, row.at));
            if let Some(key) = least.map(|(key, _)| *key) {
                self.rows.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
