//! Who works on what, across processes: byte ranges of one file, locked by the kernel.
//!
//! Every asset partition is one byte of `.assets/locks/assets`, at a place hashed from its name. The
//! locks belong to the open file, not to a process: the supervisor holds the same open file, so that
//! they are free only when the tool and everything it started are gone. Nothing has to be unlocked by
//! hand, ever; process ids are only shown to people.
//!
//! The kernel does not keep apart two users of one open file, so that is done here: readers of one
//! process are counted, and a writer excludes everybody else in the process too.

use std::{
    collections::BTreeMap,
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};

use crate::{
    base::{
        digest::Digest,
        fs::{self, FsError},
        sabotage::Protection,
    },
    model::key::{AssetKey, PartitionKey},
};

/// The place of one asset partition in the lock file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LockName(i64);

impl LockName {
    pub fn of(key: &AssetKey, partition: &PartitionKey) -> Self {
        // Neither may contain a zero byte. Two names that meet in 62 bits only wait for each other.
        Self::of_text(&format!("{key}\0{}", partition.as_str()))
    }

    /// For what is locked and is no asset partition.
    pub fn of_text(name: &str) -> Self {
        let digest = Digest::derive("assets 2026 lock name v1", name.as_bytes());
        let first = digest.0.first_chunk::<8>().expect("a digest has 32 bytes");
        LockName(i64::from_le_bytes(*first) & ((1 << 62) - 1))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(transparent)]
    File(#[from] FsError),
    #[error("{path} cannot be locked: {cause}", path = path.display())]
    NotSupported { path: PathBuf, cause: String },
}

/// The lock file, opened once per process.
pub struct LockTable {
    path: PathBuf,
    file: File,
    held: Mutex<BTreeMap<LockName, Held>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    Shared(usize),
    Exclusive,
}

/// What asking for locks came to.
#[derive(Debug)]
pub enum Locked {
    Held(LockGuard),
    /// Somebody holds this one; nothing was locked. Ask again later.
    Busy(LockName),
}

impl Locked {
    pub fn guard(self) -> Option<LockGuard> {
        match self {
            Locked::Held(it) => Some(it),
            Locked::Busy(_) => None,
        }
    }
}

/// Frees its locks when it is dropped.
#[must_use = "dropping it frees the locks"]
pub struct LockGuard {
    table: Arc<LockTable>,
    names: Vec<(LockName, Held)>,
}

/// Who holds a lock, as far as can be seen. For people only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

impl LockTable {
    /// Makes the file and its folder if they are not there.
    pub fn open(path: &Path) -> Result<Arc<Self>, LockError> {
        if let Some(folder) = path.parent() {
            fs::create_folder(folder)?;
        }
        let file = fs::open_or_create(path)?;
        Ok(Arc::new(LockTable { path: path.to_owned(), file, held: Mutex::default() }))
    }

    /// The same open file once more: whoever keeps it keeps every lock of this table.
    pub fn share(&self) -> Result<OwnedFd, LockError> {
        self.file.try_clone().map(OwnedFd::from).map_err(|it| self.not_supported(&it.to_string()))
    }

    pub fn try_shared(self: &Arc<Self>, names: &[LockName]) -> Result<Locked, LockError> {
        self.try_lock(names, &[])
    }

    pub fn try_exclusive(self: &Arc<Self>, names: &[LockName]) -> Result<Locked, LockError> {
        self.try_lock(&[], names)
    }

    /// Locks all or nothing, without waiting. A shared lock is never turned into an exclusive one while
    /// it is held: that is `Busy`, in this process too.
    pub fn try_lock(self: &Arc<Self>, shared: &[LockName], exclusive: &[LockName]) -> Result<Locked, LockError> {
        let mut wanted: BTreeMap<LockName, Held> = shared.iter().map(|it| (*it, Held::Shared(1))).collect();
        wanted.extend(exclusive.iter().map(|it| (*it, Held::Exclusive)));
        let mut guard = LockGuard { table: Arc::clone(self), names: Vec::with_capacity(wanted.len()) };
        for (name, how) in wanted {
            if !self.take(name, how)? {
                return Ok(Locked::Busy(name));
            }
            guard.names.push((name, how));
        }
        Ok(Locked::Held(guard))
    }

    /// Which other process holds `name`; `None` if nobody does or it cannot be seen.
    pub fn holder(&self, name: LockName) -> Option<Holder> {
        let ours = self.file.metadata().ok()?;
        let inode = format!(":{} ", ours.ino());
        let place = format!(" {} {}", name.0, name.0);
        let processes = fs::list(Path::new("/proc")).ok().flatten().unwrap_or_default();
        for process in processes {
            let Some(pid) = process.file_name().to_str().and_then(|it| it.parse::<u32>().ok()) else { continue };
            if pid != std::process::id() && holds(pid, &inode, &place) {
                let words = fs::read_if_there(&process.path().join("cmdline")).ok().flatten().unwrap_or_default();
                let words = String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
                return Some(Holder { pid, command: words });
            }
        }
        None
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<LockName, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, name: LockName, how: Held) -> Result<bool, LockError> {
        let mut held = self.held();
        let now = match (held.get(&name), how) {
            (None, Held::Shared(_)) if self.set(name, libc::F_RDLCK)? => Held::Shared(1),
            (None, Held::Exclusive) if self.set(name, libc::F_WRLCK)? => Held::Exclusive,
            (Some(Held::Shared(count)), Held::Shared(_)) => Held::Shared(count + 1),
            _ => return Ok(false),
        };
        held.insert(name, now);
        Ok(true)
    }

