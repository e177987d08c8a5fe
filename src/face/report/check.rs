//! What checks said: in every document that tells of steps, and `assets.check/1`.

use serde::Serialize;

use crate::model::{check::Sample, event::CheckReport};

/// What one check said.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Check"))]
pub struct CheckDocument {
    pub name: String,
    /// As the manifest calls it: `not_null`, `command`, ...
    pub kind: &'static str,
    #[cfg_attr(test, schemars(extend("enum" = ["warn", "error"])))]
    pub severity: &'static str,
    /// Whether a failure keeps the data from being published.
    pub blocking: bool,
    #[cfg_attr(test, schemars(extend("enum" = ["passed", "failed"])))]
    pub outcome: &'static str,
    /// Why it failed, in one sentence: "exit status 1"; null if it passed.
    pub message: Option<String>,
    /// How many rows (or values, or columns) are wrong; null if that is not what it counts.
    pub failing: Option<u64>,
    /// How many rows were looked at.
    pub total: Option<u64>,
    /// The number that it judged.
    pub metric: Option<f64>,
    /// The first rows that are wrong.
    pub rows: Option<RowsDocument>,
    /// The last line that it wrote, if it is a command.
    pub said: Option<String>,
    /// Path of its captured output, relative to the project; null if it wrote nothing.
    pub log: Option<String>,
}

/// Rows of a table, every value as text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Rows"))]
pub struct RowsDocument {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl From<&Sample> for RowsDocument {
    fn from(it: &Sample) -> Self {
        RowsDocument { columns: it.columns.clone(), rows: it.rows.clone() }
    }
}

impl From<&CheckReport> for CheckDocument {
    fn from(it: &CheckReport) -> Self {
        CheckDocument {
            name: it.name.clone(),
            kind: it.kind,
            severity: it.severity.name(),
            blocking: it.blocking,
            outcome: if it.failed() { "failed" } else { "passed" },
            message: it.finding.failure.clone(),
            failing: it.finding.failing,
            total: it.finding.total,
            metric: it.finding.metric,
            rows: it.finding.sample.as_ref().map(RowsDocument::from),
            said: it.said.clone(),
            log: it.log.clone(),
        }
    }
}
