//! The lineage as a document for programs: `assets.graph/1`. Fields are only ever added.

use serde::Serialize;

use crate::{face::report::graph::Lineage, model::staleness::State};

#[derive(Serialize, Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GraphDocument<'a> {
    /// `assets.graph/1`
    pub schema: &'static str,
    pub nodes: Vec<GraphNode<'a>>,
    pub edges: Vec<Edge<'a>>,
}

#[derive(Serialize, Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GraphNode<'a> {
    pub key: &'a str,
    /// `asset` or `source`.
    pub kind: &'static str,
    pub group: Option<&'a str>,
    pub description: Option<&'a str>,
    /// The IO manager that keeps it; `null` for a source.
    pub io: Option<&'a str>,
    /// `fresh`, `stale`, `missing`, `failed`, `blocked` or `running`; `null` if not asked for, and for a source.
    pub state: Option<&'static str>,
}

/// `to` reads `from`.
#[derive(Serialize, Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Edge<'a> {
    pub from: &'a str,
    pub to: &'a str,
}

impl<'a> GraphDocument<'a> {
    pub fn new(lineage: Lineage<'a>) -> Self {
        let project = lineage.project;
        let nodes = lineage.nodes().map(|(id, node)| GraphNode {
            key: node.key.as_str(),
            kind: if node.source().is_some() { "source" } else { "asset" },
            group: node.group.as_deref(),
            description: node.description.as_deref(),
            io: node.asset().map(|it| project.io_managers[it.io].name.as_str()),
            state: lineage.state(id).map(State::name),
        });
        let edges =
            lineage.edges().map(|(from, to)| Edge { from: project.key(from).as_str(), to: project.key(to).as_str() });
        GraphDocument { schema: "assets.graph/1", nodes: nodes.collect(), edges: edges.collect() }
    }
}

pub fn json(lineage: Lineage<'_>) -> String {
    serde_json::to_string_pretty(&GraphDocument::new(lineage)).expect("texts and lists are always JSON") + "\n"
}
