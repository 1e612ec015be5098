//! The header by which a proxy says whom a connection comes from: the PROXY protocol, versions 1
//! and 2 (haproxy's doc/proxy-protocol.txt). Bytes in, an address out; `forwarded` reads them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest header that is read, in bytes: one of version 2 with 520 bytes behind its start.
/// Addresses take up to 216 of them.
pub(crate) const LONGEST: usize = V2_START + 520;

/// The longest line of version 1, in bytes, its CR LF included.
const V1_LONGEST: usize = 107;

const V1_PREFIX: &[u8] = b"PROXY ";

/// The first bytes of version 2: no line of any protocol of lines.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length.
const V2_START: usize = 16;

/// Addresses that proxies have: a network of IPv4 or IPv6. One of IPv4 that is written as IPv6
/// (`::ffff:192.0.2.0/120`) is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address is one of it.
    #[must_use]
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.address, address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                u128::from(one.to_bits() ^ other.to_bits()) << 96
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() ^ other.to_bits(),
            _ => return false,
        };
        differ.leading_zeros() >= u32::from(self.bits)
    }
}

/// What is no network; the option's own words say what would be one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    /// Reads `ADDR` or `ADDR/BITS`.
    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let all: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(digits) => decimal(digits).ok_or(NoNetwork)?,
        };
        if bits > all {
            return Err(NoNetwork);
        }
        match address.to_canonical() {
            v4 @ IpAddr::V4(_) if address.is_ipv6() => match bits.checked_sub(96) {
                Some(bits) => Ok(Network { address: v4, bits }),
                // Not of IPv4 alone; as a network of IPv6 it would hold no mapped address.
                None => Err(NoNetwork),
            },
            address => Ok(Network { address, bits }),
        }
    }
}

/// Whom a header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxySource {
    /// The connection comes from there.
    Address(SocketAddr),
    /// It is the proxy's own.
    Proxy,
    /// The proxy does not know, or not as an address of IPv4 or IPv6.
    Unknown,
}

/// How [`parse`] came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParsedHeader {
    /// So far it is the beginning of one; so many bytes more surely belong to it.
    More(usize),
    /// The header is whole.
    Whole(ProxySource),
}

/// What is wrong with a header, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Looks at the first bytes of a connection, of which none may be behind the header's end. To be
/// called again with those that [`ParsedHeader::More`] asks for, so that none of what follows is read.
pub(crate) fn parse(bytes: &[u8]) -> Result<ParsedHeader, Malformed> {
    let begins = |whole: &[u8]| bytes.iter().zip(whole).all(|(one, other)| one == other);
    if begins(V2_SIGNATURE) && !bytes.is_empty() {
        return parse_v2(bytes);
    }
    if begins(V1_PREFIX) {
        return parse_v1(bytes);
    }
    Err(Malformed("it does not begin with a PROXY header"))
}

/// Whether a line can be of a header where none is expected: one of version 1, or the third of
/// version 2's signature, which begins with two empty ones.
pub(crate) fn is_line_of_header(line: &[u8]) -> bool {
    line.starts_with(V1_PREFIX) || line == b"\0"
}

fn parse_v1(bytes: &[u8]) -> Result<ParsedHeader, Malformed> {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        if bytes.len() >= V1_LONGEST {
            return Err(Malformed("its PROXY header has no end"));
        }
        // No line of its kind is shorter; beyond that, a CR LF at least is still to come.
        let shortest = match bytes.get(..10) {
            Some(b"PROXY TCP4") => "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n".len(),
            Some(b"PROXY TCP6") => "PROXY TCP6 :: :: 0 0\r\n".len(),
            _ => "PROXY UNKNOWN\r\n".len(),
        };
        let certain = if bytes.last() == Some(&b'\r') { 1 } else { 2 };
        let more = certain.max(shortest.saturating_sub(bytes.len()));
        return Ok(ParsedHeader::More(more.min(V1_LONGEST - bytes.len())));
    };
    let malformed = Malformed("its PROXY header is malformed");
    if end + 1 < bytes.len() {
        // Shorter than any that is right.
        return Err(malformed);
    }
    let line = bytes[..end].strip_suffix(b"\r").ok_or(malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(ParsedHeader::Whole(ProxySource::Unknown)),
        ["PROXY", family, source, destination, port, destination_port] => {
            let address = |text: &str| match *family {
                "TCP4" => text.parse().map(IpAddr::V4).ok(),
                "TCP6" => text.parse().map(IpAddr::V6).ok(),
                _ => None,
            };
            let source = address(source).ok_or(malformed)?;
            address(destination).ok_or(malformed)?;
            let port = decimal(port).ok_or(malformed)?;
            decimal::<u16>(destination_port).ok_or(malformed)?;
            Ok(ParsedHeader::Whole(of(source, port)))
        }
        _ => Err(malformed),
    }
}

fn parse_v2(bytes: &[u8]) -> Result<ParsedHeader, Malformed> {
    let malformed = Malformed("its PROXY header is malformed");
    let Some((start, rest)) = bytes.split_first_chunk::<V2_START>() else {
        return Ok(ParsedHeader::More(V2_START - bytes.len()));
    };
    let [.., version_and_command, family, high, low] = *start;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if V2_START + length > LONGEST {
        return Err(Malformed("its PROXY header is too long"));
    }
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(malformed),
    };
    // Family and transport; behind the addresses there may be more, which is skipped.
    let addresses = match family {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        // Names of UNIX sockets.
        0x31 => 216,
        _ => return Err(malformed),
    };
    if length < addresses {
        return Err(malformed);
    }
    if rest.len() < length {
        return Ok(ParsedHeader::More(length - rest.len()));
    }
    Ok(ParsedHeader::Whole(match (is_local, family, rest) {
        (true, ..) => ProxySource::Proxy,
        (_, 0x11, [a, b, c, d, _, _, _, _, high, low, ..]) => {
            let address = Ipv4Addr::new(*a, *b, *c, *d);
            of(address.into(), u16::from_be_bytes([*high, *low]))
        }
        (_, 0x21, rest) => {
            let address = rest.first_chunk::<16>().ok_or(malformed)?;
            let port = rest.get(32..34).ok_or(malformed)?;
            let port = u16::from_be_bytes([port[0], port[1]]);
            of(Ipv6Addr::from(*address).into(), port)
        }
        _ => ProxySource::Unknown,
    }))
}

fn of(address: IpAddr, port: u16) -> ProxySource {
    ProxySource::Address(SocketAddr::new(address.to_canonical(), port))
}

/// A number as it has to be written: digits alone, none of them a leading zero.
fn decimal<T: FromStr>(digits: &str) -> Option<T> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let leading = digits.len() > 1 && digits.starts_with('0');
    (plain && !leading).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
