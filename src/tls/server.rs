//! The server's certificate and key, read from an operator's files.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection};
use webpki::EndEntityCert;

use super::files;
use super::look;
use super::{Channel, words};
use crate::tls::files::{Fault, Wanted};
use crate::tls::look::{Calendar, Finding};

/// What new connections are given. The files can be read again while the server runs; connections
/// that are there keep what they began with.
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    held: Mutex<Held>,
}

struct Held {
    config: Arc<ServerConfig>,
    calendar: Calendar,
    /// What else there was to say, until it is told.
    findings: Vec<Finding>,
    /// How many keys of the key's file do not belong to the certificate.
    other_keys: usize,
    /// Whether the certificate's file holds a key although another file is named for it.
    key_beside: bool,
}

/// Why files cannot be used. Nothing of a file is in any of these.
#[derive(Debug)]
pub enum FileError {
    /// One file cannot be used by itself.
    File(PathBuf, Fault),
    /// The server's own certificate cannot be used, and why.
    Certificate(PathBuf, &'static str),
    /// The server has no use for the private key.
    Key(PathBuf),
    /// The files (certificate, key) do not belong together.
    Mismatch(PathBuf, PathBuf),
    /// The certificate of the key is in the file (certificate, key), but not the first: it is the
    /// one of this number, counted from 1.
    NotFirst(PathBuf, PathBuf, usize),
    /// TLS cannot be had at all.
    Unfit(rustls::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::File(path, Fault::Unreadable(error)) => {
                write!(f, "cannot read {}: {error}", shown(path))
            }
            FileError::File(path, fault) => write!(f, "cannot use {}: {fault}", shown(path)),
            FileError::Certificate(path, why) => {
                write!(f, "cannot use the certificate {}: {why}", shown(path))
            }
            FileError::Key(path) => write!(
                f,
                "cannot use the key {}: it is damaged or of a kind that this server does not take; \
                 it takes ECDSA on P-256 or P-384, RSA of 2048 to 4096 bits, and Ed25519 (PKCS #8). \
                 Make one: openssl ecparam -name prime256v1 -genkey -noout -out KEY, and a \
                 certificate for it",
                shown(path)
            ),
            FileError::Mismatch(certificate, key) => write!(
                f,
                "cannot use {} with {}: the key is not the certificate's; name the two files that \
                 were made together",
                shown(certificate),
                shown(key)
            ),
            FileError::NotFirst(certificate, key, number) => write!(
                f,
                "cannot use {} with {}: the key belongs to certificate {number} of the file; put \
                 the server's own certificate first, then those between it and its CA",
                shown(certificate),
                shown(key)
            ),
            FileError::Unfit(_) => f.write_str("this build cannot speak TLS"),
        }
    }
}

impl std::error::Error for FileError {}

/// The name of a file, unless somebody has given what should be in the file.
fn shown(path: &Path) -> String {
    let name = path.display().to_string();
    if name.contains("-----BEGIN ") || name.contains('\n') {
        return "a name that is no file's (give the name, not what is in the file)".to_owned();
    }
    name
}

impl Identity {
    /// Reads a chain of certificates, the server's own first, and its private key, both as PEM.
    pub fn load(certificate: &Path, key: &Path) -> Result<Identity, FileError> {
        let held = read(certificate, key)?;
        Ok(Identity {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            held: Mutex::new(held),
        })
    }

    /// Reads the files again, for connections that come from now on. On an error what held before
    /// holds on.
    pub fn reload(&self) -> Result<(), FileError> {
        let held = read(&self.certificate, &self.key)?;
        *self.held.lock() = held;
        Ok(())
    }

