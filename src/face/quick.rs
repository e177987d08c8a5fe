//! The no-op: "everything is fresh", answered from the status index without reading the manifest or
//! any record. Written where the planner has just said so; see `plan::index` for why it can be believed.

use std::{collections::BTreeSet, os::unix::ffi::OsStrExt};

use crate::{
    base::{
        clock::{Clock, SystemClock},
        digest::Digest,
        env::Environment,
        fs,
    },
    face::app::{App, Opening, Trace, find_root},
    model::{
        project::{Project, Source},
        template::Uses,
    },
    plan::{
        hash::{FileCache, FileFact, Sweep, boot},
        index::{Ground, StatusIndex},
        record::StoredOutput,
        store::{
            StateStore,
            folder::{Access, StateFolder},
            sqlite::Disk,
        },
        survey::Survey,
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

/// How many assets there are, if all of them are known to be fresh; `None` says nothing.
pub fn all_fresh(opening: &Opening, asking: Asking) -> Option<usize> {
    let root = find_root(&opening.start).ok()?;
    let folder = StateFolder::open(&root, Access::Read).ok()?;
    let key = folder.secret_key().ok()??;
    let folder = match &opening.target {
        Some(target) => folder.of_target(target).ok()?,
        None => folder,
    };
    let bytes = fs::read_if_there(&folder.path().join(FILE)).ok()??;
    let index = StatusIndex::decode(&bytes)?;
    let names = index.env.iter().copied();
    if index.asks && asking == Asking::Run {
        return None;
    }
    let same = index.question == question(opening, names, &key)
        && Some(index.boot) == boot::boot_id().as_deref().map(str::as_bytes)
        && SystemClock.now().as_nanosecond() < i128::from(index.valid_until_ns);
    if !same {
        return None;
    }
    let opened = folder.store(Disk::Local).ok()?;
    if !opened.notes.is_empty() || opened.store.generation().ok()? != index.generation {
        return None;
    }
    let sweep = Sweep::new(&root, FileCache::default()).ok()?;
    index.holds(&sweep).then_some(usize::try_from(index.assets).ok()?)
}

/// Keeps the answer that every asset of the project is fresh, if that can be told from files alone.
/// `generation` is of the state before `surveyed` was made. Nothing but speed depends on it.
pub fn keep(app: &App, opening: &Opening, surveyed: &Survey, generation: u64) {
    if let Some(ground) = ground(app, opening, surveyed, generation) {
        let bytes = ground.encode();
        let path = app.state.path().join(FILE);
        if !matches!(fs::read_if_there(&path), Ok(Some(old)) if old == bytes) {
            let _ = fs::write_atomic(&path, &bytes);
        }
    }
}

fn ground(app: &App, opening: &Opening, surveyed: &Survey, generation: u64) -> Option<Ground> {
    let workspace = &app.workspace;
    let project = &*workspace.project;
    let trace = app.trace.as_ref().filter(|it| !it.searched)?;
    let fresh = project.assets().all(|(id, ..)| surveyed.get(id).is_some_and(|it| it.verdict.is_fresh()));
    // What a killed run left is for the next run to tidy up.
    let tidy = workspace.store.unfinished_attempts().is_ok_and(|it| it.is_empty());
    if !fresh
        || !tidy
        || surveyed.facts.untracked
        || !workspace.doubted.is_empty()
        || boot::is_on_network(&workspace.root)
    {
        return None;
    }
    let mut ground = Ground { boot: boot::boot_id()?, generation, ..Ground::default() };
    ground.assets = u64::try_from(project.assets().count()).ok()?;
    manifests(&workspace.sweep, trace, &mut ground)?;
    for file in surveyed.facts.files().chain(&surveyed.facts.folders) {
        if file.racy {
            return None;
        }
        ground.followed.push((file.path.clone(), file.signature));
    }
    outputs(app, surveyed, &mut ground)?;
    let asked = |it: &&Source| !matches!(it, Source::Files(_));
    ground.asks = project.nodes.values().filter_map(|it| it.source()).any(|it| asked(&it));
    ground.valid_until_ns = valid_until(project, surveyed)?;
    ground.env = env_names(project, trace).into_iter().collect();
    let names = ground.env.iter().map(String::as_str);
    ground.question = Some(question(opening, names, &workspace.secret_key));
    Some(ground)
}

/// The manifest's files must still hold what was read from them.
fn manifests(sweep: &Sweep, trace: &Trace, ground: &mut Ground) -> Option<()> {
    for (path, held) in &trace.files {
        match (held, sweep.look_at(path)) {
            (None, FileFact::Missing) => ground.absent.push(path.clone()),
            (Some(held), FileFact::Present { signature, digest, racy: false }) if digest == *held => {
                ground.followed.push((path.clone(), signature));
            }
            _ => return None,
        }
    }
    Some(())
}

fn outputs(app: &App, surveyed: &Survey, ground: &mut Ground) -> Option<()> {
    let project = app.project();
    let refreshed = surveyed.refreshed.iter().filter_map(|it| Some((project.node(it.key.as_str())?, it)));
    let refreshed: std::collections::HashMap<_, _> = refreshed.collect();
    for (id, ..) in project.assets() {
        let record = refreshed.get(&id).copied().or_else(|| surveyed.records.get(&id))?;
        let StoredOutput::Files(files) = &record.output else { return None };
        if files.is_empty() || files.iter().any(|it| it.racy) {
            return None;
        }
        ground.kept.extend(files.iter().map(|it| (it.path.clone(), it.signature)));
    }
    Some(())
}

/// When the first source will have been seen too long ago. The outer `None`: that cannot be told.
fn valid_until(project: &Project, surveyed: &Survey) -> Option<Option<i64>> {
    let mut first: Option<i64> = None;
    for (id, node) in project.nodes.iter() {
        let Some(Source::Url { max_age: Some(max_age), .. }) = node.source() else { continue };
        let Some(crate::plan::observe::SourceFacts::Known { observation, .. }) = surveyed.facts.sources.get(&id) else {
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
fn question<'a>(opening: &Opening, names: impl Iterator<Item = &'a str>, key: &[u8; 32]) -> Digest {
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
