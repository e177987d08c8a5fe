//! Paths below the project's root. The root itself is always passed in beside them.
//!
//! Knows nothing of what exists: everything here is text (bytes) work.

use std::{
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// A relative, normalised path below the project's root: no `.`, `..`, root, empty part or NUL.
/// The root itself is the empty path. Bytes end to end; names need not be UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProjectPath(PathBuf);

/// Why a text is not a path below the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    #[error("the path is absolute")]
    Absolute,
    #[error("the path leaves the project")]
    Escapes,
    #[error("the path holds a NUL byte")]
    Nul,
}

impl ProjectPath {
    pub fn root() -> Self {
        ProjectPath(PathBuf::new())
    }

    /// Normalises `text` as seen from the folder `base`; `..` may climb, but not above the root.
    pub fn resolve(base: &ProjectPath, text: impl AsRef<OsStr>) -> Result<Self, BadPath> {
        let text = text.as_ref();
        if text.as_bytes().contains(&0) {
            return Err(BadPath::Nul);
        }
        let mut path = base.0.clone();
        for part in Path::new(text).components() {
            match part {
                Component::Prefix(_) | Component::RootDir => return Err(BadPath::Absolute),
                Component::CurDir => {}
                Component::ParentDir => {
                    if !path.pop() {
                        return Err(BadPath::Escapes);
                    }
                }
                Component::Normal(name) => path.push(name),
            }
        }
        Ok(ProjectPath(path))
    }

    /// A path that was normalised before, as [`ProjectPath::as_bytes`] gave it; `None` if it was not.
    pub fn from_normal(bytes: &[u8]) -> Option<Self> {
        let plain = |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0);
        let normal = bytes.is_empty() || bytes.split(|it| *it == b'/').all(plain);
        normal.then(|| ProjectPath(PathBuf::from(OsStr::from_bytes(bytes))))
    }

    pub fn as_path(&self) -> &Path {
        &self.0
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_os_str().as_bytes()
    }

    pub fn is_root(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    /// The path on disk, given the project's root.
    pub fn under(&self, root: &Path) -> PathBuf {
        if self.is_root() { root.to_owned() } else { root.join(&self.0) }
    }

    /// One name further down. `name` is one plain component, as a folder listing gives it.
    pub fn join(&self, name: impl AsRef<OsStr>) -> Self {
        ProjectPath(self.0.join(name.as_ref()))
    }

    pub fn parent(&self) -> Option<ProjectPath> {
        if self.is_root() { None } else { Some(ProjectPath(self.0.parent()?.to_owned())) }
    }

    pub fn file_name(&self) -> Option<&OsStr> {
        self.0.file_name()
    }

    /// Whether `self` is `other` or lies below it.
    pub fn is_within(&self, other: &ProjectPath) -> bool {
        self.0.starts_with(&other.0)
    }

    /// What a case-insensitive file system would take this for.
    pub fn folded(&self) -> String {
        self.0.to_string_lossy().to_lowercase()
    }
}

impl fmt::Display for ProjectPath {
    /// Bytes that are not UTF-8, and control characters, are shown escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        match self.0.to_str() {
            Some(text) if !text.chars().any(char::is_control) => f.write_str(text),
            _ => write!(f, "{}", self.as_bytes().escape_ascii()),
        }
    }
}

impl fmt::Debug for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        let base = ProjectPath::resolve(&ProjectPath::root(), "a/./b").unwrap();
        assert_eq!(base.to_string(), "a/b");
        assert_eq!(ProjectPath::resolve(&base, "../c//d").unwrap().to_string(), "a/c/d");
        assert!(ProjectPath::resolve(&base, "../..").unwrap().is_root());
        assert_eq!(ProjectPath::resolve(&base, "../../.."), Err(BadPath::Escapes));
        assert_eq!(ProjectPath::resolve(&base, "/etc"), Err(BadPath::Absolute));
        assert_eq!(ProjectPath::resolve(&base, "x\0y"), Err(BadPath::Nul));
        assert_eq!(ProjectPath::from_normal(b"a/b"), Some(base.clone()));
        assert!(ProjectPath::from_normal(b"").unwrap().is_root());
        for odd in ["/", "/a", "a/", "a//b", "./a", "a/..", "x\0y"] {
            assert_eq!(ProjectPath::from_normal(odd.as_bytes()), None, "{odd:?}");
        }
        assert_eq!(base.join(OsStr::from_bytes(b"\xff\n")).to_string(), r"a/b/\xff\n");
    }
}
