//! Write, audit, publish: the checks of what a command made, before anybody else can see it.
//!
//! Each check is a command of its own that runs through the same executor, one after the other. All of
//! them are run, whatever the first ones say. Knows nothing of publishing.

use crate::{
    base::digest::Digest,
    exec::{
        executor::{StepExit, StepResult, StepSpec},
        io::IoError,
        run::{
            context::RunContext,
            finish::exit_message,
            prepare::{Attempting, PrepareError, SpecParts, spec},
        },
    },
    model::{
        event::{CheckReport, StepError},
        project::{Check, NodeId, Severity},
    },
};

/// The checks of an attempt, and what became of them.
#[derive(Default)]
pub struct Audit {
    checks: Vec<Audited>,
    /// How the command itself ended, and what it had made then; `None` until it has.
    pub made: Option<Made>,
    stopped: bool,
}

struct Audited {
    asset: NodeId,
    name: String,
    severity: Severity,
    spec: StepSpec,
    /// Relative to the project.
    log: String,
    result: Option<StepResult>,
}

/// What is audited.
pub struct Made {
    pub result: StepResult,
    /// Identity of each output: a check that changes what it looks at proves nothing.
    versions: Vec<Digest>,
}

impl Audit {
    /// Everything needed to run the checks of an attempt that is about to begin.
    ///
    /// # Errors
    /// A template that names what is not there.
    pub fn prepared(context: &RunContext<'_>, checks: &[Check], parts: &SpecParts<'_>) -> Result<Audit, PrepareError> {
        let one = |(index, check): (usize, &Check)| {
            let number = index + 1;
            let log = log_of(parts.log, number);
            let outputs =
                parts.outputs.iter().position(|it| it.node == check.asset).expect("it is an output of its op");
            let Some(action) = check.command() else {
                let message = format!("check `{}` cannot be run yet", check.name);
                return Err(PrepareError::Render { message, help: Vec::new() });
            };
            let mut spec = spec(
                context,
                &SpecParts {
                    attempt: &format!("{}-check-{number}", parts.attempt),
                    action,
                    outputs: &parts.outputs[outputs..=outputs],
                    log: &log,
                    timeout: check.timeout,
                    ..*parts
                },
            )?;
            spec.env.push((b"ASSETS_CHECK".to_vec(), check.name.as_bytes().to_vec()));
            Ok(Audited {
                asset: check.asset,
                name: check.name.clone(),
                severity: check.severity,
                spec,
                log,
                result: None,
            })
        };
        Ok(Audit {
            checks: checks.iter().enumerate().map(one).collect::<Result<_, PrepareError>>()?,
            ..Audit::default()
        })
    }

    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// The next check to run; `None` if all are done, or the run is being stopped.
    pub fn next(&self) -> Option<&StepSpec> {
        self.checks.iter().find(|it| it.result.is_none() && !self.stopped).map(|it| &it.spec)
    }

    /// No more checks are run, and without them nothing is published.
    pub fn stop(&mut self) {
        self.stopped = self.next().is_some();
    }

    /// Takes the result of the check that [`next`](Self::next) named.
    pub fn take(&mut self, result: StepResult) {
        self.stopped |= result.exit == StepExit::Cancelled;
        if let Some(it) = self.checks.iter_mut().find(|it| it.result.is_none()) {
            it.result = Some(result);
        }
    }

    pub fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the outputs are what they were before the checks.
    pub fn left_alone(&self, now: impl Iterator<Item = Digest>) -> bool {
        self.made.as_ref().is_none_or(|it| it.versions.iter().copied().eq(now))
    }

    /// What the checks of `asset` said.
    pub fn reports(&self, asset: NodeId) -> Vec<CheckReport> {
        let report = |it: &Audited| {
            let result = it.result.as_ref()?;
            Some(CheckReport {
                name: it.name.clone(),
                severity: it.severity,
                failure: exit_message(&result.exit),
                said: result.tail.last().cloned(),
                log: (result.log_bytes > 0).then(|| it.log.clone()),
            })
        };
        self.checks.iter().filter(|it| it.asset == asset).filter_map(report).collect()
    }

    /// Why the outputs may not be published, if a check says so: the first, with what it printed.
    pub fn refusal(&self) -> Option<StepError> {
        let failed = |it: &&Audited| {
            it.severity == Severity::Error && it.result.as_ref().is_some_and(|it| it.exit != StepExit::Code(0))
        };
        let mut refused = self.checks.iter().filter(failed);
        let first = refused.next()?;
        let result = first.result.as_ref()?;
        let others: Vec<String> = refused.map(|it| format!("`{}`", it.name)).collect();
        let also = if others.is_empty() { String::new() } else { format!("; so did {}", others.join(", ")) };
        let how = exit_message(&result.exit).unwrap_or_default();
        Some(StepError {
            message: format!("check `{}` failed: {how}{also}", first.name),
            help: vec!["nothing of it was published; what was there before stands".to_owned()],
            output_tail: result.tail.clone(),
            log: Some(first.log.clone()),
            rejected: true,
        })
    }
}

/// Looks at what the command made, so that its checks are not run on nothing.
///
/// # Errors
/// An output that is missing or of the wrong kind.
pub fn begin(context: &RunContext<'_>, attempting: &mut Attempting, result: &StepResult) -> Result<(), IoError> {
    let inspected = attempting.outputs.iter().map(|it| context.workspace.io_of(it.node).inspect(&it.staged));
    let versions = inspected.map(|it| it.map(|it| it.data_version)).collect::<Result<_, _>>()?;
    attempting.audit.made = Some(Made { result: result.clone(), versions });
    Ok(())
}

/// Where a check's output goes, beside the log of the attempt that it belongs to.
pub fn log_of(attempt: &str, number: usize) -> String {
    format!("{}{CHECK_LOG}{number}.log", attempt.strip_suffix(".log").unwrap_or(attempt))
}

/// Between the name of an attempt's log and the number of its check.
pub const CHECK_LOG: &str = ".check-";
