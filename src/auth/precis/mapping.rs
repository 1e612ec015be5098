//! The mappings of RFC 8265's profiles UsernameCaseMapped and OpaqueString.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::GeneralCategory;
use zeroize::Zeroizing;

use super::category;

pub(crate) fn nfc(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// What a name has in place of a letter that is only another form of others, as NFKC has it, in
/// small letters. RFC 8265 has the fullwidth and halfwidth ones mapped and refuses all others; here
/// come those that keyboard layouts have as letters of a language, so that whoever writes it cannot
/// type another form: xkeyboard-config 2.35 was looked through. Ligatures of typography, letters of
/// mathematics, symbols and other superscripts stay refused.
pub(super) fn variant(c: char) -> Option<Cow<'static, str>> {
    const HALFWIDTH: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソ\
        タチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン\u{3099}\u{309a}";
    Some(Cow::Borrowed(match c {
        '\u{ff01}'..='\u{ff5e}' => {
            return char::from_u32(u32::from(c) - 0xfee0).map(|c| Cow::Owned(c.to_string()));
        }
        // Without halfwidth jamo, which no syllable comes of.
        '\u{ff61}'..='\u{ff9f}' => {
            let at = u32::from(c) - 0xff61;
            let letter = HALFWIDTH.chars().nth(at as usize);
            return letter.map(|c| Cow::Owned(c.to_string()));
        }
        'Ĳ' | 'ĳ' => "ij",
        'Ŀ' | 'ŀ' => "l·",
        'ŉ' => "\u{2bc}n",
        'ſ' => "s",
        'Ǆ' | 'ǅ' | 'ǆ' => "dž",
        'Ǉ' | 'ǈ' | 'ǉ' => "lj",
        'Ǌ' | 'ǋ' | 'ǌ' => "nj",
        'Ǳ' | 'ǲ' | 'ǳ' => "dz",
        'և' => "եւ",
        // Kabyle and Taiwanese.
        'ʷ' => "w",
        'ⵯ' => "ⵡ",
        'ᴺ' | 'ⁿ' => "n",
        // Kazakh letters with a high hamza; Allah and Muhammad, which Urdu, Sindhi and Maldivian
        // keyboards have whole; what Arabic and Malay ones have for lam and alef, and for sad.
        '\u{675}' => "\u{627}\u{674}",
        '\u{676}' => "\u{648}\u{674}",
        '\u{677}' => "\u{6c7}\u{674}",
        '\u{678}' => "\u{64a}\u{674}",
        '\u{fdf2}' => "\u{627}\u{644}\u{644}\u{647}",
        '\u{fdf4}' => "\u{645}\u{62d}\u{645}\u{62f}",
        '\u{feb9}' => "\u{635}",
        '\u{fef5}' | '\u{fef6}' => "\u{644}\u{622}",
        '\u{fef7}' | '\u{fef8}' => "\u{644}\u{623}",
        '\u{fef9}' | '\u{fefa}' => "\u{644}\u{625}",
        '\u{fefb}' | '\u{fefc}' => "\u{644}\u{627}",
        // Thai and Lao am, Lao ho no and ho mo; Tibetan rr and ll, and its tsheg without a break.
        '\u{e33}' => "\u{e4d}\u{e32}",
        '\u{eb3}' => "\u{ecd}\u{eb2}",
        '\u{edc}' => "\u{eab}\u{e99}",
        '\u{edd}' => "\u{eab}\u{ea1}",
        '\u{f77}' => "\u{fb2}\u{f71}\u{f80}",
        '\u{f79}' => "\u{fb3}\u{f71}\u{f80}",
        '\u{f0c}' => "\u{f0b}",
        _ => return None,
    }))
}

/// What the mapping of UsernameCaseMapped makes of a name: width and compatibility letters, small
/// letters (Σ at the end of a word is ς), NFC. It is defined for every text, allowed or not.
///
/// NFC comes first, as letters that NFC takes apart are to be the same as their parts. RFC 8264,
/// section 7, says that the steps do not always reach their end at once, and RFC 8265 has them
/// repeated; None when that does not help.
pub(crate) fn case_mapped(name: &str) -> Option<String> {
    let step = |text: &str| {
        let mut mapped = String::with_capacity(text.len());
        for c in nfc(text).chars() {
            match variant(c) {
                Some(others) => mapped.push_str(&others),
                None => mapped.push(c),
            }
        }
        nfc(&mapped.to_lowercase()).into_owned()
    };
    let mut mapped = step(name);
    for _ in 0..3 {
        let again = step(&mapped);
        if again == mapped {
            return Some(mapped);
        }
        mapped = again;
    }
    None
}

/// What the mapping of OpaqueString makes of a password: every space is U+0020, then NFC. It is
/// defined for every text, allowed or not, and stable at once: no space comes of NFC but by a
/// character that is a space itself.
pub(crate) fn opaque(password: &str) -> Zeroizing<String> {
    let spaces = password.chars().map(|c| match category(c) {
        GeneralCategory::SpaceSeparator => ' ',
        _ => c,
    });
    // NFC makes three bytes of one at most; a growing string would leave copies behind.
    let mut mapped = Zeroizing::new(String::with_capacity(3 * password.len()));
    mapped.extend(ComposingNormalizerBorrowed::new_nfc().normalize_iter(spaces));
    mapped
}
