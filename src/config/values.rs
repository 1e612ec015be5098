//! How the values of options are read.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::options::number;

/// Reads an address with its port. A host name stands for one of its addresses, of IPv4 if it
/// has one: `localhost` often has one of IPv6 as well, even where IPv6 is switched off and
/// listening there would fail.
fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(mut address) = text.parse::<SocketAddr>() {
        if address.ip().to_canonical().is_ipv4() {
            // [::ffff:192.0.2.1] is an address of IPv4.
            address.set_ip(address.ip().to_canonical());
        }
        return Some(address);
    }
    let (host, port) = text.rsplit_once(':')?;
    // An IPv6 address without its brackets would be looked up, and slowly.
    if host.is_empty() || host.contains(':') {
        return None;
    }
    let found: Vec<SocketAddr> = (host, number(port, 0..=u16::MAX)?)
        .to_socket_addrs()
        .ok()?
        .collect();
    let preferred = found.iter().find(|address| address.is_ipv4());
    preferred.or(found.first()).copied()
}

/// Adds an address to listen on; the same one twice could only fail, except with port 0.
pub(super) fn listen(addresses: &mut Vec<SocketAddr>, text: &str) -> Option<()> {
    let address = address(text)?;
    if !addresses.contains(&address) || address.port() == 0 {
        addresses.push(address);
    }
    Some(())
}

pub(super) fn seconds(text: &str, range: RangeInclusive<u64>) -> Option<Duration> {
    number(text, range).map(Duration::from_secs)
}

pub(super) fn file(text: &str) -> Option<PathBuf> {
    // SQLite would take these for something else than a file.
    let special = text.is_empty() || text == ":memory:";
    (!special).then(|| PathBuf::from(text))
}

/// Reads a number of bytes, with K, M or G for the powers of 1024.
pub(super) fn bytes<T: TryFrom<u64>>(text: &str, range: RangeInclusive<u64>) -> Option<T> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let bytes = number(digits, 0..=u64::MAX)?.checked_mul(1 << shift)?;
    T::try_from(bytes).ok().filter(|_| range.contains(&bytes))
}
