//! What a run came to: `assets.materialize/1`, gathered from its events.

use serde::Serialize;

use crate::{
    face::{
        report::{self, ReasonDocument, check::CheckDocument},
        ui::tally::Counts,
    },
    model::event::{Extent, Listener, RunEvent, StepReport},
};

pub const SCHEMA: &str = "assets.materialize/1";

/// The answer to `assets materialize`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.materialize/1"))]
pub struct MaterializeDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// Null if there was nothing to run.
    pub run: Option<String>,
    #[cfg_attr(test, schemars(extend("enum" = report::schema::run_outcomes())))]
    pub outcome: &'static str,
    pub counts: CountsDocument,
    /// In the order in which they ended.
    pub steps: Vec<FinishedStep>,
}

/// How many assets ended in which way.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Counts"))]
pub struct CountsDocument {
    pub built: usize,
    pub restored: usize,
    pub cut_off: usize,
    /// Those that were no step of the run included.
    pub fresh: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl From<Counts> for CountsDocument {
    fn from(it: Counts) -> Self {
        CountsDocument {
            built: it.built,
            restored: it.restored,
            cut_off: it.cut_off,
            fresh: it.fresh,
            failed: it.failed,
            skipped: it.skipped,
        }
    }
}

/// How a step ended for one asset.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FinishedStep {
    pub key: String,
    /// Null for an asset without partitions.
    pub partition: Option<String>,
    #[cfg_attr(test, schemars(extend("enum" = report::schema::step_outcomes())))]
    pub outcome: &'static str,
    /// Built, and the content is what was there before.
    pub unchanged: bool,
    /// How much of an incremental asset was made; null for others.
    #[cfg_attr(test, schemars(extend("enum" = report::schema::extents_or_null())))]
    pub extent: Option<&'static str>,
    pub duration_ms: u64,
    /// Identity of the content: `blake3:` and 64 hex digits.
    pub data_version: Option<String>,
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
    /// Why it ran or was skipped, the most telling first.
    pub reasons: Vec<ReasonDocument>,
    /// One sentence; null unless it failed, or was stopped and so counts as skipped.
    pub error: Option<String>,
    /// Path of its captured output, relative to the project; null unless it failed or was stopped.
    pub log: Option<String>,
    /// What the checks of its data said, in the order declared.
    pub checks: Vec<CheckDocument>,
}

impl From<&StepReport> for FinishedStep {
    fn from(it: &StepReport) -> Self {
        let error = it.error.as_ref();
        FinishedStep {
            key: it.key.to_string(),
            partition: it.partition.name().map(str::to_owned),
            outcome: it.outcome.name(),
            unchanged: it.unchanged,
            extent: it.extent.map(Extent::name),
            duration_ms: it.duration_ms,
            data_version: it.data_version.map(|it| it.to_string()),
            bytes: it.bytes,
            rows: it.rows,
            reasons: report::reasons(&it.reasons),
            error: error.map(|it| it.message.clone()),
            log: error.and_then(|it| it.log.clone()),
            checks: it.checks.iter().map(Into::into).collect(),
        }
    }
}

/// Gathers the document while the run goes on.
#[derive(Clone, Debug)]
pub struct Collector {
    document: MaterializeDocument,
    counts: Counts,
}

impl Collector {
    /// `fresh` assets were selected and are no step of the run.
    pub fn new(fresh: usize) -> Collector {
        let counts = Counts { fresh, ..Counts::default() };
        let document = MaterializeDocument {
            schema: SCHEMA,
            run: None,
            outcome: "succeeded",
            counts: counts.into(),
            steps: Vec::new(),
        };
        Collector { document, counts }
    }

    /// Complete once the run has finished.
    pub fn document(&self) -> &MaterializeDocument {
        &self.document
    }
}

impl Listener for Collector {
    fn on_event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { run, .. } => self.document.run = Some(run.clone()),
            RunEvent::StepFinished { reports, .. } => {
                for report in reports {
                    self.counts.add(report);
                    self.document.steps.push(report.into());
                }
                self.document.counts = self.counts.into();
            }
            RunEvent::RunFinished { outcome, .. } => self.document.outcome = outcome.name(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        face::ui::plain::tests::{finished, run_finished, run_started},
        model::event::{RunOutcome, StepOutcome},
    };

    #[test]
    fn the_document_is_what_its_schema_says() {
        let nothing = Collector::new(12);
        let mut collector = Collector::new(7);
        collector.on_event(&run_started(2));
        collector.on_event(&finished(0, "orders", StepOutcome::Built));
        collector.on_event(&finished(1, "mart/revenue", StepOutcome::Failed));
        collector.on_event(&finished(2, "mart/forecast", StepOutcome::Skipped));
        collector.on_event(&run_finished(RunOutcome::Failed));
        report::schema::check::<MaterializeDocument>("materialize", &[nothing.document(), collector.document()]);
        let json = serde_json::to_value(collector.document()).unwrap();
        let counts = serde_json::json!({
            "built": 1, "restored": 0, "cut_off": 0, "fresh": 7, "failed": 1, "skipped": 1
        });
        assert_eq!(json["counts"], counts);
        assert_eq!((&json["run"], &json["outcome"]), (&"r1".into(), &"failed".into()));
        assert_eq!(json["steps"][1]["error"], "exit status 1");
        assert!(json["steps"][0]["error"].is_null());
    }
}
