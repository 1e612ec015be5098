//! RFC 8264 (PRECIS) and what names and passwords need of it: the derived property of a code
//! point, the context rules, the Bidi rule of RFC 5893, and in `mapping` the mappings of RFC 8265's
//! profiles UsernameCaseMapped and OpaqueString. Pure functions; what a name or a password may be is
//! decided in [`names`](super::names).
//!
//! The tables are those of the crates icu_properties and icu_normalizer (Unicode 18); small
//! letters come from the standard library (Unicode 17 with Rust 1.95).

mod mapping;

use icu_normalizer::properties::CanonicalCombiningClassMap;
use icu_properties::props::{
    BidiClass, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, JoiningType,
    Script,
};
use icu_properties::script::ScriptWithExtensions;
use icu_properties::{CodePointMapData, CodePointSetData};

pub(crate) use mapping::{case_mapped, nfc, opaque};

/// The Canonical_Combining_Class of a virama.
const VIRAMA: u8 = 9;

/// What RFC 8264 derives for a code point (section 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Derived {
    /// Allowed in both classes.
    Pvalid,
    /// Allowed in the FreeformClass alone (FREE_PVAL, ID_DIS): it is another form of others (HasCompat).
    Variant,
    /// The same: a space, a symbol, punctuation, or a number that is no decimal digit.
    Freeform,
    /// Allowed where [`fits`] says so (CONTEXTJ, CONTEXTO).
    Context,
    /// A conjoining jamo that stands alone in NFC: allowed nowhere.
    OldJamo,
    /// Invisible (Default_Ignorable_Code_Point): allowed nowhere.
    Ignorable,
    /// A control character: allowed nowhere.
    Control,
    /// Not assigned in the tables' version of Unicode: allowed nowhere.
    Unassigned,
    /// Excepted, of private use, or for formatting only: allowed nowhere.
    Disallowed,
}

/// HasCompat (RFC 8264, section 9.17) among what would be allowed without it: the letters, marks and
/// decimal digits that NFC keeps and NFKC does not. What is none of these is in the FreeformClass
/// alone either way, and may stand in between. The tables of NFKC would be 58 KiB more of program;
/// a test compares.
const VARIANTS: &[(u32, u32)] = &[
    (0xaa, 0xba),
    (0x132, 0x133),
    (0x13f, 0x140),
    (0x149, 0x149),
    (0x17f, 0x17f),
    (0x1c4, 0x1cc),
    (0x1f1, 0x1f3),
    (0x2b0, 0x2b8),
    (0x2e0, 0x2e4),
    (0x37a, 0x37a),
    (0x3d0, 0x3d6),
    (0x3f0, 0x3f2),
    (0x3f4, 0x3f5),
    (0x3f9, 0x3f9),
    (0x558, 0x558),
    (0x587, 0x587),
    (0x58b, 0x58c),
    (0x675, 0x678),
    (0xe33, 0xe33),
    (0xeb3, 0xeb3),
    (0xedc, 0xedd),
    (0xf77, 0xf79),
    (0x10fc, 0x10fc),
    (0x1d2c, 0x1d2e),
    (0x1d30, 0x1d3a),
    (0x1d3c, 0x1d4d),
    (0x1d4f, 0x1d6a),
    (0x1d78, 0x1d78),
    (0x1d9b, 0x1dbf),
    (0x1e9a, 0x1e9b),
    (0x2071, 0x207f),
    (0x2090, 0x209f),
    (0x2102, 0x2131),
    (0x2133, 0x2149),
    (0x2c7c, 0x2c7d),
    (0x2d6f, 0x2d6f),
    (0x309f, 0x309f),
    (0x30ff, 0x30ff),
    (0x3131, 0x318e),
    (0xa69c, 0xa69d),
    (0xa770, 0xa770),
    (0xa7f1, 0xa7f4),
    (0xa7f8, 0xa7f9),
    (0xab5c, 0xab5f),
    (0xab69, 0xab69),
    (0xfb00, 0xfb17),
    (0xfb20, 0xfdfb),
    (0xfe70, 0xfe72),
    (0xfe74, 0xffdc),
    (0x10781, 0x107bf),
    (0x1b123, 0x1b126),
    (0x1ccf0, 0x1ccf9),
    (0x1d400, 0x1d7ff),
    (0x1df95, 0x1df95),
    (0x1dfcd, 0x1dfff),
    (0x1e030, 0x1e06d),
    (0x1ee00, 0x1fbf9),
];

