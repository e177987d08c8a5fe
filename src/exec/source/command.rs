//! A source whose version a command prints.
//!
//! Standard output alone is the version: warnings on standard error must not change it, so it is
//! captured in a file of its own and the executor's log gets the rest.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf, time::Duration};

use jiff::Timestamp;

use crate::{
    base::{digest::Digest, fs},
    exec::{
        executor::{Executor, ExecutorEvent, StepExit, StepResult, StepSpec},
        source::{SourceError, SourceReader, VERSION_BYTES_MAX},
    },
    model::key::AssetKey,
    plan::record::Observation,
};

/// blake3 derive-key context; the number is the version of what is hashed.
const CONTEXT: &str = "assets source command 1";

/// How long one wait for the executor may be; it says when it is done, so this only bounds a look.
const WAIT: Duration = Duration::from_secs(1);

/// A source observed by an executor that has nothing else to do: events of other steps are dropped.
/// A dispatcher with steps of its own uses [`capturing`] and [`observed`].
pub struct CommandSource<'a> {
    pub key: AssetKey,
    pub executor: &'a dyn Executor,
    /// The command as it was declared; its log must be in a folder that is there.
    pub spec: StepSpec,
}

impl SourceReader for CommandSource<'_> {
    fn observe(&self, now: Timestamp) -> Result<Observation, SourceError> {
        let failed = |cause| SourceError::Executor { key: self.key.to_string(), cause };
        let spec = capturing(self.spec.clone());
        let handle = self.executor.submit(&spec).map_err(|it| failed(it.to_string()))?;
        loop {
            match self.executor.next_event(WAIT) {
                Some(ExecutorEvent::Finished { handle: of, result }) if of == handle => {
                    return observed(&self.key, &spec, &result, now);
                }
                Some(ExecutorEvent::Broken(cause)) => return Err(failed(cause)),
                _ => {}
            }
        }
    }
}

/// The step that runs the command of `spec` with standard output in a file beside its log.
pub fn capturing(mut spec: StepSpec) -> StepSpec {
    let file = version_file(&spec).into_os_string().into_vec();
    let shell = [&b"/bin/sh"[..], b"-c", b"exec \"$@\" >\"$0\""];
    let command = std::mem::take(&mut spec.argv);
    spec.argv = shell.into_iter().map(<[u8]>::to_vec).chain([file]).chain(command).collect();
    spec
}

/// What the step that [`capturing`] made has found. The captured file is removed.
pub fn observed(
    key: &AssetKey,
    spec: &StepSpec,
    result: &StepResult,
    now: Timestamp,
) -> Result<Observation, SourceError> {
    let file = version_file(spec);
    let printed = fs::read_at_most(&file, VERSION_BYTES_MAX as u64);
    let _ = fs::remove_file(&file);
    let key_text = || key.to_string();
    if let Some(how) = failure(&result.exit) {
        return Err(SourceError::CommandFailed { key: key_text(), how, tail: result.tail.clone() });
    }
    let bytes = printed
        .map_err(|it| SourceError::Executor { key: key_text(), cause: it.to_string() })?
        .ok_or_else(|| SourceError::VersionTooLong { key: key_text() })?;
    let text = String::from_utf8(bytes).map_err(|_| SourceError::VersionNotText { key: key_text() })?;
    let mut version = text.trim().to_owned();
    if version.is_empty() {
        return Err(SourceError::NoVersion { key: key_text() });
    }
    for secret in spec.secrets.iter().filter(|it| !it.is_empty()) {
        version = version.replace(secret.as_str(), "***");
    }
    let data_version = Digest::derive(CONTEXT, version.as_bytes());
    Ok(Observation { key: key.clone(), data_version, at: now, shown: Some(version), files: Vec::new() })
}

fn version_file(spec: &StepSpec) -> PathBuf {
    let mut name: OsString = spec.log.file_name().unwrap_or_default().to_owned();
    name.push(".version");
    spec.log.with_file_name(name)
}

fn failure(exit: &StepExit) -> Option<String> {
    match exit {
        StepExit::Code(0) => None,
        StepExit::Code(code) => Some(format!("failed with exit status {code}")),
        StepExit::Signal(signal) => Some(format!("was killed by signal {signal}")),
        StepExit::TimedOut => Some("took too long".to_owned()),
        StepExit::Cancelled => Some("was stopped".to_owned()),
        StepExit::NotStarted(cause) => Some(format!("could not be started: {cause}")),
        StepExit::Lost(cause) => Some(format!("was lost: {cause}")),
    }
}
