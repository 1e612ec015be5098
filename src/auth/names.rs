//! Which user names and passwords are allowed, and which of them are the same.
//!
//! Names follow RFC 8265's UsernameCaseMapped profile, passwords its OpaqueString profile (both in
//! `precis`); on top of both come the limits of the protocol, and for names that scripts do not
//! mix, so that nobody can be taken for somebody else.
//!
//! Whether a name may be registered and which account it means are two questions: rules and
//! Unicode change, and an account that is there stays. So [`keys`] and [`typed_password`] refuse
//! nothing.

use std::fmt;

use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use zeroize::Zeroizing;

use super::precis;
use crate::auth::precis::{BidiFault, Derived};

/// The most code points that a user name may have, as shown and as mapped.
pub(crate) const NAME_MAX: usize = 32;

pub(crate) const PASSWORD_MIN: usize = 8;

pub(crate) const PASSWORD_MAX: usize = 128;

/// Numbers what [`mapped`] does, so that a database which was mapped otherwise is mapped anew:
/// to be raised when a test says that its rules or tables have changed. The standard library's
/// version of Unicode is part of it.
pub(crate) const RULES: i64 = 1_000 + char::UNICODE_VERSION.0 as i64;

/// A user name that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Username {
    /// The name for people to read: what was given, in NFC.
    pub(crate) shown: String,
    /// The name for comparison and for ordering by code points: two names with the same `mapped`
    /// are one user.
    pub(crate) mapped: String,
}

/// Why a name is not allowed. The text names one character by its number at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameFault {
    /// It is empty or too long.
    Length,
    /// It has neither a letter nor a digit.
    Blank,
    /// This character may not be in a name, or not at its place.
    Character(char, &'static str),
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameFault::Length => write!(f, "a name has 1 to {NAME_MAX} characters"),
            NameFault::Blank => f.write_str("a name has at least one letter or digit"),
            NameFault::Character(c, why) => write!(f, "U+{:04X} {why}", u32::from(*c)),
        }
    }
}

/// Why a password is not allowed. The text says nothing of the password but the kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordFault {
    /// It is too short or too long.
    Length,
    /// It has a control character.
    Control,
    /// It has a character that is not seen, such as one that emoji are joined by.
    Invisible,
    /// It has a character that this server's Unicode does not have.
    Unknown,
    /// It has a character that RFC 8264 excepts, of private use, or for formatting only.
    Excepted,
    /// It has a character that may stand beside certain others only, or a part of a Hangul
    /// syllable.
    Context,
}

impl fmt::Display for PasswordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PasswordFault::Length => {
                return write!(
                    f,
                    "a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters"
                );
            }
            PasswordFault::Control => "it has a control character, such as a TAB",
            PasswordFault::Invisible => {
                "it has an invisible character, such as those that some emoji are put together by"
            }
            PasswordFault::Unknown => "it has a character that this server does not know",
            PasswordFault::Excepted => "it has a character that passwords may not have",
            PasswordFault::Context => {
                "it has a character that may stand beside certain others only"
            }
        })
    }
}

/// Reads a user name that somebody wants to have.
///
/// Allowed are 1 to [`NAME_MAX`] code points: letters, combining marks and digits of any script,
/// `.`, `_` and `-`; and where their context asks for them, joiners and the few signs that are
/// written within words.
pub(crate) fn username(text: &str) -> Result<Username, NameFault> {
    if longer_than_any_form_of(NAME_MAX, text) {
        return Err(NameFault::Length);
    }
    let shown = precis::nfc(text).into_owned();
    let mapped = precis::case_mapped(&shown).ok_or(NameFault::Length)?;
    // Case mapping can change the length either way (İ becomes two code points, H with a line
    // below becomes one), and neither form may outgrow the limit: both are sent and stored.
    if !within(1, NAME_MAX, &shown) || !within(1, NAME_MAX, &mapped) {
        return Err(NameFault::Length);
    }
    let characters: Vec<char> = mapped.chars().collect();
    for at in 0..characters.len() {
        if let Some(why) = unfit(&characters, at) {
            return Err(fault(&shown, characters[at], why));
        }
    }
    for first in [shown.chars().next(), characters.first().copied()] {
        if let Some(c) = first.filter(|c| *c == '-' || precis::is_mark(*c)) {
            return Err(fault(&shown, c, "does not begin a name"));
        }
    }
    let counts = |c: &char| {
        precis::category(*c) == GeneralCategory::DecimalNumber
            || (precis::has_script(*c)
                && GeneralCategoryGroup::Letter.contains(precis::category(*c)))
            || *c == '〇'
    };
    if !characters.iter().any(counts) {
        return Err(NameFault::Blank);
    }
    if let Some(c) = precis::foreign(&characters) {
        let why = "is of another script than the characters before it";
        return Err(fault(&shown, c, why));
    }
    precis::bidi(&characters).map_err(|wrong| {
        let (c, why) = match wrong {
            BidiFault::First(c) => (
                c,
                "does not begin a name that is written from right to left",
            ),
            BidiFault::Against(c) => (
                c,
                "is written in another direction than the name's beginning",
            ),
            BidiFault::Last(c) => (c, "does not end a name that is written from right to left"),
            BidiFault::Digits(c) => (c, "is a digit of another kind than those before it"),
        };
        fault(&shown, c, why)
    })?;
    Ok(Username { shown, mapped })
}

