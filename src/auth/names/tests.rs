use super::*;
use proptest::prelude::*;

fn compared(text: &str) -> String {
    match username(text) {
        Ok(name) => name.mapped,
        Err(fault) => panic!("{text:?} is refused: {fault}"),
    }
}

fn why(text: &str) -> String {
    match username(text) {
        Ok(name) => panic!("{text:?} is allowed: {name:?}"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn one_user_however_typed() {
    for same in ["hans", "Hans", "HANS", "ｈａｎｓ", "Ｈａｎｓ"] {
        assert_eq!(compared(same), "hans", "{same}");
    }
    assert_eq!(compared("Jürgen"), compared("JU\u{308}RGEN"));
    assert_eq!(compared("ｶﾞ"), compared("ガ"));
    assert_ne!(compared("strasse"), compared("straße"));
    // The small letter of a capital Σ depends on where it stands.
    assert_eq!(compared("ΝΊΚΟΣ"), compared("Νίκος"));
    // NFC comes before everything: it takes these apart.
    assert_eq!(compared("জ\u{9df}"), compared("জ\u{9af}\u{9bc}"));
    assert_eq!(compared("\u{212b}sa"), compared("Åsa"));
    assert_eq!(compared("\u{1112}\u{1161}\u{11ab}"), compared("한"));
}

#[test]
fn shown_is_the_nfc_of_what_was_given() {
    assert_eq!(username("Ju\u{308}rgen").unwrap().shown, "J\u{fc}rgen");
    assert_eq!(username("Ｈａｎｓ").unwrap().shown, "Ｈａｎｓ");
    assert_eq!(username("McDonald").unwrap().shown, "McDonald");
    assert_eq!(username("น้ำ").unwrap().shown, "น้ำ");
}

/// Beside the table of names in tests/data, which goes through a server.
#[test]
fn a_reason_names_the_character_and_why() {
    for (name, reason) in [
        ("", "a name has 1 to 32 characters"),
        ("a b", "U+0020 is no letter, mark or digit"),
        ("a\u{a0}b", "U+00A0 is no letter, mark or digit"),
        ("~hans", "U+007E is no letter, mark or digit"),
        // As it was given, not as it was mapped.
        ("a＠b", "U+FF20 is no letter, mark or digit"),
        ("a\tb", "U+0009 is no letter, mark or digit"),
        ("☃", "U+2603 is no letter, mark or digit"),
        ("😀", "U+1F600 is no letter, mark or digit"),
        ("½", "U+00BD is no letter, mark or digit"),
        ("ﬁn", "U+FB01 is only another form of other letters"),
        ("x²", "U+00B2 is no letter, mark or digit"),
        ("𝐇ans", "U+1D407 is only another form of other letters"),
        ("a\u{200b}b", "U+200B is invisible"),
        ("a\u{202e}b", "U+202E is invisible"),
        ("a\u{ad}b", "U+00AD is invisible"),
        ("❤\u{fe0f}", "U+2764 is no letter, mark or digit"),
        ("محمـد", "U+0640 is no character for names"),
        ("\u{e000}", "U+E000 is no character for names"),
        ("a\u{378}", "U+0378 is no character that this server knows"),
        ("ㅋㅋ", "U+314B is only another form of other letters"),
        (
            "\u{1100}",
            "U+1100 is a part of a Hangul syllable without the others",
        ),
        ("l·m", "U+00B7 stands between two l only"),
        ("·", "U+00B7 stands between two l only"),
        ("α\u{375}", "U+0375 stands before a Greek letter only"),
        ("a\u{5f3}", "U+05F3 stands behind a Hebrew letter only"),
        ("a・b", "U+30FB stands in names with kana or Han only"),
        ("a･b", "U+FF65 stands in names with kana or Han only"),
        (
            "a\u{200d}b",
            "U+200D stands only where letters would join otherwise, or would not",
        ),
        (
            "\u{f0b}",
            "U+0F0B stands between two Tibetan syllables only",
        ),
        (
            "ب٣۳",
            "U+0663 is a digit of another kind than others in the name",
        ),
        ("سنڌ\u{6fd}", "U+06FD is no letter, mark or digit"),
        ("-x", "U+002D does not begin a name"),
        ("--help", "U+002D does not begin a name"),
        ("\u{301}a", "U+0301 does not begin a name"),
        ("ﾞa", "U+FF9E does not begin a name"),
        (".", "a name has at least one letter or digit"),
        ("_._", "a name has at least one letter or digit"),
        ("\u{2bc}", "a name has at least one letter or digit"),
        (
            "аnna",
            "U+006E is of another script than the characters before it",
        ),
        (
            "Ωmega",
            "U+006D is of another script than the characters before it",
        ),
        (
            "राम\u{985}",
            "U+0985 is of another script than the characters before it",
        ),
        (
            "한かな",
            "U+304B is of another script than the characters before it",
        ),
        (
            "٣محمد",
            "U+0663 does not begin a name that is written from right to left",
        ),
        (
            "_דוד",
            "U+005F does not begin a name that is written from right to left",
        ),
        (
            "דוד.",
            "U+002E does not end a name that is written from right to left",
        ),
        (
            "ב3٣",
            "U+0663 is of another script than the characters before it",
        ),
        (
            "ب3٣",
            "U+0663 is a digit of another kind than those before it",
        ),
    ] {
        assert_eq!(why(name), reason, "{name:?}");
    }
}

#[test]
fn marks_may_stand_within_and_at_the_end_of_names_from_right_to_left() {
    for name in ["محمّد", "شَمْس", "שָׁלוֹם", "דָּוִד", "ܡܳܪܰܢ", "އަޙްމަދު", "ߞߊ߲"]
    {
        assert!(username(name).is_ok(), "{name}: {:?}", username(name));
    }
}

/// What NFKC takes apart and keyboards have: see `precis::mapping::variant`.
#[test]
fn letters_that_cannot_be_typed_otherwise_are_their_variants() {
    for (typed, same) in [
        ("น้ำ", "น\u{e49}\u{e4d}\u{e32}"),
        ("ຄຳ", "ຄ\u{ecd}\u{eb2}"),
        ("ໜູ", "ຫນູ"),
        ("Արև", "Արեւ"),
        ("paraŀlel", "paral·lel"),
        ("PARAĿLEL", "paral·lel"),
        ("ĳsbrand", "ijsbrand"),
        ("ŉ", "\u{2bc}n"),
        ("Weiſs", "weiss"),
        ("ǅ", "dž"),
        ("eggʷ", "eggw"),
        ("tiuⁿ", "tiun"),
        ("ⴰⴽⵯ", "ⴰⴽⵡ"),
        ("ﻻمي", "لامي"),
        ("عبدﷲ", "عبدالله"),
        ("ﷴ", "محمد"),
    ] {
        assert_eq!(compared(typed), compared(same), "{typed}");
        let shown = username(typed).unwrap().shown;
        assert_eq!(shown, precis::nfc(typed), "shown as typed");
    }
}

#[test]
fn what_an_account_is_looked_up_by_does_not_ask_what_is_allowed() {
    assert_eq!(keys("hans"), ["hans"]);
    assert_eq!(keys("Hans"), ["Hans", "hans"]);
    assert_eq!(keys("Zoe\u{308}"), ["Zoë", "zoë"]);
    assert_eq!(keys("--X"), ["--X", "--x"]);
    assert_eq!(keys("Аnna"), ["Аnna", "аnna"]);
    assert!(keys(&"x".repeat(129)).is_empty());
}

#[test]
fn the_length_is_counted_in_code_points_after_normalisation() {
    assert!(username(&"x".repeat(32)).is_ok());
    assert_eq!(username(&"x".repeat(33)), Err(NameFault::Length));
    assert!(username(&"王".repeat(32)).is_ok());
    assert!(username(&"u\u{308}".repeat(32)).is_ok());
    assert_eq!(username(&"u\u{308}".repeat(33)), Err(NameFault::Length));
    // One code point shown, two mapped.
    assert!(username(&"İ".repeat(16)).is_ok());
    assert_eq!(username(&"İ".repeat(17)), Err(NameFault::Length));
    // Two shown, one mapped.
    assert!(username(&"H\u{331}".repeat(16)).is_ok());
    assert_eq!(username(&"H\u{331}".repeat(17)), Err(NameFault::Length));
}

#[test]
fn a_huge_text_is_refused_at_once() {
    let dots = "\u{30fb}".repeat(2 << 20);
    let start = std::time::Instant::now();
    assert_eq!(username(&dots), Err(NameFault::Length));
    assert_eq!(password(&dots), Err(PasswordFault::Length));
    assert!(keys(&dots).is_empty());
    // The rule for these dots looks at the whole text for each: that takes hours.
    assert!(start.elapsed() < std::time::Duration::from_secs(30));
}

/// Each character alone, behind letters of either direction, and before combining marks.
#[test]
fn every_name_maps_to_a_name_that_maps_to_itself() {
    let mut allowed = 0;
    for c in '\u{1}'..'\u{32000}' {
        let mut texts = vec![c.to_string()];
        // Han, Hangul and Tangut have no case, and nothing joins with them that is written here: some
        // of them do.
        let plain = matches!(c, '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{17000}'..='\u{18cff}' | '\u{20000}'..);
        if plain && u32::from(c) % 16 > 0 {
            continue;
        }
        if !plain {
            texts.extend(["A", "א"].map(|before| format!("{before}{c}")));
            texts.extend(["\u{301}", "\u{331}", "\u{345}"].map(|mark| format!("{c}{mark}")));
        }
        for text in texts {
            let Ok(name) = username(&text) else {
                continue;
            };
            allowed += 1;
            let again = username(&name.mapped).map(|name| name.mapped);
            assert_eq!(again.as_ref(), Ok(&name.mapped), "{text:?}");
            assert_eq!(username(&name.shown), Ok(name.clone()), "{text:?}");
        }
    }
    assert!(allowed > 30_000, "{allowed}");
}

#[test]
fn passwords_follow_opaque_string() {
    assert_eq!(*password("12345678").unwrap(), "12345678");
    // The case counts, other spaces become the ASCII one, the form is NFC.
    assert_eq!(*password("Pass\u{3000}word").unwrap(), "Pass word");
    assert_eq!(*password("schlu\u{308}ssel").unwrap(), "schl\u{fc}ssel");
    for allowed in [
        "correct horse battery ☃",
        "  spaces  count ",
        // Younger than Unicode 6.3.
        "🙂🤔🥳🫠🫨🪿🩷🛜",
        "100₽ 20₾ 5₿",
        "👍🏽👍🏽👍🏽👍🏽🇩🇪🇩🇪",
        "𞤀𞤣𞤤𞤢𞤥𞤀𞤣𞤤",
        "ﬁﬀ²½Ⅳ™㎏①",
    ] {
        assert!(
            password(allowed).is_ok(),
            "{allowed}: {:?}",
            password(allowed)
        );
    }
    for (refused, why) in [
        ("", PasswordFault::Length),
        ("1234567", PasswordFault::Length),
        ("with\ttab", PasswordFault::Control),
        ("with\u{0}nul", PasswordFault::Control),
        ("zero\u{200b}width", PasswordFault::Invisible),
        ("hearts ❤\u{fe0f}", PasswordFault::Invisible),
        ("family 👩\u{200d}👧", PasswordFault::Invisible),
        ("private \u{e000}", PasswordFault::Excepted),
        ("tatweel \u{640}", PasswordFault::Excepted),
        ("a number sign \u{600}", PasswordFault::Excepted),
        ("unassigned \u{378}", PasswordFault::Unknown),
        ("abcdefg·", PasswordFault::Context),
        ("abcdefg\u{1100}", PasswordFault::Context),
    ] {
        assert_eq!(password(refused), Err(why), "{refused:?}");
        let said = why.to_string();
        assert!(!said.contains("U+"), "{said}");
    }
}

#[test]
fn a_password_has_8_to_128_code_points() {
    assert!(password(&"ü".repeat(8)).is_ok());
    assert!(password(&"ü".repeat(7)).is_err());
    // Seven letters, each given as two code points.
    assert!(password(&"u\u{308}".repeat(7)).is_err());
    assert!(password(&"u\u{308}".repeat(128)).is_ok());
    assert!(password(&"u\u{308}".repeat(129)).is_err());
    assert!(password(&"x".repeat(129)).is_err());
}

/// Whatever profile an account's password was once allowed by, it is checked by its characters
/// alone.
#[test]
fn a_password_that_is_checked_need_not_be_allowed() {
    assert_eq!(
        *typed_password("zero\u{200b}width").unwrap(),
        "zero\u{200b}width"
    );
    assert_eq!(*typed_password("\u{387}abcdefgh").unwrap(), "·abcdefgh");
    assert_eq!(typed_password("1234567"), None);
}

/// A text in which letters, marks and what stands between them follow each other, so that more
/// than a few are names.
const NAMELIKE: &str = "[\\p{L}\\p{M}\\p{N}._\u{200c}\u{200d}·-]{1,8}";

/// Names of one script, mostly allowed.
const OF_ONE_SCRIPT: &str = "[\\p{Latin}]{1,8}|[\\p{Greek}]{1,8}|[\\p{Cyrillic}]{1,8}\
     |[\\p{Hebrew}]{1,8}|[\\p{Arabic}]{1,8}|[\\p{Bengali}]{1,8}|[\\p{Hangul}]{1,8}|[\\p{Thai}]{1,8}";

proptest! {
    #[test]
    fn any_text_is_refused_or_stable(text in "\\PC{0,40}") {
        if let Ok(name) = username(&text) {
            prop_assert_eq!(username(&name.shown), Ok(name.clone()));
            prop_assert_eq!(username(&name.mapped).map(|n| n.mapped), Ok(name.mapped));
        }
        if let Ok(first) = password(&text) {
            prop_assert_eq!(password(&first), Ok(first));
        }
        if let Some(first) = typed_password(&text) {
            prop_assert_eq!(typed_password(&first), Some(first));
        }
    }

    #[test]
    fn names_are_stable_shown_in_nfc_and_found_again(
        text in prop_oneof![NAMELIKE, OF_ONE_SCRIPT],
    ) {
        if let Ok(name) = username(&text) {
            prop_assert_eq!(precis::nfc(&name.shown), name.shown.as_str());
            prop_assert_eq!(username(&name.shown), Ok(name.clone()));
            prop_assert_eq!(username(&name.mapped).map(|n| n.mapped), Ok(name.mapped.clone()));
            prop_assert!(keys(&name.shown).contains(&name.mapped));
        }
    }

    /// Composed or not, allowed or not: one name.
    #[test]
    fn nfd_and_nfc_are_one_name(text in prop_oneof![NAMELIKE, OF_ONE_SCRIPT]) {
        let nfd = icu_normalizer::DecomposingNormalizerBorrowed::new_nfd().normalize(&text);
        prop_assert_eq!(mapped(&nfd), mapped(&precis::nfc(&text)));
        prop_assert_eq!(username(&nfd), username(&text));
    }

    /// In capitals: one name, wherever its letters have one capital that leads back to them.
    #[test]
    fn case_variants_are_one_name(text in OF_ONE_SCRIPT) {
        let simple = |c: char| {
            let capital: String = c.to_uppercase().collect();
            let back = capital.chars().flat_map(char::to_lowercase);
            c == 'ς' || back.eq(c.to_lowercase())
        };
        let small = text.to_lowercase();
        // ς is the small letter of Σ at the end of a word only.
        let sigmas = small.to_uppercase().to_lowercase() == small;
        if sigmas && precis::nfc(&text).chars().all(simple) {
            prop_assert_eq!(mapped(&small.to_uppercase()), mapped(&text));
        }
    }
}
