//! Tables that would lose all their rows, and views that went with the table below them: a mistake upstream often
//! looks like that, so it is told like a check.

use crate::{
    exec::{io::Content, run::context::RunContext},
    model::{
        check::{Finding, judge::many},
        event::{CheckReport, Extent, StepError},
        project::{NodeId, Severity},
    },
};

/// What is said of a table to which rows are added, if all of it was made again and fewer came of it: the others were
/// gathered over time. `before` is how many there were.
pub fn shrunk(extent: Option<Extent>, content: &Content, before: Option<u64>) -> Option<CheckReport> {
    let now = content.rows.filter(|it| *it > 0 && extent == Some(Extent::Whole))?;
    let before = before.filter(|it| *it > now)?;
    let had = many(before, "row");
    Some(CheckReport {
        name: GATHERED.to_owned(),
        kind: GATHERED,
        severity: Severity::Warn,
        blocking: false,
        finding: Finding {
            failure: Some(format!("all of it was made again: it has {}, and had gathered {had}", many(now, "row"))),
            total: Some(now),
            ..Finding::default()
        },
        said: None,
        log: None,
    })
}

/// As the manifest calls it.
const NAME: &str = "allow_empty";
const VIEWS: &str = "views";
const GATHERED: &str = "gathered_rows";

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

/// What is said of views that could not be made again over the table on which they rested.
pub fn taken_away(views: &[String]) -> Option<CheckReport> {
    let (what, are) = match views {
        [] => return None,
        [_] => ("a view on it, does", "it is"),
        _ => ("views on it, do", "they are"),
    };
    let failure = Some(format!(
        "{}, {what} not go with its new columns: {are} gone until made again, by this run if selected",
        views.join(", ")
    ));
    Some(CheckReport {
        name: VIEWS.to_owned(),
        kind: VIEWS,
        severity: Severity::Warn,
        blocking: false,
        finding: Finding { failure, ..Finding::default() },
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
