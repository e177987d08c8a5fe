//! How quantities and foreign text are written for people: short, and safe for a terminal.

use std::{borrow::Cow, fmt::Write};

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{base::sabotage::Protection, exec::log::strip_controls, face::ui::Style};

/// `text` on one line: every character that a terminal could obey, or that reorders text, is written out.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |it| it.is_control())
}

/// The same for text of several lines: newlines stay, tabs become blanks.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    match escaped(text, |it| it.is_control() && it != '\n' && it != '\t') {
        Cow::Borrowed(text) if !text.contains('\t') => Cow::Borrowed(text),
        text => Cow::Owned(text.replace('\t', "    ")),
    }
}

/// A line that a command wrote: its colours only where there are colours, and never beyond its end.
pub fn foreign(text: &str, style: Style) -> String {
    let mut shown = said(text, style).replace('\t', "    ");
    // The last colour that was set lasts, unless it is the one that ends colours.
    let last = shown.rfind("\x1b[").and_then(|at| shown[at..].split('m').next());
    if last.is_some_and(|it| it.contains(['1', '2', '3', '4', '5', '6', '7', '8', '9'])) {
        shown.push_str("\x1b[0m");
    }
    shown
}

/// What a command said: nothing in it moves the terminal, and its colours stay where colours are wanted.
pub fn said(text: &str, style: Style) -> String {
    let clean = if Protection::Controls.is_off() { text.to_owned() } else { strip_controls(text) };
    if style.color {
        return clean;
    }
    let mut parts = clean.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // Nothing but colours is left, and they end in this letter.
        plain.push_str(part.split_once('m').map_or("", |it| it.1));
    }
    plain
}

fn escaped(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_unsafe = |it: char| is_unsafe(it) || reorders(it);
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

/// Changes the direction in which what follows is drawn.
fn reorders(it: char) -> bool {
    matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `columns` columns, with a mark where it was cut.
pub fn cut(text: &str, columns: usize, style: Style) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let mark = style.ellipsis();
    let room = columns.saturating_sub(mark.width());
    let mut kept = String::new();
    let mut used = 0;
    for it in text.chars() {
        used += it.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(it);
    }
    if columns >= mark.width() {
        kept.push_str(mark);
    }
    Cow::Owned(kept)
}

/// `text` and blanks up to `columns`.
pub fn pad_right(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// Blanks and `text`, `columns` together.
pub fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(text.width())))
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

/// `34ms`, `0.8s`, `12s`, `2m 05s`, `1h 02m`, `3d 04h`.
pub fn duration(ms: u64) -> String {
    let tenths = (ms + 50) / 100;
    let seconds = (ms + 500) / 1_000;
    let minutes = seconds / 60;
    match seconds {
        _ if ms < 500 => format!("{ms}ms"),
        _ if tenths < 100 => format!("{}.{}s", tenths / 10, tenths % 10),
        _ if seconds < 60 => format!("{seconds}s"),
        0..3_600 => format!("{minutes}m {:02}s", seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", minutes / 60, minutes % 60),
        _ => format!("{}d {:02}h", minutes / 1_440, minutes / 60 % 24),
    }
}

/// `512 B`, `1.2 kB`, `340 MB`.
pub fn size(bytes: u64) -> String {
    scaled(bytes, &[" B", " kB", " MB", " GB", " TB", " PB", " EB"])
}

/// `1 row`, `950 rows`, `1.2M rows`.
pub fn rows(number: u64) -> String {
    if number == 1 {
        "1 row".to_owned()
    } else {
        format!("{} rows", scaled(number, &["", "k", "M", "G", "T", "P", "E"]))
    }
}

/// Below ten with one decimal, else without; units go up by a thousand.
fn scaled(number: u64, units: &[&str]) -> String {
    let (mut value, mut unit) = (number as f64, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 9.95);
    format!("{value:.decimals$}{}", units[unit])
}

/// `just now`, `3 minutes ago`, `2 days ago`; after a month the day itself.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = usize::try_from(now.as_second().saturating_sub(then.as_second())).unwrap_or(0);
    match seconds {
        0..10 => "just now".to_owned(),
        10..60 => format!("{} ago", count(seconds, "second")),
        60..3_600 => format!("{} ago", count(seconds / 60, "minute")),
        3_600..86_400 => format!("{} ago", count(seconds / 3_600, "hour")),
        86_400..2_592_000 => format!("{} ago", count(seconds / 86_400, "day")),
        _ => format!("on {}", then.strftime("%Y-%m-%d")),
    }
}

