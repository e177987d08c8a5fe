//! `assets backfill`: partitions that are made under a name, which can be paused, gone on with and called off.
//!
//! What was asked for is a record; what is done is asked of the planner every time. That a process works on
//! one is a lock of the kernel, which nobody has to give back.

mod ask;
mod go;
mod stand;

use crate::{
    base::suggest,
    face::{
        app::App,
        cli::{
            Context,
            backfill_args::{BackfillArgs, BackfillCommand},
            error::Failure,
        },
        exit::Exit,
        report::{
            Layout,
            backfill::{self as report, BACKFILLS, BackfillDocument, BackfillRow, BackfillsDocument},
            json,
        },
    },
    plan::{
        backfill::{Backfill, BackfillState},
        store::folder::Access,
    },
};

pub fn run(context: &Context, args: &BackfillArgs) -> Result<Exit, Failure> {
    match &args.what {
        BackfillCommand::Start(args) => ask::start(context, args),
        BackfillCommand::List => list(context),
        BackfillCommand::Show { name } => {
            let app = open(context, Access::Read)?;
            print(context, &app, &stand::document(&app, &named(&app, name)?)?)?;
            Ok(Exit::Done)
        }
        BackfillCommand::Pause { name } => turn(context, name, &[BackfillState::Wanted], BackfillState::Paused),
        BackfillCommand::Cancel { name } => {
            let from = [BackfillState::Wanted, BackfillState::Paused, BackfillState::Failed];
            turn(context, name, &from, BackfillState::Cancelled)
        }
        BackfillCommand::Resume { name, how } => go::resume(context, name, how),
        BackfillCommand::Retry { name, how } => go::retry(context, name, how),
    }
}

fn open(context: &Context, access: Access) -> Result<App, Failure> {
    App::open(&context.opening, access, false, &context.ui)
}

/// The backfill of that name.
fn named(app: &App, name: &str) -> Result<Backfill, Failure> {
    if let Some(found) = app.workspace.store.backfill(name)? {
        return Ok(found);
    }
    let all = app.workspace.store.backfills()?;
    let failure = Failure::usage(format!("there is no backfill `{name}`"));
    Err(match suggest::nearest(name, all.iter().map(|it| it.name.as_str())) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`assets backfill list` shows them"),
    })
}

/// As a document or as text.
fn print(context: &Context, app: &App, document: &BackfillDocument) -> Result<(), Failure> {
    let text = match context.json {
        true => json(document),
        false => {
            let now = app.workspace.clock.now();
            report::text(document, Layout::of(context.ui.out(), context.ui.is_verbose(), now))
        }
    };
    Ok(context.ui.print(&text)?)
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let app = open(context, Access::Read)?;
    let mut rows = Vec::new();
    for it in app.workspace.store.backfills()?.into_iter().rev() {
        // Of those that have ended it would only be told what has become of their data since.
        let fresh = match it.state.has_ended() {
            true => None,
            false => Some(stand::document(&app, &it)?.counts.fresh),
        };
        rows.push(BackfillRow {
            state: stand::standing(&app, &it).name(),
            asked_at: it.asked_at.to_string(),
            since: it.since.to_string(),
            assets: it.assets.iter().map(|it| it.key.to_string()).collect(),
            total: it.assets.iter().map(|it| it.count).sum(),
            fresh,
            name: it.name,
        });
    }
    let document = BackfillsDocument { schema: BACKFILLS, backfills: rows };
    if context.json {
        context.ui.print(&json(&document))?;
    } else {
        let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), app.workspace.clock.now());
        context.ui.print(&report::list(&document, layout))?;
    }
    Ok(Exit::Done)
}

/// Pauses it or calls it off. Whoever works on it sees that within moments.
fn turn(context: &Context, name: &str, from: &[BackfillState], to: BackfillState) -> Result<Exit, Failure> {
    let app = open(context, Access::Write)?;
    named(&app, name)?;
    go::turn(&app, name, from, to)?;
    let found = named(&app, name)?;
    if found.state != to {
        return Err(Failure::usage(format!("{name} is {} already", stand::standing(&app, &found).name())));
    }
    let document = stand::document(&app, &found)?;
    if context.json {
        context.ui.print(&json(&document))?;
        return Ok(Exit::Done);
    }
    let what = if to == BackfillState::Paused { "paused" } else { "cancelled" };
    let still = if stand::standing(&app, &found).is_at_work() { "; what is at work is finished first" } else { "" };
    context.ui.say(&format!("{name} is {what}{still}. To go on: assets backfill resume {name}"));
    Ok(Exit::Done)
}
