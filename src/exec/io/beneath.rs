//! Folders held open below the project's root: what is done through one happens in that folder,
//! wherever its name leads by then.
//!
//! A link inside the project may lead elsewhere inside it; one that leads out is an error, also if
//! it was put there after the manifest was checked. Knows nothing of assets or of staging.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use crate::{
    base::path::ProjectPath,
    exec::io::IoError,
    plan::hash::{FileKind, Signature},
};

/// A folder that only names things: enough for everything but listing it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NAMES_ONLY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NAMES_ONLY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A link may not be opened in place of what was looked at, nor may a FIFO make us wait.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

const LISTING: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder of the project, held open.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: ProjectPath,
    swaps: Swaps,
}

/// Whether two names may be swapped in one step, where the file system can.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Swaps {
    #[default]
    Allowed,
    /// As on a file system that cannot.
    Never,
}

/// What is at a name, links not followed.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub signature: Signature,
    pub owner: u32,
}

impl Found {
    pub fn kind(self) -> FileKind {
        self.signature.kind
    }

    pub fn is_folder(self) -> bool {
        self.kind() == FileKind::Folder
    }
}

impl Folder {
    /// The project's own folder. Links on the way to it are followed: the user named it.
    pub fn open_root(project_root: &Path, swaps: Swaps) -> Result<Folder, IoError> {
        let fd = rustix::fs::open(project_root, NAMES_ONLY, Mode::empty()).map_err(|it| IoError::Other {
            path: project_root.display().to_string(),
            cause: format!("the project's folder cannot be opened: {it}"),
        })?;
        Ok(Folder { fd, path: ProjectPath::root(), swaps })
    }

    /// The folder at `path`, seen from here; `None` if it is not there.
    pub fn open(&self, path: &ProjectPath) -> Result<Option<Folder>, IoError> {
        if path.is_root() {
            let fd = self.fd.try_clone().map_err(|it| self.other(path, it.to_string()))?;
            return Ok(Some(Folder { fd, path: self.path.clone(), swaps: self.swaps }));
        }
        match open_beneath(&self.fd, path.as_path(), NAMES_ONLY) {
            Ok(fd) => Ok(Some(Folder { fd, path: self.below(path), swaps: self.swaps })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.walk_failed(path, errno)),
        }
    }

    /// The folder at `path`, made with everything above it if it is not there.
    pub fn make(&self, path: &ProjectPath) -> Result<Folder, IoError> {
        if let Some(there) = self.open(path)? {
            return Ok(there);
        }
        let parent = path.parent().unwrap_or_default();
        let name = path.file_name().ok_or_else(|| self.other(path, "is not a name".to_owned()))?;
        let above = self.make(&parent)?;
        match rustix::fs::mkdirat(&above.fd, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(above.failed(name, errno)),
        }
        // Looked up again from here, so that a link put in its place meanwhile cannot lead out.
        match self.open(path)? {
            Some(made) => Ok(made),
            None if above.look(name)?.is_some() => Err(self.other(path, "is a link that leads nowhere".to_owned())),
            None => Err(self.other(path, "was removed while it was made".to_owned())),
        }
    }

    pub fn path(&self) -> &ProjectPath {
        &self.path
    }

