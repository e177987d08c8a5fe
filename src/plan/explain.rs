//! Why an asset is not fresh, told to the root: the same reasons that were decided by, with the
//! texts and files behind them. Decides nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::{
    base::{digest::Digest, fs, path::ProjectPath},
    model::{
        project::{Action, NodeBody, NodeId, Source},
        staleness::{Reason, ReasonCode},
    },
    plan::{observe::SourceFacts, store::StoreError, survey::Survey, world::World},
};

/// Code files larger than this are not read for a diff.
const DIFF_BYTES_MAX: u64 = 64 << 10;

/// One cause that has no further cause: an edit, a new version of a source, a lost output.
#[derive(Clone, PartialEq, Debug)]
pub struct Root {
    /// The asset that it makes not fresh.
    pub node: NodeId,
    pub reason: Reason,
    /// From the asset asked about to `node`, both included.
    pub chain: Vec<NodeId>,
    pub text: Option<TextChange>,
    /// Files of a source, or of nothing else.
    pub files: Vec<FileChange>,
}

/// A text before and after; `None` where there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextChange {
    pub name: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// One file of a source that is not what it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileChange {
    pub path: ProjectPath,
    pub old: Option<Digest>,
    pub new: Option<Digest>,
}

/// The root causes of `node` not being fresh, nearest first; empty if it is fresh. `survey` covers
/// everything upstream of it.
///
/// # Errors
/// Only if the state cannot be read.
pub fn explain(world: &World<'_>, survey: &Survey, node: NodeId) -> Result<Vec<Root>, StoreError> {
    let mut roots = Vec::new();
    let mut from: HashMap<NodeId, NodeId> = HashMap::new();
    let mut queue = VecDeque::from([node]);
    while let Some(at) = queue.pop_front() {
        let Some(surveyed) = survey.get(at) else { continue };
        for reason in surveyed.verdict.reasons() {
            if reason.code != ReasonCode::UpstreamStale {
                roots.push(root(world, survey, node, at, reason, &from)?);
                continue;
            }
            if let Some(upstream) = world.project.node(&reason.subject)
                && upstream != node
                && !from.contains_key(&upstream)
            {
                from.insert(upstream, at);
                queue.push_back(upstream);
            }
        }
    }
    Ok(roots)
}

fn root(
    world: &World<'_>,
    survey: &Survey,
    asked: NodeId,
    node: NodeId,
    reason: &Reason,
    from: &HashMap<NodeId, NodeId>,
) -> Result<Root, StoreError> {
    let mut chain = vec![node];
    let mut at = node;
    while at != asked {
        at = from[&at];
        chain.push(at);
    }
    chain.reverse();
    Ok(Root {
        node,
        reason: reason.clone(),
        chain,
        text: text_change(world, node, reason)?,
        files: file_changes(world, survey, reason)?,
    })
}

fn text_change(world: &World<'_>, node: NodeId, reason: &Reason) -> Result<Option<TextChange>, StoreError> {
    if reason.code != ReasonCode::CodeChanged {
        return Ok(None);
    }
    if reason.subject == "command" {
        let (old, new) = (reason.old.clone(), reason.new.clone());
        return Ok(Some(TextChange { name: "command".to_owned(), old, new }));
    }
    let old = match reason.old.as_deref().and_then(|it| it.parse().ok()) {
        // An old text that was not kept (too large, not text) leaves nothing to compare.
        Some(digest) => match world.store.text(&digest)? {
            Some(text) => Some(text),
            None => return Ok(None),
        },
        None => None,
    };
    let query = world.project.op_of(node).and_then(|it| match &world.project.ops[it].action {
        Action::Sql(sql) if sql.name() == reason.subject => Some(sql),
        _ => None,
    });
    let new = match &reason.new {
        Some(_) if query.is_some() => query.map(|it| it.told()),
        Some(_) => {
            let path = world.root.join(&reason.subject);
            let bytes = fs::read_at_most(&path, DIFF_BYTES_MAX).ok().flatten();
            match bytes.and_then(|it| String::from_utf8(it).ok()) {
                Some(text) => Some(text),
                None => return Ok(None),
            }
        }
        None => None,
    };
    Ok(Some(TextChange { name: reason.subject.clone(), old, new }))
}

fn file_changes(world: &World<'_>, survey: &Survey, reason: &Reason) -> Result<Vec<FileChange>, StoreError> {
    let Some(source) = world.project.node(&reason.subject) else { return Ok(Vec::new()) };
    let NodeBody::Source(Source::Files(_)) = &world.project.nodes[source].body else { return Ok(Vec::new()) };
    let (Some(SourceFacts::Known { observation, .. }), Some(Ok(old))) =
        (survey.facts.sources.get(&source), reason.old.as_deref().map(str::parse::<Digest>))
    else {
        return Ok(Vec::new());
    };
    let Some(before) = world.store.observation(world.project.key(source), &old)? else { return Ok(Vec::new()) };
    let before: BTreeMap<_, _> = before.files.into_iter().collect();
    let now: BTreeMap<_, _> = observation.files.iter().cloned().collect();
    let mut changes: Vec<FileChange> = Vec::new();
    for (path, old) in &before {
        let new = now.get(path);
        if new != Some(old) {
            changes.push(FileChange { path: path.clone(), old: Some(*old), new: new.copied() });
        }
    }
    for (path, new) in now.iter().filter(|(path, _)| !before.contains_key(*path)) {
        changes.push(FileChange { path: path.clone(), old: None, new: Some(*new) });
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}
