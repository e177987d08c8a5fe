//! The partitions that there are now: keys of every definition at one moment, and which of one asset
//! belong to which of another. Made when a project is opened; without partitions there is nothing in it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    base::id::IdVec,
    model::{
        key::{AssetKey, PartitionKey},
        partition::{CannotMap, Keys, Moment, Names, PartitionSet, Related},
        partitioning::PartitionsId,
        project::{NodeId, OpId, Project},
    },
};

/// Keys at one moment.
#[derive(Debug, Default)]
pub struct PartitionKeys {
    keys: IdVec<PartitionsId, Keys>,
    of_node: HashMap<NodeId, PartitionsId>,
    of_op: HashMap<OpId, PartitionsId>,
    related: HashMap<(OpId, NodeId), Arc<Related>>,
    /// Why an op cannot read a dependency as it is told to, with the dynamic keys that there are.
    unrelated: BTreeMap<OpId, Vec<(NodeId, String)>>,
}

/// What cannot be at this moment, in words.
#[derive(Debug, thiserror::Error)]
pub enum NoKeys {
    #[error("partitions `{name}`: {why}")]
    TooMany { name: String, why: String },
}

impl PartitionKeys {
    /// A mapping that cannot be with the dynamic keys that there are keeps from being made what reads by it, and nothing
    /// else: until it is mended, all is taken to belong together.
    ///
    /// # Errors
    /// Keys that cannot be counted.
    pub fn of(project: &Project, now: Timestamp, dynamic: &dyn Fn(&str) -> Names) -> Result<PartitionKeys, NoKeys> {
        let partitioning = &project.partitioning;
        let mut made = PartitionKeys::default();
        for it in partitioning.definitions.values() {
            let keys = it.definition.keys(Moment { now, dynamic });
            let too_many =
                |why: crate::model::partition::TooMany| NoKeys::TooMany { name: it.name.clone(), why: why.to_string() };
            made.keys.push(keys.map_err(too_many)?);
        }
        made.of_node.clone_from(&partitioning.nodes);
        if partitioning.is_empty() {
            return Ok(made);
        }
        for (id, op) in project.ops.iter() {
            let own = op.outputs.first().and_then(|it| partitioning.of(*it));
            if let Some(own) = own {
                made.of_op.insert(id, own);
            }
            for dep in &op.deps {
                let Some(of_dep) = partitioning.of(*dep) else { continue };
                let keys = own.map_or(&Keys::Whole, |it| &made.keys[it]);
                let of_dep = &made.keys[of_dep];
                let related = partitioning.mapping(id, own, *dep).relate(of_dep, keys).unwrap_or_else(|why| {
                    made.unrelated.entry(id).or_default().push((*dep, told(project.key(*dep), &why)));
                    Related::all(of_dep, keys)
                });
                made.related.insert((id, *dep), Arc::new(related));
            }
        }
        Ok(made)
    }

    pub fn is_empty(&self) -> bool {
        self.of_node.is_empty()
    }

    /// Whether the node has partitions.
    pub fn cuts(&self, node: NodeId) -> bool {
        self.of_node.contains_key(&node)
    }

    pub fn cuts_op(&self, op: OpId) -> bool {
        self.of_op.contains_key(&op)
    }

    pub fn of_definition(&self, id: PartitionsId) -> &Keys {
        &self.keys[id]
    }

    /// The keys of a node; of one without partitions the one that it has.
    pub fn of_node(&self, node: NodeId) -> &Keys {
        self.of_node.get(&node).map_or(&Keys::Whole, |it| &self.keys[*it])
    }

    pub fn of_op(&self, op: OpId) -> &Keys {
        self.of_op.get(&op).map_or(&Keys::Whole, |it| &self.keys[*it])
    }

    /// How an op reads a dependency that has partitions; `None` of one that has none.
    pub fn related(&self, op: OpId, dep: NodeId) -> Option<&Related> {
        self.related.get(&(op, dep)).map(|it| &**it)
    }

    /// All ops for which there is such a reason, and those reasons.
    pub fn all_unrelated(&self) -> impl Iterator<Item = (OpId, &str)> {
        self.unrelated.iter().flat_map(|(op, them)| them.iter().map(|it| (*op, &*it.1)))
    }

    /// The dependencies whose partitions `op` cannot be told to read, and why.
    pub fn unrelated(&self, op: OpId) -> &[(NodeId, String)] {
        self.unrelated.get(&op).map_or(&[], |it| it)
    }

    /// Whether `op` reads one partition of `dep` at most to make one of its own.
    pub fn reads_one(&self, op: OpId, dep: NodeId) -> bool {
        self.related(op, dep).is_none_or(Related::is_of_one)
    }

    /// The partitions of `dep` that `op` reads to make one of its own; `None` of a dependency without.
    pub fn read_for(&self, op: OpId, dep: NodeId, partition: &PartitionKey) -> Option<PartitionSet> {
        let related = self.related(op, dep)?;
        let own = self.of_op(op).place(partition.as_str()).map_or_else(|_| PartitionSet::empty(), PartitionSet::one);
        Some(related.upstream(&own))
    }

    /// What templates and the environment say of a partition: `key`, `start`, `end`, `keys.NAME`.
    pub fn told(&self, op: OpId, partition: &PartitionKey) -> std::collections::BTreeMap<String, String> {
        let mut told = std::collections::BTreeMap::new();
        let Some(key) = partition.name() else { return told };
        told.insert("key".to_owned(), key.to_owned());
        let keys = self.of_op(op);
        if let Keys::Multi(_) = keys {
            let parts = key.split(',').filter_map(|it| it.split_once('='));
            told.extend(parts.map(|(name, value)| (format!("keys.{name}"), value.to_owned())));
        }
        let window = keys.place(key).ok().and_then(|it| keys.window(it));
        if let Some(window) = window {
            told.insert("start".to_owned(), window.start.to_string());
            told.insert("end".to_owned(), window.end.to_string());
        }
        told
    }
}

fn told(read: &AssetKey, why: &CannotMap) -> String {
    // What is static was tried when the manifest was read: keys that are not there now are dynamic ones.
    let help = why.help.clone().unwrap_or_else(|| "add it with `assets partitions add`, or take it out".to_owned());
    format!("it cannot read the partitions of {read}: {why}; {help}")
}
