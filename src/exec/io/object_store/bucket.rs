//! Whole objects, put and got: in parts and in bounded memory, each call waiting for its answer.
//!
//! Knows nothing of assets or versions.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path as FilePath, PathBuf},
    sync::OnceLock,
};

use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
    WriteMultipart, path::Path,
};
use serde::{Deserialize, Serialize};

use crate::{
    base::{digest::Digest, fs},
    exec::io::{
        IoError,
        object_store::connect::{Opened, Reach},
    },
    model::object_url::ObjectUrl,
};

/// What is moved at once, and what a small object is.
const PART_BYTES: u64 = 8 << 20;
/// Services allow 10,000.
const PARTS_MAX: u64 = 9_000;
/// Moved at the same time, of one object.
const AT_ONCE: usize = 4;

/// What an object was when it was seen: enough to replace exactly that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    e_tag: Option<String>,
    version: Option<String>,
}

/// What came of a put that had a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replaced {
    Done,
    /// Something else is there than was seen.
    Refused,
}

/// The objects of one address.
pub struct Bucket {
    pub reach: Reach,
    opened: OnceLock<Opened>,
}

impl Bucket {
    pub fn new(reach: Reach) -> Self {
        Bucket { reach, opened: OnceLock::new() }
    }

    fn opened(&self) -> Result<&Opened, IoError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.reach.open()?;
        Ok(self.opened.get_or_init(|| opened))
    }

    /// The key of something below our prefix.
    pub fn key<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Result<Path, IoError> {
        Ok(parts.into_iter().fold(self.opened()?.prefix.clone(), |key, part| key.join(part)))
    }

    fn told(&self, key: &Path) -> impl Fn(Error) -> IoError + '_ {
        let key = key.clone();
        move |error| match &error {
            Error::NotFound { .. } if !is_no_bucket(&error) => IoError::NotFound(self.reach.shown(Some(&key))),
            _ => self.reach.told_of(Some(&key), &error),
        }
    }

    /// A small object, and what it was seen as.
    pub fn get(&self, key: &Path) -> Result<Option<(Vec<u8>, Seen)>, IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        let got = runtime.block_on(async {
            let found = store.get(key).await?;
            let seen = Seen { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok::<_, Error>((found.bytes().await?.to_vec(), seen))
        });
        absent(got.map_err(self.told(key)))
    }

    /// Puts a small object, whatever is there.
    pub fn put(&self, key: &Path, bytes: Vec<u8>) -> Result<(), IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        runtime.block_on(store.put(key, bytes.into())).map(drop).map_err(self.told(key))
    }

    /// Puts a small object, if what is there is what was `seen`: nothing, or exactly that.
    pub fn replace(&self, key: &Path, bytes: Vec<u8>, seen: Option<&Seen>) -> Result<Replaced, IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        let mode = match seen {
            None => PutMode::Create,
            // No folder can be asked to replace a file only if it is a certain one: whoever writes to it
            // from two places must take turns. Between those who share our locks it holds.
            Some(seen) if self.is_folder() => match self.get(key)? {
                Some((_, now)) if now == *seen => PutMode::Overwrite,
                _ => return Ok(Replaced::Refused),
            },
            Some(Seen { e_tag, version }) => {
                PutMode::Update(UpdateVersion { e_tag: e_tag.clone(), version: version.clone() })
            }
        };
        match runtime.block_on(store.put_opts(key, bytes.into(), PutOptions { mode, ..PutOptions::default() })) {
            Ok(_) => Ok(Replaced::Done),
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => Ok(Replaced::Refused),
            Err(error) => Err(self.told(key)(error)),
        }
    }

    /// Uploads a file, if its bytes are those of `digest`: else nothing is there afterwards.
    pub fn upload(&self, key: &Path, file: &FilePath, digest: &Digest) -> Result<(), IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        let mut from = fs::open(file)?;
        let size = from.metadata().map_err(|it| unread(file, &it))?.len();
        let unstable = || IoError::Unstable { path: file.display().to_string() };
        let told = self.told(key);
        if size <= PART_BYTES {
            let bytes = next(&mut from, PART_BYTES + 1).map_err(|it| unread(file, &it))?;
            if Digest::of(&bytes) != *digest {
                return Err(unstable());
            }
            return runtime.block_on(store.put(key, bytes.into())).map(drop).map_err(told);
        }
        let part = PART_BYTES.max(size.div_ceil(PARTS_MAX));
        runtime.block_on(async {
            let upload = store.put_multipart(key).await.map_err(&told)?;
            let chunk = usize::try_from(part).unwrap_or(usize::MAX);
            let mut upload = WriteMultipart::new_with_chunk_size(upload, chunk);
            let sent = send(&mut upload, &mut from, part, file, &told).await;
            match sent {
                Ok(sent) if sent == *digest => upload.finish().await.map(drop).map_err(&told),
                Ok(_) => {
                    let _ = upload.abort().await;
                    Err(unstable())
                }
                Err(error) => {
                    let _ = upload.abort().await;
                    Err(error)
                }
            }
        })
    }

    /// Downloads an object into a new file.
    pub fn download(&self, key: &Path, to: &FilePath) -> Result<(), IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        let mut file = fs::create_new(to)?;
        let told = self.told(key);
        let unwritten = |it: std::io::Error| IoError::Other { path: to.display().to_string(), cause: it.to_string() };
        runtime.block_on(async {
            let meta = store.head(key).await.map_err(&told)?;
            if meta.size <= PART_BYTES {
                let bytes = store.get(key).await.map_err(&told)?.bytes().await.map_err(&told)?;
                return file.write_all(&bytes).map_err(unwritten);
            }
            let starts = (0..meta.size).step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX));
            let parts = starts.map(|start| part_of(&**store, key, &meta, start));
            let mut parts = stream::iter(parts).buffered(AT_ONCE);
            while let Some(bytes) = parts.try_next().await.map_err(&told)? {
                file.write_all(&bytes).map_err(unwritten)?;
            }
            Ok(())
        })
    }

    /// What tells an object from one that was put in its place; `None` if nothing is there.
    pub fn stamp(&self, key: &Path) -> Result<Option<String>, IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        let found = absent(runtime.block_on(store.head(key)).map_err(self.told(key)))?;
        Ok(found.map(|it| self.stamp_of(&it)))
    }

    /// The same of everything below a key, sorted.
    pub fn stamps_below(&self, key: &Path) -> Result<Vec<(String, String)>, IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        let found: Result<Vec<ObjectMeta>, Error> = runtime.block_on(store.list(Some(key)).try_collect());
        let found = absent(found.map_err(self.told(key)))?.unwrap_or_default();
        let mut stamps: Vec<_> = found.iter().map(|it| (it.location.to_string(), self.stamp_of(it))).collect();
        stamps.sort();
        Ok(stamps)
    }

    /// The names of what lies next below a key and has something below it.
    pub fn folders_below(&self, key: &Path) -> Result<Vec<String>, IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        let found = absent(runtime.block_on(store.list_with_delimiter(Some(key))).map_err(self.told(key)))?;
        let found = found.map(|it| it.common_prefixes).unwrap_or_default();
        Ok(found.iter().filter_map(|it| it.filename().map(str::to_owned)).collect())
    }

    /// Removes an object; fine if nothing is there.
    pub fn remove(&self, key: &Path) -> Result<(), IoError> {
        let Opened { runtime, store, .. } = self.opened()?;
        absent(runtime.block_on(store.delete(key)).map_err(self.told(key))).map(drop)
    }

    /// Removes everything below a key.
    pub fn remove_below(&self, key: &Path) -> Result<(), IoError> {
        if self.is_folder() {
            return Ok(fs::remove(&file_of(key))?);
        }
        let Opened { runtime, store, .. } = self.opened()?;
        let all = store.list(Some(key)).map_ok(|it| it.location).boxed();
        let removed = runtime.block_on(store.delete_stream(all).try_for_each(|_| async { Ok(()) }));
        absent(removed.map_err(self.told(key))).map(drop)
    }

    fn is_folder(&self) -> bool {
        matches!(self.reach.url, ObjectUrl::Project(_) | ObjectUrl::Machine(_))
    }

    fn stamp_of(&self, meta: &ObjectMeta) -> String {
        let tag = meta.e_tag.as_deref().unwrap_or_default();
        let mut stamp = format!("{} {tag}", meta.size);
        // A time can be set back by whoever edits a file; when that was done cannot.
        if self.is_folder()
            && let Ok(Some(found)) = fs::look(&file_of(&meta.location))
        {
            use std::os::unix::fs::MetadataExt;
            stamp.push_str(&format!(" {}.{}", found.ctime(), found.ctime_nsec()));
        }
        stamp
    }
}

