//! Which file a command name means, in the `PATH` that the command itself is given.
//!
//! Looked up here and not by the C library: with a known file, starting is one `vfork`-like call, and
//! a name that is not found can be told from a folder that is not there.

use std::{
    collections::HashMap,
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use crate::base::fs;

/// What POSIX shells search if there is no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Remembers what was found, as shells do; looked up anew if it is gone.
#[derive(Default)]
pub struct Programs {
    found: HashMap<(Vec<u8>, Vec<u8>), PathBuf>,
}

impl Programs {
    /// `path` is the command's `PATH`, `folder` its working directory.
    pub fn find(&mut self, name: &[u8], path: Option<&[u8]>, folder: &Path) -> Result<PathBuf, String> {
        let shown = String::from_utf8_lossy(name);
        if name.is_empty() {
            return Err("the command is empty".to_owned());
        }
        if name.contains(&b'/') {
            return Ok(folder.join(OsStr::from_bytes(name)));
        }
        let path = path.unwrap_or(DEFAULT_PATH);
        let known = (name.to_vec(), path.to_vec());
        if let Some(it) = self.found.get(&known) {
            return Ok(it.clone());
        }
        for place in path.split(|it| *it == b':') {
            let file = folder.join(OsStr::from_bytes(place)).join(OsStr::from_bytes(name));
            if is_executable(&file) {
                // A relative entry means another file in another folder.
                if place.starts_with(b"/") {
                    self.found.insert(known, file.clone());
                }
                return Ok(file);
            }
        }
        Err(format!("command not found: {shown}"))
    }

    /// What was remembered may be wrong: a program was moved or removed.
    pub fn forget(&mut self) {
        self.found.clear();
    }
}

fn is_executable(file: &Path) -> bool {
    fs::look_through(file).ok().flatten().is_some_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_as_a_shell_would() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_folder(&bin).unwrap();
        for (name, mode) in [("tool", 0o755), ("data", 0o644)] {
            let file = bin.join(name);
            fs::write(&file, b"#!/bin/sh\n").unwrap();
            let file = fs::open(&file).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut programs = Programs::default();
        let mut find = |name: &str, path: &str| programs.find(name.as_bytes(), Some(path.as_bytes()), folder.path());
        assert_eq!(find("tool", "/nowhere:bin").unwrap(), bin.join("tool"));
        assert_eq!(find("data", "bin").unwrap_err(), "command not found: data");
        assert_eq!(find("tool", "/nowhere").unwrap_err(), "command not found: tool");
        assert_eq!(find("./bin/tool", "").unwrap(), folder.path().join("./bin/tool"));
        assert_eq!(find("", "bin").unwrap_err(), "the command is empty");
    }
}
