//! Knowing that files changed, without asking each of them. A change is only ever a reason to look:
//! what is out of date is decided by content, as everywhere.

pub mod debounce;
pub mod folders;
pub mod keep;
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
    /// Watches these folders and no others from now on; those that are not there are left out. Tells
    /// whether one of them was not watched before: what happened in it until now may have been missed.
    ///
    /// # Errors
    /// One sentence, once: the system cannot tell of changes. From then on there is an overflow now
    /// and then instead.
    fn watch(&mut self, folders: &[Folder]) -> Result<Watched, String>;

    /// Sleeps until the next change, at most for `wait`; `None` if that is over or it was woken.
    fn next(&mut self, wait: Option<Duration>) -> Option<Change>;
}

/// Ends the sleep of [`Changes::next`] from another thread.
pub type Waker = Box<dyn Fn() + Send>;

/// What came of [`Changes::watch`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watched {
    AsBefore,
    More,
}

/// One folder to watch.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Folder {
    pub path: PathBuf,
    /// With everything below it.
    pub deep: bool,
}
