//! Working on a backfill: one process at a time, until all is made or somebody says otherwise.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use crate::{
    exec::{
        lock::{LockError, LockGuard, LockTable},
        signal::Signal,
    },
    face::{
        app::{App, Opening},
        cli::{
            Context, again,
            args::RunArgs,
            backfill::{named, open, stand},
            choosing::Chosen,
            error::Failure,
            materialize::{self, Answer, Asked, Course},
        },
        exit::Exit,
        report::{Layout, backfill as report, json},
    },
    model::{event::RunOutcome, node_set::NodeSet},
    plan::{
        backfill::{Backfill, BackfillState},
        record::RunId,
        store::{Change, folder::Access},
        survey::Survey,
    },
};

/// How often it is asked whether the backfill is still wanted.
const ASKED_EVERY: Duration = Duration::from_millis(200);
/// How long one that is just being left, or looked at, is waited for.
const CLAIM_WAITS_MS: u64 = 2_000;
const CLAIM_TRIES: Duration = Duration::from_millis(20);

const ALL: [BackfillState; 5] = [
    BackfillState::Wanted,
    BackfillState::Paused,
    BackfillState::Cancelled,
    BackfillState::Done,
    BackfillState::Failed,
];

/// Which of its partitions are to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    All,
    Failed,
}

pub fn resume(context: &Context, name: &str, how: &RunArgs) -> Result<Exit, Failure> {
    again(context, name, how, Wish::All)
}

pub fn retry(context: &Context, name: &str, how: &RunArgs) -> Result<Exit, Failure> {
    again(context, name, how, Wish::Failed)
}

fn again(context: &Context, name: &str, how: &RunArgs, wish: Wish) -> Result<Exit, Failure> {
    let known = named(&open(context, Access::Read)?, name)?;
    // Variables of the command line go before those that it was started with.
    let vars = known.vars.iter().chain(&context.opening.vars).cloned().collect();
    let opening = Opening { vars, ..context.opening.clone() };
    let context = &Context { ui: context.ui.clone(), opening, json: context.json, typed: context.typed.clone() };
    let app = open(context, Access::Write)?;
    let lock = claim(&app, name)?;
    let known = named(&app, name)?;
    if wish == Wish::All && known.state == BackfillState::Done {
        return Err(Failure::usage(format!("{name} is done: everything that it asked for was made"))
            .hint("what is not fresh any more is made by `assets materialize`, or by another backfill"));
    }
    if wish == Wish::Failed && stand::document(&app, &known)?.counts.failed == 0 {
        drop(lock);
        return nothing(context, &app, &known);
    }
    turn(&app, name, &ALL, BackfillState::Wanted)?;
    let jobs = how.jobs.or(known.jobs.and_then(|it| usize::try_from(it).ok()));
    go(context, &app, &named(&app, name)?, &RunArgs { jobs, ..how.clone() }, wish, lock)
}

fn nothing(context: &Context, app: &App, known: &Backfill) -> Result<Exit, Failure> {
    if context.json {
        context.ui.print(&json(&stand::document(app, known)?))?;
    } else {
        context.ui.say(&format!("Nothing to retry: of {} nothing failed when it was tried last.", known.name));
    }
    Ok(Exit::Done)
}

/// Writes down what it is from now on, if it is one of `from`.
pub fn turn(app: &App, name: &str, from: &[BackfillState], to: BackfillState) -> Result<(), Failure> {
    let at = app.workspace.clock.now();
    Ok(app.workspace.store.commit(&[Change::BackfillTurned { name: name.to_owned(), from: from.to_vec(), to, at }])?)
}

/// The right to work on it, if nobody has it.
pub fn try_claim(app: &App, name: &str) -> Result<Option<LockGuard>, Failure> {
    let failed = |it: LockError| Failure::new(Exit::State, it.to_string());
    let table = LockTable::open(&stand::locks_path(app)).map_err(failed)?;
    Ok(table.try_exclusive(&[stand::lock_name(app, name)]).map_err(failed)?.guard())
}

/// The same; one that was paused or called off is waited for, as whoever works on it is about to end.
pub fn claim(app: &App, name: &str) -> Result<LockGuard, Failure> {
    let now = || app.workspace.clock.monotonic_ms();
    let mut until = now() + CLAIM_WAITS_MS;
    loop {
        if let Some(lock) = try_claim(app, name)? {
            return Ok(lock);
        }
        if app.workspace.store.backfill(name)?.is_some_and(|it| it.state != BackfillState::Wanted) {
            until = now() + CLAIM_WAITS_MS;
        } else if now() > until {
            let holder = LockTable::open(&stand::locks_path(app)).ok();
            let holder = holder.and_then(|it| it.holder(stand::lock_name(app, name)));
            let by = holder.map(|it| format!(" (process {})", it.pid)).unwrap_or_default();
            return Err(Failure::new(Exit::State, format!("another process works on {name}{by}"))
                .hint(format!("`assets backfill pause {name}` stops it, `show` tells how it goes")));
        }
        std::thread::sleep(CLAIM_TRIES);
    }
}