/// Nothing to do, in one obvious line.
pub fn all_fresh(assets: usize) -> String {
    match assets {
        0 => "There are no assets here.".to_owned(),
        1 => "1 asset is fresh.".to_owned(),
        many => format!("All {} assets are fresh.", thousands(many as u64)),
    }
}

/// `text` with a rule before each line, so that a test's indentation and the text's are told apart.
#[cfg(test)]
pub fn ruled(text: &str) -> String {
    text.lines().map(|it| format!("|{it}\n")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short() {
        let durations =
            [0, 34, 340, 499, 500, 812, 9_949, 9_950, 59_499, 59_500, 125_000, 3_599_499, 3_599_500, 90_000_000];
        assert_eq!(
            durations.map(duration),
            [
                "0ms", "34ms", "340ms", "499ms", "0.5s", "0.8s", "9.9s", "10s", "59s", "1m 00s", "2m 05s", "59m 59s",
                "1h 00m", "1d 01h"
            ]
        );
        let sizes = [0, 999, 1_000, 1_234, 9_949, 9_950, 12_345, 999_499, 999_500, 1_250_000, u64::MAX];
        assert_eq!(
            sizes.map(size),
            ["0 B", "999 B", "1.0 kB", "1.2 kB", "9.9 kB", "10 kB", "12 kB", "999 kB", "1.0 MB", "1.2 MB", "18 EB"]
        );
        assert_eq!([1, 2, 1_200_000].map(rows), ["1 row", "2 rows", "1.2M rows"]);
        assert_eq!([1, 12, 1_234, 1_234_567].map(thousands), ["1", "12", "1,234", "1,234,567"]);
    }

    #[test]
    fn times_are_told_from_now() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let told = |text: &str| ago(text.parse().unwrap(), now);
        assert_eq!(told("2026-11-20T12:00:30Z"), "just now");
        assert_eq!(told("2026-11-20T11:59:30Z"), "30 seconds ago");
        assert_eq!(told("2026-11-20T11:58:59Z"), "1 minute ago");
        assert_eq!(told("2026-11-18T11:00:00Z"), "2 days ago");
        assert_eq!(told("2026-01-02T11:00:00Z"), "on 2026-01-02");
    }

    #[test]
    fn text_is_cut_by_what_is_seen() {
        let ascii = Style { unicode: false, ..Style::PLAIN };
        assert_eq!(cut("orders", 6, Style::PLAIN), "orders");
        assert_eq!(cut("orders", 5, Style::PLAIN), "orde…");
        assert_eq!(cut("orders", 5, ascii), "or...");
        assert_eq!(cut("注文一覧", 5, Style::PLAIN), "注文…");
        assert_eq!(cut("orders", 2, ascii), "");
        assert_eq!(pad_right("注文", 6), "注文  ");
    }

    #[test]
    fn foreign_text_cannot_command_the_terminal() {
        assert_eq!(visible("a\x1b[2J\tb\u{202e}c"), "a\\u{1b}[2J\\tb\\u{202e}c");
        assert_eq!(visible_lines("a\tb\nc\r"), "a    b\nc\\r");
        assert_eq!(visible("Ürün"), "Ürün");
    }

    #[test]
    fn a_commands_colours_are_shown_where_there_are_colours() {
        let colored = Style { color: true, ..Style::PLAIN };
        let text = "a \x1b[1;31mred\x1b[m\x1b[2J\x1b[31";
        assert_eq!(foreign(text, Style::PLAIN), "a red");
        assert_eq!(foreign(text, colored), "a \x1b[1;31mred\x1b[m");
        assert_eq!(foreign("\x1b[31mred", colored), "\x1b[31mred\x1b[0m");
        assert_eq!(foreign("plain", colored), "plain");
    }
}
