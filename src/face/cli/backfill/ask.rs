//! `assets backfill start`: what is meant is settled, written down under a name, and begun.

use crate::{
    exec::lock::LockGuard,
    face::{
        app::App,
        cli::{
            Context,
            backfill::{
                go::{self, Wish},
                open, print, stand,
            },
            backfill_args::StartArgs,
            choosing,
            error::Failure,
            selecting,
        },
        exit::Exit,
        report::backfill::Standing,
    },
    model::{node_set::NodeSet, partition},
    plan::{
        backfill::{Backfill, BackfillAsset, BackfillState, Order},
        store::{Change, folder::Access},
    },
};

pub fn start(context: &Context, args: &StartArgs) -> Result<Exit, Failure> {
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let app = open(context, access)?;
    if let Some(name) = &args.name {
        check_name(&app, name)?;
    }
    let selected = selecting::select(app.project(), Some(&app), &[], &args.selection, &context.ui)?;
    let selected = selecting::made_of(app.project(), &selected);
    let assets = wanted(context, &app, &selected, args.partition.as_deref())?;
    let asked = |name: String| asked(context, &app, args, name, assets.clone());
    if args.dry_run {
        let backfill = asked(args.name.clone().unwrap_or_else(|| "new".to_owned()));
        let recalled = stand::recall(&app, &backfill);
        let surveyed = stand::look(&app, &backfill, &recalled)?;
        app.keep_cache(&context.ui);
        print(context, &app, &stand::told(&app, &backfill, Standing::Planned, &recalled, &surveyed))?;
        return Ok(Exit::Done);
    }
    let (name, lock) = match &args.name {
        Some(name) => {
            let lock = go::claim(&app, name)?;
            // Somebody else may have been first by a moment.
            check_name(&app, name)?;
            (name.clone(), lock)
        }
        None => make_name(&app, &assets)?,
    };
    let backfill = asked(name);
    app.workspace.store.commit(&[Change::BackfillAsked(Box::new(backfill.clone()))])?;
    go::go(context, &app, &backfill, &args.how, Wish::All, lock)
}

/// Each asset with those of its partitions that are meant, upstream first.
fn wanted(context: &Context, app: &App, selected: &NodeSet, text: Option<&str>) -> Result<Vec<BackfillAsset>, Failure> {
    let only = choosing::chosen(app, selected, text, &context.ui)?;
    let project = app.project();
    let mut assets = Vec::new();
    for node in project.graph.order().iter().filter(|it| selected.contains(**it)) {
        let keys = app.workspace.partitions.of_node(*node);
        let set = only.as_ref().and_then(|it| it.get(node)).cloned().unwrap_or_else(|| keys.all());
        if set.is_empty() {
            continue;
        }
        let cuts = app.workspace.partitions.cuts(*node);
        assets.push(BackfillAsset {
            key: project.key(*node).clone(),
            partitions: cuts.then(|| keys.written(&set)),
            count: set.count(),
        });
    }
    if assets.is_empty() {
        return Err(Failure::usage("there is nothing to make: no partition of what is selected is meant")
            .hint("`assets list` shows what a selection means, `assets partitions list` what there is"));
    }
    Ok(assets)
}

fn asked(context: &Context, app: &App, args: &StartArgs, name: String, assets: Vec<BackfillAsset>) -> Backfill {
    let now = app.workspace.clock.now();
    Backfill {
        name,
        asked_at: now,
        command: context.typed.clone(),
        assets,
        order: if args.newest_first { Order::NewestFirst } else { Order::OldestFirst },
        jobs: args.how.jobs.filter(|it| *it > 0).map(|it| it as u64),
        vars: context.opening.vars.clone(),
        state: BackfillState::Wanted,
        since: now,
        forced: args.force.then(Vec::new),
    }
}

/// A name that can be typed, and that nothing is called yet.
fn check_name(app: &App, name: &str) -> Result<(), Failure> {
    partition::check_name(name)
        .map_err(|it| Failure::usage(format!("{name:?}: {}", it.to_string().replace("a key", "a name"))))?;
    if let Some(known) = app.workspace.store.backfill(name)? {
        let is = stand::standing(app, &known).name();
        return Err(Failure::usage(format!("there is a backfill `{name}` already ({is})"))
            .hint(format!("`assets backfill show {name}` tells of it; choose another name, or leave it out")));
    }
    // A word that was probably meant as a selection.
    if app.project().node(name).is_some() {
        return Err(Failure::usage(format!("`{name}` is an asset, and here the name of the backfill is meant"))
            .hint(format!("to choose the asset: `assets backfill start -s {name}`")));
    }
    Ok(())
}

/// After the first asset, with the first number that is free.
fn make_name(app: &App, assets: &[BackfillAsset]) -> Result<(String, LockGuard), Failure> {
    let base = assets[0].key.as_str().replace('/', "-");
    for number in 1_u64.. {
        let name = format!("{base}-{number}");
        if app.workspace.store.backfill(&name)?.is_some() {
            continue;
        }
        // Held by one that is just being asked for.
        let Some(lock) = go::try_claim(app, &name)? else { continue };
        if app.workspace.store.backfill(&name)?.is_none() {
            return Ok((name, lock));
        }
    }
    unreachable!("there are more numbers than backfills")
}
