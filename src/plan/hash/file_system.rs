//! File systems that were met: whether they are on a network, and what time it is on them.
//!
//! # When a signature may stand for a digest
//!
//! A file is hashed between two equal looks at it. Its signature may later stand for the digest only if
//! every later write would change the signature. A write sets `ctime` (nobody can set it back) to the
//! file system's idea of now, so the question is whether a later write could get the *same* time as
//! the one that was seen. Asking the wall clock cannot answer that: the file system may live on another
//! machine, and the kernel stamps files with a clock that stands still for milliseconds (coarse), or
//! stores whole seconds.
//!
//! So the file system itself is asked: just before hashing, a nameless file on the same file system is
//! written and its stamp read, the moment T0. Stamps are cut the same way and do not run backwards, so
//! every write after T0 gets a time of at least T0, and a file whose newest stamp is *older* than T0
//! cannot be written again unseen. A file that is not older is **racy**: it is hashed again next time.
//! A file from the future (mtime is free to be set) is racy for as long as it is in the future.
//!
//! How much older it must be, by what the probe shows:
//!
//! - Two stamps less than half a millisecond apart: the clock is fine (kernels with multigrain
//!   timestamps, 6.13 and later, where a look makes the next write get a distinct time, or a file system
//!   that always stamps finely). Any amount will do: on a multigrain kernel T0 is raised above every stamp
//!   handed out before, so even a file written a microsecond ago is strictly older and not racy.
//! - A coarse clock: 10 ms, the longest tick there is, although equal cutting alone would allow none.
//! - Whole seconds: 1 s; even seconds (FAT): 2 s.
//! - A network: 2 s, and device numbers are left out of signatures, because clients renumber them.
//! - It cannot be written to: no probe. A local one goes by the kernel's clock, less 2 s; a network
//!   one by the newest `ctime` that was seen on it, which its clock must have reached, less 2 s.
//!
//! What no signature shows: a write through a long-lived shared mapping, and a write call that was
//! stamped before the look but copies its bytes after it. Only `Trust::Nothing` finds those.

use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use crate::{
    base::{clock::file_clock_ns, fs::FsError},
    plan::hash::{
        Signature,
        boot::{is_network, kind_of_open},
        signature::{look_at_open, open_root, open_to_ask, open_to_look, split},
    },
};

/// Where a probe may have a name for a moment, if it cannot do without.
const STATE_FOLDER: &[u8] = b".assets";

const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLISECOND;

/// Ticks of the kernel are at least 1 ms; two stamps closer than this come from a fine clock.
const FINE_STEP: i64 = MILLISECOND / 2;

/// Enough pairs that a tick or a pause falls into all of them only where time really stands still.
const PROBES: usize = 8;

/// The folder everything is seen from, and the file systems met below it.
pub(super) struct World {
    root: OwnedFd,
    systems: RwLock<HashMap<u64, Arc<FileSystem>>>,
}

impl World {
    pub(super) fn open(root: &Path) -> Result<Self, FsError> {
        let opened = open_root(root).map_err(|errno| FsError {
            doing: "open the folder",
            path: root.to_owned(),
            source: errno.into(),
        })?;
        Ok(World { root: opened, systems: RwLock::default() })
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The file system with this device number; `path` is something on it.
    pub(super) fn system(&self, dev: u64, path: &[u8]) -> Arc<FileSystem> {
        let known = self.systems.read().unwrap_or_else(PoisonError::into_inner).get(&dev).cloned();
        known.unwrap_or_else(|| {
            let met = Arc::new(FileSystem::meet(self.root(), dev, path));
            let mut systems = self.systems.write().unwrap_or_else(PoisonError::into_inner);
            systems.entry(dev).or_insert(met).clone()
        })
    }
}

/// One mounted file system.
pub(super) struct FileSystem {
    dev: u64,
    /// A folder on it, for the probe.
    near: Box<[u8]>,
    network: bool,
    probe: OnceLock<Option<Probe>>,
    /// Of all files hashed on it.
    newest_ctime_ns: AtomicI64,
}

/// A time on one file system: everything written later is stamped with it or later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    /// Stamps from here on are racy.
    racy_from_ns: i64,
}

impl Moment {
    pub(super) fn is_racy(self, signature: &Signature) -> bool {
        signature.newest_ns() >= self.racy_from_ns
    }
}

