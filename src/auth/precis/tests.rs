use icu_normalizer::ComposingNormalizerBorrowed;

use super::mapping::variant;
use super::*;

fn characters(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// Whether a class has this text: its code points and their contexts.
fn class(text: &str, free: bool) -> bool {
    let text = characters(text);
    (0..text.len()).all(|at| match derived(text[at]) {
        Derived::Pvalid => true,
        Derived::Variant | Derived::Freeform => free,
        Derived::Context => fits(&text, at),
        _ => false,
    })
}

/// RFC 8265, section 3.3: mapping, then class and direction.
fn username(text: &str) -> Option<String> {
    let mapped = case_mapped(text)?;
    let fine = !mapped.is_empty() && class(&mapped, false) && bidi(&characters(&mapped)).is_ok();
    fine.then_some(mapped)
}

/// RFC 8265, section 4.2.
fn password(text: &str) -> Option<String> {
    let mapped = opaque(text).to_string();
    (!mapped.is_empty() && class(&mapped, true)).then_some(mapped)
}

/// RFC 8265, section 3.5: examples 1 to 7 conform, 8 to 11 do not.
#[test]
fn the_usernames_of_rfc_8265() {
    for (name, compared) in [
        ("juliet@example.com", "juliet@example.com"),
        ("fussball", "fussball"),
        ("fu\u{df}ball", "fu\u{df}ball"),
        ("\u{3c0}", "\u{3c0}"),
        ("\u{3a3}", "\u{3c3}"),
        ("\u{3c3}", "\u{3c3}"),
        ("\u{3c2}", "\u{3c2}"),
    ] {
        assert_eq!(username(name).as_deref(), Some(compared), "{name}");
    }
    for name in ["foo bar", "", "henry\u{2163}", "\u{265a}"] {
        assert_eq!(username(name), None, "{name}");
    }
}

/// RFC 8265, section 4.3: examples 12 to 16 conform, 17 and 18 do not.
#[test]
fn the_passwords_of_rfc_8265() {
    for (typed, hashed) in [
        (
            "correct horse battery staple",
            "correct horse battery staple",
        ),
        (
            "Correct Horse Battery Staple",
            "Correct Horse Battery Staple",
        ),
        ("\u{3c0}\u{df}\u{e5}", "\u{3c0}\u{df}\u{e5}"),
        ("Jack of \u{2666}s", "Jack of \u{2666}s"),
        ("foo\u{1680}bar", "foo bar"),
    ] {
        assert_eq!(password(typed).as_deref(), Some(hashed), "{typed}");
    }
    for typed in ["", "my cat is a \u{9}by"] {
        assert_eq!(password(typed), None, "{typed:?}");
    }
}

/// RFC 8264, section 9, a few code points of each of its categories, and of Unicode since 6.3.
#[test]
fn the_derived_property() {
    use Derived as D;
    for (codes, expected) in [
        // F, exceptions.
        ("\u{df}\u{3c2}\u{6fd}\u{6fe}\u{f0b}\u{3007}", D::Pvalid),
        (
            "\u{b7}\u{375}\u{5f3}\u{5f4}\u{30fb}\u{660}\u{669}\u{6f0}\u{6f9}",
            D::Context,
        ),
        (
            "\u{640}\u{7fa}\u{302e}\u{302f}\u{3031}\u{3035}\u{303b}",
            D::Disallowed,
        ),
        // J, unassigned, and non-characters.
        ("\u{378}\u{fdd0}\u{1fffe}\u{10ffff}", D::Unassigned),
        // K, ASCII7.
        ("!azAZ09~@", D::Pvalid),
        // H, join controls.
        ("\u{200c}\u{200d}", D::Context),
        // I, old Hangul jamo.
        (
            "\u{1100}\u{115f}\u{11ff}\u{a960}\u{d7b0}\u{d7fb}",
            D::OldJamo,
        ),
        // M, ignorable.
        (
            "\u{ad}\u{34f}\u{200b}\u{202e}\u{feff}\u{fe0f}\u{e0041}",
            D::Ignorable,
        ),
        // What is in no category: private use, format characters that are seen.
        ("\u{e000}\u{600}", D::Disallowed),
        // L, controls.
        ("\u{0}\u{9}\u{1f}\u{7f}\u{85}", D::Control),
        // Q, compatibility.
        ("\u{aa}\u{fb01}\u{ff21}\u{3131}\u{1d400}", D::Variant),
        // A, letters and digits; then of Unicode 8, 9, 12, 15, 17.
        ("äßжא中ㅤ", D::Pvalid),
    ] {
        for c in codes.chars().filter(|c| *c != '\u{3164}') {
            assert_eq!(derived(c), expected, "U+{:04X}", u32::from(c));
        }
    }
    for young in [
        "\u{ab70}",
        "\u{1e900}",
        "\u{1e100}",
        "\u{1e4d0}",
        "\u{323b0}",
        "\u{11dd0}",
    ] {
        assert!(
            class(young, false),
            "U+{:04X}",
            u32::from(young.chars().next().unwrap())
        );
    }
    // N, O, P, R: spaces, symbols, punctuation, other letters and digits.
    for free in [
        " ",
        "\u{20bd}",
        "☃",
        "🙂",
        "«",
        "\u{2460}\u{a0}",
        "\u{20dd}",
        "ᾈ",
        "ⅸ",
    ] {
        assert!(class(free, true) && !class(free, false), "{free}");
    }
}

/// RFC 5892, appendix A, as RFC 8264 takes it over.
#[test]
fn the_context_rules() {
    for (rule, text, fine) in [
        // A.1, by virama, and by joining letters with marks between.
        ("A.1", "क\u{94d}\u{200c}ष", true),
        ("A.1", "علی\u{200c}رضا", true),
        ("A.1", "ب\u{64e}\u{200c}\u{64e}ب", true),
        ("A.1", "ا\u{200c}ب", false),
        ("A.1", "a\u{200c}b", false),
        ("A.1", "ب\u{200c}", false),
        ("A.1", "\u{200c}", false),
        // A.2, by virama only.
        ("A.2", "ප\u{dca}\u{200d}රියන\u{dca}ත", true),
        ("A.2", "ب\u{200d}ب", false),
        ("A.2", "\u{200d}a", false),
        ("A.3", "l·l", true),
        ("A.3", "l·", false),
        ("A.3", "·l", false),
        ("A.3", "a·l", false),
        ("A.4", "\u{375}α", true),
        ("A.4", "\u{375}a", false),
        ("A.4", "α\u{375}", false),
        ("A.5", "א\u{5f3}", true),
        ("A.5", "a\u{5f3}", false),
        ("A.6", "א\u{5f4}ב", true),
        ("A.6", "\u{5f4}א", false),
        ("A.7", "ジョン・スミス", true),
        ("A.7", "王・王", true),
        ("A.7", "a・b", false),
        ("A.8", "ب\u{660}", true),
        ("A.8", "\u{660}\u{6f0}", false),
        ("A.9", "ب\u{6f0}", true),
        ("A.9", "\u{6f0}ب\u{660}", false),
    ] {
        assert_eq!(class(text, false), fine, "{rule}: {text:?}");
    }
}

/// RFC 5893, section 2.
#[test]
fn the_six_conditions_of_the_bidi_rule() {
    use BidiFault as F;
    for (text, expected) in [
        // Not about texts from left to right.
        ("-abc.", Ok(())),
        ("123", Ok(())),
        // 1.
        ("1א", Err(F::First('1'))),
        ("\u{660}א", Err(F::First('\u{660}'))),
        ("\u{5b8}א", Err(F::First('\u{5b8}'))),
        ("\u{660}", Err(F::First('\u{660}'))),
        // 2.
        ("אa", Err(F::Against('a'))),
        ("א.-_1ב", Ok(())),
        // 3, marks behind the last one, and within.
        ("א1", Ok(())),
        ("ا\u{660}", Ok(())),
        ("א\u{5b8}", Ok(())),
        ("א\u{5b8}ב\u{5b8}\u{5bc}", Ok(())),
        ("א-", Err(F::Last('-'))),
        ("א-\u{5b8}", Err(F::Last('-'))),
        // 4.
        ("ا1\u{660}", Err(F::Digits('\u{660}'))),
        ("ا\u{660}1", Err(F::Digits('1'))),
        // 5, and with it 6 for every text that has something from right to left.
        ("aא", Err(F::Against('א'))),
        ("a\u{660}", Err(F::Against('\u{660}'))),
    ] {
        assert_eq!(bidi(&characters(text)), expected, "{text:?}");
    }
}

/// UTS 39, section 5.2, "highly restrictive", by script extensions.
#[test]
fn scripts_mix_as_far_as_highly_restrictive_goes() {
    for fine in [
        "hans_7",
        "анна.2",
        "Hans王かなカナ",
        "Hans王ㄅ",
        "Hans王한",
        "中ー々",
        "हिन्दी१",
        "e\u{301}",
        "и\u{306}",
        "l·l",
        "スミス・x",
    ] {
        assert_eq!(foreign(&characters(fine)), None, "{fine}");
    }
    for (mixed, first) in [
        ("аnna", 'n'),
        ("annа", 'а'),
        ("aα", 'α'),
        ("αа", 'а'),
        ("かㄅ", 'ㄅ'),
        ("カ한", '한'),
        ("Hansकa", 'क'),
        ("राম", 'ম'),
        // A digit of another script, and a mark.
        ("a१", '१'),
        ("a\u{93e}", '\u{93e}'),
    ] {
        assert_eq!(foreign(&characters(mixed)), Some(first), "{mixed}");
    }
}

/// A database is mapped anew only when the rules have another number, so it has to go up when what
/// they make of any character changes. Small letters are the standard library's, whose version is
/// in the number itself.
#[test]
fn the_rules_have_the_number_of_their_tables() {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
        let form = variant(c).unwrap_or_else(|| nfc(&c.to_string()).into_owned().into());
        for byte in form.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    let rules = crate::auth::names::RULES / 1_000;
    assert_eq!(
        (rules, hash),
        (1, 8_102_322_961_243_615_383),
        "raise RULES, and give this test the new pair"
    );
}

fn nfkc(c: char) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    normalizer.normalize(&c.to_string()).into_owned()
}

#[test]
fn the_list_of_variants_is_that_of_nfkc() {
    use GeneralCategory as G;
    let mut variants = 0;
    for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
        let letter = matches!(
            category(c),
            G::LowercaseLetter
                | G::UppercaseLetter
                | G::OtherLetter
                | G::ModifierLetter
                | G::DecimalNumber
                | G::NonspacingMark
                | G::SpacingMark
        );
        let in_nfc = nfc(&c.to_string()).chars().eq([c]);
        if letter && in_nfc && derived(c) != Derived::Ignorable {
            let compatible = nfkc(c).chars().ne([c]);
            assert_eq!(is_variant(c), compatible, "U+{:04X}", u32::from(c));
            variants += usize::from(compatible);
        }
        if let Some(others) = variant(c) {
            let (others, nfkc) = (others.to_lowercase(), nfkc(c).to_lowercase());
            assert_eq!(others, nfc(&nfkc), "U+{:04X}", u32::from(c));
        }
    }
    assert!(variants > 2_500, "{variants}");
}
