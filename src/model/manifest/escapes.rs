//! Strings as they stand in a TOML file: what each part of their text was written as.
//!
//! Knows no more of TOML than strings that its parser has read without a complaint.

use crate::base::places::{Piece, Places};

const TRIPLE: [&str; 2] = ["\"\"\"", "'''"];

/// Where each part of `text` stands in `raw`, the string with its quotes; `None` if it is not what is written there.
pub fn places(raw: &str, text: &str) -> Option<Places> {
    if raw == text {
        return Some(Places::plain(text.len(), 0));
    }
    let mark = TRIPLE.into_iter().chain(["\"", "'"]).find(|it| raw.starts_with(it))?;
    let inner = raw.get(mark.len()..raw.len().checked_sub(mark.len())?)?;
    // A new line at once after three quotes is no part of the text.
    let first = ["\r\n", "\n"].into_iter().find(|it| mark.len() == 3 && inner.starts_with(it)).map_or(0, str::len);
    let (mut at, start) = (first, mark.len());
    let (mut read, mut pieces) = (String::with_capacity(text.len()), Vec::<Piece>::new());
    while at < inner.len() {
        let rest = &inner[at..];
        let escape = if mark.starts_with('"') && rest.starts_with('\\') { Some(escaped(rest)?) } else { None };
        let (written, stands_for) = match escape {
            Some(it) => it,
            None => {
                let one = rest.chars().next()?;
                (one.len_utf8(), Some(one))
            }
        };
        let from = start + at..start + at + written;
        at += written;
        let Some(character) = stands_for else { continue };
        let place = read.len()..read.len() + character.len_utf8();
        read.push(character);
        match pieces.last_mut() {
            Some(last) if escape.is_none() && last.plain && last.from.end == from.start => {
                (last.at.end, last.from.end) = (place.end, from.end);
            }
            _ => pieces.push(Piece { at: place, from, plain: escape.is_none() }),
        }
    }
    (read == text).then(|| Places::new(pieces))
}

/// How many bytes the escape at the beginning of `rest` has, and what it stands for: nothing, at the end of a line.
fn escaped(rest: &str) -> Option<(usize, Option<char>)> {
    let code = |digits: usize| {
        let value = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
        Some((2 + digits, Some(char::from_u32(value)?)))
    };
    let one = |it| Some((2, Some(it)));
    match rest[1..].chars().next()? {
        'b' => one('\u{8}'),
        't' => one('\t'),
        'n' => one('\n'),
        'f' => one('\u{c}'),
        'r' => one('\r'),
        'e' => one('\u{1b}'),
        it @ ('"' | '\\') => one(it),
        'x' => code(2),
        'u' => code(4),
        'U' => code(8),
        it if it.is_ascii_whitespace() => {
            Some((rest.len() - rest[1..].trim_start_matches([' ', '\t', '\r', '\n']).len(), None))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_string_is_found_where_it_stands() {
        for raw in [
            r#""select \"a\" || 'é' \u00e9 \\ \t x""#,
            "'select \"a\" \\n'",
            "\"\"\"\nselect \\\n   a,\n\"b\" \\\"c\\\" \\U0001F600 from t\n\"\"\"",
            "'''\r\nselect 'a'\r\nfrom t'''",
            "\"\"",
        ] {
            let parsed: toml::Table = toml::from_str(&format!("x = {raw}")).unwrap();
            let text = parsed["x"].as_str().unwrap();
            let places = places(raw, text).unwrap_or_else(|| panic!("{raw}"));
            for (at, character) in text.char_indices() {
                let written = &raw[places.origin(at).unwrap()];
                assert!(written.starts_with(character) || written.starts_with('\\'), "{raw}: {at}: {written}");
            }
            assert_eq!(places.pieces().iter().map(|it| it.at.len()).sum::<usize>(), text.len(), "{raw}");
        }
        assert_eq!(places("\"a\"", "b"), None);
        assert_eq!(places("a b", "a b"), Some(Places::plain(3, 0)));
    }
}
