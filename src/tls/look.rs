//! What clients will say of the server's own certificates, before they say it.
//!
//! The library that verifies certificates tells of what is in one only by why it refuses it. So it
//! is asked at times when it has to refuse: before a certificate begins, it says when it begins.

use std::fmt;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};

use super::words;

const SOON: Duration = Duration::from_secs(14 * DAY);

const DAY: u64 = 24 * 3_600;

/// `id-ad-caIssuers` (RFC 5280, section 4.2.2.1): where the CA's certificate can be had. CAs that
/// sign with a certificate between put it into those that they sign.
const CA_ISSUERS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];

/// Algorithms of signatures that nobody takes any more: MD5 and SHA-1 with RSA (RFC 3279), SHA-1
/// with ECDSA (RFC 3279), each with its tag and length.
const WEAK: [&[u8]; 3] = [
    &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4],
    &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],
    &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1],
];

/// Something about a chain of certificates that clients may refuse it for. Certificates are
/// counted from 1, the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// One is not valid yet, but in so long.
    NotYet(usize, Duration),
    /// One ended so long ago.
    Expired(usize, Duration),
    /// One ends in so long.
    Ends(usize, Duration),
    /// The server's own has no subjectAltName.
    NoNames,
    /// One is not signed by the next.
    Order(usize),
    /// Who signed the last is not in the file; true if that is surely not one whom clients know.
    Incomplete(bool),
    /// One breaks a rule, in words.
    Rule(usize, &'static str),
}

impl Finding {
    /// Whether it may be just as it should be.
    #[must_use]
    pub fn is_note(&self) -> bool {
        *self == Finding::Incomplete(false)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Finding::NotYet(number, time) => write!(
                f,
                "{} is not valid yet, but in {}, so clients refuse it; look at this machine's clock",
                Which(number),
                About(time)
            ),
            Finding::Expired(number, time) => write!(
                f,
                "{} expired {} ago, so clients refuse it; renew it, and send SIGHUP",
                Which(number),
                About(time)
            ),
            Finding::Ends(number, time) => write!(
                f,
                "{} expires in {}; renew it before that, and send SIGHUP",
                Which(number),
                About(time)
            ),
            Finding::NoNames => f.write_str(
                "it is for no name, so clients refuse it; have one made with subjectAltName \
                 (scripts/make-cert.sh does)",
            ),
            Finding::Order(number) => write!(
                f,
                "certificate {number} of the file is not signed by the next one; put them in \
                 order: the server's own, the one that signed it, and so on",
            ),
            Finding::Incomplete(true) => f.write_str(
                "the certificate that signed it is not in the file, and clients do not have it \
                 either; append it (or name the CA's fullchain.pem)",
            ),
            Finding::Incomplete(false) => f.write_str(
                "who signed it is not in the file: clients have to trust its CA by themselves \
                 (plausch --ca); if there are certificates between it and the CA, append them",
            ),
            Finding::Rule(1, why) => f.write_str(why),
            Finding::Rule(number, why) => write!(f, "certificate {number} of the file: {why}"),
        }
    }
}

struct Which(usize);

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("it"),
            number => write!(f, "certificate {number} of the file"),
        }
    }
}

