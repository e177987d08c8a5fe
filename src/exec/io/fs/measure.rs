//! Reading what is stored or staged in full: its data version, and what each part of it was.
//!
//! Nothing that could change its meaning by being moved is content: a folder may not hold FIFOs,
//! sockets or devices, nor links that are absolute or lead out of it.
//!
//! Files are hashed by path, as everywhere; what was hashed must be what the open folder holds under
//! that name, so a link that diverts the path meanwhile is found out.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

use super::canonical;
use crate::{
    base::{digest::Digest, fs, path::ProjectPath},
    exec::{
        io::{
            IoError, Reading,
            beneath::{Folder, Found},
        },
        table::{TableError, digest::TableDigest, read},
    },
    model::{format::TableFormat, project::Shape},
    plan::{
        hash::{FileCache, FileFact, FileKind, Signature, Sweep, TreeError, UNSTEADY},
        record::TrackedFile,
    },
};

/// A file, link or folder, read in full.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    pub data_version: Digest,
    /// Of all files together.
    pub bytes: u64,
    /// If it was read as a table.
    pub rows: Option<u64>,
    /// The thing itself first; of a folder, then everything in it.
    pub parts: Vec<TrackedFile>,
}

impl Measured {
    pub fn kind(&self) -> FileKind {
        self.parts[0].signature.kind
    }

    /// Whether what was found is still what was read.
    pub fn is_still(&self, found: Found) -> bool {
        // A device number may be left out of what is recorded.
        Signature { dev: 0, ..found.signature } == Signature { dev: 0, ..self.parts[0].signature }
    }
}

/// Measures below one folder. Nothing is opened before it is needed.
pub struct Measurer {
    root: PathBuf,
    sweep: OnceLock<Sweep>,
}

impl Measurer {
    pub fn new(root: PathBuf) -> Self {
        Measurer { root, sweep: OnceLock::new() }
    }

    fn sweep(&self) -> Result<&Sweep, IoError> {
        if let Some(sweep) = self.sweep.get() {
            return Ok(sweep);
        }
        let sweep = Sweep::new(&self.root, FileCache::default())
            .map_err(|it| IoError::Other { path: it.path.display().to_string(), cause: it.source.to_string() })?;
        Ok(self.sweep.get_or_init(|| sweep))
    }

    /// What is at the name in an open folder below the root; `None` if nothing is.
    pub fn measure(&self, folder: &Folder, name: &OsStr, reading: Reading) -> Result<Option<Measured>, IoError> {
        let Some(found) = folder.look(name)? else { return Ok(None) };
        let path = folder.path().join(name);
        let measured = match found.kind() {
            FileKind::Folder => self.measure_folder(folder, name, &path, reading)?,
            FileKind::File => match reading {
                Reading::Bytes => self.measure_file(&path)?,
                Reading::Rows(format) => self.measure_table(&path, format)?,
                Reading::Sequence(format) => self.measure_sequence(&path, format)?,
                Reading::Json => self.measure_json(&path)?,
                Reading::Unread => self.unread(&path)?,
            },
            kind @ (FileKind::Link | FileKind::Odd) => {
                return Err(IoError::WrongKind {
                    path: path.to_string(),
                    expected: "a file or folder",
                    found: kind_name(kind),
                });
            }
        };
        match folder.look(name)? {
            Some(now) if measured.is_still(now) => Ok(Some(measured)),
            _ => Err(IoError::Unstable { path: path.to_string() }),
        }
    }

    fn measure_file(&self, path: &ProjectPath) -> Result<Measured, IoError> {
        let sweep = self.sweep()?;
        let fact = sweep.look_at(path);
        // Staged places are never asked for twice; remembering them would only take memory.
        sweep.forget(path);
        match fact {
            FileFact::Present { signature, digest, racy } => {
                let part = TrackedFile { path: path.clone(), signature, digest, racy };
                Ok(Measured { data_version: digest, bytes: signature.size, rows: None, parts: vec![part] })
            }
            FileFact::Unreadable(why) => Err(unreadable(path, why)),
            FileFact::Missing | FileFact::Odd => Err(IoError::Unstable { path: path.to_string() }),
        }
    }

    /// Its bytes tell whether it is still what it was, its rows what it is.
    fn measure_table(&self, path: &ProjectPath, format: TableFormat) -> Result<Measured, IoError> {
        let measured = self.measure_file(path)?;
        let rows = read::open(&[path.under(&self.root)], format);
        let version = rows.and_then(TableDigest::of).map_err(|it| unreadable(path, it.to_string()))?;
        Ok(Measured { data_version: version.digest, rows: Some(version.rows), ..measured })
    }

    fn measure_sequence(&self, path: &ProjectPath, format: TableFormat) -> Result<Measured, IoError> {
        let measured = self.measure_file(path)?;
        let counted = read::open(&[path.under(&self.root)], format).and_then(|batches| {
            batches.into_iter().try_fold(0, |count, it| Ok(count + it.map_err(TableError::new)?.num_rows()))
        });
        let rows = counted.map_err(|it| unreadable(path, it.to_string()))?;
        Ok(Measured { rows: u64::try_from(rows).ok(), ..measured })
    }

