//! What is fresh and what is not, and why: `assets.status/1`, and a table that tells only of what
//! is not as it should be.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

use serde::Serialize;

use crate::{
    face::{
        report::{self, Last, LastDocument, Layout, ReasonDocument},
        ui::{Role, line, line::Columns, reason, words},
    },
    model::staleness::{Reason, State},
};

pub const SCHEMA: &str = "assets.status/1";

/// What is known of one asset.
#[derive(Clone, PartialEq, Debug)]
pub struct StatusRow {
    pub key: String,
    pub state: State,
    /// The most telling first.
    pub reasons: Vec<Reason>,
    pub group: Option<String>,
    pub io: Option<String>,
    /// `None` for an asset without partitions.
    pub partitions: Option<Partitions>,
    pub last: Option<Last>,
}

/// How many partitions an asset has, and how many of them are in which state.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Partitions {
    pub total: u64,
    pub fresh: u64,
    pub stale: u64,
    pub missing: u64,
    pub failed: u64,
    pub blocked: u64,
    /// Never made, and nothing is there yet to make them from: they are in none of the states.
    pub waiting: u64,
    pub ranges: Vec<PartitionRange>,
}

/// Partitions of which the same is true.
#[derive(Clone, PartialEq, Debug)]
pub struct PartitionRange {
    /// As `--partition` takes them.
    pub partitions: String,
    pub count: u64,
    pub state: State,
    pub waiting: bool,
    pub reason: Option<Reason>,
}

/// How many partitions an asset has, and how many of them are in which state.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PartitionsDocument {
    pub total: u64,
    pub fresh: u64,
    pub stale: u64,
    pub missing: u64,
    pub failed: u64,
    pub blocked: u64,
    /// Never made, and nothing is there yet to make them from; in none of the states.
    pub waiting: u64,
    /// Which are in which state, and why.
    pub ranges: Vec<RangeDocument>,
}

/// Partitions of which the same is true.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RangeDocument {
    /// As `--partition` takes them: `2026-01-01..2026-01-15`, without the last.
    pub partitions: String,
    pub count: u64,
    #[cfg_attr(test, schemars(extend("enum" = report::schema::states())))]
    pub state: &'static str,
    pub waiting: bool,
    /// The most telling of the first of them; null if they are fresh.
    pub reason: Option<ReasonDocument>,
}

impl From<&Partitions> for PartitionsDocument {
    fn from(it: &Partitions) -> Self {
        let range = |it: &PartitionRange| RangeDocument {
            partitions: it.partitions.clone(),
            count: it.count,
            state: it.state.name(),
            waiting: it.waiting,
            reason: it.reason.as_ref().and_then(|it| report::reasons(std::slice::from_ref(it)).pop()),
        };
        PartitionsDocument {
            total: it.total,
            fresh: it.fresh,
            stale: it.stale,
            missing: it.missing,
            failed: it.failed,
            blocked: it.blocked,
            waiting: it.waiting,
            ranges: it.ranges.iter().map(range).collect(),
        }
    }
}

/// The answer to `assets status`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.status/1"))]
pub struct StatusDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub project: String,
    /// The target whose overrides apply.
    pub target: Option<String>,
    /// How many of the selected assets are in each state; every state is there.
    pub counts: BTreeMap<&'static str, usize>,
    pub assets: Vec<AssetStatus>,
    /// Assets that are read from another target (`--defer`), and so not among the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deferred: Option<DeferredStatus>,
}

/// What another target lends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Deferred"))]
pub struct DeferredStatus {
    pub target: String,
    pub assets: Vec<String>,
}

/// One selected asset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AssetStatus {
    pub key: String,
    #[cfg_attr(test, schemars(extend("enum" = report::schema::states())))]
    pub state: &'static str,
    /// The most telling first; empty if it is fresh.
    pub reasons: Vec<ReasonDocument>,
    pub group: Option<String>,
    /// Name of the IO manager that keeps it.
    pub io: Option<String>,
    /// Null for an asset without partitions.
    pub partitions: Option<PartitionsDocument>,
    /// Null if it was never built.
    pub last: Option<LastDocument>,
}

