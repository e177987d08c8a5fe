//! All that is known of one asset or source: `assets.show/1`, and a page.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use crate::{
    face::{
        report::{self, Layout, ReasonDocument},
        ui::{Role, reason, words},
    },
    model::{
        project::VersionKind,
        staleness::{Reason, State},
    },
    plan::{
        checked::{Look, Said},
        record::{Attempt, Materialization, Observation},
    },
};

pub const SCHEMA: &str = "assets.show/1";

/// What is known, as far as it applies.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Show {
    pub key: String,
    /// `asset` or `source`.
    pub kind: &'static str,
    pub description: Option<String>,
    pub group: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub owners: Vec<String>,
    pub kinds: Vec<String>,
    pub io: Option<String>,
    /// Where it lies, relative to the project.
    pub path: Option<String>,
    pub format: Option<String>,
    /// What makes it: the command as declared.
    pub command: Option<String>,
    /// Or the query.
    pub query: Option<String>,
    /// The files whose content is part of the code, as declared.
    pub code: Vec<String>,
    /// What must be true of its data before it is published.
    pub checks: Vec<NamedCheck>,
    /// The op that makes it together with others.
    pub op: Option<String>,
    /// Names of the variables that count.
    pub env: Vec<String>,
    /// Of the code, declared by hand.
    pub code_version: Option<String>,
    /// What the data version of an asset is.
    pub version: Option<&'static str>,
    pub pool: Option<String>,
    pub retries: u32,
    pub timeout_ms: Option<u64>,
    /// Where it is declared: `assets.toml:12`.
    pub declared: Option<String>,
    pub deps: Vec<String>,
    pub dependents: Vec<String>,
    /// `None` for a source.
    pub state: Option<State>,
    pub reasons: Vec<Reason>,
    /// Newest first.
    pub history: Vec<Materialization>,
    /// The latest try at making it, whatever came of it.
    pub attempt: Option<Attempt>,
    /// Of a source: what it was when it was last looked at.
    pub observed: Option<Observation>,
}

/// A check of an asset's data.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Check"))]
pub struct NamedCheck {
    pub name: String,
    /// As the manifest calls it: `not_null`, `command`, ...
    pub kind: &'static str,
    #[cfg_attr(test, schemars(extend("enum" = ["warn", "error"])))]
    pub severity: &'static str,
    /// What it said when it was last run, of partitions one that failed if there is one; null if it never was, or nobody
    /// remembers.
    pub last: Option<LastCheck>,
}

/// What a check said when it was last run, of what was to be published or of what is.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastCheck {
    pub run: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// Of an asset with partitions, the one that was looked at.
    pub partition: Option<String>,
    #[cfg_attr(test, schemars(extend("enum" = ["passed", "failed"])))]
    pub outcome: &'static str,
    /// Why it failed, in one sentence; null if it passed.
    pub message: Option<String>,
    pub failing: Option<u64>,
    pub total: Option<u64>,
    pub metric: Option<f64>,
}

impl LastCheck {
    pub fn of(look: &Look, said: &Said) -> LastCheck {
        LastCheck {
            run: look.run.clone(),
            at: look.at.to_string(),
            partition: look.partition.clone(),
            outcome: if said.failure.is_none() { "passed" } else { "failed" },
            message: said.failure.clone(),
            failing: said.failing,
            total: said.total,
            metric: said.metric,
        }
    }
}

/// The answer to `assets show`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.show/1"))]
pub struct ShowDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub key: String,
    #[cfg_attr(test, schemars(extend("enum" = ["asset", "source"])))]
    pub kind: &'static str,
    pub description: Option<String>,
    pub group: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub owners: Vec<String>,
    pub kinds: Vec<String>,
    /// Name of the IO manager that keeps it.
    pub io: Option<String>,
    /// Where it lies, relative to the project.
    pub path: Option<String>,
    pub format: Option<String>,
    /// What makes it, as declared.
    pub command: Option<String>,
    /// Or the query.
    pub query: Option<String>,
    pub code: Vec<String>,
    pub checks: Vec<NamedCheck>,
    /// The op that makes it together with others.
    pub op: Option<String>,
    /// Names of the variables whose values count.
    pub env: Vec<String>,
    /// Of the code, declared by hand.
    pub code_version: Option<String>,
    /// What the data version of an asset is.
    pub version: Option<&'static str>,
    pub pool: Option<String>,
    pub retries: u32,
    pub timeout_ms: Option<u64>,
    /// File and line.
    pub declared: Option<String>,
    pub deps: Vec<String>,
    pub dependents: Vec<String>,
    /// Null for a source.
    pub state: Option<&'static str>,
    pub reasons: Vec<ReasonDocument>,
    /// Newest first.
    pub materializations: Vec<MaterializationDocument>,
    /// The latest try at making it, whatever came of it.
    pub last_attempt: Option<AttemptDocument>,
    /// Of a source: what it was when it was last looked at.
    pub observed: Option<ObservedDocument>,
}

