//! How quantities and foreign text are written for people: short, and safe for a terminal.

use std::{borrow::Cow, fmt::Write};

/// `text` with every character that a terminal could obey, or that reorders text, written out.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for it in text.chars() {
        if is_unsafe(it) {
            let _ = write!(shown, "{}", it.escape_default());
        } else {
            shown.push(it);
        }
    }
    Cow::Owned(shown)
}

fn is_unsafe(it: char) -> bool {
    it.is_control() || matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1 error`, `2 errors`, `1,204 assets`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{} {noun}s", thousands(number as u64)) }
}

/// `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut written = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

/// `text` without its colours.
#[cfg(test)]
pub fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').expect("only colours are used");
        rest = &rest[at + end + 1..];
    }
    plain.push_str(rest);
    plain
}
