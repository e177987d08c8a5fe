//! `assets check`: the checks alone, on what is published.

use std::collections::HashMap;

use crate::{
    base::fs,
    exec::{
        executor::local::LocalExecutor,
        run::recheck::{Part, Rechecked, recheck},
        signal::Signal,
    },
    face::{
        app::App,
        cli::{
            Context,
            args::CheckArgs,
            choosing::{self, Chosen},
            error::Failure,
            inside,
            materialize::{self, listen},
            selecting,
        },
        exit::Exit,
        report::{
            Layout,
            check::{CheckedAsset, Outcome, document, text},
            json,
        },
    },
    model::{key::PartitionKey, project::NodeId},
    plan::{
        checked::{Look, Said},
        record::RunId,
        store::folder::Access,
    },
};

pub fn run(context: &Context, args: &CheckArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Write, false, &context.ui)?;
    let selected = selecting::select(app.project(), Some(&app), &args.words, &args.selection, &context.ui)?;
    let project = app.project();
    let has_checks = |it: &NodeId| {
        project.op_of(*it).is_some_and(|op| project.ops[op].checks.iter().any(|check| check.asset == *it))
    };
    let chosen = choosing::chosen(&app, &selected, args.partition.as_deref(), &context.ui)?;
    let nodes = parts(&app, selected.iter().filter(has_checks), chosen.as_ref())?;
    if nodes.is_empty() {
        tell(context, &app, None, &[])?;
        return Ok(Exit::Done);
    }
    let run = RunId::new(app.workspace.clock.now(), materialize::random()?);
    let (found, signal) = look(context, &app, args, &run, &nodes)?;
    app.keep_cache(&context.ui);
    tell(context, &app, Some(&run), &found)?;
    let any = |outcome: Outcome| found.iter().any(|it| it.outcome == outcome);
    Ok(match signal {
        Some(Signal::Interrupt | Signal::Quit) => Exit::Interrupted,
        Some(_) => Exit::Terminated,
        None if any(Outcome::Error) => Exit::Failed,
        None if any(Outcome::Failed) => Exit::CheckFailed,
        None => Exit::Done,
    })
}

/// The assets, and of those with partitions the chosen ones, or all that were made.
fn parts(app: &App, nodes: impl Iterator<Item = NodeId>, chosen: Option<&Chosen>) -> Result<Vec<Part>, Failure> {
    let partitions = &app.workspace.partitions;
    let (cut, plain): (Vec<NodeId>, Vec<NodeId>) = nodes.partition(|it| partitions.cuts(*it));
    let mut parts: Vec<Part> = plain.into_iter().map(|it| (it, PartitionKey::whole())).collect();
    if cut.is_empty() {
        return Ok(parts);
    }
    let made = app.workspace.store.latest_all()?;
    for node in cut {
        let keys = partitions.of_node(node);
        let of_node = made.iter().filter(|it| it.key == *app.project().key(node));
        let places = match chosen.and_then(|it| it.get(&node)) {
            Some(places) => places.clone(),
            None => of_node.filter_map(|it| keys.place(it.partition.as_str()).ok()).collect(),
        };
        parts.extend(places.iter().filter_map(|it| Some((node, keys.key(it)?))));
    }
    Ok(parts)
}

/// What came of each, in the order given; those that a signal kept from being looked at are left out.
fn look(
    context: &Context,
    app: &App,
    args: &CheckArgs,
    run: &RunId,
    nodes: &[Part],
) -> Result<(Vec<CheckedAsset>, Option<Signal>), Failure> {
    let state_error = |it: String| Failure::new(Exit::State, it);
    let locks = app.locks()?;
    app.recover(&locks, &context.ui)?;
    let signals = listen()?;
    let jobs = materialize::jobs_of(args.jobs);
    let jobs_folder = app.state.path().join("jobs").join(&run.0);
    let log_folder = app.state.logs().join(&run.0);
    fs::create_folder(&log_folder)?;
    let run_context = materialize::run_context(context, app, &locks, run, jobs)?;
    let shared = locks.share().map_err(|it| state_error(it.to_string()))?;
    let executor = inside::executor(
        app.project(),
        materialize::this_program(),
        LocalExecutor::new(materialize::this_program(), Some(shared)),
    );
    let mut found: HashMap<Part, CheckedAsset> = HashMap::new();
    let mut told = |part: Part, it: Rechecked| {
        let checked = checked(context, app, run, &part, it);
        found.insert(part, checked);
    };
    let signal = signals.heard(|| recheck(&run_context, nodes, jobs, &*executor, &signals.messages, &mut told));
    let _ = fs::remove(&jobs_folder);
    // What said nothing left nothing.
    fs::remove_empty_folder(&log_folder);
    Ok((nodes.iter().filter_map(|it| found.remove(it)).collect(), signal))
}

/// As it is told; what was looked at is remembered.
fn checked(context: &Context, app: &App, run: &RunId, part: &Part, it: Rechecked) -> CheckedAsset {
    let (key, partition) = (app.project().key(part.0), &part.1);
    let nothing = |outcome: Outcome, error: Option<String>| CheckedAsset {
        key: key.to_string(),
        partition: partition.name().map(str::to_owned),
        outcome,
        data_version: None,
        error,
        checks: Vec::new(),
    };
    match it {
        Rechecked::Missing => nothing(Outcome::Missing, None),
        Rechecked::Broken(why) => nothing(Outcome::Error, Some(why)),
        Rechecked::Looked { checks, data_version } => {
            let data_version = Some(data_version.to_string());
            let said = checks.iter().map(Said::from).collect();
            let at = app.workspace.clock.now();
            let look =
                Look { at, run: run.0.clone(), partition: None, data_version: data_version.clone(), checks: said };
            if let Err(error) = app.workspace.checked.add(key, partition, &look) {
                context.ui.warn(&format!("the history of checks is not complete: {error}"));
            }
            CheckedAsset { outcome: Outcome::of(&checks), data_version, checks, ..nothing(Outcome::Passed, None) }
        }
    }
}

fn tell(context: &Context, app: &App, run: Option<&RunId>, found: &[CheckedAsset]) -> Result<(), Failure> {
    if context.json {
        return context.ui.print(&json(&document(run.map(|it| it.0.as_str()), found))).map_err(Failure::from);
    }
    let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), app.workspace.clock.now());
    context.ui.print(&text(found, layout)).map_err(Failure::from)
}