/// One try at a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Attempt"))]
pub struct AttemptDocument {
    pub attempt: String,
    pub run: String,
    #[cfg_attr(test, schemars(extend("enum" = crate::plan::record::AttemptState::NAMES)))]
    pub state: &'static str,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Null while it runs.
    pub ended_at: Option<String>,
    /// One sentence; null unless it failed.
    pub error: Option<String>,
    /// Where its output was captured, if it wrote anything; relative to the project.
    pub log: Option<String>,
}

impl From<&Attempt> for AttemptDocument {
    fn from(it: &Attempt) -> Self {
        AttemptDocument {
            attempt: it.id.0.clone(),
            run: it.run.0.clone(),
            state: it.state.name(),
            started_at: it.started_at.to_string(),
            ended_at: it.ended_at.map(|it| it.to_string()),
            error: it.state.why().map(str::to_owned),
            log: it.log.clone(),
        }
    }
}

/// What a source was found to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Observed"))]
pub struct ObservedDocument {
    /// RFC 3339, UTC.
    pub at: String,
    /// Identity of the content: `blake3:` and 64 hex digits.
    pub data_version: String,
    /// As the source itself says it: what its command printed, an ETag.
    pub shown: Option<String>,
    /// Of a `files` source.
    pub files: usize,
}

impl From<&Observation> for ObservedDocument {
    fn from(it: &Observation) -> Self {
        ObservedDocument {
            at: it.at.to_string(),
            data_version: it.data_version.to_string(),
            shown: it.shown.clone(),
            files: it.count_files(),
        }
    }
}

/// One stored version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Materialization"))]
pub struct MaterializationDocument {
    pub partition: Option<String>,
    pub run: String,
    /// RFC 3339, UTC.
    pub at: String,
    pub duration_ms: u64,
    /// Identity of the content: `blake3:` and 64 hex digits.
    pub data_version: String,
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
    /// The reason given, if a person took it as fresh.
    pub accepted: Option<String>,
}

impl From<&Materialization> for MaterializationDocument {
    fn from(it: &Materialization) -> Self {
        MaterializationDocument {
            partition: it.partition.name().map(str::to_owned),
            run: it.run.0.clone(),
            at: it.at.to_string(),
            duration_ms: it.duration_ms,
            data_version: it.data_version.to_string(),
            bytes: it.bytes,
            rows: it.rows,
            accepted: it.accepted.clone(),
        }
    }
}

pub fn document(show: &Show) -> ShowDocument {
    ShowDocument {
        schema: SCHEMA,
        key: show.key.clone(),
        kind: show.kind,
        description: show.description.clone(),
        group: show.group.clone(),
        tags: show.tags.clone(),
        owners: show.owners.clone(),
        kinds: show.kinds.clone(),
        io: show.io.clone(),
        path: show.path.clone(),
        format: show.format.clone(),
        command: show.command.clone(),
        query: show.query.clone(),
        code: show.code.clone(),
        checks: show.checks.clone(),
        op: show.op.clone(),
        env: show.env.clone(),
        code_version: show.code_version.clone(),
        version: show.version,
        pool: show.pool.clone(),
        retries: show.retries,
        timeout_ms: show.timeout_ms,
        declared: show.declared.clone(),
        deps: show.deps.clone(),
        dependents: show.dependents.clone(),
        state: show.state.map(State::name),
        reasons: report::reasons(&show.reasons),
        materializations: show.history.iter().map(MaterializationDocument::from).collect(),
        last_attempt: show.attempt.as_ref().map(AttemptDocument::from),
        observed: show.observed.as_ref().map(ObservedDocument::from),
    }
}

