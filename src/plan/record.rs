//! What is remembered of runs, attempts and materializations: the types of the state store.
//!
//! How they are written is the store's business; what is decided from them is the planner's.

use jiff::Timestamp;

use crate::{
    base::{digest::Digest, path::ProjectPath},
    model::{
        event::{RunOutcome, StepOutcome},
        fingerprint::Fingerprint,
        key::{AssetKey, PartitionKey},
    },
    plan::hash::{FileKind, Signature},
};

const ADDRESS: &str = "assets source url address 1";

/// Sortable, unique name of a run: `20261120-231502-4f2a`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RunId(pub String);

/// Unique name of one try at a step: `<run>-<step>-<attempt>`; safe as part of a file's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptId(pub String);

impl RunId {
    /// `random` tells two runs of one second apart.
    pub fn new(at: Timestamp, random: u16) -> Self {
        RunId(format!("{}-{random:04x}", at.strftime("%Y%m%d-%H%M%S")))
    }
}

impl AttemptId {
    /// The `attempt`th try (from 1) at a step of a run.
    pub fn new(run: &RunId, step: usize, attempt: u32) -> Self {
        AttemptId(format!("{}-{step}-{attempt}", run.0))
    }

    /// Whether nothing was tried before it.
    pub fn is_first(&self) -> bool {
        self.0.rsplit('-').next() == Some("1")
    }
}

/// One stored version of an asset partition.
#[derive(Clone, PartialEq, Debug)]
pub struct Materialization {
    pub key: AssetKey,
    pub partition: PartitionKey,
    pub attempt: AttemptId,
    pub run: RunId,
    pub at: Timestamp,
    pub duration_ms: u64,
    pub fingerprint: Fingerprint,
    pub data_version: Digest,
    /// What the IO manager knows the content by, where that is not the data version.
    pub content: Option<Digest>,
    /// How its columns are declared, if a database keeps it: a line for each, as that writes it.
    pub declared: Option<Box<str>>,
    pub output: StoredOutput,
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
    /// Set if a person took what is stored as fresh: the reason given.
    pub accepted: Option<String>,
    /// The boot and machine it was made in; see `Session`.
    pub session: String,
}

/// What is stored, as far as is needed to see whether it is still that.
#[derive(Clone, PartialEq, Debug)]
pub enum StoredOutput {
    /// Files and folders below the project; the planner checks them itself, in one sweep.
    Files(Vec<TrackedFile>),
    /// Only the IO manager can tell: its own words.
    Token(Vec<u8>),
}

/// One file (or link, or folder) of an output as it was when it was recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct TrackedFile {
    pub path: ProjectPath,
    pub signature: Signature,
    /// Content of a file, target of a link; of a folder, all zero.
    pub digest: Digest,
    /// The signature was as young as its own reading: hash again before trusting it.
    pub racy: bool,
}

impl TrackedFile {
    /// A file whose content was never looked at: only that nobody wrote to it is known.
    pub fn is_unread(&self) -> bool {
        self.signature.kind == FileKind::File && self.digest == Digest([0; 32])
    }
}

impl Materialization {
    /// The same after its content has become another one, whose identity this is.
    #[must_use]
    pub fn of_content(self, content: Digest, bytes: Option<u64>, rows: Option<u64>) -> Self {
        let by_content = self.content.is_none();
        let data_version = if by_content { content } else { self.data_version };
        Materialization { data_version, content: (!by_content).then_some(content), bytes, rows, ..self }
    }

    /// What an IO manager knows the content by.
    pub fn content(&self) -> Digest {
        self.content.unwrap_or(self.data_version)
    }
}

/// What a source was found to be. Kept by version, so that `why` can name the file that changed.
#[derive(Clone, PartialEq, Debug)]
pub struct Observation {
    pub key: AssetKey,
    pub data_version: Digest,
    pub at: Timestamp,
    /// For people: a version that a command printed, an ETag.
    pub shown: Option<String>,
    /// The files of a `files` source; of a `url` the digest of the address that was asked, under no name.
    pub files: Vec<(ProjectPath, Digest)>,
}