/// Makes what is left, and tells how it stands then.
pub fn go(
    context: &Context,
    app: &App,
    backfill: &Backfill,
    how: &RunArgs,
    wish: Wish,
    lock: LockGuard,
) -> Result<Exit, Failure> {
    let name = &backfill.name;
    let recalled = stand::recall(app, backfill);
    recalled.lost.iter().for_each(|it| context.ui.warn(&format!("{name}: {it}; left out")));
    if recalled.selected.is_empty() {
        return Err(Failure::usage(format!("nothing that {name} asked for is in the manifest any more"))
            .hint(format!("`assets backfill cancel {name}` calls it off")));
    }
    let mut selected = recalled.selected.clone();
    let only: Chosen = match wish {
        Wish::All => recalled.only.clone(),
        Wish::Failed => {
            let failed = stand::failed(app, &recalled, &stand::look(app, backfill, &recalled)?);
            let some = failed.iter().filter(|it| !it.1.is_empty()).map(|it| *it.0);
            selected = NodeSet::of(app.project().len(), some);
            failed.into_iter().filter(|it| app.workspace.partitions.cuts(it.0)).collect()
        }
    };
    let layout = Layout::of(context.ui.err(), context.ui.is_verbose(), app.workspace.clock.now());
    let begun = |run: &RunId| -> Result<(), Failure> {
        let begun = Change::BackfillBegun { name: name.clone(), run: run.clone() };
        Ok(app.workspace.store.commit(&[begun])?)
    };
    let foretell = |surveyed: &Survey| {
        if wish == Wish::All && !context.ui.is_quiet() {
            let document = stand::told(app, backfill, stand::standing(app, backfill), &recalled, surveyed);
            context.ui.say(report::text(&document, layout).trim_end());
        }
    };
    let signals = materialize::listen()?;
    let course = Course {
        order: backfill.order,
        foretell: &foretell,
        resume: again::backfill(&context.opening, "resume", name),
        retry: again::backfill(&context.opening, "retry", name),
        spared: backfill.forced.as_deref().unwrap_or_default(),
        begun: &begun,
    };
    let asked = Asked {
        selected: &selected,
        only: Some(&only),
        forced: materialize::forced(backfill.forced.is_some(), false),
        how,
        wanted: None,
        known: None,
        answer: Answer::Nothing,
        course: Some(course),
    };
    let (over, ended) = channel::<()>();
    let brought = std::thread::scope(|scope| {
        let sender = signals.sender();
        scope.spawn(move || {
            // Asked again and again: what is sent before the run listens is not heard.
            while ended.recv_timeout(ASKED_EVERY) == Err(RecvTimeoutError::Timeout) {
                // State that cannot be read now is asked again.
                let known = app.workspace.store.backfill(name);
                if known.is_ok_and(|it| it.is_none_or(|it| it.state != BackfillState::Wanted)) {
                    // Nobody listens any more: the run is over.
                    let _ = sender.send(Signal::Finish);
                }
            }
        });
        let brought = materialize::bring(context, app, &signals, &asked);
        drop(over);
        brought
    });
    let summary = brought?.summary;
    if summary.signal.is_none() {
        let to = match (wish, summary.outcome) {
            (Wish::All, RunOutcome::Succeeded) => BackfillState::Done,
            (Wish::All, _) => BackfillState::Failed,
            (Wish::Failed, _) => after_retry(app, name, &recalled)?,
        };
        turn(app, name, &[BackfillState::Wanted], to)?;
    }
    drop(lock);
    tell(context, app, name)?;
    Ok(materialize::exit_of(&summary))
}

/// What it is when what had failed was tried again: as if all of it had been gone through.
fn after_retry(app: &App, name: &str, recalled: &stand::Recalled) -> Result<BackfillState, Failure> {
    let (left, failed) = stand::left(recalled, &stand::look(app, &named(app, name)?, recalled)?);
    Ok(match (left, failed) {
        (0, _) => BackfillState::Done,
        (_, 0) => BackfillState::Paused,
        _ => BackfillState::Failed,
    })
}

fn tell(context: &Context, app: &App, name: &str) -> Result<(), Failure> {
    let known = named(app, name)?;
    if context.json {
        context.ui.print(&json(&stand::document(app, &known)?))?;
        return Ok(());
    }
    let standing = stand::standing(app, &known).name();
    context.ui.say(&format!("Backfill {name}: {standing}"));
    Ok(())
}
