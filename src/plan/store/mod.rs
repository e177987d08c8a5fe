//! Where state is kept: a narrow trait, its contract, and the built-in stores.
//!
//! State is never dropped silently. A store knows nothing of what its records mean.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::{
    base::digest::Digest,
    model::{
        event::RunOutcome,
        key::{AssetKey, PartitionKey},
    },
    plan::record::{
        Attempt, AttemptId, AttemptState, Intent, Materialization, Observation, RunId, RunRecord, Session, StepRecord,
    },
};

/// One thing to write. A list of them is written whole or not at all.
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
    AttemptEnded {
        id: AttemptId,
        state: AttemptState,
        at: Timestamp,
    },
    /// Becomes the latest of its asset partition. The last [`KEPT`] are kept.
    Materialized(Box<Materialization>),
    /// The latest record, with signatures of files that were touched but are the same.
    Refreshed(Box<Materialization>),
    Observed(Observation),
    /// Content of a small code file or a command, kept for diffs.
    Text {
        digest: Digest,
        text: String,
    },
    SessionOpened(Session),
    /// Everything recorded in the session is on disk.
    SessionSealed(String),
    Renamed {
        old: AssetKey,
        new: AssetKey,
    },
    /// Forgets everything about an asset.
    Forgotten(AssetKey),
    /// Forgets a run, its attempts and steps; materializations stay.
    RunForgotten(RunId),
}

/// How many materializations of one asset partition are kept.
pub const KEPT: usize = 4;

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

    /// The latest attempt of every op's partition, by op name.
    fn last_attempts(&self) -> Result<Vec<Attempt>, StoreError>;

    /// Attempts that are running or committing: live ones, and those of killed runs.
    fn unfinished_attempts(&self) -> Result<Vec<Attempt>, StoreError>;

    fn attempt(&self, id: &AttemptId) -> Result<Option<Attempt>, StoreError>;

    fn attempts_of(&self, run: &RunId) -> Result<Vec<Attempt>, StoreError>;

    /// The latest observation of every source.
    fn observations(&self) -> Result<Vec<Observation>, StoreError>;

    /// What the source was when its data version was this.
    fn observation(&self, key: &AssetKey, version: &Digest) -> Result<Option<Observation>, StoreError>;

    /// Newest first, without steps.
    fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StoreError>;

    /// With steps.
    fn run(&self, id: &RunId) -> Result<Option<RunRecord>, StoreError>;

    fn text(&self, digest: &Digest) -> Result<Option<String>, StoreError>;

    fn sessions(&self) -> Result<Vec<Session>, StoreError>;

    /// Makes everything committed so far survive a power loss.
    fn sync(&self) -> Result<(), StoreError>;
}
