#!/bin/sh
# Package:   rustls-webpki 0.103.17 (crates.io), with which rustls 0.23 verifies servers
# Behaviour: a certificate that is signed by itself, for the right name, valid now and named as the
#            one to trust, is refused as a server's if it says CA:TRUE, which is what plain
#            `openssl req -x509` writes into each that it makes; with CA:FALSE the same certificate
#            is taken. RFC 5280 does not forbid a CA's certificate to be a server's, and openssl's
#            s_client -CAfile takes both. The error has no words of its own:
#            rustls hands it on as Other(OtherError(CaUsedAsEndEntity)).
# Seen:      2026-11-30, rustc 1.95.0, certificates by rcgen 0.14.10:
#              CA:TRUE: CaUsedAsEndEntity
#              CA:FALSE: accepted
# Ends with 1 when that has changed, with 2 when it could not be tried. Needs cargo and the
# registry; not a part of CI.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "tried"
version = "0.0.0"
edition = "2021"

[dependencies]
rustls-webpki = { version = "=0.103.17", default-features = false, features = ["ring", "std"] }
rustls-pki-types = "=1.16.0"
rcgen = { version = "=0.14.10", default-features = false, features = ["crypto", "ring"] }

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls_pki_types::UnixTime;
use webpki::{anchor_from_trusted_cert, EndEntityCert, KeyUsage, ALL_VERIFICATION_ALGS};

fn main() {
    for (what, is_ca) in [
        ("CA:TRUE", IsCa::Ca(BasicConstraints::Unconstrained)),
        ("CA:FALSE", IsCa::ExplicitNoCa),
    ] {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let anchors = [anchor_from_trusted_cert(certificate.der()).unwrap()];
        let server = EndEntityCert::try_from(certificate.der()).unwrap();
        let usage = KeyUsage::server_auth();
        let algorithms = ALL_VERIFICATION_ALGS;
        let verified =
            server.verify_for_usage(algorithms, &anchors, &[], UnixTime::now(), usage, None, None);
        match verified {
            Ok(_) => println!("{what}: accepted"),
            Err(error) => println!("{what}: {error:?}"),
        }
    }
}
RUST
seen=$(cargo run --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target") || exit 2
echo "$seen"
expected='CA:TRUE: CaUsedAsEndEntity
CA:FALSE: accepted'
if [ "$seen" != "$expected" ]; then
    echo "this has changed; before:" >&2
    echo "$expected" >&2
    exit 1
fi
