//! `assets clean`: deletes what was made, and the records of it. Sources are never touched, nor anything
//! that `assets` did not make.

use std::io::{BufRead, IsTerminal};

use crate::{
    base::path::ProjectPath,
    exec::{
        copies,
        io::{
            Probed,
            beneath::{Folder, Swaps},
            keep::Kept,
        },
        lock::{LockName, LockTable, Locked},
    },
    face::{
        app::App,
        cli::{Context, args::CleanArgs, error::Failure, selecting},
        exit::Exit,
        report::{
            json,
            upkeep::{CLEAN, CleanDocument, LeftOutput, RemovedAsset},
        },
        ui::words,
    },
    model::{key::PartitionKey, project::NodeId},
    plan::{
        record::{Materialization, StoredOutput},
        store::{Change, folder::Access},
    },
};

pub fn run(context: &Context, args: &CleanArgs) -> Result<Exit, Failure> {
    let selection = &args.selection;
    let selects = !args.words.is_empty() || !selection.select.is_empty() || selection.job.is_some();
    if !selects && !args.all && !args.orphans {
        return Err(Failure::usage("nothing was selected").hint("name assets, or say `--all` or `--orphans`"));
    }
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let app = App::open(&context.opening, access, false, &context.ui)?;
    let goes = if args.orphans { orphans(&app)? } else { selected(context, &app, args)? };
    let mut document = CleanDocument { schema: CLEAN, dry_run: args.dry_run, removed: Vec::new(), left: Vec::new() };
    if args.dry_run {
        for it in &goes {
            look(&app, it, &mut document);
        }
    } else if !goes.is_empty() {
        if !args.yes {
            confirm(context, &goes)?;
        }
        let locks = app.locks()?;
        app.recover(&locks, &context.ui)?;
        for it in &goes {
            remove(&app, &locks, it, &mut document)?;
        }
        if args.all {
            // Without records there is nobody to restore them for.
            let _ = Kept::new(app.workspace.root.clone()).clear();
            let _ = copies::trim(&app.workspace.root, i64::MAX, false);
        }
    }
    if context.json {
        context.ui.print(&json(&document))?;
    } else {
        context.ui.print(&text(&document, args.orphans))?;
    }
    Ok(Exit::Done)
}

/// An asset that is to go: what is recorded of it, and its node if the manifest still has it.
struct Goes {
    record: Materialization,
    node: Option<NodeId>,
}

fn selected(context: &Context, app: &App, args: &CleanArgs) -> Result<Vec<Goes>, Failure> {
    let project = app.project();
    let nodes = selecting::select(project, Some(app), &args.words, &args.selection, &context.ui)?;
    let nodes = selecting::assets_of(project, &nodes);
    let recorded = app.workspace.store.latest_all()?.into_iter();
    Ok(recorded
        .filter_map(|record| {
            let node = project.node(record.key.as_str()).filter(|it| nodes.contains(*it))?;
            Some(Goes { record, node: Some(node) })
        })
        .collect())
}

fn orphans(app: &App) -> Result<Vec<Goes>, Failure> {
    let project = app.project();
    let is_asset = |key: &str| project.node(key).is_some_and(|it| project.nodes[it].asset().is_some());
    let recorded = app.workspace.store.latest_all()?.into_iter();
    Ok(recorded.filter(|it| !is_asset(it.key.as_str())).map(|record| Goes { record, node: None }).collect())
}

/// Asks on a terminal; elsewhere there is nobody to ask.
fn confirm(context: &Context, goes: &[Goes]) -> Result<(), Failure> {
    let bytes = goes.iter().filter_map(|it| it.record.bytes).sum();
    let what = words::count(goes.len(), "asset");
    let input = std::io::stdin();
    if !input.is_terminal() || !context.ui.err().is_terminal() {
        return Err(Failure::usage(format!("the outputs of {what} would be deleted, and nobody can be asked"))
            .hint("say `--yes` to do it, `-n` to see what would go"));
    }
    for it in goes.iter().take(10) {
        context.ui.say(&format!("  {}", it.record.key));
    }
    if goes.len() > 10 {
        context.ui.say(&format!("  and {} more", goes.len() - 10));
    }
    context.ui.ask(&format!("Delete the outputs of {what} ({})? [y/N] ", words::size(bytes)));
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::usage("nothing was deleted")),
    }
}

/// The path that the record speaks of.
fn recorded_path(record: &Materialization) -> Option<&ProjectPath> {
    match &record.output {
        StoredOutput::Files(files) => files.first().map(|it| &it.path),
        StoredOutput::Token(_) => None,
    }
}

