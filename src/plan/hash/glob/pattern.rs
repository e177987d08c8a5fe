//! One pattern, and how far it has come on the way down to a name.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use globset::{GlobBuilder, GlobMatcher};

use crate::{base::path::ProjectPath, model::project::FileSet};

/// One name, or any number of folders, of a pattern.
pub(super) enum Part {
    Name(Box<[u8]>),
    /// `*`
    AnyName,
    Like(GlobMatcher),
    /// `**`; never the last.
    AnyDepth,
}

impl Part {
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Part::Name(it) => **it == *name,
            Part::AnyName => true,
            Part::Like(it) => it.is_match(OsStr::from_bytes(name)),
            Part::AnyDepth => false,
        }
    }
}

/// One pattern, seen from the project's root.
pub(super) struct Rule {
    pub(super) takes_away: bool,
    pub(super) folders_only: bool,
    pub(super) parts: Vec<Part>,
    /// How many parts from the start are plain names.
    pub(super) plain: usize,
}

/// How far each rule has come on the way to a folder: bit `p` is set if the next name may be part `p`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Progress {
    pub(super) next: u64,
    /// A folder on the way was matched: everything below is.
    pub(super) whole: bool,
}

const PARTS_MAX: usize = 63;

impl Rule {
    pub(super) fn parse(set: &FileSet, text: &str) -> Result<Self, String> {
        let (takes_away, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let folders_only = text.ends_with('/');
        let inner = text.trim_end_matches('/');
        if inner.starts_with('/') || (inner.is_empty() && folders_only) {
            return Err("it is absolute; patterns are seen from the folder of their file".to_owned());
        }
        let mut base = set.folder.clone();
        let mut parts = Vec::new();
        for piece in inner.split('/') {
            match piece {
                "" | "." => {}
                ".." if parts.is_empty() => {
                    base = base.parent().ok_or("it leaves the project")?;
                }
                ".." => return Err("`..` can only stand in front".to_owned()),
                "**" if matches!(parts.last(), Some(Part::AnyDepth)) => {}
                "**" => parts.push(Part::AnyDepth),
                "*" => parts.push(Part::AnyName),
                other => parts.push(part(other)?),
            }
        }
        if parts.is_empty() && !text.trim_matches('/').starts_with('.') {
            return Err("it is empty".to_owned());
        }
        if takes_away && !inner.contains('/') && !matches!(parts[..], [] | [Part::AnyDepth]) {
            parts.insert(0, Part::AnyDepth);
        }
        if matches!(parts.last(), Some(Part::AnyDepth)) {
            parts.push(Part::AnyName);
        }
        let above = base.as_path().iter().map(|it| Part::Name(it.as_bytes().into()));
        let parts: Vec<Part> = above.chain(parts).collect();
        if parts.len() > PARTS_MAX {
            return Err(format!("it has more than {PARTS_MAX} parts"));
        }
        let plain = parts.iter().take_while(|it| matches!(it, Part::Name(_))).count();
        Ok(Rule { takes_away, folders_only, parts, plain })
    }

    pub(super) fn is_plain(&self) -> bool {
        self.plain == self.parts.len()
    }

    pub(super) fn start(&self) -> Progress {
        Progress { next: self.closed(1), whole: self.parts.is_empty() }
    }

    /// `**` may also stand for no folder at all.
    pub(super) fn closed(&self, mut next: u64) -> u64 {
        for (index, part) in self.parts.iter().enumerate() {
            if next & (1 << index) != 0 && matches!(part, Part::AnyDepth) {
                next |= 1 << (index + 1);
            }
        }
        next
    }

    pub(super) fn reached(&self, progress: Progress) -> impl Iterator<Item = (usize, &Part)> {
        self.parts.iter().enumerate().filter(move |(index, _)| progress.next & (1 << index) != 0)
    }

    pub(super) fn matches_file(&self, progress: Progress, name: &[u8]) -> bool {
        if progress.whole {
            return true;
        }
        let last = self.parts.len().wrapping_sub(1);
        !self.folders_only
            && last < PARTS_MAX
            && progress.next & (1 << last) != 0
            && self.parts.last().is_some_and(|it| it.matches(name))
    }

    /// Into the folder `name`. `linked`: only where a plain name leads there.
    pub(super) fn enter(&self, progress: Progress, name: &[u8], linked: bool) -> Progress {
        let mut next = 0;
        let mut whole = progress.whole && !linked;
        for (index, part) in self.reached(progress) {
            if linked && index >= self.plain {
                continue;
            }
            if matches!(part, Part::AnyDepth) {
                next |= 1 << index;
            } else if part.matches(name) {
                next |= 1 << (index + 1);
            }
        }
        if next & (1 << self.parts.len()) != 0 {
            whole |= self.takes_away || self.folders_only || self.is_plain();
            next &= !(1 << self.parts.len());
        }
        Progress { next: self.closed(next), whole }
    }
}

/// A name with magic or escapes.
fn part(text: &str) -> Result<Part, String> {
    let mut plain = String::new();
    let mut escaped = String::new();
    let mut magic = false;
    let mut letters = text.chars();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if !in_class => {
                let next = letters.next().ok_or("`\\` at its end")?;
                plain.push(next);
                escaped.extend(['\\', next]);
            }
            '{' | '}' if !in_class => {
                plain.push(letter);
                escaped.extend(['\\', letter]);
            }
            '*' | '?' | '[' | ']' => {
                magic |= letter != ']';
                in_class = letter == '[' || in_class && letter != ']';
                plain.push(letter);
                escaped.push(letter);
            }
            _ => {
                plain.push(letter);
                escaped.push(letter);
            }
        }
    }
    if !magic {
        return Ok(Part::Name(plain.into_bytes().into()));
    }
    let glob = GlobBuilder::new(&escaped).literal_separator(true).backslash_escape(true).build();
    Ok(Part::Like(glob.map_err(|error| error.kind().to_string())?.compile_matcher()))
}

impl Rule {
    /// The path as far as it is plain.
    pub(super) fn plain_path(&self) -> ProjectPath {
        self.parts[..self.plain].iter().fold(ProjectPath::root(), |path, part| match part {
            Part::Name(name) => path.join(OsStr::from_bytes(name)),
            _ => path,
        })
    }
}
