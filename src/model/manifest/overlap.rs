//! Outputs against each other, and against everything that is read: no asset may be kept where
//! another one, a manifest, a code file or a source file is.
//!
//! One pass with maps over folded paths: 100,000 assets are checked in a few hundredths of a second.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
};

use crate::{
    base::{diagnostic::Diagnostic, id::Id, path::ProjectPath, span::Span},
    model::{
        key::AssetKey,
        project::{FileSet, IoKind, NodeId, Pattern, Project, Source},
    },
};

use super::{LOCAL_FILE, code, gather::Gathered, partitioned::any_partition, pattern, report::Report};

/// A file or folder that is read, and the words for it.
struct Read<'a> {
    what: &'static str,
    place: Option<Span>,
    /// The op that reads it.
    by: Option<&'a str>,
}

/// Outputs against each other, and against everything that is read.
pub fn check(project: &Project, from: &Gathered, report: &mut Report) {
    // A key that is malformed was reported, and has no path to speak of.
    let outputs: Vec<(NodeId, ProjectPath)> = project
        .assets()
        .filter(|(id, _, _)| AssetKey::parse(&from.asset.entries[id.index()].key).is_ok())
        .filter_map(|(id, _, _)| Some((id, project.output_path(id)?)))
        .collect();
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
        // A path that is read may be a folder, and then stands for all that is in it.
        let folded = folded(path.as_bytes());
        let places = std::iter::once(&*folded).chain(ancestors(&folded)).chain([&b""[..]]);
        if let Some(read) = places.filter_map(|it| read.get(it)).next() {
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
    patterns(project, from, outputs, report);
    tables(project, report);
}

/// What the names of tables begin with that others keep in a SQLite database.
const RESERVED: [&str; 2] = ["_assets_", "sqlite_"];

/// Tables of one database that would have one name, where the database ignores case.
fn tables(project: &Project, report: &mut Report) {
    let mut seen: HashMap<(&ProjectPath, Vec<u8>), NodeId> = HashMap::new();
    for (id, _, asset) in project.assets() {
        let IoKind::Sqlite { path } = &project.io_managers[asset.io].kind else { continue };
        let name = folded(asset.path.as_bytes());
        if let Some(start) = RESERVED.iter().find(|it| name.starts_with(it.as_bytes())) {
            let told = Diagnostic::error(code::BAD_NAME, format!("a table in SQLite cannot be called {}", asset.path));
            let told = told.at(project.nodes[id].place).label("names that begin so are not for assets");
            let of = if *start == "sqlite_" { "SQLite" } else { "this tool" };
            report.push(told.help(format!("`{start}` begins the names of {of}: rename it")));
        }
        let first = *seen.entry((path, name)).or_insert(id);
        if first != id {
            let (a, b) = (project.key(first), project.key(id));
            report.push(
                Diagnostic::error(code::OVERLAP, format!("`{a}` and `{b}` would both be the table {}", asset.path))
                    .at(project.nodes[id].place)
                    .label("the same table")
                    .other(project.nodes[first].place, "as this")
                    .help("a table is named after its key, with `_` for `/`; rename one of the two"),
            );
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
        Some(reader) if reader != key.as_str() && read.what == SOURCE_FILE => {
            told.help(format!("if `{reader}` reads what `{key}` makes, say deps = [\"{key}\"] there"))
        }
        _ => told.help("give the asset another `path`"),
    }
}

const CODE_FILE: &str = "a code file";
const SOURCE_FILE: &str = "a source";

/// Manifests, and every file that a pattern names without wildcards, by folded path.
fn files_read(project: &Project) -> HashMap<Vec<u8>, Read<'_>> {
    let mut read = HashMap::new();
    for op in project.ops.values() {
        literals(&op.code, CODE_FILE, Some(&op.name), &mut read);
        literals(&op.sources, SOURCE_FILE, Some(&op.name), &mut read);
    }
    for (id, node) in project.nodes.iter() {
        if let Some(Source::Files(files)) = node.source()
            && project.partitioning.of(id).is_none()
        {
            literals(files, SOURCE_FILE, None, &mut read);
        }
    }
    let local = ProjectPath::root().join(LOCAL_FILE);
    for io in project.io_managers.values() {
        let path = match &io.kind {
            IoKind::Sqlite { path } => Some(path),
            IoKind::Adbc(it) => it.file.as_ref(),
            _ => None,
        };
        if let Some(path) = path.filter(|it| !it.is_root()) {
            read.insert(folded(path.as_bytes()), Read { what: "a database", place: io.place, by: None });
        }
    }
    for manifest in project.manifests.iter().chain([&local]) {
        read.insert(folded(manifest.as_bytes()), Read { what: "a manifest", place: None, by: None });
    }
    read
}

fn literals<'a>(files: &FileSet, what: &'static str, by: Option<&'a str>, read: &mut HashMap<Vec<u8>, Read<'a>>) {
    for it in files.patterns.iter().filter(|it| !it.text.starts_with('!') && !pattern::has_wildcards(&it.text)) {
        if let Ok(path) = ProjectPath::resolve(&files.folder, &it.text) {
            read.entry(folded(path.as_bytes())).or_insert(Read { what, place: it.place, by });
        }
    }
}