impl FileSystem {
    fn meet(root: BorrowedFd<'_>, dev: u64, path: &[u8]) -> Self {
        // The folder first: a file of the state must not be opened, however briefly, beside its database.
        // What cannot be asked (any more) is treated as the more doubtful of the two.
        let kind = [split(path).0, path, b""].into_iter().find_map(|it| kind_of(root, it, dev));
        FileSystem {
            dev,
            near: split(path).0.into(),
            network: kind.is_none_or(is_network),
            probe: OnceLock::new(),
            newest_ctime_ns: AtomicI64::new(i64::MIN),
        }
    }

    pub(super) fn is_network(&self) -> bool {
        self.network
    }

    /// As it is kept: without the device where its number is not stable.
    pub(super) fn stable(&self, mut signature: Signature) -> Signature {
        if self.network {
            signature.dev = 0;
        }
        signature
    }

    /// What time it is here. Asked just before a file is read.
    pub(super) fn moment(&self, root: BorrowedFd<'_>) -> Moment {
        let probe = self.probe.get_or_init(|| Probe::open(root, &self.near, self.dev));
        let window_ns = match probe {
            Some(it) if !self.network => it.window_ns,
            _ => 2 * SECOND,
        };
        let now_ns = probe.as_ref().and_then(Probe::now_ns).unwrap_or_else(|| {
            if self.network { self.newest_ctime_ns.load(Ordering::Relaxed) } else { file_clock_ns() }
        });
        Moment { racy_from_ns: now_ns.saturating_sub(window_ns) }
    }

    /// A file with this `ctime` is there, so the clock has come that far.
    pub(super) fn has_stamped(&self, signature: &Signature) {
        self.newest_ctime_ns.fetch_max(signature.ctime_ns, Ordering::Relaxed);
    }
}

/// The kind of file system that `path` leads to, if that is the one numbered `dev`.
fn kind_of(root: BorrowedFd<'_>, path: &[u8], dev: u64) -> Option<u32> {
    let opened = open_to_ask(root, path).ok()?;
    let same = look_at_open(&opened).is_ok_and(|it| it.dev == dev);
    if same { kind_of_open(opened) } else { None }
}

/// A nameless file that is written to read the clock of its file system.
struct Probe {
    file: Mutex<OwnedFd>,
    window_ns: i64,
    fine: bool,
}

impl Probe {
    fn open(root: BorrowedFd<'_>, near: &[u8], dev: u64) -> Option<Self> {
        let file = [STATE_FOLDER, near]
            .into_iter()
            .filter_map(|folder| open_to_look(root, folder).ok())
            .filter(|folder| look_at_open(folder).is_ok_and(|it| it.dev == dev))
            .find_map(|folder| nameless(&folder).ok())
            .or_else(|| briefly_named(root, dev).ok())?;
        let mut stamps = Vec::with_capacity(PROBES);
        for _ in 0..PROBES {
            stamps.push(stamp(&file).ok()?);
        }
        let (fine, window_ns) = judge(&stamps);
        Some(Probe { file: Mutex::new(file), window_ns, fine })
    }

    fn now_ns(&self) -> Option<i64> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // On a multigrain kernel the first write may get a coarse time, which other files may share;
        // after a look at it, the second gets a time that nothing had before.
        let first = stamp(&file).ok()?;
        if self.fine { stamp(&file).ok() } else { Some(first) }
    }
}

/// Whether a clock that gave these stamps one right after another is fine, and how much older than now a
/// file must be by it.
fn judge(stamps: &[i64]) -> (bool, i64) {
    let fine = stamps.windows(2).any(|it| (1..FINE_STEP).contains(&(it[1] - it[0])));
    let whole = |unit: i64| stamps.iter().all(|it| it % unit == 0);
    let window_ns = match () {
        () if fine => 0,
        () if whole(2 * SECOND) => 2 * SECOND,
        () if whole(SECOND) => SECOND,
        () => 10 * MILLISECOND,
    };
    (fine, window_ns)
}

/// Writes and looks.
fn stamp(file: &OwnedFd) -> Result<i64, Errno> {
    rustix::io::pwrite(file, b"0", 0)?;
    Ok(look_at_open(file)?.ctime_ns)
}

/// In `folder`, but never seen there: nothing about the folder changes.
#[cfg(target_os = "linux")]
fn nameless(folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, c".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    Err(Errno::OPNOTSUPP)
}

/// For file systems without nameless files. Only in the tool's own folder, and only if it is there.
fn briefly_named(root: BorrowedFd<'_>, dev: u64) -> Result<OwnedFd, Errno> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let folder = open_to_look(root, STATE_FOLDER)?;
    if look_at_open(&folder)?.dev != dev {
        return Err(Errno::XDEV);
    }
    let name = format!(".clock-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, name.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::unlinkat(&folder, name.as_str(), AtFlags::empty())?;
    Ok(file)
}

#[cfg(test)]
mod tests;