    pub fn look(&self, name: &OsStr) -> Result<Option<Found>, IoError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(found(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed(name, errno)),
        }
    }

    /// What the folder itself is.
    pub fn look_here(&self) -> Result<Found, IoError> {
        rustix::fs::fstat(&self.fd).map(|it| found(&it)).map_err(|errno| self.failed(OsStr::new(""), errno))
    }

    /// Opens a file for reading, and says what was opened.
    pub fn open_file(&self, name: &OsStr) -> Result<(std::fs::File, Found), IoError> {
        let opened = rustix::fs::openat(&self.fd, name, READ, Mode::empty())
            .and_then(|fd| rustix::fs::fstat(&fd).map(|stat| (std::fs::File::from(fd), found(&stat))));
        opened.map_err(|errno| self.failed(name, errno))
    }

    /// A folder right below, never through a link.
    pub fn open_child(&self, name: &OsStr) -> Result<Folder, IoError> {
        let opened = rustix::fs::openat(&self.fd, name, NAMES_ONLY | OFlags::NOFOLLOW, Mode::empty());
        opened
            .map(|fd| Folder { fd, path: self.path.join(name), swaps: self.swaps })
            .map_err(|errno| self.failed(name, errno))
    }

    /// Where the link at `name` points, as written in it.
    pub fn read_link(&self, name: &OsStr) -> Result<Vec<u8>, IoError> {
        let read = rustix::fs::readlinkat(&self.fd, name, Vec::new());
        read.map(std::ffi::CString::into_bytes).map_err(|errno| self.failed(name, errno))
    }

    /// Names in the folder, in byte order.
    pub fn list(&self) -> Result<Vec<OsString>, IoError> {
        let failed = |errno| self.failed(OsStr::new(""), errno);
        let mut names = Vec::new();
        let fd = rustix::fs::openat(&self.fd, ".", LISTING, Mode::empty()).map_err(failed)?;
        for entry in Dir::new(fd).map_err(failed)? {
            let name = OsStr::from_bytes(entry.map_err(failed)?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes what is at `name`, with all that is in it, survive a power loss; fine if nothing is there. An
    /// error is final: a second try would not tell what the first one lost.
    pub fn sync(&self, name: &OsStr) -> Result<(), IoError> {
        match self.look(name)?.map(Found::kind) {
            Some(FileKind::File) => {
                let (file, _) = self.open_file(name)?;
                rustix::fs::fsync(file).map_err(|errno| self.failed(name, errno))
            }
            Some(FileKind::Folder) => {
                let inside = self.open_child(name)?;
                inside.list()?.iter().try_for_each(|it| inside.sync(it))?;
                inside.sync_names()
            }
            // A link is in the folder's names; the rest is no content.
            Some(FileKind::Link | FileKind::Odd) | None => Ok(()),
        }
    }

    /// Makes the names in this folder survive a power loss.
    pub fn sync_names(&self) -> Result<(), IoError> {
        let synced = rustix::fs::openat(&self.fd, ".", LISTING, Mode::empty()).and_then(rustix::fs::fsync);
        synced.map_err(|errno| self.failed(OsStr::new(""), errno))
    }

    pub fn make_child(&self, name: &OsStr) -> Result<(), IoError> {
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o777)).map_err(|errno| self.failed(name, errno))
    }

    /// Replaces what is at the new name, if it can be replaced in one step.
    pub fn rename(&self, name: &OsStr, to: &Folder, new_name: &OsStr) -> Result<(), IoError> {
        rustix::fs::renameat(&self.fd, name, &to.fd, new_name).map_err(|errno| to.failed(new_name, errno))
    }

    /// Swaps what is at two names in one step; `false` if the file system cannot.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub fn exchange(&self, name: &OsStr, with: &Folder, other_name: &OsStr) -> Result<bool, IoError> {
        if self.swaps == Swaps::Never {
            return Ok(false);
        }
        match rustix::fs::renameat_with(&self.fd, name, &with.fd, other_name, rustix::fs::RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::XDEV) => Ok(false),
            Err(errno) => Err(with.failed(other_name, errno)),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    pub fn exchange(&self, _name: &OsStr, _with: &Folder, _other_name: &OsStr) -> Result<bool, IoError> {
        Ok(false)
    }

    /// A file, link or whole folder; fine if it is not there. Folders that forbid it are opened up
    /// first: what is removed here is ours.
    pub fn remove(&self, name: &OsStr) -> Result<(), IoError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Linux says ISDIR for a folder, POSIX and macOS say PERM.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(self.failed(name, errno)),
        }
        if !self.look(name)?.is_some_and(Found::is_folder) {
            return Err(self.failed(name, Errno::PERM));
        }
        self.remove_folder(name)
    }

    /// Post-order without recursion: a tree may be deeper than the stack, and each level would hold
    /// a descriptor. Folders are opened by their path below `name`, which a link cannot divert.
    fn remove_folder(&self, name: &OsStr) -> Result<(), IoError> {
        let top = self.open_child(name)?;
        let mut folders = vec![ProjectPath::root()];
        let mut next = 0;
        while next < folders.len() {
            let at = folders[next].clone();
            next += 1;
            let Some(folder) = top.open(&at)? else { continue };
            folder.allow_removal();
            for entry in folder.list()? {
                match rustix::fs::unlinkat(&folder.fd, &*entry, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::ISDIR | Errno::PERM) => folders.push(at.join(&entry)),
                    Err(errno) => return Err(folder.failed(&entry, errno)),
                }
            }
        }
        for at in folders.iter().skip(1).rev() {
            match rustix::fs::unlinkat(&top.fd, at.as_path(), AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(top.failed(at.as_path().as_os_str(), errno)),
            }
        }
        self.remove_empty(name).map(|_| ())
    }

    /// Read-only folders (a module cache, say) would otherwise stay for ever.
    fn allow_removal(&self) {
        let open_enough = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        if rustix::fs::accessat(&self.fd, ".", open_enough, AtFlags::EACCESS).is_err() {
            let _ = rustix::fs::chmodat(&self.fd, ".", Mode::RWXU, AtFlags::empty());
        }
    }

    /// Removes an empty folder; `false` if it is not empty. Fine if it is not there.
    pub fn remove_empty(&self, name: &OsStr) -> Result<bool, IoError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(self.failed(name, errno)),
        }
    }

    /// Whether names can be added and removed here, as far as can be known without trying.
    pub fn check_writable(&self) -> Result<(), IoError> {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(&self.fd, ".", access, AtFlags::EACCESS)
            .map_err(|errno| self.failed(OsStr::new(""), errno))?;
        if is_immutable(&self.fd, OsStr::new("")) { Err(self.failed(OsStr::new(""), Errno::PERM)) } else { Ok(()) }
    }

    /// Whether what is at `name` may be renamed over, as far as can be known without trying: in a
    /// sticky folder only its owner may, and nobody may touch what is marked immutable.
    pub fn check_replaceable(&self, name: &OsStr, there: Found) -> Result<(), IoError> {
        let here = rustix::fs::fstat(&self.fd).map_err(|errno| self.failed(name, errno))?;
        let me = rustix::process::geteuid();
        let sticky = Mode::from_raw_mode(here.st_mode).contains(Mode::SVTX);
        let mine = me.is_root() || here.st_uid == me.as_raw() || there.owner == me.as_raw();
        if sticky && !mine || is_immutable(&self.fd, name) { Err(self.failed(name, Errno::PERM)) } else { Ok(()) }
    }

    fn below(&self, path: &ProjectPath) -> ProjectPath {
        ProjectPath::resolve(&self.path, path.as_path()).unwrap_or_else(|_| path.clone())
    }

    /// An error about `name` in this folder, by meaning.
    pub fn failed(&self, name: &OsStr, errno: Errno) -> IoError {
        let path = if name.is_empty() { self.path.to_string() } else { self.path.join(name).to_string() };
        match errno {
            Errno::NOENT => IoError::NotFound(path),
            Errno::ACCESS | Errno::PERM | Errno::ROFS => IoError::Permission { path },
            Errno::NOSPC | Errno::DQUOT => IoError::NoSpace { path, free: self.free_bytes() },
            _ => IoError::Other { path, cause: errno.to_string() },
        }
    }

    fn other(&self, path: &ProjectPath, cause: String) -> IoError {
        IoError::Other { path: self.below(path).to_string(), cause }
    }

    /// Bytes that this user may still write on the file system of the folder.
    pub fn free_bytes(&self) -> u64 {
        rustix::fs::fstatvfs(&self.fd).map_or(0, |it| it.f_bavail.saturating_mul(it.f_frsize))
    }

    /// Names the shortest prefix of `path` that already fails: the link to blame, not the leaf.
    fn walk_failed(&self, path: &ProjectPath, errno: Errno) -> IoError {
        let mut prefix = PathBuf::new();
        for part in path.as_path() {
            prefix.push(part);
            if open_beneath(&self.fd, &prefix, NAMES_ONLY).is_err_and(|it| it == errno) {
                break;
            }
        }
        let blamed = self.path.join(prefix.as_os_str());
        match errno {
            Errno::XDEV => IoError::Escapes { path: blamed.to_string() },
            Errno::LOOP => IoError::Other { path: blamed.to_string(), cause: "links lead in a circle".to_owned() },
            Errno::NOTDIR => {
                IoError::WrongKind { path: blamed.to_string(), expected: "a folder", found: "a file or broken link" }
            }
            _ => self.failed(prefix.as_os_str(), errno),
        }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `XDEV` if the walk would leave `root`.
fn open_beneath(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
                // The kernel could not prove that a rename elsewhere did not move us out: ask again.
                Err(Errno::AGAIN | Errno::INTR) => {}
                // An old kernel, or a sandbox that does not know the call.
                Err(Errno::NOSYS | Errno::PERM) => break,
                other => return other,
            }
        }
    }
    open_step_by_step(root, path, flags)
}

