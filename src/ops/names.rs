//! Which user names and passwords are allowed, and which of them are the same.
//!
//! Names follow RFC 8265's UsernameCaseMapped profile, passwords its OpaqueString profile; on top
//! of both come the limits of the protocol.

use std::borrow::Cow;

use precis_core::profile::{PrecisFastInvocation, Rules};
use precis_profiles::{OpaqueString, UsernameCaseMapped};
use zeroize::Zeroizing;

/// The most code points that a user name may have, as shown and as mapped.
pub const NAME_MAX: usize = 32;

/// The fewest code points that a password may have.
pub const PASSWORD_MIN: usize = 8;

/// The most code points that a password may have.
pub const PASSWORD_MAX: usize = 128;

/// A user name that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    /// The name for people to read: what was given, in NFC.
    pub shown: String,
    /// The name for comparison and for ordering by code points: two names with the same `mapped`
    /// are one user.
    pub mapped: String,
}

/// Reads a user name; `None` when it is not allowed.
///
/// Allowed are 1 to [`NAME_MAX`] code points: letters, combining marks and digits of any script,
/// `.`, `_` and `-`.
///
/// ```
/// use plausch::ops::names::username;
///
/// let hans = username("Hans").unwrap();
/// assert_eq!((hans.shown.as_str(), hans.mapped.as_str()), ("Hans", "hans"));
/// assert_eq!(username("ｈａｎｓ").unwrap().mapped, "hans");
/// assert!(username("hans dampf").is_none());
/// ```
#[must_use]
pub fn username(text: &str) -> Option<Username> {
    if longer_than_any_form_of(NAME_MAX, text) {
        return None;
    }
    let mapped = stable::<UsernameCaseMapped>(text)?;
    let shown = nfc(text)?.into_owned();
    // Case mapping can change the length either way (İ becomes two code points, H with a line
    // below becomes one), and neither form may outgrow the limit: both are sent and stored.
    if !within(1, NAME_MAX, &shown) || !within(1, NAME_MAX, &mapped) {
        return None;
    }
    if !mapped.chars().all(is_name_character) {
        return None;
    }
    // What the others read must be a name that they can type back.
    if stable::<UsernameCaseMapped>(&shown)? != mapped {
        return None;
    }
    let mapped = mapped.to_string();
    Some(Username { shown, mapped })
}

/// Reads a password and brings it into the form that is hashed; `None` when it is not allowed.
///
/// Allowed are [`PASSWORD_MIN`] to [`PASSWORD_MAX`] code points, none of them a control character.
#[must_use]
pub fn password(text: &str) -> Option<Zeroizing<String>> {
    if longer_than_any_form_of(PASSWORD_MAX, text) {
        return None;
    }
    let normalised = stable::<OpaqueString>(text)?;
    within(PASSWORD_MIN, PASSWORD_MAX, &normalised).then_some(normalised)
}

/// What a profile makes of a text, or `None` where the profile refuses it.
///
/// RFC 8264 says that a profile's rules do not always reach their end in one step, and RFC 8265
/// asks to repeat them, three times at most, and to refuse what is not stable then. A result that
/// the profile refuses is not stable either. Among names that meets Cherokee, whose small letters
/// are younger than the profile's tables, which IANA keeps at Unicode 6.3; among passwords, rare
/// mixtures whose rules about neighbours no longer hold once they are normalised.
fn stable<P: PrecisFastInvocation>(text: &str) -> Option<Zeroizing<String>> {
    let mut mapped = Zeroizing::new(P::enforce(text).ok()?.into_owned());
    for _ in 0..3 {
        let again = Zeroizing::new(P::enforce(mapped.as_str()).ok()?.into_owned());
        if *again == *mapped {
            return Some(mapped);
        }
        mapped = again;
    }
    None
}

/// The text in NFC, by way of the profile's own rule: no further dependency, and surely the same
/// version of Unicode.
fn nfc(text: &str) -> Option<Cow<'_, str>> {
    UsernameCaseMapped::new().normalization_rule(text).ok()
}

