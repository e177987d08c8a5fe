//! The only file that touches `std::fs`. Errors name the path and what was being done to it.

#![expect(clippy::disallowed_methods, reason = "the one place that touches std::fs")]

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {source}", path = path.display())]
pub struct FsError {
    pub doing: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl FsError {
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }

    /// The disk or a quota is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    pub fn is_denied(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
    }
}

pub type Result<T> = std::result::Result<T, FsError>;

fn named<T>(doing: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| FsError { doing, path: path.to_owned(), source })
}

pub fn read(path: &Path) -> Result<Vec<u8>> {
    named("read", path, fs::read(path))
}

/// `None` if it is not there.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// At most `limit` bytes from the start; `None` if there are more.
pub fn read_at_most(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    named("read", path, File::open(path).and_then(|it| it.take(limit + 1).read_to_end(&mut bytes)))?;
    Ok(if bytes.len() as u64 > limit { None } else { Some(bytes) })
}

/// Whether this process may write to what is there. Opens nothing.
pub fn is_writable(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// What a file holds from `offset` on; `None` if it is not there.
pub fn read_from(path: &Path, offset: u64) -> Result<Option<Vec<u8>>> {
    let mut file = match open(path) {
        Ok(it) => it,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let read = file.seek(io::SeekFrom::Start(offset)).and_then(|_| file.read_to_end(&mut bytes));
    named("read", path, read).map(|_| Some(bytes))
}

/// The first `len` bytes, or as many as there are; `None` if it is not there.
pub fn read_start(path: &Path, len: u64) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match named("read", path, File::open(path).and_then(|it| it.take(len).read_to_end(&mut bytes))) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn open(path: &Path) -> Result<File> {
    named("open", path, File::open(path))
}

/// Opens for appending, made if it is not there, readable by its owner alone.
pub fn open_append(path: &Path) -> Result<File> {
    named("open", path, File::options().append(true).create(true).mode(0o600).open(path))
}

/// Makes the file anew for reading and writing, whatever was there, readable by its owner alone.
pub fn create_private(path: &Path) -> Result<File> {
    let mut how = File::options();
    named("create", path, how.read(true).write(true).create(true).truncate(true).mode(0o600).open(path))
}

/// Opens for reading and writing without waiting for a peer: for a FIFO.
pub fn open_fifo(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    named("open", path, File::options().read(true).write(true).custom_flags(flags).open(path))
}

/// Opens for reading and writing, made if it is not there.
pub fn open_or_create(path: &Path) -> Result<File> {
    named("open", path, File::options().read(true).write(true).create(true).truncate(false).open(path))
}

/// Makes a new file; fails if it is there.
pub fn create_new(path: &Path) -> Result<File> {
    named("create", path, File::options().write(true).create_new(true).open(path))
}

/// Makes a new file that nobody else may read or write: mode 0600. Fails if it is there.
pub fn create_new_private(path: &Path) -> Result<File> {
    named("create", path, File::options().write(true).create_new(true).mode(0o600).open(path))
}

/// Makes the file anew, whatever was there.
pub fn create(path: &Path) -> Result<File> {
    named("create", path, File::create(path))
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    named("write", path, fs::write(path, bytes))
}

/// Replaces the file in one step: a reader sees the old bytes or the new. Not synced to disk.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let beside = path.with_file_name(name);
    let written = named("write", &beside, File::create(&beside).and_then(|mut it| it.write_all(bytes)));
    let done = written.and_then(|()| rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

/// Makes a file, or the names in a folder, survive a power loss. An error here is final: a second try
/// would not tell what the first one lost.
pub fn sync(path: &Path) -> Result<()> {
    named("sync", path, File::open(path).and_then(|it| it.sync_all()))
}

pub fn create_folder(path: &Path) -> Result<()> {
    named("create the folder", path, fs::create_dir_all(path))
}

/// For what nobody else may read: mode 0700.
pub fn create_private_folder(path: &Path) -> Result<()> {
    named("create the folder", path, fs::DirBuilder::new().recursive(true).mode(0o700).create(path))
}

pub fn rename(from: &Path, to: &Path) -> Result<()> {
    named("rename", from, fs::rename(from, to))
}

/// Gives the file at `from` a second name; fine if that name is taken.
pub fn link_if_free(from: &Path, to: &Path) -> Result<()> {
    match named("link", to, fs::hard_link(from, to)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Puts a link at `at` that leads to `target`.
pub fn link_to(target: &Path, at: &Path) -> Result<()> {
    named("link", at, std::os::unix::fs::symlink(target, at))
}

/// Takes all rights of others away: mode 0700.
pub fn make_private(path: &Path) -> Result<()> {
    named("change the mode of", path, fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
}

pub fn copy(from: &Path, to: &Path) -> Result<u64> {
    named("copy", from, fs::copy(from, to))
}

/// Fine if it is not there.
pub fn remove_file(path: &Path) -> Result<()> {
    match named("remove", path, fs::remove_file(path)) {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// A file, link or whole folder; links are not followed. Fine if it is not there.
pub fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(it) if it.is_dir() => named("remove the folder", path, fs::remove_dir_all(path)),
        Ok(_) => remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::NotADirectory => Ok(()),
        Err(source) => Err(FsError { doing: "look at", path: path.to_owned(), source }),
    }
}

/// Removes the folder if it is empty; otherwise leaves it.
pub fn remove_empty_folder(path: &Path) {
    let _ = fs::remove_dir(path);
}

/// What is at the path itself, links not followed; `None` if nothing is.
pub fn look(path: &Path) -> Result<Option<fs::Metadata>> {
    match named("look at", path, fs::symlink_metadata(path)) {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the path leads to, links followed; `None` if nothing is there.
pub fn look_through(path: &Path) -> Result<Option<fs::Metadata>> {
    match named("look at", path, fs::metadata(path)) {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Entries of a folder in byte order of their names; `None` if there is no such folder.
pub fn list(path: &Path) -> Result<Option<Vec<fs::DirEntry>>> {
    let entries = match named("list", path, fs::read_dir(path)) {
        Ok(it) => it,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut found = named("list", path, entries.collect::<io::Result<Vec<_>>>())?;
    found.sort_by_key(fs::DirEntry::file_name);
    Ok(Some(found))
}

/// Bytes of a file, or of all files in a folder; what cannot be looked at counts nothing.
pub fn bytes_of(path: &Path) -> u64 {
    match look(path) {
        Ok(Some(it)) if it.is_dir() => {
            let entries = list(path).ok().flatten().unwrap_or_default();
            entries.iter().map(|it| bytes_of(&it.path())).sum()
        }
        Ok(Some(it)) => it.len(),
        _ => 0,
    }
}

/// Absolute, with every link resolved.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    named("find", path, fs::canonicalize(path))
}

/// The target of a link, as written in it.
pub fn read_link(path: &Path) -> Result<PathBuf> {
    named("read the link", path, fs::read_link(path))
}
