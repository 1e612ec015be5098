//! What is wrong with a certificate, in words that end with what to do.

use std::fmt::Write;

use rustls::CertificateError;
use rustls::pki_types::{IpAddr, ServerName};

use crate::sanitize;

/// So many names of a certificate are listed; hosts with many names share theirs.
const LISTED: usize = 8;

/// Why a client refuses a server's certificate.
pub(super) fn refusal(why: &CertificateError) -> String {
    use CertificateError as Why;
    let fixed = match why {
        Why::Expired | Why::ExpiredContext { .. } => {
            "it has expired; whoever runs the server has to renew it (if it was renewed, look at \
             this machine's clock)"
        }
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "it is not valid yet; if the server is new, look at this machine's clock"
        }
        Why::UnknownIssuer => {
            "nobody whom this machine trusts has signed it; if its CA is a private one, name the \
             CA's certificate (--ca); if not, the server's file may lack the certificates between \
             (fullchain.pem)"
        }
        Why::NotValidForName => {
            "it is for another name; connect by a name that it is for, or have one made for this"
        }
        Why::NotValidForNameContext {
            expected,
            presented,
        } => return wrong_name(expected, presented),
        Why::BadEncoding => "it is damaged; whoever runs the server has to replace it",
        Why::BadSignature => FOREIGN,
        Why::Revoked => "its CA has revoked it; whoever runs the server has to replace it",
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => PURPOSE,
        Why::UnsupportedSignatureAlgorithmContext { .. }
        | Why::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => WEAK,
        Why::UnhandledCriticalExtension => rule(&webpki::Error::UnsupportedCriticalExtension),
        Why::Other(other) => match other.0.downcast_ref() {
            Some(error) => rule(error),
            None => UNKNOWN,
        },
        _ => UNKNOWN,
    };
    fixed.to_owned()
}

/// What it is for, and for what it was shown. Its names are the server's words: whoever sends them
/// must not write to the terminal with them.
fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let expected = match expected {
        ServerName::DnsName(name) => sanitize::word(name.as_ref()),
        ServerName::IpAddress(IpAddr::V4(address)) => {
            std::net::Ipv4Addr::from(*address).to_string()
        }
        ServerName::IpAddress(IpAddr::V6(address)) => {
            std::net::Ipv6Addr::from(*address).to_string()
        }
        _ => "this one".to_owned(),
    };
    if presented.is_empty() {
        return format!(
            "it is for no name, not for {expected}; have one made with subjectAltName \
             (scripts/make-cert.sh does)"
        );
    }
    let mut names = String::new();
    for (number, name) in presented.iter().take(LISTED).enumerate() {
        let between = if number == 0 { "" } else { ", " };
        // To a string nothing fails.
        let _ = write!(names, "{between}{}", sanitize::word(unwrapped(name)));
    }
    if presented.len() > LISTED {
        names.push_str(" and others");
    }
    format!(
        "it is for {names}, not for {expected}; connect by a name that it is for, or have one made \
         for this"
    )
}

/// A name of a certificate without the library's wrapping: `DnsName("chat.example")`.
fn unwrapped(name: &str) -> &str {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// What the verifying library says of a certificate, whoever looks at it: the server at its own,
/// the client at a server's.
pub(super) fn rule(error: &webpki::Error) -> &'static str {
    use webpki::Error as Why;
    match error {
        Why::BadDer | Why::BadDerTime | Why::TrailingData(_) => {
            "the certificate is damaged; copy it anew, or have another made"
        }
        Why::UnsupportedCertVersion => {
            "it is of X.509 version 1, which has no room for a server's names; have one of \
             version 3 made, with subjectAltName (scripts/make-cert.sh does)"
        }
        Why::CaUsedAsEndEntity => {
            "it is a CA's certificate (CA:TRUE, as openssl req -x509 makes it), which clients take \
             from no server; have one made with basicConstraints=critical,CA:FALSE \
             (scripts/make-cert.sh does)"
        }
        Why::EndEntityUsedAsCa => {
            "it was signed with a certificate that is no CA's; have one made that a CA has signed \
             (scripts/make-cert.sh does)"
        }
        Why::PathLenConstraintViolated | Why::MaximumPathDepthExceeded => {
            "there are more CAs between it and the one that is trusted than those allow; have it \
             signed by the CA itself"
        }
        Why::NameConstraintViolation => {
            "its CA may not sign for such names; have it made for a name that the CA may, or by \
             another CA"
        }
        Why::UnsupportedCriticalExtension => {
            "it demands something that is not known here (a critical extension); have one made \
             without it (scripts/make-cert.sh does)"
        }
        Why::InvalidCertValidity => {
            "its validity ends before it begins; have another made, with the clock set right"
        }
        Why::InvalidSignatureForPublicKey => FOREIGN,
        Why::UnsupportedSignatureAlgorithmContext(_)
        | Why::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => WEAK,
        Why::RequiredEkuNotFoundContext(_) => PURPOSE,
        Why::EmptyEkuExtension
        | Why::ExtensionValueInvalid
        | Why::InvalidSerialNumber
        | Why::MalformedExtensions
        | Why::MalformedDnsIdentifier
        | Why::MalformedNameConstraint
        | Why::InvalidNetworkMaskConstraint
        | Why::SignatureAlgorithmMismatch
        | Why::UnsupportedNameType => {
            "it is not made as certificates have to be (RFC 5280); have another made \
             (scripts/make-cert.sh does)"
        }
        Why::MaximumPathBuildCallsExceeded
        | Why::MaximumSignatureChecksExceeded
        | Why::MaximumNameConstraintComparisonsExceeded => {
            "there are too many certificates in its file to try; leave the server's own there and \
             those between it and its CA"
        }
        _ => UNKNOWN,
    }
}

/// Signed by another key than that of the CA of this name.
pub(super) const FOREIGN: &str = "it is damaged, or was signed by another CA of the same name, perhaps an older or newer one; \
     use the certificate of the CA that signed it (plausch --ca)";

/// Signed in a way that nobody trusts any more.
pub(super) const WEAK: &str = "it was signed in a way that is not safe or not known (such as SHA-1, MD5, or RSA of less than \
     2048 bits); have another made, with SHA-256";

pub(super) const PURPOSE: &str = "it is not for servers; have one made with extendedKeyUsage=serverAuth \
     (scripts/make-cert.sh does)";

const UNKNOWN: &str =
    "it breaks a rule for certificates; have another made (scripts/make-cert.sh does)";

#[cfg(test)]
mod tests {
    use super::*;

    /// A server can write anything into its certificate, and its names are shown at a terminal.
    #[test]
    fn names_of_a_certificate_cannot_write_to_the_terminal() {
        let expected = ServerName::try_from("localhost").unwrap();
        let hostile = [
            "DnsName(\"a\u{1b}]0;owned\u{7}\r\n\u{202e}b\")".to_owned(),
            "DnsName(\"\u{9b}31m\")".to_owned(),
        ];
        let said = wrong_name(&expected, &hostile);
        assert!(!said.chars().any(char::is_control), "{said:?}");
        assert!(!said.contains('\u{202e}'), "{said:?}");
        let many: Vec<String> = (0..5000)
            .map(|n| format!("DnsName(\"n{n}.example\")"))
            .collect();
        assert!(wrong_name(&expected, &many).len() < 400);
    }
}
