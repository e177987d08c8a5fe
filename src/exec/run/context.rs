//! What every step of a run shares: the project, the world, the places where data is kept.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use crate::{
    base::{at_once::at_once, clock::Clock, env::Environment, id::IdVec},
    exec::{
        defer::Deferred,
        io::{IoError, IoManager, Probed, Slice, Slices, Target},
        jobserver::Jobserver,
        lock::LockTable,
    },
    model::{
        key::PartitionKey,
        project::{IoId, NodeId, Project},
    },
    plan::{
        checked::CheckHistory,
        hash::Sweep,
        partitions::PartitionKeys,
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
    /// A question opens none unless told to.
    pub connections: Connections,
    /// What is read from another target.
    pub deferred: Option<Deferred>,
    /// What checks said in the past.
    pub checked: CheckHistory,
    /// Those that there were when it was opened.
    pub partitions: Arc<PartitionKeys>,
}

/// Connections that are waited for at the same time.
const CONNECTIONS_MAX: usize = 32;

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
            partitions: &self.partitions,
            deferred: self.deferred.as_ref().map(Deferred::records),
            deferred_parts: self.deferred.as_ref().map(Deferred::parts),
            spared: &[],
        }
    }

    /// How the IO manager that keeps `node` is told of it.
    pub fn target(&self, node: NodeId, partition: &PartitionKey) -> Target {
        let it = &self.project.nodes[node];
        let asset = it.asset().expect("only assets are kept");
        Target {
            key: it.key.clone(),
            partition: partition.clone(),
            path: self.project.path_of(node, partition),
            format: asset.format.clone(),
            shape: asset.shape,
            identity: asset.identity(),
            in_place: self.project.ops[asset.op].in_place,
            publishing: asset.publishing.clone(),
            slice: self.slice(node, partition).filter(|_| self.project.is_in_database(node)),
            slices: None,
        }
    }

    /// The same, for who is to make it.
    pub fn target_to_make(&self, node: NodeId, partition: &PartitionKey) -> Target {
        let target = self.target(node, partition);
        if target.slice.is_none() {
            return target;
        }
        let project = Arc::clone(&self.project);
        let of = move |key: &str| {
            let columns = project.partitioning.slice(node, &PartitionKey::new(key))?;
            Some(Slice { columns })
        };
        Target { slices: Some(Slices::new(of)), ..target }
    }

    /// Which rows are of one partition: of the one table that holds them all, or of what a query gives for several.
    pub fn slice(&self, node: NodeId, partition: &PartitionKey) -> Option<Slice> {
        self.project.partitioning.slice(node, partition).map(|columns| Slice { columns })
    }

    pub fn io_of(&self, node: NodeId) -> &dyn IoManager {
        &*self.io[self.project.nodes[node].asset().expect("only assets are kept").io]
    }
}

/// Whether what can only be asked by a connection is asked, or believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connections {
    Opened,
    /// And what is there is read in full: nothing is believed.
    InFull,
    Avoided,
}

/// A workspace as it is asked by somebody who opens no connection.
pub struct Offline<'a>(pub &'a Workspace);

impl Probe for Offline<'_> {
    fn probe(&self, node: NodeId, partition: &PartitionKey, stored: &StoredOutput) -> OutputState {
        self.0.probed(node, partition, stored, Connections::Avoided)
    }

    fn keeps(&self, node: NodeId, partition: &PartitionKey, data_version: &crate::base::digest::Digest) -> bool {
        self.0.keeps(node, partition, data_version)
    }
}

impl Workspace {
    fn probed(
        &self,
        node: NodeId,
        partition: &PartitionKey,
        stored: &StoredOutput,
        connections: Connections,
    ) -> OutputState {
        let (io, target) = (self.io_of(node), self.target(node, partition));
        let probed = match connections {
            Connections::Avoided if io.capabilities().remote => Ok(io.believes(&target, stored)),
            Connections::InFull => io.probe_in_full(&target, stored),
            _ => io.probe(&target, stored),
        };
        self.state(node, probed)
    }

    /// What an IO manager has said of `node`.
    pub fn state(&self, node: NodeId, probed: Result<Probed, IoError>) -> OutputState {
        let key = self.project.key(node).to_string();
        match probed {
            Ok(Probed::Same) => OutputState::Same,
            Ok(Probed::Missing) => OutputState::Missing(key),
            Ok(Probed::Modified) => OutputState::Modified(key),
            Ok(Probed::Elsewhere(place)) => OutputState::Elsewhere(place),
            Err(error) => OutputState::Unknown(error.to_string()),
        }
    }

    /// Asks about each by `probe`, in their order: waits that can be waited together are.
    pub fn probe_each(
        &self,
        outputs: &[(NodeId, &PartitionKey, &StoredOutput)],
        probe: impl Fn(NodeId, &PartitionKey, &StoredOutput) -> OutputState + Sync,
    ) -> Vec<OutputState> {
        let states: Vec<OnceLock<OutputState>> = outputs.iter().map(|_| OnceLock::new()).collect();
        let all: Vec<_> = states.iter().zip(outputs).collect();
        let waits =
            self.connections != Connections::Avoided && outputs.iter().any(|it| self.io_of(it.0).capabilities().remote);
        let threads = if waits { CONNECTIONS_MAX } else { 1 };
        let done: Result<(), Infallible> = at_once(&all, threads, |(state, (node, partition, stored))| {
            state.get_or_init(|| probe(*node, partition, stored));
            Ok(())
        });
        let Ok(()) = done;
        states.into_iter().map(|it| it.into_inner().expect("each was asked")).collect()
    }
}

impl Probe for Workspace {
    fn probe(&self, node: NodeId, partition: &PartitionKey, stored: &StoredOutput) -> OutputState {
        self.probed(node, partition, stored, self.connections)
    }

    fn probe_all(&self, outputs: &[(NodeId, &PartitionKey, &StoredOutput)]) -> Vec<OutputState> {
        self.probe_each(outputs, |node, partition, stored| self.probe(node, partition, stored))
    }

    fn keeps(&self, node: NodeId, partition: &PartitionKey, data_version: &crate::base::digest::Digest) -> bool {
        self.io_of(node).keeps(&self.target(node, partition), data_version)
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
    pub forced: HashMap<NodeId, &'static str>,
    /// Everything that is to be right after it.
    pub selected: HashSet<NodeId>,
    /// What these runs made is not made again for that.
    pub spared: &'a [RunId],
    /// Between the polite signal and the final one.
    pub grace_ms: u64,
    /// A query that fails is told as it was run.
    pub tells_queries: bool,
}
