//! Taking what is stored as fresh, without running anything: a record like that of a run, with the
//! fingerprint of now and the reason that a person gave.

use std::sync::Arc;

use crate::{
    exec::{
        io::{Content, IoError},
        lock::{Holder, LockError, LockName, LockTable, Locked},
        run::{context::Workspace, finish::texts, version},
    },
    model::{
        fingerprint::Fingerprint,
        key::{AssetKey, PartitionKey},
        node_set::NodeSet,
        project::NodeId,
        staleness::{ReasonCode, State},
    },
    plan::{
        observe::SourceFacts,
        record::{AttemptId, Materialization, RunId, StoredOutput},
        store::{Change, StoreError},
        survey::{Forced, Request, Survey, survey},
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

/// Records the stored output of `node` as made from what its inputs are now. `session` is open.
///
/// # Errors
/// If there is no output, or an input is missing or not fresh itself.
pub fn accept(
    workspace: &Workspace,
    locks: &Arc<LockTable>,
    node: NodeId,
    session: &RunId,
    reason: &str,
) -> Result<Accepted, Refusal> {
    let project = &*workspace.project;
    let asset = project.nodes[node].asset().expect("only assets are accepted");
    let op = &project.ops[asset.op];
    let whole = PartitionKey::whole();
    let name = |it: NodeId| LockName::of(project.key(it), &whole);
    let upstream: Vec<NodeId> = op.deps.iter().copied().filter(|it| project.nodes[*it].asset().is_some()).collect();
    let shared: Vec<LockName> = upstream.iter().map(|it| name(*it)).collect();
    let _held = match locks.try_lock(&shared, &[name(node)])? {
        Locked::Held(guard) => guard,
        Locked::Busy(busy) => {
            let held = upstream.iter().copied().chain([node]).find(|it| name(*it) == busy).unwrap_or(node);
            return Err(Refusal::Busy(project.key(held).clone(), locks.holder(busy)));
        }
    };
    let world = workspace.world();
    let scope = project.assets_with_upstream(&NodeSet::of(project.len(), [node]));
    let surveyed = survey(&world, &Request { scope: &scope, runs: &scope, forced: Forced::Nothing, only: None })?;
    let found = surveyed.get(node).expect("it is in the scope");
    if found.verdict.is_fresh() {
        return Ok(Accepted::Fresh);
    }
    let Some(fingerprint) = found.fingerprint.clone() else {
        return Err(unknown(workspace, &surveyed, node, &upstream));
    };
    let target = workspace.target(node, &whole);
    let io = workspace.io_of(node);
    let path = || project.output_path(node).unwrap_or_else(|| target.path.clone()).to_string();
    let key = project.key(node).clone();
    let content = io.current(&target)?.ok_or_else(|| Refusal::OutputMissing { key: key.clone(), path: path() })?;
    let output = io.adopt(&target, &content.data_version)?.ok_or(Refusal::WrongKind { key, path: path() })?;
    let record = record(workspace, &surveyed, node, (session, reason), fingerprint, &content, output);
    let mut changes = vec![Change::Materialized(Box::new(record))];
    changes.extend(op.deps.iter().filter_map(|it| match surveyed.facts.sources.get(it) {
        Some(SourceFacts::Known { observation, .. }) => Some(Change::Observed(observation.clone())),
        _ => None,
    }));
    changes.extend(texts(&workspace.root, &workspace.project.ops[asset.op], &surveyed.facts.ops[&asset.op]));
    workspace.store.commit(&changes)?;
    Ok(Accepted::Recorded(content))
}

fn record(
    workspace: &Workspace,
    surveyed: &Survey,
    node: NodeId,
    (session, reason): (&RunId, &str),
    fingerprint: Fingerprint,
    content: &Content,
    output: StoredOutput,
) -> Materialization {
    use crate::base::id::Id;
    let attempt = AttemptId::new(session, node.index(), 0);
    let kind = workspace.project.nodes[node].asset().expect("only assets are accepted").version;
    // What a command would have reported nobody knows: what is there stands for it.
    let data_version = version::without_report(kind, &fingerprint, &attempt).unwrap_or(content.data_version);
    Materialization {
        key: workspace.project.key(node).clone(),
        partition: PartitionKey::whole(),
        attempt,
        run: session.clone(),
        at: workspace.clock.now(),
        // What it took when it was last made: runs are planned by it.
        duration_ms: surveyed.records.get(&node).map_or(0, |it| it.duration_ms),
        fingerprint,
        data_version,
        content: (data_version != content.data_version).then_some(content.data_version),
        output,
        bytes: content.bytes,
        rows: content.rows,
        accepted: Some(reason.to_owned()),
        session: session.0.clone(),
    }
}

/// Why there is no fingerprint.
fn unknown(workspace: &Workspace, surveyed: &Survey, node: NodeId, upstream: &[NodeId]) -> Refusal {
    let project = &*workspace.project;
    let key = project.key(node).clone();
    let waits = upstream.iter().find_map(|it| Some((*it, surveyed.state(*it).filter(|it| *it != State::Fresh)?)));
    if let Some((upstream, state)) = waits {
        return Refusal::Upstream { key, upstream: project.key(upstream).clone(), state };
    }
    let reasons = surveyed.get(node).map_or(&[][..], |it| it.verdict.reasons());
    let missing = reasons.iter().find(|it| it.code == ReasonCode::UpstreamMissing);
    let why = missing.map_or_else(|| "something that it is made from is missing".to_owned(), |it| it.message.clone());
    Refusal::Unknown { key, why }
}
