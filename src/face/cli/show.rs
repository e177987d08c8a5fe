//! `assets show KEY`: all that is known of an asset or source.

use std::collections::HashSet;

use crate::{
    base::suggest,
    face::{
        app::App,
        cli::{Context, args::KeyArgs, error::Failure},
        exit::Exit,
        report::{
            Layout, json,
            show::{self, LastCheck, NamedCheck, Show},
        },
    },
    model::{
        key::PartitionKey,
        node_set::NodeSet,
        project::{Action, Check, FileSet, Node, NodeBody, NodeId, Project, Source},
    },
    plan::{
        checked::Look,
        observe::{SourceFacts, observe},
        store::{self, folder::Access},
        survey::{Forced, Request, load_observations, survey},
    },
};

pub fn run(context: &Context, args: &KeyArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let node = named(app.project(), &args.key)?;
    let mut told = declared(&app, node);
    match &app.project().nodes[node].body {
        NodeBody::Asset(_) => stored(&app, node, &mut told)?,
        NodeBody::Source(_) => observed(&app, node, &mut told)?,
    }
    app.keep_cache(&context.ui);
    if context.json {
        context.ui.print(&json(&show::document(&told)))?;
    } else {
        let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), app.workspace.clock.now());
        context.ui.print(&show::text(&told, layout))?;
    }
    Ok(Exit::Done)
}

/// The asset or source of that key, or a failure that offers the nearest.
pub fn named(project: &Project, key: &str) -> Result<NodeId, Failure> {
    project.node(key).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no asset or source `{key}`"));
        match suggest::nearest(key, project.nodes.values().map(|it| it.key.as_str())) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`assets list` shows what there is"),
        }
    })
}

/// What the manifest says.
fn declared(app: &App, id: NodeId) -> Show {
    let project = app.project();
    let node: &Node = &project.nodes[id];
    let keys = |them: &[NodeId]| them.iter().map(|it| project.key(*it).to_string()).collect();
    let (line, _) = app.sources.line_column(node.place);
    let mut told = Show {
        key: node.key.to_string(),
        description: node.description.clone(),
        group: node.group.clone(),
        tags: node.tags.clone(),
        owners: node.owners.clone(),
        kinds: node.kinds.clone(),
        declared: Some(format!("{}:{line}", app.sources.file(node.place.file).path.display())),
        dependents: keys(project.graph.downstream(id)),
        ..Show::default()
    };
    match &node.body {
        NodeBody::Source(source) => {
            told.kind = "source";
            match source {
                Source::Files(set) => told.path = Some(patterns(set).join(", ")),
                Source::Url { url, .. } => told.path = Some(url.clone()),
                Source::Command { action, .. } => told.command = Some(shown(action)),
            }
        }
        NodeBody::Asset(asset) => {
            let op = &project.ops[asset.op];
            told.kind = "asset";
            told.io = Some(project.io_managers[asset.io].name.clone());
            told.path = Some(project.output_path(id).unwrap_or_else(|| asset.path.clone()).to_string());
            told.format = asset.format.clone();
            let made_by = Some(shown(&op.action));
            match op.action {
                Action::Sql(_) => told.query = made_by,
                _ => told.command = made_by,
            }
            told.code = patterns(&op.code);
            let own = op.checks.iter().filter(|it| it.asset == id);
            let looks = app.workspace.checked.of(&node.key);
            let last = |name: &str| last_of(name, &looks);
            let named = |it: &Check| NamedCheck {
                name: it.name.clone(),
                kind: it.kind(),
                severity: it.severity.name(),
                last: last(&it.name),
            };
            told.checks = own.map(named).collect();
            told.op = (op.name != node.key.as_str()).then(|| op.name.clone());
            told.env = op.env.iter().map(|it| it.name.clone()).collect();
            told.code_version = op.code_version.clone();
            told.version = node.asset().map(|it| it.version.name());
            told.pool = op.pool.map(|it| project.pools[it].name.clone());
            told.retries = op.retries;
            told.timeout_ms = op.timeout.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
            told.deps = keys(&op.deps);
        }
    }
    told
}

/// The last look at each partition; of those one that failed, or the youngest.
fn last_of(check: &str, looks: &[Look]) -> Option<LastCheck> {
    let mut met = HashSet::new();
    let each = looks.iter().rev().filter_map(|it| Some((it, it.said(check)?)));
    let each: Vec<_> = each.filter(|(it, _)| met.insert(&it.partition)).collect();
    let failed = each.iter().find(|it| it.1.failure.is_some());
    failed.or(each.first()).map(|(look, said)| LastCheck::of(look, said))
}

/// Patterns as seen from the project.
fn patterns(set: &FileSet) -> Vec<String> {
    set.patterns
        .iter()
        .map(|it| if set.folder.is_root() { it.text.clone() } else { format!("{}/{}", set.folder, it.text) })
        .collect()
}

/// A command as a person would type it.
fn shown(action: &Action) -> String {
    match action {
        Action::Shell(text) => text.text().trim().to_owned(),
        Action::Sql(sql) => sql.shown().trim().to_owned(),
        Action::Argv(words) => {
            let plain = |it: &str| !it.is_empty() && !it.contains(|it: char| " \t\n'\"$`\\|&;<>()*?".contains(it));
            let quoted = |it: &str| {
                if plain(it) || it.starts_with("{{") {
                    it.to_owned()
                } else {
                    format!("'{}'", it.replace('\'', "'\\''"))
                }
            };
            words.iter().map(|it| quoted(it.text())).collect::<Vec<_>>().join(" ")
        }
    }
}

/// What the state knows of an asset, and whether it is fresh.
fn stored(app: &App, node: NodeId, told: &mut Show) -> Result<(), Failure> {
    let project = app.project();
    let scope = NodeSet::of(project.len(), [node]);
    let scope = project.assets_with_upstream(&scope);
    let surveyed =
        survey(&app.workspace.world(), &Request { scope: &scope, runs: &scope, forced: Forced::Nothing, only: None })?;
    let found = surveyed.get(node).expect("the asset asked about was looked at");
    told.state = Some(found.state);
    told.reasons = found.verdict.reasons().to_vec();
    told.history = match surveyed.recorded.get(&node) {
        // The youngest of all partitions.
        Some(records) => {
            let mut records: Vec<_> = records.values().cloned().collect();
            records.sort_by_key(|it| std::cmp::Reverse(it.at));
            records.truncate(store::KEPT);
            records
        }
        None => app.workspace.store.history(project.key(node), &PartitionKey::whole())?,
    };
    told.attempt = project.op_of(node).and_then(|it| surveyed.attempts.get(&it)).cloned();
    let root = &app.workspace.root;
    if let Some(attempt) = &mut told.attempt
        && let Some(log) = &attempt.log
        && crate::base::fs::look(&root.join(log))?.is_none()
    {
        // A command that wrote nothing has no log.
        attempt.log = None;
    }
    Ok(())
}

/// What a source is now, or for one that only a run asks: was.
fn observed(app: &App, node: NodeId, told: &mut Show) -> Result<(), Failure> {
    let world = app.workspace.world();
    let facts = observe(&world, &[], &[node], &load_observations(&world, &[node])?);
    if let Some(SourceFacts::Known { observation, .. }) = facts.sources.get(&node) {
        told.observed = Some(observation.clone());
    }
    Ok(())
}