    /// Says in the log what clients will not like about the files that were read last.
    pub fn tell(&self) {
        let file = self.certificate.display();
        let mut held = self.held.lock();
        for finding in std::mem::take(&mut held.findings) {
            let level = if finding.is_note() {
                log::Level::Info
            } else {
                log::Level::Warn
            };
            log::log!(level, "certificate {file}: {finding}");
        }
        if held.key_beside {
            log::warn!(
                "certificate {file}: there is a private key in the file too, which others may \
                 read; leave it in the file of --tls-key alone"
            );
        }
        let key = self.key.display();
        if held.other_keys > 0 {
            log::warn!(
                "key {key}: {} more in the file {} not the certificate's; leave the one that is",
                held.other_keys,
                if held.other_keys == 1 { "is" } else { "are" }
            );
        }
        if is_open(&self.key) {
            log::warn!("key {key}: everybody on this machine may read it; chmod o-rwx");
        }
        drop(held);
        self.remind(SystemTime::now(), Instant::now());
    }

    /// Says in the log when a certificate of the chain has expired, soon will or is not valid yet,
    /// once a day. Cheap enough for each second.
    pub fn remind(&self, now: SystemTime, at: Instant) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Some(finding) = self.held.lock().calendar.due(now, at) {
            log::warn!("certificate {}: {finding}", self.certificate.display());
        }
    }

    /// The file of the certificates.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The server's end of a new connection. The handshake begins when something comes.
    pub fn begin(&self) -> std::io::Result<Channel> {
        let config = Arc::clone(&self.held.lock().config);
        match ServerConnection::new(config) {
            Ok(connection) => Ok(Channel::new(connection)),
            Err(error) => Err(std::io::Error::other(error)),
        }
    }
}

/// Whether others than the file's owner and group may read it.
fn is_open(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

fn read(certificate: &Path, key: &Path) -> Result<Held, FileError> {
    let file = |path: &Path, wanted| {
        files::read(path, wanted).map_err(|fault| FileError::File(path.to_owned(), fault))
    };
    let files::Contents {
        certificates: chain,
        keys: beside,
    } = file(certificate, Wanted::Certificate)?;
    let keys = file(key, Wanted::Key)?.keys;
    let other_keys = keys.len() - 1;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key_provider = provider.key_provider;
    let usable: Vec<_> = keys
        .into_iter()
        .filter_map(|key| key_provider.load_private_key(key).ok())
        .collect();
    if usable.is_empty() {
        return Err(FileError::Key(key.to_owned()));
    }
    // `files` gives no empty chain.
    let own = EndEntityCert::try_from(&chain[0])
        .map_err(|error| FileError::Certificate(certificate.to_owned(), words::rule(&error)))?;
    let wanted = own.subject_public_key_info();
    let fits = |key: &Arc<dyn SigningKey>| key.public_key().as_ref() == Some(&wanted);
    let Some(fitting) = usable.iter().find(|key| fits(key)) else {
        let number = usable.iter().find_map(|key| position(&chain, key.as_ref()));
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        return Err(match number {
            Some(number) => FileError::NotFirst(certificate, key, number),
            None => FileError::Mismatch(certificate, key),
        });
    };
    let (calendar, findings) = (Calendar::of(&chain), look::findings(&chain));
    let certified = CertifiedKey::new(chain, Arc::clone(fitting));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(FileError::Unfit)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // Tickets come unasked behind a handshake. Two libraries cannot take them there (wolfSSL 5.5
    // ends the connection, telnet-ssl waits for ever), and a connection that lasts for hours gains
    // nothing by the next one's shorter handshake.
    config.send_tls13_tickets = 0;
    Ok(Held {
        config: Arc::new(config),
        calendar,
        findings,
        other_keys,
        key_beside: !beside.is_empty() && certificate != key,
    })
}

/// Which certificate of the chain the key belongs to, counted from 1.
fn position(chain: &[CertificateDer<'static>], key: &dyn SigningKey) -> Option<usize> {
    let wanted = key.public_key()?;
    let of = |certificate: &CertificateDer<'static>| {
        EndEntityCert::try_from(certificate).is_ok_and(|it| it.subject_public_key_info() == wanted)
    };
    chain.iter().position(of).map(|index| index + 1)
}
