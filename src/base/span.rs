//! Places in the text of files that were read, for errors raised much later.

use std::{path::Path, sync::Arc};

use crate::{base::id::IdVec, typed_id};

typed_id! {
    /// A file whose text is kept in a [`SourceMap`].
    FileId
}

/// A range of bytes in one file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(file: FileId, range: std::ops::Range<usize>) -> Self {
        let bound = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { file, start: bound(range.start), end: bound(range.end) }
    }

    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One text that spans point into. `path` is what a person is shown.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub path: Arc<Path>,
    pub text: Arc<str>,
}

/// Every text that was read, by id.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: IdVec<FileId, SourceFile>,
}

impl SourceMap {
    pub fn add(&mut self, path: impl AsRef<Path>, text: impl Into<Arc<str>>) -> FileId {
        self.files.push(SourceFile { path: path.as_ref().into(), text: text.into() })
    }

    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id]
    }

    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter()
    }

    /// Line and column of the start of `span`, both from 1; the column counts characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = &*self.files[span.file].text;
        let mut at = (span.start as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        (before.bytes().filter(|it| *it == b'\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}
