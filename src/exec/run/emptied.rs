//! Tables that would lose all their rows: a mistake upstream often looks like that, so it is told like a check.

use crate::{
    exec::{io::Content, run::context::RunContext},
    model::{
        check::{Finding, judge::many},
        event::{CheckReport, StepError},
        project::{NodeId, Severity},
    },
};

/// As the manifest calls it.
const NAME: &str = "allow_empty";

/// What is said of an output that has no rows, and had some: nothing if that is allowed, an error if it is
/// forbidden, a warning if nobody says. `before` is how many there were.
pub fn emptied(context: &RunContext<'_>, node: NodeId, content: &Content, before: Option<u64>) -> Option<CheckReport> {
    let before = before.filter(|it| *it > 0 && content.rows == Some(0))?;
    let asset = context.workspace.project.nodes[node].asset()?;
    let severity = match asset.allow_empty {
        Some(true) => return None,
        Some(false) => Severity::Error,
        None => Severity::Warn,
    };
    let failure = Some(format!("it has no rows any more, and had {}", many(before, "row")));
    Some(CheckReport {
        name: NAME.to_owned(),
        kind: NAME,
        severity,
        blocking: true,
        finding: Finding { failure, total: Some(0), ..Finding::default() },
        said: None,
        log: None,
    })
}

/// Why nothing is published, if one of them is an error.
pub fn refusal(reports: &[(NodeId, CheckReport)]) -> Option<StepError> {
    let (_, report) = reports.iter().find(|it| it.1.refuses())?;
    let failure = report.finding.failure.as_deref().unwrap_or_default();
    Some(StepError {
        message: failure.to_owned(),
        help: vec![
            "nothing of it was published; what was there before stands".to_owned(),
            "if that is right, say allow_empty = true".to_owned(),
        ],
        rejected: true,
        ..StepError::default()
    })
}
