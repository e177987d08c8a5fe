//! The moment of publication, and what a crash around it leaves to be done.
//!
//! | found after a crash | meaning | done |
//! |---|---|---|
//! | the target has the intended content | crashed after the rename | what was replaced is removed |
//! | the staged place has it | crashed before the rename | published now |
//! | neither | somebody else changed them | nothing is touched |

use std::ffi::OsStr;

use crate::{
    base::{digest::Digest, path::ProjectPath, sabotage::Protection},
    exec::io::{
        Content, IoError, Recovered, Staged, Target,
        beneath::Folder,
        keep::{Entry, Kept},
    },
    model::project::Shape,
    plan::record::{AttemptId, StoredOutput},
};

use super::{
    FsManager, Place,
    measure::{Measured, check_shape},
    names::{self, Token},
    shown,
};

impl FsManager {
    pub(super) fn publish_staged(
        &self,
        staged: &Staged,
        content: &Content,
        older: Option<&Digest>,
    ) -> Result<StoredOutput, IoError> {
        names::check_attempt(&staged.attempt)?;
        let missing = || IoError::OutputMissing(self.project_path(&staged.target).to_string());
        let place = self.find(&staged.target)?.ok_or_else(missing)?;
        let name = Self::staged_name(&place, &staged.target, &staged.attempt);
        let seen = self.inspected().remove(&(staged.attempt.clone(), place.path.clone()));
        let measured = match seen {
            Some(it) => it,
            None => self.measurer.measure(&place.folder, &name, staged.target.reading())?.ok_or_else(missing)?,
        };
        // A process that outlived the command may still be writing.
        let now = place.folder.look(&name)?.ok_or_else(missing)?;
        if measured.data_version != content.data_version || !measured.is_still(now) {
            return Err(IoError::Unstable { path: shown(&place.folder, &name) });
        }
        check_shape(&place.path, staged.target.shape, now.kind())?;
        let keeper = older.map(|it| (&self.kept, it));
        if staged.target.in_place {
            Self::drop_aside(&place, &staged.target, &staged.attempt, keeper)?;
        } else if !Protection::Staging.is_off() {
            make_visible(&place, &staged.target, &staged.attempt, keeper)?;
        }
        self.described(&place, &measured)
    }

    /// With `in_place`: what is visible goes into a folder of its own, under its own name; if nothing is
    /// there, a mark goes in its stead. Only with one of the two is what is visible the command's (I4).
    pub(super) fn move_aside(&self, place: &Place, attempt: &AttemptId, there: bool) -> Result<(), IoError> {
        let aside = names::aside(attempt);
        if place.folder.look(&aside)?.is_none() {
            place.folder.make_child(&aside)?;
        }
        let folder = place.folder.open_child(&aside)?;
        if there {
            return place.folder.rename(&place.name, &folder, &place.name);
        }
        let mark = names::staging(attempt, &place.name);
        if folder.look(&mark)?.is_none() { folder.make_child(&mark) } else { Ok(()) }
    }

    /// Undoes `move_aside`; fine if it was undone already. What the command wrote is removed.
    pub(super) fn move_back(place: &Place, attempt: &AttemptId) -> Result<(), IoError> {
        let aside = names::aside(attempt);
        if place.folder.look(&aside)?.is_none() {
            return Ok(());
        }
        let folder = place.folder.open_child(&aside)?;
        let mark = names::staging(attempt, &place.name);
        if folder.look(&mark)?.is_some() {
            place.folder.remove(&place.name)?;
            folder.remove(&mark)?;
        }
        put_back(&folder, &place.folder, &place.name)?;
        place.folder.remove_empty(&aside).map(|_| ())
    }

    fn drop_aside(
        place: &Place,
        target: &Target,
        attempt: &AttemptId,
        keeper: Option<(&Kept, &Digest)>,
    ) -> Result<(), IoError> {
        let aside = names::aside(attempt);
        if place.folder.look(&aside)?.is_none() {
            return Ok(());
        }
        let folder = place.folder.open_child(&aside)?;
        if folder.look(&place.name)?.is_some() {
            // Renamed first: what lies in the folder called `old` would be moved back by a sweep.
            let replaced = names::replaced(attempt, &place.name);
            folder.rename(&place.name, &place.folder, &replaced)?;
            place.folder.remove_empty(&aside)?;
            retire(&place.folder, &replaced, target, keeper);
            return Ok(());
        }
        folder.remove(&names::staging(attempt, &place.name))?;
        place.folder.remove_empty(&aside).map(|_| ())
    }

    pub(super) fn recover_publication(
        &self,
        target: &Target,
        token: &Token,
        content: &Content,
    ) -> Result<Recovered, IoError> {
        if token.path != self.project_path(target) {
            // The asset was given another path meanwhile: what was staged is of no use there.
            return Ok(Recovered::Lost);
        }
        let Some(place) = self.find(target)? else { return Ok(Recovered::Lost) };
        let wanted = |it: Option<Measured>| it.filter(|it| it.data_version == content.data_version);
        let staging = names::staging(&token.attempt, &place.name);
        let replaced = names::replaced(&token.attempt, &place.name);
        if let Some(measured) = wanted(self.readable(&place.folder, &place.name, target)?) {
            if token.in_place {
                Self::drop_aside(&place, target, &token.attempt, None)?;
            }
            place.folder.remove(&staging)?;
            place.folder.remove(&replaced)?;
            return self.described(&place, &measured).map(Recovered::Published);
        }
        if let Some(measured) = wanted(self.readable(&place.folder, &staging, target)?) {
            if self.durable {
                place.folder.sync(&staging)?;
            }
            make_visible(&place, target, &token.attempt, None)?;
            place.folder.remove(&replaced)?;
            return self.described(&place, &measured).map(Recovered::Published);
        }
        // Without an exchange there is a moment in which nothing is visible.
        if place.look()?.is_none() && place.folder.look(&replaced)?.is_some() {
            place.folder.rename(&replaced, &place.folder, &place.name)?;
        }
        Ok(Recovered::Lost)
    }

