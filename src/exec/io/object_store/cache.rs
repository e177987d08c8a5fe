//! Copies of objects on this machine: commands read files.
//!
//! `.assets/cache/objects/<digest>/<name>`. Everything here may be deleted at any time, and nothing is trusted
//! by its name: what is given out was read in full before. Beside the copies lie the pointers as they were
//! seen last, so that a question which may ask nobody can guess what is kept.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    base::{digest::Digest, fs, path::ProjectPath},
    exec::{
        copies,
        io::{
            IoError, Reading,
            beneath::{Folder, Swaps},
            fs::measure::{Measured, Measurer},
        },
    },
};

/// Tells partial downloads of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);
const PARTIAL: &str = "partial-";

/// The copies of one project.
pub struct Cache {
    root: PathBuf,
    measurer: Measurer,
}

impl Cache {
    pub fn new(project_root: PathBuf) -> Self {
        Cache { measurer: Measurer::new(project_root.clone()), root: project_root }
    }

    /// Reads in full what is at a name in a folder of the project.
    pub fn measure(&self, folder: &ProjectPath, name: &str, reading: Reading) -> Result<Option<Measured>, IoError> {
        match Folder::open_root(&self.root, Swaps::Allowed)?.open(folder)? {
            Some(folder) => self.measurer.measure(&folder, name.as_ref(), reading),
            None => Ok(None),
        }
    }

    /// The copy of a version, if it is one.
    pub fn find(&self, version: &Digest, name: &str, reading: Reading) -> Result<Option<PathBuf>, IoError> {
        let folder = copies::objects().join(version.hex());
        let measured = self.measure(&folder, name, reading)?;
        if measured.is_some_and(|it| it.data_version == *version) {
            return Ok(Some(folder.join(name).under(&self.root)));
        }
        // A command may have written to what it was given to read.
        fs::remove(&folder.under(&self.root))?;
        Ok(None)
    }

    /// A new empty folder of the project, to download into.
    pub fn partial(&self) -> Result<ProjectPath, IoError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = copies::objects().join(format!("{PARTIAL}{}-{number}", std::process::id()));
        fs::remove(&folder.under(&self.root))?;
        fs::create_folder(&folder.under(&self.root))?;
        Ok(folder)
    }

    /// Takes a folder that holds a version, and nothing else, for the copy of it.
    pub fn take(&self, folder: &ProjectPath, version: &Digest) -> Result<(), IoError> {
        let to = copies::objects().join(version.hex()).under(&self.root);
        if let Some(parent) = to.parent() {
            fs::create_folder(parent)?;
        }
        if fs::rename(&folder.under(&self.root), &to).is_err() {
            // Somebody else was first; theirs is read before it is given out.
            fs::remove(&folder.under(&self.root))?;
        }
        Ok(())
    }

    /// Remembers what was seen at a place. Only a guess depends on it.
    pub fn note(&self, place: &str, bytes: &[u8]) {
        let path = self.note_path(place);
        if !matches!(fs::read_if_there(&path), Ok(Some(old)) if old == bytes) {
            let _ = path.parent().map(fs::create_folder);
            let _ = fs::write_atomic(&path, bytes);
        }
    }

    pub fn noted(&self, place: &str) -> Option<Vec<u8>> {
        fs::read_if_there(&self.note_path(place)).ok()?
    }

    fn note_path(&self, place: &str) -> PathBuf {
        copies::objects().join(format!("{}.json", Digest::of(place.as_bytes()).short())).under(&self.root)
    }
}
