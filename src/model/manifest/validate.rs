//! What only the whole shows: cycles, outputs that overlap each other or what is read, names that
//! fold together.
//!
//! Everything here is one pass with maps: 100,000 assets are checked in a few hundredths of a second.

use std::collections::HashMap;

use crate::{
    base::{
        diagnostic::Diagnostic,
        id::{Id, IdVec},
        path::ProjectPath,
        span::Span,
    },
    model::{
        graph::{AssetGraph, Cycle},
        project::{FileSet, Node, NodeId, Op, OpId, Project, Source},
    },
};

use super::{
    LOCAL_FILE, code,
    gather::{Declared, Gathered},
    pattern,
    raw::{Data, Value},
    report::Report,
    resolve,
};

/// The graph, if nothing goes round in circles.
pub fn graph(
    nodes: &IdVec<NodeId, Node>,
    ops: &IdVec<OpId, Op>,
    from: &Gathered,
    report: &mut Report,
) -> Option<AssetGraph> {
    folded_keys(nodes, report);
    match resolve::graph_of(nodes, ops) {
        Ok(graph) => Some(graph),
        Err(cycles) => {
            cycles.iter().for_each(|it| report.push(cycle(it, nodes, from)));
            None
        }
    }
}

fn cycle(cycle: &Cycle, nodes: &IdVec<NodeId, Node>, from: &Gathered) -> Diagnostic {
    let keys: Vec<&str> = cycle.0.iter().chain(cycle.0.first()).map(|it| nodes[*it].key.as_str()).collect();
    let first = keys.first().copied().unwrap_or_default();
    let mut told = Diagnostic::error(code::CYCLE, format!("`{first}` depends on itself: {}", keys.join(" -> ")))
        .help("take one of these dependencies out");
    for (index, pair) in keys.windows(2).enumerate() {
        let place = dep_place(from, pair[0], pair[1]);
        if index == 0 {
            told = told.at(place).label(format!("`{}` reads `{}`", pair[0], pair[1]));
        } else if index < CYCLE_PLACES_MAX {
            told = told.other(place, format!("`{}` reads `{}`", pair[0], pair[1]));
        }
    }
    told
}

/// Of a long cycle, so many places are shown.
const CYCLE_PLACES_MAX: usize = 12;

/// The table that says how the asset is computed.
fn computed_by<'a>(from: &'a Gathered, key: &str) -> Option<&'a Declared> {
    let asset = from.asset.get(key)?;
    match asset.table.get("op").and_then(Value::text) {
        Some(op) => from.op.get(op),
        None => Some(asset),
    }
}

fn dep_place(from: &Gathered, reader: &str, read: &str) -> Span {
    let by = computed_by(from, reader).expect("a node of a cycle has deps, so it is computed");
    let items = by.table.get("deps").map(Value::items).unwrap_or_default();
    let is_it = |it: &&Value| match &it.data {
        Data::Text(it) => &**it == read,
        Data::Table(it) => it.get("asset").and_then(Value::text).is_some_and(|it| &**it == read),
        _ => false,
    };
    items.iter().find(is_it).map_or(by.place, |it| it.place)
}

fn folded_keys(nodes: &IdVec<NodeId, Node>, report: &mut Report) {
    let mut seen: HashMap<String, &Node> = HashMap::with_capacity(nodes.len());
    for node in nodes.values() {
        let folded = node.key.as_str().to_lowercase();
        let first = *seen.entry(folded).or_insert(node);
        if first.key != node.key {
            report.push(
                Diagnostic::error(code::FOLDED_NAME, format!("`{}` and `{}` differ only in case", first.key, node.key))
                    .at(node.place)
                    .label("the same name where case is ignored")
                    .other(first.place, "as this")
                    .help("rename one of the two"),
            );
        }
    }
}

/// A file or folder that is read, and the words for it.
struct Read<'a> {
    what: &'static str,
    place: Option<Span>,
    /// The op or source that reads it.
    by: Option<&'a str>,
}

