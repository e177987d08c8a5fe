//! `assets why KEY`: the causes, old and new, down to the root. `assets explain CODE`: an error code.

use crate::{
    base::suggest,
    face::{
        app::App,
        cli::{Context, args::WhyArgs, choosing, defer, error::Failure, status},
        exit::Exit,
        report::{
            Layout, diff, json,
            why::{self, Cause, Root, Why},
        },
    },
    model::{
        node_set::NodeSet,
        project::{NodeId, Project},
        staleness::{Reason, ReasonCode},
    },
    plan::{
        explain::{self, explain},
        parted::found_at,
        store::folder::Access,
        survey::{Forced, Request, Survey, survey},
    },
};

pub fn run(context: &Context, args: &WhyArgs) -> Result<Exit, Failure> {
    if let Some(text) = super::codes::explanation(&args.key) {
        context.ui.print(&text)?;
        return Ok(Exit::Done);
    }
    let mut app = App::open(&context.opening, Access::Read, args.verify, &context.ui)?;
    let node = asset(app.project(), &args.key)?;
    let asked = NodeSet::of(app.project().len(), [node]);
    defer::apply(context, &mut app, &args.defer, &asked)?;
    let project = app.project();
    let scope = defer::without(&app, &project.assets_with_upstream(&asked));
    let world = app.workspace.world();
    let mut surveyed = survey(&world, &Request { scope: &scope, runs: &scope, forced: Forced::Nothing, only: None })?;
    if let Some(text) = &args.partition {
        ask_one(&app, &mut surveyed, node, text)?;
    }
    let roots = explain(&world, &surveyed, node)?;
    let told = told(project, &surveyed, node, &roots);
    app.keep_cache(&context.ui);
    if context.json {
        context.ui.print(&json(&why::document(&told)))?;
    } else {
        let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), world.now);
        context.ui.print(&why::text(&told, layout))?;
        if let Some(line) = defer::line(&app) {
            context.ui.print(&format!("{line}\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// From now on the survey tells of this partition what it told of the asset.
fn ask_one(app: &App, surveyed: &mut Survey, node: NodeId, text: &str) -> Result<(), Failure> {
    let key = app.project().key(node);
    if !app.workspace.partitions.cuts(node) {
        return Err(Failure::usage(format!("{key} has no partitions")).hint("leave `--partition` out"));
    }
    let place = choosing::one(app, node, text)?;
    let found = surveyed.parted.get(&node).and_then(|it| found_at(&it.by_place(), place).cloned());
    surveyed.nodes[node] = found;
    let record = surveyed.recorded.get_mut(&node).and_then(|it| it.remove(&place));
    surveyed.recorded.remove(&node);
    surveyed.records.extend(record.map(|it| (node, it)));
    Ok(())
}

/// The asset of that key, or a failure that offers the nearest.
pub fn asset(project: &Project, key: &str) -> Result<NodeId, Failure> {
    match project.node(key) {
        Some(node) if project.nodes[node].asset().is_some() => Ok(node),
        Some(_) => Err(Failure::usage(format!("{key} is a source: it is observed, not made"))),
        None => {
            let keys = project.assets().map(|(_, node, _)| node.key.as_str());
            let failure = Failure::usage(format!("there is no asset `{key}`"));
            Err(match suggest::nearest(key, keys) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("`assets list` shows what there is"),
            })
        }
    }
}

fn told(project: &Project, surveyed: &Survey, node: NodeId, roots: &[explain::Root]) -> Why {
    let found = surveyed.get(node).expect("the asset asked about was looked at");
    let causes = found.verdict.reasons().iter().map(|reason| {
        let root = roots.iter().find(|it| it.node == node && it.reason == *reason);
        Cause { reason: reason.clone(), diff: root.and_then(diff_of) }
    });
    let upstream = roots.iter().filter(|it| it.node != node).map(|it| Root {
        chain: it.chain.iter().skip(1).map(|it| project.key(*it).to_string()).collect(),
        cause: Cause { reason: it.reason.clone(), diff: diff_of(it) },
    });
    let mut below = NodeSet::none(project.len());
    let mut queue = vec![node];
    while let Some(at) = queue.pop() {
        queue.extend(project.graph.downstream(at).iter().copied().filter(|it| below.insert(*it)));
    }
    let key = project.key(node);
    Why {
        name: key.to_string(),
        state: found.state,
        causes: causes.collect(),
        roots: upstream.collect(),
        last: status::latest(surveyed, node).map(status::last),
        downstream: below.len(),
        next: next(found.verdict.reasons(), key.as_str()),
    }
}

fn next(reasons: &[Reason], key: &str) -> Option<String> {
    if reasons.is_empty() {
        return None;
    }
    let upstream = reasons.iter().any(|it| it.code == ReasonCode::UpstreamStale);
    Some(format!("assets materialize -s {}{key}", if upstream { "+" } else { "" }))
}

/// A diff of the text behind a cause, or the list of files behind it.
fn diff_of(root: &explain::Root) -> Option<String> {
    if let Some(text) = &root.text {
        return diff::unified(text.old.as_deref().unwrap_or(""), text.new.as_deref().unwrap_or(""));
    }
    if root.files.is_empty() {
        return None;
    }
    let mut told = String::new();
    for it in &root.files {
        let sign = match (&it.old, &it.new) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        told.push_str(&format!("{sign}{}\n", it.path));
    }
    Some(told)
}
