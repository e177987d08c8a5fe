//! Where state is kept: a narrow trait, its contract, and the built-in stores.
//!
//! State is never dropped silently. A store knows nothing of what its records mean.

pub mod conformance;
pub mod dynamic;
pub mod encode;
pub mod folder;
pub mod journal;
pub mod memory;
pub mod sqlite;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::{
    base::{digest::Digest, fs::FsError},
    model::{
        event::RunOutcome,
        key::{AssetKey, PartitionKey},
    },
    plan::{
        backfill::{Backfill, BackfillState},
        record::{
            Attempt, AttemptId, AttemptState, Intent, Materialization, Observation, RunId, RunRecord, Session,
            StepRecord,
        },
    },
};

/// One thing to write. A list of them is written whole or not at all.
///
/// A change to a run or attempt that is not known changes nothing, so that tidying up never takes a
/// record with it. Ids are never used twice.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    RunStarted(RunRecord),
    RunStep {
        run: RunId,
        step: StepRecord,
    },
    RunEnded {
        run: RunId,
        outcome: RunOutcome,
        at: Timestamp,
    },
    AttemptStarted(Attempt),
    AttemptCommitting {
        id: AttemptId,
        intents: Vec<Intent>,
    },
    /// The first end of an attempt is the one that counts.
    AttemptEnded {
        id: AttemptId,
        state: AttemptState,
        at: Timestamp,
    },
    /// Becomes the latest of its asset partition. The last [`KEPT`] are kept.
    Materialized(Box<Materialization>),
    /// The latest record, with signatures of files that were touched but are the same. Does nothing
    /// if the latest is by now of another attempt.
    Refreshed(Box<Materialization>),
    /// Becomes the latest of its source. The last [`OBSERVED_KEPT`] versions are kept.
    Observed(Observation),
    /// Content of a small code file or a command, kept for diffs.
    Text {
        digest: Digest,
        text: String,
    },
    SessionOpened(Session),
    /// Everything recorded in the session is on disk. Of all that are, the last [`SEALED_KEPT`] are kept.
    SessionSealed(String),
    /// All that is known of `old` is now known of `new`; what was known of `new` is forgotten, as far
    /// as there is something of `old` to take its place.
    Renamed {
        old: AssetKey,
        new: AssetKey,
    },
    /// Forgets everything about an asset; past runs still say that they made it.
    Forgotten(AssetKey),
    /// Forgets a run, its steps and those of its attempts that have ended; materializations stay.
    RunForgotten(RunId),
    /// Becomes the latest of all backfills; does nothing if one of that name is known. Of those that have
    /// ended, the last [`ENDED_KEPT`](crate::plan::backfill::ENDED_KEPT) are kept.
    BackfillAsked(Box<Backfill>),
    /// Does nothing unless its state is one of `from`.
    BackfillTurned {
        name: String,
        from: Vec<BackfillState>,
        to: BackfillState,
        at: Timestamp,
    },
    /// A run works on it. Only kept of one that makes what is fresh too.
    BackfillBegun {
        name: String,
        run: RunId,
    },
}

/// How many materializations of one asset partition are kept.
pub const KEPT: usize = 4;

/// How many versions of one source are kept.
pub const OBSERVED_KEPT: usize = 8;

/// How many sealed sessions are kept; of what was recorded in older ones nothing is left to be doubted.
pub const SEALED_KEPT: usize = 32;

/// What can go wrong in a store. What is stored stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the state in {path} was written by a newer version ({found}; this one knows {known})")]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("the state in {path} cannot be used: {cause}")]
    Unusable { path: PathBuf, cause: String },
    #[error("the state in {path} is busy: another process holds it")]
    Busy { path: PathBuf },
    #[error("the state in {path} is read-only")]
    ReadOnly { path: PathBuf },
    #[error("no space is left for the state in {path}")]
    Full { path: PathBuf },
    #[error("the state in {path} is damaged: {cause}")]
    Damaged { path: PathBuf, cause: String },
    /// Another user could have put it there.
    #[error("the state folder {path} is not trusted: {cause}")]
    Foreign { path: PathBuf, cause: String },
}

