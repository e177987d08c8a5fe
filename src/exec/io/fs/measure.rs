//! Reading what is stored or staged in full: its data version, and what each part of it was.
//!
//! Nothing that could change its meaning by being moved is content: a folder may not hold FIFOs,
//! sockets or devices, nor links that are absolute or lead out of it.

use std::{
    ffi::OsStr,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Component, Path},
};

use crate::{
    base::{digest::Digest, path::ProjectPath},
    exec::io::{
        IoError,
        beneath::{Folder, Found},
    },
    model::project::Shape,
    plan::{
        hash::{FileKind, Signature},
        record::TrackedFile,
    },
};

const BUFFER_BYTES: usize = 1 << 20;

/// A file, link or folder, read in full.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    pub data_version: Digest,
    /// Of all files together.
    pub bytes: u64,
    /// The thing itself first; of a folder, then everything in it in the order of the paths, which
    /// are seen from the thing itself.
    pub parts: Vec<TrackedFile>,
}

impl Measured {
    pub fn signature(&self) -> Signature {
        self.parts[0].signature
    }

    /// The parts as they are recorded for an output at `path`, whose own signature is now `top`.
    pub fn tracked_at(&self, path: &ProjectPath, top: Signature) -> Vec<TrackedFile> {
        let mut files = self.parts.clone();
        for file in &mut files {
            file.path = ProjectPath::resolve(path, file.path.as_path()).expect("both are below the root");
        }
        files[0].signature = top;
        files[0].racy = true;
        files
    }
}

/// `None` if nothing is there.
pub fn measure(folder: &Folder, name: &OsStr) -> Result<Option<Measured>, IoError> {
    let Some(found) = folder.look(name)? else { return Ok(None) };
    if found.is_folder() {
        return measure_folder(&folder.open_child(name)?, found).map(Some);
    }
    let (signature, digest) = measure_leaf(folder, name, found)?;
    let part = TrackedFile { path: ProjectPath::root(), signature, digest, racy: true };
    let bytes = if signature.kind == FileKind::File { signature.size } else { 0 };
    Ok(Some(Measured { data_version: digest, bytes, parts: vec![part] }))
}

fn measure_folder(top: &Folder, found: Found) -> Result<Measured, IoError> {
    let part = |path, signature, digest| TrackedFile { path, signature, digest, racy: true };
    let mut parts = vec![part(ProjectPath::root(), found.signature, Digest([0; 32]))];
    let mut bytes = 0_u64;
    let mut waiting = vec![ProjectPath::root()];
    while let Some(at) = waiting.pop() {
        let folder = top.open(&at)?.ok_or_else(|| IoError::Unstable { path: top.path().to_string() })?;
        let before = folder.look_here()?;
        for name in folder.list()? {
            let path = at.join(&name);
            let found =
                folder.look(&name)?.ok_or_else(|| IoError::Unstable { path: folder.path().join(&name).to_string() })?;
            if found.is_folder() {
                parts.push(part(path.clone(), found.signature, Digest([0; 32])));
                waiting.push(path);
                continue;
            }
            let (signature, digest) = measure_leaf(&folder, &name, found)?;
            if signature.kind == FileKind::Link {
                check_link(&folder, &name, &at)?;
            } else {
                bytes = bytes.saturating_add(signature.size);
            }
            parts.push(part(path, signature, digest));
        }
        if folder.look_here()?.signature != before.signature {
            return Err(IoError::Unstable { path: folder.path().to_string() });
        }
    }
    parts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    Ok(Measured { data_version: digest_of_parts(&parts), bytes, parts })
}

/// Injective: every variable part follows its length.
fn digest_of_parts(parts: &[TrackedFile]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("assets folder content 1");
    for part in parts {
        hasher.update(&[part.signature.kind as u8, u8::from(part.signature.executable)]);
        hasher.update(&(part.path.as_bytes().len() as u64).to_le_bytes());
        hasher.update(part.path.as_bytes());
        hasher.update(&part.digest.0);
    }
    hasher.finalize().into()
}

fn measure_leaf(folder: &Folder, name: &OsStr, found: Found) -> Result<(Signature, Digest), IoError> {
    let path = || folder.path().join(name).to_string();
    match found.kind() {
        FileKind::File => measure_file(folder, name),
        FileKind::Link => Ok((found.signature, Digest::of(&folder.read_link(name)?))),
        kind => Err(IoError::WrongKind { path: path(), expected: "a file", found: kind_name(kind) }),
    }
}

/// Streams, so that a file larger than memory is fine; the same before and after, or an error.
fn measure_file(folder: &Folder, name: &OsStr) -> Result<(Signature, Digest), IoError> {
    let (mut file, before) = folder.open_file(name)?;
    let path = || folder.path().join(name).to_string();
    if before.kind() != FileKind::File {
        return Err(IoError::Unstable { path: path() });
    }
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(before.signature.size).unwrap_or(BUFFER_BYTES) + 1)];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(IoError::Other { path: path(), cause: error.to_string() }),
        };
    }
    if folder.look(name)?.map(|it| it.signature) != Some(before.signature) {
        return Err(IoError::Unstable { path: path() });
    }
    Ok((before.signature, hasher.finalize().into()))
}

/// A link in a folder must lead to a place in the same folder, as a relative path: else it would
/// dangle or mean something else once the folder is published, moved or copied.
fn check_link(folder: &Folder, name: &OsStr, at: &ProjectPath) -> Result<(), IoError> {
    let target = folder.read_link(name)?;
    let mut depth = at.as_path().components().count();
    // Above a name that may itself be a link, `..` means what that link makes of it: not told here.
    let mut went_down = false;
    for part in Path::new(OsStr::from_bytes(&target)).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => went_down = true,
            Component::ParentDir if depth > 0 && !went_down => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(IoError::Other {
                    path: folder.path().join(name).to_string(),
                    cause: "is a link that leaves the output folder; only relative links within it are content"
                        .to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Refuses what is not of the declared shape. A link is not a file: what it leads to is not stored.
pub fn check_shape(path: &ProjectPath, shape: Shape, kind: FileKind) -> Result<(), IoError> {
    let (wanted, expected) = match shape {
        Shape::File => (FileKind::File, "a file"),
        Shape::Folder => (FileKind::Folder, "a folder"),
    };
    if kind == wanted {
        return Ok(());
    }
    Err(IoError::WrongKind { path: path.to_string(), expected, found: kind_name(kind) })
}

pub fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "a file",
        FileKind::Folder => "a folder",
        FileKind::Link => "a link",
        FileKind::Odd => "a FIFO, socket or device",
    }
}
