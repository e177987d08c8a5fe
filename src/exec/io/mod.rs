//! Keeping data: a narrow, synchronous, object-safe trait, its contract, and the built-in managers.
//!
//! An IO manager knows where and how content is stored; it knows nothing of staleness or of runs.

pub mod adbc;
pub mod beneath;
pub mod conformance;
pub mod fit;
pub mod fs;
pub mod hooked;
pub mod keep;
pub mod maker;
pub mod memory;
pub mod object_store;
pub mod postgres;
pub mod registry;
pub mod slice;
pub mod sqlite;

pub use slice::{Slice, Slices};

use std::{path::PathBuf, sync::Arc};

use crate::{
    base::{digest::Digest, fs::FsError, path::ProjectPath},
    exec::{
        lock::LockName,
        table::{
            Rows, TableError,
            digest::{TableDigest, TableVersion},
        },
    },
    model::{
        format::TableFormat,
        key::{AssetKey, PartitionKey},
        materialized::Publishing,
        project::{Identity, Shape},
    },
    plan::record::{AttemptId, StoredOutput},
};
use arrow::{
    datatypes::Schema,
    record_batch::{RecordBatch, RecordBatchIterator},
};

/// One asset partition, as an IO manager is told of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Target {
    pub key: AssetKey,
    pub partition: PartitionKey,
    /// Below the manager's root.
    pub path: ProjectPath,
    pub format: Option<String>,
    pub shape: Shape,
    pub identity: Identity,
    /// The command writes to the final place; see [`IoManager::stage`].
    pub in_place: bool,
    /// What is done along with it, where a database keeps it.
    pub publishing: Publishing,
    /// Which rows of its table are this partition; `None` for all of them.
    pub slice: Option<Slice>,
    /// How the slices of its other partitions are told by their keys. Known when it is to be made, else not.
    pub slices: Option<Slices>,
}

impl Target {
    /// The form of the file in which a command hands over the rows of a table.
    pub fn handed_over(&self) -> TableFormat {
        self.format.as_deref().and_then(TableFormat::of_extension).unwrap_or(TableFormat::Csv)
    }

    /// What is written down of its rows stands below this name, beside its table.
    pub fn ledger_name(&self) -> String {
        let table = self.path.file_name().map(|it| it.to_string_lossy()).unwrap_or_default();
        match self.slice {
            None => table.into_owned(),
            Some(_) => format!("{table}@{}", self.partition.as_str()),
        }
    }

    /// The identity of its rows.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub fn version_of(&self, rows: Rows) -> Result<TableVersion, TableError> {
        if self.slice.is_some() { TableDigest::of_part(rows) } else { TableDigest::of(rows) }
    }

    /// The same of rows that are sent batch by batch.
    ///
    /// # Errors
    /// What sending them ends with.
    pub fn version_of_sent(
        &self,
        schema: &Schema,
        send: impl FnOnce(&mut dyn FnMut(RecordBatch) -> bool) -> Result<(), TableError>,
    ) -> Result<TableVersion, TableError> {
        let (mut digest, mut failed) = (TableDigest::new(schema)?, None);
        let mut rows = 0;
        send(&mut |batch| {
            rows += batch.num_rows();
            failed = digest.add(&batch).err();
            failed.is_none()
        })?;
        match failed {
            Some(error) => Err(error),
            None if rows == 0 => self.version_of(Box::new(RecordBatchIterator::new([], Arc::new(schema.clone())))),
            None => Ok(digest.finish()),
        }
    }

    /// As it stands behind `where`; of a whole table everything.
    pub fn condition(&self) -> String {
        self.slice.as_ref().map_or_else(|| "true".to_owned(), Slice::condition)
    }

    /// How a file of it is looked at.
    pub fn reading(&self) -> Reading {
        let table = || TableFormat::of_extension(self.format.as_deref()?);
        match self.identity {
            Identity::Bytes => Reading::Bytes,
            Identity::Rows => table().map_or(Reading::Bytes, Reading::Rows),
            Identity::Sequence => table().map_or(Reading::Bytes, Reading::Sequence),
            Identity::Json => Reading::Json,
            Identity::Unread => Reading::Unread,
        }
    }
}

