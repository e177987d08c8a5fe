//! The last few replaced versions of outputs, so that A, B, A is restored and not made again.
//!
//! A version gets here and leaves by rename alone, so it never exists twice and costs no copying;
//! where that is not possible (another file system) it is not kept. Everything here may be deleted
//! at any time: what is gone is made again. A name is trusted for finding, never for content.
//!
//! `.assets/kept/<digest>.<asset>.<bytes>`, flat, so that one listing tells everything.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    base::{digest::Digest, path::ProjectPath},
    exec::io::{
        IoError, Target,
        beneath::{Folder, Found, Swaps},
    },
};

const STATE: &str = ".assets";
const KEPT: &str = "kept";

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Of one asset partition.
    pub versions_max: usize,
    /// Of all together.
    pub bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { versions_max: 2, bytes_max: 1 << 30 }
    }
}

/// What is kept of one project.
#[derive(Debug)]
pub struct Kept {
    project_root: PathBuf,
    limits: Limits,
    /// Name to bytes; listed when first needed, then kept up. Another process may change the folder
    /// meanwhile: then a version is not found and made again, or the bound is exceeded for a while.
    names: Mutex<Option<BTreeMap<Name, u64>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Name {
    version: Digest,
    asset: [u8; 8],
}

impl Name {
    fn of(target: &Target, version: &Digest) -> Name {
        let mut asset = [0; 8];
        let owner = Digest::of(format!("{}\0{}", target.key, target.partition.as_str()).as_bytes());
        asset.copy_from_slice(&owner.0[..8]);
        Name { version: *version, asset }
    }

    fn text(self, bytes: u64) -> OsString {
        format!("{}.{:016x}.{bytes}", self.version.hex(), u64::from_be_bytes(self.asset)).into()
    }

    fn parse(text: &OsStr) -> Option<(Name, u64)> {
        let mut parts = text.to_str()?.splitn(3, '.');
        let version = format!("blake3:{}", parts.next()?).parse().ok()?;
        let asset = u64::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes();
        Some((Name { version, asset }, parts.next()?.parse().ok()?))
    }
}

/// A kept version that was found.
#[derive(Debug)]
pub struct Entry {
    folder: Folder,
    id: Name,
    name: OsString,
}

impl Entry {
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn name(&self) -> &OsStr {
        &self.name
    }
}

impl Kept {
    pub fn new(project_root: PathBuf) -> Self {
        Kept::with_limits(project_root, Limits::default())
    }

    pub fn with_limits(project_root: PathBuf, limits: Limits) -> Self {
        Kept { project_root, limits, names: Mutex::default() }
    }

    /// Takes what is at `name`; `false`, and nothing is done, if it cannot or need not be kept.
    pub fn take(&self, from: &Folder, name: &OsStr, target: &Target, version: &Digest) -> Result<bool, IoError> {
        let bytes = bytes_of(from, name)?;
        if bytes > self.limits.bytes_max {
            return Ok(false);
        }
        let root = Folder::open_root(&self.project_root, Swaps::Allowed)?;
        // Without a state folder there is nobody to restore for.
        let Some(state) = root.look(OsStr::new(STATE))? else { return Ok(false) };
        if !state.is_folder() {
            return Ok(false);
        }
        let folder = root.make(&kept_path())?;
        let id = Name::of(target, version);
        let victims = {
            let mut names = self.listed(&folder)?;
            let names = names.get_or_insert_default();
            if names.contains_key(&id) || from.rename(name, &folder, &id.text(bytes)).is_err() {
                return Ok(false);
            }
            names.insert(id, bytes);
            self.victims(&folder, names, id)
        };
        for victim in victims {
            // It is not listed any more; if it cannot be removed, the next process tries again.
            let _ = folder.remove(&victim);
        }
        Ok(true)
    }

    pub fn find(&self, target: &Target, version: &Digest) -> Result<Option<Entry>, IoError> {
        let Some(folder) = Folder::open_root(&self.project_root, Swaps::Allowed)?.open(&kept_path())? else {
            return Ok(None);
        };
        let id = Name::of(target, version);
        let bytes = self.listed(&folder)?.as_ref().and_then(|it| it.get(&id).copied());
        Ok(bytes.map(|bytes| Entry { folder, id, name: id.text(bytes) }))
    }

    /// The entry is not there any more.
    pub fn forget(&self, entry: &Entry) {
        if let Some(names) = self.lock().as_mut() {
            names.remove(&entry.id);
        }
    }

