//! What every step of a run shares: the project, the world, the places where data is kept.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use crate::{
    base::{clock::Clock, env::Environment, id::IdVec},
    exec::{
        io::{IoManager, Probed, Target},
        jobserver::Jobserver,
        lock::LockTable,
    },
    model::{
        key::PartitionKey,
        project::{IoId, NodeId, Project},
    },
    plan::{
        hash::Sweep,
        record::{RunId, StoredOutput},
        store::StateStore,
        world::{OutputState, Probe, World},
    },
};

/// One opened project. Owned by the face, borrowed by runs.
pub struct Workspace {
    pub project: Arc<Project>,
    pub root: PathBuf,
    pub env: Environment,
    pub secret_key: [u8; 32],
    pub sweep: Sweep,
    pub store: Box<dyn StateStore>,
    pub io: IdVec<IoId, Box<dyn IoManager>>,
    pub clock: Arc<dyn Clock>,
    pub doubted: HashSet<String>,
}

impl Workspace {
    pub fn world(&self) -> World<'_> {
        World {
            project: &self.project,
            root: &self.root,
            env: &self.env,
            secret_key: &self.secret_key,
            sweep: &self.sweep,
            store: &*self.store,
            probe: self,
            now: self.clock.now(),
            doubted: &self.doubted,
        }
    }

    /// How the IO manager that keeps `node` is told of it.
    pub fn target(&self, node: NodeId, partition: &PartitionKey) -> Target {
        let it = &self.project.nodes[node];
        let asset = it.asset().expect("only assets are kept");
        Target {
            key: it.key.clone(),
            partition: partition.clone(),
            path: asset.path.clone(),
            format: asset.format.clone(),
            shape: asset.shape,
            identity: asset.identity,
            in_place: self.project.ops[asset.op].in_place,
        }
    }

    pub fn io_of(&self, node: NodeId) -> &dyn IoManager {
        &*self.io[self.project.nodes[node].asset().expect("only assets are kept").io]
    }
}

impl Probe for Workspace {
    fn probe(&self, node: NodeId, stored: &StoredOutput) -> OutputState {
        let key = self.project.key(node).to_string();
        match self.io_of(node).probe(&self.target(node, &PartitionKey::whole()), stored) {
            Ok(Probed::Same) => OutputState::Same,
            Ok(Probed::Missing) => OutputState::Missing(key),
            Ok(Probed::Modified) => OutputState::Modified(key),
            Err(error) => OutputState::Unknown(error.to_string()),
        }
    }

    fn keeps(&self, node: NodeId, data_version: &crate::base::digest::Digest) -> bool {
        self.io_of(node).keeps(&self.target(node, &PartitionKey::whole()), data_version)
    }
}

/// One run of a workspace.
pub struct RunContext<'a> {
    pub workspace: &'a Workspace,
    pub run: RunId,
    pub locks: &'a Arc<LockTable>,
    /// Job slots, shared with nested builds and with the one that started us.
    pub jobserver: Arc<Jobserver>,
    /// Whether the `make` of this machine understands what it would be told of them.
    pub make_speaks_fifo: bool,
    pub host: String,
    /// Of this run, below the project.
    pub log_folder: String,
    pub forced: HashSet<NodeId>,
    /// Between the polite signal and the final one.
    pub grace_ms: u64,
}
