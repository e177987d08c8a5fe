//! Copies of objects on this machine: commands read files.
//!
//! `.assets/cache/objects/<digest>/<name>`, where the digest is of the objects themselves: where they lie, and
//! what tells them from others that were put in their place. So no two outputs ever share a copy, however equal
//! they are. Nothing is trusted by its name: what is given out was read in full before. And nothing is removed
//! here, for a command may be reading it: a copy that a command wrote to is passed over and another one made
//! beside it; `gc` removes them. Beside the copies lie the pointers as they were seen last, so that a question
//! which may ask nobody can guess what is kept.

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

    /// The copy of certain objects, if there is one that still has this version.
    pub fn find(
        &self,
        objects: &Digest,
        version: &Digest,
        (name, reading): (&str, Reading),
    ) -> Result<Option<PathBuf>, IoError> {
        for number in 0.. {
            let folder = copy_folder(objects, number);
            let Some(measured) = self.measure(&folder, name, reading)? else { break };
            if measured.data_version == *version {
                return Ok(Some(folder.join(name).under(&self.root)));
            }
        }
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

    /// Takes a folder that holds a version, and nothing else, for a copy of certain objects: where it lies then.
    pub fn take(
        &self,
        folder: &ProjectPath,
        objects: &Digest,
        version: &Digest,
        (name, reading): (&str, Reading),
    ) -> Result<PathBuf, IoError> {
        let mut number = 0;
        loop {
            let to = copy_folder(objects, number);
            if let Some(parent) = to.parent() {
                fs::create_folder(&parent.under(&self.root))?;
            }
            let moved = fs::rename(&folder.under(&self.root), &to.under(&self.root));
            if moved.is_ok() {
                return Ok(to.join(name).under(&self.root));
            }
            match self.measure(&to, name, reading)? {
                // Somebody else was first.
                Some(theirs) if theirs.data_version == *version => {
                    fs::remove(&folder.under(&self.root))?;
                    return Ok(to.join(name).under(&self.root));
                }
                // It was no copy that was in the way.
                None => moved?,
                Some(_) => number += 1,
            }
        }
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

/// Where a copy of certain objects lies; `number` counts those that commands wrote to.
fn copy_folder(objects: &Digest, number: u32) -> ProjectPath {
    let name = objects.hex();
    copies::objects().join(if number == 0 { name } else { format!("{name}-{number}") })
}
