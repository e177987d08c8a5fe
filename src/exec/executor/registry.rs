//! The one list of built-in executors.

use std::{os::fd::OwnedFd, path::PathBuf};

use crate::exec::executor::{Executor, ExecutorError, local::LocalExecutor};

/// What an executor may need of the tool that makes it.
pub struct Settings {
    /// This binary, which is also the worker and the supervisor.
    pub program: PathBuf,
    /// The run's lock file, to be held by whatever may still write.
    pub locks: Option<OwnedFd>,
}

/// An executor that can be named in a manifest.
pub struct Builtin {
    pub name: &'static str,
    pub summary: &'static str,
    pub make: fn(Settings) -> Result<Box<dyn Executor>, ExecutorError>,
}

/// In the order in which they are listed to people; the first is the default.
pub const BUILTIN: &[Builtin] = &[Builtin {
    name: "local",
    summary: "commands on this machine, ended with the tool",
    make: |it| Ok(Box::new(LocalExecutor::new(it.program, it.locks))),
}];

pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTIN.iter().find(|it| it.name == name)
}
