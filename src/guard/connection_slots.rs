//! How many connections there are, together and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::lock;

/// Counts connections. An IPv6 /64 counts as one address: one customer has all of it.
pub(crate) struct ConnectionSlots {
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
pub(crate) enum Full {
    All,
    Address,
}

impl Full {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Full::All => "the server is full",
            Full::Address => "too many connections from this address",
        }
    }
}

impl ConnectionSlots {
    /// `per_address` 0 means no limit.
    pub(crate) fn new(all: usize, per_address: usize) -> ConnectionSlots {
        ConnectionSlots {
            all: AtomicUsize::new(all),
            per_address,
            taken: Mutex::default(),
        }
    }

    /// Changes how many there may be; who has a place keeps it.
    pub(crate) fn set_all(&self, all: usize) {
        self.all.store(all, Ordering::Relaxed);
    }

    /// Takes a place among all, for a connection from this address; `None` if that is not known
    /// yet.
    pub(crate) fn take(&self, address: Option<IpAddr>) -> Result<(), Full> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.all.load(Ordering::Relaxed) {
            return Err(Full::All);
        }
        if let Some(address) = address {
            self.take_of(&mut taken, address)?;
        }
        taken.all += 1;
        Ok(())
    }

    /// Counts a connection that has its place among all for its address too, now that the
    /// address is known.
    pub(crate) fn take_here(&self, address: IpAddr) -> Result<(), Full> {
        self.take_of(&mut lock(&self.taken), address)
    }

    fn take_of(&self, taken: &mut Taken, address: IpAddr) -> Result<(), Full> {
        let here = taken.by_address.entry(network(address)).or_insert(0);
        if self.per_address > 0 && *here >= self.per_address {
            return Err(Full::Address);
        }
        *here += 1;
        Ok(())
    }

    /// Gives back a place, and that of the address if one was counted.
    pub(crate) fn give_back(&self, address: Option<IpAddr>) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        let Some(address) = address.map(network) else {
            return;
        };
        if let Some(here) = taken.by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or an IPv6 /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let places = ConnectionSlots::new(10, 1);
        assert_eq!(places.take(address("2001:db8::1")), Ok(()));
        assert_eq!(places.take(address("2001:db8::2")), Err(Full::Address));
        assert_eq!(places.take(address("2001:db8:0:1::1")), Ok(()));
        assert_eq!(places.take(address("192.0.2.1")), Ok(()));
        assert_eq!(places.take(address("::ffff:192.0.2.1")), Err(Full::Address));
    }

    #[test]
    fn a_place_given_back_is_free() {
        let places = ConnectionSlots::new(1, 0);
        assert_eq!(places.take(address("192.0.2.1")), Ok(()));
        assert_eq!(places.take(address("192.0.2.1")), Err(Full::All));
        places.give_back(address("192.0.2.1"));
        assert_eq!(places.take(address("192.0.2.1")), Ok(()));
        places.set_all(2);
        assert_eq!(places.take(address("192.0.2.1")), Ok(()));
        assert_eq!(places.take(address("192.0.2.1")), Err(Full::All));
    }

    #[test]
    fn an_address_that_is_learnt_later_counts_from_then_on() {
        let places = ConnectionSlots::new(3, 1);
        assert_eq!(places.take(None), Ok(()));
        assert_eq!(places.take(None), Ok(()));
        let here = address("192.0.2.1");
        assert_eq!(places.take_here(here.unwrap()), Ok(()));
        assert_eq!(places.take_here(here.unwrap()), Err(Full::Address));
        assert_eq!(places.take(here), Err(Full::Address));
        places.give_back(None);
        places.give_back(here);
        assert_eq!(places.take(here), Ok(()));
        assert_eq!(places.take(None), Ok(()));
        assert_eq!(places.take(None), Ok(()));
        assert_eq!(places.take(None), Err(Full::All));
    }
}
