//! The escapes of a JSON string (RFC 8259, section 7) → text.
//!
//! serde_json does this too, but by way of a buffer of its own, which it frees as it is; what is
//! unescaped here may be a password, and then nothing of it may be left in freed memory.

use memchr::memchr;
use zeroize::Zeroize;

use super::memory;
use crate::protocol::memory::NoMemory;

/// The longest escape is of one code point beyond the basic plane.
const LEAD: std::ops::Range<u32> = 0xD800..0xDC00;
const TRAIL: std::ops::Range<u32> = 0xDC00..0xE000;

/// What stands between the quotes, without its escapes; `None` if one is wrong, or is half of a
/// surrogate pair. Characters that JSON wants escaped are for the caller to refuse.
pub(super) fn unescape(inside: &str) -> Result<Option<String>, NoMemory> {
    // No escape is shorter than what it stands for, so this never grows, and never moves.
    let mut text = memory::text(inside.len())?;
    Ok(match append(inside, &mut text) {
        Some(()) => Some(text),
        None => {
            text.zeroize();
            None
        }
    })
}

fn append(inside: &str, text: &mut String) -> Option<()> {
    let mut rest = inside;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let escape = rest.get(at + 1..)?;
        // The byte behind the backslash is ASCII if it is an escape at all.
        rest = escape.get(1..)?;
        text.push(match escape.as_bytes()[0] {
            b'u' => code_point(&mut rest)?,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            same @ (b'"' | b'\\' | b'/') => char::from(same),
            _ => return None,
        });
    }
    text.push_str(rest);
    Some(())
}

/// Reads what follows `\u`, and the other half of a pair.
fn code_point(rest: &mut &str) -> Option<char> {
    let first = unit(rest)?;
    if !LEAD.contains(&first) {
        // A trail alone is no `char`.
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix("\\u")?;
    let second = unit(rest)?;
    if !TRAIL.contains(&second) {
        return None;
    }
    char::from_u32(0x10000 + ((first - LEAD.start) << 10) + (second - TRAIL.start))
}

/// Four hexadecimal digits.
fn unit(rest: &mut &str) -> Option<u32> {
    let (digits, behind) = rest.split_at_checked(4)?;
    *rest = behind;
    digits
        .chars()
        .try_fold(0, |unit, digit| Some(unit << 4 | digit.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn unescape(inside: &str) -> Option<String> {
        super::unescape(inside).expect("memory")
    }

    fn by_serde(inside: &str) -> Option<String> {
        serde_json::from_str(&format!("\"{inside}\"")).ok()
    }

    #[test]
    fn each_escape_and_each_wrong_one() {
        for (inside, text) in [
            ("", Some("")),
            ("plain \u{fc}", Some("plain \u{fc}")),
            (r#"\"\\\/\b\f\n\r\t"#, Some("\"\\/\u{8}\u{c}\n\r\t")),
            (r"\u00e4\u00C4\u20ac", Some("\u{e4}\u{c4}\u{20ac}")),
            (r"a\ud83d\ude00b", Some("a\u{1f600}b")),
            (r"\ud83d", None),
            (r"\ud83dx", None),
            (r"\ud83d\n", None),
            (r"\ud83d\u0041", None),
            (r"\ud83d\ud83d", None),
            (r"\ude00", None),
            (r"\u12", None),
            (r"\u12g4", None),
            (r"\u+123", None),
            (r"\u12\u{e4}", None),
            (r"\U0041", None),
            (r"\x41", None),
            (r"\'", None),
            ("\\", None),
            ("\\\u{e4}", None),
        ] {
            assert_eq!(unescape(inside).as_deref(), text, "{inside}");
        }
    }

    proptest! {
        #[test]
        fn as_serde_json_reads_it(
            inside in prop::collection::vec(
                prop_oneof![
                    Just("\\u".to_owned()), Just("\\".to_owned()), Just("\\\\".to_owned()),
                    "[dD][89a-fA-F]", "[0-9a-fA-F]{2}", "[bfnrt/u]", "\\PC",
                ],
                0..12,
            )
        ) {
            let inside = inside.concat();
            // A quote inside would end serde_json's string, which the caller rules out.
            prop_assume!(!inside.contains('"'));
            prop_assert_eq!(unescape(&inside), by_serde(&inside));
        }
    }
}
