//! What a person sees in a terminal.

pub mod diagnostic;
pub mod words;

/// How text may be drawn on one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    pub color: bool,
    pub unicode: bool,
    /// Columns of the terminal, or a fixed number where there is none.
    pub width: usize,
}

impl Style {
    /// No colour, 80 columns: files, pipes and tests.
    pub const PLAIN: Style = Style { color: false, unicode: true, width: 80 };
}
