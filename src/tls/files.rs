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

/// What is in a file.
#[derive(Default)]
pub(super) struct Contents {
    /// Its certificates, in the file's order.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Its private keys, in the file's order.
    pub keys: Vec<PrivateKeyDer<'static>>,
}

/// What a file is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// At least one certificate.
    Certificates,
    /// At least one private key.
    Keys,
}

/// Why a file cannot be used. The words end with what to do.
#[derive(Debug)]
pub enum Fault {
    /// The system does not give it.
    Unreadable(io::Error),
    /// It is no file of certificates: larger than 16 MiB.
    TooLarge,
    /// Nothing but space is in it.
    Empty(Absent),
    /// It is binary: one certificate (DER).
    DerCertificate,
    /// It is binary: one private key (DER).
    DerKey,
    /// It is binary: certificates and key together (PKCS #12).
    Pkcs12,
    /// It is written in UTF-16.
    Utf16,
    /// Its lines were joined, or begin or end with something else.
    Lines,
    /// It ends, or another section begins, before the section does.
    Cut,
    /// A section is not base64.
    Base64,
    /// The private key needs a passphrase.
    Encrypted,
    /// There is only a request for a certificate in it.
    Request,
    /// There are certificates in it, as PKCS #7.
    Pkcs7,
    /// There is a certificate in it in a form of openssl's own.
    OpensslTrusted,
    /// There is only a private key in it where a certificate is wanted.
    KeyForCertificate,
    /// There is only a certificate in it where a private key is wanted.
    CertificateForKey,
    /// There is only a public key in it.
    PublicKey,
    /// There is a private key in it in OpenSSH's form.
    OpensshKey,
    /// The private key is of DSA, which TLS has given up.
    Dsa,
    /// It has sections of other kinds only.
    Nothing(Absent),
    /// There is no section in it at all.
    NotPem(Absent),
}

/// What was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// A certificate.
    Certificate,
    /// A private key.
    Key,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Absent::Certificate => "certificate",
            Absent::Key => "private key",
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
            Fault::PublicKey => {
                "there is no private key in it, but a public one; name the file of the private key"
            }
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

/// What a section says about why there is nothing of what is wanted; `None` if it says nothing.
type Judge = fn(Wanted) -> Option<Fault>;

/// The sections that say why there is nothing of use, by what stands between BEGIN and the dashes.
const LABELS: &[(&str, Judge)] = &[
    ("ENCRYPTED PRIVATE KEY", |wanted| {
        Some(match wanted {
            Wanted::Keys => Fault::Encrypted,
            Wanted::Certificates => Fault::KeyForCertificate,
        })
    }),
    ("OPENSSH PRIVATE KEY", |wanted| {
        Some(match wanted {
            Wanted::Keys => Fault::OpensshKey,
            Wanted::Certificates => Fault::KeyForCertificate,
        })
    }),
    ("DSA PRIVATE KEY", |wanted| {
        Some(match wanted {
            Wanted::Keys => Fault::Dsa,
            Wanted::Certificates => Fault::KeyForCertificate,
        })
    }),
    ("TRUSTED CERTIFICATE", |wanted| {
        Some(match wanted {
            Wanted::Keys => Fault::CertificateForKey,
            Wanted::Certificates => Fault::OpensslTrusted,
        })
    }),
    ("PKCS7", |wanted| {
        (wanted == Wanted::Certificates).then_some(Fault::Pkcs7)
    }),
    ("CERTIFICATE REQUEST", |wanted| {
        (wanted == Wanted::Certificates).then_some(Fault::Request)
    }),
    ("NEW CERTIFICATE REQUEST", |wanted| {
        (wanted == Wanted::Certificates).then_some(Fault::Request)
    }),
    ("PUBLIC KEY", |wanted| {
        (wanted == Wanted::Keys).then_some(Fault::PublicKey)
    }),
];

/// Reads a file, in which there has to be what is wanted; anything else may be there too.
///
/// # Errors
/// See [`Fault`].
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
        Wanted::Certificates => !contents.certificates.is_empty(),
        Wanted::Keys => !contents.keys.is_empty(),
    };
    if enough {
        Ok(contents)
    } else {
        Err(why_nothing(bytes, wanted, &contents))
    }
}

/// Says of a broken section what can be said without its bytes.
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

