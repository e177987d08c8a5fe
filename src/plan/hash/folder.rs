//! The names in one folder, read between two equal looks at it.

use std::os::unix::ffi::OsStrExt;

use rustix::{
    fs::{Dir, FileType, Mode, OFlags},
    io::Errno,
};

use crate::plan::hash::{
    FileKind, Links, Seen, Signature,
    file::UNSTEADY,
    file_system::World,
    signature::{look_at, look_at_open},
};

/// A name in a folder, and what it is itself.
pub(super) type Name = (Box<[u8]>, FileKind);

/// What a folder held at one moment. `signature` has the device as the kernel gives it.
pub(super) struct Names {
    pub(super) signature: Signature,
    /// In byte order of the names.
    pub(super) entries: Vec<Name>,
}

const ATTEMPTS: usize = 3;

/// `Ok(None)`: there is no folder at `path`.
///
/// # Errors
/// In words.
pub(super) fn list(world: &World, path: &[u8], links: Links) -> Result<Option<Names>, String> {
    let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if links == Links::Keep {
        flags |= OFlags::NOFOLLOW;
    }
    let name = if path.is_empty() { b"." } else { path };
    for _ in 0..ATTEMPTS {
        match list_once(world, name, flags) {
            Ok(Some(it)) => return Ok(Some(it)),
            Ok(None) => {}
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(std::io::Error::from(errno).to_string()),
        }
    }
    Err(UNSTEADY.to_owned())
}

/// `None` if the folder changed meanwhile.
fn list_once(world: &World, path: &[u8], flags: OFlags) -> Result<Option<Names>, Errno> {
    let mut folder = Dir::new(rustix::fs::openat(world.root(), path, flags, Mode::empty())?)?;
    let signature = look_at_open(folder.fd()?)?;
    let mut entries = Vec::new();
    while let Some(entry) = folder.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Link,
            // Not every file system says.
            FileType::Unknown => match look_at(folder.fd()?, name, Links::Keep) {
                Seen::Found(it) => it.kind,
                _ => continue,
            },
            _ => FileKind::Odd,
        };
        entries.push((name.into(), kind));
    }
    entries.sort_unstable_by(|a: &Name, b: &Name| a.0.cmp(&b.0));
    Ok((look_at_open(folder.fd()?)? == signature).then_some(Names { signature, entries }))
}

/// The path of `name` in `folder`.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + name.len() + 1);
    path.extend_from_slice(folder);
    if !folder.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// As a path of the project. `bytes` was put together from a project path and names that a folder held.
pub(super) fn project_path(bytes: &[u8]) -> crate::base::path::ProjectPath {
    crate::base::path::ProjectPath::root().join(std::ffi::OsStr::from_bytes(bytes))
}