fn is_variant(c: char) -> bool {
    let c = u32::from(c);
    let at = VARIANTS.partition_point(|(_, last)| *last < c);
    VARIANTS.get(at).is_some_and(|(first, _)| *first <= c)
}

pub(crate) fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

pub(crate) fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c))
}

/// The derived property of a character of a text in NFC, by the steps of RFC 8264, section 8, in
/// their order. BackwardCompatible is empty. What else no class allows is told apart for the reasons.
pub(crate) fn derived(c: char) -> Derived {
    match c {
        // Exceptions (section 9.6).
        '\u{df}' | '\u{3c2}' | '\u{6fd}' | '\u{6fe}' | '\u{f0b}' | '\u{3007}' => {
            return Derived::Pvalid;
        }
        '\u{b7}' | '\u{375}' | '\u{5f3}' | '\u{5f4}' | '\u{30fb}' => return Derived::Context,
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => return Derived::Context,
        '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' | '\u{3031}'..='\u{3035}' | '\u{303b}' => {
            return Derived::Disallowed;
        }
        _ => {}
    }
    let category = category(c);
    match c {
        _ if category == GeneralCategory::Unassigned => Derived::Unassigned,
        '!'..='~' => Derived::Pvalid,
        '\u{200c}' | '\u{200d}' => Derived::Context,
        // Hangul_Syllable_Type L, V and T.
        '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}' | '\u{d7b0}'..='\u{d7fb}' => {
            Derived::OldJamo
        }
        _ if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) => Derived::Ignorable,
        _ => match category {
            GeneralCategory::Control => Derived::Control,
            GeneralCategory::LowercaseLetter
            | GeneralCategory::UppercaseLetter
            | GeneralCategory::OtherLetter
            | GeneralCategory::DecimalNumber
            | GeneralCategory::ModifierLetter
            | GeneralCategory::NonspacingMark
            | GeneralCategory::SpacingMark => match is_variant(c) {
                true => Derived::Variant,
                false => Derived::Pvalid,
            },
            GeneralCategory::TitlecaseLetter
            | GeneralCategory::LetterNumber
            | GeneralCategory::OtherNumber
            | GeneralCategory::EnclosingMark
            | GeneralCategory::SpaceSeparator => Derived::Freeform,
            category
                if GeneralCategoryGroup::Symbol.contains(category)
                    || GeneralCategoryGroup::Punctuation.contains(category) =>
            {
                Derived::Freeform
            }
            _ => Derived::Disallowed,
        },
    }
}

/// Whether the code point at `at`, whose derived property is [`Derived::Context`], may stand
/// there: the rules A.1 to A.9 of RFC 5892, as RFC 8264 takes them over.
pub(crate) fn fits(text: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
    let after = text.get(at + 1).copied();
    let is_of = |c: Option<char>, script| {
        c.is_some_and(|c| ScriptWithExtensions::new().get_script_val(c) == script)
    };
    let virama = before.is_some_and(|c| CanonicalCombiningClassMap::new().get_u8(c) == VIRAMA);
    match text.get(at) {
        Some('\u{200c}') => virama || joins(text, at),
        Some('\u{200d}') => virama,
        Some('\u{b7}') => before == Some('l') && after == Some('l'),
        Some('\u{375}') => is_of(after, Script::Greek),
        Some('\u{5f3}' | '\u{5f4}') => is_of(before, Script::Hebrew),
        Some('\u{30fb}') => text.iter().any(|c| {
            [Script::Hiragana, Script::Katakana, Script::Han]
                .iter()
                .any(|script| is_of(Some(*c), *script))
        }),
        Some('\u{660}'..='\u{669}') => !text.iter().any(|c| matches!(c, '\u{6f0}'..='\u{6f9}')),
        Some('\u{6f0}'..='\u{6f9}') => !text.iter().any(|c| matches!(c, '\u{660}'..='\u{669}')),
        _ => false,
    }
}

