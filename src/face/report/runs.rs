//! What was run: `assets.runs/1`, and a table, newest first.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    face::{
        report::{Layout, materialize::CountsDocument},
        ui::{Role, line, line::Columns, tally::Counts, words},
    },
    model::event::{RunOutcome, StepOutcome},
    plan::record::{RunRecord, StepRecord},
};

pub const SCHEMA: &str = "assets.runs/1";

/// Whether a run that has no end is still alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    Alive,
    Over,
}

/// The answer to `assets runs`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.runs/1"))]
pub struct RunsDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// Newest first.
    pub runs: Vec<RunDocument>,
}

/// One run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Run"))]
pub struct RunDocument {
    pub run: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Null while it runs, and for ever if it was killed.
    pub ended_at: Option<String>,
    /// Null while it runs, and for ever if it was killed.
    #[cfg_attr(test, schemars(extend("enum" = crate::face::report::schema::run_outcomes_or_null())))]
    pub outcome: Option<&'static str>,
    pub running: bool,
    /// What was asked for, as typed.
    pub command: Vec<String>,
    pub counts: CountsDocument,
    pub steps: Vec<RunStep>,
}

/// What became of one asset in a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunStep {
    pub key: String,
    /// Null for an asset without partitions.
    pub partition: Option<String>,
    #[cfg_attr(test, schemars(extend("enum" = crate::face::report::schema::step_outcomes())))]
    pub outcome: &'static str,
    pub duration_ms: u64,
    /// Identity of the content: `blake3:` and 64 hex digits.
    pub data_version: Option<String>,
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
    /// One sentence; null unless it failed.
    pub error: Option<String>,
}

pub fn document(runs: &[(RunRecord, Life)]) -> RunsDocument {
    let runs = runs.iter().map(|(run, life)| RunDocument {
        run: run.id.0.clone(),
        started_at: run.started_at.to_string(),
        ended_at: run.ended_at.map(|it| it.to_string()),
        outcome: run.outcome.map(RunOutcome::name),
        running: is_running(run, *life),
        command: run.command.clone(),
        counts: counts(run).into(),
        steps: run.steps.iter().map(step).collect(),
    });
    RunsDocument { schema: SCHEMA, runs: runs.collect() }
}

fn step(it: &StepRecord) -> RunStep {
    RunStep {
        key: it.key.to_string(),
        partition: it.partition.name().map(str::to_owned),
        outcome: it.outcome.name(),
        duration_ms: it.duration_ms,
        data_version: it.data_version.map(|it| it.to_string()),
        bytes: it.bytes,
        rows: it.rows,
        error: it.error.clone(),
    }
}

fn is_running(run: &RunRecord, life: Life) -> bool {
    run.outcome.is_none() && life == Life::Alive
}

fn counts(run: &RunRecord) -> Counts {
    let mut counts = Counts::default();
    for step in &run.steps {
        counts.add_outcome(step.outcome);
    }
    counts
}

fn word_of(run: &RunRecord, life: Life) -> (&'static str, Role) {
    match run.outcome {
        Some(RunOutcome::Succeeded) => ("Succeeded", Role::Good),
        Some(RunOutcome::Failed) => ("Failed", Role::Bad),
        Some(RunOutcome::Interrupted) => ("Interrupted", Role::Warn),
        None if is_running(run, life) => ("Running", Role::Info),
        None => ("Broken off", Role::Bad),
    }
}

/// One line for each run.
pub fn text(runs: &[(RunRecord, Life)], layout: Layout) -> String {
    if runs.is_empty() {
        return "Nothing was run yet.\n".to_owned();
    }
    let mut text = String::new();
    for (run, life) in runs {
        let (word, role) = word_of(run, *life);
        let rest = format!(
            "{}  {}  {}  {}",
            run.id.0,
            words::pad_right(&words::ago(run.started_at, layout.now), 14),
            words::pad_left(&took(run), 7),
            what(run),
        );
        let _ = writeln!(text, "{}", line::with_status(word, role, &rest, layout.style, layout.width));
    }
    text
}

