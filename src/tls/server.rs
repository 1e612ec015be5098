//! The server's certificate and key, read from an operator's files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::Channel;

/// What new connections are given. The files can be read again while the server runs; connections
/// that are there keep what they began with.
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    config: Mutex<Arc<ServerConfig>>,
}

/// Why files cannot be used.
#[derive(Debug)]
pub enum FileError {
    /// A file cannot be read, or is no PEM.
    Read(PathBuf, pem::Error),
    /// There is no certificate in the file.
    NoCertificate(PathBuf),
    /// They cannot be used, or do not belong together.
    Unfit(PathBuf, PathBuf, rustls::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Read(path, pem::Error::Io(error)) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            FileError::Read(path, pem::Error::NoItemsFound) => {
                write!(f, "there is no private key in {}", path.display())
            }
            FileError::Read(path, error) => {
                write!(f, "{} is not a PEM file: {error}", path.display())
            }
            FileError::NoCertificate(path) => {
                write!(f, "there is no certificate in {}", path.display())
            }
            FileError::Unfit(certificate, key, error) => {
                let why = match error {
                    rustls::Error::InconsistentKeys(_) => "the key is not the certificate's",
                    rustls::Error::InvalidCertificate(_) => "the certificate is damaged",
                    rustls::Error::General(why) => why.as_str(),
                    _ => "they are of no kind that this server knows",
                };
                write!(
                    f,
                    "cannot use {} with {}: {why}",
                    certificate.display(),
                    key.display()
                )
            }
        }
    }
}

impl std::error::Error for FileError {}

impl Identity {
    /// Reads a chain of certificates, the server's own first, and its private key, both as PEM.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Identity, FileError> {
        let config = read(certificate, key)?;
        Ok(Identity {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            config: Mutex::new(config),
        })
    }

    /// Reads the files again, for connections that come from now on.
    ///
    /// # Errors
    /// See [`FileError`]; what held before holds on.
    pub fn reload(&self) -> Result<(), FileError> {
        *self.config.lock() = read(&self.certificate, &self.key)?;
        Ok(())
    }

    /// The file of the certificates.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The server's end of a new connection. The handshake begins when something comes.
    ///
    /// # Errors
    /// None that an operator could cause.
    pub fn begin(&self) -> std::io::Result<Channel> {
        let config = Arc::clone(&self.config.lock());
        match ServerConnection::new(config) {
            Ok(connection) => Ok(Channel::new(connection)),
            Err(error) => Err(std::io::Error::other(error)),
        }
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, FileError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error| FileError::Read(path, error)
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(certificate))?;
    if chain.is_empty() {
        return Err(FileError::NoCertificate(certificate.to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(|error| FileError::Unfit(certificate.to_owned(), key.to_owned(), error))?;
    Ok(Arc::new(config))
}
