//! Objects in a bucket, or in a folder that is used like one.
//!
//! Every version is put under a name of its own and never changed. What readers follow is a small pointer
//! beside them, and replacing it, if it is still the one that was seen before the computation, is the commit
//! point. A crash leaves at most a version that no pointer names, which the next commit removes. Commands read
//! and write files: what they write is staged beside the state, what they read is copied there.
//!
//! Nothing is opened before something is asked; a runtime is made then, and belongs to the manager.

mod bucket;
pub mod cache;
mod connect;
mod pointer;
mod tree;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    base::{digest::Digest, env::Environment, fs, path::ProjectPath},
    exec::io::{
        Capabilities, Content, IoError, IoManager, Loaded, Probed, Recovered, Staged, Target,
        fs::measure::{Measured, check_shape},
    },
    model::{
        object_url::ObjectUrl,
        project::{ObjectOptions, Shape},
    },
    plan::record::{AttemptId, StoredOutput},
};
use bucket::Bucket;
use cache::Cache;
use connect::{Credentials, Reach};
use pointer::{Place, Pointer, Sight, Version, version_name};

/// Versions that can be made current again, besides the one that is.
const OLDER_MAX: usize = 2;

/// The `object_store` IO manager.
pub struct ObjectStoreManager {
    root: PathBuf,
    bucket: Bucket,
    cache: Cache,
}

/// What is recorded of an output.
#[derive(Serialize, Deserialize)]
struct Token {
    place: String,
    version: String,
}

/// What is known of a stage after a crash.
#[derive(Serialize, Deserialize)]
struct StageToken {
    attempt: String,
    sight: Sight,
}

impl ObjectStoreManager {
    /// Of `env` only what says who we are is kept, in memory alone.
    pub fn new(project_root: PathBuf, url: &ObjectUrl, options: &ObjectOptions, env: &Environment) -> Self {
        let credentials = match url {
            ObjectUrl::Bucket { service, .. } => {
                let text = |(name, value): (&std::ffi::OsString, &std::ffi::OsString)| {
                    Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
                };
                env.iter().filter_map(text).filter(|it| it.0.starts_with(service.variables())).collect()
            }
            ObjectUrl::Project(_) | ObjectUrl::Machine(_) | ObjectUrl::Memory => Vec::new(),
        };
        let reach = Reach {
            url: url.clone(),
            options: options.clone(),
            credentials: Credentials(credentials),
            project_root: project_root.clone(),
        };
        ObjectStoreManager { bucket: Bucket::new(reach), cache: Cache::new(project_root.clone()), root: project_root }
    }

    fn place<'a>(&'a self, target: &'a Target) -> Result<Place<'a>, IoError> {
        Place::of(&self.bucket, target)
    }

    /// How the place of a target is written; opens nothing.
    fn shown(&self, target: &Target) -> String {
        format!("{}/{}", self.bucket.reach.url, target.path)
    }

    fn recorded(&self, target: &Target, version: &str) -> StoredOutput {
        let token = Token { place: self.shown(target), version: version.to_owned() };
        StoredOutput::Token(serde_json::to_vec(&token).expect("two texts are JSON"))
    }

    /// The version that was recorded of this very place.
    fn version_recorded(&self, target: &Target, stored: &StoredOutput) -> Result<String, Probed> {
        let StoredOutput::Token(bytes) = stored else { return Err(Probed::Modified) };
        // Another kind of manager has other words.
        let Ok(token) = serde_json::from_slice::<Token>(bytes) else { return Err(Probed::Modified) };
        if token.place == self.shown(target) { Ok(token.version) } else { Err(Probed::Elsewhere(self.shown(target))) }
    }

    /// Where everything of one attempt at one target lies until it is published.
    fn stage_folder(&self, target: &Target, attempt: &AttemptId) -> ProjectPath {
        let name = [self.shown(target).as_bytes(), b"\0", attempt.0.as_bytes()].concat();
        ProjectPath::root().join(".assets").join("tmp").join(format!("object-{}", Digest::of(&name).short()))
    }

    fn measure_staged(&self, staged: &Staged) -> Result<Measured, IoError> {
        let place = self.place(&staged.target)?;
        let missing = || IoError::OutputMissing(staged.target.path.to_string());
        let folder = self.stage_folder(&staged.target, &staged.attempt);
        let measured = self.cache.measure(&folder, place.name, place.reading)?.ok_or_else(missing)?;
        check_shape(&staged.target.path, staged.target.shape, measured.kind())?;
        Ok(measured)
    }

