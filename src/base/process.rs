//! This machine and its processes, for display. Nothing is ever decided by a process id.

use std::path::PathBuf;

use crate::base::fs;

/// The machine's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether a process of this id is there now; it may be another than was meant.
pub fn is_there(pid: u32) -> bool {
    matches!(fs::look(&PathBuf::from(format!("/proc/{pid}"))), Ok(Some(_)))
}
