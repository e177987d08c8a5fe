//! The lineage as a document for programs: `assets.graph/1`. Fields are only ever added.

use serde::Serialize;

use crate::{
    face::report::{self, graph::Lineage},
    model::staleness::State,
};

const SCHEMA: &str = "assets.graph/1";

/// The answer to `assets graph --json`.
#[derive(Serialize, Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.graph/1"))]
pub struct GraphDocument<'a> {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub nodes: Vec<GraphNode<'a>>,
    pub edges: Vec<Edge<'a>>,
}

/// An asset or a source.
#[derive(Serialize, Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GraphNode<'a> {
    pub key: &'a str,
    #[cfg_attr(test, schemars(extend("enum" = ["asset", "source"])))]
    pub kind: &'static str,
    pub group: Option<&'a str>,
    pub description: Option<&'a str>,
    /// The IO manager that keeps it; null for a source.
    pub io: Option<&'a str>,
    /// Null if it was not asked for, and for a source.
    #[cfg_attr(test, schemars(extend("enum" = report::schema::states_or_null())))]
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
        GraphDocument { schema: SCHEMA, nodes: nodes.collect(), edges: edges.collect() }
    }
}

pub fn json(lineage: Lineage<'_>) -> String {
    report::json(&GraphDocument::new(lineage))
}
