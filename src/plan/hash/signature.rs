//! What `statx` says of files, asked for many at once: grouped by folder, on a few threads.
//!
//! Knows nothing of content, and nothing of when a signature may be believed (that is `file_system`).

use std::{
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic::resume_unwind,
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags},
    io::Errno,
};

use crate::base::sabotage::Protection;

/// What `statx` says of a file, as far as a change of content would change it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Signature {
    /// 0 where device numbers are not stable (network file systems).
    pub dev: u64,
    pub ino: u64,
    pub size: u64,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub kind: FileKind,
    /// Executable by its owner: part of what a folder's content is.
    pub executable: bool,
}

impl Signature {
    pub(super) fn newest_ns(&self) -> i64 {
        self.mtime_ns.max(self.ctime_ns)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum FileKind {
    #[default]
    File = 0,
    Folder = 1,
    Link = 2,
    /// FIFO, socket or device.
    Odd = 3,
}

impl FileKind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Link,
            _ => FileKind::Odd,
        }
    }
}

/// Whether a link at the end of a path is looked at itself or stands for what it leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    Follow,
    Keep,
}

/// What was found at a path. `dev` is as the kernel gives it, also on network file systems.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    Missing,
    Found(Signature),
    Failed(Errno),
}

impl Seen {
    fn of(result: Result<Signature, Errno>) -> Self {
        match result {
            Ok(it) => Seen::Found(it),
            Err(Errno::NOENT | Errno::NOTDIR) => Seen::Missing,
            Err(error) => Seen::Failed(error),
        }
    }
}

