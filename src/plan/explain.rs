//! Why an asset is not fresh, told to the root: the same reasons that were decided by, with the
//! texts and files behind them. Decides nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::{
    base::{digest::Digest, fs, path::ProjectPath},
    model::{
        fingerprint::{PartKind, PartValue},
        key::PartitionKey,
        partitioning,
        project::{Action, FileSet, NodeBody, NodeId, Pattern, Project, Source},
        staleness::{Reason, ReasonCode},
    },
    plan::{
        observe::{Facts, SourceFacts},
        store::StoreError,
        survey::Survey,
        world::World,
    },
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
        files: file_changes(world, survey, node, reason)?,
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

fn file_changes(
    world: &World<'_>,
    survey: &Survey,
    node: NodeId,
    reason: &Reason,
) -> Result<Vec<FileChange>, StoreError> {
    if let Some((source, partition)) = reason.subject.split_once('@') {
        return file_changes_in(world, survey, reason.old.as_deref(), (source, &PartitionKey::new(partition)));
    }
    if reason.code == ReasonCode::UpstreamMissing {
        return files_gone(world, survey, node, &reason.subject);
    }
    let Some(source) = world.project.node(&reason.subject) else { return Ok(Vec::new()) };
    let NodeBody::Source(Source::Files(_)) = &world.project.nodes[source].body else { return Ok(Vec::new()) };
    let (Some(SourceFacts::Known { observation, .. }), Some(Ok(old))) =
        (survey.facts.sources.get(&source), reason.old.as_deref().map(str::parse::<Digest>))
    else {
        return Ok(Vec::new());
    };
    let Some(before) = world.store.observation(world.project.key(source), &old)? else { return Ok(Vec::new()) };
    Ok(changes(before.files.into_iter().collect(), observation.files.iter().cloned().collect()))
}

/// Of a source of which nothing is there any more, what it was made from.
fn files_gone(world: &World<'_>, survey: &Survey, node: NodeId, source: &str) -> Result<Vec<FileChange>, StoreError> {
    let mut gone = Vec::new();
    let parts = survey.records.get(&node).map(|it| it.fingerprint.parts()).unwrap_or_default();
    for part in parts.iter().filter(|it| it.kind == PartKind::Source) {
        let name = String::from_utf8_lossy(&part.name);
        if let (Some((of, partition)), PartValue::Digest(old)) = (name.split_once('@'), &part.value)
            && of == source
        {
            let place = (of, &PartitionKey::new(partition));
            gone.extend(file_changes_in(world, survey, Some(&old.to_string()), place)?);
        }
    }
    Ok(gone)
}

type Files = BTreeMap<ProjectPath, Digest>;

/// The same of one partition of a source.
fn file_changes_in(
    world: &World<'_>,
    survey: &Survey,
    old: Option<&str>,
    (source, partition): (&str, &PartitionKey),
) -> Result<Vec<FileChange>, StoreError> {
    let Some(source) = world.project.node(source) else { return Ok(Vec::new()) };
    let NodeBody::Source(Source::Files(set)) = &world.project.nodes[source].body else { return Ok(Vec::new()) };
    let place = world.partitions.of_node(source).place(partition.as_str()).ok();
    let facts = survey.facts.partitions.get(&source).zip(place).and_then(|(parts, place)| parts.get(&place));
    let now: Files = match facts {
        Some(SourceFacts::Known { observation, .. }) => observation.files.iter().cloned().collect(),
        _ => Files::new(),
    };
    let before = match old.and_then(|it| it.parse::<Digest>().ok()) {
        None => Files::new(),
        Some(old) => match plain_files(set, partition) {
            // Which they are is in their pattern; what they held is not told.
            Some(paths) => paths.into_iter().map(|it| (it, old)).collect(),
            None => match world.store.text(&old)? {
                Some(text) => files_listed(&text),
                None => return Ok(Vec::new()),
            },
        },
    };
    Ok(changes(before, now))
}

/// The files of a partition whose patterns name them one by one.
fn plain_files(set: &FileSet, partition: &PartitionKey) -> Option<Vec<ProjectPath>> {
    let path = |it: &Pattern| match is_plain(it) {
        true => ProjectPath::resolve(&set.folder, partitioning::path_of(&it.text, partition)).ok(),
        false => None,
    };
    set.patterns.iter().map(path).collect()
}

fn is_plain(pattern: &Pattern) -> bool {
    let known = pattern.text.split("{{").map(|it| it.split_once("}}").map_or(it, |it| it.1));
    !pattern.text.starts_with('!') && known.into_iter().all(|it| !it.contains(['*', '?', '[', '{', '\\']))
}

/// What is to be remembered of the files of partitions of sources, by their data versions: what a pattern finds now is
/// not what it found then.
pub fn listings(project: &Project, facts: &Facts) -> Vec<(Digest, String)> {
    let mut told = Vec::new();
    for (source, parts) in &facts.partitions {
        let NodeBody::Source(Source::Files(set)) = &project.nodes[*source].body else { continue };
        if set.patterns.iter().all(is_plain) {
            continue;
        }
        for fact in parts.values() {
            let SourceFacts::Known { observation, .. } = fact else { continue };
            let lines = observation.files.iter().map(|(path, digest)| format!("{digest} {path}\n"));
            told.push((observation.data_version, lines.collect()));
        }
    }
    told
}

fn files_listed(text: &str) -> Files {
    let file = |line: &str| {
        let (digest, path) = line.split_once(' ')?;
        Some((ProjectPath::resolve(&ProjectPath::root(), path).ok()?, digest.parse().ok()?))
    };
    text.lines().filter_map(file).collect()
}

fn changes(before: Files, now: Files) -> Vec<FileChange> {
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
    changes
}
