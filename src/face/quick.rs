//! The no-op: "this is fresh", answered from the status index without reading the manifest or any
//! record; and what of a project the planner need not look at again, if something else has moved.
//! Written where the planner has just said so; see `plan::index` for why it can be believed.

use std::{
    collections::{BTreeSet, HashMap},
    os::unix::ffi::OsStrExt,
};

use crate::{
    base::{
        clock::{Clock, SystemClock},
        digest::Digest,
        env::Environment,
        fs,
        id::IdVec,
    },
    face::{
        app::{App, Opening, Trace, find_root},
        cli::args::Selection,
    },
    model::{
        fingerprint::PartKind,
        node_set::NodeSet,
        project::{NodeId, Op, OpId, Project, Source},
        select,
        template::Uses,
    },
    plan::{
        hash::{FileCache, FileFact, Sweep, boot},
        index::{Ground, GroundFile, GroundFiles, GroundStep, Looked, StatusIndex, Still},
        observe::SourceFacts,
        record::{Materialization, StoredOutput, TrackedFile},
        store::folder::{Access, StateFolder},
        survey::{Known, Survey, ops_of},
    },
};

const FILE: &str = "status.idx";

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asking {
    /// `status`: sources count as they were last seen.
    Status,
    /// A run, which asks sources first.
    Run,
}

/// The keys that are asked for, if that can be told without knowing the project. The outer `None`: it
/// cannot; the inner one: everything is.
fn asked_for(words: &[String], selection: &Selection) -> Option<Option<BTreeSet<String>>> {
    if words.is_empty() && selection.is_everything() {
        return Some(None);
    }
    if !selection.exclude.is_empty() || selection.job.is_some() {
        return None;
    }
    let words: Vec<String> = words.iter().chain(&selection.select).cloned().collect();
    Some(Some(select::parse_all(&words).ok()?.plain_names()?.into_iter().collect()))
}

/// What the index tells.
pub enum Told {
    /// So many assets were asked about, and all are fresh.
    AllFresh(usize),
    /// Of everything, some are not known to be fresh.
    Some(Box<Vouched>),
    Nothing,
}

/// An index that holds, but for files that have moved since.
pub struct Vouched {
    index: StatusIndex,
    looked: Looked,
}

impl Vouched {
    /// What it says of the computations of `app`, if it was made from the very same manifest.
    pub fn known(mut self, app: &App) -> Option<Known> {
        let trace = app.trace.as_ref().filter(|it| !it.searched)?;
        if !self.index.is_of(&manifests(&app.workspace.sweep, trace)?) {
            return None;
        }
        let after = self.index.after(&self.looked)?;
        let steps = all_ops(app);
        if steps.len() != after.len() {
            return None;
        }
        let mut known = Known {
            generation: self.index.generation,
            ops: IdVec::filled(false, app.project().ops.len()),
            edited: HashMap::new(),
        };
        for (op, still) in steps.into_iter().zip(after) {
            match still {
                Still::Fresh => known.ops[op] = true,
                Still::But(parts) => drop(known.edited.insert(op, parts)),
                Still::Unknown => {}
            }
        }
        Some(known)
    }
}

/// Asks the index.
pub fn ask(opening: &Opening, asking: Asking, words: &[String], selection: &Selection) -> Told {
    look(opening, asking, words, selection).unwrap_or(Told::Nothing)
}

fn look(opening: &Opening, asking: Asking, words: &[String], selection: &Selection) -> Option<Told> {
    let keys = asked_for(words, selection)?;
    let root = find_root(&opening.start).ok()?;
    let folder = StateFolder::open(&root, Access::Read).ok()?;
    let key = folder.secret_key().ok()??;
    let folder = match &opening.target {
        Some(target) => folder.of_target(target).ok()?,
        None => folder,
    };
    let mut index = StatusIndex::open(fs::open(&folder.path().join(FILE)).ok()?)?;
    if index.asks && asking == Asking::Run {
        return None;
    }
    let names = index.env.iter().map(String::as_str);
    let same = index.question == question(opening, names, &key)
        && boot::boot_id().is_some_and(|it| it.as_bytes() == index.boot)
        && SystemClock.now().as_nanosecond() < i128::from(index.valid_until_ns);
    if !same {
        return None;
    }
    let sweep = Sweep::new(&root, FileCache::default()).ok()?;
    if !folder.is_at(index.generation, &sweep) {
        return None;
    }
    let Some(keys) = keys else {
        let looked = index.look(&sweep)?;
        return Some(match index.all_fresh(&looked) {
            Some(assets) => Told::AllFresh(assets),
            None => Told::Some(Box::new(Vouched { index, looked })),
        });
    };
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let steps = index.fresh_steps(&keys, &sweep)?;
    Some(Told::AllFresh(match asking {
        Asking::Status => keys.len(),
        // What is made along is part of the run.
        Asking::Run => index.made_by(&steps)?,
    }))
}

