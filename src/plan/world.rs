//! What the planner may look at: the project, its files, the environment and what is recorded.
//!
//! Everything comes in from above; nothing here finds anything by itself.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use jiff::Timestamp;

use crate::{
    base::{digest::Digest, env::Environment},
    model::{
        key::PartitionKey,
        project::{NodeId, Project},
    },
    plan::{
        hash::Sweep,
        partitions::PartitionKeys,
        record::{Materialization, RunId, StoredOutput},
        store::StateStore,
    },
};

/// Asks an IO manager about content that only it can see. `exec` implements it.
pub trait Probe: Sync {
    /// Whether what is visible is what was recorded; cheap, and opens no connection unless asked.
    fn probe(&self, node: NodeId, partition: &PartitionKey, stored: &StoredOutput) -> OutputState;

    /// The same of many, in their order: waits that can be waited together are.
    fn probe_all(&self, outputs: &[(NodeId, &PartitionKey, &StoredOutput)]) -> Vec<OutputState> {
        outputs.iter().map(|(node, partition, stored)| self.probe(*node, partition, stored)).collect()
    }

    /// Whether an older version of the content is still kept and can be put back.
    fn keeps(&self, node: NodeId, partition: &PartitionKey, data_version: &Digest) -> bool;
}

/// Whether a recorded output is still there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutputState {
    Same,
    Missing(String),
    /// It was stored in another place than the one where it belongs now: this one.
    Elsewhere(String),
    Modified(String),
    /// It is there, and nobody could say what it holds.
    Unknown(String),
}

/// The world as one command sees it.
pub struct World<'a> {
    pub project: &'a Project,
    pub root: &'a Path,
    pub env: &'a Environment,
    /// Keys the hashes of secrets; random, per project.
    pub secret_key: &'a [u8; 32],
    pub sweep: &'a Sweep,
    pub store: &'a dyn StateStore,
    pub probe: &'a dyn Probe,
    pub now: Timestamp,
    /// Sessions whose writes may have been lost with the power: their outputs are hashed again.
    pub doubted: &'a HashSet<String>,
    /// Those that there are now.
    pub partitions: &'a PartitionKeys,
    /// Assets that are read from another target, and what is recorded there.
    pub deferred: Option<&'a HashMap<NodeId, Materialization>>,
    /// The same of those with partitions, by place.
    pub deferred_parts: Option<&'a HashMap<NodeId, BTreeMap<u64, Materialization>>>,
    /// What these runs made is fresh, though everything is asked for again.
    pub spared: &'a [RunId],
}

impl World<'_> {
    /// Whether the bytes behind a record may have been lost after it was written.
    pub fn doubts(&self, record: &Materialization) -> bool {
        self.doubted.contains(&record.session)
    }
}
