//! What checks said: in every document that tells of steps, and `assets.check/1`.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    face::{
        report::Layout,
        ui::{Role, line, rows, words},
    },
    model::{check::Sample, event::CheckReport},
};

pub const SCHEMA: &str = "assets.check/1";

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
    pub rows: Option<SampleDocument>,
    /// The last line that it wrote, if it is a command.
    pub said: Option<String>,
    /// Path of its captured output, relative to the project; null if it wrote nothing.
    pub log: Option<String>,
}

/// Rows of a table, every value as text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Rows"))]
pub struct SampleDocument {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl From<&Sample> for SampleDocument {
    fn from(it: &Sample) -> Self {
        SampleDocument { columns: it.columns.clone(), rows: it.rows.clone() }
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
            rows: it.finding.sample.as_ref().map(SampleDocument::from),
            said: it.said.clone(),
            log: it.log.clone(),
        }
    }
}

/// What came of one asset, as it is told.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckedAsset {
    pub key: String,
    /// Of one with partitions.
    pub partition: Option<String>,
    pub outcome: Outcome,
    /// Of what was looked at.
    pub data_version: Option<String>,
    /// Why it could not be looked at.
    pub error: Option<String>,
    pub checks: Vec<CheckReport>,
}

/// The worst that came of the checks of an asset. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Passed,
    /// A check failed that only warns.
    Warned,
    Failed,
    /// Nothing is published.
    Missing,
    /// It could not be looked at.
    Error,
}

impl Outcome {
    pub const ALL: [Outcome; 5] = [Outcome::Passed, Outcome::Warned, Outcome::Failed, Outcome::Missing, Outcome::Error];

    pub fn name(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Warned => "warned",
            Outcome::Failed => "failed",
            Outcome::Missing => "missing",
            Outcome::Error => "error",
        }
    }

    pub fn of(checks: &[CheckReport]) -> Outcome {
        if checks.iter().any(CheckReport::is_error) {
            Outcome::Failed
        } else if checks.iter().any(CheckReport::failed) {
            Outcome::Warned
        } else {
            Outcome::Passed
        }
    }

    fn word(self) -> (&'static str, Role) {
        match self {
            Outcome::Passed => ("Passed", Role::Good),
            Outcome::Warned => ("Warned", Role::Warn),
            Outcome::Failed => ("Failed", Role::Bad),
            Outcome::Missing => ("Missing", Role::Warn),
            Outcome::Error => ("Error", Role::Bad),
        }
    }
}

/// The answer to `assets check`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.check/1"))]
pub struct CheckedDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// Names this look in the history of checks.
    pub run: Option<String>,
    pub counts: CheckCounts,
    /// Those selected that have checks, in the order declared.
    pub assets: Vec<CheckedAssetDocument>,
}

/// How many checks ended in which way, and how many assets could not be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckCounts {
    pub passed: usize,
    pub warned: usize,
    pub failed: usize,
    /// Assets of which nothing is published.
    pub missing: usize,
    /// Assets that could not be looked at.
    pub error: usize,
}

/// What came of one asset.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CheckedAsset"))]
pub struct CheckedAssetDocument {
    pub key: String,
    /// Of an asset with partitions.
    pub partition: Option<String>,
    #[cfg_attr(test, schemars(extend("enum" = Outcome::ALL.map(Outcome::name).to_vec())))]
    pub outcome: &'static str,
    /// Identity of what was looked at: `blake3:` and 64 hex digits.
    pub data_version: Option<String>,
    /// Why it could not be looked at.
    pub error: Option<String>,
    pub checks: Vec<CheckDocument>,
}

pub fn counts(assets: &[CheckedAsset]) -> CheckCounts {
    let mut counts = CheckCounts::default();
    for asset in assets {
        counts.missing += usize::from(asset.outcome == Outcome::Missing);
        counts.error += usize::from(asset.outcome == Outcome::Error);
        for check in &asset.checks {
            match Outcome::of(std::slice::from_ref(check)) {
                Outcome::Failed => counts.failed += 1,
                Outcome::Warned => counts.warned += 1,
                _ => counts.passed += 1,
            }
        }
    }
    counts
}