pub fn document(project: &str, target: Option<&str>, rows: &[StatusRow]) -> StatusDocument {
    let assets = rows.iter().map(|row| AssetStatus {
        key: row.key.clone(),
        state: row.state.name(),
        reasons: report::reasons(&row.reasons),
        group: row.group.clone(),
        io: row.io.clone(),
        partitions: row.partitions.as_ref().map(PartitionsDocument::from),
        last: row.last.as_ref().map(LastDocument::from),
    });
    StatusDocument {
        schema: SCHEMA,
        project: project.to_owned(),
        target: target.map(str::to_owned),
        counts: State::ALL.map(|state| (state.name(), rows.iter().filter(|it| it.state == state).count())).into(),
        assets: assets.collect(),
        deferred: None,
    }
}

/// What is not fresh, below its group; with `verbose` everything. The last line counts.
pub fn text(rows: &[StatusRow], layout: Layout) -> String {
    let shown: Vec<&StatusRow> = rows.iter().filter(|it| layout.verbose || it.state != State::Fresh).collect();
    let mut text = String::new();
    if !shown.is_empty() {
        let by_key: HashMap<&str, &StatusRow> = rows.iter().map(|it| (it.key.as_str(), it)).collect();
        let columns = Columns::of(shown.iter().map(|it| (it.key.as_str(), it.io.as_deref().unwrap_or(""))));
        for (group, members) in grouped(&shown) {
            if let Some(group) = group {
                let separator = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{separator}{}", layout.style.paint(Role::Strong, &words::visible(group)));
            }
            for row in members {
                let _ = writeln!(text, "{}", row_line(row, &by_key, columns, layout));
            }
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{}", counts(rows));
    text
}

/// Rows by group, those without one first; order is kept within a group.
fn grouped<'a>(rows: &[&'a StatusRow]) -> BTreeMap<Option<&'a str>, Vec<&'a StatusRow>> {
    let mut groups: BTreeMap<Option<&str>, Vec<&StatusRow>> = BTreeMap::new();
    for row in rows {
        groups.entry(row.group.as_deref()).or_default().push(row);
    }
    groups
}

pub fn word_of(state: State) -> (&'static str, Role) {
    match state {
        State::Fresh => ("Fresh", Role::Good),
        State::Stale => ("Stale", Role::Warn),
        State::Missing => ("Missing", Role::Warn),
        State::Failed => ("Failed", Role::Bad),
        State::Blocked => ("Blocked", Role::Bad),
        State::Running => ("Running", Role::Info),
    }
}

fn row_line(row: &StatusRow, by_key: &HashMap<&str, &StatusRow>, columns: Columns, layout: Layout) -> String {
    let (word, role) = word_of(row.state);
    let mut cause = Vec::new();
    if let Some(it) = &row.partitions {
        let (fresh, total) = (words::thousands(it.fresh), words::thousands(it.total - it.waiting));
        let noun = if total == "1" { "partition" } else { "partitions" };
        cause.push(format!("{fresh} of {total} {noun} fresh"));
        cause.extend(ranges(row, it, layout.verbose));
    }
    let by_range = row.partitions.as_ref().is_some_and(|it| !it.ranges.is_empty());
    let mut is_effect = false;
    match row.reasons.first() {
        Some(first) if by_range => is_effect = reason::is_upstream(first.code),
        Some(first) if reason::is_upstream(first.code) => {
            is_effect = true;
            cause.push(because_of(first, row, by_key));
        }
        Some(_) if by_range => {}
        Some(_) => cause.push(reason::short(&row.reasons, &row.key)),
        None => {}
    }
    if let Some(last) = row.last.as_ref().filter(|_| layout.verbose) {
        cause.push(format!("built {} in {}", words::ago(last.at, layout.now), words::duration(last.duration_ms)));
    }
    let rest = format!(
        "{}  {}  {}",
        words::pad_right(&row.key, columns.key),
        words::pad_right(row.io.as_deref().unwrap_or(""), columns.io),
        cause.join("; ")
    );
    // What stands out is where to look: the causes, not their effects.
    let role = if is_effect { Role::Dim } else { role };
    line::with_status(word, role, &rest, layout.style, layout.width)
}

