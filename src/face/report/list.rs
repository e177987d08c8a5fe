//! What a selection means: its assets and sources, in columns, or as `assets.list/1`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    face::{
        report,
        ui::{Role, Style, words},
    },
    model::{node_set::NodeSet, project::Project},
};

/// Longer cells push their line out of the columns.
const COLUMN_MAX: usize = 40;

const SCHEMA: &str = "assets.list/1";

/// The answer to `assets list --json`.
#[derive(Serialize, Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.list/1"))]
pub struct ListDocument<'a> {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// Assets and sources, in the order declared.
    pub assets: Vec<Listed<'a>>,
}

/// An asset or a source.
#[derive(Serialize, Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Listed<'a> {
    pub key: &'a str,
    #[cfg_attr(test, schemars(extend("enum" = ["asset", "source"])))]
    pub kind: &'static str,
    pub group: Option<&'a str>,
    pub tags: &'a BTreeMap<String, String>,
    pub owners: &'a [String],
    pub kinds: &'a [String],
    /// The IO manager that keeps it; null for a source.
    pub io: Option<&'a str>,
    /// Keys of what it is made from, selected or not.
    pub deps: Vec<&'a str>,
}

impl<'a> ListDocument<'a> {
    pub fn new(project: &'a Project, nodes: &NodeSet) -> Self {
        let listed = nodes.iter().map(|id| {
            let node = &project.nodes[id];
            Listed {
                key: node.key.as_str(),
                kind: if node.source().is_some() { "source" } else { "asset" },
                group: node.group.as_deref(),
                tags: &node.tags,
                owners: &node.owners,
                kinds: &node.kinds,
                io: node.asset().map(|it| project.io_managers[it.io].name.as_str()),
                deps: project.graph.upstream(id).iter().map(|it| project.key(*it).as_str()).collect(),
            }
        });
        ListDocument { schema: SCHEMA, assets: listed.collect() }
    }
}

pub fn json(project: &Project, nodes: &NodeSet) -> String {
    report::json(&ListDocument::new(project, nodes))
}

/// One line each: key, IO manager or `source`, group, tags.
pub fn text(project: &Project, nodes: &NodeSet, style: Style) -> String {
    let document = ListDocument::new(project, nodes);
    let rows: Vec<[String; 4]> = document.assets.iter().map(cells).collect();
    let widths: [usize; 4] = std::array::from_fn(|column| {
        rows.iter().map(|it| words::width(&it[column]).min(COLUMN_MAX)).max().unwrap_or(0)
    });
    let mut out = String::new();
    for row in rows {
        let last = row.iter().rposition(|it| !it.is_empty()).unwrap_or(0);
        for (column, cell) in row[..=last].iter().enumerate() {
            let shown = if cell.is_empty() { "-" } else { cell };
            let padded = if column == last { shown.to_owned() } else { words::pad_right(shown, widths[column]) + "  " };
            out.push_str(&if column == 0 { padded } else { style.paint(Role::Dim, &padded) });
        }
        out.push('\n');
    }
    out
}

fn cells(it: &Listed<'_>) -> [String; 4] {
    let tags: Vec<String> = it
        .tags
        .iter()
        .map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") })
        .collect();
    [it.key.to_owned(), it.io.unwrap_or(it.kind).to_owned(), it.group.unwrap_or_default().to_owned(), tags.join(" ")]
        .map(|it| words::visible(&it).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sketch;

    #[test]
    fn the_list_is_aligned_and_safe_to_look_at() {
        let mut project = sketch::project(
            "source raw/orders : group=raw
             orders < raw/orders : tag.pii=no tag.nightly= io=warehouse
             very/long/daily_sales < orders : group=marts",
        );
        let last = project.node("very/long/daily_sales").expect("it was declared");
        project.nodes[last].group = Some("ma\u{1b}[31mrts".into());
        let all = NodeSet::all(project.len());
        expect_test::expect![[r#"
            |raw/orders             source     raw
            |orders                 warehouse  -                nightly pii=no
            |very/long/daily_sales  files      ma\u{1b}[31mrts
        "#]]
        .assert_eq(&words::ruled(&text(&project, &all, Style::PLAIN)));
        expect_test::expect![[r#"
            {
              "schema": "assets.list/1",
              "assets": [
                {
                  "key": "orders",
                  "kind": "asset",
                  "group": null,
                  "tags": {
                    "nightly": "",
                    "pii": "no"
                  },
                  "owners": [],
                  "kinds": [],
                  "io": "warehouse",
                  "deps": [
                    "raw/orders"
                  ]
                }
              ]
            }
        "#]]
        .assert_eq(&json(&project, &NodeSet::of(3, project.node("orders"))));
        assert_eq!(text(&project, &NodeSet::none(3), Style::PLAIN), "");
    }

    #[test]
    fn its_schema_is_what_is_published() {
        let project =
            sketch::project("source raw/orders : group=raw\n orders < raw/orders : tag.pii=no owner=a kind=b");
        report::schema::check::<ListDocument<'_>>("list", &[ListDocument::new(&project, &NodeSet::all(2))]);
    }
}
