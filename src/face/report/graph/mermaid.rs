//! The lineage as a Mermaid flowchart, for Markdown.

use std::fmt::Write;

use crate::{
    base::id::Id,
    face::report::graph::Lineage,
    model::{
        project::{Node, NodeId},
        staleness::State,
    },
};

pub fn mermaid(lineage: Lineage<'_>) -> String {
    let mut out = String::from("flowchart LR\n");
    for (number, (group, nodes)) in lineage.groups().into_iter().enumerate() {
        if let Some(group) = group {
            line(&mut out, &format!("    subgraph g{number}[\"{}\"]", escaped(group)));
        }
        let indent = if group.is_some() { "        " } else { "    " };
        for (id, node) in nodes {
            line(&mut out, &format!("{indent}{}", declared(lineage, id, node)));
        }
        if group.is_some() {
            line(&mut out, "    end");
        }
    }
    for (from, to) in lineage.edges() {
        line(&mut out, &format!("    n{} --> n{}", from.index(), to.index()));
    }
    if lineage.nodes().any(|it| it.1.source().is_some()) {
        line(&mut out, "    classDef source fill:#eceff1,stroke:#607d8b,color:#263238");
    }
    for state in State::ALL {
        if lineage.nodes().any(|it| lineage.state(it.0) == Some(state)) {
            line(&mut out, &format!("    classDef {} {}", state.name(), colours(state)));
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Numbers as ids: `end`, `x` and others would mean something as a name.
fn declared(lineage: Lineage<'_>, id: NodeId, node: &Node) -> String {
    let (open, close) = if node.source().is_some() { ("[(", ")]") } else { ("[", "]") };
    let class = match lineage.state(id) {
        Some(state) => format!(":::{}", state.name()),
        None if node.source().is_some() => ":::source".to_owned(),
        None => String::new(),
    };
    format!("n{}{open}\"{}\"{close}{class}", id.index(), escaped(node.key.as_str()))
}

/// Whatever could end a label, or be read as HTML or Markdown in it, becomes a character code.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for it in text.chars() {
        if it.is_alphanumeric() || " _-/.".contains(it) {
            out.push(it);
        } else {
            let shown = if it.is_control() { u32::from(' ') } else { u32::from(it) };
            let _ = write!(out, "#{shown};");
        }
    }
    out
}

fn colours(state: State) -> &'static str {
    match state {
        State::Fresh => "fill:#e3f4e6,stroke:#2e7d32,color:#1b3a1e",
        State::Stale => "fill:#fff3cd,stroke:#b58105,color:#4a3500",
        State::Missing => "fill:#ffffff,stroke:#b58105,color:#4a3500,stroke-dasharray:4",
        State::Failed => "fill:#fde2e1,stroke:#c62828,color:#5a1210",
        State::Blocked => "fill:#f3e5f5,stroke:#6a1b9a,color:#3a0f54",
        State::Running => "fill:#e1f0fb,stroke:#1565c0,color:#0c315c",
    }
}