/// So many ranges are told in a line, if nobody asks for more.
const RANGES_MAX: usize = 4;

/// `2026-01-01..2026-03-14 fresh`, `2026-03-15 stale: source changed: raw`; what is fresh or waits only for those
/// who want everything.
fn ranges(row: &StatusRow, of: &Partitions, verbose: bool) -> Vec<String> {
    let shown = |it: &&PartitionRange| verbose || it.state != State::Fresh && !it.waiting;
    let told = of.ranges.iter().filter(shown).map(|it| {
        let why = match (&it.reason, it.waiting) {
            (_, true) => ": nothing is there to make them from".to_owned(),
            (Some(why), _) => format!(": {}", reason::one(why, &row.key)),
            (None, _) => String::new(),
        };
        let state = if it.waiting { "waiting" } else { it.state.name() };
        format!("{} {state}{why}", words::visible(&it.partitions))
    });
    let mut told: Vec<String> = told.collect();
    if !verbose && told.len() > RANGES_MAX {
        let more = told.len() - RANGES_MAX;
        told.truncate(RANGES_MAX);
        told.push(format!("+{more} more"));
    }
    told
}

/// Follows `upstream is stale` down to the asset that is stale on its own account.
fn because_of(first: &Reason, row: &StatusRow, by_key: &HashMap<&str, &StatusRow>) -> String {
    let mut reason_there = first;
    // Keys on the way cannot repeat in a graph without cycles; the bound is for rows that lie.
    for _ in 0..by_key.len() {
        let next = by_key.get(reason_there.subject.as_str()).and_then(|it| it.reasons.first());
        match next {
            Some(next) if reason::is_upstream(next.code) => reason_there = next,
            Some(next) => {
                let root = &reason_there.subject;
                return format!("because of {root}, {}", reason::one(next, root));
            }
            None => break,
        }
    }
    reason::short(&row.reasons, &row.key)
}

/// `12 assets: 2 stale, 1 missing, 9 fresh`.
fn counts(rows: &[StatusRow]) -> String {
    if rows.iter().all(|it| it.state == State::Fresh) {
        return words::all_fresh(rows.len());
    }
    let order = [State::Failed, State::Blocked, State::Missing, State::Stale, State::Running, State::Fresh];
    let parts: Vec<String> = order
        .into_iter()
        .map(|state| (rows.iter().filter(|it| it.state == state).count(), state))
        .filter(|it| it.0 > 0)
        .map(|(number, state)| format!("{} {}", words::thousands(number as u64), state.name()))
        .collect();
    format!("{}: {}", words::count(rows.len(), "asset"), parts.join(", "))
}

