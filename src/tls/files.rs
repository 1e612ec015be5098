//! PEM files of certificates and keys (RFC 7468), and in words what is wrong with one.
//!
//! No error here holds a byte of a file: the library's own hold the line that they stumbled on,
//! and in a key's file that line may be the key. So an error is one of the [`Fault`]s, whose words
//! are all written here.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// The largest file that is read, in bytes: the certificates that a system trusts are 0.25 MB.
const LARGEST: usize = 16 << 20;

#[derive(Default)]
pub(super) struct Contents {
    pub certificates: Vec<CertificateDer<'static>>,
    pub keys: Vec<PrivateKeyDer<'static>>,
}

/// Why a file cannot be used. The words end with what to do.
#[derive(Debug)]
pub enum Fault {
    Unreadable(io::Error),
    TooLarge,
    Empty(Wanted),
    DerCertificate,
    DerKey,
    Pkcs12,
    Utf16,
    Lines,
    Cut,
    Base64,
    Encrypted,
    Request,
    Pkcs7,
    OpensslTrusted,
    KeyForCertificate,
    CertificateForKey,
    PublicKey,
    OpensshKey,
    Dsa,
    Nothing(Wanted),
    NotPem(Wanted),
}

/// What a file is read for: at least one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A certificate.
    Certificate,
    /// A private key.
    Key,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wanted::Certificate => "certificate",
            Wanted::Key => "private key",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Fault::Unreadable(error) => return write!(f, "it cannot be read: {error}"),
            Fault::TooLarge => "it is larger than any file of certificates; name another",
            Fault::Empty(what) => {
                return write!(f, "there is no {what} in it: it is empty; copy it anew");
            }
            Fault::DerCertificate => {
                "it is a certificate in DER, not in PEM; convert it: openssl x509 -inform DER -in \
                 OLD -out NEW"
            }
            Fault::DerKey => {
                "it is a private key in DER, not in PEM; convert it: openssl pkey -inform DER -in \
                 OLD -out NEW"
            }
            Fault::Pkcs12 => {
                "it is PKCS #12, not PEM; take certificates and key out of it: openssl pkcs12 -in \
                 OLD -nokeys -out CERTIFICATES and openssl pkcs12 -in OLD -nocerts -noenc -out KEY"
            }
            Fault::Utf16 => "it is written in UTF-16; save it as plain text (ASCII)",
            Fault::Lines => {
                "its line breaks are lost, or something else stands in a line of dashes; copy it \
                 anew, with each line of dashes by itself"
            }
            Fault::Cut => "a section of it has no end; copy it anew, to its last line",
            Fault::Base64 => "a section of it is damaged (not base64); copy it anew",
            Fault::Encrypted => {
                "the private key in it is encrypted, and nobody is there to type a passphrase when \
                 the server starts; write it without one: openssl pkey -in OLD -out NEW"
            }
            Fault::Request => {
                "there is only a request for a certificate in it; name the certificate that the \
                 CA made of it"
            }
            Fault::Pkcs7 => {
                "the certificates in it are in PKCS #7; take them out: openssl pkcs7 -print_certs \
                 -in OLD -out NEW"
            }
            Fault::OpensslTrusted => {
                "the certificate in it is in openssl's own form (TRUSTED CERTIFICATE); convert it: \
                 openssl x509 -in OLD -out NEW"
            }
            Fault::KeyForCertificate => {
                "there is no certificate in it, but a private key; name the certificate's file \
                 here (are the two files exchanged?)"
            }
            Fault::CertificateForKey => {
                "there is no private key in it, but a certificate; name the key's file here (are \
                 the two files exchanged?)"
            }
            Fault::PublicKey => "it holds no private key, but a public one; name the private one",
            Fault::OpensshKey => {
                "the private key in it is in OpenSSH's form; make one for TLS: openssl ecparam \
                 -name prime256v1 -genkey -noout -out KEY, and a certificate for it"
            }
            Fault::Dsa => {
                "the private key in it is of DSA, which TLS does not know any more; make another: \
                 openssl ecparam -name prime256v1 -genkey -noout -out KEY, and a certificate for it"
            }
            Fault::Nothing(what) => {
                return write!(f, "there is no {what} in it; name the file that has it");
            }
            Fault::NotPem(what) => {
                return write!(
                    f,
                    "it is not a PEM file, so there is no {what} in it; name one that has \
                     its text between lines of dashes"
                );
            }
        };
        f.write_str(words)
    }
}

/// The sections that say why there is nothing of use, by what stands between BEGIN and the dashes.
const LABELS: [&str; 8] = [
    "ENCRYPTED PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "DSA PRIVATE KEY",
    "TRUSTED CERTIFICATE",
    "PKCS7",
    "CERTIFICATE REQUEST",
    "NEW CERTIFICATE REQUEST",
    "PUBLIC KEY",
];

