//! Files and folders below the project: written beside their place, published by rename.
//!
//! Invariants kept here: what is visible is one complete version (I2), because it only ever changes
//! by one rename; nothing older goes before what is newer is visible (I4), because it is removed or
//! kept afterwards. What is opened is opened from the project's folder down (see `beneath`).

mod canonical;
pub(super) mod measure;
pub mod names;
mod publish;
mod sweep;

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    base::{digest::Digest, path::ProjectPath, sabotage::Protection},
    exec::io::{
        Capabilities, Content, IoError, IoManager, Loaded, Probed, Recovered, Staged, Target,
        beneath::{Folder, Found, Swaps},
        keep::{Kept, Limits},
    },
    plan::{
        hash::FileKind,
        record::{AttemptId, StoredOutput},
    },
};
use measure::{Measured, Measurer, check_shape, kind_name};
use names::Token;
pub use sweep::{Swept, find_leftovers, sweep_leftovers};

/// The `fs` IO manager.
#[derive(Debug)]
pub struct FsManager {
    project_root: PathBuf,
    root: ProjectPath,
    /// What `inspect` read, so that `publish` need not read it again.
    inspected: Mutex<HashMap<(AttemptId, ProjectPath), Measured>>,
    measurer: Measurer,
    kept: Kept,
    swaps: Swaps,
    /// Content is on the disk before it is published, and its name before that is recorded.
    durable: bool,
}

/// Where a target lies: an open folder and a name in it.
#[derive(Debug)]
struct Place {
    folder: Folder,
    name: OsString,
    /// Below the project.
    path: ProjectPath,
}

impl Place {
    fn look(&self) -> Result<Option<Found>, IoError> {
        self.folder.look(&self.name)
    }
}

impl FsManager {
    /// `root` is a folder of the project; it is made when something is first staged.
    pub fn new(project_root: PathBuf, root: ProjectPath) -> Self {
        FsManager::with(project_root, root, Limits::default(), Swaps::Allowed)
    }

    /// With other bounds on what is kept, or as on a file system that cannot swap two names.
    pub fn with(project_root: PathBuf, root: ProjectPath, limits: Limits, swaps: Swaps) -> Self {
        let kept = Kept::with_limits(project_root.clone(), limits);
        let measurer = Measurer::new(project_root.clone());
        FsManager { project_root, root, inspected: Mutex::default(), measurer, kept, swaps, durable: false }
    }

    /// Every publication survives a power loss.
    #[must_use]
    pub fn durable(self) -> Self {
        FsManager { durable: true, ..self }
    }

    fn open_root(&self) -> Result<Folder, IoError> {
        Folder::open_root(&self.project_root, self.swaps)
    }

    fn project_path(&self, target: &Target) -> ProjectPath {
        ProjectPath::resolve(&self.root, target.path.as_path()).unwrap_or_else(|_| target.path.clone())
    }

    fn named(&self, target: &Target) -> Result<(ProjectPath, ProjectPath, OsString), IoError> {
        let path = self.project_path(target);
        let (Some(name), Some(parent)) = (target.path.file_name(), path.parent()) else {
            let cause = format!("is no place for {}: an output needs a name below it", target.key);
            return Err(IoError::Other { path: path.to_string(), cause });
        };
        let name = name.to_owned();
        Ok((path, parent, name))
    }

    /// `None` if its folder is not there.
    fn find(&self, target: &Target) -> Result<Option<Place>, IoError> {
        let (path, parent, name) = self.named(target)?;
        let folder = self.open_root()?.open(&parent)?;
        Ok(folder.map(|folder| Place { folder, name, path }))
    }

    fn make(&self, target: &Target) -> Result<Place, IoError> {
        let (path, parent, name) = self.named(target)?;
        let folder = self.open_root()?.make(&parent)?;
        Ok(Place { folder, name, path })
    }

    fn read_now(&self, target: &Target) -> Result<Option<(Place, Measured)>, IoError> {
        let Some(place) = self.find(target)? else { return Ok(None) };
        let measured = match place.look()? {
            // Never content, so never what was recorded.
            Some(found) if matches!(found.kind(), FileKind::Odd | FileKind::Link) => None,
            _ => self.measurer.measure(&place.folder, &place.name, target.reading())?,
        };
        Ok(measured.map(|it| (place, it)))
    }

    fn inspected(&self) -> MutexGuard<'_, HashMap<(AttemptId, ProjectPath), Measured>> {
        self.inspected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name under which the staged content lies in the target's folder.
    fn staged_name(place: &Place, target: &Target, attempt: &AttemptId) -> OsString {
        if target.in_place || Protection::Staging.is_off() {
            place.name.clone()
        } else {
            names::staging(attempt, &place.name)
        }
    }
}

impl IoManager for FsManager {
    fn capabilities(&self) -> Capabilities {
        Capabilities { files: true, partitions: true, persistent: true, ..Capabilities::default() }
    }

