//! Assets that are not made here and are read from another target instead: from its state and its IO managers,
//! in which nothing is ever written.
//!
//! Which they are is decided once, before anything is run.

use std::collections::{BTreeMap, HashMap};

use crate::{
    exec::run::context::Workspace,
    model::{key::PartitionKey, node_set::NodeSet, project::NodeId},
    plan::{
        record::{Materialization, StoredOutput},
        store::StoreError,
        survey::{check_each, check_stored, standing},
        world::{OutputState, Probe},
    },
};

/// What another target lends.
pub struct Deferred {
    pub target: String,
    lender: Box<Workspace>,
    /// By our numbers: theirs.
    nodes: HashMap<NodeId, NodeId>,
    /// By our numbers: what is recorded there.
    records: HashMap<NodeId, Materialization>,
    /// The same of those with partitions, by our places.
    parts: Parts,
}

/// Records of partitions.
type Parts = HashMap<NodeId, BTreeMap<u64, Materialization>>;

impl Deferred {
    /// Those of `wanted` that do not stand here, and do there; of partitions, those of what has none here.
    ///
    /// # Errors
    /// State of one of the two that cannot be read.
    pub fn of(target: String, own: &Workspace, lender: Workspace, wanted: &NodeSet) -> Result<Deferred, StoreError> {
        let here = found(own, wanted.iter().map(|it| (it, it)))?;
        let each = found_parts(own, own, &wanted.iter().map(|it| (it, it)).collect())?;
        let lacking = wanted.iter().filter(|it| !here.contains_key(it) && !each.contains_key(it));
        let theirs = |it: NodeId| {
            let node = lender.project.node(own.project.key(it).as_str())?;
            lender.project.nodes[node].asset().map(|_| (it, node))
        };
        let nodes: HashMap<NodeId, NodeId> = lacking.filter_map(theirs).collect();
        let records = found(&lender, nodes.iter().map(|it| (*it.0, *it.1)))?;
        let parts = found_parts(own, &lender, &nodes.iter().map(|it| (*it.1, *it.0)).collect())?;
        Ok(Deferred { target, lender: Box::new(lender), nodes, records, parts })
    }

    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// All that is read there, by our numbers.
    pub fn lent(&self) -> impl Iterator<Item = NodeId> {
        self.records.keys().chain(self.parts.keys()).copied()
    }

    pub fn records(&self) -> &HashMap<NodeId, Materialization> {
        &self.records
    }

    /// Who keeps it instead of us, and under which number.
    pub fn lender(&self, node: NodeId) -> Option<(&Workspace, NodeId)> {
        (self.records.contains_key(&node) || self.parts.contains_key(&node)).then(|| (&*self.lender, self.nodes[&node]))
    }

    /// Everything that is read there.
    pub fn workspace(&self) -> &Workspace {
        &self.lender
    }
}

/// The records of what stands, by the first of each pair of numbers; the second is that of the workspace.
fn found(
    workspace: &Workspace,
    nodes: impl Iterator<Item = (NodeId, NodeId)>,
) -> Result<HashMap<NodeId, Materialization>, StoreError> {
    let mut asked: HashMap<NodeId, NodeId> = nodes.map(|(name, node)| (node, name)).collect();
    let latest = workspace.store.latest_all()?;
    let records: Vec<(NodeId, Materialization)> = latest
        .into_iter()
        .filter(|it| it.partition.is_whole())
        .filter_map(|it| Some((workspace.project.node(it.key.as_str())?, it)))
        .filter(|it| asked.contains_key(&it.0))
        .collect();
    let (states, _) = check_stored(&workspace.world(), records.iter().map(|(node, it)| (*node, it)));
    let stands = |(node, record): (NodeId, Materialization)| {
        standing(Some(&record), states.get(&node)).is_ok().then(|| (asked.remove(&node), record))
    };
    Ok(records.into_iter().filter_map(stands).filter_map(|(name, record)| Some((name?, record))).collect())
}

/// The same of partitions: `nodes` are those of `workspace`, with our numbers, and places are ours.
fn found_parts(own: &Workspace, workspace: &Workspace, nodes: &HashMap<NodeId, NodeId>) -> Result<Parts, StoreError> {
    let mut parts = Parts::new();
    if own.partitions.is_empty() || !nodes.values().any(|it| own.partitions.cuts(*it)) {
        return Ok(parts);
    }
    let placed = |it: Materialization| {
        let node = workspace.project.node(it.key.as_str())?;
        let name = *nodes.get(&node).filter(|name| own.partitions.cuts(**name) && workspace.partitions.cuts(node))?;
        let place = own.partitions.of_node(name).place(it.partition.as_str()).ok()?;
        Some((node, name, place, it))
    };
    let records: Vec<_> = workspace.store.latest_all()?.into_iter().filter_map(placed).collect();
    let pairs: Vec<_> = records.iter().map(|(node, _, _, it)| (*node, it)).collect();
    let (states, _) = check_each(&workspace.world(), &pairs);
    for ((_, name, place, record), state) in records.into_iter().zip(states) {
        if standing(Some(&record), Some(&state)).is_ok() {
            parts.entry(name).or_default().insert(place, record);
        }
    }
    Ok(parts)
}

impl Workspace {
    /// Who keeps an asset that a step reads, and under which number: this target, or the one that lends it.
    pub fn keeper(&self, node: NodeId) -> (&Workspace, NodeId) {
        self.deferred.as_ref().and_then(|it| it.lender(node)).unwrap_or((self, node))
    }

    /// Whether what a step reads is still what was recorded.
    pub fn probe_input(&self, node: NodeId, partition: &PartitionKey, stored: &StoredOutput) -> OutputState {
        let (keeper, node) = self.keeper(node);
        keeper.probe(node, partition, stored)
    }
}
