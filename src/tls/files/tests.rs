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
    use Wanted::{Certificate as Certificates, Key as Keys};
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
                let Err(fault) = parse(broken.as_bytes(), Wanted::Key) else {
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
        let contents = parse(text.as_bytes(), Wanted::Key).unwrap();
        assert_eq!((contents.certificates.len(), contents.keys.len()), (2, 1));
    }
}
