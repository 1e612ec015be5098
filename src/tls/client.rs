//! The client's end: whom to trust, and a stream whose two directions two threads may share.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::SockRef;
use webpki::EndEntityCert;

use super::files;
use super::{Channel, PIECE, Taken, words};
use crate::sys;
use crate::tls::files::Wanted;

/// Who may have signed a server's certificate.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

/// Why a connection with TLS could not be made, in words for people.
#[derive(Debug)]
pub enum ConnectError {
    /// The file of certificates to trust cannot be used, and why.
    Trust(PathBuf, String),
    /// This machine has no certificates to trust.
    TrustsNobody,
    /// What it was called is no name that a certificate could hold.
    Name(String),
    /// The server's certificate is refused, and why.
    Refused(String),
    /// Whatever answers does not speak TLS.
    NoTls,
    /// The session could not begin for another reason.
    Failed(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Trust(path, why) => write!(f, "cannot trust {}: {why}", path.display()),
            ConnectError::TrustsNobody => {
                f.write_str("this system has no certificates to trust; name a file of them (--ca)")
            }
            ConnectError::Name(name) => write!(f, "{name:?} is not the name of a server"),
            ConnectError::Refused(why) => write!(f, "the server's certificate is refused: {why}"),
            ConnectError::NoTls => f.write_str("the server does not speak TLS on this port"),
            ConnectError::Failed(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the server closed the connection before TLS had begun")
            }
            ConnectError::Failed(error) => write!(f, "TLS could not begin: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl Trust {
    /// Whoever the operating system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` change that.
    pub fn system() -> Result<Trust, ConnectError> {
        let mut roots = RootCertStore::empty();
        // Systems hold a few that cannot be read; the others do.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(ConnectError::TrustsNobody);
        }
        Trust::new(roots).map_err(|error| ConnectError::Failed(io::Error::other(error)))
    }

    /// Only those whose certificates are in the file, as PEM.
    pub fn file(path: &Path) -> Result<Trust, ConnectError> {
        let unusable = |why: String| ConnectError::Trust(path.to_owned(), why);
        let certificates = files::read(path, Wanted::Certificate)
            .map_err(|fault| unusable(fault.to_string()))?
            .certificates;
        if certificates.iter().all(is_of_a_server) {
            return Err(unusable(
                "there is only a server's certificate in it; name the file of the CA that signed \
                 it (ca.pem)"
                    .to_owned(),
            ));
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            if roots.add(certificate).is_err() {
                return Err(unusable(
                    "a certificate in it is damaged; copy the file anew".to_owned(),
                ));
            }
        }
        Trust::new(roots).map_err(|error| unusable(error.to_string()))
    }

    fn new(roots: RootCertStore) -> Result<Trust, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Trust(Arc::new(config)))
    }
}

/// Whether a certificate can only be a server's: neither a CA's nor signed by itself, so that
/// nothing it could be trusted for would ever be shown. What cannot be read is not.
fn is_of_a_server(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate)
        .is_ok_and(|it| it.issuer() != it.subject() && !super::look::is_ca(&it))
}

/// A connection with TLS. One thread may read while others write.
pub struct Stream {
    socket: TcpStream,
    channel: Channel,
    /// The right to write, with a buffer for what is sealed.
    sealed: Mutex<Vec<u8>>,
}

impl Stream {
    /// Makes the handshake on a fresh connection, whose time-outs hold for each step of it. The
    /// server has to prove that it is `name`, a host name or an address.
    pub fn begin(socket: TcpStream, name: &str, trust: &Trust) -> Result<Stream, ConnectError> {
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| ConnectError::Name(name.to_owned()))?;
        let connection = ClientConnection::new(Arc::clone(&trust.0), server)
            .map_err(|error| ConnectError::Failed(io::Error::other(error)))?;
        let stream = Stream {
            socket,
            channel: Channel::new(connection),
            sealed: Mutex::default(),
        };
        stream.shake_hands().map_err(|error| {
            // So that the server learns why; whether it does is its own affair.
            let _ = stream.send(&[]);
            why_failed(error)
        })?;
        Ok(stream)
    }

    fn shake_hands(&self) -> io::Result<()> {
        let mut buffer = vec![0; 4 << 10];
        self.send(&[])?;
        while self.channel.is_handshaking() {
            let count = receive(&self.socket, &mut buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.channel.feed(&buffer[..count])? {
                self.send(&[])?;
            }
        }
        // What ends our part of it may have been made by the last step.
        self.send(&[])
    }

    /// The connection below, for its options.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Says in order that nothing more will be sent. What the server still sends can be read.
    pub fn finish(&self) -> io::Result<()> {
        let mut sealed = self.sealed.lock();
        sealed.clear();
        self.channel.close(&mut sealed);
        (&self.socket).write_all(&sealed)?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// Ends reading and writing, also for who is just blocked in either. Waits for nobody.
    pub fn end(&self) {
        // Who is writing just now could not finish a record anyway.
        if let Some(mut sealed) = self.sealed.try_lock() {
            sealed.clear();
            self.channel.close(&mut sealed);
            let _ = SockRef::from(&self.socket).send_with_flags(&sealed, sys::DO_NOT_WAIT);
        }
        // Fails only on a connection that has ended already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn send(&self, text: &[u8]) -> io::Result<()> {
        let mut sealed = self.sealed.lock();
        sealed.clear();
        self.channel.seal(text, &mut sealed)?;
        let sent = (&self.socket).write_all(&sealed);
        sealed.clear();
        sealed.shrink_to(PIECE);
        sent
    }
}

impl Read for &Stream {
    /// The end of input is 0 bytes, whether the server said it in order or only closed: each line
    /// has an end of its own, so that nothing can be cut short unnoticed.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.channel.take(buffer)? {
                Taken::Text(count) => return Ok(count),
                Taken::End => return Ok(0),
                Taken::Nothing => {}
            }
            let count = receive(&self.socket, buffer)?;
            if count == 0 {
                return Ok(0);
            }
            if self.channel.feed(&buffer[..count])? {
                self.send(&[])?;
            }
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        self.send(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn receive(mut socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn why_failed(error: io::Error) -> ConnectError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => ConnectError::Refused(words::refusal(why)),
        Some(rustls::Error::NoCertificatesPresented) => ConnectError::Refused(
            "it showed none; is it a chat server that listens there?".to_owned(),
        ),
        Some(rustls::Error::InvalidMessage(_)) => ConnectError::NoTls,
        _ => ConnectError::Failed(error),
    }
}
