//! Drawings of small graphs, hostile text in them, and graphs that are wide or deep.

use super::*;
use crate::{
    face::{
        report::schema,
        ui::{Style, words},
    },
    model::sketch,
};

fn shop() -> Project {
    sketch::project(
        "source raw/orders : group=raw
         source raw/rates
         orders < raw/orders raw/rates : group=staging
         daily < orders : group=marts
         clv < orders : group=marts
         report < daily clv
         mail < report
         alone",
    )
}

fn state(id: NodeId) -> Option<State> {
    use crate::base::id::Id;
    [None, None, Some(State::Fresh), Some(State::Stale), Some(State::Missing), Some(State::Blocked), None, None]
        .get(id.index())
        .copied()
        .flatten()
}

fn whole(project: &Project, draw: impl Fn(Lineage<'_>) -> String) -> String {
    let nodes = NodeSet::all(project.len());
    draw(Lineage { project, nodes: &nodes, states: &state })
}

fn plain(lineage: Lineage<'_>) -> String {
    text(lineage, Style::PLAIN)
}

#[test]
fn text_opens_each_asset_once() {
    expect_test::expect![[r#"
        |raw/orders  (source)
        |└── orders  fresh
        |    ├── daily  stale
        |    │   └── report  blocked
        |    │       └── mail
        |    └── clv  missing
        |        └── report  blocked  (see above)
        |raw/rates  (source)
        |└── orders  fresh  (see above)
        |alone
    "#]]
    .assert_eq(&words::ruled(&whole(&shop(), plain)));
}

#[test]
fn only_what_is_selected_is_drawn() {
    let project = shop();
    let nodes = NodeSet::of(project.len(), ["orders", "clv", "mail"].iter().filter_map(|it| project.node(it)));
    let lineage = Lineage { project: &project, nodes: &nodes, states: &|_| None };
    let ascii = Style { unicode: false, ..Style::PLAIN };
    assert_eq!(text(lineage, ascii), "orders\n`-- clv\nmail\n");
    assert_eq!(mermaid(lineage).matches("-->").count(), 1);
    let none = NodeSet::none(project.len());
    assert_eq!(plain(Lineage { nodes: &none, ..lineage }), "");
}

#[test]
fn mermaid_of_a_small_graph() {
    expect_test::expect![[r#"
        flowchart LR
            n1[("raw/rates")]:::source
            n5["report"]:::blocked
            n6["mail"]
            n7["alone"]
            subgraph g1["marts"]
                n3["daily"]:::stale
                n4["clv"]:::missing
            end
            subgraph g2["raw"]
                n0[("raw/orders")]:::source
            end
            subgraph g3["staging"]
                n2["orders"]:::fresh
            end
            n0 --> n2
            n1 --> n2
            n2 --> n3
            n2 --> n4
            n3 --> n5
            n4 --> n5
            n5 --> n6
            classDef source fill:#eceff1,stroke:#607d8b,color:#263238
            classDef fresh fill:#e3f4e6,stroke:#2e7d32,color:#1b3a1e
            classDef stale fill:#fff3cd,stroke:#b58105,color:#4a3500
            classDef missing fill:#ffffff,stroke:#b58105,color:#4a3500,stroke-dasharray:4
            classDef blocked fill:#f3e5f5,stroke:#6a1b9a,color:#3a0f54
    "#]]
    .assert_eq(&whole(&shop(), mermaid));
}

#[test]
fn dot_of_a_small_graph() {
    expect_test::expect![[r##"
        digraph assets {
            rankdir=LR;
            node [shape=box, style="rounded,filled", fillcolor="#ffffff", fontname="sans-serif"];
            "raw/rates" [shape=cylinder];
            "report" [fillcolor="#f3e5f5", tooltip="blocked"];
            "mail";
            "alone";
            subgraph cluster_1 {
                label="marts";
                "daily" [fillcolor="#fff3cd", tooltip="stale"];
                "clv" [fillcolor="#f5f5f5", tooltip="missing"];
            }
            subgraph cluster_2 {
                label="raw";
                "raw/orders" [shape=cylinder];
            }
            subgraph cluster_3 {
                label="staging";
                "orders" [fillcolor="#e3f4e6", tooltip="fresh"];
            }
            "raw/orders" -> "orders";
            "raw/rates" -> "orders";
            "orders" -> "daily";
            "orders" -> "clv";
            "daily" -> "report";
            "clv" -> "report";
            "report" -> "mail";
        }
    "##]]
    .assert_eq(&whole(&shop(), dot));
}

#[test]
fn json_follows_its_published_schema() {
    let document: serde_json::Value = serde_json::from_str(&whole(&shop(), json)).unwrap();
    schema::check::<GraphDocument<'_>>("graph", &[&document]);
    assert_eq!(document["schema"], "assets.graph/1");
    assert_eq!(document["nodes"][3]["state"], "stale");
    assert_eq!(document["edges"][0], serde_json::json!({"from": "raw/orders", "to": "orders"}));
}

#[test]
fn text_of_strangers_stays_text() {
    let mut project = sketch::project("a\n b < a");
    let hostile = "x\"];\n end --> n9; <img src=x onerror=alert(1)> `code` \\\" #quot; \u{1b}[31m &lt; \\";
    for key in ["a", "b"] {
        let id = project.node(key).unwrap();
        project.nodes[id].group = Some(hostile.to_owned());
        project.nodes[id].description = Some(hostile.to_owned());
    }
    let drawn = |draw: fn(Lineage<'_>) -> String| {
        let nodes = NodeSet::all(project.len());
        draw(Lineage { project: &project, nodes: &nodes, states: &|_| None })
    };
    expect_test::expect![[r#"
        flowchart LR
            subgraph g0["x#34;#93;#59;#32; end --#62; n9#59; #60;img src#61;x onerror#61;alert#40;1#41;#62; #96;code#96; #92;#34; #35;quot#59; #32;#91;31m #38;lt#59; #92;"]
                n0["a"]
                n1["b"]
            end
            n0 --> n1
    "#]].assert_eq(&drawn(mermaid));
    expect_test::expect![[r##"
        digraph assets {
            rankdir=LR;
            node [shape=box, style="rounded,filled", fillcolor="#ffffff", fontname="sans-serif"];
            subgraph cluster_0 {
                label="x\"];\n end --> n9; <img src=x onerror=alert(1)> `code` \\\" #quot; \\u{1b}[31m &amp;lt; \\";
                "a" [tooltip="x\"];\n end --> n9; <img src=x onerror=alert(1)> `code` \\\" #quot; \\u{1b}[31m &amp;lt; \\"];
                "b" [tooltip="x\"];\n end --> n9; <img src=x onerror=alert(1)> `code` \\\" #quot; \\u{1b}[31m &amp;lt; \\"];
            }
            "a" -> "b";
        }
    "##]].assert_eq(&drawn(dot));
    assert!(!drawn(plain).contains('\u{1b}'));
}

fn layered(layers: usize, width: usize) -> Project {
    let mut lines = String::new();
    for layer in 0..layers {
        for place in 0..width {
            let reads = (0..width).filter(|_| layer > 0).map(|it| format!(" l{}/{it}", layer - 1));
            lines += &format!("l{layer}/{place} <{}\n", reads.collect::<String>());
        }
    }
    sketch::project(&lines)
}

#[test]
fn a_wide_diamond_stays_short() {
    let drawn = whole(&layered(3, 40), |it| text(Lineage { states: &|_| None, ..it }, Style::PLAIN));
    assert!(drawn.lines().count() <= 120 * 6, "{} lines", drawn.lines().count());
    assert!(drawn.contains("and 36 more (see above)"));
    expect_test::expect![[r#"
        |l0/0
        |├── l1/0
        |│   ├── l2/0
        |│   ├── l2/1
        |│   ├── l2/2
        |│   ├── l2/3
        |│   ├── l2/4
        |│   ├── l2/5
        |│   └── l2/6
        |├── l1/1
        |│   ├── l2/0  (see above)
        |│   ├── l2/1  (see above)
        |│   ├── l2/2  (see above)
        |│   ├── l2/3  (see above)
        |│   └── and 3 more (see above)
        |├── l1/2
        |│   ├── l2/0  (see above)
        |│   ├── l2/1  (see above)
        |│   ├── l2/2  (see above)
        |│   ├── l2/3  (see above)
        |│   └── and 3 more (see above)
        |├── l1/3
        |│   ├── l2/0  (see above)
        |│   ├── l2/1  (see above)
        |│   ├── l2/2  (see above)
        |│   ├── l2/3  (see above)
        |│   └── and 3 more (see above)
        |├── l1/4
        |│   ├── l2/0  (see above)
        |│   ├── l2/1  (see above)
        |│   ├── l2/2  (see above)
        |│   ├── l2/3  (see above)
        |│   └── and 3 more (see above)
        |├── l1/5
        |│   ├── l2/0  (see above)
        |│   ├── l2/1  (see above)
        |│   ├── l2/2  (see above)
        |│   ├── l2/3  (see above)
        |│   └── and 3 more (see above)
        |└── l1/6
        |    ├── l2/0  (see above)
        |    ├── l2/1  (see above)
        |    ├── l2/2  (see above)
        |    ├── l2/3  (see above)
        |    └── and 3 more (see above)
        |l0/1
        |├── l1/0  (see above)
        |├── l1/1  (see above)
        |├── l1/2  (see above)
        |├── l1/3  (see above)
        |└── and 3 more (see above)
        |l0/2
        |├── l1/0  (see above)
        |├── l1/1  (see above)
        |├── l1/2  (see above)
        |├── l1/3  (see above)
        |└── and 3 more (see above)
        |l0/3
        |├── l1/0  (see above)
        |├── l1/1  (see above)
        |├── l1/2  (see above)
        |├── l1/3  (see above)
        |└── and 3 more (see above)
        |l0/4
        |├── l1/0  (see above)
        |├── l1/1  (see above)
        |├── l1/2  (see above)
        |├── l1/3  (see above)
        |└── and 3 more (see above)
        |l0/5
        |├── l1/0  (see above)
        |├── l1/1  (see above)
        |├── l1/2  (see above)
        |├── l1/3  (see above)
        |└── and 3 more (see above)
        |l0/6
        |├── l1/0  (see above)
        |├── l1/1  (see above)
        |├── l1/2  (see above)
        |├── l1/3  (see above)
        |└── and 3 more (see above)
    "#]]
    .assert_eq(&words::ruled(&whole(&layered(3, 7), |it| text(Lineage { states: &|_| None, ..it }, Style::PLAIN))));
}

#[test]
fn a_deep_chain_stays_narrow() {
    let drawn = whole(&layered(20_000, 1), |it| text(Lineage { states: &|_| None, ..it }, Style::PLAIN));
    assert!(drawn.lines().all(|it| words::width(it) < 80));
    assert!((20_000..25_000).contains(&drawn.lines().count()));
    let start: String = drawn.lines().skip(10).take(5).map(|it| it.trim_start().to_owned() + "\n").collect();
    assert_eq!(start, "└── l10/0\n└── l11/0\n└── l12/0  (see below)\nl12/0\n└── l13/0\n");
}