/// Every computation, in the order of the index.
fn all_ops(app: &App) -> Vec<OpId> {
    let project = app.project();
    ops_of(&app.workspace.world(), &NodeSet::of(project.len(), project.assets().map(|it| it.0)))
}

/// Keeps what was found fresh in a survey of the whole project, as far as that can be told from files
/// alone. `generation` is of the state before `surveyed` was made. Nothing but speed depends on it.
pub fn keep(app: &App, opening: &Opening, surveyed: &Survey, generation: u64) {
    // Of partitions the index knows nothing.
    if !app.project().partitioning.is_empty() {
        return;
    }
    let path = app.state.path().join(FILE);
    let fresh = |it: NodeId| surveyed.get(it).is_some_and(|it| it.verdict.is_fresh());
    if !app.project().assets().all(|(id, ..)| fresh(id))
        && fs::open(&path).is_ok_and(|it| StatusIndex::open(it).is_some_and(|it| it.generation == generation))
    {
        // It tells of the same state, and what has moved since is seen by its stamps.
        return;
    }
    if let Some(ground) = ground(app, opening, surveyed, generation) {
        let bytes = ground.encode();
        if !matches!(fs::read_if_there(&path), Ok(Some(old)) if old == bytes) {
            let _ = fs::write_atomic(&path, &bytes);
        }
    }
}

fn ground<'r>(app: &App, opening: &Opening, surveyed: &'r Survey, generation: u64) -> Option<Ground<'r>> {
    let workspace = &app.workspace;
    let project = &*workspace.project;
    let trace = app.trace.as_ref().filter(|it| !it.searched)?;
    let whole = project.assets().all(|(id, ..)| surveyed.get(id).is_some());
    // What a killed run left is for the next run to tidy up.
    let tidy = workspace.store.unfinished_attempts().is_ok_and(|it| it.is_empty());
    if !whole
        || !tidy
        || surveyed.facts.untracked
        || !workspace.doubted.is_empty()
        || boot::is_on_network(&workspace.root)
    {
        return None;
    }
    let asked = |it: &&Source| !matches!(it, Source::Files(_));
    let env: Vec<String> = env_names(project, trace).into_iter().collect();
    let names = env.iter().map(String::as_str);
    Some(Ground {
        question: Some(question(opening, names, &workspace.secret_key)),
        boot: boot::boot_id()?,
        generation,
        asks: project.nodes.values().filter_map(|it| it.source()).any(|it| asked(&it)),
        valid_until_ns: valid_until(project, surveyed)?,
        steps: steps(app, surveyed)?,
        env,
        ..manifests(&workspace.sweep, trace)?
    })
}

/// Every computation with what it rests on. `None`: nothing is fresh, which is not worth keeping.
fn steps<'r>(app: &App, surveyed: &'r Survey) -> Option<Vec<GroundStep<'r>>> {
    let project = app.project();
    let refreshed = surveyed.refreshed.iter().filter_map(|it| Some((project.node(it.key.as_str())?, it)));
    let refreshed: HashMap<_, _> = refreshed.collect();
    let record = |id: &NodeId| refreshed.get(id).copied().or_else(|| surveyed.records.get(id));
    let ops = all_ops(app);
    let places: HashMap<OpId, u32> = (0..).zip(&ops).map(|(at, op)| (*op, at)).collect();
    let step = |id: &OpId| {
        let op = &project.ops[*id];
        let upstream: BTreeSet<u32> =
            op.deps.iter().filter_map(|it| places.get(&project.op_of(*it)?).copied()).collect();
        GroundStep {
            keys: op.outputs.iter().map(|it| project.key(*it).to_string()).collect(),
            upstream: upstream.into_iter().collect(),
            files: files(op, *id, surveyed, &record),
        }
    };
    let steps: Vec<GroundStep<'_>> = ops.iter().map(step).collect();
    (steps.is_empty() || steps.iter().any(|it| it.files.is_some())).then_some(steps)
}

