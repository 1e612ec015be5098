//! Certificate and key files of every kind, right and wrong: what the server says of them at its
//! start, and what a client says of the server that shows them. Each word comes with a cure, and
//! none holds a byte of a key.

use std::fs::Permissions;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::certificates::{self, NAMES};
use crate::support::client::TIMEOUT;
use crate::support::server::{TestServer, program, refuses, signal};
use crate::support::system::TempDir;
use plausch::tls::client::{Stream, Trust};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, NameConstraints,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, date_time_ymd,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A CA with this name, signed by itself or by another, with changes.
fn ca(name: &str, by: Option<&Issuer>, change: impl FnOnce(&mut CertificateParams)) -> Issuer {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    match by {
        None => CertifiedIssuer::self_signed(params, key),
        Some(by) => CertifiedIssuer::signed_by(params, key, by),
    }
    .expect("a CA")
}

/// A server's certificate and key with changes, as PEM.
fn leaf(by: &Issuer, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    leaf_of(&KeyPair::generate().expect("a key"), by, change)
}

fn leaf_of(
    key: &KeyPair,
    by: &Issuer,
    change: impl FnOnce(&mut CertificateParams),
) -> (String, String) {
    let names: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    change(&mut params);
    let certificate = params.signed_by(key, by).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// A certificate that is signed by itself.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let names: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

fn ending_in(time: Duration) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.not_after = (SystemTime::now() + time).into()
}

/// Where CAs that sign with a certificate between say that it can be had: the extension
/// authorityInfoAccess with one caIssuers, `http://ca.example/`.
fn with_issuer_address(params: &mut CertificateParams) {
    let address = b"http://ca.example/";
    let mut inner = vec![
        6,
        8,
        0x2b,
        6,
        1,
        5,
        5,
        7,
        0x30,
        2,
        0x86,
        address.len() as u8,
    ];
    inner.extend_from_slice(address);
    let mut content = vec![0x30, inner.len() as u8 + 2, 0x30, inner.len() as u8];
    content.extend(inner);
    params
        .custom_extensions
        .push(CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 5, 5, 7, 1, 1],
            content,
        ));
}

/// What the server says.
enum Server {
    /// Nothing: it is all right.
    Quiet,
    /// Something that may be as it should be.
    Note(&'static str),
    /// Warnings, all of them.
    Warns(&'static [&'static str]),
    /// It does not start.
    Refuses(&'static str),
}

/// What a client says.
enum Seen {
    Right,
    Wrong(&'static str),
    /// No client gets that far.
    Never,
}

struct Case {
    name: &'static str,
    files: (Vec<u8>, Vec<u8>),
    server: Server,
    client: Seen,
}

fn case(
    name: &'static str,
    files: (impl Into<Vec<u8>>, impl Into<Vec<u8>>),
    server: Server,
    client: Seen,
) -> Case {
    let files = (files.0.into(), files.1.into());
    Case {
        name,
        files,
        server,
        client,
    }
}

/// The contents of a PEM section.
fn der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::pem::{PemObject, SectionKind};
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes());
    sections.next().expect("a section").expect("PEM").1
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xff, 0xfe].into_iter().chain(units).collect()
}

const OWN_CA: &str = "who signed it is not in the file: clients have to trust its CA";

