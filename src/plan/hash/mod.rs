//! What files are: signatures, digests, and when a signature may stand for a digest.
//!
//! [`Sweep`] answers for files and folders, [`Sweep::expand`] for patterns; both remember in a
//! [`FileCache`], which may be lost at any time and costs only speed.
//!
//! **Links.** A path that is asked for by name stands for what a reader of it gets: links are
//! followed, also out of the project, and the signature is that of the file they lead to, so that
//! both a changed file and a link turned elsewhere are seen. A link that leads nowhere, or in a
//! circle, is [`FileFact::Unreadable`]. So is what lies in a folder that is asked for like that. In an
//! *output* folder what lies in it is kept as it is: there a link is a link, and its content is its target as written.

pub mod boot;
pub mod cache;
mod file;
mod file_system;
mod folder;
pub mod glob;
mod listing;
mod signature;
mod sweep;
pub mod tree;

use crate::{
    base::{digest::Digest, path::ProjectPath},
    plan::record::TrackedFile,
};

pub use cache::FileCache;
pub use file::UNSTEADY;
pub use glob::GlobError;
pub use listing::Listing;
pub use signature::{FileKind, Links, Seen, Signature};
pub use sweep::{Sweep, Trust, Verified};
pub use tree::{Tree, TreeError};

/// What a path was found to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileFact {
    Missing,
    /// A file, a link (digest of its target) or a whole folder (framed Merkle digest).
    Present {
        signature: Signature,
        digest: Digest,
        /// As young as its own reading: the signature alone does not prove the digest.
        racy: bool,
    },
    /// FIFO, socket or device: never content.
    Odd,
    /// It is there but cannot be read, or would not hold still while it was read.
    Unreadable(String),
}

impl FileFact {
    pub fn digest(&self) -> Option<Digest> {
        match self {
            FileFact::Present { digest, .. } => Some(*digest),
            _ => None,
        }
    }

    /// As it is recorded of an output; `None` if there is nothing to record. A folder is recorded
    /// with all that is in it: [`Tree::entries`].
    pub fn tracked(&self, path: ProjectPath) -> Option<TrackedFile> {
        match *self {
            FileFact::Present { signature, digest, racy } if signature.kind != FileKind::Folder => {
                Some(TrackedFile { path, signature, digest, racy })
            }
            _ => None,
        }
    }
}
