//! Everything observable about a run: one stream, in order. Console, JSON, log, history and web
//! page are listeners to it. Knows nothing of how any of them shows it.

use crate::{
    base::digest::Digest,
    model::{
        check::Finding,
        key::{AssetKey, PartitionKey},
        project::Severity,
        staleness::{Reason, ReasonCode},
    },
};

/// How a step ended for one asset. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StepOutcome {
    /// The computation ran and its content was published (or was the same as what is there).
    Built,
    /// An earlier materialization was put back.
    Restored,
    /// What is upstream turned out the same: not run.
    CutOff,
    /// Found fresh when its turn came.
    Fresh,
    Failed,
    /// Not tried, because something upstream failed or the run was stopped; with an error: it was
    /// at work when the run was stopped.
    Skipped,
}

impl StepOutcome {
    pub const ALL: [StepOutcome; 6] = [
        StepOutcome::Built,
        StepOutcome::Restored,
        StepOutcome::CutOff,
        StepOutcome::Fresh,
        StepOutcome::Failed,
        StepOutcome::Skipped,
    ];

    pub fn name(self) -> &'static str {
        match self {
            StepOutcome::Built => "built",
            StepOutcome::Restored => "restored",
            StepOutcome::CutOff => "cut_off",
            StepOutcome::Fresh => "fresh",
            StepOutcome::Failed => "failed",
            StepOutcome::Skipped => "skipped",
        }
    }
}

/// How a whole run ended. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RunOutcome {
    Succeeded,
    Failed,
    Interrupted,
}

impl RunOutcome {
    pub fn name(self) -> &'static str {
        match self {
            RunOutcome::Succeeded => "succeeded",
            RunOutcome::Failed => "failed",
            RunOutcome::Interrupted => "interrupted",
        }
    }
}

/// How much of an asset that is incremental was made. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// All of its rows.
    Whole,
    /// Rows that were added to those that are there, or took the place of some.
    Added,
}

impl Extent {
    pub const ALL: [Extent; 2] = [Extent::Whole, Extent::Added];

    /// What is made of a table to which rows can be added, for these reasons: if they are but new data, it is added.
    pub fn for_reasons(reasons: &[Reason]) -> Extent {
        let new_data = |it: &Reason| matches!(it.code, ReasonCode::InputChanged | ReasonCode::SourceChanged);
        if !reasons.is_empty() && reasons.iter().all(new_data) { Extent::Added } else { Extent::Whole }
    }

    pub fn name(self) -> &'static str {
        match self {
            Extent::Whole => "full",
            Extent::Added => "incremental",
        }
    }
}

/// What a finished step says of one asset.
#[derive(Clone, PartialEq, Debug)]
pub struct StepReport {
    pub key: AssetKey,
    pub partition: PartitionKey,
    /// Name of the IO manager that keeps it.
    pub io: String,
    pub outcome: StepOutcome,
    pub duration_ms: u64,
    pub data_version: Option<Digest>,
    /// Of a failed attempt: identity of everything that it was made from.
    pub tried: Option<Digest>,
    /// Built, and the content is what was there before.
    pub unchanged: bool,
    /// Of one that is incremental, if it was built.
    pub extent: Option<Extent>,
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
    /// Why it was run, or (skipped) what failed upstream; the first is the most telling.
    pub reasons: Vec<Reason>,
    /// Of one that failed or was stopped.
    pub error: Option<StepError>,
    /// What the checks of its data said, in the order declared.
    pub checks: Vec<CheckReport>,
}

/// What a check said of the data that was to be published.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckReport {
    pub name: String,
    /// As the manifest calls it.
    pub kind: &'static str,
    pub severity: Severity,
    /// Whether a failure keeps the data from being published.
    pub blocking: bool,
    /// Why it failed ("exit status 1"), and what it saw.
    pub finding: Finding,
    /// The last line that it wrote.
    pub said: Option<String>,
    /// Project-relative path of what it wrote, if it did.
    pub log: Option<String>,
}

impl CheckReport {
    pub fn failed(&self) -> bool {
        self.finding.failure.is_some()
    }

    /// The run is no success because of it, whether the data is published or not.
    pub fn is_error(&self) -> bool {
        self.failed() && self.severity == Severity::Error
    }

    /// The data is not published because of it.
    pub fn refuses(&self) -> bool {
        self.is_error() && self.blocking
    }
}

/// Why a step failed, for people; the captured output stands in the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StepError {
    /// One sentence: "exit status 3", "output is missing: data/x.csv".
    pub message: String,
    pub help: Vec<String>,
    /// Last lines that the command wrote, clean of secrets and of terminal control.
    pub output_tail: Vec<String>,
    /// Project-relative path of the whole log.
    pub log: Option<String>,
    /// It was made, and a check of its data said no.
    pub rejected: bool,
}

/// Step numbers are places in the plan.
pub type StepIndex = usize;

#[derive(Clone, PartialEq, Debug)]
pub enum RunEvent {
    RunStarted {
        run: String,
        steps: usize,
        jobs: usize,
    },
    /// A step waits for an asset that another process works on.
    Waiting {
        step: StepIndex,
        key: AssetKey,
        holder: String,
    },
    StepStarted {
        step: StepIndex,
        key: AssetKey,
        partition: PartitionKey,
        attempt: u32,
        /// The first of several that one command or query makes at once.
        together_with: Option<StepIndex>,
        median_ms: Option<u64>,
    },
    /// An attempt came to nothing and there will be another.
    Retrying {
        step: StepIndex,
        key: AssetKey,
        attempt: u32,
        of: u32,
        delay_ms: u64,
        reason: String,
    },
    /// One report for each asset that the step makes.
    StepFinished {
        step: StepIndex,
        reports: Vec<StepReport>,
    },
    /// The user asked to stop; what is running is given time to end. Once more: it is killed.
    Interrupted {
        running: usize,
        grace_ms: u64,
    },
    /// Ctrl-Z: everything stands still.
    Paused,
    Resumed {
        paused_ms: u64,
    },
    /// Something that people should know, which is not a failure.
    Note {
        message: String,
    },
    RunFinished {
        run: String,
        outcome: RunOutcome,
        duration_ms: u64,
    },
}

/// Whoever watches a run. Called on the dispatcher's thread, in order; must not block for long.
pub trait Listener {
    fn on_event(&mut self, event: &RunEvent);

    /// Time passes: called about ten times a second, and just before events are handed on after a
    /// wait. `now_ms` only goes forward, from an arbitrary start.
    fn on_tick(&mut self, _now_ms: u64) {}
}

impl<L: Listener + ?Sized> Listener for &mut L {
    fn on_event(&mut self, event: &RunEvent) {
        (**self).on_event(event);
    }

    fn on_tick(&mut self, now_ms: u64) {
        (**self).on_tick(now_ms);
    }
}
