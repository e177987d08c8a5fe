//! The keys of dynamic partitions: one file for each definition, a key a line, sorted, replaced whole.
//!
//! Knows nothing of locks: whoever changes a list holds one.

use std::path::{Path, PathBuf};

use crate::{
    base::fs::{self, FsError},
    model::partition::Names,
};

/// The lists of one state folder.
#[derive(Clone, Debug)]
pub struct DynamicKeys {
    folder: PathBuf,
}

impl DynamicKeys {
    pub fn new(state: &Path) -> DynamicKeys {
        DynamicKeys { folder: state.join("partitions") }
    }

    /// The keys of a definition; none if none was ever added.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&self, name: &str) -> Result<Names, FsError> {
        let bytes = fs::read_if_there(&self.folder.join(name))?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        Ok(Names::sorted(text.lines().filter(|it| !it.is_empty()).map(Into::into)))
    }

    /// Replaces the list.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, name: &str, keys: &Names) -> Result<(), FsError> {
        fs::create_folder(&self.folder)?;
        let text: String = keys.iter().flat_map(|it| [it, "\n"]).collect();
        fs::write_atomic(&self.folder.join(name), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let keys = DynamicKeys::new(folder.path());
        assert!(keys.read("customer").unwrap().is_empty());
        keys.write("customer", &Names::sorted(["b", "a", "b"].map(Into::into))).unwrap();
        assert_eq!(keys.read("customer").unwrap().iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
