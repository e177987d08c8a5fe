//! The small object that says which version of an asset is the current one: replacing it is the commit point.
//!
//! Versions are immutable and have names of their own; the pointer has the one name that readers know. It is
//! replaced only if it is still the one that was seen before the computation began, so that nobody who was
//! overtaken commits late. Its number only grows: no two pointers are ever the same.

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::{
    base::{digest::Digest, process},
    exec::io::{
        Content, IoError, Reading, Target,
        object_store::bucket::{Bucket, Replaced, Seen},
    },
    model::{object_url::RESERVED, project::Shape},
    plan::record::AttemptId,
};

const FORM: &str = "assets.pointer/1";

/// As it is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pointer {
    pub schema: String,
    pub serial: u64,
    pub current: Version,
    /// Those that can be made current again, the newest first.
    pub older: Vec<Version>,
}

/// One immutable version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Of its content.
    pub version: String,
    pub bytes: u64,
    pub folder: bool,
    /// The name that everything of it is below.
    pub name: String,
    /// What its objects were when they had been put there.
    pub stamp: String,
    /// Who made it, for people and for recovery.
    pub attempt: String,
    pub host: String,
}

/// The pointer of an asset as it was seen, or that there was none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sight {
    pub pointer: Option<Pointer>,
    pub seen: Option<Seen>,
}

impl Version {
    pub fn of(target: &Target, attempt: &AttemptId, content: &Content, stamp: String) -> Version {
        Version {
            version: content.data_version.to_string(),
            bytes: content.bytes.unwrap_or_default(),
            folder: target.shape == Shape::Folder,
            name: version_name(attempt, &content.data_version),
            stamp,
            attempt: attempt.0.clone(),
            host: process::host(),
        }
    }

    /// All zero, which nothing hashes to, if it is not a digest.
    pub fn digest(&self) -> Digest {
        self.version.parse().unwrap_or(Digest([0; 32]))
    }

    pub fn shape(&self) -> Shape {
        if self.folder { Shape::Folder } else { Shape::File }
    }
}

/// The name below which a version is kept.
pub fn version_name(attempt: &AttemptId, data_version: &Digest) -> String {
    format!("{}-{}", data_version.hex(), attempt.0)
}

/// The keys of one asset.
pub struct Place<'a> {
    pub bucket: &'a Bucket,
    parts: Vec<&'a str>,
    /// The last part of the asset's path: what its content is called.
    pub name: &'a str,
    /// What of its content makes its version.
    pub reading: Reading,
}