/// The second half of rule A.1: letters that would join stand on both sides of a ZERO WIDTH
/// NON-JOINER, with nothing but marks in between.
fn joins(text: &[char], at: usize) -> bool {
    let kind = |c: &char| CodePointMapData::<JoiningType>::new().get(*c);
    let solid = |kind: &JoiningType| *kind != JoiningType::Transparent;
    let (before, after) = (&text[..at], &text[at + 1..]);
    let left = before.iter().rev().map(kind).find(solid);
    let right = after.iter().map(kind).find(solid);
    matches!(
        left,
        Some(JoiningType::LeftJoining | JoiningType::DualJoining)
    ) && matches!(
        right,
        Some(JoiningType::RightJoining | JoiningType::DualJoining)
    )
}

/// What is wrong by the Bidi rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BidiFault {
    /// Condition 1: the first character has no direction of its own.
    First(char),
    /// Conditions 2 and 5: the character runs against the direction of the text.
    Against(char),
    /// Conditions 3 and 6: such a text does not end with this character.
    Last(char),
    /// Condition 4: European and Arabic digits.
    Digits(char),
}

/// The Bidi rule (RFC 5893, section 2), for texts with a character that runs from right to left.
pub(crate) fn bidi(text: &[char]) -> Result<(), BidiFault> {
    use BidiClass as B;
    let class = |c: char| CodePointMapData::<BidiClass>::new().get(c);
    let from_right = |c: &char| {
        matches!(
            class(*c),
            B::RightToLeft | B::ArabicLetter | B::ArabicNumber
        )
    };
    let Some(&first) = text.first().filter(|_| text.iter().any(from_right)) else {
        return Ok(());
    };
    let rtl = match class(first) {
        B::LeftToRight => false,
        B::RightToLeft | B::ArabicLetter => true,
        _ => return Err(BidiFault::First(first)),
    };
    let mut digits = None;
    for &c in text {
        match class(c) {
            B::EuropeanSeparator | B::CommonSeparator | B::EuropeanTerminator => {}
            B::OtherNeutral | B::BoundaryNeutral | B::NonspacingMark => {}
            B::RightToLeft | B::ArabicLetter if rtl => {}
            B::LeftToRight if !rtl => {}
            kind @ (B::EuropeanNumber | B::ArabicNumber) if rtl => {
                if *digits.get_or_insert(kind) != kind {
                    return Err(BidiFault::Digits(c));
                }
            }
            B::EuropeanNumber => {}
            _ => return Err(BidiFault::Against(c)),
        }
    }
    let last = text.iter().rev().find(|c| class(**c) != B::NonspacingMark);
    match last.map(|c| (*c, class(*c))) {
        Some((_, B::EuropeanNumber)) => Ok(()),
        Some((_, B::RightToLeft | B::ArabicLetter | B::ArabicNumber)) if rtl => Ok(()),
        Some((_, B::LeftToRight)) if !rtl => Ok(()),
        Some((c, _)) => Err(BidiFault::Last(c)),
        None => Ok(()),
    }
}

/// The first character that does not go with those before it: the text is neither of one script
/// nor of a mixture that UTS 39 calls highly restrictive (Latin with Han and kana, with Han and
/// Bopomofo, or with Han and Hangul). Script extensions count.
pub(crate) fn foreign(text: &[char]) -> Option<char> {
    const MIXTURES: [&[Script]; 3] = [
        &[
            Script::Latin,
            Script::Han,
            Script::Hiragana,
            Script::Katakana,
        ],
        &[Script::Latin, Script::Han, Script::Bopomofo],
        &[Script::Latin, Script::Han, Script::Hangul],
    ];
    let data = ScriptWithExtensions::new();
    let mut mixtures = MIXTURES.to_vec();
    // The scripts that all have had so far; None before the first that has one.
    let mut single: Option<Vec<Script>> = None;
    for &c in text {
        let scripts = data.get_script_extensions_val(c);
        if scripts.contains(&Script::Common) || scripts.contains(&Script::Inherited) {
            continue;
        }
        mixtures.retain(|mixture| mixture.iter().any(|script| scripts.contains(script)));
        let one = single.get_or_insert_with(|| scripts.iter().collect());
        one.retain(|script| scripts.contains(script));
        if one.is_empty() && mixtures.is_empty() {
            return Some(c);
        }
    }
    None
}

/// Whether a character belongs to a script, and not to all of them.
pub(crate) fn has_script(c: char) -> bool {
    let script = ScriptWithExtensions::new().get_script_val(c);
    script != Script::Common && script != Script::Inherited
}

#[cfg(test)]
mod tests;
