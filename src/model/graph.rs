//! Who reads whom: a dense, immutable graph of assets and sources.
//!
//! Edges are kept in compressed rows in both directions; ids are positions. Knows keys and nothing
//! else of a node.

use std::collections::HashMap;

use crate::{
    base::id::{Id, IdVec},
    model::{key::AssetKey, project::NodeId},
};

/// Upstream and downstream neighbours of every node, and a topological order.
#[derive(Clone, Debug, Default)]
pub struct AssetGraph {
    by_key: HashMap<AssetKey, NodeId>,
    up: Rows,
    down: Rows,
    order: Vec<NodeId>,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    starts: Vec<u32>,
    items: Vec<NodeId>,
}

impl Rows {
    fn of(&self, id: NodeId) -> &[NodeId] {
        &self.items[self.starts[id.index()] as usize..self.starts[id.index() + 1] as usize]
    }

    fn build(len: usize, edges: impl Iterator<Item = (NodeId, NodeId)> + Clone) -> Rows {
        let mut starts = vec![0u32; len + 1];
        for (from, _) in edges.clone() {
            starts[from.index() + 1] += 1;
        }
        for at in 0..len {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut items = vec![NodeId::new(0); starts[len] as usize];
        for (from, to) in edges {
            items[next[from.index()] as usize] = to;
            next[from.index()] += 1;
        }
        Rows { starts, items }
    }
}

/// The nodes of one cycle, each reading the next, the last reading the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle(pub Vec<NodeId>);

impl AssetGraph {
    /// Builds from every node's key and the nodes that it reads. Keys are unique.
    ///
    /// # Errors
    /// Every cycle that there is (one for each strongly connected component), shortest first.
    pub fn build(keys: &IdVec<NodeId, AssetKey>, reads: &IdVec<NodeId, Vec<NodeId>>) -> Result<Self, Vec<Cycle>> {
        let len = keys.len();
        let edges: Vec<(NodeId, NodeId)> =
            reads.iter().flat_map(|(id, them)| them.iter().map(move |it| (id, *it))).collect();
        let up = Rows::build(len, edges.iter().copied());
        let down = Rows::build(len, edges.iter().map(|(reader, read)| (*read, *reader)));
        let by_key = keys.iter().map(|(id, key)| (key.clone(), id)).collect();
        let mut waiting: Vec<u32> = keys.ids().map(|id| u32::try_from(up.of(id).len()).unwrap_or(u32::MAX)).collect();
        let mut order: Vec<NodeId> = keys.ids().filter(|id| waiting[id.index()] == 0).collect();
        let mut at = 0;
        while at < order.len() {
            for reader in down.of(order[at]) {
                waiting[reader.index()] -= 1;
                if waiting[reader.index()] == 0 {
                    order.push(*reader);
                }
            }
            at += 1;
        }
        let graph = AssetGraph { by_key, up, down, order };
        if graph.order.len() == len { Ok(graph) } else { Err(graph.cycles(len)) }
    }

    fn cycles(&self, len: usize) -> Vec<Cycle> {
        let mut graph = petgraph::graph::DiGraph::<(), ()>::with_capacity(len, self.up.items.len());
        let at: Vec<_> = (0..len).map(|_| graph.add_node(())).collect();
        for index in 0..len {
            for read in self.up.of(NodeId::new(index)) {
                graph.add_edge(at[index], at[read.index()], ());
            }
        }
        let mut found: Vec<Cycle> = petgraph::algo::tarjan_scc(&graph)
            .into_iter()
            .map(|them| them.into_iter().map(|it| NodeId::new(it.index())).collect::<Vec<_>>())
            .filter(|them| them.len() > 1 || self.up.of(them[0]).contains(&them[0]))
            .map(|them| self.shortest_through(&them))
            .collect();
        found.sort_by_key(|it| (it.0.len(), it.0.first().map(|id| id.index())));
        found
    }

    /// A shortest cycle through the lowest node of a strongly connected component.
    fn shortest_through(&self, component: &[NodeId]) -> Cycle {
        let start = *component.iter().min().expect("a component has a node");
        let inside: std::collections::HashSet<NodeId> = component.iter().copied().collect();
        let mut from: HashMap<NodeId, NodeId> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(id) = queue.pop_front() {
            for read in self.up.of(id) {
                if *read == start {
                    let mut path = vec![id];
                    let mut at = id;
                    while at != start {
                        at = from[&at];
                        path.push(at);
                    }
                    path.reverse();
                    return Cycle(path);
                }
                if inside.contains(read) && !from.contains_key(read) {
                    from.insert(*read, id);
                    queue.push_back(*read);
                }
            }
        }
        Cycle(vec![start])
    }

    pub fn find(&self, key: &str) -> Option<NodeId> {
        let key = AssetKey::parse(key).ok()?;
        self.by_key.get(&key).copied()
    }

    /// What `id` reads, in the order declared.
    pub fn upstream(&self, id: NodeId) -> &[NodeId] {
        self.up.of(id)
    }

    /// What reads `id`, in id order.
    pub fn downstream(&self, id: NodeId) -> &[NodeId] {
        self.down.of(id)
    }

    /// Every node, upstream before downstream.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(reads: &[&[usize]]) -> Result<AssetGraph, Vec<Cycle>> {
        let keys = (0..reads.len()).map(|it| AssetKey::parse(&format!("n{it}")).unwrap()).collect();
        let reads = reads.iter().map(|them| them.iter().map(|it| NodeId::new(*it)).collect()).collect();
        AssetGraph::build(&keys, &reads)
    }

    fn indices(them: &[NodeId]) -> Vec<usize> {
        them.iter().map(|it| it.index()).collect()
    }

    #[test]
    fn a_diamond_has_both_directions_and_an_order() {
        let graph = graph(&[&[1, 2], &[3], &[3], &[]]).unwrap();
        assert_eq!(indices(graph.upstream(NodeId::new(0))), [1, 2]);
        assert_eq!(indices(graph.downstream(NodeId::new(3))), [1, 2]);
        assert_eq!(indices(graph.order()), [3, 1, 2, 0]);
    }

    #[test]
    fn a_cycle_is_told_as_its_path() {
        let cycles = graph(&[&[1], &[2], &[0], &[0], &[4]]).unwrap_err();
        assert_eq!(cycles.iter().map(|it| indices(&it.0)).collect::<Vec<_>>(), [vec![4], vec![0, 1, 2]]);
    }
}