/// One name at a time and through no link at all: stricter than `openat2`, never laxer.
fn open_step_by_step(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut at: Option<OwnedFd> = None;
    for part in path {
        let from = at.as_ref().unwrap_or(root);
        let next = rustix::fs::openat(from, part, flags | OFlags::NOFOLLOW, Mode::empty());
        at = Some(match next {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let stat = rustix::fs::statat(from, part, AtFlags::SYMLINK_NOFOLLOW)?;
                let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
                return Err(if is_link { Errno::XDEV } else { Errno::NOTDIR });
            }
            other => other?,
        });
    }
    at.ok_or(Errno::INVAL)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_immutable(folder: &OwnedFd, name: &OsStr) -> bool {
    use rustix::fs::{StatxAttributes, StatxFlags, statx};
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    statx(folder, name, flags, StatxFlags::TYPE)
        .is_ok_and(|it| it.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_immutable(_folder: &OwnedFd, _name: &OsStr) -> bool {
    false
}

#[expect(clippy::useless_conversion, clippy::unnecessary_cast, reason = "widths differ between systems")]
fn found(stat: &Stat) -> Found {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Odd,
    };
    let signature = Signature {
        dev: stat.st_dev as u64,
        ino: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: nanoseconds(stat.st_mtime.into(), stat.st_mtime_nsec as i64),
        ctime_ns: nanoseconds(stat.st_ctime.into(), stat.st_ctime_nsec as i64),
        kind,
        executable: stat.st_mode & 0o100 != 0,
    };
    Found { signature, owner: stat.st_uid }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs;

    fn path(text: &str) -> ProjectPath {
        ProjectPath::resolve(&ProjectPath::root(), text).unwrap()
    }

    /// What old kernels get, which newer ones would never run.
    #[test]
    fn step_by_step_no_link_is_followed() {
        let project = tempfile::tempdir().unwrap();
        fs::create_folder(&project.path().join("a/b")).unwrap();
        fs::write(&project.path().join("a/file"), b"").unwrap();
        rustix::fs::symlink("/", project.path().join("a/out")).unwrap();
        let root = rustix::fs::open(project.path(), NAMES_ONLY, Mode::empty()).unwrap();
        let open = |text: &str| open_step_by_step(&root, Path::new(text), NAMES_ONLY).map(|_| ());
        assert_eq!(open("a/b"), Ok(()));
        assert_eq!(open("a/none"), Err(Errno::NOENT));
        assert_eq!(open("a/file"), Err(Errno::NOTDIR));
        assert_eq!(open("a/out"), Err(Errno::XDEV));
        assert_eq!(open("a/out/etc"), Err(Errno::XDEV));
    }

    #[test]
    fn what_is_in_the_way_of_a_folder_is_named() {
        let project = tempfile::tempdir().unwrap();
        fs::write(&project.path().join("file"), b"").unwrap();
        rustix::fs::symlink("nowhere", project.path().join("dangling")).unwrap();
        rustix::fs::symlink("loop", project.path().join("loop")).unwrap();
        let root = Folder::open_root(project.path(), Swaps::Allowed).unwrap();
        let failed = |text: &str| root.make(&path(text)).unwrap_err().to_string();
        assert_eq!(failed("file/b"), "output file is a file or broken link, expected a folder");
        assert_eq!(failed("dangling/b"), "dangling: is a link that leads nowhere");
        assert_eq!(failed("loop/b"), "loop: links lead in a circle");
        assert_eq!(root.make(&path("new/deep")).unwrap().path(), &path("new/deep"));
    }
}