/// What of a file makes its data version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    Bytes,
    /// The rows of a table.
    Rows(TableFormat),
    /// The same in their order: the bytes, and how many rows they are is told.
    Sequence(TableFormat),
    /// What a JSON text says.
    Json,
    /// Nothing: it is the same as long as nobody writes to it.
    Unread,
}

/// What an IO manager can do. What is not declared is never asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// Stages and loads paths.
    pub files: bool,
    /// Loads and stores Arrow tables.
    pub tables: bool,
    /// Runs SQL where the data is.
    pub sql: bool,
    pub partitions: bool,
    /// Content outlives the process.
    pub persistent: bool,
    /// Asking opens a connection.
    pub remote: bool,
}

/// A place for a computation to write, not yet visible to anybody.
#[derive(Clone, PartialEq, Debug)]
pub struct Staged {
    pub target: Target,
    pub attempt: AttemptId,
    /// Where to write. Nothing is there yet; its folder exists.
    pub path: PathBuf,
    /// The manager's own words, enough to publish or discard after a crash.
    pub token: Vec<u8>,
}

impl Staged {
    /// The name of one of its indexes: that of no other table, attempt or project.
    pub fn index_name(&self, number: usize) -> String {
        let of = format!("{}\0{}\0{number}", self.target.key, self.attempt.0);
        format!("_assets_index_{}", Digest::derive("assets index name 1", of.as_bytes()).short())
    }
}

/// What [`IoManager::declared`] tells: of each column its name and what it is declared as.
pub fn lines_of(columns: &[(String, String)]) -> Option<Box<str>> {
    let line = |(name, kind): &(String, String)| format!("{name}\t{kind}");
    (!columns.is_empty()).then(|| columns.iter().map(line).collect::<Vec<_>>().join("\n").into())
}

/// What was staged, after looking at it.
#[derive(Clone, PartialEq, Debug)]
pub struct Content {
    pub data_version: Digest,
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
}

impl From<TableVersion> for Content {
    fn from(version: TableVersion) -> Content {
        Content { data_version: version.digest, bytes: Some(version.bytes), rows: Some(version.rows) }
    }
}

/// What an input is given to a computation as.
pub enum Loaded {
    Path(PathBuf),
    /// Of what lies in no file.
    Rows(Rows),
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Loaded::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Loaded::Rows(rows) => f.debug_tuple("Rows").field(&rows.schema()).finish(),
        }
    }
}

/// Whether the stored content is still what was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probed {
    Same,
    Missing,
    Modified,
    /// It was recorded of another place than where it belongs now: this one.
    Elsewhere(String),
}

/// Tells one moment from every later one at which somebody has written to what was there, though it be the same again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Witness {
    /// Of the very table: others may write to those beside it.
    Table(Box<str>),
    /// Of all that is in one database, which others may write to at any time: asked as soon as everything is read.
    Database(i64),
}

/// What became of a publication that a crash interrupted.
#[derive(Clone, PartialEq, Debug)]
pub enum Recovered {
    /// The new content is visible and is what was intended.
    Published(StoredOutput),
    /// What is visible is not what was intended: somebody else changed it. Nothing was touched.
    Lost,
}

