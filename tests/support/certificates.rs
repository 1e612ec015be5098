//! Certificates of a CA that lives as long as the test program.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use plausch::tls::client::Trust;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

use super::system::TempDir;

/// Names that a server of a test proves to have, unless the test wants others.
pub const NAMES: &[&str] = &["127.0.0.1", "::1", "localhost"];

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub enum Validity {
    Now,
    Past,
    Future,
}

/// Who signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a CA"))
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key, as PEM.
    pub fn sign(&self, names: &[&str], validity: Validity) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        let (from, to) = match validity {
            Validity::Now => (2020, 2120),
            Validity::Past => (2020, 2021),
            Validity::Future => (2110, 2120),
        };
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// The CA of this test program.
pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("CA of the tests"))
}

/// Trusts the CA of this test program alone.
pub fn trust() -> &'static Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    TRUST.get_or_init(|| trust_in(authority()))
}

/// Trusts this CA alone.
pub fn trust_in(authority: &Authority) -> Trust {
    let directory = TempDir::new();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).expect("write");
    Trust::file(&file).expect("a CA")
}

/// Writes a certificate and its key into a directory.
pub fn write(directory: &Path, (certificate, key): (String, String)) -> (PathBuf, PathBuf) {
    let paths = (directory.join("server.pem"), directory.join("server.key"));
    std::fs::write(&paths.0, certificate).expect("write");
    std::fs::write(&paths.1, key).expect("write");
    // As a key's file should be; the server says so where it is not.
    std::fs::set_permissions(&paths.1, Permissions::from_mode(0o600)).expect("chmod");
    paths
}

/// The options of a server with TLS on a port of its own, with these files.
pub fn options((certificate, key): &(PathBuf, PathBuf)) -> Vec<String> {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (certificate, key) = (text(certificate), text(key));
    [
        "--tls-listen",
        "127.0.0.1:0",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
    ]
    .map(str::to_owned)
    .to_vec()
}
