//! Facts about the machine that decide what survives: the boot, and the kinds of its file systems.

use std::{os::fd::AsFd, path::Path};

use crate::base::{
    fs::{self, FsError},
    sabotage,
};

/// Names the time since the machine was started. `None` where the system does not say: then no two
/// sessions are known to be of one boot.
pub fn boot_id() -> Option<String> {
    let text = fs::read(Path::new("/proc/sys/kernel/random/boot_id")).ok()?;
    let text = String::from_utf8(text).ok()?;
    Some(text.trim().to_owned()).filter(|it| !it.is_empty())
}

/// Writes out everything that the file systems of `paths` still hold in memory, each once. A path
/// that is not there is passed over: nothing of it can be lost.
///
/// # Errors
/// The first file system that could not be written out; what it held may be lost.
pub fn sync_file_systems<'a>(paths: impl IntoIterator<Item = &'a Path>) -> fs::Result<()> {
    let mut done = std::collections::BTreeSet::new();
    for path in paths {
        let failed = |errno: rustix::io::Errno| FsError {
            doing: "write out the file system of",
            path: path.to_owned(),
            source: errno.into(),
        };
        let opened = match fs::open(path) {
            Ok(it) => it,
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error),
        };
        let dev = rustix::fs::fstat(&opened).map_err(failed)?.st_dev;
        if done.insert(dev) {
            sync(&opened).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn sync(on: &std::fs::File) -> Result<(), rustix::io::Errno> {
    rustix::fs::syncfs(on)
}

/// Without `syncfs`, everything is written out.
#[cfg(not(target_os = "linux"))]
fn sync(_on: &std::fs::File) -> Result<(), rustix::io::Errno> {
    rustix::fs::sync();
    Ok(())
}

/// Whether `path` lies on a file system whose locks, device numbers and clocks are not this machine's
/// own. What cannot be asked is not counted as one.
pub fn is_on_network(path: &Path) -> bool {
    fs::open(path).ok().and_then(kind_of_open).is_some_and(is_network)
}

/// The magic number of the file system that `opened` is on; `None` where there is none.
#[cfg(target_os = "linux")]
pub(super) fn kind_of_open(opened: impl AsFd) -> Option<u32> {
    // Magic numbers have 32 bits; the field is wider on some machines, and signed.
    rustix::fs::fstatfs(opened).ok().map(|it| it.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn kind_of_open(_opened: impl AsFd) -> Option<u32> {
    Some(0)
}

/// By magic number. FUSE counts: what is behind it is not known.
pub(super) fn is_network(kind: u32) -> bool {
    const NETWORK: [u32; 15] = [
        0x6969,      // NFS
        0x517B,      // SMB
        0xFF53_4D42, // CIFS
        0xFE53_4D42, // SMB2
        0x0102_1997, // 9p
        0x6573_5546, // FUSE
        0x00C3_6400, // Ceph
        0x5346_414F, // AFS
        0x6B41_4653, // AFS of the kernel
        0x1983_0326, // BeeGFS
        0x7375_7245, // Coda
        0x0BD0_0BD0, // Lustre
        0x4750_4653, // GPFS
        0x7461_636F, // OCFS2
        0x786F_4256, // VirtualBox shared folder
    ];
    NETWORK.contains(&kind) || sabotage::is_on_network()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_number() {
        assert!(is_network(0x6969) && is_network(0xFF53_4D42) && is_network(0x6573_5546));
        let ext4_btrfs_xfs_tmpfs_overlay = [0xEF53, 0x9123_683E, 0x5846_5342, 0x0102_1994, 0x794C_7630];
        assert!(!ext4_btrfs_xfs_tmpfs_overlay.into_iter().any(is_network));
    }

    #[test]
    fn what_is_not_there_is_synced_without_complaint() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        sync_file_systems([folder.path(), &missing, folder.path()]).unwrap();
    }

    #[test]
    fn a_boot_has_one_name() {
        assert_eq!(boot_id(), boot_id());
    }
}
