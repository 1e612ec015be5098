//! Files ↔ `data:` URIs (RFC 2397), the recommended form of Media (contract, section 2). Called in
//! the engine's thread; holds nothing.

use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// The largest file that is read: more than any server can be told to take.
const FILE_MAX: u64 = 384 << 20;

/// As the server checks it: padding may be there or not, and bits left over are let pass.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads a file and makes Media of it. The type is guessed by the name. An error if the file cannot
/// be read, is no regular file, is empty, or is too large.
pub(crate) fn from_file(path: &Path) -> io::Result<String> {
    let other = |what: &str| Err(io::Error::other(what));
    // Before it is opened: a pipe would wait for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return other("it is not a regular file");
    }
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return other("it is larger than 384 MiB");
    }
    if bytes.is_empty() {
        return other("it is empty");
    }
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let mut uri = format!("data:{};base64,", guess.essence_str());
    STANDARD.encode_string(&bytes, &mut uri);
    Ok(uri)
}

/// The type and the count of bytes of Media. The type of what is no `data:` URI is unknown.
pub(crate) fn facts(media: &str) -> (Option<String>, usize) {
    match split(media) {
        None => (None, media.len()),
        Some((kind, true, data)) => {
            let padding = data.bytes().rev().take_while(|&byte| byte == b'=').count();
            (Some(kind), (data.len() - padding) * 3 / 4)
        }
        Some((kind, false, data)) => (Some(kind), percent_decoded(data).len()),
    }
}

/// The bytes of Media: those in a `data:` URI, or the text itself if it is none, or not base64
/// though it says so.
pub(crate) fn to_bytes(media: &str) -> Vec<u8> {
    match split(media) {
        None => media.as_bytes().to_vec(),
        Some((_, true, data)) => match TOLERANT.decode(data) {
            Ok(bytes) => bytes,
            Err(_) => media.as_bytes().to_vec(),
        },
        Some((_, false, data)) => percent_decoded(data),
    }
}

const BASE64: &str = ";base64";

fn split(media: &str) -> Option<(String, bool, &str)> {
    let scheme = media.get(..5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let (head, data) = media[5..].split_once(',')?;
    let at = head.len().saturating_sub(BASE64.len());
    let ending = head.get(at..).unwrap_or_default();
    let base64 = ending.eq_ignore_ascii_case(BASE64);
    let head = if base64 { &head[..at] } else { head };
    let kind = head.split(';').next().unwrap_or_default();
    let kind = if kind.is_empty() { "text/plain" } else { kind };
    Some((kind.to_lowercase(), base64, data))
}

/// Takes out `%41` and the like; a `%` that begins none stays.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let rest = bytes.as_slice();
        let digits = rest.get(..2).and_then(|digits| {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            Some(digit(0)? * 16 + digit(1)?)
        });
        match digits {
            Some(value) if byte == b'%' => {
                // Two hexadecimal digits are at most 255.
                out.push(value as u8);
                bytes.nth(1);
            }
            _ => out.push(byte),
        }
    }
    out
}

/// A count of bytes for people: `12 bytes`, `3.4 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        1 => "1 byte".to_owned(),
        0..=1023 => format!("{bytes} bytes"),
        1024..=0xF_FFFF => format!("{} KiB", tenths(1 << 10)),
        0x10_0000..=0x3FFF_FFFF => format!("{} MiB", tenths(1 << 20)),
        _ => format!("{} GiB", tenths(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_as_rfc_2397_has_them() {
        let cases: &[(&str, Option<&str>, &[u8])] = &[
            (
                "data:image/png;base64,iVBORw0KGgo=",
                Some("image/png"),
                b"\x89PNG\r\n\x1a\n",
            ),
            (
                "DATA:Image/PNG;x=y;BASE64,iVBORw0KGgo",
                Some("image/png"),
                b"\x89PNG\r\n\x1a\n",
            ),
            ("data:,a%20b%2", Some("text/plain"), b"a b%2"),
            (
                "data:text/html,%zz%C3%A4",
                Some("text/html"),
                b"%zz\xc3\xa4",
            ),
            ("data:;base64,", Some("text/plain"), b""),
            ("Bob", None, b"Bob"),
            ("data:no comma", None, b"data:no comma"),
            ("ä", None, "ä".as_bytes()),
        ];
        for (media, kind, bytes) in cases {
            assert_eq!(
                facts(media),
                (kind.map(str::to_owned), bytes.len()),
                "{media}"
            );
            assert_eq!(to_bytes(media), *bytes, "{media}");
        }
        assert_eq!(to_bytes("data:;base64,oops!"), b"data:;base64,oops!");
    }

    #[test]
    fn a_file_comes_back_as_it_was() {
        let directory = std::env::temp_dir().join(format!("plausch-media-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        for (name, kind) in [("a.png", "image/png"), ("b", "application/octet-stream")] {
            for length in [1, 2, 3, 1000] {
                let bytes: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
                let path = directory.join(name);
                std::fs::write(&path, &bytes).expect("written");
                let uri = from_file(&path).expect("read");
                assert_eq!(facts(&uri), (Some(kind.to_owned()), bytes.len()));
                assert_eq!(to_bytes(&uri), bytes);
            }
        }
        std::fs::write(directory.join("empty"), "").expect("written");
        assert!(from_file(&directory.join("empty")).is_err());
        assert!(from_file(&directory.join("missing")).is_err());
        assert!(from_file(&directory).is_err());
        assert!(from_file(Path::new("/dev/zero")).is_err());
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn sizes_are_for_people() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (8 << 20, "8.0 MiB"),
            (3 << 29, "1.5 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }
}