/// Only what a signature holds is asked for. Not `AT_STATX_DONT_SYNC`: on a local file system it
/// changes nothing, and on a network one it would let a client answer from its memory.
#[cfg(target_os = "linux")]
fn ask(folder: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> Result<Signature, Errno> {
    use rustix::fs::{StatxFlags, StatxTimestamp};
    let mask = StatxFlags::TYPE
        | StatxFlags::MODE
        | StatxFlags::INO
        | StatxFlags::SIZE
        | StatxFlags::MTIME
        | StatxFlags::CTIME;
    let found = rustix::fs::statx(folder, name, flags, mask)?;
    let at = |it: StatxTimestamp| nanoseconds(it.tv_sec, i64::from(it.tv_nsec));
    Ok(Signature {
        dev: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        size: found.stx_size,
        mtime_ns: at(found.stx_mtime),
        ctime_ns: if Protection::ChangeTime.is_off() { 0 } else { at(found.stx_ctime) },
        kind: FileKind::of(FileType::from_raw_mode(found.stx_mode.into())),
        executable: found.stx_mode & 0o100 != 0,
    })
}

#[cfg(not(target_os = "linux"))]
fn ask(folder: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> Result<Signature, Errno> {
    let found = if name.is_empty() { rustix::fs::fstat(folder)? } else { rustix::fs::statat(folder, name, flags)? };
    Ok(Signature {
        dev: found.st_dev as u64,
        ino: found.st_ino,
        size: found.st_size as u64,
        mtime_ns: nanoseconds(found.st_mtime, found.st_mtime_nsec),
        ctime_ns: nanoseconds(found.st_ctime, found.st_ctime_nsec),
        kind: FileKind::of(FileType::from_raw_mode(found.st_mode)),
        executable: found.st_mode & 0o100 != 0,
    })
}

/// Times that no 64 bits of nanoseconds can hold (before 1678, after 2261) meet at the ends; a file
/// at the far end counts as from the future, so it is never believed.
fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// A path as `*at` calls take it: the folder itself is `.`.
fn named(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

pub(super) fn look_at(folder: impl AsFd, name: &[u8], links: Links) -> Seen {
    let flags = match links {
        Links::Follow => AtFlags::empty(),
        Links::Keep => AtFlags::SYMLINK_NOFOLLOW,
    };
    Seen::of(ask(folder.as_fd(), named(name), flags))
}

/// The signature of what is open.
pub(super) fn look_at_open(file: impl AsFd) -> Result<Signature, Errno> {
    #[cfg(target_os = "linux")]
    let flags = AtFlags::EMPTY_PATH;
    #[cfg(not(target_os = "linux"))]
    let flags = AtFlags::empty();
    ask(file.as_fd(), b"", flags)
}

/// Opens a folder to look up names in, no more.
pub(super) fn open_to_look(folder: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(folder, named(path), flags, Mode::empty())
}

/// Opens whatever the path leads to, only to ask about it: nothing is read, no FIFO waits.
pub(super) fn open_to_ask(folder: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(folder, named(path), flags, Mode::empty())
}

pub(super) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Below this many names in one folder, opening it costs more than it saves.
const WORTH_OPENING: usize = 8;

/// Below this many questions, another thread costs more than it saves: starting and ending one takes
/// some 25 system calls.
const STATS_PER_THREAD: usize = 2000;

const THREADS_MAX: usize = 16;

/// Looks at `count` paths below `root`, in the order given. Fastest where paths of one folder follow
/// each other; any order is right.
pub(super) fn look_at_all<'a>(
    root: BorrowedFd<'_>,
    count: usize,
    path_of: impl Fn(usize) -> &'a [u8] + Sync,
    links: Links,
) -> Vec<Seen> {
    let mut found = vec![Seen::Missing; count];
    let share = share_of(count);
    let parts = found.chunks_mut(share).enumerate().map(|(at, part)| (at * share, part));
    let look = |(start, part): (usize, &mut [Seen])| {
        look_at_some(root, start..start + part.len(), &path_of, links, |index, seen| part[index - start] = seen);
    };
    on_threads(parts, look);
    found
}

/// Places below `count`, in shares for a few threads.
pub(super) fn shares(count: usize) -> impl Iterator<Item = Range<usize>> {
    let share = share_of(count);
    (0..count).step_by(share).map(move |start| start..(start + share).min(count))
}

fn share_of(count: usize) -> usize {
    count.div_ceil(threads_for(count)).max(1)
}

/// Does each part on a thread of its own, the first one here; what came of them, in order.
pub(super) fn on_threads<P: Send, T: Send>(mut parts: impl Iterator<Item = P>, work: impl Fn(P) -> T + Sync) -> Vec<T> {
    let Some(own) = parts.next() else { return Vec::new() };
    std::thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = parts.map(|it| scope.spawn(move || work(it))).collect();
        let own = work(own);
        let done = |it: std::thread::ScopedJoinHandle<'_, T>| it.join().unwrap_or_else(|it| resume_unwind(it));
        std::iter::once(own).chain(others.into_iter().map(done)).collect()
    })
}

fn threads_for(count: usize) -> usize {
    let useful = (count / STATS_PER_THREAD).clamp(1, THREADS_MAX);
    if useful == 1 { 1 } else { useful.min(std::thread::available_parallelism().map_or(1, usize::from)) }
}

/// Tells what is at each of these places, in order.
pub(super) fn look_at_some<'a>(
    root: BorrowedFd<'_>,
    range: Range<usize>,
    path_of: &impl Fn(usize) -> &'a [u8],
    links: Links,
    mut tell: impl FnMut(usize, Seen),
) {
    let mut at = range.start;
    while at < range.end {
        let (folder, _) = split(path_of(at));
        let end = (at + 1..range.end).find(|&it| split(path_of(it)).0 != folder).unwrap_or(range.end);
        let opened = if end - at >= WORTH_OPENING { open_to_look(root, folder).ok() } else { None };
        for index in at..end {
            let path = path_of(index);
            let seen = match &opened {
                Some(folder) => look_at(folder, split(path).1, links),
                None => look_at(root, path, links),
            };
            tell(index, seen);
        }
        at = end;
    }
}

/// The folder of a path, and the name in it.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|it| *it == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
