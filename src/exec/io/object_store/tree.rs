//! Folders as objects: one for each file, and one that lists them with all that has no bytes of its own.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path as FilePath};

use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use crate::{
    base::{at_once::at_once, fs, path::ProjectPath},
    exec::io::{IoError, fs::measure::Measured, object_store::pointer::Place},
    model::object_url::RESERVED,
    plan::{hash::FileKind, record::TrackedFile},
};

const FORM: &str = "assets.tree/1";
/// Files of one folder that are moved at the same time.
const AT_ONCE: usize = 16;

#[derive(Serialize, Deserialize)]
struct Listing {
    schema: String,
    /// Folders before what is in them.
    entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    path: String,
    kind: Kind,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Folder,
    File { executable: bool },
    Link { to: String },
}

/// Uploads what was measured, each file only if it is still that.
///
/// # Errors
/// A file that has changed, or whose name no object can have.
pub fn upload(place: &Place<'_>, version: &str, measured: &Measured, root: &FilePath) -> Result<(), IoError> {
    let top = &measured.parts[0].path;
    let inside: Vec<(&TrackedFile, String)> =
        measured.parts[1..].iter().map(|it| Ok((it, name_of(&it.path, top)?))).collect::<Result<_, IoError>>()?;
    let files: Vec<&(&TrackedFile, String)> =
        inside.iter().filter(|it| it.0.signature.kind == FileKind::File).collect();
    at_once::<_, IoError>(&files, AT_ONCE, |(part, path)| {
        place.bucket.upload(&file_key(place, version, path)?, &part.path.under(root), &part.digest)
    })?;
    let mut entries = Vec::with_capacity(inside.len());
    for (part, path) in inside {
        let kind = match part.signature.kind {
            FileKind::Folder => Kind::Folder,
            FileKind::File | FileKind::Odd => Kind::File { executable: part.signature.executable },
            FileKind::Link => {
                let to = fs::read_link(&part.path.under(root))?;
                Kind::Link { to: text(to.as_os_str())? }
            }
        };
        entries.push(Entry { path, kind });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let listing = Listing { schema: FORM.to_owned(), entries };
    let bytes =
        serde_json::to_vec(&listing).map_err(|it| IoError::Other { path: top.to_string(), cause: it.to_string() })?;
    place.bucket.put(&place.version_key(version)?.join(RESERVED[2]), bytes)
}

/// Makes the folder anew at `to`, where nothing is.
///
/// # Errors
/// A listing that names what no folder holds, or objects that are gone.
pub fn download(place: &Place<'_>, version: &str, to: &FilePath) -> Result<(), IoError> {
    let key = place.version_key(version)?.join(RESERVED[2]);
    let shown = || place.bucket.reach.shown(Some(&key));
    let Some((bytes, _)) = place.bucket.get(&key)? else { return Err(IoError::NotFound(shown())) };
    let listing: Option<Listing> = serde_json::from_slice(&bytes).ok();
    let listing = listing.filter(|it| it.schema == FORM && it.entries.iter().all(|it| is_inside(&it.path)));
    let Some(listing) = listing else {
        return Err(IoError::Other { path: shown(), cause: "is no listing of a folder".to_owned() });
    };
    fs::create_folder(to)?;
    for it in listing.entries.iter().filter(|it| matches!(it.kind, Kind::Folder)) {
        fs::create_folder(&to.join(&it.path))?;
    }
    at_once::<_, IoError>(&listing.entries, AT_ONCE, |it| {
        let Kind::File { executable } = it.kind else { return Ok(()) };
        let file = to.join(&it.path);
        place.bucket.download(&file_key(place, version, &it.path)?, &file)?;
        if executable {
            rustix::fs::chmod(&file, Mode::from_raw_mode(0o755)).map_err(|it| other(&file, it))?;
        }
        Ok(())
    })?;
    // Last, so that nothing is ever written through one.
    for it in &listing.entries {
        if let Kind::Link { to: target } = &it.kind {
            let link = to.join(&it.path);
            rustix::fs::symlink(target.as_str(), &link).map_err(|it| other(&link, it))?;
        }
    }
    Ok(())
}

fn file_key(place: &Place<'_>, version: &str, path: &str) -> Result<object_store::path::Path, IoError> {
    Ok(path.split('/').fold(place.content_key(version)?, |key, part| key.join(part)))
}

fn name_of(path: &ProjectPath, top: &ProjectPath) -> Result<String, IoError> {
    text(path.as_path().strip_prefix(top.as_path()).unwrap_or(path.as_path()).as_os_str())
}

fn text(name: &OsStr) -> Result<String, IoError> {
    match name.to_str() {
        Some(it) => Ok(it.to_owned()),
        None => Err(IoError::Other {
            path: name.as_bytes().escape_ascii().to_string(),
            cause: "is not UTF-8, and names of objects are".to_owned(),
        }),
    }
}

fn is_inside(path: &str) -> bool {
    ProjectPath::from_normal(path.as_bytes()).is_some_and(|it| !it.is_root())
}

fn other(path: &FilePath, errno: rustix::io::Errno) -> IoError {
    IoError::Other { path: path.display().to_string(), cause: errno.to_string() }
}
