//! What a run would do: `assets.plan/1`, and a table.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    face::{
        report::{self, Layout, ReasonDocument},
        ui::{Role, line, line::Columns, reason, words},
    },
    model::{
        event::Extent,
        key::{AssetKey, PartitionKey},
        plan::StepAction,
        staleness::Reason,
    },
};

pub const SCHEMA: &str = "assets.plan/1";

/// One asset partition that a run would make.
#[derive(Clone, PartialEq, Debug)]
pub struct PlanRow {
    pub key: AssetKey,
    pub partition: PartitionKey,
    pub io: String,
    pub action: StepAction,
    pub reasons: Vec<Reason>,
    /// Of one to which rows are added.
    pub extent: Option<Extent>,
}

/// The answer to `assets plan`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.plan/1"))]
pub struct PlanDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// In an order in which they could be run one by one.
    pub steps: Vec<PlannedStep>,
}

/// One asset partition that would be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlannedStep {
    pub key: String,
    /// Null for an asset without partitions.
    pub partition: Option<String>,
    /// `maybe`: only if what is upstream turns out different.
    #[cfg_attr(test, schemars(extend("enum" = report::schema::actions())))]
    pub action: &'static str,
    /// Whether all of a table to which rows are added would be made; null of others.
    #[cfg_attr(test, schemars(extend("enum" = report::schema::extents_or_null())))]
    pub extent: Option<&'static str>,
    /// The most telling first.
    pub reasons: Vec<ReasonDocument>,
}

pub fn document(rows: &[PlanRow]) -> PlanDocument {
    let steps = rows.iter().map(|row| PlannedStep {
        key: row.key.to_string(),
        partition: row.partition.name().map(str::to_owned),
        action: row.action.name(),
        extent: row.extent.map(Extent::name),
        reasons: report::reasons(&row.reasons),
    });
    PlanDocument { schema: SCHEMA, steps: steps.collect() }
}

/// One line for each asset; the last line counts. `fresh` selected assets would be left alone.
pub fn text(rows: &[PlanRow], fresh: usize, layout: Layout) -> String {
    if rows.is_empty() {
        return words::all_fresh(fresh) + "\n";
    }
    let names: Vec<String> = rows.iter().map(|it| line::name(&it.key, &it.partition)).collect();
    let columns = Columns::of(names.iter().zip(rows).map(|(name, row)| (name.as_str(), row.io.as_str())));
    let mut text = String::new();
    for (name, row) in names.iter().zip(rows) {
        let (word, role) = match row.action {
            StepAction::Build => ("Build", Role::Good),
            StepAction::Maybe => ("Maybe", Role::Info),
            StepAction::Restore => ("Restore", Role::Good),
        };
        let (name, io) = (words::pad_right(name, columns.key), words::pad_right(&row.io, columns.io));
        let why = reason::short(&row.reasons, row.key.as_str());
        let extent = row.extent.map(|it| format!("{}, ", it.name())).unwrap_or_default();
        let rest = format!("{name}  {io}  {extent}{why}");
        let _ = writeln!(text, "{}", line::with_status(word, role, &rest, layout.style, layout.width));
    }
    let number_of = |action| rows.iter().filter(|it| it.action == action).count();
    let named = [
        (number_of(StepAction::Build), "to build"),
        (number_of(StepAction::Restore), "to restore"),
        (number_of(StepAction::Maybe), "to build only if what is upstream changes"),
        (fresh, "fresh"),
    ];
    let parts: Vec<String> = named
        .into_iter()
        .filter(|it| it.0 > 0)
        .map(|(number, name)| format!("{} {name}", words::thousands(number as u64)))
        .collect();
    let _ = writeln!(text, "\n{}", parts.join(", "));
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{
        face::report::status::tests::{layout, reason},
        model::staleness::ReasonCode,
    };

    fn rows() -> Vec<PlanRow> {
        let row = |key: &str, action, reason| PlanRow {
            key: AssetKey::parse(key).unwrap(),
            partition: PartitionKey::whole(),
            io: "files".to_owned(),
            action,
            reasons: vec![reason],
            extent: None,
        };
        vec![
            row("orders", StepAction::Build, reason(ReasonCode::CodeChanged, "clean.py", None)),
            row("mart/daily_sales", StepAction::Maybe, reason(ReasonCode::UpstreamStale, "orders", None)),
            PlanRow {
                partition: PartitionKey::new("2026-01-02"),
                ..row("hourly", StepAction::Restore, reason(ReasonCode::EnvChanged, "MODE", None))
            },
        ]
    }

    #[test]
    fn a_plan_is_one_line_an_asset() {
        expect![[r#"
            |       Build orders             files  code changed: clean.py
            |       Maybe mart/daily_sales   files  upstream is stale: orders
            |     Restore hourly@2026-01-02  files  environment changed: MODE
            |
            |1 to build, 1 to restore, 1 to build only if what is upstream changes, 980 fresh
        "#]]
        .assert_eq(&words::ruled(&text(&rows(), 980, layout())));
        assert_eq!(text(&[], 12, layout()), "All 12 assets are fresh.\n");
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let document = document(&rows());
        report::schema::check::<PlanDocument>("plan", &[&document]);
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!(json["steps"][1]["action"], "maybe");
        assert_eq!(json["steps"][2]["partition"], "2026-01-02");
        assert!(json["steps"][0]["partition"].is_null());
    }
}
