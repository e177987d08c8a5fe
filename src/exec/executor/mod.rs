//! Running commands somewhere: a narrow trait, its contract, and the built-in executors.
//!
//! An executor is handed one self-contained step and knows nothing of assets, staleness or IO
//! managers. It is trusted for exit status, state and logs, never for "exactly once".

pub mod bytes;
pub mod conformance;
mod crew;
pub mod inside;
pub mod local;
pub mod registry;
pub mod scripted;
pub mod worker;

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// Version of [`StepSpec`] and [`StepResult`] as they are sent.
pub const SPEC_VERSION: u32 = 1;

/// Everything needed to run one attempt, and nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepSpec {
    /// [`SPEC_VERSION`].
    pub version: u32,
    pub run: String,
    /// Unique; the same attempt submitted twice is run once.
    pub attempt: String,
    pub key: String,
    pub partition: String,
    /// Program and arguments, rendered. Bytes, because paths are.
    #[serde(with = "bytes::list")]
    pub argv: Vec<Vec<u8>>,
    /// The whole environment of the command: nothing is inherited.
    #[serde(with = "bytes::pairs")]
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Absolute working directory.
    #[serde(with = "bytes::path")]
    pub folder: PathBuf,
    /// Where captured output goes. Made when the first byte is written, with its folder: a command that
    /// says nothing leaves no file.
    #[serde(with = "bytes::path")]
    pub log: PathBuf,
    /// Values to be blotted out of the log.
    pub secrets: Vec<String>,
    pub timeout_ms: Option<u64>,
    /// Between the polite signal and the final one.
    pub grace_ms: u64,
    /// Bytes of output kept; head and tail if there is more.
    pub log_bytes_max: u64,
}

/// Names a submitted attempt to the executor that took it, also from another process.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct StepHandle(pub String);

/// How an attempt ended. The first result of an attempt stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepResult {
    pub version: u32,
    pub attempt: String,
    pub exit: StepExit,
    pub wall_ms: u64,
    /// User and system time of the command and what it waited for.
    pub cpu_ms: u64,
    /// Bytes the command wrote before any cut.
    pub log_bytes: u64,
    /// A process of the command outlived it, holding its output open, and was ended.
    pub leaked: bool,
    /// Last lines written, already clean of secrets.
    pub tail: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepExit {
    /// The command's own exit status; 0 is success.
    Code(i32),
    Signal(i32),
    TimedOut,
    Cancelled,
    /// It could not be started at all.
    NotStarted(String),
    /// The executor lost it.
    Lost(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExecutorEvent {
    Started {
        handle: StepHandle,
        pid: Option<u32>,
    },
    Finished {
        handle: StepHandle,
        result: StepResult,
    },
    /// The executor itself is gone; nothing more will come.
    Broken(String),
}

/// How a step is asked to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelKind {
    /// Interrupt, the grace period, then kill.
    Polite,
    /// Kill at once.
    Now,
}

#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    #[error("the step could not be handed over: {0}")]
    Submit(String),
    #[error("the executor is gone: {0}")]
    Gone(String),
}

/// Whether a step submitted by a process that died is still known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reattached {
    Running(StepHandle),
    Finished(Box<StepResult>),
    /// It ended with the process that submitted it, or was never known.
    Gone,
}

/// Runs steps. Methods may be called from any thread.
///
/// Contract, checked by `conformance`: every submitted step yields exactly one `Finished` (or the
/// executor is `Broken`); an attempt submitted twice runs once and its first result stands; after
/// `cancel` nothing of the step runs when `Finished` comes; the command gets exactly the
/// environment, folder and arguments of the spec, standard input that is empty, and no open files
/// but its three.
pub trait Executor: Send + Sync {
    fn submit(&self, spec: &StepSpec) -> Result<StepHandle, ExecutorError>;

    /// Waits up to `wait` for the next event; `None` if there was none.
    fn next_event(&self, wait: Duration) -> Option<ExecutorEvent>;

    /// Lets go whoever waits in [`next_event`](Self::next_event), or comes to wait there next: once, without an event.
    fn wake(&self);

    /// Asks a step to end. Fine if it ended already.
    fn cancel(&self, handle: &StepHandle, how: CancelKind) -> Result<(), ExecutorError>;

    /// Finds an attempt that another process submitted.
    fn reattach(&self, attempt: &str) -> Result<Reattached, ExecutorError>;

    /// Stops (`true`) or continues (`false`) everything that runs, timeouts included: Ctrl-Z.
    fn pause(&self, stop: bool) -> Result<(), ExecutorError>;
}
