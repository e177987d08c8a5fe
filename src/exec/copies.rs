//! Copies of content that lie on this machine only so that commands find files: rows that a database keeps, in
//! the form that a step wants them in, and objects of a store.
//!
//! Everything below `.assets/cache` may be deleted whenever no run is alive. Rows are copied for one step alone:
//! what a command does to its copy no other command sees.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    base::{
        fs::{self, FsError},
        path::ProjectPath,
    },
    exec::{
        io::{
            IoError, Loaded,
            beneath::{Folder, Swaps},
        },
        table::{Rows, TableError, write::write_all},
    },
    model::format::TableFormat,
};

/// Tells the copies of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Where whole objects lie, by version.
pub fn objects() -> ProjectPath {
    ProjectPath::root().join(".assets").join("cache").join("objects")
}

fn rows() -> ProjectPath {
    ProjectPath::root().join(".assets").join("cache").join("rows")
}

/// The copies of one step; they go with it.
pub struct Copies {
    folder: PathBuf,
    used: bool,
}

impl Copies {
    /// None yet, and nothing on the disk.
    pub fn none(project_root: &Path) -> Copies {
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Copies { folder: rows().join(name).under(project_root), used: false }
    }

    /// A file with the content of the asset `key`: where it lies, or a copy of its rows as csv.
    ///
    /// # Errors
    /// Rows that cannot be read, a place that cannot be written to.
    pub fn file(&mut self, key: &str, loaded: Loaded) -> Result<PathBuf, TableError> {
        match loaded {
            Loaded::Path(path) => Ok(path),
            Loaded::Rows(rows) => self.of_rows(key, rows, TableFormat::Csv),
        }
    }

    /// A file with the rows of the asset `key`.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn of_rows(&mut self, key: &str, rows: Rows, form: TableFormat) -> Result<PathBuf, TableError> {
        self.begin().map_err(TableError::new)?;
        let path = self.folder.join(format!("{}.{}", key.replace('/', "_"), form.name()));
        write_all(rows, &path, form)?;
        Ok(path)
    }
}

impl Copies {
    /// A new folder for links to the partitions of the asset or source `key`.
    ///
    /// # Errors
    /// A place that cannot be written to.
    pub fn of_partitions(&mut self, key: &str) -> Result<PathBuf, FsError> {
        self.begin()?;
        let folder = self.folder.join(key.replace('/', "_"));
        fs::create_folder(&folder)?;
        Ok(folder)
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.used
    }

    fn begin(&mut self) -> Result<(), FsError> {
        if !self.used {
            // A process that had this number may have been killed.
            fs::remove(&self.folder)?;
            fs::create_folder(&self.folder)?;
            self.used = true;
        }
        Ok(())
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if self.used {
            // What stays is found by `gc`.
            let _ = fs::remove(&self.folder);
        }
    }
}

/// Removes copies that were made before `before_ns` (since 1970): how many there are, and their bytes. With
/// `dry_run` they are only counted.
///
/// # Errors
/// A folder that cannot be read or written.
pub fn trim(project_root: &Path, before_ns: i64, dry_run: bool) -> Result<(usize, u64), IoError> {
    let root = Folder::open_root(project_root, Swaps::Allowed)?;
    let (mut count, mut bytes) = (0, 0);
    for copies in [objects(), rows()] {
        let Some(folder) = root.open(&copies)? else { continue };
        for name in folder.list()? {
            let old = folder.look(&name)?.is_some_and(|it| it.signature.ctime_ns < before_ns);
            if old {
                count += 1;
                bytes += fs::bytes_of(&copies.join(&name).under(project_root));
                if !dry_run {
                    folder.remove(&name)?;
                }
            }
        }
    }
    Ok((count, bytes))
}
