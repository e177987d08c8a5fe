//! `assets mv OLD NEW`: a rename that loses no history.

use crate::{
    base::{path::ProjectPath, suggest},
    exec::rename::{RenameError, Renamed, rename},
    face::{
        app::App,
        cli::{Context, args::MvArgs, error::Failure},
        exit::Exit,
        report::{
            json,
            upkeep::{MV, Moved, MvDocument},
        },
        ui::words,
    },
    model::{key::AssetKey, partitioning::template_of},
    plan::store::folder::Access,
};

/// Outputs that stay are told one by one up to so many.
const STAYS_TOLD_MAX: usize = 5;

pub fn run(context: &Context, args: &MvArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Write, false, &context.ui)?;
    let key = |text: &str| AssetKey::parse(text).map_err(|it| Failure::usage(format!("`{text}` is no key: {it}")));
    let (old, new) = (key(&args.old)?, key(&args.new)?);
    if old == new {
        return Err(Failure::usage("the two keys are the same"));
    }
    let locks = app.locks()?;
    app.recover(&locks, &context.ui)?;
    let renamed = match rename(&app.workspace, &locks, &old, &new) {
        Ok(it) => it,
        Err(error) => return Err(failure(&app, error)?),
    };
    app.keep_cache(&context.ui);
    for (path, why) in renamed.stays.iter().take(STAYS_TOLD_MAX) {
        context.ui.warn(&format!("the output stays at {path}: {why}"));
    }
    if renamed.stays.len() > STAYS_TOLD_MAX {
        context.ui.warn(&format!("and {} more stay where they are", renamed.stays.len() - STAYS_TOLD_MAX));
    }
    let is_declared = app.project().node(new.as_str()).is_some();
    if context.json {
        let moved = moved(&renamed);
        let dependents = renamed.dependents.iter().map(ToString::to_string).collect();
        let (old, new) = (old.to_string(), new.to_string());
        context.ui.print(&json(&MvDocument { schema: MV, old, new, moved, dependents }))?;
    } else {
        context.ui.print(&text(&old, &new, &renamed))?;
    }
    if !is_declared {
        context
            .ui
            .say(&format!("Now rename it in the manifest too: [asset.{old}] to [asset.{new}], and where it is named."));
    }
    Ok(Exit::Done)
}

fn text(old: &AssetKey, new: &AssetKey, renamed: &Renamed) -> String {
    let mut text = format!("{old} is {new} now\n");
    if let Some(Moved { from, to, partitions }) = moved(renamed) {
        let many = partitions.map(|it| format!(" ({})", words::count(it, "partition"))).unwrap_or_default();
        text.push_str(&format!("moved {from} to {to}{many}\n"));
    }
    text
}

/// Of partitions as the templates of their paths.
fn moved(renamed: &Renamed) -> Option<Moved> {
    let (partition, from, to) = renamed.moved.first()?;
    let told = |path: &ProjectPath| match partition.name() {
        Some(_) => template_of(&path.to_string(), partition),
        None => path.to_string(),
    };
    Some(Moved { from: told(from), to: told(to), partitions: partition.name().map(|_| renamed.moved.len()) })
}

fn failure(app: &App, error: RenameError) -> Result<Failure, Failure> {
    let message = error.to_string();
    Ok(match error {
        RenameError::NothingKnown(key) => {
            let known = app.workspace.store.latest_all()?;
            let failure = Failure::usage(message);
            match suggest::nearest(key.as_str(), known.iter().map(|it| it.key.as_str())) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => {
                    failure.hint("it was never built, so that there is no history to keep: rename it in the manifest")
                }
            }
        }
        RenameError::Taken(key) => Failure::usage(message)
            .hint(format!("`assets clean {key}` forgets that and deletes what it made; then try again")),
        RenameError::BothDeclared(old, _) => {
            Failure::usage(message).hint(format!("take {old} out of the manifest, or give another name"))
        }
        RenameError::Source(_) => Failure::usage(message),
        RenameError::Busy(_, Some(it)) => {
            Failure::new(Exit::State, message).hint(format!("wait for process {} ({})", it.pid, it.command))
        }
        RenameError::Busy(_, None) => Failure::new(Exit::State, message).hint("try again when it has ended"),
        RenameError::Store(error) => error.into(),
        RenameError::Lock(_) => Failure::new(Exit::State, message),
        RenameError::Io(error) => match error.help() {
            Some(help) => Failure::new(Exit::Failed, message).hint(help),
            None => Failure::new(Exit::Failed, message),
        },
    })
}