    fn seen(&self, target: &Target, pointer: &Pointer) {
        if let Ok(bytes) = serde_json::to_vec(pointer) {
            self.cache.note(&self.shown(target), &bytes);
        }
    }

    /// Uploads what is staged, and makes it current if nobody else was faster.
    fn put(&self, staged: &Staged, content: &Content, sight: &Sight) -> Result<StoredOutput, IoError> {
        let target = &staged.target;
        let place = self.place(target)?;
        let measured = self.measure_staged(staged)?;
        if measured.data_version != content.data_version {
            return Err(IoError::Unstable { path: staged.path.display().to_string() });
        }
        let name = version_name(&staged.attempt, &content.data_version);
        match target.shape {
            Shape::File => {
                let file = measured.parts[0].path.under(&self.root);
                self.bucket.upload(&place.content_key(&name)?, &file, &measured.parts[0].digest)?;
            }
            Shape::Folder => tree::upload(&place, &name, &measured, &self.root)?,
        }
        let stamp = place.stamp(&name, target.shape)?.ok_or_else(|| IoError::NotFound(self.shown(target)))?;
        let version = Version::of(target, &staged.attempt, content, stamp);
        let objects = self.objects(target, &version.name, &version.stamp);
        let pointer = place.commit(version, sight, OLDER_MAX)?;
        self.seen(target, &pointer);
        // Whoever reads it next need not fetch it.
        let folder = self.stage_folder(target, &staged.attempt);
        self.cache.take(&folder, &objects, &content.data_version, (place.name, place.reading))?;
        Ok(self.recorded(target, &pointer.current.version))
    }

    /// What tells the objects of a version from all others, and from what is put in their place.
    fn objects(&self, target: &Target, name: &str, stamp: &str) -> Digest {
        Digest::of([self.shown(target).as_str(), name, stamp].join("\0").as_bytes())
    }

    /// Fetches a version, whatever it holds by now, and where the copy lies; `None` if it is gone.
    fn fetched(
        &self,
        target: &Target,
        place: &Place<'_>,
        version: &Version,
    ) -> Result<Option<(PathBuf, Measured)>, IoError> {
        let Some(stamp) = place.stamp(&version.name, version.shape())? else { return Ok(None) };
        let folder = self.cache.partial()?;
        let to = folder.join(place.name).under(&self.root);
        let fetched = match version.shape() {
            Shape::File => place.content_key(&version.name).and_then(|key| self.bucket.download(&key, &to)),
            Shape::Folder => tree::download(place, &version.name, &to),
        };
        let measured = fetched.and_then(|()| self.cache.measure(&folder, place.name, place.reading));
        match measured {
            Ok(Some(measured)) => {
                let objects = self.objects(target, &version.name, &stamp);
                let named = (place.name, place.reading);
                let path = self.cache.take(&folder, &objects, &measured.data_version, named)?;
                Ok(Some((path, measured)))
            }
            Ok(None) | Err(IoError::NotFound(_)) => {
                fs::remove(&folder.under(&self.root))?;
                Ok(None)
            }
            Err(error) => {
                fs::remove(&folder.under(&self.root))?;
                Err(error)
            }
        }
    }

    /// Whether a version's objects are still what was put there.
    fn holds(&self, target: &Target, place: &Place<'_>, version: &Version) -> Result<Probed, IoError> {
        match place.stamp(&version.name, version.shape())? {
            None => Ok(Probed::Missing),
            Some(stamp) if stamp == version.stamp => Ok(Probed::Same),
            // A folder that was copied has other stamps and the same content; asking it costs little.
            Some(_) if !self.bucket.reach.url.is_remote() => self.holds_by_content(target, place, version),
            Some(_) => Ok(Probed::Modified),
        }
    }

    /// The same by the objects themselves, which are fetched.
    fn holds_by_content(&self, target: &Target, place: &Place<'_>, version: &Version) -> Result<Probed, IoError> {
        let Some((_, measured)) = self.fetched(target, place, version)? else { return Ok(Probed::Missing) };
        Ok(if measured.data_version == version.digest() { Probed::Same } else { Probed::Modified })
    }

