//! Media as a bare Message carries it (contract, section 2): a `data:` URI (RFC 2397) as last word.

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{NO_PAD, PAD};
use memchr::memchr;

/// If the last word of a bare Message is a `data:` URI (RFC 2397): the text before it, and it.
pub(super) fn at_end(message: &str) -> Option<(&str, &str)> {
    let (before, word) = message.rsplit_once(' ').unwrap_or(("", message));
    let scheme = word.get(..5)?;
    let found = scheme.eq_ignore_ascii_case("data:") && memchr(b',', word.as_bytes()).is_some();
    found.then_some((before.trim_end_matches(' '), word))
}

/// Trailing bits are let pass, as most decoders do.
const PADDED: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    PAD.with_decode_allow_trailing_bits(true),
);
const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    NO_PAD.with_decode_allow_trailing_bits(true),
);

/// Whether the data of a `data:` URI decodes, if the URI says that it is base64 (RFC 2397). It is
/// decoded in pieces on the stack: media are large, and nobody needs the bytes.
pub(super) fn decodes(uri: &str) -> bool {
    const PIECE: usize = 1024;
    const MARK: &str = ";base64";
    let Some((head, data)) = uri.split_once(',') else {
        return true;
    };
    let mark = head
        .len()
        .checked_sub(MARK.len())
        .and_then(|at| head.get(at..));
    if !mark.is_some_and(|mark| mark.eq_ignore_ascii_case(MARK)) {
        return true;
    }
    let mut bytes = [0; PIECE / 4 * 3];
    let mut pieces = data.as_bytes().chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        // Padding belongs at the very end, so in other pieces it is an error.
        let padded = pieces.peek().is_none() && piece.contains(&b'=');
        let engine = if padded { &PADDED } else { &UNPADDED };
        if engine.decode_slice(piece, &mut bytes).is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_found_in_any_case_and_with_a_comma_only() {
        let cases = [
            (
                "Hallo data:image/png;base64,iVBORw0",
                Some(("Hallo", "data:image/png;base64,iVBORw0")),
            ),
            ("data:,hi", Some(("", "data:,hi"))),
            ("a  b   DaTa:,", Some(("a  b", "DaTa:,"))),
            ("data:,hi there", None),
            ("see data: that", None),
            ("see data:that", None),
            ("see xdata:,hi", None),
            ("ünï", None),
            ("dataä,", None),
            ("", None),
        ];
        for (message, found) in cases {
            assert_eq!(at_end(message), found, "{message}");
        }
    }

    #[test]
    fn only_what_says_that_it_is_base64_has_to_be() {
        for uri in [
            "data:,###",
            "data:text/plain;charset=base64,#",
            "data:;base64;x=y,#",
            "DATA:,",
        ] {
            assert!(decodes(uri), "{uri}");
        }
        for data in [
            "", "aGk", "aGk=", "aGVsbG8=", "iVBORw0", "QQ", "QQ==", "QR==",
        ] {
            assert!(decodes(&format!("data:;base64,{data}")), "{data}");
            assert!(decodes(&format!("data:image/png;BASE64,{data}")), "{data}");
        }
        for data in [
            "#", "a", "aGk==", "QQ=", "QQ===", "aG=k", "aG k", "a-_b", "=", "%41", "aGk=aGk=",
        ] {
            assert!(!decodes(&format!("data:;Base64,{data}")), "{data}");
        }
    }

    #[test]
    fn large_data_is_decoded_to_its_end() {
        for length in [1020, 1023, 1024, 1028, 4096, 100_000] {
            let data = "A".repeat(length / 4 * 4);
            assert!(decodes(&format!("data:;base64,{data}")), "{length}");
            assert!(decodes(&format!("data:;base64,{data}QQ==")), "{length}");
            assert!(!decodes(&format!("data:;base64,{data}Q")), "{length}");
            assert!(!decodes(&format!("data:;base64,QQ=={data}")), "{length}");
            assert!(!decodes(&format!("data:;base64,{data}#")), "{length}");
        }
    }
}