    fn free(&self, name: LockName) {
        let mut held = self.held();
        if let Some(Held::Shared(count @ 2..)) = held.get_mut(&name) {
            *count -= 1;
            return;
        }
        held.remove(&name);
        // Unlocking a range that is locked cannot fail; and the end of the process frees it anyway.
        let _ = self.set(name, libc::F_UNLCK);
    }

    /// `false` if another open file is in the way.
    fn set(&self, name: LockName, kind: libc::c_int) -> Result<bool, LockError> {
        let range = libc::flock {
            l_type: libc::c_short::try_from(kind).expect("one of three small numbers"),
            l_whence: libc::c_short::try_from(libc::SEEK_SET).expect("zero"),
            l_start: name.0,
            l_len: 1,
            l_pid: 0,
        };
        if Protection::Locks.is_off() {
            return Ok(true);
        }
        loop {
            return match fcntl(self.file.as_fd(), FcntlArg::F_OFD_SETLK(&range)) {
                Ok(_) => Ok(true),
                Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
                Err(Errno::EINTR) => continue,
                Err(error) => Err(self.not_supported(error.desc())),
            };
        }
    }

    fn not_supported(&self, cause: &str) -> LockError {
        LockError::NotSupported { path: self.path.clone(), cause: cause.to_owned() }
    }
}

/// The kernel writes the locks of an open file below each descriptor that leads to it.
fn holds(pid: u32, inode: &str, place: &str) -> bool {
    let entries = fs::list(Path::new(&format!("/proc/{pid}/fdinfo"))).ok().flatten().unwrap_or_default();
    entries.iter().any(|it| {
        let text = fs::read_if_there(&it.path()).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().any(|it| it.starts_with("lock:") && it.contains(inode) && it.ends_with(place))
    })
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        for (name, _) in self.names.drain(..) {
            self.table.free(name);
        }
    }
}

impl std::fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tables on one file are as two processes: their open files differ.
    struct Bench {
        _folder: tempfile::TempDir,
        ours: Arc<LockTable>,
        theirs: Arc<LockTable>,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("locks/assets");
            let (ours, theirs) = (LockTable::open(&path).unwrap(), LockTable::open(&path).unwrap());
            Bench { _folder: folder, ours, theirs }
        }
    }

    fn name(text: &str) -> LockName {
        LockName::of_text(text)
    }

    fn is_held(locked: &Result<Locked, LockError>) -> bool {
        matches!(locked, Ok(Locked::Held(_)))
    }

    #[test]
    fn readers_share_and_a_writer_excludes() {
        let bench = Bench::new();
        for (first, second) in [(&bench.ours, &bench.theirs), (&bench.ours, &bench.ours)] {
            let reader = first.try_shared(&[name("a")]).unwrap().guard().unwrap();
            assert!(is_held(&second.try_shared(&[name("a")])));
            assert!(!is_held(&second.try_exclusive(&[name("a")])));
            assert!(is_held(&second.try_exclusive(&[name("b")])));
            drop(reader);
            let writer = first.try_exclusive(&[name("a")]).unwrap().guard().unwrap();
            assert!(!is_held(&second.try_shared(&[name("a")])));
            assert!(!is_held(&second.try_exclusive(&[name("a")])));
            drop(writer);
            assert!(is_held(&second.try_exclusive(&[name("a")])));
        }
    }

    #[test]
    fn the_last_reader_of_a_process_frees_the_lock() {
        let bench = Bench::new();
        let one = bench.ours.try_shared(&[name("a")]).unwrap();
        let two = bench.ours.try_shared(&[name("a")]).unwrap();
        drop(one);
        assert!(!is_held(&bench.theirs.try_exclusive(&[name("a")])));
        drop(two);
        assert!(is_held(&bench.theirs.try_exclusive(&[name("a")])));
    }

    #[test]
    fn all_or_nothing_is_locked() {
        let bench = Bench::new();
        let theirs = bench.theirs.try_exclusive(&[name("b")]).unwrap();
        let answer = bench.ours.try_lock(&[name("a"), name("b")], &[name("c")]).unwrap();
        assert!(matches!(answer, Locked::Busy(it) if it == name("b")));
        assert!(is_held(&bench.theirs.try_exclusive(&[name("a"), name("c")])));
        drop(theirs);
        assert!(is_held(&bench.ours.try_lock(&[name("a"), name("b")], &[name("c")])));
    }

    #[test]
    fn a_name_asked_for_twice_is_locked_the_stronger_way() {
        let bench = Bench::new();
        let both = bench.ours.try_lock(&[name("a"), name("a")], &[name("a")]).unwrap();
        assert!(!is_held(&bench.theirs.try_shared(&[name("a")])));
        drop(both);
        assert!(is_held(&bench.theirs.try_exclusive(&[name("a")])));
    }

    #[test]
    fn a_shared_open_file_keeps_the_locks_of_a_table_that_is_gone() {
        let Bench { _folder, ours, theirs } = Bench::new();
        assert!(ours.take(name("a"), Held::Exclusive).unwrap());
        let kept = ours.share().unwrap();
        // As when the tool dies: its descriptor goes, and nothing is unlocked.
        drop(ours);
        assert!(!is_held(&theirs.try_shared(&[name("a")])));
        drop(kept);
        assert!(is_held(&theirs.try_shared(&[name("a")])));
    }

    #[test]
    fn partitions_of_one_asset_are_apart() {
        let key = |it: &str| AssetKey::parse(it).unwrap();
        let places = [("a", ""), ("a", "b"), ("a/b", ""), ("ab", "")]
            .map(|(asset, partition)| LockName::of(&key(asset), &PartitionKey::new(partition)));
        assert!((0..4).all(|it| !places[..it].contains(&places[it])));
        assert!(places.iter().all(|it| (0..1 << 62).contains(&it.0)));
    }
}
