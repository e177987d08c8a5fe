//! The manifest as it was resolved last time, taken instead of parsing it again while every file that it
//! was read from holds the same bytes, and everything else that it was read with is the same.

use std::{os::unix::ffi::OsStrExt, path::Path};

use crate::{
    base::{digest::Digest, fs, span::SourceMap},
    face::{
        app::{Opening, Read, Trace, find_root},
        quick::question,
    },
    plan::{
        hash::{FileCache, Links, Seen, Sweep},
        index::project::{self, Kept, Origin},
        store::folder::{Access, StateFolder},
    },
};

const FILE: &str = "project.idx";
const CONTEXT: &str = "assets project question 1";

/// The project, if it was kept and nothing that it was made from has changed.
pub fn read(opening: &Opening) -> Option<Read> {
    let root = find_root(&opening.start).ok()?;
    let of_project = StateFolder::open(&root, Access::Read).ok()?;
    let key = of_project.secret_key().ok()??;
    let state = match &opening.target {
        Some(target) => of_project.of_target(target).ok()?,
        None => of_project,
    };
    let bytes = fs::read_if_there(&state.path().join(FILE)).ok()??;
    let kept = Kept::read(&bytes)?;
    let Origin { question, env, files, folders, includes } = &kept.origin;
    if *question != asked(opening, &root, env.iter().map(String::as_str), &key) {
        return None;
    }
    let mut sources = SourceMap::default();
    for (path, held) in files {
        let bytes = fs::read_if_there(&path.under(&root)).ok()?;
        if bytes.as_deref().map(Digest::of) != *held {
            return None;
        }
        if let Some(bytes) = bytes {
            sources.add(path.as_path(), String::from_utf8(bytes).ok()?);
        }
    }
    let sweep = Sweep::new(&root, FileCache::default()).ok()?;
    let seen = sweep.signatures(folders.len(), |at| folders[at].0.as_bytes(), Links::Follow);
    if seen.iter().zip(folders).any(|(seen, (_, signature))| *seen != Seen::Found(*signature)) {
        return None;
    }
    let trace = Trace {
        files: files.clone(),
        env: env.iter().cloned().collect(),
        folders: folders.iter().map(|(path, signature)| (path.clone(), *signature, false)).collect(),
        searched: false,
    };
    let project = kept.project()?;
    Some(Read { root, project, sources, warnings: Vec::new(), trace, includes: includes.clone() })
}

/// Keeps a project that was read without a warning. Nothing but speed depends on it.
pub fn keep(read: &Read, opening: &Opening, of_project: &StateFolder, state: &StateFolder) {
    let trace = &read.trace;
    let Ok(Some(key)) = of_project.secret_key() else { return };
    if !read.project.partitioning.is_empty()
        || !read.warnings.is_empty()
        || trace.searched
        || trace.folders.iter().any(|(.., racy)| *racy)
    {
        return;
    }
    let origin = Origin {
        question: asked(opening, &read.root, trace.env.iter().map(String::as_str), &key),
        env: trace.env.iter().cloned().collect(),
        files: trace.files.clone(),
        folders: trace.folders.iter().map(|(path, signature, _)| (path.clone(), *signature)).collect(),
        includes: read.includes.clone(),
    };
    let bytes = project::write(&origin, &read.project);
    debug_assert!(is_the_same(&bytes, read), "a kept project is read back as it was");
    let _ = fs::write_atomic(&state.path().join(FILE), &bytes);
}

/// Everything but files that the manifest was read with.
fn asked<'a>(opening: &Opening, root: &Path, names: impl Iterator<Item = &'a str>, key: &[u8; 32]) -> Digest {
    let mut bytes = question(opening, names, key).0.to_vec();
    bytes.extend_from_slice(root.as_os_str().as_bytes());
    Digest::derive(CONTEXT, &bytes)
}

/// So that every test of the program is one of this.
fn is_the_same(bytes: &[u8], read: &Read) -> bool {
    let shown = |it: &crate::model::project::Project| {
        // The keys of the graph are in no order.
        let graph = it.graph.order();
        let parts = (&it.name, &it.target, &it.vars, &it.nodes, &it.ops, &it.io_managers, &it.pools);
        format!("{parts:?} {:?} {:?} {:?} {:?} {graph:?}", it.jobs, it.pass_env, it.durability, it.manifests)
    };
    Kept::read(bytes).and_then(|it| it.project()).is_some_and(|it| shown(&it) == shown(&read.project))
}