    fn stage(&self, target: &Target, attempt: &AttemptId) -> Result<Staged, IoError> {
        names::check_attempt(attempt)?;
        let place = self.make(target)?;
        place.folder.check_writable()?;
        let there = place.look()?;
        if let Some(there) = there {
            if there.kind() == FileKind::Odd {
                let path = place.path.to_string();
                return Err(IoError::WrongKind { path, expected: "a file or folder", found: kind_name(there.kind()) });
            }
            place.folder.check_replaceable(&place.name, there)?;
        }
        place.folder.remove(&names::staging(attempt, &place.name))?;
        if target.in_place {
            self.move_aside(&place, attempt, there.is_some())?;
        }
        let name = Self::staged_name(&place, target, attempt);
        let path = place.folder.path().join(&name).under(&self.project_root);
        let token = Token { attempt: attempt.clone(), in_place: target.in_place, path: place.path }.encode();
        Ok(Staged { target: target.clone(), attempt: attempt.clone(), path, token })
    }

    fn inspect(&self, staged: &Staged) -> Result<Content, IoError> {
        let missing = || IoError::OutputMissing(self.project_path(&staged.target).to_string());
        let place = self.find(&staged.target)?.ok_or_else(missing)?;
        let name = Self::staged_name(&place, &staged.target, &staged.attempt);
        let found = place.folder.look(&name)?.ok_or_else(missing)?;
        check_shape(&place.path, staged.target.shape, found.kind())?;
        let measured = self.measurer.measure(&place.folder, &name, staged.target.reading())?.ok_or_else(missing)?;
        let content = Content { data_version: measured.data_version, bytes: Some(measured.bytes), rows: measured.rows };
        if self.durable {
            place.folder.sync(&name)?;
        }
        self.inspected().insert((staged.attempt.clone(), place.path), measured);
        Ok(content)
    }

    fn current(&self, target: &Target) -> Result<Option<Content>, IoError> {
        let read = self.read_now(target)?;
        Ok(read.map(|(_, it)| Content { data_version: it.data_version, bytes: Some(it.bytes), rows: it.rows }))
    }

    fn publish(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError> {
        self.publish_staged(staged, content, None)
    }

    fn publish_keeping(&self, staged: &Staged, content: &Content, older: &Digest) -> Result<StoredOutput, IoError> {
        self.publish_staged(staged, content, Some(older))
    }

    fn discard(&self, staged: &Staged) -> Result<(), IoError> {
        names::check_attempt(&staged.attempt)?;
        let Some(place) = self.find(&staged.target)? else { return Ok(()) };
        self.inspected().remove(&(staged.attempt.clone(), place.path.clone()));
        if staged.target.in_place {
            return Self::move_back(&place, &staged.attempt);
        }
        if Protection::Staging.is_off() {
            return Ok(());
        }
        place.folder.remove(&names::staging(&staged.attempt, &place.name))
    }

    fn probe(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        let StoredOutput::Files(recorded) = stored else { return Ok(Probed::Modified) };
        let Some(place) = self.find(target)? else { return Ok(Probed::Missing) };
        if place.look()?.is_none() {
            return Ok(Probed::Missing);
        }
        Ok(if self.measurer.holds(recorded)? { Probed::Same } else { Probed::Modified })
    }

    fn adopt(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        let Some((place, measured)) = self.read_now(target)? else { return Ok(None) };
        let right =
            measured.data_version == *data_version && check_shape(&place.path, target.shape, measured.kind()).is_ok();
        Ok(right.then_some(StoredOutput::Files(measured.parts)))
    }

    fn recover(&self, target: &Target, token: &[u8], content: &Content) -> Result<Recovered, IoError> {
        self.recover_publication(target, &Token::decode(token)?, content)
    }

    fn restore(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        let Some(entry) = self.kept.find(target, data_version)? else { return Ok(None) };
        let place = self.make(target)?;
        place.folder.check_writable()?;
        self.publish_kept(&place, target, &entry, data_version)
    }

    fn older(&self, target: &Target, data_version: &Digest) -> Result<Option<Loaded>, IoError> {
        let entry = self.kept.find(target, data_version)?;
        Ok(entry.map(|it| Loaded::Path(it.folder().path().join(it.name()).under(&self.project_root))))
    }

    fn keeps(&self, target: &Target, data_version: &Digest) -> bool {
        self.kept.find(target, data_version).is_ok_and(|it| it.is_some())
    }

    fn load(&self, target: &Target) -> Result<Loaded, IoError> {
        let path = self.project_path(target);
        let found = match self.find(target)? {
            Some(place) => place.look()?,
            None => None,
        };
        match found {
            Some(_) => Ok(Loaded::Path(path.under(&self.project_root))),
            None => Err(IoError::NotFound(path.to_string())),
        }
    }

    fn delete(&self, target: &Target) -> Result<(), IoError> {
        match self.find(target)? {
            Some(place) => place.folder.remove(&place.name),
            None => Ok(()),
        }
    }
}

/// The name as a person is shown it.
fn shown(folder: &Folder, name: &OsStr) -> String {
    folder.path().join(name).to_string()
}
