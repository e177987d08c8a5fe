//! Observing data that is made elsewhere: what version it has now.
//!
//! Only runs and `--refresh` do this: a command is user code, an address is the network. Sources of
//! kind `files` are read by the planner. Nothing here decides what is stale.

pub mod command;
mod guard;
pub mod url;

use std::time::Duration;

use jiff::Timestamp;

use crate::plan::record::Observation;

/// Text of a version that is stored and shown; more is refused, not cut: the cut part could change.
pub const VERSION_BYTES_MAX: usize = 4 * 1024;

/// Tells what version of a source there is.
pub trait SourceReader {
    /// `now` is written into the observation, and measured against the limit on age.
    fn observe(&self, now: Timestamp) -> Result<Observation, SourceError>;
}

/// Why a source could not be observed. Addresses in it have no credentials and no query.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the command of source {key} {how}")]
    CommandFailed { key: String, how: String, tail: Vec<String> },
    #[error("the command of source {key} printed no version")]
    NoVersion { key: String },
    #[error("the command of source {key} printed more than {VERSION_BYTES_MAX} bytes")]
    VersionTooLong { key: String },
    #[error("the command of source {key} printed bytes that are not text")]
    VersionNotText { key: String },
    #[error("the command of source {key} could not be run: {cause}")]
    Executor { key: String, cause: String },
    #[error("{url} is not an address that can be observed: {cause}")]
    BadUrl { url: String, cause: String },
    #[error("{url} leads to {address}, which is {what}")]
    Forbidden { url: String, address: String, what: &'static str },
    #[error("{url} redirects to another host: {to}")]
    RedirectsElsewhere { url: String, to: String },
    #[error("{url} redirects more than {limit} times")]
    RedirectsTooOften { url: String, limit: u32 },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("{url} did not answer in time ({})", seconds(*.after))]
    TimedOut { url: String, after: Duration },
    #[error("{url} cannot be reached: {cause}")]
    Offline { url: String, cause: String },
    #[error("{url} has neither ETag nor Last-Modified, and more than {limit} bytes to hash")]
    TooLarge { url: String, limit: u64 },
    #[error("{url} broke off its answer: {cause}")]
    Broken { url: String, cause: String },
}

impl SourceError {
    /// What can be done about it, where something can.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            SourceError::CommandFailed { .. } | SourceError::Executor { .. } => {
                "run the command by hand; it must print a version on standard output and exit with 0"
            }
            SourceError::NoVersion { .. } => {
                "print something that changes when the data changes: a number, a date, a hash"
            }
            SourceError::VersionTooLong { .. } | SourceError::VersionNotText { .. } => {
                "print a short version instead of the data, for instance its hash: `... | sha256sum`"
            }
            SourceError::BadUrl { .. } => "use an address that begins with https:// or http://",
            SourceError::Forbidden { .. } => "sources may not ask this machine or its cloud's metadata service",
            SourceError::RedirectsElsewhere { .. } => "if that host is right, give its address as the url",
            SourceError::Status { status: 401 | 403, .. } => {
                "if it needs a login, observe it by a command that knows how"
            }
            SourceError::Status { status: 404 | 410, .. } => "it may have moved: correct the url",
            SourceError::Offline { .. } | SourceError::TimedOut { .. } => {
                "check the network and the url, then run again; a longer max_age asks less often"
            }
            SourceError::TooLarge { .. } => "observe it by a command that prints its version",
            SourceError::RedirectsTooOften { .. } | SourceError::Status { .. } | SourceError::Broken { .. } => {
                return None;
            }
        })
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