impl Observation {
    /// What stands for an address: another one may have something else.
    pub fn asked_at(url: &str) -> Vec<(ProjectPath, Digest)> {
        vec![(ProjectPath::root(), Digest::derive(ADDRESS, url.as_bytes()))]
    }

    /// Whether it was seen at this address.
    pub fn is_of(&self, url: &str) -> bool {
        self.files == Observation::asked_at(url)
    }

    /// How many files it is of.
    pub fn count_files(&self) -> usize {
        self.files.iter().filter(|it| !it.0.is_root()).count()
    }
}

/// One try at a step.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    pub id: AttemptId,
    pub run: RunId,
    pub op: String,
    pub partition: PartitionKey,
    pub outputs: Vec<AssetKey>,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub state: AttemptState,
    /// Project-relative path of its log.
    pub log: Option<String>,
    /// Process id of the tool, for display only.
    pub pid: u32,
    pub host: String,
}

#[derive(Clone, PartialEq, Debug)]
pub enum AttemptState {
    Running,
    /// The redo log: what was about to become visible.
    Committing(Vec<Intent>),
    /// For each output, in the order of `Attempt::outputs`.
    Succeeded(StepOutcome),
    Failed(String),
    /// It was made, and a check of its data said no.
    Rejected(String),
    Interrupted,
    /// An input changed while the computation read it.
    Void(String),
}

impl AttemptState {
    /// As reports name them; stable.
    pub const NAMES: [&'static str; 7] =
        ["running", "committing", "succeeded", "failed", "rejected", "interrupted", "void"];

    pub fn name(&self) -> &'static str {
        match self {
            AttemptState::Running => "running",
            AttemptState::Committing(_) => "committing",
            AttemptState::Succeeded(_) => "succeeded",
            AttemptState::Failed(_) => "failed",
            AttemptState::Rejected(_) => "rejected",
            AttemptState::Interrupted => "interrupted",
            AttemptState::Void(_) => "void",
        }
    }

    /// Why it came to nothing.
    pub fn why(&self) -> Option<&str> {
        match self {
            AttemptState::Failed(why) | AttemptState::Rejected(why) | AttemptState::Void(why) => Some(why),
            _ => None,
        }
    }
}

/// One output about to be published: enough to roll forward after a crash.
#[derive(Clone, PartialEq, Debug)]
pub struct Intent {
    /// The materialization to record once it is visible. `output` and signatures are taken then.
    pub materialization: Materialization,
    /// Where the finished content waits; the IO manager's own words.
    pub staged: Vec<u8>,
}

/// One run.
#[derive(Clone, PartialEq, Debug)]
pub struct RunRecord {
    pub id: RunId,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// `None` while it runs, and for ever if it was killed.
    pub outcome: Option<RunOutcome>,
    /// What was asked for, as typed.
    pub command: Vec<String>,
    pub steps: Vec<StepRecord>,
    pub pid: u32,
    pub host: String,
}

/// What became of one asset in a run.
#[derive(Clone, PartialEq, Debug)]
pub struct StepRecord {
    pub key: AssetKey,
    pub partition: PartitionKey,
    pub outcome: StepOutcome,
    pub duration_ms: u64,
    pub attempt: Option<AttemptId>,
    pub data_version: Option<Digest>,
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
    pub error: Option<String>,
}

/// The time between two boots of one machine: what an unsynced write can survive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    pub id: String,
    pub boot: String,
    /// Everything recorded in it is known to be on disk.
    pub sealed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_name_files() {
        let early: Timestamp = "2026-11-20T23:15:02.9Z".parse().unwrap();
        let late: Timestamp = "2026-11-20T23:15:03Z".parse().unwrap();
        let run = RunId::new(early, 0x4f2a);
        assert_eq!(run.0, "20261120-231502-4f2a");
        assert!(RunId::new(early, u16::MAX) < RunId::new(late, 0));
        assert_eq!(AttemptId::new(&run, 12, 1).0, "20261120-231502-4f2a-12-1");
    }
}
