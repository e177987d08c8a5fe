//! Fresh, stale, or not known yet; and why. Reasons are typed, with old and new values.

use crate::model::project::NodeId;

/// What a person is told of an asset. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    Fresh,
    Stale,
    /// Never built, or its output is gone.
    Missing,
    /// Not fresh, and the last attempt failed.
    Failed,
    /// Cannot be built now: something upstream is missing or failed.
    Blocked,
    Running,
}

impl State {
    pub const ALL: [State; 6] =
        [State::Fresh, State::Stale, State::Missing, State::Failed, State::Blocked, State::Running];

    pub fn name(self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::Stale => "stale",
            State::Missing => "missing",
            State::Failed => "failed",
            State::Blocked => "blocked",
            State::Running => "running",
        }
    }
}

/// Why something is not fresh. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReasonCode {
    NeverBuilt,
    CodeChanged,
    ConfigChanged,
    EnvChanged,
    SourceChanged,
    InputChanged,
    InputAdded,
    InputRemoved,
    OutputMissing,
    OutputModified,
    UpstreamStale,
    UpstreamMissing,
    PartitionMissing,
    CheckFailed,
    PreviousFailed,
    Forced,
    Expired,
    VersionChanged,
}

impl ReasonCode {
    pub const ALL: [ReasonCode; 18] = [
        ReasonCode::NeverBuilt,
        ReasonCode::CodeChanged,
        ReasonCode::ConfigChanged,
        ReasonCode::EnvChanged,
        ReasonCode::SourceChanged,
        ReasonCode::InputChanged,
        ReasonCode::InputAdded,
        ReasonCode::InputRemoved,
        ReasonCode::OutputMissing,
        ReasonCode::OutputModified,
        ReasonCode::UpstreamStale,
        ReasonCode::UpstreamMissing,
        ReasonCode::PartitionMissing,
        ReasonCode::CheckFailed,
        ReasonCode::PreviousFailed,
        ReasonCode::Forced,
        ReasonCode::Expired,
        ReasonCode::VersionChanged,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ReasonCode::NeverBuilt => "never_built",
            ReasonCode::CodeChanged => "code_changed",
            ReasonCode::ConfigChanged => "config_changed",
            ReasonCode::EnvChanged => "env_changed",
            ReasonCode::SourceChanged => "source_changed",
            ReasonCode::InputChanged => "input_changed",
            ReasonCode::InputAdded => "input_added",
            ReasonCode::InputRemoved => "input_removed",
            ReasonCode::OutputMissing => "output_missing",
            ReasonCode::OutputModified => "output_modified",
            ReasonCode::UpstreamStale => "upstream_stale",
            ReasonCode::UpstreamMissing => "upstream_missing",
            ReasonCode::PartitionMissing => "partition_missing",
            ReasonCode::CheckFailed => "check_failed",
            ReasonCode::PreviousFailed => "previous_failed",
            ReasonCode::Forced => "forced",
            ReasonCode::Expired => "expired",
            ReasonCode::VersionChanged => "version_changed",
        }
    }
}

/// One thing that changed. `subject` is what (a file, a variable, a key), `old` and `new` are its
/// values as people are shown them (`None`: it was not there), `message` says it in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    pub code: ReasonCode,
    pub subject: String,
    pub old: Option<String>,
    pub new: Option<String>,
    pub message: String,
}

/// The one answer about one asset partition, shared by status, why, plan and run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Fresh,
    /// Must be remade; at least one reason, the most telling first.
    Stale(Vec<Reason>),
    /// Nothing of its own changed; these upstreams must finish before it is known.
    Undecided {
        waits_for: Vec<NodeId>,
        reasons: Vec<Reason>,
    },
}

impl Verdict {
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Verdict::Fresh => &[],
            Verdict::Stale(reasons) | Verdict::Undecided { reasons, .. } => reasons,
        }
    }

    pub fn is_fresh(&self) -> bool {
        matches!(self, Verdict::Fresh)
    }
}