    fn looked_at(
        &self,
        target: &Target,
        stored: &StoredOutput,
        look: impl FnOnce(&Place<'_>, &Version) -> Result<Probed, IoError>,
    ) -> Result<Probed, IoError> {
        let version = match self.version_recorded(target, stored) {
            Ok(version) => version,
            Err(probed) => return Ok(probed),
        };
        let place = self.place(target)?;
        let Some(pointer) = place.sight()?.pointer else { return Ok(Probed::Missing) };
        if version != pointer.current.version {
            return Ok(Probed::Modified);
        }
        look(&place, &pointer.current)
    }

    /// A file with the content of a version, fetched if need be.
    fn copy_of(&self, target: &Target, place: &Place<'_>, wanted: &Version) -> Result<Option<PathBuf>, IoError> {
        let version = wanted.digest();
        let Some(stamp) = place.stamp(&wanted.name, wanted.shape())? else { return Ok(None) };
        let objects = self.objects(target, &wanted.name, &stamp);
        if let Some(path) = self.cache.find(&objects, &version, (place.name, place.reading))? {
            return Ok(Some(path));
        }
        match self.fetched(target, place, wanted)? {
            Some((path, measured)) if measured.data_version == version => Ok(Some(path)),
            Some(_) => Err(IoError::Store {
                place: self.shown(target),
                cause: "its content is not what was published".to_owned(),
                help: "somebody wrote over it: materialize the asset to make it anew, or `assets accept` it as it is",
            }),
            None => Ok(None),
        }
    }
}

impl IoManager for ObjectStoreManager {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            files: true,
            partitions: true,
            persistent: self.bucket.reach.url != ObjectUrl::Memory,
            remote: self.bucket.reach.url.is_remote(),
            ..Capabilities::default()
        }
    }

    /// Asks for the pointer too: what cannot be reached is told before the command runs, and what is seen
    /// now must still be there when it has ended.
    fn stage(&self, target: &Target, attempt: &AttemptId) -> Result<Staged, IoError> {
        let place = self.place(target)?;
        let sight = place.sight()?;
        let folder = self.stage_folder(target, attempt).under(&self.root);
        fs::remove(&folder)?;
        fs::create_folder(&folder)?;
        let token = StageToken { attempt: attempt.0.clone(), sight };
        let token = serde_json::to_vec(&token)
            .map_err(|it| IoError::Other { path: self.shown(target), cause: it.to_string() })?;
        Ok(Staged { target: target.clone(), attempt: attempt.clone(), path: folder.join(place.name), token })
    }

    fn inspect(&self, staged: &Staged) -> Result<Content, IoError> {
        let measured = self.measure_staged(staged)?;
        Ok(content_of(&measured))
    }

    fn current(&self, target: &Target) -> Result<Option<Content>, IoError> {
        let place = self.place(target)?;
        let Some(pointer) = place.sight()?.pointer else { return Ok(None) };
        let fetched = self.fetched(target, &place, &pointer.current)?;
        Ok(fetched.map(|(_, measured)| content_of(&measured)))
    }

    fn publish(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError> {
        let token = stage_token(&staged.token)?;
        let stored = self.put(staged, content, &token.sight)?;
        self.discard(staged)?;
        Ok(stored)
    }

    fn restore(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        let place = self.place(target)?;
        let sight = place.sight()?;
        let Some(pointer) = &sight.pointer else { return Ok(None) };
        let all = std::iter::once(&pointer.current).chain(&pointer.older);
        let Some(version) = all.into_iter().find(|it| it.digest() == *data_version) else { return Ok(None) };
        if self.holds(target, &place, version)? != Probed::Same {
            return Ok(None);
        }
        if *version != pointer.current {
            let pointer = place.commit(version.clone(), &sight, OLDER_MAX)?;
            self.seen(target, &pointer);
        }
        Ok(Some(self.recorded(target, &version.version)))
    }

    fn keeps(&self, target: &Target, data_version: &Digest) -> bool {
        let pointer: Option<Pointer> = if self.bucket.reach.url.is_remote() {
            self.cache.noted(&self.shown(target)).and_then(|it| serde_json::from_slice(&it).ok())
        } else {
            self.place(target).and_then(|it| it.sight()).ok().and_then(|it| it.pointer)
        };
        pointer.is_some_and(|it| std::iter::once(&it.current).chain(&it.older).any(|it| it.digest() == *data_version))
    }

    fn discard(&self, staged: &Staged) -> Result<(), IoError> {
        Ok(fs::remove(&self.stage_folder(&staged.target, &staged.attempt).under(&self.root))?)
    }

    fn probe(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        self.looked_at(target, stored, |place, version| self.holds(target, place, version))
    }

    fn probe_in_full(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        self.looked_at(target, stored, |place, version| self.holds_by_content(target, place, version))
    }

    fn believes(&self, target: &Target, stored: &StoredOutput) -> Probed {
        self.version_recorded(target, stored).map_or_else(|probed| probed, |_| Probed::Same)
    }

    fn adopt(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        let place = self.place(target)?;
        let sight = place.sight()?;
        let Some(pointer) = &sight.pointer else { return Ok(None) };
        let current = &pointer.current;
        if current.shape() != target.shape {
            return Ok(None);
        }
        if self.holds(target, &place, current)? == Probed::Same {
            let same = current.digest() == *data_version;
            return Ok(same.then(|| self.recorded(target, &current.version)));
        }
        // Somebody wrote over the objects themselves: the pointer tells of what is no longer there.
        let Some((_, measured)) = self.fetched(target, &place, current)? else { return Ok(None) };
        let Some(stamp) = place.stamp(&current.name, current.shape())? else { return Ok(None) };
        if measured.data_version != *data_version {
            return Ok(None);
        }
        let version = data_version.to_string();
        let now = Version { version: version.clone(), bytes: measured.bytes, stamp, ..current.clone() };
        let pointer = place.commit(now, &sight, OLDER_MAX)?;
        self.seen(target, &pointer);
        Ok(Some(self.recorded(target, &version)))
    }

    fn recover(&self, target: &Target, token: &[u8], content: &Content) -> Result<Recovered, IoError> {
        let token = stage_token(token)?;
        let place = self.place(target)?;
        let now = place.sight()?;
        if let Some(pointer) = &now.pointer
            && pointer.current.digest() == content.data_version
            && self.holds(target, &place, &pointer.current)? == Probed::Same
        {
            return Ok(Recovered::Published(self.recorded(target, &pointer.current.version)));
        }
        if now.seen != token.sight.seen {
            return Ok(Recovered::Lost);
        }
        let attempt = AttemptId(token.attempt);
        let staged = Staged { target: target.clone(), attempt, path: PathBuf::new(), token: Vec::new() };
        match self.put(&staged, content, &token.sight) {
            Ok(stored) => Ok(Recovered::Published(stored)),
            Err(
                IoError::OutputMissing(_)
                | IoError::WrongKind { .. }
                | IoError::Unstable { .. }
                | IoError::Overtaken { .. },
            ) => Ok(Recovered::Lost),
            Err(error) => Err(error),
        }
    }

    fn load(&self, target: &Target) -> Result<Loaded, IoError> {
        let place = self.place(target)?;
        let missing = || IoError::NotFound(self.shown(target));
        let pointer = place.sight()?.pointer.ok_or_else(missing)?;
        self.copy_of(target, &place, &pointer.current)?.map(Loaded::Path).ok_or_else(missing)
    }

    fn older(&self, target: &Target, data_version: &Digest) -> Result<Option<Loaded>, IoError> {
        let place = self.place(target)?;
        let Some(pointer) = place.sight()?.pointer else { return Ok(None) };
        let version = pointer.older.iter().find(|it| it.digest() == *data_version);
        let copy = version.map(|it| self.copy_of(target, &place, it)).transpose()?;
        Ok(copy.flatten().map(Loaded::Path))
    }

    fn delete(&self, target: &Target) -> Result<(), IoError> {
        let place = self.place(target)?;
        self.bucket.remove(&place.pointer_key()?)?;
        self.bucket.remove_below(&place.versions_key()?)
    }
}

fn content_of(measured: &Measured) -> Content {
    Content { data_version: measured.data_version, bytes: Some(measured.bytes), rows: measured.rows }
}

fn stage_token(token: &[u8]) -> Result<StageToken, IoError> {
    serde_json::from_slice(token)
        .map_err(|_| IoError::Other { path: "what is recorded of a stage".to_owned(), cause: "is damaged".to_owned() })
}