impl StoreError {
    pub fn path(&self) -> &Path {
        match self {
            StoreError::Newer { path, .. }
            | StoreError::Unusable { path, .. }
            | StoreError::Busy { path }
            | StoreError::ReadOnly { path }
            | StoreError::Full { path }
            | StoreError::Damaged { path, .. }
            | StoreError::Foreign { path, .. } => path,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            StoreError::Newer { .. } => "use the newer version of assets; the state was left as it is",
            StoreError::Unusable { .. } => return None,
            StoreError::Busy { .. } => "try again when the other process has ended",
            StoreError::ReadOnly { .. } => "make the folder writable; status and why work without",
            StoreError::Full { .. } => "free some space and run again; nothing recorded was lost",
            StoreError::Damaged { .. } => "any command that writes rebuilds it from the journal",
            StoreError::Foreign { .. } => "if you trust it, make it your own with chown; if not, move it away",
        })
    }
}

impl From<FsError> for StoreError {
    fn from(error: FsError) -> Self {
        if error.is_no_space() {
            StoreError::Full { path: error.path }
        } else if error.is_denied() {
            StoreError::ReadOnly { path: error.path }
        } else {
            StoreError::Unusable { cause: error.to_string(), path: error.path }
        }
    }
}

/// Keeps records. All methods may be called from any thread.
///
/// Contract, checked by `conformance`: what [`StateStore::commit`] returned `Ok` for is seen by every
/// later read, in this process and others, and survives the death of this process at any moment;
/// a list of changes is seen whole or not at all; reads never wait for writers.
pub trait StateStore: Send + Sync {
    /// Applies all `changes`, in order, atomically.
    fn commit(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// Moves whenever anything that a decision depends on was committed, by anyone.
    fn generation(&self) -> Result<u64, StoreError>;

    /// The latest materialization of every asset partition, in key order.
    fn latest_all(&self) -> Result<Vec<Materialization>, StoreError>;

    fn latest(&self, key: &AssetKey, partition: &PartitionKey) -> Result<Option<Materialization>, StoreError>;

    /// Up to [`KEPT`] materializations, newest first.
    fn history(&self, key: &AssetKey, partition: &PartitionKey) -> Result<Vec<Materialization>, StoreError>;

    /// The latest attempt of every op's partition, by op name; none where its run was forgotten.
    fn last_attempts(&self) -> Result<Vec<Attempt>, StoreError>;

    /// The one of them of this op's partition.
    fn last_attempt(&self, op: &str, partition: &PartitionKey) -> Result<Option<Attempt>, StoreError> {
        Ok(self.last_attempts()?.into_iter().find(|it| it.op == op && it.partition == *partition))
    }

    /// Attempts that are running or committing: live ones, and those of killed runs.
    fn unfinished_attempts(&self) -> Result<Vec<Attempt>, StoreError>;

    fn attempt(&self, id: &AttemptId) -> Result<Option<Attempt>, StoreError>;

    fn attempts_of(&self, run: &RunId) -> Result<Vec<Attempt>, StoreError>;

    /// The latest observation of every source, in key order.
    fn observations(&self) -> Result<Vec<Observation>, StoreError>;

    /// What the source was when its data version was this.
    fn observation(&self, key: &AssetKey, version: &Digest) -> Result<Option<Observation>, StoreError>;

    /// Newest first, without steps.
    fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StoreError>;

    /// With steps.
    fn run(&self, id: &RunId) -> Result<Option<RunRecord>, StoreError>;

    fn text(&self, digest: &Digest) -> Result<Option<String>, StoreError>;

    /// In the order in which they were first opened.
    fn sessions(&self) -> Result<Vec<Session>, StoreError>;

    /// In the order in which they were asked for.
    fn backfills(&self) -> Result<Vec<Backfill>, StoreError>;

    fn backfill(&self, name: &str) -> Result<Option<Backfill>, StoreError> {
        Ok(self.backfills()?.into_iter().find(|it| it.name == name))
    }

    /// Makes everything committed so far survive a power loss.
    fn sync(&self) -> Result<(), StoreError>;

    /// What people should know of that happened since the last call: state that was mended.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
