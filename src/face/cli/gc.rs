//! `assets gc`: forgets old runs with their logs, versions that were kept for nothing, and what killed
//! runs left behind. Never an output, never a record that a decision stands on, never what is at work.

use std::{
    collections::{BTreeMap, HashSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    base::{fs, path::ProjectPath, process},
    exec::{
        copies,
        io::{
            IoError,
            fs::{find_leftovers, sweep_leftovers},
            keep::Kept,
        },
        lock::{LockName, LockTable, Locked},
    },
    face::{
        app::App,
        cli::{Context, args::GcArgs, error::Failure, past},
        exit::Exit,
        report::{
            json,
            runs::Life,
            upkeep::{GC, GcDocument},
        },
        ui::words,
    },
    model::{partitioning::common_folder, project::NodeId},
    plan::{
        record::{AttemptId, RunId, RunRecord},
        store::{Change, folder::Access},
    },
};

/// Of so many partitions at most nobody may be at work while what they left is removed.
const LOCKED_MAX: usize = 20_000;
/// The folder of logs of sources that were asked.
const SOURCES: &str = "sources";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub fn run(context: &Context, args: &GcArgs) -> Result<Exit, Failure> {
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let app = App::open(&context.opening, access, false, &context.ui)?;
    let locks = if args.dry_run { None } else { Some(app.locks()?) };
    if let Some(locks) = &locks {
        app.recover(locks, &context.ui)?;
    }
    let before_ms = app.workspace.clock.now().as_millisecond().saturating_sub(i64::from(args.days) * DAY_MS);
    let mut document = GcDocument {
        schema: GC,
        dry_run: args.dry_run,
        runs: Vec::new(),
        logs_bytes: 0,
        kept_versions: 0,
        kept_bytes: 0,
        copies: 0,
        copies_bytes: 0,
        leftovers: Vec::new(),
        leftovers_bytes: 0,
    };
    runs(&app, args, before_ms, &mut document)?;
    let kept = Kept::new(app.workspace.root.clone());
    (document.kept_versions, document.kept_bytes) =
        kept.trim(before_ms.saturating_mul(1_000_000), args.dry_run).map_err(io_failure)?;
    // A command at work may be reading one.
    if !app.workspace.store.runs(usize::MAX)?.iter().any(|it| past::life(&app, it) == Life::Alive) {
        let before_ns = before_ms.saturating_mul(1_000_000);
        (document.copies, document.copies_bytes) =
            copies::trim(&app.workspace.root, before_ns, args.dry_run).map_err(io_failure)?;
        scratch(&app, locks.as_ref(), &mut document)?;
    }
    leftovers(&app, locks.as_ref(), &mut document)?;
    if context.json {
        context.ui.print(&json(&document))?;
    } else {
        context.ui.print(&text(&document))?;
    }
    Ok(Exit::Done)
}

fn io_failure(error: IoError) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}