    /// Makes a kept version the visible one. What was visible takes its place among what is kept.
    pub(super) fn publish_kept(
        &self,
        place: &Place,
        target: &Target,
        entry: &Entry,
        data_version: &Digest,
    ) -> Result<Option<StoredOutput>, IoError> {
        let (folder, name) = (entry.folder(), entry.name());
        if folder.look_here()?.signature.dev != place.folder.look_here()?.signature.dev {
            // On another file system, which no rename leads to: it is made again.
            return Ok(None);
        }
        let right = self.readable(folder, name, target)?.filter(|it| it.data_version == *data_version);
        let Some(measured) = right else {
            // Damaged where it lay: not a version of anything any more.
            folder.remove(name)?;
            self.kept.forget(entry);
            return Ok(None);
        };
        if self.durable {
            folder.sync(name)?;
        }
        if place.look()?.is_none() {
            folder.rename(name, &place.folder, &place.name)?;
            self.kept.forget(entry);
            return self.described(place, &measured).map(Some);
        }
        if !folder.exchange(name, &place.folder, &place.name)? {
            return Ok(None);
        }
        let replaced = self.readable(folder, name, target)?;
        match replaced {
            Some(it) => self.kept.rename(entry, target, &it.data_version, it.bytes)?,
            None => {
                folder.remove(name)?;
                self.kept.forget(entry);
            }
        }
        self.described(place, &measured).map(Some)
    }
}

impl FsManager {
    /// What is at the name if it can be content of that shape at all.
    fn readable(&self, folder: &Folder, name: &OsStr, target: &Target) -> Result<Option<Measured>, IoError> {
        let Some(found) = folder.look(name)? else { return Ok(None) };
        if check_shape(&folder.path().join(name), target.shape, found.kind()).is_err() {
            return Ok(None);
        }
        match self.measurer.measure(folder, name, target.reading()) {
            Err(IoError::WrongKind { .. } | IoError::Other { .. }) => Ok(None),
            other => other,
        }
    }

    /// The names that lead to `path`: folders above it may be as new as it is.
    fn sync_names_above(&self, path: &ProjectPath) -> Result<(), IoError> {
        let root = self.open_root()?;
        let mut above = path.parent();
        while let Some(folder) = above {
            if let Some(opened) = root.open(&folder)? {
                opened.sync_names()?;
            }
            above = folder.parent();
        }
        Ok(())
    }

    /// The record of what is visible now.
    fn described(&self, place: &Place, measured: &Measured) -> Result<StoredOutput, IoError> {
        if self.durable {
            place.folder.sync(&place.name)?;
            self.sync_names_above(&place.path)?;
        }
        self.measurer.renamed(measured, &place.path).map(StoredOutput::Files)
    }
}

/// Moves the staged content over the target in one step. What was there is kept or removed after.
fn make_visible(
    place: &Place,
    target: &Target,
    attempt: &AttemptId,
    keeper: Option<(&Kept, &Digest)>,
) -> Result<(), IoError> {
    let (folder, name) = (&place.folder, place.name.as_os_str());
    let staging = names::staging(attempt, name);
    let old = place.look()?;
    let file_over_file = target.shape == Shape::File && old.is_some_and(|it| !it.is_folder());
    match old {
        None => return folder.rename(&staging, folder, name),
        Some(_) if file_over_file && keeper.is_none() => return folder.rename(&staging, folder, name),
        Some(_) => {}
    }
    if folder.exchange(&staging, folder, name)? {
        retire(folder, &staging, target, keeper);
        return Ok(());
    }
    if file_over_file {
        return folder.rename(&staging, folder, name);
    }
    // Two renames; the caller's recorded intent covers the moment between them.
    let replaced = names::replaced(attempt, name);
    folder.rename(name, folder, &replaced)?;
    if let Err(error) = folder.rename(&staging, folder, name) {
        folder.rename(&replaced, folder, name)?;
        return Err(error);
    }
    retire(folder, &replaced, target, keeper);
    Ok(())
}

/// Keeps or removes what was replaced. The new content is visible by now, so a failure here is no
/// failure of the publication: what stays has a name that a sweep removes later.
fn retire(folder: &Folder, name: &OsStr, target: &Target, keeper: Option<(&Kept, &Digest)>) {
    if let Some((kept, older)) = keeper
        && kept.take(folder, name, target, older).unwrap_or(false)
    {
        return;
    }
    let _ = folder.remove(name);
}

/// Puts what lies in `from` under `name` back to `to`, in place of what is there; nothing if nothing lies
/// there. Never by an exchange: done once more after a crash, that would take the old for the new.
pub(super) fn put_back(from: &Folder, to: &Folder, name: &OsStr) -> Result<(), IoError> {
    if from.look(name)?.is_none() {
        return Ok(());
    }
    to.remove(name)?;
    from.rename(name, to, name)
}