/// Whether a character of a mapped name is a letter, a combining mark, a digit or one of `._-`.
///
/// RFC 8264's IdentifierClass has already admitted it, which leaves: the printable ASCII
/// characters, the general categories Ll, Lu, Lo, Nd, Lm, Mn and Mc (just what we want), and the
/// few exceptions and context-dependent characters of its sections 9.6 and 9.8. So only those
/// few have to be named here, and no table of general categories is needed. One exception stays:
/// U+3007, the zero of the Chinese digits.
fn is_name_character(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    }
    !matches!(
        c,
        '\u{b7}' // middle dot
        | '\u{375}' // Greek lower numeral sign
        | '\u{5f3}' | '\u{5f4}' // Hebrew geresh and gershayim
        | '\u{6fd}' | '\u{6fe}' // Arabic signs Sindhi ampersand and Sindhi postposition
        | '\u{f0b}' // Tibetan mark intersyllabic tsheg
        | '\u{200c}' | '\u{200d}' // zero-width joiners: invisible
        | '\u{30fb}' // katakana middle dot
    )
}

fn within(min: usize, max: usize, text: &str) -> bool {
    (min..=max).contains(&text.chars().take(max + 1).count())
}

/// Whether the text is too long to become `max` code points by any mapping.
///
/// Normalisation joins at most four code points into one. After login a line may have megabytes,
/// and some of the profiles' context rules look at the whole text for each of its characters, so
/// such a text must not get to them.
fn longer_than_any_form_of(max: usize, text: &str) -> bool {
    text.chars().nth(4 * max).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mapped(text: &str) -> String {
        username(text)
            .unwrap_or_else(|| panic!("{text:?} is refused"))
            .mapped
    }

    #[test]
    fn one_user_however_typed() {
        for same in ["hans", "Hans", "HANS", "ｈａｎｓ", "Ｈａｎｓ"] {
            assert_eq!(mapped(same), "hans", "{same}");
        }
        assert_eq!(mapped("Jürgen"), mapped("JU\u{308}RGEN"));
        assert_eq!(mapped("ｶﾞ"), mapped("ガ"));
        assert_ne!(mapped("strasse"), mapped("straße"));
    }

    #[test]
    fn shown_is_the_nfc_of_what_was_given() {
        assert_eq!(username("Ju\u{308}rgen").unwrap().shown, "J\u{fc}rgen");
        assert_eq!(username("Ｈａｎｓ").unwrap().shown, "Ｈａｎｓ");
        assert_eq!(username("McDonald").unwrap().shown, "McDonald");
    }

    #[test]
    fn letters_marks_and_digits_of_any_script() {
        for name in [
            "a",
            "7",
            "a.b_c-d",
            "Łukasz",
            "Ωμέγα",
            "Дмитрий",
            "王小明",
            "ひらがな",
            "한국",
            "हिन्दी",
            "नमस्ते",
            "ไทย",
            "דוד",
            "محمد",
            "محمد٣",
            "தமிழ்",
            "\u{104}\u{301}",
            "〇",
        ] {
            assert!(username(name).is_some(), "{name}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for name in [
            "",
            " ",
            "a b",
            "a\u{a0}b",
            "~hans",
            "a~",
            "～",
            "a@b",
            "a/b",
            "a\"b",
            "a\\b",
            "a+b",
            "a'b",
            "a:b",
            "☃",
            "😀",
            "a\u{0}",
            "a\tb",
            "a\u{7f}",
            "a\u{ad}b",
            "a\u{200b}b",
            "a\u{202e}b",
            "a\u{feff}",
            "क्\u{200d}ष",
            "l\u{b7}l",
            "カ\u{30fb}カ",
            "\u{6fd}",
            "\u{f0b}",
            "א\u{5f3}",
            "½",
            "Ⅳ",
            "ﬁ",
            "²",
            "\u{1c5}",
            "\u{20dd}",
            "a\u{5d0}",
            "ᏣᎳᎩ",
            "\u{e000}",
            "\u{fffd}",
        ] {
            assert_eq!(username(name), None, "{name:?}");
        }
    }

    #[test]
    fn the_length_is_counted_in_code_points_after_normalisation() {
        assert!(username(&"x".repeat(32)).is_some());
        assert!(username(&"x".repeat(33)).is_none());
        assert!(username(&"王".repeat(32)).is_some());
        assert!(username(&"u\u{308}".repeat(32)).is_some());
        assert!(username(&"u\u{308}".repeat(33)).is_none());
        // One code point shown, two mapped.
        assert!(username(&"İ".repeat(16)).is_some());
        assert!(username(&"İ".repeat(17)).is_none());
        // Two shown, one mapped.
        assert!(username(&"H\u{331}".repeat(16)).is_some());
        assert!(username(&"H\u{331}".repeat(17)).is_none());
    }

    #[test]
    fn a_huge_text_is_refused_at_once() {
        let dots = "\u{30fb}".repeat(2 << 20);
        let start = std::time::Instant::now();
        assert!(username(&dots).is_none());
        assert!(password(&dots).is_none());
        // The rule for these dots looks at the whole text for each: that takes hours.
        assert!(start.elapsed() < std::time::Duration::from_secs(30));
    }

    /// Each character alone, behind letters of either direction, and before combining marks; no
    /// letters are assigned in the planes left out.
    #[test]
    fn every_name_maps_to_a_name_that_maps_to_itself() {
        let mut allowed = 0;
        for c in '\u{1}'..'\u{32000}' {
            let mut texts = vec![c.to_string()];
            // Han and Hangul have no case, and nothing joins with them that is written here.
            let plain =
                matches!(c, '\u{3400}'..'\u{a000}' | '\u{ac00}'..'\u{d7b0}' | '\u{20000}'..);
            if !plain {
                texts.extend(["A", "א"].map(|before| format!("{before}{c}")));
                texts.extend(["\u{301}", "\u{331}", "\u{345}"].map(|mark| format!("{c}{mark}")));
            }
            for text in texts {
                let Some(name) = username(&text) else {
                    continue;
                };
                allowed += 1;
                let again = username(&name.mapped).map(|name| name.mapped);
                assert_eq!(again.as_ref(), Some(&name.mapped), "{text:?}");
                assert_eq!(username(&name.shown), Some(name.clone()), "{text:?}");
            }
        }
        assert!(allowed > 90_000, "{allowed}");
    }

    #[test]
    fn passwords_follow_opaque_string() {
        assert_eq!(*password("12345678").unwrap(), "12345678");
        // The case counts, other spaces become the ASCII one, the form is NFC.
        assert_eq!(*password("Pass\u{3000}word").unwrap(), "Pass word");
        assert_eq!(*password("schlu\u{308}ssel").unwrap(), "schl\u{fc}ssel");
        assert!(password("correct horse battery ☃").is_some());
        assert!(password("  spaces  count ").is_some());
        for refused in [
            "",
            "1234567",
            "with\ttab",
            "with\u{0}nul",
            "zero\u{200b}width",
        ] {
            assert!(password(refused).is_none(), "{refused:?}");
        }
    }

    #[test]
    fn a_password_has_8_to_128_code_points() {
        assert!(password(&"ü".repeat(8)).is_some());
        assert!(password(&"ü".repeat(7)).is_none());
        // Seven letters, each given as two code points.
        assert!(password(&"u\u{308}".repeat(7)).is_none());
        assert!(password(&"u\u{308}".repeat(128)).is_some());
        assert!(password(&"u\u{308}".repeat(129)).is_none());
        assert!(password(&"x".repeat(129)).is_none());
    }

    /// GREEK ANO TELEIA becomes MIDDLE DOT, which may only stand between two l.
    #[test]
    fn a_password_that_is_not_stable_is_refused() {
        let text = "\u{387}abcdefgh";
        assert!(OpaqueString::enforce(text).is_ok());
        assert!(password(text).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_stable(text in "\\PC{0,40}") {
            if let Some(name) = username(&text) {
                prop_assert_eq!(username(&name.shown), Some(name.clone()));
                prop_assert_eq!(username(&name.mapped).map(|n| n.mapped), Some(name.mapped));
            }
            if let Some(first) = password(&text) {
                prop_assert_eq!(password(&first), Some(first));
            }
        }

        #[test]
        fn letters_and_marks_are_refused_or_stable(text in "[\\p{L}\\p{M}\\p{N}._-]{1,8}") {
            if let Some(name) = username(&text) {
                prop_assert_eq!(username(&name.shown), Some(name.clone()));
                prop_assert_eq!(username(&name.mapped).map(|n| n.mapped), Some(name.mapped));
            }
        }
    }
}