/// The files of a computation whose assets are all fresh, if each can be known again by its signature.
fn files<'r>(
    op: &Op,
    id: OpId,
    surveyed: &'r Survey,
    record: &impl Fn(&NodeId) -> Option<&'r Materialization>,
) -> Option<GroundFiles<'r>> {
    if !op.outputs.iter().all(|it| surveyed.get(*it).is_some_and(|it| it.verdict.is_fresh())) {
        return None;
    }
    let facts = surveyed.facts.ops.get(&id)?;
    let (code, read) = facts.files.split_at(facts.code_files);
    let grounds = |files: &'r [TrackedFile], part| files.iter().map(move |file| GroundFile { file, part });
    let mut followed: Vec<GroundFile<'r>> = grounds(code, Some(PartKind::Code))
        .chain(grounds(read, Some(PartKind::SourceFile)))
        .chain(grounds(&facts.folders, None))
        .collect();
    for dep in &op.deps {
        if let Some(SourceFacts::Known { files, folders, .. }) = surveyed.facts.sources.get(dep) {
            followed.extend(grounds(files, None).chain(grounds(folders, None)));
        }
    }
    let mut kept: Vec<GroundFile<'r>> = Vec::new();
    for node in &op.outputs {
        let StoredOutput::Files(files) = &record(node)?.output else { return None };
        if files.is_empty() {
            return None;
        }
        kept.extend(grounds(files, None));
    }
    let racy = followed.iter().chain(&kept).any(|it| it.file.racy);
    (!racy).then_some(GroundFiles { followed, kept })
}

/// The manifest's files must still hold what was read from them.
fn manifests(sweep: &Sweep, trace: &Trace) -> Option<Ground<'static>> {
    let mut ground = Ground::default();
    for (path, held) in &trace.files {
        match (held, sweep.look_at(path)) {
            (None, FileFact::Missing) => ground.absent.push(path.clone()),
            (Some(held), FileFact::Present { signature, digest, racy: false }) if digest == *held => {
                ground.manifests.push((path.clone(), signature));
            }
            _ => return None,
        }
    }
    for (path, signature, racy) in &trace.folders {
        if *racy {
            return None;
        }
        ground.manifests.push((path.clone(), *signature));
    }
    Some(ground)
}

/// When the first source will have been seen too long ago. The outer `None`: that cannot be told.
fn valid_until(project: &Project, surveyed: &Survey) -> Option<Option<i64>> {
    let mut first: Option<i64> = None;
    for (id, node) in project.nodes.iter() {
        let Some(Source::Url { max_age: Some(max_age), .. }) = node.source() else { continue };
        let Some(SourceFacts::Known { observation, .. }) = surveyed.facts.sources.get(&id) else {
            continue;
        };
        let age = i128::try_from(max_age.as_nanos()).ok()?;
        let until = i64::try_from(observation.at.as_nanosecond() + age).ok()?;
        first = Some(first.map_or(until, |it| it.min(until)));
    }
    Some(first)
}

/// Every variable whose value can matter: those that the manifest was read with, and those that
/// computations are given.
fn env_names(project: &Project, trace: &Trace) -> BTreeSet<String> {
    let mut names = trace.env.clone();
    for op in project.ops.values() {
        names.extend(op.env.iter().map(|it| it.name.clone()));
        for template in op.action.templates() {
            names.extend(template.uses().unwrap_or_else(|_| Uses::everything()).env);
        }
    }
    for node in project.nodes.values() {
        if let Some(Source::Command { action, env, .. }) = node.source() {
            names.extend(env.iter().map(|it| it.name.clone()));
            for template in action.templates() {
                names.extend(template.uses().unwrap_or_else(|_| Uses::everything()).env);
            }
        }
    }
    names
}

/// Everything but files that the answer depends on. Keyed, as secrets are among it.
pub fn question<'a>(opening: &Opening, names: impl Iterator<Item = &'a str>, key: &[u8; 32]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let mut add = |bytes: Option<&[u8]>| {
        hasher.update(&[u8::from(bytes.is_some())]);
        let bytes = bytes.unwrap_or_default();
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(Some(env!("CARGO_PKG_VERSION").as_bytes()));
    add(opening.target.as_deref().map(str::as_bytes));
    for (name, value) in &opening.vars {
        add(Some(name.as_bytes()));
        add(Some(value.as_bytes()));
    }
    add(None);
    for name in names {
        add(Some(name.as_bytes()));
        add(value(&opening.env, name));
    }
    hasher.finalize().into()
}

fn value<'a>(env: &'a Environment, name: &str) -> Option<&'a [u8]> {
    env.get_os(name).map(|it| it.as_bytes())
}
