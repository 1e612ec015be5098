//! How many connections there are, together and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::store::lock;

/// Counts connections. An IPv6 /64 counts as one address: one customer has all of it.
pub(super) struct Places {
    all: AtomicUsize,
    per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    All,
    Address,
}

impl Full {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Full::All => "the server is full",
            Full::Address => "too many connections from this address",
        }
    }
}

impl Places {
    /// `per_address` 0 means no limit.
    pub(super) fn new(all: usize, per_address: usize) -> Places {
        Places {
            all: AtomicUsize::new(all),
            per_address,
            taken: Mutex::default(),
        }
    }

    /// Changes how many there may be; who has a place keeps it.
    pub(super) fn set_all(&self, all: usize) {
        self.all.store(all, Ordering::Relaxed);
    }

    pub(super) fn take(&self, address: IpAddr) -> Result<(), Full> {
        let address = network(address);
        let mut taken = lock(&self.taken);
        if taken.all >= self.all.load(Ordering::Relaxed) {
            return Err(Full::All);
        }
        let here = taken.by_address.entry(address).or_insert(0);
        if self.per_address > 0 && *here >= self.per_address {
            return Err(Full::Address);
        }
        *here += 1;
        taken.all += 1;
        Ok(())
    }

    pub(super) fn give_back(&self, address: IpAddr) {
        let address = network(address);
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(here) = taken.by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let places = Places::new(10, 1);
        assert_eq!(places.take(address("2001:db8::1")), Ok(()));
        assert_eq!(places.take(address("2001:db8::2")), Err(Full::Address));
        assert_eq!(places.take(address("2001:db8:0:1::1")), Ok(()));
        assert_eq!(places.take(address("192.0.2.1")), Ok(()));
        assert_eq!(places.take(address("::ffff:192.0.2.1")), Err(Full::Address));
    }

    #[test]
    fn a_place_given_back_is_free() {
        let places = Places::new(1, 0);
        assert_eq!(places.take(address("192.0.2.1")), Ok(()));
        assert_eq!(places.take(address("192.0.2.1")), Err(Full::All));
        places.give_back(address("192.0.2.1"));
        assert_eq!(places.take(address("192.0.2.1")), Ok(()));
        places.set_all(2);
        assert_eq!(places.take(address("192.0.2.1")), Ok(()));
        assert_eq!(places.take(address("192.0.2.1")), Err(Full::All));
    }
}
