//! Backfills: one as it stands or as it would be, `assets.backfill/1`; all of them, `assets.backfills/1`.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::face::{report::Layout, ui::words};
#[cfg(test)]
use crate::plan::backfill::Order;

pub const BACKFILL: &str = "assets.backfill/1";
pub const BACKFILLS: &str = "assets.backfills/1";

/// What is told of how it stands. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It was asked what it would be.
    Planned,
    Running,
    /// A process works on it that was asked to pause.
    Pausing,
    Cancelling,
    /// It is to go on, and no process works on it: whoever did was interrupted or killed.
    Interrupted,
    Paused,
    Cancelled,
    Done,
    Failed,
}

impl Standing {
    pub const ALL: [Standing; 9] = [
        Standing::Planned,
        Standing::Running,
        Standing::Pausing,
        Standing::Cancelling,
        Standing::Interrupted,
        Standing::Paused,
        Standing::Cancelled,
        Standing::Done,
        Standing::Failed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Standing::Planned => "planned",
            Standing::Running => "running",
            Standing::Pausing => "pausing",
            Standing::Cancelling => "cancelling",
            Standing::Interrupted => "interrupted",
            Standing::Paused => "paused",
            Standing::Cancelled => "cancelled",
            Standing::Done => "done",
            Standing::Failed => "failed",
        }
    }

    /// Somebody works on it.
    pub fn is_at_work(self) -> bool {
        matches!(self, Standing::Running | Standing::Pausing | Standing::Cancelling)
    }
}

#[cfg(test)]
fn standings() -> Vec<&'static str> {
    Standing::ALL.map(Standing::name).to_vec()
}

#[cfg(test)]
fn orders() -> Vec<&'static str> {
    Order::ALL.map(Order::name).to_vec()
}

/// The answer to every command about one backfill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.backfill/1"))]
pub struct BackfillDocument {
    #[cfg_attr(test, schemars(extend("const" = BACKFILL)))]
    pub schema: &'static str,
    pub name: String,
    #[cfg_attr(test, schemars(extend("enum" = standings())))]
    pub state: &'static str,
    /// RFC 3339, UTC; null if it is only planned.
    pub asked_at: Option<String>,
    /// When the state became what it is, as far as it is recorded.
    pub since: Option<String>,
    #[cfg_attr(test, schemars(extend("enum" = orders())))]
    pub order: &'static str,
    /// Steps at work at once; null: as many as there are cores.
    pub jobs: Option<u64>,
    pub vars: BTreeMap<String, String>,
    pub counts: BackfillCounts,
    /// Of what is left, as far as records tell; null if they tell nothing.
    pub estimated_ms: Option<u64>,
    /// Upstream first.
    pub assets: Vec<BackfillAssetDocument>,
}

/// How many partitions are what now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BackfillCounts {
    /// Asked for.
    pub total: u64,
    pub fresh: u64,
    /// Not fresh and could be made, failed ones among them.
    pub left: u64,
    /// Failed when they were tried last.
    pub failed: u64,
    /// Nothing is there yet that they could be made from.
    pub waiting: u64,
    /// Not in the manifest any more.
    pub undefined: u64,
}

/// One asset of a backfill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BackfillAssetDocument {
    pub key: String,
    /// Those that were asked for and are defined, as `--partition` takes them; null without partitions.
    pub partitions: Option<String>,
    /// Those that are left; null if there are none, or the asset has no partitions.
    pub left: Option<String>,
    pub counts: BackfillCounts,
    pub estimated_ms: Option<u64>,
}

/// The answer to `assets backfill list`, the one asked for last first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.backfills/1"))]
pub struct BackfillsDocument {
    #[cfg_attr(test, schemars(extend("const" = BACKFILLS)))]
    pub schema: &'static str,
    pub backfills: Vec<BackfillRow>,
}

/// One backfill of several.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BackfillRow {
    pub name: String,
    #[cfg_attr(test, schemars(extend("enum" = standings())))]
    pub state: &'static str,
    pub asked_at: String,
    pub since: String,
    /// Keys.
    pub assets: Vec<String>,
    /// Partitions that were asked for.
    pub total: u64,
    /// Those that are fresh; null of one that has ended.
    pub fresh: Option<u64>,
}

/// What is said of one: a line in all, one for each asset, and how it was asked for.
pub fn text(of: &BackfillDocument, layout: Layout) -> String {
    let mut text = format!("{}  {}  {}\n", words::visible(&of.name), of.state, said(&of.counts, of.estimated_ms));
    let width = of.assets.iter().map(|it| it.key.len()).max().unwrap_or(0);
    for it in &of.assets {
        let left = it.left.as_ref().map(|it| format!(": {}", words::visible(it))).unwrap_or_default();
        let key = words::pad_right(&it.key, width);
        let _ = writeln!(text, "  {key}  {}{left}", said(&it.counts, it.estimated_ms));
    }
    let mut how = Vec::new();
    if let Some(at) = &of.asked_at {
        how.push(format!("asked for {}", ago(at, layout.now)));
        // Of one that is being worked on, when it was gone on with last tells nothing.
        let since = of.since.iter().filter(|it| *it != at && of.state != Standing::Running.name());
        how.extend(since.map(|it| format!("{} {}", of.state, ago(it, layout.now))));
    }
    how.push(of.order.replace('_', " "));
    how.extend(of.jobs.map(|it| format!("{it} at once")));
    how.extend(of.vars.iter().map(|(name, value)| format!("{name}={}", words::visible(value))));
    let _ = writeln!(text, "{}", how.join("; "));
    text
}

