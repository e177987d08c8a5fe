//! `assets retry`: exactly what failed or was not reached in a run, once more.

use std::collections::BTreeSet;

use clap::Parser;

use crate::{
    face::{
        app::App,
        cli::{
            Context,
            args::{Cli, Command, MaterializeArgs, RetryArgs, RunArgs},
            choosing::Chosen,
            defer,
            error::Failure,
            job,
            materialize::{self, Answer, Asked},
            partition_args::{JobArgs, JobCommand},
            past,
        },
        exit::Exit,
        report::{json, materialize::Collector, runs::Life},
    },
    model::{
        event::StepOutcome,
        key::{AssetKey, PartitionKey},
        node_set::NodeSet,
        partition::PartitionSet,
    },
    plan::{
        record::{AttemptState, RunRecord, StepRecord},
        store::folder::Access,
        survey::Forced,
    },
};

pub fn run(context: &Context, args: &RetryArgs) -> Result<Exit, Failure> {
    let mut app = App::open(&context.opening, Access::Write, false, &context.ui)?;
    if args.run.is_none() && app.workspace.store.runs(1)?.is_empty() {
        return nothing(context, "nothing was run yet");
    }
    let run = past::require(&app, args.run.as_deref().unwrap_or(past::LATEST))?;
    if past::life(&app, &run) == Life::Alive {
        return Err(Failure::usage(format!("run {} is not over yet", run.id.0))
            .hint(format!("`assets logs {} --follow` shows how it goes", run.id.0)));
    }
    let project = app.project();
    let mut selected = NodeSet::none(project.len());
    let mut only = Chosen::new();
    let mut gone = BTreeSet::new();
    for (key, partition) in unfinished(&app, &run)? {
        let Some(node) = project.node(key.as_str()).filter(|it| project.nodes[*it].asset().is_some()) else {
            gone.insert(key.to_string());
            continue;
        };
        selected.insert(node);
        if let Ok(place) = app.workspace.partitions.of_node(node).place(partition.as_str()) {
            let chosen = only.entry(node).or_default();
            *chosen = chosen.union(&PartitionSet::one(place));
        }
    }
    if !gone.is_empty() {
        context.ui.warn(&format!("not in the manifest any more: {}", gone.into_iter().collect::<Vec<_>>().join(", ")));
    }
    if selected.is_empty() {
        return nothing(context, &format!("in run {} nothing failed and nothing was skipped", run.id.0));
    }
    let meant = meant(&app, &run)?;
    if let Some(meant) = &meant {
        defer::apply(context, &mut app, &meant.defer, &selected)?;
        defer::line(&app).iter().for_each(|it| context.ui.say(it));
    }
    let how = match &meant {
        Some(it) => how(&args.how, &it.how),
        None => args.how.clone(),
    };
    let forced = meant.map_or(Forced::Nothing, |it| materialize::forced(it.force, it.full_refresh));
    let signals = materialize::listen()?;
    let answer = if context.json { Answer::Document } else { Answer::Nothing };
    let only = Some(&only);
    let asked = Asked { selected: &selected, only, forced, how: &how, wanted: None, known: None, answer, course: None };
    materialize::bring(context, &app, &signals, &asked).map(|it| materialize::exit_of(&it.summary))
}

/// Whatever is not said now is as it was said then.
fn how(now: &RunArgs, then: &RunArgs) -> RunArgs {
    RunArgs {
        jobs: now.jobs.or(then.jobs),
        fail_fast: now.fail_fast || then.fail_fast && !now.keep_going,
        ..now.clone()
    }
}

/// What the run was asked for: one that was a retry itself was asked for what the run before it was, and how it said
/// itself.
fn meant(app: &App, run: &RunRecord) -> Result<Option<MaterializeArgs>, Failure> {
    let runs = app.workspace.store.runs(usize::MAX)?;
    let (mut run, mut said) = (Some(run), RunArgs::default());
    while let Some(it) = run {
        let typed = std::iter::once("assets").chain(it.command.iter().map(String::as_str));
        let before = runs.iter().skip_while(|other| other.id != it.id).skip(1);
        run = match Cli::try_parse_from(typed).map(|it| it.command) {
            Ok(Command::Materialize(args)) => {
                return Ok(Some(MaterializeArgs { how: how(&said, &args.how), ..args }));
            }
            Ok(Command::Job(JobArgs { what: JobCommand::Run { name, how: of_job, .. } })) => {
                let of_job =
                    app.project().jobs.get(&name).map_or(of_job.clone(), |it| job::how(app.project(), it, &of_job));
                return Ok(Some(MaterializeArgs { how: how(&said, &of_job), ..MaterializeArgs::default() }));
            }
            Ok(Command::Retry(args)) => {
                said = how(&said, &args.how);
                match args.run {
                    Some(id) => before.clone().find(|it| it.id.0 == id),
                    None => before.clone().next(),
                }
            }
            _ => None,
        };
    }
    Ok(None)
}

fn nothing(context: &Context, why: &str) -> Result<Exit, Failure> {
    if context.json {
        context.ui.print(&json(Collector::new(0).document()))?;
    } else {
        context.ui.say(&format!("Nothing to retry: {why}."));
    }
    Ok(Exit::Done)
}

/// Assets, and partitions of theirs, that the run did not bring to a good end.
fn unfinished(app: &App, run: &RunRecord) -> Result<BTreeSet<(AssetKey, PartitionKey)>, Failure> {
    let failed = |it: StepOutcome| matches!(it, StepOutcome::Failed | StepOutcome::Skipped);
    let of = |it: &StepRecord| (it.key.clone(), it.partition.clone());
    let mut keys: BTreeSet<_> = run.steps.iter().filter(|it| failed(it.outcome)).map(of).collect();
    if run.outcome.is_none() {
        // It was killed: what it was working on was never reported.
        for attempt in app.workspace.store.attempts_of(&run.id)? {
            if !matches!(attempt.state, AttemptState::Succeeded(_)) {
                keys.extend(attempt.outputs.into_iter().map(|it| (it, attempt.partition.clone())));
            }
        }
        for step in run.steps.iter().filter(|it| !failed(it.outcome)) {
            keys.remove(&of(step));
        }
    }
    Ok(keys)
}
