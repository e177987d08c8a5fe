//! The lineage of a selection: what reads what, drawn in several ways.

mod dot;
mod json;
mod mermaid;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

pub use dot::dot;
pub use json::{Edge, GraphDocument, GraphNode, json};
pub use mermaid::mermaid;
pub use text::text;

use crate::model::{
    node_set::NodeSet,
    project::{Node, NodeId, Project},
    staleness::State,
};

/// What is drawn: the selected nodes, and the edges between two of them.
#[derive(Clone, Copy)]
pub struct Lineage<'a> {
    pub project: &'a Project,
    pub nodes: &'a NodeSet,
    /// `None` where the state is not known or there is none: sources.
    pub states: &'a dyn Fn(NodeId) -> Option<State>,
}

impl<'a> Lineage<'a> {
    fn nodes(self) -> impl Iterator<Item = (NodeId, &'a Node)> {
        self.nodes.iter().map(move |id| (id, &self.project.nodes[id]))
    }

    /// What reads `id`, among what is drawn.
    fn readers(self, id: NodeId) -> impl Iterator<Item = NodeId> + 'a {
        self.project.graph.downstream(id).iter().copied().filter(move |it| self.nodes.contains(*it))
    }

    /// Whether nothing that is drawn is upstream of `id`.
    fn is_root(self, id: NodeId) -> bool {
        !self.project.graph.upstream(id).iter().any(|it| self.nodes.contains(*it))
    }

    /// From what is read to what reads it.
    fn edges(self) -> impl Iterator<Item = (NodeId, NodeId)> + 'a {
        self.nodes.iter().flat_map(move |id| self.readers(id).map(move |it| (id, it)))
    }

    /// Nodes by group, those of none first.
    fn groups(self) -> BTreeMap<Option<&'a str>, Vec<(NodeId, &'a Node)>> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, node) in self.nodes() {
            groups.entry(node.group.as_deref()).or_default().push((id, node));
        }
        groups
    }

    fn state(self, id: NodeId) -> Option<State> {
        (self.states)(id)
    }
}
