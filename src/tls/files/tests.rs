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
    use Wanted::{Certificate, Key};
    let check = |text: &[u8], wanted, words: &str| {
        let said = fault(text, wanted);
        assert!(said.contains(words), "{words}: {said}");
        assert!(said.contains(';'), "a cure: {said}");
    };
    let key = section("PRIVATE KEY");
    for text in [
        key.replace('\n', ""),
        key.replace('\n', " "),
        key.replace('\n', "\\n"),
        key.replace("-----\nMC", "-----MC"),
        key.replace("HR4f\n", "HR4f"),
        key.replace("\n-----END", "-----END"),
        format!("  {key}"),
        format!("\u{feff}{key}"),
        key.replace("----\nMC", "---\nMC"),
    ] {
        check(text.as_bytes(), Key, "line breaks are lost");
    }
    for (label, wanted, words) in [
        ("ENCRYPTED PRIVATE KEY", Key, "encrypted"),
        ("OPENSSH PRIVATE KEY", Key, "OpenSSH's form"),
        ("DSA PRIVATE KEY", Key, "of DSA"),
        ("PUBLIC KEY", Key, "but a public one"),
        ("EC PARAMETERS", Key, "is no private key in it; name"),
        ("CERTIFICATE", Key, "but a certificate"),
        ("PRIVATE KEY", Certificate, "but a private key"),
        ("CERTIFICATE REQUEST", Certificate, "only a request"),
        ("PKCS7", Certificate, "PKCS #7"),
        ("TRUSTED CERTIFICATE", Certificate, "openssl's own form"),
    ] {
        check(section(label).as_bytes(), wanted, words);
    }
    let dek = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
    let encrypted = key.replace("-----\nMC", &format!("-----\n{dek}MC"));
    check(encrypted.as_bytes(), Key, "encrypted");
    check(key.replace("IAAB", "I*AB").as_bytes(), Key, "not base64");
    check(&key.as_bytes()[..key.len() / 2], Key, "has no end");
    let letters = key.bytes().flat_map(|byte| [byte, 0]);
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(letters).collect();
    check(&utf16, Key, "UTF-16");
    check(b"", Key, "it is empty");
    check(b" \r\n\t\n", Certificate, "it is empty");
    let no_pem = "not a PEM file, so there is no";
    check(b"hello\n", Certificate, &format!("{no_pem} certificate"));
    check(b"\x00\x01\x02", Key, &format!("{no_pem} private key"));
    let der = [0x30, 0x82, 1, 1, 0x30, 0x81, 0];
    check(&der, Certificate, "certificate in DER");
    check(&[0x30, 0x81, 9, 2, 1, 0, 0x30], Key, "private key in DER");
    check(&[0x30, 0x82, 9, 9, 2, 1, 3, 0x30], Key, "PKCS #12");
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