/// One run, with a line for each asset.
pub fn text_of_one(run: &RunRecord, life: Life, layout: Layout) -> String {
    let columns = Columns::of(run.steps.iter().map(|it| (it.key.as_str(), "")));
    let mut text = String::new();
    for step in &run.steps {
        let (word, role) = match step.outcome {
            StepOutcome::Built => ("Built", Role::Good),
            StepOutcome::Restored => ("Restored", Role::Good),
            StepOutcome::CutOff => ("Cut off", Role::Info),
            StepOutcome::Fresh => ("Fresh", Role::Info),
            StepOutcome::Failed => ("Failed", Role::Bad),
            StepOutcome::Skipped => ("Skipped", Role::Warn),
        };
        let name = words::pad_right(&line::name(&step.key, &step.partition), columns.key);
        let error = step.error.as_deref().unwrap_or("");
        let rest =
            format!("{name}  {}  {}", words::pad_left(&words::duration(step.duration_ms), 7), words::visible(error));
        let _ = writeln!(text, "{}", line::with_status(word, role, &rest, layout.style, layout.width));
    }
    let (word, role) = word_of(run, life);
    let rest = format!("{} {}, {}", run.id.0, words::ago(run.started_at, layout.now), what(run));
    let _ = writeln!(text, "{}", line::with_status(word, role, &rest, layout.style, layout.width));
    text
}

fn took(run: &RunRecord) -> String {
    let ms = |from: Timestamp, to: Timestamp| to.as_millisecond().saturating_sub(from.as_millisecond());
    run.ended_at.map_or_else(String::new, |it| words::duration(u64::try_from(ms(run.started_at, it)).unwrap_or(0)))
}

/// What it came to if that is known, and what was typed.
fn what(run: &RunRecord) -> String {
    let typed = words::visible(&run.command.join(" ")).into_owned();
    if run.steps.is_empty() { typed } else { format!("{} ({typed})", counts(run).in_words()) }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{
        face::report::status::tests::layout,
        model::key::{AssetKey, PartitionKey},
        plan::record::RunId,
    };

    fn run(id: &str, started_at: &str, outcome: Option<RunOutcome>, steps: &[(&str, StepOutcome)]) -> RunRecord {
        let started_at: Timestamp = started_at.parse().unwrap();
        let steps = steps.iter().map(|(key, outcome)| StepRecord {
            key: AssetKey::parse(key).unwrap(),
            partition: PartitionKey::whole(),
            outcome: *outcome,
            duration_ms: 812,
            attempt: None,
            data_version: None,
            bytes: Some(12),
            rows: None,
            error: (*outcome == StepOutcome::Failed).then(|| "exit status 1".to_owned()),
        });
        RunRecord {
            id: RunId(id.to_owned()),
            started_at,
            ended_at: outcome.map(|_| started_at + jiff::SignedDuration::from_secs(31)),
            outcome,
            command: vec!["assets".to_owned(), "materialize".to_owned()],
            steps: steps.collect(),
            pid: 1,
            host: "here".to_owned(),
        }
    }

    fn runs() -> Vec<(RunRecord, Life)> {
        let steps = [("orders", StepOutcome::Built), ("mart/revenue", StepOutcome::Failed)];
        vec![
            (run("20261120-115959-0001", "2026-11-20T11:59:59Z", None, &[]), Life::Alive),
            (run("20261120-115000-4f2a", "2026-11-20T11:50:00Z", Some(RunOutcome::Failed), &steps), Life::Over),
            (run("20261119-080000-aaaa", "2026-11-19T08:00:00Z", None, &[]), Life::Over),
            (run("20260101-080000-bbbb", "2026-01-01T08:00:00Z", Some(RunOutcome::Succeeded), &[]), Life::Over),
        ]
    }

    #[test]
    fn runs_are_a_line_each() {
        expect![[r#"
            |     Running 20261120-115959-0001  just now                 assets materialize
            |      Failed 20261120-115000-4f2a  10 minutes ago      31s  1 built, 1 failed (…
            |  Broken off 20261119-080000-aaaa  1 day ago                assets materialize
            |   Succeeded 20260101-080000-bbbb  on 2026-01-01       31s  assets materialize
        "#]]
        .assert_eq(&words::ruled(&text(&runs(), layout())));
        assert_eq!(text(&[], layout()), "Nothing was run yet.\n");
    }

    #[test]
    fn a_run_is_a_line_an_asset() {
        expect![[r#"
            |       Built orders           0.8s
            |      Failed mart/revenue     0.8s  exit status 1
            |      Failed 20261120-115000-4f2a 10 minutes ago, 1 built, 1 failed (assets mat…
        "#]]
        .assert_eq(&words::ruled(&text_of_one(&runs()[1].0, Life::Over, layout())));
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let document = document(&runs());
        crate::face::report::schema::check::<RunsDocument>("runs", &[&document]);
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!((&json["runs"][0]["running"], &json["runs"][2]["running"]), (&true.into(), &false.into()));
        assert_eq!(json["runs"][1]["counts"]["failed"], 1);
    }
}