/// What a section says about why there is nothing of what is wanted; `None` if it says nothing.
fn judged(label: &str, wanted: Wanted) -> Option<Fault> {
    use Wanted::{Certificate, Key};
    Some(match (label, wanted) {
        ("ENCRYPTED PRIVATE KEY", Key) => Fault::Encrypted,
        ("OPENSSH PRIVATE KEY", Key) => Fault::OpensshKey,
        ("DSA PRIVATE KEY", Key) => Fault::Dsa,
        (label, Certificate) if label.ends_with(" PRIVATE KEY") => Fault::KeyForCertificate,
        ("TRUSTED CERTIFICATE", Key) => Fault::CertificateForKey,
        ("TRUSTED CERTIFICATE", Certificate) => Fault::OpensslTrusted,
        ("PKCS7", Certificate) => Fault::Pkcs7,
        ("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST", Certificate) => Fault::Request,
        ("PUBLIC KEY", Key) => Fault::PublicKey,
        _ => return None,
    })
}

/// Reads a file, in which there has to be what is wanted; anything else may be there too.
pub(super) fn read(path: &Path, wanted: Wanted) -> Result<Contents, Fault> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| {
            // At once, so that a growing vector leaves no copies of a key.
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            bytes.reserve_exact(length.min(LARGEST) + 1);
            file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)
        })
        .map_err(Fault::Unreadable)?;
    if bytes.len() > LARGEST {
        return Err(Fault::TooLarge);
    }
    parse(&bytes, wanted)
}

fn parse(bytes: &[u8], wanted: Wanted) -> Result<Contents, Fault> {
    let mut contents = Contents::default();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(|error| why_broken(&error, bytes))?;
        if kind == SectionKind::Certificate {
            contents.certificates.push(der.into());
        } else if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
            contents.keys.push(key);
        }
    }
    let enough = match wanted {
        Wanted::Certificate => !contents.certificates.is_empty(),
        Wanted::Key => !contents.keys.is_empty(),
    };
    if enough {
        Ok(contents)
    } else {
        Err(why_nothing(bytes, wanted, &contents))
    }
}

fn why_broken(error: &pem::Error, bytes: &[u8]) -> Fault {
    if is_encrypted(bytes) {
        return Fault::Encrypted;
    }
    if has_marred_lines(bytes) {
        return Fault::Lines;
    }
    match error {
        pem::Error::IllegalSectionStart { .. } => Fault::Lines,
        pem::Error::Base64Decode(_) => Fault::Base64,
        _ => Fault::Cut,
    }
}

fn why_nothing(bytes: &[u8], wanted: Wanted, contents: &Contents) -> Fault {
    if bytes.trim_ascii().is_empty() {
        return Fault::Empty(wanted);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Fault::Utf16;
    }
    if let Some(fault) = binary(bytes) {
        return fault;
    }
    for label in LABELS {
        let begin = format!("-----BEGIN {label}-----");
        if lines(bytes).any(|line| line == begin.as_bytes())
            && let Some(fault) = judged(label, wanted)
        {
            return fault;
        }
    }
    if has_marred_lines(bytes) {
        return Fault::Lines;
    }
    match wanted {
        Wanted::Certificate if !contents.keys.is_empty() => return Fault::KeyForCertificate,
        Wanted::Key if !contents.certificates.is_empty() => return Fault::CertificateForKey,
        _ => {}
    }
    if lines(bytes).any(|line| line.starts_with(b"-----BEGIN ")) {
        Fault::Nothing(wanted)
    } else {
        Fault::NotPem(wanted)
    }
}

/// What a file is that begins as DER does: a SEQUENCE (X.690) whose first member tells the rest.
fn binary(bytes: &[u8]) -> Option<Fault> {
    let [0x30, length, rest @ ..] = bytes else {
        return None;
    };
    let of_length = match length {
        0x81..=0x84 => usize::from(length - 0x80),
        0..=0x7f => 0,
        _ => return None,
    };
    match rest.get(of_length..)? {
        // A number of a version comes first: 3 in PKCS #12 (RFC 7292), 0 or 1 in a key (RFC 5958,
        // RFC 5915); or the algorithm of an encrypted key.
        [0x02, 1, 3, ..] => Some(Fault::Pkcs12),
        [0x02, 1, 0 | 1, ..] => Some(Fault::DerKey),
        [0x30, ..] => Some(Fault::DerCertificate),
        _ => None,
    }
}

/// Whether a key is encrypted in the way of RFC 1421, in a section that otherwise looks as usual.
fn is_encrypted(bytes: &[u8]) -> bool {
    lines(bytes).any(|line| line.starts_with(b"Proc-Type:") && line.ends_with(b",ENCRYPTED"))
}

/// Whether a BEGIN or an END stands in a line with something else.
fn has_marred_lines(bytes: &[u8]) -> bool {
    lines(bytes).any(|line| {
        let marks = |mark: &[u8]| {
            line.windows(mark.len())
                .filter(|part| part == &mark)
                .count()
        };
        let count = marks(b"-----BEGIN ") + marks(b"-----END ");
        let alone = line.starts_with(b"-----") && line.ends_with(b"-----");
        count > 1 || (count == 1 && !alone)
    })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii_end)
}

#[cfg(test)]
mod tests;
