//! `assets runs`: what was run, newest first; or one run, step by step.

use crate::{
    face::{
        app::App,
        cli::{Context, args::RunsArgs, error::Failure, past},
        exit::Exit,
        report::{Layout, json, runs},
    },
    plan::{record::RunRecord, store::folder::Access},
};

pub fn run(context: &Context, args: &RunsArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let store = &app.workspace.store;
    let records: Vec<RunRecord> = match &args.run {
        Some(name) => vec![past::require(&app, name)?],
        None => {
            let newest = store.runs(args.limit)?;
            let whole: Result<Vec<_>, _> = newest.iter().map(|it| store.run(&it.id)).collect();
            whole?.into_iter().flatten().collect()
        }
    };
    let lives: Vec<_> = records.iter().map(|it| past::life(&app, it)).collect();
    let told: Vec<_> = records.into_iter().zip(lives).collect();
    if context.json {
        context.ui.print(&json(&runs::document(&told)))?;
        return Ok(Exit::Done);
    }
    let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), app.workspace.clock.now());
    let text = match (&args.run, told.as_slice()) {
        (Some(_), [(run, life)]) => runs::text_of_one(run, *life, layout),
        _ => runs::text(&told, layout),
    };
    context.ui.print(&text)?;
    Ok(Exit::Done)
}