/// The files of all partitions of a source.
fn any_of(project: &Project, id: NodeId, source: &Source) -> Option<FileSet> {
    let Source::Files(files) = source else { return None };
    project.partitioning.of(id)?;
    let any = |it: &Pattern| Pattern { text: any_partition(&it.text), place: it.place };
    Some(FileSet { folder: files.folder.clone(), patterns: files.patterns.iter().map(any).collect() })
}

/// Outputs that a pattern with wildcards would take for files to read.
fn patterns(project: &Project, from: &Gathered, mut outputs: Vec<(NodeId, ProjectPath)>, report: &mut Report) {
    outputs.sort_by(|a, b| a.1.as_bytes().cmp(b.1.as_bytes()));
    let cut: Vec<FileSet> = project.nodes.iter().filter_map(|(id, it)| any_of(project, id, it.source()?)).collect();
    let ops = project
        .ops
        .values()
        .flat_map(|it| [(&it.code, Some(&*it.name), CODE_FILE), (&it.sources, Some(&*it.name), SOURCE_FILE)]);
    let plain = project.nodes.iter().filter_map(|(id, it)| match it.source() {
        Some(Source::Files(files)) if project.partitioning.of(id).is_none() => Some(files),
        _ => None,
    });
    let sources = plain.chain(&cut).map(|it| (it, None, SOURCE_FILE));
    let mut seen: HashSet<(&ProjectPath, Vec<&str>)> = HashSet::new();
    let mut budget = PATTERN_MATCHES_MAX;
    for (files, by, what) in ops.chain(sources) {
        let texts: Vec<&str> = files.patterns.iter().map(|it| it.text.as_str()).collect();
        if texts.iter().any(|it| pattern::has_wildcards(it)) && seen.insert((&files.folder, texts)) {
            for (output, place) in taken(files, &outputs, &mut budget) {
                let read = Read { what, place, by };
                report.push(overwrites(project, from, output.0, &output.1, &read));
            }
        }
    }
}

/// Patterns times outputs below the same folder: beyond so many, the rest is left to the run, which
/// verifies its inputs. A project would have to mix sources and outputs in one folder on purpose.
const PATTERN_MATCHES_MAX: usize = 2_000_000;

type Output = (NodeId, ProjectPath);

/// The outputs that the last pattern to match takes in.
fn taken<'a>(files: &FileSet, outputs: &'a [Output], budget: &mut usize) -> Vec<(&'a Output, Option<Span>)> {
    let mut found: HashMap<usize, Option<Span>> = HashMap::new();
    for it in files.patterns.iter().filter(|it| it.text.starts_with('!') || pattern::has_wildcards(&it.text)) {
        let (takes_away, text) = match it.text.strip_prefix('!') {
            Some(text) if !text.contains('/') => (true, format!("**/{text}")),
            Some(text) => (true, text.to_owned()),
            None => (false, it.text.clone()),
        };
        if takes_away && found.is_empty() {
            continue;
        }
        let plain = text.split('/').take_while(|it| !pattern::has_wildcards(it)).collect::<Vec<_>>().join("/");
        let Ok(base) = ProjectPath::resolve(&files.folder, &plain) else { continue };
        if !pattern::has_wildcards(&text) {
            found.retain(|index, _| !outputs[*index].1.is_within(&base));
            continue;
        }
        let below = below(outputs, base.as_bytes());
        if below.is_empty() {
            continue;
        }
        let rest = text.strip_prefix(&*plain).unwrap_or_default().trim_matches('/');
        let Ok(glob) = pattern::glob(rest) else { continue };
        let matcher = glob.compile_matcher();
        for index in below {
            *budget = budget.saturating_sub(1);
            if *budget == 0 {
                break;
            }
            let path = outputs[index].1.as_bytes();
            let seen = &path[if base.is_root() { 0 } else { base.as_bytes().len() + 1 }..];
            if matcher.is_match(OsStr::from_bytes(seen)) {
                if takes_away {
                    found.remove(&index);
                } else {
                    found.insert(index, it.place);
                }
            }
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|it| it.0);
    found.into_iter().map(|(index, place)| (&outputs[index], place)).collect()
}

/// Which of the sorted outputs lie below the folder.
fn below(outputs: &[Output], folder: &[u8]) -> std::ops::Range<usize> {
    if folder.is_empty() {
        return 0..outputs.len();
    }
    let mut first = folder.to_vec();
    first.push(b'/');
    let start = outputs.partition_point(|it| it.1.as_bytes() < &*first);
    let end = outputs[start..].partition_point(|it| it.1.as_bytes().starts_with(&first));
    start..start + end
}