/// A name and a value a line; what does not apply is left out.
pub fn text(show: &Show, layout: Layout) -> String {
    let list = |them: &[String]| (!them.is_empty()).then(|| them.join(", "));
    let tags: Vec<String> = show.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let state = show.state.map(|state| match reason::short(&show.reasons, &show.key).as_str() {
        "" => state.name().to_owned(),
        why => format!("{}: {why}", state.name()),
    });
    let stored = match (&show.path, &show.io) {
        (Some(path), Some(io)) => Some(format!("{path} ({io})")),
        (path, io) => path.clone().or(io.clone()),
    };
    let checks: Vec<String> = show.checks.iter().map(check).collect();
    let fields = [
        ("state", state),
        ("group", show.group.clone()),
        ("tags", list(&tags)),
        ("owners", list(&show.owners)),
        ("kinds", list(&show.kinds)),
        ("stored in", stored),
        ("command", show.command.clone()),
        ("query", show.query.clone()),
        ("made by op", show.op.clone()),
        ("code", list(&show.code)),
        ("checks", list(&checks)),
        ("variables", list(&show.env)),
        ("code version", show.code_version.clone()),
        ("version", show.version.filter(|it| *it != VersionKind::Content.name()).map(str::to_owned)),
        ("pool", show.pool.clone()),
        ("retries", (show.retries > 0).then(|| show.retries.to_string())),
        ("timeout", show.timeout_ms.map(words::duration)),
        ("depends on", list(&show.deps)),
        ("used by", list(&show.dependents)),
        ("declared in", show.declared.clone()),
        ("last attempt", show.attempt.as_ref().map(|it| attempt(it, layout))),
        ("observed", show.observed.as_ref().map(|it| observed(it, layout))),
    ];
    let mut text = format!("{} ({})\n", layout.style.paint(Role::Strong, &show.key), show.kind);
    if let Some(description) = &show.description {
        let _ = writeln!(text, "{}", words::visible_lines(description));
    }
    text.push('\n');
    for (name, value) in fields {
        if let Some(value) = value {
            let name = layout.style.paint(Role::Dim, &format!("{name:>12}"));
            // Lines after the first stand below it.
            let value = words::visible_lines(value.trim()).replace('\n', &format!("\n{}", " ".repeat(14)));
            let _ = writeln!(text, "{name}  {value}");
        }
    }
    for (index, it) in show.history.iter().enumerate() {
        let name = if index == 0 { "built" } else { "before" };
        let _ = writeln!(text, "{}  {}", layout.style.paint(Role::Dim, &format!("{name:>12}")), built(it, layout));
    }
    text
}

/// `not many (warns, failed)`.
fn check(it: &NamedCheck) -> String {
    let failed = it.last.as_ref().filter(|it| it.outcome == "failed").map(|it| match &it.partition {
        Some(partition) => format!("failed at {}", words::visible(partition)),
        None => "failed".to_owned(),
    });
    let notes: Vec<String> = (it.severity == "warn").then(|| "warns".to_owned()).into_iter().chain(failed).collect();
    if notes.is_empty() { it.name.clone() } else { format!("{} ({})", it.name, notes.join(", ")) }
}

/// `failed 3 minutes ago: exit status 1, run 20261120-115700-4f2a`.
fn attempt(it: &Attempt, layout: Layout) -> String {
    let why = it.state.why().map(|it| format!(": {it}")).unwrap_or_default();
    format!("{} {}{why}, run {}", it.state.name(), words::ago(it.started_at, layout.now), it.run.0)
}

/// `just now, 12 files, 9c0b77123456`.
fn observed(it: &Observation, layout: Layout) -> String {
    let mut parts = vec![words::ago(it.at, layout.now)];
    parts.extend((it.count_files() > 0).then(|| words::count(it.count_files(), "file")));
    parts.extend(it.shown.clone());
    parts.push(it.data_version.short());
    parts.join(", ")
}