pub fn document(run: Option<&str>, assets: &[CheckedAsset]) -> CheckedDocument {
    let asset = |it: &CheckedAsset| CheckedAssetDocument {
        key: it.key.clone(),
        partition: it.partition.clone(),
        outcome: it.outcome.name(),
        data_version: it.data_version.clone(),
        error: it.error.clone(),
        checks: it.checks.iter().map(CheckDocument::from).collect(),
    };
    CheckedDocument {
        schema: SCHEMA,
        run: run.map(str::to_owned),
        counts: counts(assets),
        assets: assets.iter().map(asset).collect(),
    }
}

/// A line for each asset, what its failed checks saw below it, and the counts.
fn named(asset: &CheckedAsset) -> String {
    asset.partition.as_ref().map_or_else(|| asset.key.clone(), |it| format!("{}@{it}", asset.key))
}

pub fn text(assets: &[CheckedAsset], layout: Layout) -> String {
    let style = layout.style;
    let wide = assets.iter().map(|it| words::width(&named(it))).max().unwrap_or(0).min(32);
    let mut text = String::new();
    for asset in assets {
        let (word, role) = asset.outcome.word();
        let failed: Vec<&CheckReport> = asset.checks.iter().filter(|it| it.failed()).collect();
        let said = match (&asset.error, asset.outcome, failed.len()) {
            (Some(error), ..) => words::visible(error).into_owned(),
            (_, Outcome::Missing, _) => "nothing is published".to_owned(),
            (.., 0) => words::count(asset.checks.len(), "check"),
            (.., some) => format!("{some} of {}", words::count(asset.checks.len(), "check")),
        };
        let rest = format!("{}  {said}", words::pad_right(&named(asset), wide));
        let _ = writeln!(text, "{}", line::with_status(word, role, &rest, style, layout.width));
        text.push_str(&rows::of_checks(&asset.checks, style));
        if layout.verbose {
            for check in asset.checks.iter().filter(|it| !it.failed()) {
                let _ = writeln!(text, "    {}: passed", words::visible(&check.name));
            }
        }
    }
    let counts = counts(assets);
    let told = [
        (counts.passed, "passed"),
        (counts.warned, "warned"),
        (counts.failed, "failed"),
        (counts.missing, "not built"),
        (counts.error, "could not be looked at"),
    ];
    let told: Vec<String> =
        told.iter().filter(|it| it.0 > 0).map(|it| format!("{} {}", words::thousands(it.0 as u64), it.1)).collect();
    let _ = writeln!(text, "\n{}", if told.is_empty() { "no checks".to_owned() } else { told.join(", ") });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{check::Finding, project::Severity};

    #[test]
    fn the_document_is_what_its_schema_says() {
        let check = |name: &str, severity, failure: Option<&str>| CheckReport {
            name: name.to_owned(),
            kind: "not_null",
            severity,
            blocking: true,
            finding: Finding {
                failure: failure.map(str::to_owned),
                failing: Some(1),
                total: Some(7),
                metric: None,
                sample: Some(Sample { columns: vec!["a".into()], rows: vec![vec![None]] }),
            },
            said: None,
            log: None,
        };
        let asset = |key: &str, checks: Vec<CheckReport>| CheckedAsset {
            partition: None,
            key: key.to_owned(),
            outcome: Outcome::of(&checks),
            data_version: Some("blake3:00".to_owned()),
            error: None,
            checks,
        };
        let assets = [
            asset("orders", vec![check("a", Severity::Error, None), check("b", Severity::Error, Some("no"))]),
            asset("warned", vec![check("a", Severity::Warn, Some("no"))]),
            CheckedAsset { outcome: Outcome::Missing, data_version: None, ..asset("none", vec![]) },
            CheckedAsset { outcome: Outcome::Error, error: Some("odd".to_owned()), ..asset("odd", vec![]) },
        ];
        let documents = [document(Some("r"), &assets), document(None, &[])];
        let counted = CheckCounts { passed: 1, warned: 1, failed: 1, missing: 1, error: 1 };
        assert_eq!(documents[0].counts, counted);
        assert_eq!(
            documents[0].assets.iter().map(|it| it.outcome).collect::<Vec<_>>(),
            ["failed", "warned", "missing", "error"]
        );
        crate::face::report::schema::check::<CheckedDocument>("check", &documents);
    }
}
