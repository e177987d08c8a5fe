//! Content kept in this process: for tests of everything that takes an IO manager.
//!
//! Commands still need paths, so stages and loads lie in a scratch folder that goes with the manager.

use std::{
    collections::{BTreeMap, HashMap},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::fs::Mode;

use crate::{
    base::{digest::Digest, fs, path::ProjectPath},
    exec::io::{
        Capabilities, Content, IoError, IoManager, Loaded, Probed, Reading, Recovered, Staged, Target,
        beneath::{Folder, Swaps},
        fs::measure::{Measured, Measurer, check_shape},
    },
    plan::{
        hash::FileKind,
        record::{AttemptId, StoredOutput},
    },
};

/// Tells scratch folders of one process apart, and what is loaded into them.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The `memory` IO manager.
#[derive(Debug)]
pub struct MemoryManager {
    scratch: PathBuf,
    measurer: Measurer,
    stored: Mutex<HashMap<ProjectPath, Stored>>,
}

#[derive(Clone, Debug)]
struct Stored {
    content: Content,
    /// By path, seen from the thing itself.
    tree: BTreeMap<PathBuf, Node>,
}

#[derive(Clone, Debug)]
enum Node {
    File { bytes: Vec<u8>, executable: bool },
    Folder,
    Link(Vec<u8>),
}

impl MemoryManager {
    /// The scratch folder is made below `.assets` of the project when it is first needed.
    pub fn new(project_root: PathBuf) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let scratch = project_root.join(format!(".assets/tmp/memory-{}-{number}", std::process::id()));
        MemoryManager { measurer: Measurer::new(scratch.clone()), scratch, stored: Mutex::default() }
    }

    fn stored(&self) -> MutexGuard<'_, HashMap<ProjectPath, Stored>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn visible(&self, target: &Target) -> Option<Stored> {
        self.stored().get(&target.path).cloned()
    }

    /// One folder for each attempt and target, so that the staged thing has its own name.
    fn stage_folder(target: &Target, attempt: &AttemptId) -> String {
        format!("stage-{}", Digest::of(&[attempt.0.as_bytes(), b"\0", target.path.as_bytes()].concat()).short())
    }

    fn open(&self, name: &str) -> Result<Option<Folder>, IoError> {
        if fs::look(&self.scratch)?.is_none() {
            return Ok(None);
        }
        Folder::open_root(&self.scratch, Swaps::Allowed)?.open(&ProjectPath::root().join(name))
    }

    fn measure_staged(&self, staged: &Staged) -> Result<Measured, IoError> {
        let missing = || IoError::OutputMissing(staged.target.path.to_string());
        let folder = self.open(&Self::stage_folder(&staged.target, &staged.attempt))?.ok_or_else(missing)?;
        let name = staged.target.path.file_name().ok_or_else(missing)?;
        let found = folder.look(name)?.ok_or_else(missing)?;
        check_shape(&staged.target.path, staged.target.shape, found.kind())?;
        let measured = self.measurer.measure(&folder, name, Reading::Bytes)?.ok_or_else(missing)?;
        Ok(measured)
    }

    fn store(&self, staged: &Staged, measured: &Measured) -> Result<StoredOutput, IoError> {
        let top = measured.parts[0].path.as_path();
        let mut tree = BTreeMap::new();
        for part in &measured.parts {
            let path = part.path.under(&self.scratch);
            let node = match part.signature.kind {
                FileKind::Folder => Node::Folder,
                FileKind::Link => Node::Link(fs::read_link(&path)?.as_os_str().as_bytes().to_vec()),
                FileKind::File | FileKind::Odd => {
                    let executable = part.signature.executable;
                    Node::File { bytes: fs::read(path.as_path())?, executable }
                }
            };
            let inside = part.path.as_path().strip_prefix(top).unwrap_or(top);
            tree.insert(inside.to_owned(), node);
        }
        let content = Content { data_version: measured.data_version, bytes: Some(measured.bytes), rows: None };
        self.stored().insert(staged.target.path.clone(), Stored { content, tree });
        self.discard(staged)?;
        Ok(token_of(&measured.data_version))
    }

    fn write_out(&self, stored: &Stored, to: &Path) -> Result<(), IoError> {
        for (path, node) in &stored.tree {
            let path = if path.as_os_str().is_empty() { to.to_owned() } else { to.join(path) };
            match node {
                Node::Folder => fs::create_folder(&path)?,
                Node::Link(to) => rustix::fs::symlink(std::ffi::OsStr::from_bytes(to), &path)
                    .map_err(|it| other(&path, it.to_string()))?,
                Node::File { bytes, executable } => {
                    fs::write(&path, bytes)?;
                    if *executable {
                        rustix::fs::chmod(&path, Mode::from_raw_mode(0o755))
                            .map_err(|it| other(&path, it.to_string()))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl IoManager for MemoryManager {
    fn capabilities(&self) -> Capabilities {
        Capabilities { files: true, partitions: true, ..Capabilities::default() }
    }

    fn stage(&self, target: &Target, attempt: &AttemptId) -> Result<Staged, IoError> {
        let name = target.path.file_name().ok_or(IoError::NotSupported("an output without a name"))?;
        let folder = self.scratch.join(Self::stage_folder(target, attempt));
        fs::remove(&folder)?;
        fs::create_folder(&folder)?;
        let token = attempt.0.as_bytes().to_vec();
        Ok(Staged { target: target.clone(), attempt: attempt.clone(), path: folder.join(name), token })
    }

    fn inspect(&self, staged: &Staged) -> Result<Content, IoError> {
        let measured = self.measure_staged(staged)?;
        Ok(Content { data_version: measured.data_version, bytes: Some(measured.bytes), rows: None })
    }

    fn current(&self, target: &Target) -> Result<Option<Content>, IoError> {
        Ok(self.visible(target).map(|it| it.content))
    }

    fn publish(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError> {
        let measured = self.measure_staged(staged)?;
        if measured.data_version != content.data_version {
            return Err(IoError::Unstable { path: staged.path.display().to_string() });
        }
        self.store(staged, &measured)
    }

    fn discard(&self, staged: &Staged) -> Result<(), IoError> {
        fs::remove(&self.scratch.join(Self::stage_folder(&staged.target, &staged.attempt))).map_err(IoError::from)
    }

    fn probe(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        Ok(match self.visible(target) {
            None => Probed::Missing,
            Some(it) if token_of(&it.content.data_version) == *stored => Probed::Same,
            Some(_) => Probed::Modified,
        })
    }

    fn adopt(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        let same = self.visible(target).is_some_and(|it| it.content.data_version == *data_version);
        Ok(same.then(|| token_of(data_version)))
    }

    fn recover(&self, target: &Target, token: &[u8], content: &Content) -> Result<Recovered, IoError> {
        let attempt = AttemptId(String::from_utf8_lossy(token).into_owned());
        if let Some(stored) = self.adopt(target, &content.data_version)? {
            return Ok(Recovered::Published(stored));
        }
        let staged = Staged { target: target.clone(), attempt, path: PathBuf::new(), token: token.to_vec() };
        match self.measure_staged(&staged) {
            Ok(it) if it.data_version == content.data_version => self.store(&staged, &it).map(Recovered::Published),
            Ok(_) | Err(IoError::OutputMissing(_) | IoError::WrongKind { .. }) => Ok(Recovered::Lost),
            Err(error) => Err(error),
        }
    }

    fn load(&self, target: &Target) -> Result<Loaded, IoError> {
        let stored = self.visible(target).ok_or_else(|| IoError::NotFound(target.path.to_string()))?;
        let name = target.path.file_name().unwrap_or_default();
        let folder = self.scratch.join(format!("load-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_folder(&folder)?;
        self.write_out(&stored, &folder.join(name))?;
        Ok(Loaded::Path(folder.join(name)))
    }

    fn delete(&self, target: &Target) -> Result<(), IoError> {
        self.stored().remove(&target.path);
        Ok(())
    }
}

impl Drop for MemoryManager {
    fn drop(&mut self) {
        let _ = fs::remove(&self.scratch);
    }
}

fn token_of(data_version: &Digest) -> StoredOutput {
    StoredOutput::Token(data_version.0.to_vec())
}

fn other(path: &Path, cause: String) -> IoError {
    IoError::Other { path: path.display().to_string(), cause }
}