struct About(Duration);

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.0.as_secs() / 3_600;
        match hours {
            0 => f.write_str("less than an hour"),
            1 => f.write_str("an hour"),
            2..48 => write!(f, "{hours} hours"),
            _ => write!(f, "{} days", hours / 24),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Validity {
    from: u64,
    to: u64,
}

impl Validity {
    /// What there is to say of it at this time, of the certificate of this number.
    fn finding(self, number: usize, now: u64) -> Option<Finding> {
        let between = |from, to: u64| Duration::from_secs(to.saturating_sub(from));
        if now < self.from {
            Some(Finding::NotYet(number, between(now, self.from)))
        } else if now > self.to {
            Some(Finding::Expired(number, between(self.to, now)))
        } else {
            let left = between(now, self.to);
            (left < SOON).then_some(Finding::Ends(number, left))
        }
    }
}

/// When the certificates of a chain are valid, and when that was last told.
pub(super) struct Calendar {
    validities: Vec<(usize, Validity)>,
    said: Option<Instant>,
}

impl Calendar {
    /// Certificates that cannot be read are left out.
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Calendar {
        let of = |(index, der)| {
            Some((
                index + 1,
                validity(&EndEntityCert::try_from(der).ok()?).ok()?,
            ))
        };
        Calendar {
            validities: chain.iter().enumerate().filter_map(of).collect(),
            said: None,
        }
    }

    /// What is to be told now, in seconds since 1970: the first thing of the chain, once a day.
    pub(super) fn due(&mut self, now: u64, at: Instant) -> Option<Finding> {
        let early = |said| at.saturating_duration_since(said) < Duration::from_secs(DAY);
        if self.said.is_some_and(early) {
            return None;
        }
        let found = self
            .validities
            .iter()
            .find_map(|(number, validity)| validity.finding(*number, now))?;
        self.said = Some(at);
        Some(found)
    }
}

/// Everything but the times that clients may not like about a chain. It is that of a server: never
/// empty, and the first can be read.
pub(super) fn findings(chain: &[CertificateDer<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut certificates = Vec::new();
    for (index, der) in chain.iter().enumerate() {
        match EndEntityCert::try_from(der) {
            Ok(certificate) => certificates.push(certificate),
            Err(error) => found.push(Finding::Rule(index + 1, words::rule(&error))),
        }
    }
    let (Some(own), true) = (certificates.first(), found.is_empty()) else {
        return found;
    };
    let time = match validity(own) {
        Ok(validity) => UnixTime::since_unix_epoch(Duration::from_secs(validity.to)),
        Err(error) => {
            found.push(Finding::Rule(1, words::rule(&error)));
            return found;
        }
    };
    // Of itself, whoever signed it.
    match tried(own, &[], &[], time) {
        Ok(()) | Err(Error::UnknownIssuer) => {}
        Err(error) => found.push(Finding::Rule(1, words::rule(&error))),
    }
    if has_no_names(own) {
        found.push(Finding::NoNames);
    }
    let self_signed = |it: &EndEntityCert<'_>| it.issuer() == it.subject();
    for (index, der) in chain.iter().enumerate() {
        // Nobody looks at the signature of who is trusted anyway.
        if !self_signed(&certificates[index]) && WEAK.iter().any(|weak| contains(der, weak)) {
            found.push(Finding::Rule(index + 1, words::WEAK));
        }
    }
    let unsigned = certificates
        .windows(2)
        .position(|pair| pair[0].issuer() != pair[1].subject());
    if let Some(index) = unsigned {
        found.push(Finding::Order(index + 1));
    } else if let [_, between @ .., last] = chain
        && let Ok(anchor) = anchor_from_trusted_cert(last)
        && found.is_empty()
        // Times are told apart from this, and may differ along the chain.
        && let Err(error) = tried(own, &[anchor], between, time)
        && !is_of_time(&error)
    {
        found.push(Finding::Rule(1, words::rule(&error)));
    }
    if chain.len() == 1 && !self_signed(own) {
        found.push(Finding::Incomplete(contains(&chain[0], CA_ISSUERS)));
    }
    found
}

pub(super) fn is_ca(certificate: &EndEntityCert<'_>) -> bool {
    let Ok(validity) = validity(certificate) else {
        return false;
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(validity.to));
    matches!(
        tried(certificate, &[], &[], time),
        Err(Error::CaUsedAsEndEntity)
    )
}

fn validity(certificate: &EndEntityCert<'_>) -> Result<Validity, Error> {
    let first = UnixTime::since_unix_epoch(Duration::ZERO);
    let last = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let from = match tried(certificate, &[], &[], first) {
        Err(Error::CertNotValidYet { not_before, .. }) => not_before.as_secs(),
        Err(error @ (Error::BadDer | Error::BadDerTime | Error::InvalidCertValidity)) => {
            return Err(error);
        }
        // It was valid in 1970.
        _ => 0,
    };
    match tried(certificate, &[], &[], last) {
        Err(Error::CertExpired { not_after, .. }) => Ok(Validity {
            from,
            to: not_after.as_secs(),
        }),
        Err(error) => Err(error),
        Ok(()) => Err(Error::BadDerTime),
    }
}

fn tried(
    certificate: &EndEntityCert<'_>,
    anchors: &[TrustAnchor<'_>],
    between: &[CertificateDer<'_>],
    time: UnixTime,
) -> Result<(), Error> {
    certificate
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            anchors,
            between,
            time,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map(drop)
}

fn is_of_time(error: &Error) -> bool {
    matches!(
        error,
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity
    )
}

fn has_no_names(certificate: &EndEntityCert<'_>) -> bool {
    // A name that nothing has (RFC 6761), so that the error lists those that there are.
    let Ok(nobody) = ServerName::try_from("nobody.invalid") else {
        return false;
    };
    match certificate.verify_is_valid_for_subject_name(&nobody) {
        Err(Error::CertNotValidForName(context)) => context.presented.is_empty(),
        _ => false,
    }
}

fn contains(der: &CertificateDer<'_>, part: &[u8]) -> bool {
    der.windows(part.len()).any(|bytes| bytes == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_fourteen_days_before_the_end() {
        let valid = Validity {
            from: 100,
            to: 100 * DAY,
        };
        let said = |now| valid.finding(1, now).map(|finding| finding.to_string());
        for (now, words) in [
            (99, "not valid yet, but in less than an hour"),
            (86 * DAY + 1, "expires in 13 days"),
            (99 * DAY + 3_600, "expires in 23 hours"),
            (100 * DAY, "expires in less than an hour"),
            (103 * DAY, "it expired 3 days ago"),
        ] {
            assert!(said(now).unwrap().contains(words), "{words}");
        }
        assert_eq!(said(100), None);
        assert_eq!(said(86 * DAY), None);
        let second = valid.finding(2, 103 * DAY).unwrap().to_string();
        assert!(
            second.starts_with("certificate 2 of the file expired"),
            "{second}"
        );
    }

    #[test]
    fn the_end_is_told_once_a_day() {
        let until = |to| Validity { from: 0, to };
        let mut calendar = Calendar {
            validities: vec![(1, until(400 * DAY)), (2, until(100 * DAY))],
            said: None,
        };
        let start = Instant::now();
        let mut told = Vec::new();
        // Each hour for 120 days, and the clock of the wall may stand.
        for hour in 0..120 * 24 {
            let at = start + Duration::from_secs(hour * 3_600);
            if let Some(finding) = calendar.due(hour * 3_600, at) {
                told.push((hour, finding.to_string()));
            }
        }
        // The first hour that is within 14 days of the end, and then each day.
        assert_eq!(told[0].0, 86 * 24 + 1, "{told:?}");
        assert!(
            told.windows(2).all(|pair| pair[1].0 - pair[0].0 == 24),
            "{told:?}"
        );
        assert_eq!(told.len(), 34, "{told:?}");
        assert!(
            told[33]
                .1
                .contains("certificate 2 of the file expired 19 days ago"),
            "{told:?}"
        );
    }
}
