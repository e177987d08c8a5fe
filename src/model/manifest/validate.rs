//! What only the whole graph shows: cycles, names that fold together, and what jobs select.

use std::collections::HashMap;

use crate::{
    base::{
        diagnostic::Diagnostic,
        id::{Id, IdVec},
        span::{SourceMap, Span},
    },
    model::{
        graph::{AssetGraph, Cycle},
        node_set::NodeSet,
        project::{Job, Node, NodeId, Op, OpId, Project},
        select::{self, Facts, SelectError},
        staleness::State,
    },
};

use super::{
    code,
    gather::Gathered,
    interpolate,
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
    let round: Vec<NodeId> = cycle.0.iter().chain(cycle.0.first()).copied().collect();
    let key = |it: NodeId| nodes[it].key.as_str();
    let first = round.first().map_or("", |it| key(*it));
    let keys: Vec<&str> = round.iter().map(|it| key(*it)).collect();
    let mut told = Diagnostic::error(code::CYCLE, format!("`{first}` depends on itself: {}", keys.join(" -> ")))
        .help("take one of these dependencies out");
    for (index, pair) in round.windows(2).take(CYCLE_PLACES_MAX).enumerate() {
        let place = dep_place(from, pair[0], pair[1]);
        let label = format!("`{}` reads `{}`", key(pair[0]), key(pair[1]));
        told = if index == 0 { told.at(place).label(label) } else { told.other(place, label) };
    }
    told
}

/// Of a long cycle, so many places are shown.
const CYCLE_PLACES_MAX: usize = 12;

/// Where `reader` says that it reads `read`. Found by number: a key that cannot be one has another name by now.
fn dep_place(from: &Gathered, reader: NodeId, read: NodeId) -> Span {
    let asset = &from.asset.entries[reader.index()];
    let read = &*from.asset.entries[read.index()].key;
    let op = asset.table.get("op").and_then(Value::text).and_then(|it| from.op.get(it));
    let by = op.unwrap_or(asset);
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

/// The selections of jobs: their syntax, and (in a project without mistakes) the names in them.
pub fn jobs(project: &Project, sources: &SourceMap, report: &mut Report) {
    for job in project.jobs.values() {
        let found = match select::parse(&job.select) {
            Ok(_) if report.has_errors() => continue,
            Ok(it) => select::eval(&it, project, &Offline(project.len())),
            Err(errors) => Err(errors),
        };
        let (level, odd) = match found {
            Ok(selection) => (Diagnostic::warning as fn(_, String) -> _, selection.warnings),
            Err(errors) => (Diagnostic::error as fn(_, String) -> _, errors),
        };
        for it in odd {
            report.push(selected(level(code::BAD_SELECTION, it.message.clone()), it, job, sources));
        }
    }
}

fn selected(told: Diagnostic, error: SelectError, job: &Job, sources: &SourceMap) -> Diagnostic {
    let told = told.at(interpolate::inside(&job.select, job.place, error.at, sources));
    match error.help {
        Some(help) => told.help(help),
        None => told,
    }
}

/// The manifest alone: nothing has a status, nothing has changed.
struct Offline(usize);

impl Facts for Offline {
    fn status(&self, _: NodeId) -> Option<State> {
        None
    }

    fn changed(&self, _: &str) -> Result<NodeSet, String> {
        Ok(NodeSet::none(self.0))
    }
}
