//! Gathers mistakes: all of them, but never so many that telling them becomes the problem.

use std::cell::Cell;

use crate::base::{
    diagnostic::{Diagnostic, Severity},
    suggest,
};

use super::code;

/// What has been found wrong so far.
#[derive(Default)]
pub struct Report {
    found: Vec<Diagnostic>,
    /// Beyond [`KEPT_MAX`], only counted.
    dropped: usize,
    errors: usize,
    /// Names compared for suggestions so far.
    compared: Cell<usize>,
}

/// Kept while gathering: sorting by place comes later, so more than are shown.
const KEPT_MAX: usize = 10_000;
/// Told in the end.
const SHOWN_MAX: usize = 100;
/// A mistake in every one of 100,000 assets must not cost a comparison with every other.
const COMPARED_MAX: usize = 1_000_000;
/// Longer names are not typed by hand.
const NAME_MAX: usize = 100;

impl Report {
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        shorten(&mut diagnostic.message);
        shorten(&mut diagnostic.label);
        diagnostic.help.iter_mut().for_each(shorten);
        diagnostic.others.iter_mut().for_each(|it| shorten(&mut it.1));
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if self.found.len() < KEPT_MAX { self.found.push(diagnostic) } else { self.dropped += 1 }
    }

    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The candidate that was probably meant, as long as looking for it is cheap.
    pub fn nearest<'a>(&self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let length = name.chars().count();
        if length > NAME_MAX {
            return None;
        }
        let most = (length / 3).max(1);
        let near = candidates.into_iter().filter(|it| {
            self.compared.set(self.compared.get() + 1);
            // One letter of two is another name, not a slip.
            if length < 3 {
                return it.eq_ignore_ascii_case(name);
            }
            self.compared.get() <= COMPARED_MAX && it.len().abs_diff(name.len()) <= 4 * most && it.len() <= 4 * NAME_MAX
        });
        suggest::nearest(name, near)
    }

    /// "did you mean `x`?", if something is near, and else what there is, if that is little.
    pub fn meant<'a>(&self, name: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
        if let Some(near) = self.nearest(name, candidates.clone()) {
            return Some(format!("did you mean `{near}`?"));
        }
        let all: Vec<&str> = candidates.into_iter().take(LISTED_MAX + 1).collect();
        match all.len() {
            0 => None,
            1..=LISTED_MAX => Some(format!("there is `{}`", all.join("`, `"))),
            _ => None,
        }
    }

    /// Everything found, by file and place; of several mistakes of one kind at one place, the first.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        let key = |it: &Diagnostic| it.place.map(|at| (at.file, at.start, at.end));
        self.found.sort_by_key(|it| (key(it), it.code));
        self.found.dedup_by(|b, a| b == a || a.place.is_some() && (a.place, a.code) == (b.place, b.code));
        let hidden = self.found.len().saturating_sub(SHOWN_MAX) + self.dropped;
        self.found.truncate(SHOWN_MAX);
        if hidden > 0 {
            self.found.push(
                Diagnostic::error(code::TOO_MANY, format!("{hidden} more mistakes are not shown"))
                    .help("mend the first ones, then look again"),
            );
        }
        self.found
    }
}

/// A text with a name of megabytes in it; what is cut out is in the middle.
const TEXT_BYTES_MAX: usize = 1000;

fn shorten(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        let (head, tail) = (text.floor_char_boundary(600), text.ceil_char_boundary(text.len() - 300));
        text.replace_range(head..tail, " ... ");
    }
}

/// More names than this are not listed in a help.
const LISTED_MAX: usize = 8;
