//! Removing what attempts that are over left beside their outputs.

use std::{ffi::OsStr, path::Path};

use crate::{
    base::path::ProjectPath,
    exec::io::{
        IoError,
        beneath::{Folder, Found, Swaps},
        keep::bytes_of,
    },
    plan::record::AttemptId,
};

use super::{
    names::{self, Leftover},
    publish::put_back,
};

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Places of attempts that are over.
    pub removed: usize,
    /// Outputs that an `in_place` attempt had moved aside and that are back.
    pub restored: usize,
}

/// What [`sweep_leftovers`] would remove of `folder`, and its bytes.
pub fn find_leftovers(
    project_root: &Path,
    folder: &ProjectPath,
    is_live: &dyn Fn(&AttemptId) -> bool,
) -> Result<Vec<(ProjectPath, u64)>, IoError> {
    let mut found = Vec::new();
    let Some(folder) = Folder::open_root(project_root, Swaps::Allowed)?.open(folder)? else { return Ok(found) };
    for name in folder.list()? {
        let dead = match names::leftover(&name) {
            Some(Leftover::Temporary(attempts)) => !attempts.iter().any(is_live),
            Some(Leftover::Aside(attempt)) => !is_live(&attempt),
            None => false,
        };
        if dead {
            found.push((folder.path().join(&name), bytes_of(&folder, &name)?));
        }
    }
    Ok(found)
}

/// Cleans `folder` of the project, not what is below it. An attempt is live while its process runs,
/// and while it is `committing` and was not recovered: its staged content is all there is.
pub fn sweep_leftovers(
    project_root: &Path,
    folder: &ProjectPath,
    is_live: &dyn Fn(&AttemptId) -> bool,
) -> Result<Swept, IoError> {
    let mut swept = Swept::default();
    let Some(folder) = Folder::open_root(project_root, Swaps::Allowed)?.open(folder)? else { return Ok(swept) };
    for name in folder.list()? {
        match names::leftover(&name) {
            Some(Leftover::Temporary(attempts)) if !attempts.iter().any(is_live) => {
                folder.remove(&name)?;
                swept.removed += 1;
            }
            Some(Leftover::Aside(attempt)) if !is_live(&attempt) => {
                swept.restored += restore_aside(&folder, &name)?;
                swept.removed += 1;
            }
            _ => {}
        }
    }
    Ok(swept)
}

/// A publication empties the folder before it is recorded, so whatever lies in it was never replaced.
fn restore_aside(folder: &Folder, aside: &OsStr) -> Result<usize, IoError> {
    if !folder.look(aside)?.is_some_and(Found::is_folder) {
        folder.remove(aside)?;
        return Ok(0);
    }
    let old = folder.open_child(aside)?;
    let mut restored = 0;
    for name in old.list()? {
        if names::leftover(&name).is_some() {
            old.remove(&name)?;
        } else {
            put_back(&old, folder, &name)?;
            restored += 1;
        }
    }
    folder.remove_empty(aside)?;
    Ok(restored)
}
