//! A whole folder as content: a framed Merkle tree, and everything in it one by one.
//!
//! The digest of a folder is blake3, in a domain of its own, of its entries in byte order of their
//! names. For each: kind (`f`, `x` an executable file, `d`, `l`), length of the name (u64, little
//! endian), the name, digest. Files count by content, links by their target as written, folders by
//! their own digest, empty ones too. Times, owners, other permissions and the folder's own name do not
//! count. What is neither file, link nor folder makes the whole an error that names it.

use std::os::unix::ffi::OsStrExt;

use crate::{
    base::{digest::Digest, path::ProjectPath},
    plan::{
        hash::{
            FileFact, FileKind, Links, Seen, Signature,
            file::{Reader, UNSTEADY},
            file_system::World,
            folder::list,
            signature::look_at,
        },
        record::TrackedFile,
    },
};

const CONTEXT: &str = "assets folder 1";
const UNREAD_CONTEXT: &str = "assets unread 1";

/// A folder and everything in it as it was at one time.
#[derive(Clone, PartialEq, Debug)]
pub struct Tree {
    pub digest: Digest,
    /// The folder itself first, each folder before what is in it, names in byte order. A folder's own
    /// signature is there so that names added to it or taken away are seen; its digest is all zero.
    pub entries: Vec<TrackedFile>,
}

/// What stays if a file is renamed, and changes if it is written to.
pub(super) fn written_as(signature: &Signature) -> (u64, i64, u64) {
    (signature.size, signature.mtime_ns, signature.ino)
}

/// Why a folder has no digest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TreeError {
    #[error("{0} is not there")]
    Missing(ProjectPath),
    #[error("{0} is neither a file, a link nor a folder")]
    Odd(ProjectPath),
    #[error("cannot read {0}: {1}")]
    Unreadable(ProjectPath, String),
}

impl Tree {
    pub fn is_racy(&self) -> bool {
        self.entries.iter().any(|it| it.racy)
    }

    pub fn bytes(&self) -> u64 {
        self.entries.iter().filter(|it| it.signature.kind == FileKind::File).map(|it| it.signature.size).sum()
    }

    /// Of what nobody has read; `seen` is what was found of each.
    pub(super) fn unread(top: &ProjectPath, nodes: Vec<Node>, seen: Vec<Seen>) -> Result<Tree, TreeError> {
        let mut hasher = blake3::Hasher::new_derive_key(UNREAD_CONTEXT);
        let mut entries = Vec::with_capacity(nodes.len());
        for (node, seen) in nodes.into_iter().zip(seen) {
            let signature = match seen {
                Seen::Found(it) if it.kind == FileKind::Odd => return Err(TreeError::Odd(node.path)),
                Seen::Found(it) => it,
                Seen::Missing => return Err(TreeError::Missing(node.path)),
                Seen::Failed(errno) => {
                    return Err(TreeError::Unreadable(node.path, std::io::Error::from(errno).to_string()));
                }
            };
            let below = node.path.as_path().strip_prefix(top.as_path()).unwrap_or(node.path.as_path());
            let name = below.as_os_str().as_bytes();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name);
            // Of a folder its names count, which follow.
            if node.folder.is_none() {
                let (size, mtime, ino) = written_as(&signature);
                for number in [size.to_le_bytes(), mtime.to_le_bytes(), ino.to_le_bytes()] {
                    hasher.update(&number);
                }
            }
            let (signature, racy) = node.folder.unwrap_or((signature, false));
            entries.push(TrackedFile { path: node.path, signature, digest: Digest([0; 32]), racy });
        }
        Ok(Tree { digest: hasher.finalize().into(), entries })
    }

    /// Puts a tree together from what was found; `facts` are those of the entries that are no folders.
    pub(super) fn of(nodes: Vec<Node>, facts: impl IntoIterator<Item = (usize, FileFact)>) -> Result<Tree, TreeError> {
        let mut digests = vec![None; nodes.len()];
        let mut entries: Vec<TrackedFile> = Vec::with_capacity(nodes.len());
        let depths: Vec<usize> = nodes.iter().map(|it| it.depth).collect();
        for node in nodes {
            let (signature, racy) = node.folder.unwrap_or_default();
            entries.push(TrackedFile { path: node.path, signature, digest: Digest([0; 32]), racy });
        }
        for (index, fact) in facts {
            let entry = &mut entries[index];
            match fact {
                FileFact::Present { signature, digest, racy } => {
                    (entry.signature, entry.digest, entry.racy) = (signature, digest, racy);
                    digests[index] = Some(digest);
                }
                FileFact::Missing => return Err(TreeError::Unreadable(entry.path.clone(), UNSTEADY.to_owned())),
                FileFact::Odd => return Err(TreeError::Odd(entry.path.clone())),
                FileFact::Unreadable(why) => return Err(TreeError::Unreadable(entry.path.clone(), why)),
            }
        }
        Ok(Tree { digest: merkle(&entries, &depths, &digests), entries })
    }
}