/// What went wrong, by meaning. The cause is kept as text for people.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    #[error("output is missing: {0}")]
    OutputMissing(String),
    #[error("output {path} is {found}, expected {expected}")]
    WrongKind { path: String, expected: &'static str, found: &'static str },
    #[error("not found: {0}")]
    NotFound(String),
    #[error("{path}: permission denied")]
    Permission { path: String },
    #[error("{path}: no space left ({free} bytes free)")]
    NoSpace { path: String, free: u64 },
    #[error("{path} changed while it was read")]
    Unstable { path: String },
    #[error("{path} leads out of the project")]
    Escapes { path: String },
    #[error("{0} is not supported by this IO manager")]
    NotSupported(&'static str),
    #[error("{place}: while this was made, {by}")]
    Overtaken { place: String, by: String },
    #[error("{place}: {cause}")]
    Store { place: String, cause: String, help: &'static str },
    /// Nothing was published, for certain, and trying again changes nothing.
    #[error("{what}: {cause}")]
    Refused { what: String, cause: String, help: String },
    #[error("{path}: {cause}")]
    Other { path: String, cause: String },
}

impl IoError {
    /// A transaction that was not committed, and so left nothing.
    pub fn unpublished(what: impl Into<String>, cause: impl Into<String>) -> IoError {
        let help = "nothing was published: all of it is one transaction".to_owned();
        IoError::Refused { what: what.into(), cause: cause.into(), help }
    }

    /// What can be done about it, where something can.
    pub fn help(&self) -> Option<&str> {
        match self {
            IoError::OutputMissing(_) => Some(
                "write to the path in ASSETS_OUTPUT ({{ output }}); or set in_place = true if that cannot be told to it",
            ),
            IoError::WrongKind { found: "a folder", .. } => Some("declare a folder by a path that ends in /"),
            IoError::WrongKind { found: "a link", .. } => {
                Some("write the content itself: what a link leads to is not stored")
            }
            IoError::Permission { .. } => Some("the folder and what is in it must be writable by you"),
            IoError::NoSpace { .. } => Some("nothing was published; free some space and run again"),
            IoError::Unstable { .. } => Some("a process that the command left behind may still be writing"),
            IoError::Escapes { .. } => Some(
                "outputs stay below the project: replace the link by a folder, mount the other place there, or move the project",
            ),
            IoError::Overtaken { .. } => Some("run again: what is there now is looked at anew"),
            IoError::Store { help, .. } => Some(help),
            IoError::Refused { help, .. } => Some(help),
            _ => None,
        }
    }
}

impl From<FsError> for IoError {
    fn from(error: FsError) -> Self {
        let path = error.path.display().to_string();
        if error.is_not_found() {
            IoError::NotFound(path)
        } else if error.is_denied() {
            IoError::Permission { path }
        } else {
            IoError::Other { path, cause: error.source.to_string() }
        }
    }
}

/// Stores content and gives it back. All methods may be called from any thread, and at once for
/// different targets; for one target the caller holds its lock.
///
/// Contract, checked by `conformance`:
/// - [`publish`](IoManager::publish) is atomic: a reader sees the old content or the new, whole;
/// - nothing is visible before it, and a discarded or forgotten stage leaves nothing visible;
/// - what `publish` returned is what `probe` calls [`Probed::Same`] until somebody changes it;
/// - equal content has equal data versions, in this manager and, for files, in every other;
/// - after a crash at any moment `recover` either finishes the publication or says why not.
pub trait IoManager: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// Takes what one process at a time may have, before anything is asked; `Some`: another one has what this
    /// lock stands for.
    ///
    /// # Errors
    /// Locks that cannot be used.
    fn admit(&self) -> Result<Option<LockName>, IoError> {
        Ok(None)
    }

    /// Lets go of what is open: nothing is asked for a while.
    fn rest(&self) {}

    /// Makes a place to write, beside the target. With `in_place`, what is visible is moved aside
    /// first and the returned path is the final one; `discard` moves it back.
    fn stage(&self, target: &Target, attempt: &AttemptId) -> Result<Staged, IoError>;

    /// Reads what was staged: its data version and size. Fails if it is missing or not of the
    /// target's shape.
    fn inspect(&self, staged: &Staged) -> Result<Content, IoError>;

    /// The data version of what is visible now, read in full; `None` if nothing is.
    fn current(&self, target: &Target) -> Result<Option<Content>, IoError>;

    /// Makes the staged content the visible one. The old content, if any, is destroyed only after.
    fn publish(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError>;

    /// As [`publish`](IoManager::publish); what it replaces, recorded as `older`, may be kept for
    /// [`restore`](IoManager::restore).
    fn publish_keeping(&self, staged: &Staged, content: &Content, older: &Digest) -> Result<StoredOutput, IoError> {
        let _ = older;
        self.publish(staged, content)
    }

    /// Makes an older version the visible one, as atomically as `publish`, after reading it in full;
    /// `None`, and nothing changed, if it is not kept or not what it was.
    fn restore(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError> {
        let _ = (target, data_version);
        Ok(None)
    }

    /// The content of a version that was replaced and is kept, for somebody to read; `None` if it is not.
    fn older(&self, target: &Target, data_version: &Digest) -> Result<Option<Loaded>, IoError> {
        let _ = (target, data_version);
        Ok(None)
    }

    /// Whether `restore` would probably find this version; cheap, and reads no content.
    fn keeps(&self, target: &Target, data_version: &Digest) -> bool {
        let _ = (target, data_version);
        false
    }

    /// Takes back a stage: after a failure, or because the content was the same. Of `staged` only the
    /// target and the attempt need be known: after a crash the rest may be empty. Not after `publish`
    /// failed: then `recover` tells what became of it.
    fn discard(&self, staged: &Staged) -> Result<(), IoError>;

    /// Whether what is visible is what was recorded; cheap where that can be told.
    fn probe(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError>;

    /// As [`probe`](IoManager::probe), and nothing that says so without the content is believed: it is read in
    /// full. Managers whose `probe` always reads need no other.
    fn probe_in_full(&self, target: &Target, stored: &StoredOutput) -> Result<Probed, IoError> {
        self.probe(target, stored)
    }

    /// As [`probe`](IoManager::probe), with what tells later whether somebody has written to it since. `None`: that cannot be
    /// told.
    fn probe_witnessed(&self, target: &Target, stored: &StoredOutput) -> Result<(Probed, Option<Witness>), IoError> {
        Ok((self.probe(target, stored)?, None))
    }

    /// The same of what is visible now, whatever it is.
    fn witness(&self, target: &Target) -> Result<Option<Witness>, IoError> {
        let _ = target;
        Ok(None)
    }

    /// Gives what was published at `from`, all partitions of it, the place of `to`, in one step. `false`: it was not done,
    /// because nothing is there, or something is at `to`, or it cannot be done here.
    ///
    /// # Errors
    /// A store that refuses it.
    fn rename(&self, from: &Target, to: &Target) -> Result<bool, IoError> {
        let _ = (from, to);
        Ok(false)
    }

    /// Whether something is in its place that was never published there, as far as the store tells. Asked before what
    /// is not recorded is made: nothing of others is replaced unseen. Where a store cannot tell, it is not.
    ///
    /// # Errors
    /// A store that cannot be asked.
    fn is_foreign(&self, target: &Target) -> Result<bool, IoError> {
        let _ = target;
        Ok(false)
    }

    /// What is taken to be true of a recorded output where no connection may be opened: that it is there,
    /// if this is the place that was recorded. Only asked of a manager that is remote.
    fn believes(&self, target: &Target, stored: &StoredOutput) -> Probed {
        let _ = (target, stored);
        Probed::Same
    }

    /// What is visible, described anew, if its content is `content`; else `None`. Used to adopt
    /// content that is already right: accepting, same content, a lost record.
    fn adopt(&self, target: &Target, data_version: &Digest) -> Result<Option<StoredOutput>, IoError>;

    /// How the columns of what is there, or of what is staged, are declared: what readers in the same database see and
    /// its rows do not tell. A line for each column; `None` where there are no rows, or no more is to be known.
    fn declared(&self, _target: &Target, _staged: Option<&Staged>) -> Result<Option<Box<str>>, IoError> {
        Ok(None)
    }

    /// What its hooks have made of the last publication of `target`, if that is not what was staged. Told once, after
    /// `publish` or `recover`, whose answer is of it.
    fn after_hooks(&self, _target: &Target) -> Option<Content> {
        None
    }

    /// Views of ours that the last publication of `target` took away and could not make again over what is there now.
    /// Each is told once.
    fn taken_away(&self, _target: &Target) -> Vec<String> {
        Vec::new()
    }

    /// Finishes or gives up a publication after a crash; `token` is of the [`Staged`].
    fn recover(&self, target: &Target, token: &[u8], content: &Content) -> Result<Recovered, IoError>;

    /// The content, for a computation to read.
    fn load(&self, target: &Target) -> Result<Loaded, IoError>;

    /// Deletes what is visible; fine if nothing is.
    fn delete(&self, target: &Target) -> Result<(), IoError>;
}
