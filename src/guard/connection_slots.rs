//! How many connections there are, together and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Counts connections. An IPv6 /64 counts as one address: one customer has all of it.
pub(crate) struct ConnectionSlots {
    all: AtomicUsize,
    per_address: usize,
    taken: Mutex<TakenSlots>,
}

#[derive(Default)]
struct TakenSlots {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no slot.
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
    pub(crate) fn new(all: usize, per_address: usize) -> Arc<ConnectionSlots> {
        Arc::new(ConnectionSlots {
            all: AtomicUsize::new(all),
            per_address,
            taken: Mutex::default(),
        })
    }

    /// Changes how many there may be; who has a slot keeps it.
    pub(crate) fn set_all(&self, all: usize) {
        self.all.store(all, Ordering::Relaxed);
    }

    /// Takes a slot among all, counted for `address` too unless that is not known yet.
    pub(crate) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Slot, Full> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.all.load(Ordering::Relaxed) {
            return Err(Full::All);
        }
        if let Some(address) = address {
            self.count(&mut taken, address)?;
        }
        taken.all += 1;
        Ok(Slot {
            slots: Arc::clone(self),
            address,
        })
    }

    fn count(&self, taken: &mut TakenSlots, address: IpAddr) -> Result<(), Full> {
        let here = taken.by_address.entry(network(address)).or_insert(0);
        if self.per_address > 0 && *here >= self.per_address {
            return Err(Full::Address);
        }
        *here += 1;
        Ok(())
    }
}

/// A connection's slot, given back when it is dropped.
pub(crate) struct Slot {
    slots: Arc<ConnectionSlots>,
    /// The address that it is counted for, once that is known.
    address: Option<IpAddr>,
}

impl Slot {
    /// Counts the slot for its address too, now that the address is known.
    pub(crate) fn count_for(&mut self, address: IpAddr) -> Result<(), Full> {
        self.slots.count(&mut lock(&self.slots.taken), address)?;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = lock(&self.slots.taken);
        taken.all -= 1;
        let Some(address) = self.address.map(network) else {
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
        let slots = ConnectionSlots::new(10, 1);
        let take = |text| slots.take(address(text));
        let _held = [
            take("2001:db8::1").unwrap(),
            take("2001:db8:0:1::1").unwrap(),
            take("192.0.2.1").unwrap(),
        ];
        assert_eq!(take("2001:db8::2").err(), Some(Full::Address));
        assert_eq!(take("::ffff:192.0.2.1").err(), Some(Full::Address));
    }

    #[test]
    fn a_slot_given_back_is_free() {
        let slots = ConnectionSlots::new(1, 0);
        let take = || slots.take(address("192.0.2.1"));
        let first = take().unwrap();
        assert_eq!(take().err(), Some(Full::All));
        drop(first);
        let _first = take().unwrap();
        slots.set_all(2);
        let _second = take().unwrap();
        assert_eq!(take().err(), Some(Full::All));
    }

    #[test]
    fn an_address_that_is_learnt_later_counts_from_then_on() {
        let slots = ConnectionSlots::new(3, 1);
        let here = address("192.0.2.1");
        let [mut first, mut second] = [slots.take(None).unwrap(), slots.take(None).unwrap()];
        first.count_for(here.unwrap()).unwrap();
        assert_eq!(second.count_for(here.unwrap()), Err(Full::Address));
        assert_eq!(slots.take(here).err(), Some(Full::Address));
        drop((first, second));
        let _held = [here, None, None].map(|address| slots.take(address).unwrap());
        assert_eq!(slots.take(None).err(), Some(Full::All));
    }
}
