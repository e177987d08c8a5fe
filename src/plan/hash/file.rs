//! The digest of one file or link: read between two equal looks, or not at all.
//!
//! Knows nothing of what was known before; `sweep` remembers.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{
    base::digest::Digest,
    plan::hash::{
        FileFact, FileKind, Links, Seen, Signature,
        file_system::{FileSystem, Moment, World},
        signature::{look_at, look_at_open},
    },
};

/// A link's digest is in a domain of its own: no file has the digest of a link.
const LINK_CONTEXT: &str = "assets link 1";

/// Read at once.
const BUFFER: usize = 1 << 20;

/// From this size on several threads hash one file, and read more at once so that they can.
const LARGE: u64 = 16 << 20;
const LARGE_BUFFER: usize = 8 << 20;

const ATTEMPTS: usize = 3;

/// Why a file that never held still is [`FileFact::Unreadable`].
pub const UNSTEADY: &str = "it changed while it was read";

/// What reading a file once came to.
enum Reading {
    Steady(Signature, Digest),
    /// It is not, or no longer, what it was.
    Unsteady,
}

/// Hashes files one after another, asking the time once for all of them: an earlier moment is always
/// safe, only stricter.
pub(super) struct Reader<'a> {
    world: &'a World,
    met: Option<(u64, Arc<FileSystem>, Moment)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Reader { world, met: None }
    }

    /// The fact about a path that was just seen as `seen`. `None`: it is a folder, which is `tree`'s work.
    pub(super) fn fact(&mut self, path: &[u8], links: Links, seen: Signature) -> Option<FileFact> {
        let mut seen = seen;
        for _ in 0..ATTEMPTS {
            let (system, moment) = self.moment(&seen, path);
            let reading = match seen.kind {
                FileKind::Folder => return None,
                FileKind::Odd => return Some(FileFact::Odd),
                FileKind::Link => read_link(self.world, path, seen),
                FileKind::File => read_file(self.world, path, links),
            };
            match reading {
                Ok(Reading::Steady(signature, digest)) => {
                    // A file swapped in from elsewhere has another clock.
                    let racy = signature.dev != seen.dev || moment.is_racy(&signature);
                    return Some(FileFact::Present { signature: system.stable(signature), digest, racy });
                }
                Ok(Reading::Unsteady) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => {}
                Err(errno) => return Some(FileFact::Unreadable(why(self.world, path, errno))),
            }
            self.met = None;
            seen = match look_at(self.world.root(), path, links) {
                Seen::Found(it) => it,
                Seen::Missing => return Some(absent(self.world, path)),
                Seen::Failed(errno) => return Some(FileFact::Unreadable(why(self.world, path, errno))),
            };
        }
        Some(FileFact::Unreadable(UNSTEADY.to_owned()))
    }

    /// A moment before now, on the file system of `seen`.
    pub(super) fn moment(&mut self, seen: &Signature, path: &[u8]) -> (Arc<FileSystem>, Moment) {
        if let Some((dev, system, moment)) = &self.met
            && *dev == seen.dev
        {
            system.has_stamped(seen);
            return (system.clone(), *moment);
        }
        let system = self.world.system(seen.dev, path);
        system.has_stamped(seen);
        let moment = system.moment(self.world.root());
        self.met = Some((seen.dev, system.clone(), moment));
        (system, moment)
    }
}

/// Opening must neither wait for a FIFO's other end nor make a terminal ours, should the file have
/// been swapped for one since it was looked at.
fn read_file(world: &World, path: &[u8], links: Links) -> Result<Reading, Errno> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Keep {
        flags |= OFlags::NOFOLLOW;
    }
    let file = rustix::fs::openat(world.root(), path, flags, Mode::empty())?;
    let before = look_at_open(&file)?;
    if before.kind != FileKind::File {
        return Ok(Reading::Unsteady);
    }
    let (digest, length) = digest_of_open(&file, before.size)?;
    let steady = length == before.size
        && look_at_open(&file)? == before
        // What was read is still what the path leads to, not something renamed away meanwhile.
        && look_at(world.root(), path, links) == Seen::Found(before);
    Ok(if steady { Reading::Steady(before, digest) } else { Reading::Unsteady })
}

/// Plain blake3 of what can be read from here to the end, as `b3sum` prints it, and its length.
///
/// Plain reads: a mapped file that someone cuts short would kill the process.
fn digest_of_open(file: &OwnedFd, expected: u64) -> Result<(Digest, u64), Errno> {
    let large = expected >= LARGE;
    let most = if large { LARGE_BUFFER } else { BUFFER };
    let mut buffer = vec![0; usize::try_from(expected).map_or(most, |it| it.clamp(1, most))];
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
    loop {
        let count = fill(file, &mut buffer)?;
        if large {
            hasher.update_rayon(&buffer[..count]);
        } else {
            hasher.update(&buffer[..count]);
        }
        length += count as u64;
        // Whether there is more than expected, the look after this tells: the size has changed.
        if count < buffer.len() || length >= expected {
            return Ok((hasher.finalize().into(), length));
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::read(file.as_fd(), &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}

/// A link's content is its target, as written.
fn read_link(world: &World, path: &[u8], before: Signature) -> Result<Reading, Errno> {
    let target = match rustix::fs::readlinkat(world.root(), path, Vec::new()) {
        Ok(it) => it,
        // It is no link any more.
        Err(Errno::INVAL) => return Ok(Reading::Unsteady),
        Err(errno) => return Err(errno),
    };
    let steady = look_at(world.root(), path, Links::Keep) == Seen::Found(before);
    let digest = Digest::derive(LINK_CONTEXT, target.as_bytes());
    Ok(if steady { Reading::Steady(before, digest) } else { Reading::Unsteady })
}

/// Nothing can be reached at `path`: nothing is there, or a link that leads nowhere. The latter is
/// no "missing": what a source leads to may only be unmounted, and must not look as if it were deleted.
pub(super) fn absent(world: &World, path: &[u8]) -> FileFact {
    match look_at(world.root(), path, Links::Keep) {
        Seen::Found(it) if it.kind == FileKind::Link => {
            FileFact::Unreadable(format!("it is a link that leads nowhere: {}", chain(world, path)))
        }
        _ => FileFact::Missing,
    }
}

/// An errno in words, with the links that go round in circles.
pub(super) fn why(world: &World, path: &[u8], errno: Errno) -> String {
    match errno {
        Errno::LOOP => format!("its links go round in circles: {}", chain(world, path)),
        other => std::io::Error::from(other).to_string(),
    }
}

/// `a -> b -> c`: the path and where each link leads, up to the first that was there before.
fn chain(world: &World, path: &[u8]) -> String {
    use std::os::unix::ffi::OsStrExt;
    const HOPS: usize = 40;
    let shown = |it: &[u8]| match std::str::from_utf8(it) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => it.escape_ascii().to_string(),
    };
    let mut at = std::path::Path::new(std::ffi::OsStr::from_bytes(path)).to_owned();
    let mut passed = vec![at.clone()];
    let mut text = shown(path);
    for _ in 0..HOPS {
        let Ok(target) = rustix::fs::readlinkat(world.root(), &at, Vec::new()) else { break };
        let target = std::path::Path::new(std::ffi::OsStr::from_bytes(target.as_bytes())).to_owned();
        at = at.parent().map_or_else(|| target.clone(), |it| it.join(&target));
        text.push_str(" -> ");
        text.push_str(&shown(target.as_os_str().as_bytes()));
        if passed.contains(&at) {
            break;
        }
        passed.push(at.clone());
    }
    text
}
