//! Taking what is stored as fresh, without running anything: a record like that of a run, with the
//! fingerprint of now and the reason that a person gave.

use std::sync::Arc;

use crate::{
    exec::{
        io::{Content, IoError},
        lock::{Holder, LockError, LockName, LockTable, Locked},
        run::{context::Workspace, finish::texts, partitions::recorded, version},
    },
    model::{
        fingerprint::Fingerprint,
        key::{AssetKey, PartitionKey},
        node_set::NodeSet,
        partition::PartitionSet,
        project::{IoKind, NodeId},
        staleness::{ReasonCode, State},
    },
    plan::{
        observe::SourceFacts,
        parted::{Parted, found_at},
        record::{AttemptId, Materialization, RunId, StoredOutput},
        store::{Change, StoreError},
        survey::{Forced, Request, Survey, Surveyed, survey_each},
    },
};

/// What came of it.
#[derive(Clone, PartialEq, Debug)]
pub enum Accepted {
    /// It was fresh: nothing was recorded.
    Fresh,
    Recorded(Content),
}

/// Why what is stored cannot be taken as fresh.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0} is worked on by another process")]
    Busy(AssetKey, Option<Holder>),
    #[error("{key} has no output: {path} is missing")]
    OutputMissing { key: AssetKey, path: String },
    #[error("{key}: {path} is not of the kind that the manifest declares")]
    WrongKind { key: AssetKey, path: String },
    #[error("{key} is made from {upstream}, which is {state}", state = state.name())]
    Upstream { key: AssetKey, upstream: AssetKey, state: State },
    #[error("{key}: {why}")]
    Unknown { key: AssetKey, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Records the stored output of `node`, or of these partitions of it, as made from what its inputs are now. `session`
/// is open.
///
/// # Errors
/// If there is no output, or an input is missing or not fresh itself.
pub fn accept(
    workspace: &Workspace,
    locks: &Arc<LockTable>,
    (node, places): (NodeId, Option<&PartitionSet>),
    (session, reason): (&RunId, &str),
) -> Result<Vec<(PartitionKey, Accepted)>, Refusal> {
    let project = &*workspace.project;
    let asset = project.nodes[node].asset().expect("only assets are accepted");
    let op = &project.ops[asset.op];
    let keys = workspace.partitions.of_node(node);
    let partitions: Vec<PartitionKey> = match places {
        None => vec![PartitionKey::whole()],
        Some(places) => places.iter().filter_map(|it| keys.key(it)).collect(),
    };
    let mut shared: Vec<(AssetKey, LockName)> = Vec::new();
    for partition in &partitions {
        for dep in op.deps.iter().filter(|it| project.nodes[**it].asset().is_some()) {
            let read = match recorded(workspace, asset.op, *dep, partition)? {
                Some((records, _)) => records.into_iter().map(|it| it.partition).collect(),
                None => vec![PartitionKey::whole()],
            };
            shared.extend(read.iter().map(|it| (project.key(*dep).clone(), LockName::of(project.key(*dep), it))));
        }
    }
    let own: Vec<LockName> = partitions.iter().map(|it| LockName::of(project.key(node), it)).collect();
    let names: Vec<LockName> = shared.iter().map(|it| it.1).collect();
    let _held = match locks.try_lock(&names, &own)? {
        Locked::Held(guard) => guard,
        Locked::Busy(busy) => {
            let held = shared.iter().find(|it| it.1 == busy).map_or(project.key(node), |it| &it.0);
            return Err(Refusal::Busy(held.clone(), locks.holder(busy)));
        }
    };
    let world = workspace.world();
    let scope = project.assets_with_upstream(&NodeSet::of(project.len(), [node]));
    let request = Request { scope: &scope, runs: &scope, forced: Forced::Nothing, only: None };
    let surveyed = survey_each(&world, &request, places.map(|it| (asset.op, it.clone())))?;
    let by_place = surveyed.parted.get(&node).map(Parted::by_place).unwrap_or_default();
    let mut done = Vec::with_capacity(partitions.len());
    for (number, partition) in partitions.into_iter().enumerate() {
        let found = match keys.place(partition.as_str()) {
            Ok(place) if places.is_some() => found_at(&by_place, place),
            _ => surveyed.get(node),
        };
        let of = Found { workspace, surveyed: &surveyed, node, partition: &partition, number };
        let accepted = of.accept(found.expect("it is in the scope"), (session, reason))?;
        done.push((partition, accepted));
    }
    Ok(done)
}

/// What was found of an asset, or of one partition of it.
struct Found<'a> {
    workspace: &'a Workspace,
    surveyed: &'a Survey,
    node: NodeId,
    partition: &'a PartitionKey,
    number: usize,
}

