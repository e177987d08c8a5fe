//! Answers as documents and as text: versioned JSON whose schema lies in `schema/`, and tables.
//!
//! Pure: what is told comes in plain rows that the commands fill; nothing here reads or decides.

pub mod backfill;
pub mod check;
pub mod data_diff;
pub mod diff;
pub mod doctor;
pub mod events;
pub mod graph;
pub mod init;
pub mod list;
pub mod logs;
pub mod materialize;
pub mod partitions;
pub mod plan;
pub mod rows;
pub mod runs;
pub mod show;
pub mod status;
pub mod upkeep;
pub mod validate;
pub mod why;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    base::digest::Digest,
    face::ui::{Style, stream::Stream},
    model::staleness::Reason,
};

/// How text is to be laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub style: Style,
    /// Columns that a line must fit into; `None` where it may be of any length.
    pub width: Option<usize>,
    /// Also what is as it should be.
    pub verbose: bool,
    pub now: Timestamp,
}

impl Layout {
    pub fn of(stream: &Stream, verbose: bool, now: Timestamp) -> Layout {
        Layout { style: stream.style(), width: stream.line_width(), verbose, now }
    }
}

/// A document as it is printed, ending in a newline.
pub fn json(document: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("documents have text keys and no failing parts");
    text.push('\n');
    text
}

/// Why something is not fresh.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Reason"))]
pub struct ReasonDocument {
    #[cfg_attr(test, schemars(extend("enum" = schema::reason_codes())))]
    pub code: &'static str,
    /// What changed: a file, a variable, an asset key.
    pub subject: String,
    /// What it was; null if it was not there.
    pub old: Option<String>,
    /// What it is; null if it is not there.
    pub new: Option<String>,
    /// The same in words.
    pub message: String,
}

impl From<&Reason> for ReasonDocument {
    fn from(reason: &Reason) -> Self {
        ReasonDocument {
            code: reason.code.name(),
            subject: reason.subject.clone(),
            old: reason.old.clone(),
            new: reason.new.clone(),
            message: reason.message.clone(),
        }
    }
}

fn reasons(reasons: &[Reason]) -> Vec<ReasonDocument> {
    reasons.iter().map(ReasonDocument::from).collect()
}

/// The latest materialization of an asset.
#[derive(Clone, PartialEq, Debug)]
pub struct Last {
    pub run: String,
    pub at: Timestamp,
    pub data_version: Digest,
    pub duration_ms: u64,
}

/// The latest materialization of an asset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Last"))]
pub struct LastDocument {
    pub run: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// Identity of the content: `blake3:` and 64 hex digits.
    pub data_version: String,
    pub duration_ms: u64,
}

impl From<&Last> for LastDocument {
    fn from(last: &Last) -> Self {
        LastDocument {
            run: last.run.clone(),
            at: last.at.to_string(),
            data_version: last.data_version.to_string(),
            duration_ms: last.duration_ms,
        }
    }
}

/// Schemas of documents: made from the types, compared with the files in `schema/`.
#[cfg(test)]
pub mod schema {
    use std::path::Path;

    use schemars::{JsonSchema, generate::SchemaSettings};
    use serde::Serialize;

    use crate::{
        base::{env::Environment, fs},
        model::{
            event::{Extent, RunOutcome, StepOutcome},
            plan::StepAction,
            staleness::{ReasonCode, State},
        },
    };

    pub fn reason_codes() -> Vec<&'static str> {
        ReasonCode::ALL.map(ReasonCode::name).to_vec()
    }

    pub fn states() -> Vec<&'static str> {
        State::ALL.map(State::name).to_vec()
    }

    pub fn states_or_null() -> Vec<Option<&'static str>> {
        states().into_iter().map(Some).chain([None]).collect()
    }

    pub fn step_outcomes() -> Vec<&'static str> {
        StepOutcome::ALL.map(StepOutcome::name).to_vec()
    }

    /// Of an asset that is not incremental there is none.
    pub fn extents_or_null() -> Vec<Option<&'static str>> {
        Extent::ALL.map(Extent::name).into_iter().map(Some).chain([None]).collect()
    }

    pub fn run_outcomes() -> Vec<&'static str> {
        [RunOutcome::Succeeded, RunOutcome::Failed, RunOutcome::Interrupted].map(RunOutcome::name).to_vec()
    }

    /// A run that is under way or was killed has none.
    pub fn run_outcomes_or_null() -> Vec<Option<&'static str>> {
        run_outcomes().into_iter().map(Some).chain([None]).collect()
    }

    pub fn actions() -> Vec<&'static str> {
        [StepAction::Build, StepAction::Maybe, StepAction::Restore].map(StepAction::name).to_vec()
    }

    /// Compares `schema/<name>.schema.json` with the schema of `T` (writes it anew if `UPDATE=1`),
    /// and holds `samples` against it.
    pub fn check<T: JsonSchema>(name: &str, samples: &[impl Serialize]) {
        let schema = SchemaSettings::draft07().for_serialize().into_generator().into_root_schema_for::<T>();
        let text = super::json(&schema);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.schema.json"));
        if Environment::of_process().get("UPDATE") == Some("1") {
            fs::write(&path, text.as_bytes()).unwrap();
        }
        let stored = fs::read_if_there(&path).unwrap().unwrap_or_default();
        assert!(stored == text.as_bytes(), "{} is not what the types say; run the test with UPDATE=1", path.display());
        let validator = jsonschema::validator_for(&serde_json::to_value(&schema).unwrap()).unwrap();
        for sample in samples {
            let sample = serde_json::to_value(sample).unwrap();
            let wrong: Vec<String> = validator.iter_errors(&sample).map(|it| it.to_string()).collect();
            assert!(wrong.is_empty(), "{wrong:?}\n{sample:#}");
            let mut odd = sample.clone();
            odd["schema"] = "odd/9".into();
            assert!(!validator.is_valid(&odd), "the schema must name its document");
        }
    }
}