/// Everything in the folder at `path`, itself first, each folder before what is in it. A link at
/// `path` itself is followed or not as `links` says; those inside are kept.
pub(super) fn walk(world: &World, path: &ProjectPath, links: Links) -> Result<Vec<Node>, TreeError> {
    let unreadable = |path: &ProjectPath, why: String| TreeError::Unreadable(path.clone(), why);
    let seen = match look_at(world.root(), path.as_bytes(), links) {
        Seen::Found(it) => it,
        Seen::Missing => return Err(TreeError::Missing(path.clone())),
        Seen::Failed(errno) => return Err(unreadable(path, std::io::Error::from(errno).to_string())),
    };
    let mut clock = Reader::new(world);
    let mut nodes = Vec::new();
    let mut left = vec![(path.clone(), 0, FileKind::Folder)];
    while let Some((path, depth, kind)) = left.pop() {
        if kind != FileKind::Folder {
            nodes.push(Node { path, depth, folder: None });
            continue;
        }
        let (system, moment) = clock.moment(&seen, path.as_bytes());
        let found = list(world, path.as_bytes(), if depth == 0 { links } else { Links::Keep })
            .map_err(|why| unreadable(&path, why))?
            .ok_or_else(|| unreadable(&path, UNSTEADY.to_owned()))?;
        // A folder of a network, or on a file system mounted inside, is looked through every time.
        let racy = system.is_network() || found.signature.dev != seen.dev || moment.is_racy(&found.signature);
        let inside = found
            .entries
            .iter()
            .rev()
            .map(|(name, kind)| (path.join(std::ffi::OsStr::from_bytes(name)), depth + 1, *kind));
        left.extend(inside);
        nodes.push(Node { path, depth, folder: Some((system.stable(found.signature), racy)) });
    }
    Ok(nodes)
}

/// An entry of a folder before it is hashed.
pub(super) struct Node {
    pub(super) path: ProjectPath,
    /// Below the folder that the tree is of, which has 0.
    pub(super) depth: usize,
    /// Of a folder: its signature, and whether that is racy.
    pub(super) folder: Option<(Signature, bool)>,
}

/// From the last entry to the first, so that a folder's entries are complete when it is reached;
/// `open[d]` gathers entries at depth `d`, last first. No recursion: a tree may be very deep.
fn merkle(entries: &[TrackedFile], depths: &[usize], digests: &[Option<Digest>]) -> Digest {
    let mut open: Vec<Vec<(usize, Digest)>> = Vec::new();
    for index in (0..entries.len()).rev() {
        let depth = depths[index];
        open.resize_with(open.len().max(depth + 2), Vec::new);
        let digest = digests[index].unwrap_or_else(|| {
            let mut inside = std::mem::take(&mut open[depth + 1]);
            inside.reverse();
            of_folder(entries, &inside)
        });
        open[depth].push((index, digest));
    }
    open[0][0].1
}

fn of_folder(entries: &[TrackedFile], inside: &[(usize, Digest)]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for (index, digest) in inside {
        let TrackedFile { path, signature, .. } = &entries[*index];
        let name = path.file_name().map_or(&[][..], OsStrExt::as_bytes);
        let tag = match signature.kind {
            FileKind::Folder => b'd',
            FileKind::Link => b'l',
            FileKind::File if signature.executable => b'x',
            FileKind::File | FileKind::Odd => b'f',
        };
        hasher.update(&[tag]);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(&digest.0);
    }
    hasher.finalize().into()
}