fn ago(at: &str, now: Timestamp) -> String {
    at.parse().map_or_else(|_| at.to_owned(), |it| words::ago(it, now))
}

/// `40 of 100 partitions fresh, 2 failed, 60 left, about 12m 00s`.
fn said(of: &BackfillCounts, estimated_ms: Option<u64>) -> String {
    let defined = of.total - of.undefined;
    let noun = if defined == 1 { "partition" } else { "partitions" };
    let mut parts = vec![format!("{} of {} {noun} fresh", words::thousands(of.fresh), words::thousands(defined))];
    for (count, what) in [
        (of.undefined, "not in the manifest any more"),
        (of.waiting, "waiting for data"),
        (of.failed, "failed"),
        (of.left, "left"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", words::thousands(count)));
        }
    }
    let time = estimated_ms.filter(|_| of.left > 0).map(|it| format!(", about {}", words::duration(it)));
    format!("{}{}", parts.join(", "), time.unwrap_or_default())
}

pub fn list(of: &BackfillsDocument, layout: Layout) -> String {
    if of.backfills.is_empty() {
        return "No backfill was asked for; `assets backfill start` does.\n".to_owned();
    }
    let width = of.backfills.iter().map(|it| it.name.chars().count()).max().unwrap_or(0);
    let states = of.backfills.iter().map(|it| it.state.len()).max().unwrap_or(0);
    let line = |it: &BackfillRow| {
        let count = match it.fresh {
            Some(fresh) => format!("{} of {}", words::thousands(fresh), words::thousands(it.total)),
            None => words::thousands(it.total),
        };
        let (name, state) = (words::pad_right(&words::visible(&it.name), width), words::pad_right(it.state, states));
        let assets = words::visible(&it.assets.join(", ")).into_owned();
        let noun = if it.total == 1 { "partition" } else { "partitions" };
        format!("{name}  {state}  {}  {count} {noun} of {assets}\n", ago(&it.since, layout.now))
    };
    of.backfills.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::report::{schema::check, status::tests::layout};

    fn sample() -> BackfillDocument {
        let counts = BackfillCounts { total: 100, fresh: 40, left: 58, failed: 2, waiting: 1, undefined: 1 };
        BackfillDocument {
            schema: BACKFILL,
            name: "march".to_owned(),
            state: Standing::Paused.name(),
            asked_at: Some("2026-11-20T11:00:00Z".to_owned()),
            since: Some("2026-11-20T11:57:00Z".to_owned()),
            order: Order::NewestFirst.name(),
            jobs: Some(2),
            vars: BTreeMap::from([("mode".to_owned(), "full".to_owned())]),
            counts,
            estimated_ms: Some(90_000),
            assets: vec![BackfillAssetDocument {
                key: "daily".to_owned(),
                partitions: Some("2026-03-01..2026-06-09".to_owned()),
                left: Some("2026-04-10..2026-06-09".to_owned()),
                counts,
                estimated_ms: None,
            }],
        }
    }

    #[test]
    fn the_documents_are_what_their_schemas_say() {
        expect_test::expect![[r#"
            march  paused  40 of 99 partitions fresh, 1 not in the manifest any more, 1 waiting for data, 2 failed, 58 left, about 1m 30s
              daily  40 of 99 partitions fresh, 1 not in the manifest any more, 1 waiting for data, 2 failed, 58 left: 2026-04-10..2026-06-09
            asked for 1 hour ago; paused 3 minutes ago; newest first; 2 at once; mode=full
        "#]]
        .assert_eq(&text(&sample(), layout()));
        let planned = BackfillDocument { asked_at: None, since: None, state: Standing::Planned.name(), ..sample() };
        check::<BackfillDocument>("backfill", &[sample(), planned]);
        let row = |state: Standing, fresh: Option<u64>| BackfillRow {
            name: "march".to_owned(),
            state: state.name(),
            asked_at: "2026-11-20T11:00:00Z".to_owned(),
            since: "2026-11-20T11:57:00Z".to_owned(),
            assets: vec!["daily".to_owned(), "monthly".to_owned()],
            total: 1_100,
            fresh,
        };
        let all = BackfillsDocument {
            schema: BACKFILLS,
            backfills: vec![row(Standing::Interrupted, Some(40)), row(Standing::Done, None)],
        };
        expect_test::expect![[r#"
            march  interrupted  3 minutes ago  40 of 1,100 partitions of daily, monthly
            march  done         3 minutes ago  1,100 partitions of daily, monthly
        "#]]
        .assert_eq(&list(&all, layout()));
        check::<BackfillsDocument>("backfills", &[all]);
    }
}