/// Forgets runs that are too old or too many, and removes the folders of runs that nobody knows.
fn runs(app: &App, args: &GcArgs, before_ms: i64, document: &mut GcDocument) -> Result<(), Failure> {
    let store = &app.workspace.store;
    let all = store.runs(usize::MAX)?;
    let old = |(place, run): &(usize, &RunRecord)| *place >= args.runs || run.started_at.as_millisecond() < before_ms;
    let goes: Vec<RunId> = all
        .iter()
        .enumerate()
        .filter(|it| old(it) && past::life(app, it.1) == Life::Over)
        .map(|(_, it)| it.id.clone())
        .collect();
    let going: HashSet<&RunId> = goes.iter().collect();
    let mut folders: Vec<PathBuf> = Vec::new();
    for (parent, ended_too) in [("logs", false), ("jobs", true)] {
        for entry in fs::list(&app.state.path().join(parent))?.unwrap_or_default() {
            let id = RunId(entry.file_name().to_string_lossy().into_owned());
            if id.0 == SOURCES {
                // Somebody may be asking one now.
                folders.extend(older(&entry.path(), before_ms)?);
                continue;
            }
            // Asked now: a run is recorded before it makes a folder.
            let known = store.run(&id)?;
            let unused = match &known {
                None => true,
                Some(run) => going.contains(&id) || ended_too && past::life(app, run) == Life::Over,
            };
            if unused {
                folders.push(entry.path());
            }
        }
    }
    document.logs_bytes = folders.iter().map(|it| fs::bytes_of(it)).sum();
    document.runs = goes.iter().map(|it| it.0.clone()).collect();
    if args.dry_run {
        return Ok(());
    }
    // The records first: a log without a run is removed by the next gc, a run without its log lies.
    let changes: Vec<Change> = goes.into_iter().map(Change::RunForgotten).collect();
    if !changes.is_empty() {
        store.commit(&changes)?;
    }
    folders.iter().try_for_each(|it| fs::remove(it))?;
    Ok(())
}

/// Files of a folder that were last written before that.
fn older(folder: &Path, before_ms: i64) -> Result<Vec<PathBuf>, Failure> {
    let is_old = |it: &PathBuf| {
        let found = fs::look(it).ok().flatten();
        found.is_some_and(|it| it.mtime().saturating_mul(1000) < before_ms)
    };
    let there = fs::list(folder)?.unwrap_or_default();
    Ok(there.into_iter().map(|it| it.path()).filter(is_old).collect())
}

