//! What is remembered of tables when they are looked at before they are read: what was changed meanwhile and changed back
//! was another when it was read (I3).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::context::{Connections, Workspace};
use crate::{
    base::{digest::Digest, sabotage::Protection},
    exec::io::Witness,
    model::{key::PartitionKey, project::NodeId},
    plan::{
        record::StoredOutput,
        world::{OutputState, Probe},
    },
};

/// What was seen, by asset and partition.
pub type Witnesses = HashMap<(NodeId, PartitionKey), Witness>;

/// A workspace as it is asked by somebody who is about to read.
pub struct Witnessing<'a> {
    workspace: &'a Workspace,
    seen: Mutex<Witnesses>,
}

impl<'a> Witnessing<'a> {
    pub fn new(workspace: &'a Workspace) -> Self {
        Witnessing { workspace, seen: Mutex::default() }
    }

    pub fn seen(self) -> Witnesses {
        self.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for Witnessing<'_> {
    fn probe(&self, node: NodeId, partition: &PartitionKey, stored: &StoredOutput) -> OutputState {
        let workspace = self.workspace;
        let (io, target) = (workspace.io_of(node), workspace.target(node, partition));
        let probed = match workspace.connections {
            Connections::Avoided => return workspace.probe(node, partition, stored),
            Connections::Opened => io.probe_witnessed(&target, stored),
            // What is read after it was asked for is what it tells of, or it is another then.
            Connections::InFull => io.witness(&target).and_then(|it| Ok((io.probe_in_full(&target, stored)?, it))),
        };
        let probed = probed.map(|(probed, witness)| {
            if let Some(witness) = witness.filter(|_| !Protection::WrittenBack.is_off()) {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.insert((node, partition.clone()), witness);
            }
            probed
        });
        workspace.state(node, probed)
    }

    fn probe_all(&self, outputs: &[(NodeId, &PartitionKey, &StoredOutput)]) -> Vec<OutputState> {
        self.workspace.probe_each(outputs, |node, partition, stored| self.probe(node, partition, stored))
    }

    fn keeps(&self, node: NodeId, partition: &PartitionKey, data_version: &Digest) -> bool {
        self.workspace.keeps(node, partition, data_version)
    }
}

/// One that only its IO manager can look at, as it was when the fingerprint of who reads it was taken.
#[derive(Clone)]
pub struct StoredInput {
    pub node: NodeId,
    pub partition: PartitionKey,
    pub output: StoredOutput,
    pub witness: Option<Witness>,
}

impl StoredInput {
    /// Whether others have written to its database since, asked as soon as everything is read: later they may.
    pub fn torn(&self, workspace: &Workspace) -> Option<String> {
        let before = self.witness.as_ref().filter(|it| matches!(it, Witness::Database(_)))?;
        let now = workspace.io_of(self.node).witness(&workspace.target(self.node, &self.partition));
        let key = workspace.project.key(self.node);
        (!matches!(now, Ok(Some(now)) if now == *before))
            .then(|| format!("the database of {key} was written while it was read"))
    }

    /// Whether it is not what it was, or not any more; or whether that cannot be told.
    pub fn moved(&self, workspace: &Workspace) -> Option<String> {
        let key = workspace.project.key(self.node);
        if let Some(Witness::Table(before)) = &self.witness {
            let now = workspace.io_of(self.node).witness(&workspace.target(self.node, &self.partition));
            // It was the one that was recorded after this was told of it.
            return match now {
                Ok(Some(Witness::Table(now))) if now == *before => None,
                _ => Some(format!("{key} was written during the run")),
            };
        }
        let now = workspace.probe_input(self.node, &self.partition, &self.output);
        (now != OutputState::Same).then(|| format!("{key} changed during the run"))
    }
}
