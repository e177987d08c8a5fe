//! The selection language: from text ([`parse()`]) to a tree ([`Expr`]) to a set of nodes ([`eval()`]).
//!
//! `reference.md` describes it for people. Knows the project, and nothing of files, git or state:
//! what needs them asks [`Facts`].

mod ast;
mod eval;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;
mod token;

use std::ops::Range;

pub use ast::{Expr, Is, Layers, Place, Test};
pub use eval::{Facts, NoFacts, Selection, eval};
pub use parse::{parse, parse_all};
pub use pattern::matches;

/// The language, for `assets help selection` and the documentation.
pub const REFERENCE: &str = include_str!("reference.md");

/// What is wrong with a selection, or (as a warning) odd about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SelectError {
    /// One sentence, lower case.
    pub message: String,
    /// Which of the texts given, from 0.
    pub argument: usize,
    /// A range of bytes in that text.
    pub at: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl SelectError {
    fn new(message: impl Into<String>, place: &Place, help: impl Into<Option<String>>) -> Self {
        let Place { argument, ref at } = *place;
        SelectError { message: message.into(), argument, at: at.clone(), help: help.into() }
    }
}