    fn measure_json(&self, path: &ProjectPath) -> Result<Measured, IoError> {
        let measured = self.measure_file(path)?;
        let bytes = fs::read(&path.under(&self.root)).map_err(|it| unreadable(path, it.to_string()))?;
        let digest = canonical::json(&bytes).map_err(|it| unreadable(path, format!("it is not JSON: {it}")))?;
        Ok(Measured { data_version: digest, ..measured })
    }

    fn unread(&self, path: &ProjectPath) -> Result<Measured, IoError> {
        let tree = self.sweep()?.unread(path).map_err(|it| unreadable(path, it.to_string()))?;
        Ok(Measured { data_version: tree.digest, bytes: tree.bytes(), rows: None, parts: tree.entries })
    }

    fn measure_folder(
        &self,
        parent: &Folder,
        name: &OsStr,
        path: &ProjectPath,
        reading: Reading,
    ) -> Result<Measured, IoError> {
        let sweep = self.sweep()?;
        let tree = if reading == Reading::Unread { sweep.unread(path) } else { sweep.tree(path) };
        let tree = tree.map_err(|error| match error {
            TreeError::Missing(at) => IoError::Unstable { path: at.to_string() },
            TreeError::Odd(at) => IoError::WrongKind {
                path: at.to_string(),
                expected: "a file, folder or link",
                found: kind_name(FileKind::Odd),
            },
            TreeError::Unreadable(at, why) => unreadable(&at, why),
        })?;
        let mut top = None;
        for entry in &tree.entries {
            sweep.forget(&entry.path);
            if entry.signature.kind == FileKind::Link {
                if top.is_none() {
                    top = Some(parent.open_child(name)?);
                }
                if let Some(top) = &top {
                    check_link(top, &below(&entry.path, path))?;
                }
            }
        }
        Ok(Measured { data_version: tree.digest, bytes: tree.bytes(), rows: None, parts: tree.entries })
    }

    /// The parts as they are recorded now that the thing itself was renamed to `path`.
    pub fn renamed(&self, measured: &Measured, path: &ProjectPath) -> Result<Vec<TrackedFile>, IoError> {
        let renamed = self.sweep()?.renamed(&measured.parts, &measured.parts[0].path, path);
        renamed.ok_or_else(|| IoError::Unstable { path: path.to_string() })
    }

    /// Whether everything is what was recorded; only what a signature does not prove is read.
    pub fn holds(&self, recorded: &[TrackedFile]) -> Result<bool, IoError> {
        Ok(!recorded.is_empty() && self.sweep()?.verify(recorded).changed.is_empty())
    }
}

impl std::fmt::Debug for Measurer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Measurer").field(&self.root).finish()
    }
}

/// `path` as seen from the folder `from`, below which it is.
fn below(path: &ProjectPath, from: &ProjectPath) -> ProjectPath {
    let rest = path.as_path().strip_prefix(from.as_path()).unwrap_or(path.as_path());
    ProjectPath::resolve(&ProjectPath::root(), rest).expect("a part of a path that does not climb")
}

fn unreadable(path: &ProjectPath, why: String) -> IoError {
    let path = path.to_string();
    if why == UNSTEADY { IoError::Unstable { path } } else { IoError::Other { path, cause: why } }
}

/// A link in a folder must lead to a place in the same folder, as a relative path: else it would
/// dangle or mean something else once the folder is published, moved or copied.
fn check_link(top: &Folder, link: &ProjectPath) -> Result<(), IoError> {
    let parent = link.parent().unwrap_or_default();
    let unsteady = || IoError::Unstable { path: top.path().join(link.as_path()).to_string() };
    let folder = top.open(&parent)?.ok_or_else(unsteady)?;
    let name = link.file_name().ok_or_else(unsteady)?;
    let target = folder.read_link(name)?;
    let mut depth = parent.as_path().components().count();
    // Above a name that may itself be a link, `..` means what that link makes of it: not told here.
    let mut went_down = false;
    for part in Path::new(OsStr::from_bytes(&target)).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => went_down = true,
            Component::ParentDir if depth > 0 && !went_down => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(IoError::Other {
                    path: folder.path().join(name).to_string(),
                    cause: "is a link that leaves the output folder; only relative links within it are content"
                        .to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Refuses what is not of the declared shape. A link is not a file: what it leads to is not stored.
pub fn check_shape(path: &ProjectPath, shape: Shape, kind: FileKind) -> Result<(), IoError> {
    let (wanted, expected) = match shape {
        Shape::File => (FileKind::File, "a file"),
        Shape::Folder => (FileKind::Folder, "a folder"),
    };
    if kind == wanted {
        return Ok(());
    }
    Err(IoError::WrongKind { path: path.to_string(), expected, found: kind_name(kind) })
}

pub fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "a file",
        FileKind::Folder => "a folder",
        FileKind::Link => "a link",
        FileKind::Odd => "a FIFO, socket or device",
    }
}
