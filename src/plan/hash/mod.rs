//! What files are: signatures, digests, and when a signature may stand for a digest.

use crate::base::digest::Digest;

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

/// What a path was found to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileFact {
    Missing,
    /// A file, a link (digest of its target) or a whole folder (framed Merkle digest).
    Present {
        signature: Signature,
        digest: Digest,
    },
    /// FIFO, socket or device: never content.
    Odd,
    /// It is there but cannot be read, or would not hold still while it was read.
    Unreadable(String),
}