/// Outputs against each other, and against everything that is read.
pub fn outputs(project: &Project, from: &Gathered, report: &mut Report) {
    let outputs: Vec<(NodeId, ProjectPath)> =
        project.assets().filter_map(|(id, _, _)| Some((id, project.output_path(id)?))).collect();
    let mut by_path: HashMap<Vec<u8>, usize> = HashMap::with_capacity(outputs.len());
    for (index, (id, path)) in outputs.iter().enumerate() {
        if let Some(part) = pattern::forbidden_part(path) {
            let told = Diagnostic::error(code::BAD_PATH, format!("the output of an asset lies in `{part}`: {path}"));
            report.push(told.at(path_place(project, from, *id)));
        }
        let first = *by_path.entry(folded(path.as_bytes())).or_insert(index);
        if first != index {
            report.push(same_place(project, from, &outputs[first], &outputs[index]));
        }
    }
    for (id, path) in &outputs {
        for above in ancestors(path.as_bytes()) {
            if let Some(outer) = by_path.get(&folded(above)) {
                report.push(inside(project, from, &outputs[*outer], (*id, path)));
            }
        }
    }
    let read = files_read(project);
    for (id, path) in &outputs {
        if let Some(read) = read.get(&folded(path.as_bytes())) {
            report.push(overwrites(project, from, *id, path, read));
        }
    }
    // A file that is read inside an output folder would be wiped with it.
    for (file, read) in &read {
        for above in ancestors(file) {
            if let Some(at) = by_path.get(above) {
                let (id, path) = &outputs[*at];
                report.push(overwrites(project, from, *id, path, read));
            }
        }
    }
}

/// What a case-insensitive file system would take the path for.
fn folded(path: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(path) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().into_bytes(),
        _ => path.to_ascii_lowercase(),
    }
}

/// The folders above a path, nearest first.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().rev().filter(|(_, it)| **it == b'/').map(|(at, _)| &path[..at])
}

/// Where an asset says its path, or else its name.
fn path_place(project: &Project, from: &Gathered, id: NodeId) -> Span {
    let declared = &from.asset.entries[id.index()];
    declared.table.get("path").map_or(project.nodes[id].place, |it| it.place)
}

fn same_place(
    project: &Project,
    from: &Gathered,
    first: &(NodeId, ProjectPath),
    second: &(NodeId, ProjectPath),
) -> Diagnostic {
    let (a, b) = (project.key(first.0), project.key(second.0));
    let message = if first.1 == second.1 {
        format!("`{a}` and `{b}` would both be kept at {}", first.1)
    } else {
        format!("{} (`{a}`) and {} (`{b}`) are one file where case is ignored", first.1, second.1)
    };
    Diagnostic::error(code::OVERLAP, message)
        .at(path_place(project, from, second.0))
        .label("the same place")
        .other(path_place(project, from, first.0), "as this")
        .help("give one of them another `path`")
}

fn inside(
    project: &Project,
    from: &Gathered,
    outer: &(NodeId, ProjectPath),
    inner: (NodeId, &ProjectPath),
) -> Diagnostic {
    let (a, b) = (project.key(inner.0), project.key(outer.0));
    let message = format!("{} (`{a}`) lies inside {} (`{b}`)", inner.1, outer.1);
    Diagnostic::error(code::OVERLAP, message)
        .at(path_place(project, from, inner.0))
        .label("inside another output")
        .other(path_place(project, from, outer.0), "this one")
        .help("give one of them another `path`; if the outer one is a folder, it owns everything in it")
}

fn overwrites(project: &Project, from: &Gathered, id: NodeId, path: &ProjectPath, read: &Read<'_>) -> Diagnostic {
    let key = project.key(id);
    let mut told = Diagnostic::error(code::OVERWRITES, format!("{path} (`{key}`) would overwrite {}", read.what))
        .at(path_place(project, from, id))
        .label("the output");
    if let Some(place) = read.place {
        told = told.other(place, "read here");
    }
    match read.by {
        Some(reader) => told.help(format!("if `{reader}` reads what `{key}` makes, say deps = [\"{key}\"] there")),
        None => told.help("give the asset another `path`"),
    }
}

/// Manifests, and every file that a pattern names without wildcards, by folded path.
fn files_read(project: &Project) -> HashMap<Vec<u8>, Read<'_>> {
    let mut read = HashMap::new();
    for op in project.ops.values() {
        literals(&op.code, "a code file", &op.name, &mut read);
        literals(&op.sources, "a source file", &op.name, &mut read);
    }
    for node in project.nodes.values() {
        if let Some(Source::Files(files)) = node.source() {
            literals(files, "a source file", node.key.as_str(), &mut read);
        }
    }
    let local = ProjectPath::root().join(LOCAL_FILE);
    for manifest in project.manifests.iter().chain([&local]) {
        read.insert(folded(manifest.as_bytes()), Read { what: "a manifest", place: None, by: None });
    }
    read
}

fn literals<'a>(files: &FileSet, what: &'static str, by: &'a str, read: &mut HashMap<Vec<u8>, Read<'a>>) {
    for it in files.patterns.iter().filter(|it| !it.text.starts_with('!') && !pattern::has_wildcards(&it.text)) {
        if let Ok(path) = ProjectPath::resolve(&files.folder, &it.text) {
            read.entry(folded(path.as_bytes())).or_insert(Read { what, place: it.place, by: Some(by) });
        }
    }
}