#[cfg(test)]
pub mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{base::digest::Digest, face::ui::Style, model::staleness::ReasonCode};

    pub fn layout() -> Layout {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        Layout { style: Style::PLAIN, width: Some(80), verbose: false, now }
    }

    pub fn reason(code: ReasonCode, subject: &str, change: Option<(&str, &str)>) -> Reason {
        let (old, new) = change.map(|(old, new)| (old.to_owned(), new.to_owned())).unzip();
        Reason { code, subject: subject.to_owned(), old, new, message: String::new() }
    }

    pub fn last() -> Last {
        Last {
            run: "20261120-115700-4f2a".to_owned(),
            at: "2026-11-20T11:57:00Z".parse().unwrap(),
            data_version: Digest::of(b"1"),
            duration_ms: 812,
        }
    }

    fn row(key: &str, state: State, group: Option<&str>, reasons: Vec<Reason>) -> StatusRow {
        StatusRow {
            key: key.to_owned(),
            state,
            reasons,
            group: group.map(str::to_owned),
            io: Some("files".to_owned()),
            partitions: None,
            last: (state == State::Fresh).then(last),
        }
    }

    fn rows() -> Vec<StatusRow> {
        let upstream = |key| vec![reason(ReasonCode::UpstreamStale, key, None)];
        let code = vec![
            reason(ReasonCode::CodeChanged, "clean.py", Some(("4f2a11aa01b2", "9c0b77123456"))),
            reason(ReasonCode::EnvChanged, "MODE", Some(("fast", "slow"))),
        ];
        vec![
            row("report", State::Stale, Some("marts"), upstream("daily_sales")),
            row("daily_sales", State::Stale, Some("marts"), upstream("orders")),
            row("orders", State::Stale, Some("staging"), code),
            row("customers", State::Fresh, Some("staging"), vec![]),
            row("rates", State::Missing, None, vec![reason(ReasonCode::NeverBuilt, "rates", None)]),
            StatusRow {
                partitions: Some(Partitions { total: 30, fresh: 18, missing: 12, ..Partitions::default() }),
                ..row("hourly", State::Missing, None, vec![reason(ReasonCode::PartitionMissing, "2026-01-02", None)])
            },
        ]
    }

    #[test]
    fn only_what_is_not_fresh_is_listed_and_roots_are_named() {
        expect![[r#"
            |     Missing rates        files  never built
            |     Missing hourly       files  18 of 30 partitions fresh; partition is missin…
            |
            |marts
            |       Stale report       files  because of orders, code changed: clean.py
            |       Stale daily_sales  files  because of orders, code changed: clean.py
            |
            |staging
            |       Stale orders       files  code changed: clean.py, +1 more
            |
            |6 assets: 2 missing, 3 stale, 1 fresh
        "#]]
        .assert_eq(&words::ruled(&text(&rows(), layout())));
    }

    #[test]
    fn verbose_lists_everything() {
        expect![[r#"
            |     Missing rates        files  never built
            |     Missing hourly       files  18 of 30 partitions fresh; partition is missing: 2026-01-02
            |
            |marts
            |       Stale report       files  because of orders, code changed: clean.py
            |       Stale daily_sales  files  because of orders, code changed: clean.py
            |
            |staging
            |       Stale orders       files  code changed: clean.py, +1 more
            |       Fresh customers    files  built 3 minutes ago in 0.8s
            |
            |6 assets: 2 missing, 3 stale, 1 fresh
        "#]]
        .assert_eq(&words::ruled(&text(&rows(), Layout { verbose: true, width: None, ..layout() })));
    }

    #[test]
    fn effects_are_dim_and_causes_are_not() {
        let style = Style { color: true, ..Style::PLAIN };
        let drawn = text(&rows(), Layout { style, ..layout() });
        assert_eq!(words::without_escapes(&drawn), text(&rows(), layout()));
        let line_of = |key: &str| drawn.lines().find(|it| it.contains(&format!(" {key} "))).unwrap().to_owned();
        assert!(line_of("orders").contains(&style.paint(Role::Warn, "Stale")));
        assert!(line_of("report").contains(&style.paint(Role::Dim, "Stale")));
    }

    #[test]
    fn ten_thousand_fresh_assets_are_one_line() {
        let fresh = vec![row("a", State::Fresh, None, vec![]); 10_000];
        assert_eq!(text(&fresh, layout()), "All 10,000 assets are fresh.\n");
        assert_eq!(text(&[], layout()), "There are no assets here.\n");
    }

    #[test]
    fn rows_that_lie_do_not_hang_it() {
        let upstream = |key| vec![reason(ReasonCode::UpstreamStale, key, None)];
        let circle = [row("a", State::Stale, None, upstream("b")), row("b", State::Stale, None, upstream("a"))];
        assert!(text(&circle, layout()).contains("upstream is stale: b"));
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let document = document("shop", Some("prod"), &rows());
        report::schema::check::<StatusDocument>("status", &[&document]);
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!(
            json["counts"],
            serde_json::json!({
                "fresh": 1, "stale": 3, "missing": 2, "failed": 0, "blocked": 0, "running": 0
            })
        );
        assert_eq!(
            json["assets"][2]["reasons"][0],
            serde_json::json!({
                "code": "code_changed", "subject": "clean.py", "old": "4f2a11aa01b2", "new": "9c0b77123456", "message": ""
            })
        );
        assert_eq!(json["assets"][3]["last"]["at"], "2026-11-20T11:57:00Z");
        assert!(json["assets"][3]["partitions"].is_null());
    }
}