/// The table. All certificates are of `root`, which the clients trust, unless the row says so.
fn cases(root: &Issuer) -> Vec<Case> {
    use Seen::{Never, Right, Wrong};
    use Server::{Note, Quiet, Refuses, Warns};
    let good = || leaf(root, |_| {});
    let (certificate, key) = good();
    let one_line = |text: &str| text.replace('\n', "");
    let relabelled = |text: &str, from: &str, to: &str| text.replace(from, to);
    let between = ca("one between", Some(root), |_| {});
    let second = ca("another between", Some(&between), |_| {});
    let of_between = leaf(&between, with_issuer_address);
    let of_second = leaf(&second, |_| {});
    let namesake = ca("the root", None, |_| {});
    let (foreign, foreign_key) = leaf(&namesake, |_| {});
    let old_between = ca("an old one", Some(root), |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let of_old = leaf(&old_between, |_| {});
    let limited = ca("for others", Some(root), |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("other.example".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let of_limited = leaf(&limited, |_| {});
    let p384 = leaf_of(
        &KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key"),
        root,
        |_| {},
    );
    let ed25519 = leaf_of(
        &KeyPair::generate_for(&PKCS_ED25519).expect("a key"),
        root,
        |_| {},
    );
    let stranger = good();
    let and = |first: &str, more: &[&str]| format!("{first}{}", more.concat());
    let chain = format!("{}{}", of_second.0, second.pem());
    let encrypted =
        "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
    vec![
        // Right.
        case("of a private CA", good(), Note(OWN_CA), Right),
        case("on P-384", p384, Note(OWN_CA), Right),
        case("of Ed25519", ed25519, Note(OWN_CA), Right),
        case(
            "with its CA behind it",
            (and(&certificate, &[&root.pem()]), key.as_str()),
            Quiet,
            Right,
        ),
        case(
            "with one between",
            (and(&of_between.0, &[&between.pem()]), of_between.1.as_str()),
            Quiet,
            Right,
        ),
        case(
            "with two between",
            (and(&chain, &[&between.pem()]), of_second.1.as_str()),
            Quiet,
            Right,
        ),
        case(
            "with CR LF",
            (certificate.replace('\n', "\r\n"), key.replace('\n', "\r\n")),
            Note(OWN_CA),
            Right,
        ),
        case(
            "with comments",
            (
                format!("a server\n\n{certificate}"),
                format!("its key\n{key}"),
            ),
            Note(OWN_CA),
            Right,
        ),
        case(
            "fifteen days left",
            leaf(root, ending_in(15 * DAY)),
            Note(OWN_CA),
            Right,
        ),
        case(
            "for servers and clients",
            leaf(root, |params| {
                params.extended_key_usages = vec![
                    ExtendedKeyUsagePurpose::ClientAuth,
                    ExtendedKeyUsagePurpose::ServerAuth,
                ];
            }),
            Note(OWN_CA),
            Right,
        ),
        // It starts, and warns.
        case(
            "a key in the certificate's file",
            (and(&certificate, &[&key]), key.as_str()),
            Warns(&["there is a private key in the file too"]),
            Right,
        ),
        case(
            "two keys",
            (certificate.as_str(), and(&stranger.1, &[&key])),
            Warns(&["1 more in the file is not"]),
            Right,
        ),
        case(
            "thirteen days left",
            leaf(root, ending_in(13 * DAY + DAY / 2)),
            Warns(&["it expires in 13 days; renew it"]),
            Right,
        ),
        case(
            "hours left",
            leaf(root, ending_in(DAY / 2 + DAY / 48)),
            Warns(&["it expires in 12 hours"]),
            Right,
        ),
        case(
            "expired",
            leaf(root, |params| params.not_after = date_time_ymd(2021, 1, 1)),
            Warns(&["it expired ", "renew it"]),
            Wrong("it has expired"),
        ),
        case(
            "not valid yet",
            leaf(root, |params| params.not_before = date_time_ymd(2110, 1, 1)),
            Warns(&["it is not valid yet, but in ", "clock"]),
            Wrong("look at this machine's clock"),
        ),
        case(
            "no subjectAltName",
            leaf(root, |params| params.subject_alt_names.clear()),
            Warns(&["it is for no name"]),
            Wrong("it is for no name, not for localhost; have one made"),
        ),
        case(
            "for another name",
            leaf(root, |params| {
                params.subject_alt_names.truncate(1);
            }),
            Note(OWN_CA),
            Wrong("it is for 127.0.0.1, not for localhost; connect by"),
        ),
        case(
            "a CA's own, as openssl req -x509 makes it",
            self_signed(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            Warns(&["it is a CA's certificate"]),
            Wrong("it is a CA's certificate (CA:TRUE"),
        ),
        case(
            "signed by itself, no CA",
            self_signed(|_| {}),
            Quiet,
            Wrong("nobody whom this machine trusts"),
        ),
        case(
            "for clients alone",
            leaf(root, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            Warns(&["it is not for servers"]),
            Wrong("it is not for servers; have one made"),
        ),
        case(
            "without the one between",
            of_between.clone(),
            Warns(&["the certificate that signed it is not in the file"]),
            Wrong("the certificates between (fullchain.pem)"),
        ),
        case(
            "of a CA's namesake",
            (foreign.as_str(), foreign_key.as_str()),
            Note(OWN_CA),
            Wrong("or was signed by another CA of the same name"),
        ),
        case(
            "with its CA's namesake",
            (and(&foreign, &[&root.pem()]), foreign_key.as_str()),
            Warns(&["signed by another CA of the same name"]),
            Wrong("another CA of the same name"),
        ),
        case(
            "those between exchanged",
            (
                and(&of_second.0, &[&between.pem(), &second.pem()]),
                of_second.1.as_str(),
            ),
            Warns(&["certificate 1 of the file is not signed by the next one; put them in order"]),
            Right,
        ),
        case(
            "an old one between",
            (and(&of_old.0, &[&old_between.pem()]), of_old.1.as_str()),
            Warns(&["certificate 2 of the file expired "]),
            Wrong("it has expired"),
        ),
        case(
            "its CA may not",
            (
                and(&of_limited.0, &[&limited.pem(), &root.pem()]),
                of_limited.1.as_str(),
            ),
            Warns(&["its CA may not sign for such names"]),
            Wrong("its CA may not sign for such names"),
        ),
        // It does not start.
        case(
            "a stranger's key",
            (certificate.as_str(), stranger.1.as_str()),
            Refuses("the key is not the certificate's; name"),
            Never,
        ),
        case(
            "the one between first",
            (and(&between.pem(), &[&of_between.0]), of_between.1.as_str()),
            Refuses(
                "the key belongs to certificate 2 of the file; put the server's own certificate first",
            ),
            Never,
        ),
        case(
            "an encrypted key",
            (
                certificate.as_str(),
                relabelled(&key, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
            ),
            Refuses("is encrypted, and nobody is there to type a passphrase"),
            Never,
        ),
        case(
            "an encrypted key, old style",
            (
                certificate.as_str(),
                relabelled(&key, "-----BEGIN PRIVATE KEY-----\n", encrypted),
            ),
            Refuses("is encrypted, and nobody is there to type a passphrase"),
            Never,
        ),
        case(
            "files exchanged",
            (key.as_str(), certificate.as_str()),
            Refuses("but a private key; name the certificate's file"),
            Never,
        ),
        case(
            "no key",
            (certificate.as_str(), certificate.as_str()),
            Refuses("but a certificate; name the key's file"),
            Never,
        ),
        case(
            "no certificate",
            (key.as_str(), key.as_str()),
            Refuses("there is no certificate in it, but a private key"),
            Never,
        ),
        case(
            "an empty certificate",
            ("", key.as_str()),
            Refuses("it is empty; copy it anew"),
            Never,
        ),
        case(
            "an empty key",
            (certificate.as_str(), "\n"),
            Refuses("it is empty; copy it anew"),
            Never,
        ),
        case(
            "DER",
            (der(&certificate), key.clone().into_bytes()),
            Refuses("a certificate in DER, not in PEM; convert it"),
            Never,
        ),
        case(
            "a key in DER",
            (certificate.clone().into_bytes(), der(&key)),
            Refuses("a private key in DER, not in PEM; convert it"),
            Never,
        ),
        case(
            "no PEM",
            ("this is no certificate\n", key.as_str()),
            Refuses("it is not a PEM file, so there is no certificate"),
            Never,
        ),
        case(
            "UTF-16",
            (utf16(&certificate), key.clone().into_bytes()),
            Refuses("written in UTF-16"),
            Never,
        ),
        case(
            "a key in UTF-16",
            (certificate.clone().into_bytes(), utf16(&key)),
            Refuses("written in UTF-16"),
            Never,
        ),
        case(
            "a key without line breaks",
            (certificate.as_str(), one_line(&key)),
            Refuses("its line breaks are lost"),
            Never,
        ),
        case(
            "a key with \\n for line breaks",
            (certificate.as_str(), key.replace('\n', "\\n")),
            Refuses("its line breaks are lost"),
            Never,
        ),
        case(
            "a certificate without line breaks",
            (one_line(&certificate), key.as_str()),
            Refuses("its line breaks are lost"),
            Never,
        ),
        case(
            "half a certificate",
            (&certificate[..certificate.len() / 2], key.as_str()),
            Refuses("has no end; copy it anew"),
            Never,
        ),
        case(
            "half a key",
            (certificate.as_str(), &key[..key.len() / 2]),
            Refuses("has no end; copy it anew"),
            Never,
        ),
        case(
            "a damaged certificate",
            (certificate.replace("\nM", "\nN"), key.as_str()),
            Refuses("the certificate is damaged"),
            Never,
        ),
        case(
            "a damaged key",
            (certificate.as_str(), key.replace("\nMIG", "\nMIH")),
            Refuses("it takes ECDSA on P-256"),
            Never,
        ),
        case(
            "a key that is no base64",
            (certificate.as_str(), key.replace("\nMIG", "\n*IG")),
            Refuses("not base64"),
            Never,
        ),
        case(
            "a request",
            (
                relabelled(&certificate, "CERTIFICATE", "CERTIFICATE REQUEST"),
                key.as_str(),
            ),
            Refuses("only a request for a certificate"),
            Never,
        ),
        case(
            "a public key",
            (
                certificate.as_str(),
                relabelled(&key, "PRIVATE KEY", "PUBLIC KEY"),
            ),
            Refuses("but a public one"),
            Never,
        ),
        case(
            "an OpenSSH key",
            (
                certificate.as_str(),
                relabelled(&key, "PRIVATE KEY", "OPENSSH PRIVATE KEY"),
            ),
            Refuses("OpenSSH's form"),
            Never,
        ),
    ]
}

/// That no part of a key is told, as text or as the numbers of its bytes.
fn tells_nothing(of: &[u8], told: &str) {
    for part in of.windows(12) {
        if part
            .iter()
            .any(|byte| matches!(byte, b'-' | b' ' | b'\n' | 0))
        {
            continue;
        }
        if let Ok(text) = std::str::from_utf8(part) {
            assert!(!told.contains(text), "a part of the key in:\n{told}");
        }
        let numbers = format!("{:?}", &part[..4]);
        let numbers = numbers.trim_matches(['[', ']']);
        assert!(!told.contains(numbers), "bytes of the key in:\n{told}");
    }
}

struct Files {
    directory: TempDir,
    paths: (PathBuf, PathBuf),
}

impl Files {
    fn write(case: &Case) -> Files {
        let directory = TempDir::new();
        let texts = ("", "");
        let paths = certificates::write(directory.path(), (texts.0.to_owned(), texts.1.to_owned()));
        std::fs::write(&paths.0, &case.files.0).expect("write");
        std::fs::write(&paths.1, &case.files.1).expect("write");
        Files { directory, paths }
    }
}

/// The words of an error, each with what to do.
fn has_a_cure(name: &str, words: &str) {
    assert!(
        words.contains("; ") || words.contains(": "),
        "{name}: {words}"
    );
    assert!(
        !words.contains("Other(") && !words.contains("Error"),
        "{name}: {words}"
    );
}

#[test]
fn each_file_is_taken_or_named_with_a_cure() {
    let root = ca("the root", None, |_| {});
    let all = cases(&root);
    assert!(all.len() >= 50, "{}", all.len());
    let trusted = TempDir::new();
    let trusted = {
        let file = trusted.path().join("ca.pem");
        std::fs::write(&file, root.pem()).expect("write");
        Trust::file(&file).expect("a CA")
    };
    for case in &all {
        let files = Files::write(case);
        let options = certificates::options(&files.paths);
        if let Server::Refuses(why) = case.server {
            let mut command = Command::new(program());
            command
                .env("RUST_LOG", "trace")
                .args(["--listen", "127.0.0.1:0", "--database"])
                .arg(files.directory.path().join("plausch.db"))
                .args(&options);
            let said = refuses(&mut command, 1);
            assert!(said.contains(why), "{}: {said}", case.name);
            has_a_cure(case.name, &said);
            tells_nothing(&case.files.1, &said);
            continue;
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let server = TestServer::with(&options);
        let listening = server.wait_for_log(" with TLS", TIMEOUT);
        let said: Vec<String> = server
            .log()
            .into_iter()
            .filter(|line| line.contains("] certificate ") || line.contains("] key "))
            .collect();
        let shown = said.join("\n");
        let of = |level: &str| said.iter().filter(|line| line.contains(level)).count();
        match case.server {
            Server::Quiet => assert!(said.is_empty(), "{}: {shown}", case.name),
            Server::Note(why) => {
                assert_eq!((of("INFO"), of("WARN")), (1, 0), "{}: {shown}", case.name);
                assert!(shown.contains(why), "{}: {shown}", case.name);
            }
            Server::Warns(all) => {
                assert_eq!(of("WARN"), 1, "{}: {shown}", case.name);
                for why in all {
                    assert!(shown.contains(why), "{}: {why}: {shown}", case.name);
                }
            }
            Server::Refuses(_) => unreachable!(),
        }
        tells_nothing(&case.files.1, &server.log().join("\n"));
        let address: SocketAddr = listening
            .split(' ')
            .find_map(|word| word.parse().ok())
            .expect("an address");
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a time-out");
        match (Stream::begin(stream, "localhost", &trusted), &case.client) {
            (Ok(_), Seen::Right) => {}
            (Err(error), Seen::Wrong(why)) => {
                let error = error.to_string();
                assert!(error.contains(why), "{}: {error}", case.name);
                has_a_cure(case.name, &error);
            }
            (Ok(_), _) => panic!("{}: the client takes it", case.name),
            (Err(error), _) => panic!("{}: {error}", case.name),
        }
    }
}

/// A client's file of whom to trust can be as wrong.
#[test]
fn each_file_of_a_ca_is_taken_or_named_with_a_cure() {
    let root = ca("the root", None, |_| {});
    let (certificate, key) = leaf(&root, |_| {});
    let own = self_signed(|_| {}).0;
    let pem = root.pem();
    let directory = TempDir::new();
    let file = directory.path().join("ca.pem");
    let try_file = |text: &[u8]| {
        std::fs::write(&file, text).expect("write");
        Trust::file(&file)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    for text in [
        pem.clone(),
        own,
        format!("{certificate}{pem}"),
        pem.replace('\n', "\r\n"),
    ] {
        assert_eq!(try_file(text.as_bytes()), Ok(()), "{text}");
    }
    for (text, why) in [
        (Vec::new(), "it is empty"),
        (
            certificate.into_bytes(),
            "only a server's certificate in it; name the file of the CA",
        ),
        (
            key.clone().into_bytes(),
            "but a private key; name the certificate's file",
        ),
        (der(&pem), "in DER, not in PEM; convert it"),
        (utf16(&pem), "UTF-16"),
        (
            pem.replace('\n', "").into_bytes(),
            "its line breaks are lost",
        ),
        (
            key.replace('\n', "").into_bytes(),
            "its line breaks are lost",
        ),
        (pem.as_bytes()[..pem.len() / 2].to_vec(), "has no end"),
        (
            pem.replace("\nM", "\nN").into_bytes(),
            "damaged; copy the file anew",
        ),
        (b"hello".to_vec(), "it is not a PEM file"),
    ] {
        let said = try_file(&text).expect_err(why);
        assert!(said.contains(why), "{why}: {said}");
        has_a_cure(why, &said);
        tells_nothing(key.as_bytes(), &said);
    }
}

/// Nothing of a key at the start, nor when it is read again, whatever has become of its lines.
#[test]
fn a_key_is_told_to_nobody() {
    let root = ca("the root", None, |_| {});
    let (certificate, key) = leaf(&root, |_| {});
    let good = case(
        "good",
        (certificate.as_str(), key.as_str()),
        Server::Quiet,
        Seen::Never,
    );
    let files = Files::write(&good);
    let options = certificates::options(&files.paths);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = TestServer::after_shell("export RUST_LOG=trace", &options);
    let broken = [
        key.replace('\n', ""),
        key.replace('\n', " "),
        key.replace("-----\n", "-----"),
        key.replace("KEY-----\nM", "KEY----\nM"),
        key.replace("-----END", "-----ENDE"),
        key.replace("\n-----END", "-----END"),
        format!("-----BEGIN {key}"),
        key.replace("PRIVATE KEY", ""),
        key.replace("\nMI", "\n\u{1}MI"),
    ];
    for (number, text) in broken.iter().enumerate() {
        std::fs::write(&files.paths.1, text).expect("write");
        signal("HUP", server.pid());
        let said = |line: &String| line.contains("not reloaded: certificate");
        crate::support::system::wait_for("the file to be refused", TIMEOUT, || {
            (server.log().iter().filter(|line| said(line)).count() > number).then_some(())
        });
    }
    let log = server.log().join("\n");
    tells_nothing(key.as_bytes(), &log);
    assert_eq!(
        log.matches("not reloaded: certificate").count(),
        broken.len()
    );
}

/// A server that runs for months says so when its certificate's last fortnight begins.
#[test]
fn the_end_is_told_while_the_server_runs() {
    let root = ca("the root", None, |_| {});
    // Seconds are the finest that a certificate knows.
    let files = leaf(&root, ending_in(14 * DAY + Duration::from_secs(5)));
    let all = case("soon", files, Server::Quiet, Seen::Never);
    let files = Files::write(&all);
    let options = certificates::options(&files.paths);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = TestServer::with(&options);
    let line = server.wait_for_log("it expires in 13 days; renew it", TIMEOUT);
    assert!(
        line.contains("WARN") && line.contains("server.pem"),
        "{line}"
    );
}

#[test]
fn a_key_that_everybody_may_read_is_named() {
    let root = ca("the root", None, |_| {});
    let files = Files::write(&case(
        "open",
        leaf(&root, |_| {}),
        Server::Quiet,
        Seen::Never,
    ));
    let options = certificates::options(&files.paths);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = TestServer::with(&options);
    assert!(!server.log().iter().any(|line| line.contains("chmod")));
    for (mode, told) in [(0o640, 0), (0o644, 1)] {
        std::fs::set_permissions(&files.paths.1, Permissions::from_mode(mode)).expect("chmod");
        signal("HUP", server.pid());
        let reloaded = |line: &&String| line.contains("] reloaded: certificate");
        crate::support::system::wait_for("the files to be read again", TIMEOUT, || {
            (server.log().iter().filter(reloaded).count() > told).then_some(())
        });
        let log = server.log();
        let lines = log.iter().filter(|line| line.contains("chmod o-rwx"));
        assert_eq!(lines.count(), told, "{mode:o}");
    }
}
