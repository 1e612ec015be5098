//! Makes text from others safe for a terminal.
//!
//! Such text must not move the cursor, change colours, write to the clipboard, hide itself or turn
//! the reading direction of its surroundings. Characters that could are shown by their names.

use std::fmt::Write;

/// Precedes each line of a message but the first, so that one message cannot pass for two.
#[cfg(any(test, feature = "client"))]
const CONTINUATION: &str = "\n      | ";

/// Cleans a message; its line breaks stay, marked.
#[cfg(any(test, feature = "client"))]
#[must_use]
pub(crate) fn message(text: &str) -> String {
    clean(text, CONTINUATION)
}

/// Cleans a name, a reason or a file name, and puts it on one line.
#[must_use]
pub(crate) fn word(text: &str) -> String {
    clean(text, "\u{240A}")
}

fn clean(text: &str, line_break: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' | '\u{2028}' | '\u{2029}' => out.push_str(line_break),
            '\t' => out.push_str("    "),
            // The pictures of the control characters, such as ␛.
            '\0'..='\u{1F}' => out.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7F}' => out.push('\u{2421}'),
            c if is_harmful(c) => {
                // Writing into a String cannot fail.
                let _ = write!(out, "<U+{:04X}>", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// C1 controls, characters that turn the reading direction, and invisible ones: the code points that
/// Unicode calls Default_Ignorable, and the blank Braille pattern (U+2800). Those that scripts and
/// emoji need are not harmful: joiners (U+200C, U+200D), direction marks without reach (U+200E,
/// U+200F, U+061C) and variation selectors.
fn is_harmful(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9F}'
        | '\u{AD}'
        | '\u{34F}'
        | '\u{115F}'..='\u{1160}'
        | '\u{17B4}'..='\u{17B5}'
        // Around it are the Mongolian variation selectors.
        | '\u{180E}'
        | '\u{200B}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{FEFF}'
        | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E00FF}'
        // Between them are more variation selectors.
        | '\u{E01F0}'..='\u{E0FFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_are_shown_as_what_they_are() {
        let cases = [
            ("plain ünï 🙂 שלום", "plain ünï 🙂 שלום"),
            ("\x1b[31mred\x1b]0;title\x07", "␛[31mred␛]0;title␇"),
            ("a\rb\x08c\x7f\0", "a␍b␈c␡␀"),
            ("a\tb", "a    b"),
            ("\u{9b}2J\u{85}", "<U+009B>2J<U+0085>"),
            ("\u{202e}cod.exe\u{202c}", "<U+202E>cod.exe<U+202C>"),
            (
                "\u{2066}x\u{2069}\u{200b}\u{feff}",
                "<U+2066>x<U+2069><U+200B><U+FEFF>",
            ),
            ("\u{e0041}", "<U+E0041>"),
            ("👩\u{200d}🚀", "👩\u{200d}🚀"),
            ("❤\u{fe0f} ا\u{200c}ب\u{61c}", "❤\u{fe0f} ا\u{200c}ب\u{61c}"),
            (
                "a\u{ad}\u{34f}\u{3164}\u{2800}\u{115f}\u{ffa0}\u{180e}\u{1d173}z",
                "a<U+00AD><U+034F><U+3164><U+2800><U+115F><U+FFA0><U+180E><U+1D173>z",
            ),
        ];
        for (text, shown) in cases {
            assert_eq!(message(text), shown);
            assert_eq!(word(text), shown);
        }
    }

    #[test]
    fn a_line_break_cannot_forge_a_line() {
        let text = "hello\r\n12:00 anna: forged\u{2028}x";
        assert_eq!(
            message(text),
            "hello\n      | 12:00 anna: forged\n      | x"
        );
        assert_eq!(word(text), "hello␊12:00 anna: forged␊x");
    }

    /// Whatever comes in, nothing that a terminal obeys comes out, but line breaks.
    #[test]
    fn no_character_gets_through_that_a_terminal_obeys() {
        for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let shown = message(&c.to_string());
            let bad = |c: char| (c.is_control() && c != '\n') || is_harmful(c);
            assert!(!shown.contains(bad), "U+{:04X}", u32::from(c));
        }
    }
}
