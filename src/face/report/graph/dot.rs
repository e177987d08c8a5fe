//! The lineage in the language of Graphviz.

use crate::{
    face::{report::graph::Lineage, ui::words},
    model::{
        project::{Node, NodeId},
        staleness::State,
    },
};

pub fn dot(lineage: Lineage<'_>) -> String {
    let mut out = String::from(
        "digraph assets {\n    rankdir=LR;\n    \
         node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", fontname=\"sans-serif\"];\n",
    );
    for (number, (group, nodes)) in lineage.groups().into_iter().enumerate() {
        let indent = if group.is_some() { "        " } else { "    " };
        if let Some(group) = group {
            out.push_str(&format!("    subgraph cluster_{number} {{\n{indent}label={};\n", quoted(group)));
        }
        for (id, node) in nodes {
            out.push_str(&format!("{indent}{};\n", declared(lineage, id, node)));
        }
        if group.is_some() {
            out.push_str("    }\n");
        }
    }
    for (from, to) in lineage.edges() {
        let [from, to] = [from, to].map(|it| quoted(lineage.project.key(it).as_str()));
        out.push_str(&format!("    {from} -> {to};\n"));
    }
    out.push_str("}\n");
    out
}

fn declared(lineage: Lineage<'_>, id: NodeId, node: &Node) -> String {
    let mut attributes = Vec::new();
    if node.source().is_some() {
        attributes.push("shape=cylinder".to_owned());
    }
    let state = lineage.state(id);
    if let Some(state) = state {
        attributes.push(format!("fillcolor=\"{}\"", fill(state)));
    }
    let told: Vec<&str> = state.map(State::name).into_iter().chain(node.description.as_deref()).collect();
    if !told.is_empty() {
        attributes.push(format!("tooltip={}", quoted(&told.join("\n"))));
    }
    let key = quoted(node.key.as_str());
    if attributes.is_empty() { key } else { format!("{key} [{}]", attributes.join(", ")) }
}

/// A string of the language, in which neither escapes nor entities mean anything but a line's end.
fn quoted(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|it| words::visible(it).replace('\\', r"\\").replace('"', "\\\"").replace('&', "&amp;"))
        .collect();
    format!("\"{}\"", lines.join("\\n"))
}

fn fill(state: State) -> &'static str {
    match state {
        State::Fresh => "#e3f4e6",
        State::Stale => "#fff3cd",
        State::Missing => "#f5f5f5",
        State::Failed => "#fde2e1",
        State::Blocked => "#f3e5f5",
        State::Running => "#e1f0fb",
    }
}