/// Why the output must be left alone; `None` if it may go.
fn protected(app: &App, goes: &Goes) -> Option<String> {
    if let (Some(node), Some(path)) = (goes.node, recorded_path(&goes.record)) {
        let elsewhere = app.project().output_path_of(node, &goes.record.partition).is_some_and(|it| it != *path);
        return elsewhere.then(|| "the manifest keeps this asset elsewhere by now".to_owned());
    }
    if goes.node.is_some() {
        return None;
    }
    let StoredOutput::Files(files) = &goes.record.output else {
        return Some("only its IO manager could delete it, and that is not known any more".to_owned());
    };
    let path = &files.first()?.path;
    let project = app.project();
    let owner = project
        .assets()
        .find(|(id, ..)| project.output_path(*id).is_some_and(|it| it.is_within(path) || path.is_within(&it)));
    if let Some((_, node, _)) = owner {
        return Some(format!("it is where {} is kept", node.key));
    }
    let changed = !app.workspace.sweep.verify(files).changed.is_empty();
    changed.then(|| "it is not what was recorded".to_owned())
}

/// Whether somebody has changed it: that is no longer what we made.
fn is_edited(app: &App, goes: &Goes) -> bool {
    let Some(node) = goes.node else { return false };
    let target = app.workspace.target(node, &goes.record.partition);
    matches!(app.workspace.io_of(node).probe(&target, &goes.record.output), Ok(Probed::Modified))
}

/// Says what is to become of it; `false` if it stays, and its record with it.
fn look(app: &App, goes: &Goes, document: &mut CleanDocument) -> bool {
    if is_edited(app, goes) {
        let path = recorded_path(&goes.record).map_or_else(|| "its output".to_owned(), ToString::to_string);
        let why = format!("it was changed by hand; delete it yourself, or first `assets accept {}`", goes.record.key);
        document.left.push(LeftOutput { key: goes.record.key.to_string(), path, why });
        return false;
    }
    let path = recorded_path(&goes.record);
    let is_there =
        path.is_some_and(|it| crate::base::fs::look(&it.under(&app.workspace.root)).is_ok_and(|it| it.is_some()));
    let why = if is_there || path.is_none() { protected(app, goes) } else { None };
    let deletes = is_there && why.is_none();
    if let (Some(why), Some(path)) = (why, path) {
        document.left.push(LeftOutput { key: goes.record.key.to_string(), path: path.to_string(), why });
    }
    document.removed.push(RemovedAsset {
        key: goes.record.key.to_string(),
        path: path.filter(|_| deletes).map(ToString::to_string),
        // What only an IO manager can find has no path, and goes too.
        bytes: goes.record.bytes.filter(|_| deletes || path.is_none() && goes.node.is_some()),
    });
    true
}

/// The output goes before its record, so that what is cut short is a missing output, which is seen.
fn remove(
    app: &App,
    locks: &std::sync::Arc<LockTable>,
    goes: &Goes,
    document: &mut CleanDocument,
) -> Result<(), Failure> {
    let workspace = &app.workspace;
    let whole = PartitionKey::whole();
    let key = &goes.record.key;
    let name = LockName::of(key, &whole);
    let _held = match locks.try_exclusive(&[name]).map_err(|it| Failure::new(Exit::State, it.to_string()))? {
        Locked::Held(guard) => guard,
        Locked::Busy(_) => {
            return Err(Failure::new(Exit::State, format!("{key} is worked on by another process"))
                .hint("try again when it has ended; what was deleted before stays deleted"));
        }
    };
    // What is recorded may have changed while we waited for an answer.
    let Some(record) = workspace.store.latest(key, &whole)? else { return Ok(()) };
    let goes = Goes { record, node: goes.node };
    if !look(app, &goes, document) {
        return Ok(());
    }
    let deletes = document.removed.last().is_some_and(|it| it.path.is_some());
    let failed = |it: crate::exec::io::IoError| Failure::new(Exit::Failed, it.to_string());
    match (goes.node, recorded_path(&goes.record)) {
        (Some(node), None) => workspace.io_of(node).delete(&workspace.target(node, &whole)).map_err(failed)?,
        (Some(node), Some(_)) if deletes => {
            workspace.io_of(node).delete(&workspace.target(node, &whole)).map_err(failed)?;
        }
        (None, Some(path)) if deletes => {
            let top = Folder::open_root(&workspace.root, Swaps::Allowed).map_err(failed)?;
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
                && let Some(folder) = top.open(&parent).map_err(failed)?
            {
                folder.remove(name).map_err(failed)?;
            }
        }
        _ => {}
    }
    workspace.store.commit(&[Change::Forgotten(key.clone())])?;
    Ok(())
}

fn text(document: &CleanDocument, orphans: bool) -> String {
    if document.removed.is_empty() && document.left.is_empty() {
        return if orphans {
            "Nothing is left of assets that are not in the manifest.\n"
        } else {
            "Nothing was made of these.\n"
        }
        .to_owned();
    }
    let verb = if document.dry_run { "would remove" } else { "removed" };
    let mut text = String::new();
    for it in &document.removed {
        let what = match (&it.path, it.bytes) {
            (Some(path), Some(bytes)) => format!("{path} ({})", words::size(bytes)),
            (Some(path), None) => path.clone(),
            (None, Some(bytes)) => format!("its output ({})", words::size(bytes)),
            (None, None) => "its record".to_owned(),
        };
        text.push_str(&format!("{verb} {}: {what}\n", it.key));
    }
    for it in &document.left {
        text.push_str(&format!("left {}: {}\n", it.path, it.why));
    }
    text
}
