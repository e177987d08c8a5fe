//! `assets retry`: exactly what failed or was not reached in a run, once more.

use std::collections::BTreeSet;

use crate::{
    face::{
        app::App,
        cli::{Context, args::RetryArgs, error::Failure, materialize, past},
        exit::Exit,
        report::{json, materialize::Collector, runs::Life},
    },
    model::{event::StepOutcome, key::AssetKey, node_set::NodeSet},
    plan::{
        record::{AttemptState, RunRecord},
        store::folder::Access,
        survey::Forced,
    },
};

pub fn run(context: &Context, args: &RetryArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Write, false, &context.ui)?;
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
    let mut gone = Vec::new();
    for key in unfinished(&app, &run)? {
        match project.node(key.as_str()).filter(|it| project.nodes[*it].asset().is_some()) {
            Some(node) => drop(selected.insert(node)),
            None => gone.push(key.to_string()),
        }
    }
    if !gone.is_empty() {
        context.ui.warn(&format!("not in the manifest any more: {}", gone.join(", ")));
    }
    if selected.is_empty() {
        return nothing(context, &format!("in run {} nothing failed and nothing was skipped", run.id.0));
    }
    let signals = materialize::listen()?;
    materialize::materialize(context, &app, &signals, &selected, Forced::Nothing, &args.how, None)
}

fn nothing(context: &Context, why: &str) -> Result<Exit, Failure> {
    if context.json {
        context.ui.print(&json(Collector::new(0).document()))?;
    } else {
        context.ui.say(&format!("Nothing to retry: {why}."));
    }
    Ok(Exit::Done)
}

/// Assets that the run did not bring to a good end.
fn unfinished(app: &App, run: &RunRecord) -> Result<BTreeSet<AssetKey>, Failure> {
    let failed = |it: StepOutcome| matches!(it, StepOutcome::Failed | StepOutcome::Skipped);
    let mut keys: BTreeSet<AssetKey> =
        run.steps.iter().filter(|it| failed(it.outcome)).map(|it| it.key.clone()).collect();
    if run.outcome.is_none() {
        // It was killed: what it was working on was never reported.
        for attempt in app.workspace.store.attempts_of(&run.id)? {
            if !matches!(attempt.state, AttemptState::Succeeded(_)) {
                keys.extend(attempt.outputs);
            }
        }
        for step in run.steps.iter().filter(|it| !failed(it.outcome)) {
            keys.remove(&step.key);
        }
    }
    Ok(keys)
}