impl<'a> Place<'a> {
    pub fn of(bucket: &'a Bucket, target: &'a Target) -> Result<Place<'a>, IoError> {
        let path = std::str::from_utf8(target.path.as_bytes());
        let path = path.map_err(|_| IoError::NotSupported("a path that is not UTF-8"))?;
        let parts: Vec<&str> = path.split('/').collect();
        // It is read to be sent.
        let reading = match target.reading() {
            Reading::Unread => Reading::Bytes,
            other => other,
        };
        match parts.last() {
            Some(name) if !name.is_empty() => Ok(Place { bucket, name, parts, reading }),
            _ => Err(IoError::NotSupported("an output without a name")),
        }
    }

    fn key(&self, rest: &[&str]) -> Result<Path, IoError> {
        self.bucket.key(self.parts.iter().chain(rest).copied())
    }

    pub fn pointer_key(&self) -> Result<Path, IoError> {
        self.key(&[RESERVED[0]])
    }

    pub fn versions_key(&self) -> Result<Path, IoError> {
        self.key(&[RESERVED[1]])
    }

    /// What everything of a version is below.
    pub fn version_key(&self, name: &str) -> Result<Path, IoError> {
        self.key(&[RESERVED[1], name])
    }

    /// The content itself: an object, or what the objects of a folder are below.
    pub fn content_key(&self, name: &str) -> Result<Path, IoError> {
        self.key(&[RESERVED[1], name, self.name])
    }

    pub fn shown(&self) -> Result<String, IoError> {
        Ok(self.bucket.reach.shown(Some(&self.key(&[])?)))
    }

    pub fn sight(&self) -> Result<Sight, IoError> {
        let key = self.pointer_key()?;
        let Some((bytes, seen)) = self.bucket.get(&key)? else { return Ok(Sight::default()) };
        let pointer: Option<Pointer> = serde_json::from_slice(&bytes).ok();
        match pointer.filter(|it| it.schema == FORM) {
            Some(pointer) => Ok(Sight { pointer: Some(pointer), seen: Some(seen) }),
            None => Err(IoError::Store {
                place: self.bucket.reach.shown(Some(&key)),
                cause: "it is no pointer that this version of assets wrote".to_owned(),
                help: "a newer version may have; if nobody needs it, remove it: the asset is then made again",
            }),
        }
    }

    /// What a version's objects are now; `None` if they are gone.
    pub fn stamp(&self, name: &str, shape: Shape) -> Result<Option<String>, IoError> {
        match shape {
            Shape::File => self.bucket.stamp(&self.content_key(name)?),
            Shape::Folder => {
                let found = self.bucket.stamps_below(&self.version_key(name)?)?;
                if found.is_empty() {
                    return Ok(None);
                }
                let text: String = found.iter().map(|(key, stamp)| format!("{key}\n{stamp}\n")).collect();
                Ok(Some(Digest::of(text.as_bytes()).hex()))
            }
        }
    }

    /// Makes a version the current one, if the pointer is still what was seen; keeps as many older ones
    /// as `older_max`, and removes all others.
    ///
    /// What is listed before the commit and not named by it can never be named again: whoever put it there
    /// saw an older pointer. So it may go, whatever left it behind.
    ///
    /// # Errors
    /// [`IoError::Overtaken`] if it was not, and nothing was changed.
    pub fn commit(&self, current: Version, sight: &Sight, older_max: usize) -> Result<Pointer, IoError> {
        let before = sight.pointer.as_ref();
        let mut older: Vec<Version> = Vec::new();
        for it in before.iter().flat_map(|it| std::iter::once(&it.current).chain(&it.older)) {
            let same = it.version == current.version || it.name == current.name;
            if !same && older.iter().all(|kept| kept.version != it.version) {
                older.push(it.clone());
            }
        }
        older.truncate(older_max);
        let serial = before.map_or(1, |it| it.serial + 1);
        let pointer = Pointer { schema: FORM.to_owned(), serial, current, older };
        let listed = self.bucket.folders_below(&self.versions_key()?)?;
        let bytes = serde_json::to_vec_pretty(&pointer).map_err(|it| self.unwritten(&it))?;
        if self.bucket.replace(&self.pointer_key()?, bytes, sight.seen.as_ref())? == Replaced::Refused {
            // Our own answer may have been lost on the way, and the question asked again.
            let now = self.sight()?.pointer;
            if now.as_ref() != Some(&pointer) {
                return Err(self.overtaken(now.as_ref())?);
            }
        }
        let named = |name: &String| pointer.current.name == *name || pointer.older.iter().any(|it| it.name == *name);
        for name in listed.iter().filter(|it| !named(it)) {
            // What stays is tried again at the next commit.
            let _ = self.bucket.remove_below(&self.version_key(name)?);
        }
        Ok(pointer)
    }

    fn unwritten(&self, error: &serde_json::Error) -> IoError {
        IoError::Other { path: self.name.to_owned(), cause: error.to_string() }
    }

    fn overtaken(&self, now: Option<&Pointer>) -> Result<IoError, IoError> {
        let by = match now {
            Some(it) => format!("attempt {} on {} published another version", it.current.attempt, it.current.host),
            None => "somebody deleted what was there".to_owned(),
        };
        Ok(IoError::Overtaken { place: self.shown()?, by })
    }
}