/// `3 minutes ago in 0.8s, 1.2 MB, run 20261120-115700-4f2a, 9c0b77123456`.
fn built(it: &Materialization, layout: Layout) -> String {
    let mut parts = vec![format!("{} in {}", words::ago(it.at, layout.now), words::duration(it.duration_ms))];
    parts.extend(it.partition.name().map(|it| format!("partition {}", words::visible(it))));
    parts.extend(it.rows.map(words::rows).or(it.bytes.map(words::size)));
    parts.push(format!("run {}", it.run.0));
    parts.push(it.data_version.short());
    parts.extend(it.accepted.as_ref().map(|it| format!("taken as fresh: {}", words::visible(it))));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{
        base::digest::Digest,
        face::report::status::tests::{layout, reason},
        model::{
            fingerprint::Fingerprint,
            key::{AssetKey, PartitionKey},
            staleness::ReasonCode,
        },
        plan::record::{AttemptId, RunId, StoredOutput},
    };

    fn stored(at: &str, accepted: Option<&str>) -> Materialization {
        Materialization {
            key: AssetKey::parse("orders").unwrap(),
            partition: PartitionKey::whole(),
            attempt: AttemptId("r1-0-1".to_owned()),
            run: RunId("r1".to_owned()),
            at: at.parse().unwrap(),
            duration_ms: 812,
            fingerprint: Fingerprint::default(),
            data_version: Digest::of(b"1"),
            content: None,
            declared: None,
            output: StoredOutput::Files(vec![]),
            bytes: Some(1_234_567),
            rows: None,
            accepted: accepted.map(str::to_owned),
            session: "s1".to_owned(),
        }
    }

    fn show() -> Show {
        let last = LastCheck {
            run: "r1".to_owned(),
            at: "2026-11-20T11:57:00Z".to_owned(),
            partition: None,
            outcome: "failed",
            message: Some("12 rows, not at most 10".to_owned()),
            failing: None,
            total: None,
            metric: Some(12.0),
        };
        Show {
            key: "orders".to_owned(),
            kind: "asset",
            description: Some("Cleaned orders".to_owned()),
            group: Some("staging".to_owned()),
            tags: [("pii".to_owned(), "no".to_owned())].into(),
            owners: vec!["team:data".to_owned()],
            io: Some("files".to_owned()),
            path: Some("data/staging/orders.parquet".to_owned()),
            command: Some("python3 clean.py {{ inputs.orders_csv }}\nmv clean {{ output }}\n".to_owned()),
            code: vec!["clean.py".to_owned(), "lib/**/*.py".to_owned()],
            checks: vec![
                NamedCheck { name: "has rows".to_owned(), kind: "command", severity: "error", last: None },
                NamedCheck { name: "not many".to_owned(), kind: "row_count", severity: "warn", last: Some(last) },
            ],
            deps: vec!["orders_csv".to_owned()],
            dependents: vec!["daily_sales".to_owned(), "report".to_owned()],
            declared: Some("assets.toml:24".to_owned()),
            state: Some(State::Stale),
            reasons: vec![reason(ReasonCode::CodeChanged, "clean.py", None)],
            history: vec![stored("2026-11-20T11:57:00Z", None), stored("2026-11-18T11:57:00Z", Some("only comments"))],
            ..Show::default()
        }
    }

    #[test]
    fn a_page_tells_what_applies() {
        expect![[r#"
            |orders (asset)
            |Cleaned orders
            |
            |       state  stale: code changed: clean.py
            |       group  staging
            |        tags  pii=no
            |      owners  team:data
            |   stored in  data/staging/orders.parquet (files)
            |     command  python3 clean.py {{ inputs.orders_csv }}
            |              mv clean {{ output }}
            |        code  clean.py, lib/**/*.py
            |      checks  has rows, not many (warns, failed)
            |  depends on  orders_csv
            |     used by  daily_sales, report
            | declared in  assets.toml:24
            |       built  3 minutes ago in 0.8s, 1.2 MB, run r1, d63bd9a826af
            |      before  2 days ago in 0.8s, 1.2 MB, run r1, d63bd9a826af, taken as fresh: only comments
        "#]]
        .assert_eq(&words::ruled(&text(&show(), layout())));
        let source = Show { key: "orders_csv".to_owned(), kind: "source", ..Show::default() };
        assert_eq!(text(&source, layout()), "orders_csv (source)\n\n");
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let source = Show { key: "orders_csv".to_owned(), kind: "source", ..Show::default() };
        report::schema::check::<ShowDocument>("show", &[document(&show()), document(&source)]);
    }
}