    /// The entry's place now holds another version of the same target.
    pub fn rename(&self, entry: &Entry, target: &Target, version: &Digest, bytes: u64) -> Result<(), IoError> {
        let id = Name::of(target, version);
        if id == entry.id {
            return Ok(());
        }
        // It may have been kept before. A folder is not renamed over another.
        entry.folder.remove(&id.text(bytes))?;
        entry.folder.rename(&entry.name, &entry.folder, &id.text(bytes))?;
        if let Some(names) = self.lock().as_mut() {
            names.remove(&entry.id);
            names.insert(id, bytes);
        }
        Ok(())
    }

    /// Forgets every kept version and says how many bytes they had.
    pub fn clear(&self) -> Result<u64, IoError> {
        let root = Folder::open_root(&self.project_root, Swaps::Allowed)?;
        let Some(folder) = root.open(&kept_path())? else { return Ok(0) };
        let bytes = self.listed(&folder)?.take().map_or(0, |it| it.values().sum());
        for name in folder.list()? {
            folder.remove(&name)?;
        }
        Ok(bytes)
    }

    /// Forgets every version that was kept before `before_ns` (since 1970): how many and their bytes. With
    /// `dry_run` only counts.
    pub fn trim(&self, before_ns: i64, dry_run: bool) -> Result<(usize, u64), IoError> {
        let root = Folder::open_root(&self.project_root, Swaps::Allowed)?;
        let Some(folder) = root.open(&kept_path())? else { return Ok((0, 0)) };
        let (mut count, mut bytes) = (0, 0);
        for name in folder.list()? {
            // A rename sets the change time: when it was kept.
            let Some(found) = folder.look(&name)?.filter(|it| it.signature.ctime_ns < before_ns) else { continue };
            count += 1;
            bytes += Name::parse(&name).map_or(found.signature.size, |it| it.1);
            if !dry_run {
                folder.remove(&name)?;
            }
        }
        if count > 0 && !dry_run {
            *self.lock() = None;
        }
        Ok((count, bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<Name, u64>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listed(&self, folder: &Folder) -> Result<MutexGuard<'_, Option<BTreeMap<Name, u64>>>, IoError> {
        let mut names = self.lock();
        if names.is_none() {
            *names = Some(folder.list()?.iter().filter_map(|it| Name::parse(it)).collect());
        }
        Ok(names)
    }

    /// What must go now that `newest` came: the oldest of its asset, then the oldest of all.
    fn victims(&self, folder: &Folder, names: &mut BTreeMap<Name, u64>, newest: Name) -> Vec<OsString> {
        let total = names.values().sum::<u64>();
        let of_asset = names.keys().filter(|it| it.asset == newest.asset).count();
        if of_asset <= self.limits.versions_max && total <= self.limits.bytes_max {
            return Vec::new();
        }
        // Only now is anything looked at. A rename sets the change time: when it was kept.
        let only_asset = total <= self.limits.bytes_max;
        let mut by_age: Vec<(i64, Name, u64)> = (names.iter())
            .filter(|(id, _)| **id != newest && (!only_asset || id.asset == newest.asset))
            .map(|(id, bytes)| {
                let found = folder.look(&id.text(*bytes)).ok().flatten();
                (found.map_or(0, |it: Found| it.signature.ctime_ns), *id, *bytes)
            })
            .collect();
        by_age.sort_unstable();
        let (mut of_asset, mut total) = (of_asset, total);
        let mut gone = Vec::new();
        for (_, id, bytes) in by_age {
            let one_too_many = id.asset == newest.asset && of_asset > self.limits.versions_max;
            if !one_too_many && total <= self.limits.bytes_max {
                continue;
            }
            names.remove(&id);
            of_asset -= usize::from(id.asset == newest.asset);
            total -= bytes;
            gone.push(id.text(bytes));
        }
        gone
    }
}

fn kept_path() -> ProjectPath {
    ProjectPath::root().join(STATE).join(KEPT)
}

/// Bytes of a file, or of all files in a folder.
pub(super) fn bytes_of(folder: &Folder, name: &OsStr) -> Result<u64, IoError> {
    let Some(found) = folder.look(name)? else { return Ok(0) };
    if !found.is_folder() {
        return Ok(found.signature.size);
    }
    let top = folder.open_child(name)?;
    let mut bytes = 0_u64;
    let mut waiting = vec![ProjectPath::root()];
    while let Some(at) = waiting.pop() {
        let Some(folder) = top.open(&at)? else { continue };
        for name in folder.list()? {
            match folder.look(&name)? {
                Some(it) if it.is_folder() => waiting.push(at.join(&name)),
                Some(it) => bytes = bytes.saturating_add(it.signature.size),
                None => {}
            }
        }
    }
    Ok(bytes)
}