/// What processes that are no more have put into the folder for that. Only looked at without `locks`.
fn scratch(app: &App, locks: Option<&Arc<LockTable>>, document: &mut GcDocument) -> Result<(), Failure> {
    let all = || app.project().assets().flat_map(|it| locks_of(app, it.0)).collect::<Vec<_>>();
    let mut held = None;
    let folder = app.workspace.root.join(".assets/tmp");
    for entry in fs::list(&folder)?.unwrap_or_default() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_over = match name.split_once('-') {
            Some(("ask" | "diff" | "load", pid)) => pid.parse().is_ok_and(|it| !process::is_there(it)),
            Some(("memory", rest)) => {
                rest.split('-').next().and_then(|it| it.parse().ok()).is_some_and(|it| !process::is_there(it))
            }
            // Of runs: they were recovered, and none is at work. A run of another target has its own records, but the
            // same locks.
            Some(("query" | "check", _)) => match (locks, &held) {
                (Some(locks), None) => {
                    held = Some(locked(locks, &all())?);
                    matches!(held, Some(Locked::Held(_)))
                }
                (_, held) => !matches!(held, Some(Locked::Busy(_))),
            },
            _ => false,
        };
        if is_over {
            document.leftovers.push(format!(".assets/tmp/{name}"));
            document.leftovers_bytes += fs::bytes_of(&entry.path());
            if !document.dry_run {
                fs::remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

/// The folders that outputs of an asset lie in: of partitions those that are there, wherever their paths lead.
fn folders_of(app: &App, node: NodeId) -> Result<Vec<ProjectPath>, Failure> {
    let project = app.project();
    let Some(path) = project.output_path(node) else { return Ok(Vec::new()) };
    let Some(asset) = project.nodes[node].asset().filter(|_| app.workspace.partitions.cuts(node)) else {
        return Ok(path.parent().into_iter().collect());
    };
    let template = asset.path.to_string();
    let below: Vec<&str> = template[common_folder(&template).len()..].split('/').filter(|it| !it.is_empty()).collect();
    let mut folders = vec![path];
    for part in &below[..below.len().saturating_sub(1)] {
        let mut deeper = Vec::new();
        for folder in &folders {
            if !part.contains("{{") {
                deeper.push(folder.join(part));
                continue;
            }
            for entry in fs::list(&folder.under(&app.workspace.root))?.unwrap_or_default() {
                if entry.file_type().is_ok_and(|it| it.is_dir()) {
                    deeper.push(folder.join(entry.file_name()));
                }
            }
        }
        folders = deeper;
    }
    Ok(folders)
}

/// What is held while an asset is made; of very many partitions the first.
fn locks_of(app: &App, node: NodeId) -> Vec<LockName> {
    let keys = app.workspace.partitions.of_node(node);
    let all = keys.all();
    let name = |it: u64| Some(LockName::of(app.project().key(node), &keys.key(it)?));
    all.iter().take(LOCKED_MAX).filter_map(name).collect()
}

/// What attempts that are over left beside outputs. Only looked at without `locks`.
fn leftovers(app: &App, locks: Option<&Arc<LockTable>>, document: &mut GcDocument) -> Result<(), Failure> {
    let project = app.project();
    let workspace = &app.workspace;
    let mut folders: BTreeMap<ProjectPath, Vec<NodeId>> = BTreeMap::new();
    for (id, ..) in project.assets() {
        for folder in folders_of(app, id)? {
            folders.entry(folder).or_default().push(id);
        }
    }
    let unfinished: HashSet<AttemptId> = workspace.store.unfinished_attempts()?.into_iter().map(|it| it.id).collect();
    // Asked for each name, not once: a run may have begun since. What cannot be asked is live.
    let is_live = |attempt: &AttemptId| {
        let run = RunId(attempt.0.splitn(4, '-').take(3).collect::<Vec<_>>().join("-"));
        let lives = |it: Option<RunRecord>| it.is_some_and(|it| past::life(app, &it) == Life::Alive);
        unfinished.contains(attempt) || workspace.store.run(&run).map_or(true, lives)
    };
    for (folder, nodes) in folders {
        let found = find_leftovers(&workspace.root, &folder, &is_live).map_err(io_failure)?;
        if found.is_empty() {
            continue;
        }
        // A run of another target writes here too, and only its locks tell.
        let names: Vec<LockName> = nodes.iter().flat_map(|it| locks_of(app, *it)).collect();
        let _held = match locks {
            Some(locks) => match locked(locks, &names)? {
                Locked::Held(guard) => Some(guard),
                Locked::Busy(_) => continue,
            },
            None => None,
        };
        for (path, bytes) in found {
            document.leftovers.push(path.to_string());
            document.leftovers_bytes += bytes;
        }
        if locks.is_some() {
            sweep_leftovers(&workspace.root, &folder, &is_live).map_err(io_failure)?;
        }
    }
    Ok(())
}

fn locked(locks: &Arc<LockTable>, names: &[LockName]) -> Result<Locked, Failure> {
    locks.try_exclusive(names).map_err(|it| Failure::new(Exit::State, it.to_string()))
}

fn text(document: &GcDocument) -> String {
    let verb = if document.dry_run { "would remove" } else { "removed" };
    let mut text = String::new();
    let mut line = |what: String, bytes: u64| text.push_str(&format!("{verb} {what} ({})\n", words::size(bytes)));
    if !document.runs.is_empty() || document.logs_bytes > 0 {
        line(format!("the logs and history of {}", words::count(document.runs.len(), "run")), document.logs_bytes);
    }
    if document.kept_versions > 0 {
        line(words::count(document.kept_versions, "kept version"), document.kept_bytes);
    }
    if document.copies > 0 {
        let what = if document.copies == 1 { "copy" } else { "copies" };
        line(format!("{} {what} of objects", document.copies), document.copies_bytes);
    }
    if !document.leftovers.is_empty() {
        line(
            format!("{} of killed runs", words::count(document.leftovers.len(), "leftover")),
            document.leftovers_bytes,
        );
        document.leftovers.iter().for_each(|it| text.push_str(&format!("  {it}\n")));
    }
    if text.is_empty() {
        text.push_str("Nothing to remove.\n");
    }
    text
}
