//! Write, audit, publish: the checks of what a command made, before anybody else can see it.
//!
//! A check that is a command is run by itself; those that ask the rows of one asset are asked together, by
//! one process. All run through the same executor, one after the other, whatever the first ones say. Knows
//! nothing of publishing.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{
    base::digest::Digest,
    exec::{
        executor::{StepExit, StepResult, StepSpec},
        io::{IoError, Staged, postgres::connect::secrets},
        log::Redactor,
        run::{
            check::{Subject, answered, check_argv},
            context::RunContext,
            finish::exit_message,
            prepare::{Attempting, PrepareError, SpecParts, spec},
            query::connections,
        },
    },
    model::{
        check::{Finding, Share, judge},
        event::{CheckReport, StepError},
        project::{Action, Check, CheckBody, NodeId},
    },
};

/// The checks of an attempt, and what became of them.
#[derive(Default)]
pub struct Audit {
    rounds: Vec<Round>,
    /// How the command itself ended, and what it had made then; `None` until it has.
    pub made: Option<Made>,
    stopped: bool,
}

/// One process, and the checks that it looks after: all of one asset.
struct Round {
    checks: Vec<Check>,
    spec: StepSpec,
    /// Relative to the project.
    log: String,
    /// Where it answers, if its exit status does not tell all.
    answer: Option<PathBuf>,
    /// What came of it, a finding for each check.
    result: Option<(StepResult, Vec<Finding>)>,
}

/// What is audited.
pub struct Made {
    pub result: StepResult,
    /// Identity of each output: a check that changes what it looks at proves nothing.
    versions: Vec<Digest>,
}

/// What checks look at.
pub struct Audited<'a> {
    /// Names, inputs and place of everything.
    pub parts: SpecParts<'a>,
    /// What is to be published, of each output; nothing: what is.
    pub staged: &'a dyn Fn(NodeId) -> Option<&'a Staged>,
    /// The number that a check judged in the version published before.
    pub last: &'a dyn Fn(&Check) -> Option<f64>,
}

impl Audit {
    /// Everything needed to run the checks of an attempt that is about to begin.
    ///
    /// # Errors
    /// A template that names what is not there; a place that cannot be written to.
    pub fn prepared(context: &RunContext<'_>, checks: &[Check], audited: &Audited<'_>) -> Result<Audit, PrepareError> {
        let mut number = 1;
        let mut rounds = Vec::new();
        for checks in checks.chunk_by(|a, b| a.asset == b.asset && is_plain(a) && is_plain(b)) {
            rounds.push(round(context, checks, number, audited)?);
            number += checks.len();
        }
        Ok(Audit { rounds, ..Audit::default() })
    }

    pub fn is_empty(&self) -> bool {
        self.rounds.is_empty()
    }

    /// The next process to run; `None` if all are done, or the run is being stopped.
    pub fn next(&self) -> Option<&StepSpec> {
        self.rounds.iter().find(|it| it.result.is_none() && !self.stopped).map(|it| &it.spec)
    }

    /// No more checks are run, and without them nothing is published.
    pub fn stop(&mut self) {
        self.stopped = self.next().is_some();
    }

