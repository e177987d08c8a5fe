//! `assets status`: what is fresh and what is not. Runs nothing and changes nothing.

use std::mem::ManuallyDrop;

use crate::{
    exec::run::context::Workspace,
    face::{
        app::App,
        cli::{Context, args::StatusArgs, defer, error::Failure, refresh, selecting},
        exit::Exit,
        quick::{self, Asking, Told},
        report::{
            Last, Layout, json,
            status::{self, DeferredStatus, PartitionRange, Partitions, StatusDocument, StatusRow},
        },
        ui::words,
    },
    model::{
        partition::{Keys, PartitionSet},
        project::NodeId,
        staleness::{Reason, State},
    },
    plan::{
        parted::Parted,
        record::Materialization,
        store::folder::Access,
        survey::{Forced, Request, Survey, survey, survey_states},
    },
};

pub fn run(context: &Context, args: &StatusArgs) -> Result<Exit, Failure> {
    let vouched = match quick(context, args) {
        Told::AllFresh(assets) => {
            context.ui.print(&format!("{}\n", words::all_fresh(assets)))?;
            return Ok(Exit::Done);
        }
        Told::Some(it) => Some(it),
        Told::Nothing => None,
    };
    let access = if args.refresh { Access::Write } else { Access::Read };
    let mut app = App::open(&context.opening, access, args.verify, &context.ui)?;
    let nodes = selecting::select(app.project(), Some(&app), &args.words, &args.selection, &context.ui)?;
    let mut selected = selecting::assets_of(app.project(), &nodes);
    match args.words.is_empty() && args.selection.is_everything() {
        true => defer::from(context, &mut app, &args.defer, &selected)?,
        false => defer::apply(context, &mut app, &args.defer, &selected)?,
    }
    selected = defer::without(&app, &selected);
    let project = app.project();
    let scope = defer::without(&app, &project.assets_with_upstream(&selected));
    if args.refresh {
        refresh::sources(context, &app, &scope)?;
    }
    let world = app.workspace.world();
    let generation = app.workspace.store.generation()?;
    // Given back with the process: piece by piece it would take as long as deciding did.
    let request = Request { scope: &scope, runs: &scope, forced: Forced::Nothing, only: None };
    let known = vouched.and_then(|it| it.known(&app));
    let surveyed = ManuallyDrop::new(survey_states(&world, &request, known.as_ref())?);
    let rows: Vec<StatusRow> = selected.iter().map(|it| row(&app.workspace, &surveyed, it)).collect();
    app.keep_cache(&context.ui);
    if context.json {
        let deferred = defer::told(&app).map(|(target, assets)| DeferredStatus { target, assets });
        let document = status::document(&project.name, project.target.as_deref(), &rows);
        let document = StatusDocument { deferred, ..document };
        context.ui.print(&json(&document))?;
    } else {
        let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), world.now);
        context.ui.print(&status::text(&rows, layout))?;
        if let Some(line) = defer::line(&app) {
            context.ui.print(&format!("{line}\n"))?;
        }
    }
    let fresh = rows.iter().all(|it| it.state == State::Fresh);
    if known.is_none() {
        quick::keep(&app, &context.opening, &surveyed, generation);
    } else if fresh {
        // What has moved holds what it held: to be told so next time, all of it is looked at once.
        quick::keep(&app, &context.opening, &survey(&world, &request)?, generation);
    }
    Ok(if fresh || args.exit_zero { Exit::Done } else { Exit::NotFresh })
}

/// What is known without opening the project, if this is the plain question.
fn quick(context: &Context, args: &StatusArgs) -> Told {
    if args.refresh || args.verify || args.defer.defer.is_some() || context.json || context.ui.is_verbose() {
        return Told::Nothing;
    }
    quick::ask(&context.opening, Asking::Status, &args.words, &args.selection)
}

fn row(workspace: &Workspace, surveyed: &Survey, node: NodeId) -> StatusRow {
    let project = &*workspace.project;
    let it = &project.nodes[node];
    let found = surveyed.get(node).expect("every selected asset was looked at");
    StatusRow {
        key: it.key.to_string(),
        state: found.state,
        reasons: found.verdict.reasons().to_vec(),
        group: it.group.clone(),
        io: it.asset().map(|it| project.io_managers[it.io].name.clone()),
        partitions: surveyed.parted.get(&node).map(|it| partitions(it, workspace.partitions.of_node(node))),
        last: latest(surveyed, node).map(last),
    }
}

/// The record of an asset; of one with partitions the youngest of theirs.
pub fn latest(surveyed: &Survey, node: NodeId) -> Option<&Materialization> {
    let youngest = || surveyed.recorded.get(&node)?.values().max_by_key(|it| it.at);
    surveyed.records.get(&node).or_else(youngest)
}

/// How many are in which state, and which, as few ranges as there are differences.
fn partitions(parted: &Parted, keys: &Keys) -> Partitions {
    let mut groups: Vec<(State, Option<Reason>, bool, PartitionSet)> = Vec::new();
    for piece in &parted.pieces {
        let first = piece.found.verdict.reasons().first();
        for (waits, places) in
            [(true, piece.places.intersection(&parted.waiting)), (false, piece.places.difference(&parted.waiting))]
        {
            if places.is_empty() {
                continue;
            }
            let alike = |it: &&mut (State, Option<Reason>, bool, PartitionSet)| {
                it.0 == piece.found.state && it.2 == waits && same_cause(it.1.as_ref(), first)
            };
            match groups.iter_mut().find(alike) {
                Some(it) => it.3 = it.3.union(&places),
                None => groups.push((piece.found.state, first.cloned(), waits, places)),
            }
        }
    }
    groups.sort_by_key(|it| it.3.first());
    let ranges = groups.into_iter().map(|(state, reason, waiting, places)| PartitionRange {
        partitions: keys.print(&places),
        count: places.count(),
        state,
        waiting,
        reason,
    });
    Partitions {
        total: parted.total(),
        fresh: parted.count(State::Fresh),
        stale: parted.count(State::Stale),
        missing: parted.count(State::Missing),
        failed: parted.count(State::Failed),
        blocked: parted.count(State::Blocked),
        waiting: parted.waiting.count(),
        ranges: ranges.collect(),
    }
}

/// Whether two partitions are told in one line: the same happened, to the same asset.
fn same_cause(a: Option<&Reason>, b: Option<&Reason>) -> bool {
    let cause = |it: &Reason| (it.code, it.subject.split('@').next().map(str::to_owned));
    a.map(cause) == b.map(cause)
}

/// The latest materialization as reports tell it.
pub fn last(record: &Materialization) -> Last {
    Last {
        run: record.run.0.clone(),
        at: record.at,
        data_version: record.data_version,
        duration_ms: record.duration_ms,
    }
}