/// Says of a file without what is wanted what it holds instead.
fn why_nothing(bytes: &[u8], wanted: Wanted, contents: &Contents) -> Fault {
    let absent = match wanted {
        Wanted::Certificates => Absent::Certificate,
        Wanted::Keys => Absent::Key,
    };
    if bytes.trim_ascii().is_empty() {
        return Fault::Empty(absent);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Fault::Utf16;
    }
    if let Some(fault) = binary(bytes) {
        return fault;
    }
    for (label, fault) in LABELS {
        let begin = format!("-----BEGIN {label}-----");
        if lines(bytes).any(|line| line == begin.as_bytes())
            && let Some(fault) = fault(wanted)
        {
            return fault;
        }
    }
    if has_marred_lines(bytes) {
        return Fault::Lines;
    }
    match wanted {
        Wanted::Certificates if !contents.keys.is_empty() => return Fault::KeyForCertificate,
        Wanted::Keys if !contents.certificates.is_empty() => return Fault::CertificateForKey,
        _ => {}
    }
    if lines(bytes).any(|line| line.starts_with(b"-----BEGIN ")) {
        Fault::Nothing(absent)
    } else {
        Fault::NotPem(absent)
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
mod tests {
    use super::*;

    const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    fn section(label: &str) -> String {
        format!("-----BEGIN {label}-----\n{KEY}\n-----END {label}-----\n")
    }

    fn fault(text: &[u8], wanted: Wanted) -> String {
        match parse(text, wanted) {
            Ok(_) => panic!("taken: {}", String::from_utf8_lossy(text)),
            Err(fault) => {
                let debug = format!("{fault:?}");
                assert!(
                    !debug.contains("MC4C") && !debug.contains("77, 67"),
                    "{debug}"
                );
                fault.to_string()
            }
        }
    }

    #[test]
    fn a_broken_file_is_named_for_what_it_is() {
        use Wanted::{Certificates, Keys};
        let key = section("PRIVATE KEY");
        let certificate = section("CERTIFICATE");
        let dek = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(key.bytes().flat_map(|byte| [byte, 0]))
            .collect();
        let cases: Vec<(Vec<u8>, Wanted, &str)> = vec![
            (b"".to_vec(), Keys, "it is empty"),
            (b" \r\n\t\n".to_vec(), Certificates, "it is empty"),
            (
                b"hello\n".to_vec(),
                Certificates,
                "not a PEM file, so there is no certificate",
            ),
            (
                b"\x00\x01\x02".to_vec(),
                Keys,
                "not a PEM file, so there is no private key",
            ),
            (
                key.replace('\n', "").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (
                key.replace('\n', " ").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (
                key.replace('\n', "\\n").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (
                key.replace("-----\nMC", "-----MC").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (
                key.replace("HR4f\n", "HR4f").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (
                key.replace("\n-----END", "-----END").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (
                format!("  {key}").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (
                format!("\u{feff}{key}").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (utf16, Keys, "UTF-16"),
            (key.as_bytes()[..key.len() / 2].to_vec(), Keys, "has no end"),
            (
                key.replace("----\nMC", "---\nMC").into_bytes(),
                Keys,
                "line breaks are lost",
            ),
            (key.replace("IAAB", "I*AB").into_bytes(), Keys, "not base64"),
            (
                key.replace("-----\nMC", &format!("-----\n{dek}MC"))
                    .into_bytes(),
                Keys,
                "encrypted",
            ),
            (
                section("ENCRYPTED PRIVATE KEY").into_bytes(),
                Keys,
                "encrypted",
            ),
            (
                section("OPENSSH PRIVATE KEY").into_bytes(),
                Keys,
                "OpenSSH's form",
            ),
            (section("DSA PRIVATE KEY").into_bytes(), Keys, "of DSA"),
            (section("PUBLIC KEY").into_bytes(), Keys, "but a public one"),
            (
                section("EC PARAMETERS").into_bytes(),
                Keys,
                "there is no private key in it; name",
            ),
            (certificate.clone().into_bytes(), Keys, "but a certificate"),
            (key.clone().into_bytes(), Certificates, "but a private key"),
            (
                section("CERTIFICATE REQUEST").into_bytes(),
                Certificates,
                "only a request",
            ),
            (section("PKCS7").into_bytes(), Certificates, "PKCS #7"),
            (
                section("TRUSTED CERTIFICATE").into_bytes(),
                Certificates,
                "openssl's own form",
            ),
            (
                vec![0x30, 0x82, 1, 1, 0x30, 0x81, 0],
                Certificates,
                "certificate in DER",
            ),
            (
                vec![0x30, 0x81, 9, 2, 1, 0, 0x30],
                Keys,
                "private key in DER",
            ),
            (vec![0x30, 0x82, 9, 9, 2, 1, 3, 0x30], Keys, "PKCS #12"),
        ];
        for (text, wanted, words) in cases {
            let said = fault(&text, wanted);
            assert!(said.contains(words), "{words}: {said}");
            assert!(said.contains(';'), "a cure: {said}");
        }
    }

    /// However a key's file is broken, nothing of the key is told.
    #[test]
    fn no_error_holds_a_byte_of_a_file() {
        let key = section("PRIVATE KEY");
        for at in 0..=key.len() {
            for with in [
                "",
                "\n",
                "-----",
                "\0",
                "-----BEGIN ",
                " ",
                "\\n",
                "\u{fffd}",
            ] {
                for end in [at, (at + 1).min(key.len()), (at + 40).min(key.len())] {
                    let broken = format!("{}{with}{}", &key[..at], &key[end..]);
                    let Err(fault) = parse(broken.as_bytes(), Wanted::Keys) else {
                        continue;
                    };
                    let told = format!("{fault} {fault:?}");
                    for part in KEY.as_bytes().windows(6) {
                        let part = std::str::from_utf8(part).unwrap();
                        assert!(!told.contains(part), "{part} in {told}");
                    }
                    // A variant's name alone: no bytes as numbers either.
                    let debug = format!("{fault:?}");
                    assert!(debug.len() < 24 && !debug.contains('['), "{debug}");
                }
            }
        }
    }

    #[test]
    fn a_file_may_hold_both_and_more() {
        let text = format!(
            "a comment\r\n{}{}{}{}",
            section("EC PARAMETERS"),
            section("PRIVATE KEY"),
            section("CERTIFICATE"),
            section("CERTIFICATE")
        );
        for text in [text.replace('\n', "\r\n"), text.replace('\n', "\r"), text] {
            let contents = parse(text.as_bytes(), Wanted::Keys).unwrap();
            assert_eq!((contents.certificates.len(), contents.keys.len()), (2, 1));
        }
    }
}
