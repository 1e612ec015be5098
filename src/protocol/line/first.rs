//! The first line of a connection, by which those are known who speak another protocol.
//!
//! A page in a browser can have lines of its choice sent to any port: as the body of a form, behind
//! the lines that HTTP puts before it. What it cannot choose is how the connection begins.

/// The protocol that a connection began with instead of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foreign {
    /// A request of HTTP (RFC 9112, section 3; RFC 9113, section 3.4).
    Http,
    /// A handshake of TLS (RFC 8446, section 5.1): lines may be hidden in what it carries over
    /// from an earlier session.
    Tls,
}

/// The type of the record that a TLS handshake begins with. As text it would be SYN, a control
/// character.
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

/// How much of the end of an over-long first line [`ends_like_http`] has to see.
pub(super) const TAIL: usize = 16;

/// How much of its start [`begins_like_http`] has to see.
pub(super) const HEAD: usize = 16;

/// The methods of RFC 9110 and RFC 5789, and the one that opens HTTP/2. Requests with others are
/// known by their version, which whatever a browser sends has.
const METHODS: [&[u8]; 10] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI",
];

/// Whether a line is a request of HTTP: a method that is well known and a space, or any word, a
/// path and a version. No packet is lost to the latter: a page can have a number for a method.
pub(super) fn is_http(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == b' ').filter(|w| !w.is_empty());
    let is_path = |word: &[u8]| word == b"*" || word.contains(&b'/');
    begins_like_http(line)
        || words.nth(1).is_some_and(is_path) && words.next_back().is_some_and(is_version)
}

/// Whether a line, of which the start is enough, begins with a method and a space.
pub(super) fn begins_like_http(line: &[u8]) -> bool {
    let mut parts = line.trim_ascii_start().splitn(2, |&byte| byte == b' ');
    let method = parts.next().unwrap_or_default();
    parts.next().is_some() && METHODS.contains(&method)
}

/// Whether a line too long to be looked at, of which the end is enough, ends with a version of HTTP.
pub(super) fn ends_like_http(line: &[u8]) -> bool {
    let mut words = line.trim_ascii_end().rsplitn(2, |&byte| byte == b' ');
    words.next().is_some_and(is_version) && words.next().is_some()
}

fn is_version(word: &[u8]) -> bool {
    let number = word.strip_prefix(b"HTTP/");
    number.is_some_and(|number| number.first().is_some_and(u8::is_ascii_digit))
}