/// Where a folder keeps an object.
fn file_of(key: &Path) -> PathBuf {
    FilePath::new("/").join(key.as_ref())
}

/// Sends all of a file, and says what it was.
async fn send(
    upload: &mut WriteMultipart,
    from: &mut File,
    part: u64,
    file: &FilePath,
    told: &impl Fn(Error) -> IoError,
) -> Result<Digest, IoError> {
    let mut hasher = blake3::Hasher::new();
    loop {
        let bytes = next(from, part).map_err(|it| unread(file, &it))?;
        if bytes.is_empty() {
            return Ok(hasher.finalize().into());
        }
        hasher.update_rayon(&bytes);
        upload.wait_for_capacity(AT_ONCE).await.map_err(told)?;
        upload.write(&bytes);
    }
}

/// One part of an object, if it is still the one that `meta` tells of.
async fn part_of(store: &dyn ObjectStore, key: &Path, meta: &ObjectMeta, start: u64) -> Result<Vec<u8>, Error> {
    let options = GetOptions {
        range: Some(GetRange::Bounded(start..meta.size.min(start + PART_BYTES))),
        if_match: meta.e_tag.clone(),
        ..GetOptions::default()
    };
    Ok(store.get_opts(key, options).await?.bytes().await?.to_vec())
}

/// At most so many bytes; none at the end.
fn next(from: &mut File, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unread(file: &FilePath, error: &std::io::Error) -> IoError {
    IoError::Other { path: file.display().to_string(), cause: error.to_string() }
}

fn absent<T>(found: Result<T, IoError>) -> Result<Option<T>, IoError> {
    match found {
        Ok(it) => Ok(Some(it)),
        Err(IoError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A bucket that is not there answers as an object does that is not there, but for a word.
fn is_no_bucket(error: &Error) -> bool {
    let text = error.to_string();
    ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"].iter().any(|it| text.contains(it))
}
