//! The templates of a transcript: user names, long texts, variables and escapes.

use super::super::client::short;
use super::{Expected, Outcome};
use std::collections::HashMap;

/// `$_`, which binds nothing.
const ANY_NUMBER: &str = "_";

/// What a received line is compared with: text, and numbers that it binds.
pub enum Piece {
    Text(String),
    Number(String),
    /// ` *`: at least one more character.
    Rest,
}

impl Piece {
    fn unescaped(self) -> Outcome<Piece> {
        let Piece::Text(text) = self else {
            return Ok(self);
        };
        let text = String::from_utf8(unescape(&text)?);
        Ok(Piece::Text(text.map_err(|_| "not UTF-8".to_owned())?))
    }
}

/// What templates are filled in from.
pub struct Text {
    /// Behind every user name: nothing on a server of one's own.
    suffix: String,
    pub variables: HashMap<String, i64>,
}

impl Text {
    pub fn new(suffix: String) -> Text {
        Text {
            suffix,
            variables: HashMap::new(),
        }
    }

    pub fn variable(&self, name: &str) -> Outcome<i64> {
        let value = self.variables.get(name).copied();
        value.ok_or_else(|| format!("${name} has no value yet"))
    }

    /// Replaces what stands in braces and variables, all of which must be known.
    pub fn expand(&self, template: &str) -> Outcome<String> {
        let mut text = String::new();
        for piece in self.pieces(template)? {
            match piece {
                Piece::Text(more) => text.push_str(&more),
                Piece::Number(name) => return Err(format!("${name} has no value yet")),
                Piece::Rest => unreachable!("only pattern() makes one"),
            }
        }
        Ok(text)
    }

    pub fn pattern(&self, expected: &Expected) -> Outcome<Vec<Piece>> {
        if expected.raw {
            let pieces = self.pieces(&expected.text)?;
            return pieces.into_iter().map(Piece::unescaped).collect();
        }
        let Some(start) = expected.text.strip_suffix('*').filter(|s| s.ends_with(' ')) else {
            return self.pieces(&expected.text);
        };
        let mut pieces = self.pieces(start)?;
        pieces.push(Piece::Rest);
        Ok(pieces)
    }

    /// Text with `{…}` and known variables replaced, and the variables that are not known yet.
    fn pieces(&self, template: &str) -> Outcome<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '$']) {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let (sign, after) = rest.split_at(1);
            if let Some(literal) = after.strip_prefix(sign) {
                text.push_str(sign);
                rest = literal;
            } else if let Some((inner, behind)) = braces(rest).filter(|_| !text.ends_with("\\u")) {
                text.push_str(&self.generate(inner)?);
                rest = behind;
            } else if let Some((name, behind)) = variable_name(rest) {
                match self.variables.get(name) {
                    Some(value) => text.push_str(&value.to_string()),
                    None => {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                        pieces.push(Piece::Number(name.to_owned()));
                    }
                }
                rest = behind;
            } else {
                text.push_str(sign);
                rest = after;
            }
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        Ok(pieces)
    }

    /// `{hans}`, `{hans:32}`, `{-}` and `{8192*x}`.
    fn generate(&self, inner: &str) -> Outcome<String> {
        if let Some((count, text)) = inner.split_once('*') {
            let count = count
                .parse()
                .map_err(|_| format!("no count in {{{inner}}}"))?;
            return Ok(text.repeat(count));
        }
        let inner = inner.strip_prefix('-').unwrap_or(inner);
        let (name, length) = inner.split_once(':').unwrap_or((inner, "0"));
        let length: usize = length
            .parse()
            .map_err(|_| format!("no length in {{{inner}}}"))?;
        let mut name = format!("{name}{}", self.suffix);
        let missing = length.saturating_sub(name.chars().count());
        name.extend(std::iter::repeat_n('x', missing));
        Ok(name)
    }
}

/// The inside of `{…}` at the start of `text` if it is one of the forms that we replace, and what
/// follows. All other braces stand for themselves, so that a message may look like JSON.
fn braces(text: &str) -> Option<(&str, &str)> {
    let (inner, behind) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = |s: &str| {
        s.starts_with(char::is_alphabetic)
            && s.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))
    };
    let is_number = |s: &str| !s.is_empty() && s.bytes().all(|byte| byte.is_ascii_digit());
    let ours = match (inner.split_once('*'), inner.split_once(':')) {
        (Some((count, _)), _) => is_number(count),
        (None, Some((name, length))) => is_name(name) && is_number(length),
        (None, None) => is_name(inner) || inner == "-",
    };
    ours.then_some((inner, behind))
}

fn variable_name(text: &str) -> Option<(&str, &str)> {
    let after = text.strip_prefix('$')?;
    if let Some(behind) = after.strip_prefix('_') {
        return Some((ANY_NUMBER, behind));
    }
    let name_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let end = after.find(|c| !name_char(c)).unwrap_or(after.len());
    let (name, behind) = after.split_at(end);
    name.starts_with(|c: char| c.is_ascii_lowercase())
        .then_some((name, behind))
}

/// The numbers that a line binds if it fits.
pub fn fits(pattern: &[Piece], line: &str) -> Option<HashMap<String, i64>> {
    let mut bound = HashMap::new();
    let mut rest = line;
    for piece in pattern {
        match piece {
            Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
            Piece::Number(name) => {
                let is_number = |c: char| c.is_ascii_digit() || c == '-';
                let end = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
                let (digits, behind) = rest.split_at(end);
                let value: i64 = digits.parse().ok()?;
                if name != ANY_NUMBER && *bound.entry(name.clone()).or_insert(value) != value {
                    return None;
                }
                rest = behind;
            }
            Piece::Rest if rest.is_empty() => return None,
            Piece::Rest => rest = "",
        }
    }
    rest.is_empty().then_some(bound)
}

pub fn show(patterns: &[Vec<Piece>]) -> String {
    let show_one = |pattern: &Vec<Piece>| {
        let pieces = pattern.iter().map(|piece| match piece {
            Piece::Text(text) => short(text),
            Piece::Number(name) => format!("${name}"),
            Piece::Rest => "*".to_owned(),
        });
        pieces.collect::<String>()
    };
    let all: Vec<String> = patterns.iter().map(show_one).collect();
    all.join("` or `")
}

/// `\r`, `\n`, `\t`, `\0`, `\s` (a space), `\\`, `\xff` (a byte) and `\u{1f600}` (a character).
pub fn unescape(text: &str) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let wrong = || format!("no such escape: \\{}", short(escape));
        let letter = escape.chars().next().ok_or_else(wrong)?;
        rest = &escape[letter.len_utf8()..];
        match letter {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            's' => bytes.push(b' '),
            '\\' => bytes.push(b'\\'),
            'x' => {
                let digits = rest.get(..2).ok_or_else(wrong)?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
                rest = &rest[2..];
            }
            'u' => {
                let braced = rest.strip_prefix('{').and_then(|r| r.split_once('}'));
                let (digits, behind) = braced.ok_or_else(wrong)?;
                let number = u32::from_str_radix(digits, 16).ok();
                let character = number.and_then(char::from_u32).ok_or_else(wrong)?;
                bytes.extend_from_slice(character.to_string().as_bytes());
                rest = behind;
            }
            _ => return Err(wrong()),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}