/// Why the character at `at` of a mapped name may not be there.
fn unfit(name: &[char], at: usize) -> Option<&'static str> {
    let c = name[at];
    let inside = |c: Option<&char>| c.is_some_and(|c| ('\u{f40}'..='\u{fbc}').contains(c));
    match precis::derived(c) {
        Derived::Pvalid => match c {
            // Signs for "and" and "in" in Sindhi: PVALID, but words of their own.
            '\u{6fd}' | '\u{6fe}' => Some("is no letter, mark or digit"),
            // Between syllables: no Tibetan name is written without it.
            '\u{f0b}' => (!(inside(name[..at].last()) && inside(name.get(at + 1))))
                .then_some("stands between two Tibetan syllables only"),
            '.' | '_' | '-' => None,
            c if c.is_ascii() => {
                (!c.is_ascii_alphanumeric()).then_some("is no letter, mark or digit")
            }
            // The standard library's Unicode may be older than the tables'.
            c if precis::category(c) == GeneralCategory::UppercaseLetter => {
                Some("is a capital letter whose small one this server does not know")
            }
            _ => None,
        },
        Derived::Context if precis::fits(name, at) => None,
        Derived::Context => Some(match c {
            '\u{b7}' => "stands between two l only",
            '\u{375}' => "stands before a Greek letter only",
            '\u{5f3}' | '\u{5f4}' => "stands behind a Hebrew letter only",
            '\u{30fb}' => "stands in names with kana or Han only",
            '\u{200c}' | '\u{200d}' => {
                "stands only where letters would join otherwise, or would not"
            }
            _ => "is a digit of another kind than others in the name",
        }),
        Derived::Variant => Some("is only another form of other letters"),
        Derived::Freeform | Derived::Control => Some("is no letter, mark or digit"),
        Derived::OldJamo => Some("is a part of a Hangul syllable without the others"),
        Derived::Ignorable => Some("is invisible"),
        Derived::Unassigned => Some("is no character that this server knows"),
        Derived::Disallowed => Some("is no character for names"),
    }
}

/// A fault of a mapped character, told of the one that was given for it.
fn fault(shown: &str, c: char, why: &'static str) -> NameFault {
    let becomes = |given: &char| {
        let mapped = precis::case_mapped(given.encode_utf8(&mut [0; 4]));
        mapped.is_some_and(|mapped| mapped.contains(c))
    };
    let given = shown.chars().find(becomes).unwrap_or(c);
    NameFault::Character(given, why)
}

/// What a name is compared by, allowed or not: two names with the same are one user. None when it
/// is longer than any name.
#[must_use]
pub(crate) fn mapped(name: &str) -> Option<String> {
    if longer_than_any_form_of(NAME_MAX, name) {
        return None;
    }
    precis::case_mapped(name)
}

/// What an account is looked up by, in this order: the name exactly as it may have been
/// registered, then what it is compared by.
///
/// The first finds only accounts that gave their compared name up to another: when rules change,
/// two names may become one, and both accounts stay.
#[must_use]
pub(crate) fn keys(name: &str) -> Vec<String> {
    let Some(mapped) = mapped(name) else {
        return Vec::new();
    };
    let exact = precis::nfc(name);
    match exact == mapped {
        true => vec![mapped],
        false => vec![exact.into_owned(), mapped],
    }
}

/// Reads a password that somebody wants to have, and brings it into the form that is hashed.
///
/// Allowed are [`PASSWORD_MIN`] to [`PASSWORD_MAX`] code points, none of them a control character.
pub(crate) fn password(text: &str) -> Result<Zeroizing<String>, PasswordFault> {
    let mapped = typed_password(text).ok_or(PasswordFault::Length)?;
    let mut characters = Zeroizing::new(Vec::with_capacity(PASSWORD_MAX));
    characters.extend(mapped.chars());
    for (at, c) in characters.iter().enumerate() {
        match precis::derived(*c) {
            Derived::Pvalid | Derived::Variant | Derived::Freeform => {}
            Derived::Context if precis::fits(&characters, at) => {}
            // U+200C and U+200D, whose place is between letters.
            Derived::Context if matches!(c, '\u{200c}' | '\u{200d}') => {
                return Err(PasswordFault::Invisible);
            }
            Derived::Context | Derived::OldJamo => return Err(PasswordFault::Context),
            Derived::Ignorable => return Err(PasswordFault::Invisible),
            Derived::Control => return Err(PasswordFault::Control),
            Derived::Unassigned => return Err(PasswordFault::Unknown),
            Derived::Disallowed => return Err(PasswordFault::Excepted),
        }
    }
    Ok(mapped)
}

/// Brings a password that is to be checked into the form that is hashed, allowed or not: what was
/// allowed once stays right. None when it is shorter or longer than any password.
#[must_use]
pub(crate) fn typed_password(text: &str) -> Option<Zeroizing<String>> {
    if longer_than_any_form_of(PASSWORD_MAX, text) {
        return None;
    }
    let mapped = precis::opaque(text);
    within(PASSWORD_MIN, PASSWORD_MAX, &mapped).then_some(mapped)
}

fn within(min: usize, max: usize, text: &str) -> bool {
    (min..=max).contains(&text.chars().take(max + 1).count())
}

/// Whether the text is too long to become `max` code points by any mapping.
///
/// Normalisation joins at most four code points into one. After login a line may have megabytes,
/// and some of the context rules look at the whole text for each of its characters, so such a
/// text must not get to them.
fn longer_than_any_form_of(max: usize, text: &str) -> bool {
    text.chars().nth(4 * max).is_some()
}

#[cfg(test)]
mod tests;
