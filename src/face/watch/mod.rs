//! Knowing that files changed, without asking each of them. A change is only ever a reason to look:
//! what is out of date is decided by content, as everywhere.

pub mod debounce;
pub mod notify;

use std::{path::PathBuf, time::Duration};

/// Something that may have changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    Paths(Vec<PathBuf>),
    /// Changes were missed, nobody knows which: everything is to be looked at.
    Overflow,
}

/// Where changes come from.
pub trait Changes {
    /// Watches these folders and no others from now on; those that are not there are left out.
    ///
    /// # Errors
    /// One sentence: the system allows no more watches, a folder cannot be read.
    fn watch(&mut self, folders: &[Folder]) -> Result<(), String>;

    /// Waits up to `wait` for the next change.
    fn next(&mut self, wait: Duration) -> Option<Change>;
}

/// One folder to watch.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Folder {
    pub path: PathBuf,
    /// With everything below it.
    pub deep: bool,
}