    /// Takes the result of the process that [`next`](Self::next) named.
    pub fn take(&mut self, result: StepResult) {
        self.stopped |= result.exit == StepExit::Cancelled;
        if let Some(it) = self.rounds.iter_mut().find(|it| it.result.is_none()) {
            let findings = it.findings(&result);
            it.result = Some((result, findings));
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
        let of_asset = self.rounds.iter().filter(|it| it.checks[0].asset == asset);
        of_asset.flat_map(Round::reports).collect()
    }

    /// Why the outputs may not be published, if a check says so: the first, with what it printed.
    pub fn refusal(&self) -> Option<StepError> {
        let mut refused = self
            .rounds
            .iter()
            .flat_map(|round| round.reports().into_iter().map(move |it| (round, it)))
            .filter(|it| it.1.refuses());
        let (round, first) = refused.next()?;
        let others: Vec<String> = refused.map(|it| format!("`{}`", it.1.name)).collect();
        let also = if others.is_empty() { String::new() } else { format!("; so did {}", others.join(", ")) };
        let how = first.finding.failure.unwrap_or_default();
        // What a check of rows has to say, its report shows.
        let tail = if round.answer.is_none() { round.result.as_ref().map(|it| it.0.tail.clone()) } else { None };
        Some(StepError {
            message: format!("check `{}` failed: {how}{also}", first.name),
            help: vec!["nothing of it was published; what was there before stands".to_owned()],
            output_tail: tail.unwrap_or_default(),
            log: Some(round.log.clone()),
            rejected: true,
        })
    }
}

/// A check that may share a process with others: it asks rows, and has no time limit of its own.
fn is_plain(check: &Check) -> bool {
    check.command().is_none() && check.timeout.is_none()
}

/// The process of some checks of one asset, the first of which has this number.
fn round(
    context: &RunContext<'_>,
    checks: &[Check],
    number: usize,
    audited: &Audited<'_>,
) -> Result<Round, PrepareError> {
    let (first, parts) = (&checks[0], &audited.parts);
    let log = log_of(parts.log, number);
    let output = parts.outputs.iter().position(|it| it.node == first.asset).expect("it is an output of its op");
    let nothing = Action::Argv(Vec::new());
    let attempt = parts.attempt;
    let parts = SpecParts {
        attempt: &format!("{attempt}-check-{number}"),
        action: first.command().unwrap_or(&nothing),
        outputs: &parts.outputs[output..=output],
        log: &log,
        timeout: first.timeout,
        ..*parts
    };
    let mut spec = spec(context, &parts)?;
    let mut answer = None;
    if let CheckBody::Data(_) = first.body {
        let staged = (audited.staged)(first.asset);
        let subject = Subject {
            node: first.asset,
            partition: &parts.step.partition,
            attempt,
            staged,
            given: parts.given,
            last: audited.last,
        };
        let checks: Vec<&Check> = checks.iter().collect();
        let (argv, file) = check_argv(context, &subject, &checks, &log)?;
        (spec.argv, answer) = (argv, Some(file));
        for (name, url) in connections(context) {
            spec.secrets.extend(secrets(&url));
            spec.env.push((name.into_bytes(), url.into_bytes()));
        }
    } else {
        spec.env.push((b"ASSETS_CHECK".to_vec(), first.name.as_bytes().to_vec()));
    }
    Ok(Round { checks: checks.to_vec(), spec, log, answer, result: None })
}

impl Round {
    fn findings(&self, result: &StepResult) -> Vec<Finding> {
        let failed = |why: String| Finding { failure: Some(why), ..Finding::default() };
        let Some(file) = &self.answer else {
            return vec![of_command(&self.checks[0], result)];
        };
        let answer = if result.exit == StepExit::Code(0) { answered(file, self.checks.len()) } else { None };
        if let Some(findings) = answer {
            // Rows may hold a secret that a query put there.
            let redactor = Redactor::new(&self.spec.secrets);
            return findings.into_iter().map(|it| it.redacted(&|text| redactor.redact_text(text))).collect();
        }
        let said = result.tail.last().filter(|_| matches!(result.exit, StepExit::Code(1..)));
        let why = said.cloned().or_else(|| exit_message(&result.exit));
        let why = why.unwrap_or_else(|| "it gave no answer".to_owned());
        self.checks.iter().map(|_| failed(format!("it could not be looked at: {why}"))).collect()
    }

    fn reports(&self) -> Vec<CheckReport> {
        let Some((result, findings)) = &self.result else { return Vec::new() };
        let last = || result.tail.last().filter(|it| json_of(it).is_none()).cloned();
        let said = |it: &Check| it.command().and_then(|_| last());
        let report = |(check, finding): (&Check, &Finding)| CheckReport {
            name: check.name.clone(),
            kind: check.kind(),
            severity: check.severity,
            blocking: check.blocking,
            finding: finding.clone(),
            said: said(check),
            log: (result.log_bytes > 0).then(|| self.log.clone()),
        };
        self.checks.iter().zip(findings).map(report).collect()
    }
}

/// What a command may say of what it saw, as one line of JSON that is its last. Anything else in it is let be.
#[derive(Deserialize)]
struct Said {
    passed: Option<bool>,
    message: Option<String>,
    failing: Option<u64>,
    total: Option<u64>,
    metric: Option<f64>,
}

/// The exit status decides, and may be taken back by what the command says.
fn of_command(check: &Check, result: &StepResult) -> Finding {
    let Some(said) = result.tail.last().and_then(|it| json_of(it)) else {
        return Finding { failure: exit_message(&result.exit), ..Finding::default() };
    };
    let too_many = said.failing.filter(|it| *it > 0 && !tolerated(check.threshold, *it, said.total));
    let failure = match exit_message(&result.exit) {
        Some(how) => Some(said.message.unwrap_or(how)),
        None if said.passed == Some(false) => Some(said.message.unwrap_or_else(|| "it says no".to_owned())),
        None => too_many.map(|it| said.message.unwrap_or_else(|| format!("{} failing", judge::many(it, "row")))),
    };
    Finding { failure, failing: said.failing, total: said.total, metric: said.metric, sample: None }
}

fn json_of(line: &str) -> Option<Said> {
    if line.trim_start().starts_with('{') { serde_json::from_str(line).ok() } else { None }
}

fn tolerated(threshold: Share, failing: u64, total: Option<u64>) -> bool {
    threshold.allows(failing as f64, total.unwrap_or(0) as f64)
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
