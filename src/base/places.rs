//! Where each piece of a text comes from in another text: through a template, through the escapes of a string.
//!
//! Knows neither templates nor escapes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A piece of one text and what it comes from, in bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Piece {
    pub at: Range<usize>,
    pub from: Range<usize>,
    /// Letter for letter; otherwise as a whole, as from an escape.
    pub plain: bool,
}

/// The pieces of a text in order, as far as they are known.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Places(Vec<Piece>);

impl Places {
    pub fn new(pieces: Vec<Piece>) -> Places {
        Places(pieces)
    }

    /// Of a text that stands at `from` letter for letter.
    pub fn plain(length: usize, from: usize) -> Places {
        Places(vec![Piece { at: 0..length, from: from..from + length, plain: true }])
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// What byte `at` comes from: that and what follows letter for letter, or all that was replaced there.
    pub fn origin(&self, at: usize) -> Option<Range<usize>> {
        let last = self.0.partition_point(|it| it.at.start <= at).checked_sub(1)?;
        let piece = &self.0[last];
        let is_end = at == piece.at.end && last + 1 == self.0.len();
        match piece.at.contains(&at) || is_end {
            true if piece.plain => Some(piece.from.start + (at - piece.at.start)..piece.from.end),
            true => Some(piece.from.clone()),
            false => None,
        }
    }

    /// What a range comes from, from the first byte of it to the last.
    pub fn origin_of(&self, range: Range<usize>) -> Option<Range<usize>> {
        let start = self.origin(range.start)?.start;
        let Some(last) = range.end.checked_sub(1).filter(|it| *it > range.start) else {
            let whole = self.origin(range.start)?;
            return Some(whole.start..whole.end.min(whole.start + self.length(range.start)));
        };
        let end = self.origin(last)?;
        Some(start..(end.start + self.length(last)).max(start))
    }

    /// How long what byte `at` comes from is.
    fn length(&self, at: usize) -> usize {
        let last = self.0.partition_point(|it| it.at.start <= at).checked_sub(1);
        last.map_or(0, |it| if self.0[it].plain { 1 } else { self.0[it].from.len() })
    }

    /// Where each piece comes from in the text that the other one comes from.
    #[must_use]
    pub fn through(&self, further: &Places) -> Places {
        let mut pieces = Vec::new();
        for piece in &self.0 {
            if !piece.plain {
                let from = further.origin_of(piece.from.clone());
                pieces.extend(from.map(|from| Piece { from, ..piece.clone() }));
                continue;
            }
            for next in &further.0 {
                let (start, end) = (piece.from.start.max(next.at.start), piece.from.end.min(next.at.end));
                if start >= end {
                    continue;
                }
                let at = piece.at.start + (start - piece.from.start)..piece.at.start + (end - piece.from.start);
                let from = match next.plain {
                    true => next.from.start + (start - next.at.start)..next.from.start + (end - next.at.start),
                    false => next.from.clone(),
                };
                pieces.push(Piece { at, from, plain: next.plain });
            }
        }
        Places(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(at: Range<usize>, from: Range<usize>) -> Piece {
        Piece { plain: at.len() == from.len(), at, from }
    }

    #[test]
    fn a_place_is_followed_through_both() {
        // `a"b c` in a file as `a\"b {{x}}`, where the tag became `c`.
        let template = Places::new(vec![piece(0..4, 0..4), piece(4..5, 4..9)]);
        let file = Places::new(vec![piece(0..1, 11..12), piece(1..2, 12..14), piece(2..9, 14..21)]);
        let both = template.through(&file);
        assert_eq!(both.origin(0), Some(11..12));
        assert_eq!(both.origin(1), Some(12..14));
        assert_eq!(both.origin(2), Some(14..16));
        assert_eq!(both.origin(4), Some(16..21));
        assert_eq!(both.origin(5), Some(16..21));
        assert_eq!(both.origin(6), None);
        assert_eq!(file.origin_of(0..2), Some(11..14));
        assert_eq!(file.origin_of(2..4), Some(14..16));
        assert_eq!(file.origin_of(2..3), Some(14..15));
        assert_eq!(Places::plain(3, 7).origin(3), Some(10..10));
    }
}