impl Found<'_> {
    fn accept(&self, found: &Surveyed, why: (&RunId, &str)) -> Result<Accepted, Refusal> {
        let Found { workspace, surveyed, node, partition, .. } = *self;
        let project = &*workspace.project;
        let op = &project.ops[project.op_of(node).expect("only assets are accepted")];
        if found.verdict.is_fresh() {
            return Ok(Accepted::Fresh);
        }
        let Some(fingerprint) = found.fingerprint.clone() else {
            return Err(self.unknown(found));
        };
        let target = workspace.target(node, partition);
        let io = workspace.io_of(node);
        let asset = project.nodes[node].asset().expect("only assets are accepted");
        let path = || match &project.io_managers[asset.io].kind {
            IoKind::Fs { root } => root.join(target.path.as_path()).to_string(),
            _ => target.path.to_string(),
        };
        let key = project.key(node).clone();
        let content = io.current(&target)?.ok_or_else(|| Refusal::OutputMissing { key: key.clone(), path: path() })?;
        let output = io.adopt(&target, &content.data_version)?.ok_or(Refusal::WrongKind { key, path: path() })?;
        let mut changes = vec![Change::Materialized(Box::new(Materialization {
            declared: io.declared(&target, None)?,
            ..self.record(why, fingerprint, &content, output)
        }))];
        changes.extend(op.deps.iter().filter_map(|it| match surveyed.facts.sources.get(it) {
            Some(SourceFacts::Known { observation, .. }) => Some(Change::Observed(observation.clone())),
            _ => None,
        }));
        changes.extend(texts(
            &workspace.root,
            op,
            &surveyed.facts.ops[&project.op_of(node).expect("an asset has one")],
        ));
        workspace.store.commit(&changes)?;
        Ok(Accepted::Recorded(content))
    }

    fn record(
        &self,
        (session, reason): (&RunId, &str),
        fingerprint: Fingerprint,
        content: &Content,
        output: StoredOutput,
    ) -> Materialization {
        use crate::base::id::Id;
        let Found { workspace, surveyed, node, partition, number } = *self;
        let attempt = AttemptId::new(session, node.index(), u32::try_from(number).unwrap_or(u32::MAX));
        let place = workspace.partitions.of_node(node).place(partition.as_str()).ok();
        let before = match partition.name() {
            None => surveyed.records.get(&node),
            Some(_) => place.and_then(|it| surveyed.recorded.get(&node)?.get(&it)),
        };
        let kind = workspace.project.nodes[node].asset().expect("only assets are accepted").version;
        // What a command would have reported nobody knows: what is there stands for it.
        let data_version = version::without_report(kind, &fingerprint, &attempt).unwrap_or(content.data_version);
        Materialization {
            key: workspace.project.key(node).clone(),
            partition: partition.clone(),
            attempt,
            run: session.clone(),
            at: workspace.clock.now(),
            // What it took when it was last made: runs are planned by it.
            duration_ms: before.map_or(0, |it| it.duration_ms),
            fingerprint,
            data_version,
            content: (data_version != content.data_version).then_some(content.data_version),
            declared: None,
            output,
            bytes: content.bytes,
            rows: content.rows,
            accepted: Some(reason.to_owned()),
            session: session.0.clone(),
        }
    }

    /// Why there is no fingerprint.
    fn unknown(&self, found: &Surveyed) -> Refusal {
        let Found { workspace, surveyed, node, partition, .. } = *self;
        let project = &*workspace.project;
        let key = project.key(node).clone();
        let op = &project.ops[project.op_of(node).expect("only assets are accepted")];
        // Of partitions the state of the whole upstream says nothing.
        let upstream = op.deps.iter().filter(|it| project.nodes[**it].asset().is_some() && partition.is_whole());
        let mut upstream = upstream.filter(|it| !workspace.partitions.cuts(**it));
        let waits = upstream.find_map(|it| Some((*it, surveyed.state(*it).filter(|it| *it != State::Fresh)?)));
        if let Some((upstream, state)) = waits {
            return Refusal::Upstream { key, upstream: project.key(upstream).clone(), state };
        }
        let upstream = [ReasonCode::UpstreamMissing, ReasonCode::UpstreamStale];
        let missing = found.verdict.reasons().iter().find(|it| upstream.contains(&it.code));
        let why =
            missing.map_or_else(|| "something that it is made from is missing".to_owned(), |it| it.message.clone());
        Refusal::Unknown { key, why }
    }
}
