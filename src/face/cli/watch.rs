//! `assets watch`: keep the selection fresh as files change.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    base::clock::{Clock, SystemClock},
    exec::signal::{Signal, stop_ourselves},
    face::{
        app::{self, App},
        cli::{
            Context,
            args::{Selection, WatchArgs},
            error::Failure,
            materialize::{self, Signals},
            selecting,
        },
        exit::Exit,
        watch::{Change, Changes, Folder, debounce::Debounce, notify::SystemChanges},
    },
    model::{
        node_set::NodeSet,
        project::{FileSet, NodeBody, NodeId, Project, Source},
        staleness::Verdict,
    },
    plan::{
        store::folder::Access,
        survey::{Request, survey},
    },
};

/// A rebuild never waits longer than this for changes to pause.
const LONGEST_MS: u64 = 1000;
/// Where the system cannot tell of changes, everything is looked at this often.
const POLL_MS: u64 = 1000;

pub fn run(context: &Context, args: &WatchArgs) -> Result<Exit, Failure> {
    let mut app = App::open(&context.opening, Access::Write, false, &context.ui)?;
    let signals = materialize::listen()?;
    let mut changes = Watching::start(context, &app);
    let clock = SystemClock;
    let mut debounce = Debounce::new(args.debounce, LONGEST_MS);
    let mut left = Left::default();
    if let Some(exit) = bring_up_to_date(context, args, &app, &signals, &mut left)? {
        return Ok(exit);
    }
    context.ui.say("watching for changes; Ctrl-C ends it");
    loop {
        if let Some(exit) = ended(&signals) {
            return Ok(exit);
        }
        let now = clock.monotonic_ms();
        let wait = debounce.due_in(now).unwrap_or(200).min(200);
        if changes.next(Duration::from_millis(wait.max(1)), &app.workspace.root) {
            debounce.changed(clock.monotonic_ms());
        }
        if debounce.due_in(clock.monotonic_ms()) != Some(0) {
            continue;
        }
        debounce.reset();
        match App::open(&context.opening, Access::Write, false, &context.ui) {
            Ok(new) => app = new,
            // The last good manifest is kept, and nothing is run by it until the new one is mended.
            Err(failure) => {
                super::tell(&context.ui, &failure);
                context.ui.say("waiting for the manifest to be mended");
                continue;
            }
        }
        changes.follow(context, &app);
        if let Some(exit) = bring_up_to_date(context, args, &app, &signals, &mut left)? {
            return Ok(exit);
        }
        changes.follow(context, &app);
    }
}

/// What a run could not make fresh, and as what: not tried again until something else changes.
type Left = Vec<(NodeId, Verdict)>;

/// Runs what is out of date, if anything is; says nothing if nothing is.
fn bring_up_to_date(
    context: &Context,
    args: &WatchArgs,
    app: &App,
    signals: &Signals,
    left: &mut Left,
) -> Result<Option<Exit>, Failure> {
    let words = (&args.words[..], &args.selection);
    let selected = selected(context, app, words)?;
    let open = open(app, &selected)?;
    if open.is_empty() || open == *left {
        return Ok(None);
    }
    let exit = materialize::materialize(context, app, signals, &selected, false, &args.how, None)?;
    *left = self::open(app, &selected)?;
    Ok(matches!(exit, Exit::Interrupted | Exit::Terminated).then_some(exit))
}

/// What of `selected` is not fresh.
fn open(app: &App, selected: &NodeSet) -> Result<Left, Failure> {
    let request = Request { scope: selected, runs: selected, forced: false };
    let surveyed = survey(&app.workspace.world(), &request)?;
    let verdicts = selected.iter().filter_map(|it| Some((it, surveyed.get(it)?.verdict.clone())));
    Ok(verdicts.filter(|(_, it)| !it.is_fresh()).collect())
}

fn selected(context: &Context, app: &App, (words, selection): (&[String], &Selection)) -> Result<NodeSet, Failure> {
    let nodes = selecting::select(app.project(), Some(app), words, selection, &context.ui)?;
    Ok(selecting::assets_of(app.project(), &nodes))
}

fn ended(signals: &Signals) -> Option<Exit> {
    match signals.messages.try_recv().ok()? {
        Signal::Interrupt | Signal::Quit => Some(Exit::Interrupted),
        Signal::Terminate | Signal::HangUp => Some(Exit::Terminated),
        Signal::Stop => {
            stop_ourselves();
            None
        }
        Signal::Continue => None,
    }
}

/// The system's word on changes, or, where it gives none, a look from time to time.
struct Watching {
    changes: Option<SystemChanges>,
    polled_ms: u64,
}

impl Watching {
    fn start(context: &Context, app: &App) -> Self {
        let changes = SystemChanges::new().map_err(|why| context.ui.warn(&polling(&why))).ok();
        let mut watching = Watching { changes, polled_ms: 0 };
        watching.follow(context, app);
        watching
    }

    fn follow(&mut self, context: &Context, app: &App) {
        let Some(changes) = &mut self.changes else { return };
        if let Err(why) = changes.watch(&folders(app.project(), &app.workspace.root)) {
            context.ui.warn(&polling(&why));
            self.changes = None;
        }
    }

    /// Whether something may have changed.
    fn next(&mut self, wait: Duration, root: &Path) -> bool {
        let Some(changes) = &mut self.changes else {
            std::thread::sleep(wait);
            let now = SystemClock.monotonic_ms();
            let due = now.saturating_sub(self.polled_ms) >= POLL_MS;
            if due {
                self.polled_ms = now;
            }
            return due;
        };
        match changes.next(wait) {
            Some(Change::Paths(paths)) => paths.iter().any(|it| !is_own(it, root)),
            Some(Change::Overflow) => true,
            None => false,
        }
    }
}

fn polling(why: &str) -> String {
    format!("{why}; looking at everything once a second instead")
}

/// State and staging are ours: they change whenever we work.
fn is_own(path: &Path, root: &Path) -> bool {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.components().any(|it| {
        let name = it.as_os_str().to_string_lossy();
        name == app::STATE_FOLDER || name == ".git" || name.starts_with(".assets-")
    })
}

/// Every folder in which a change can matter: of manifests, code, sources and outputs.
fn folders(project: &Project, root: &Path) -> Vec<Folder> {
    let mut folders = vec![Folder { path: root.to_owned(), deep: false }];
    for manifest in &project.manifests {
        folders.extend(manifest.parent().map(|it| Folder { path: it.under(root), deep: false }));
    }
    for op in project.ops.values() {
        folders.extend(set_folders(&op.code, root));
        folders.extend(set_folders(&op.sources, root));
    }
    for (id, node) in project.nodes.iter() {
        match &node.body {
            NodeBody::Source(Source::Files(set)) => folders.extend(set_folders(set, root)),
            NodeBody::Source(_) => {}
            NodeBody::Asset(_) => {
                let parent = project.output_path(id).and_then(|it| it.parent());
                folders.extend(parent.map(|it| Folder { path: it.under(root), deep: false }));
            }
        }
    }
    // A folder that is not there yet is seen to come by its parent.
    let mut parents: Vec<Folder> = Vec::new();
    for it in folders.iter().filter(|it| !it.path.is_dir()) {
        let there = it.path.ancestors().find(|it| it.is_dir()).map(Path::to_owned);
        parents.extend(there.filter(|it| it.starts_with(root)).map(|path| Folder { path, deep: false }));
    }
    folders.extend(parents);
    folders.sort();
    folders.dedup();
    let deep: Vec<PathBuf> = folders.iter().filter(|it| it.deep).map(|it| it.path.clone()).collect();
    folders.retain(|it| it.deep || !deep.contains(&it.path));
    folders
}

/// Where the files of a set can be: below the longest part of each pattern that has no wildcard.
fn set_folders(set: &FileSet, root: &Path) -> Vec<Folder> {
    let folder = set.folder.under(root);
    set.patterns
        .iter()
        .filter(|it| !it.text.starts_with('!'))
        .map(|it| {
            let wild = |part: &str| part.contains(['*', '?', '[', '{']);
            let parts: Vec<&str> = it.text.split('/').collect();
            let literal = parts.iter().take_while(|it| !wild(it)).count().min(parts.len() - 1);
            let deep = parts.len() - literal > 1 || parts.last().is_some_and(|it| it.is_empty() || it.contains("**"));
            Folder { path: folder.join(parts[..literal].join("/")), deep }
        })
        .collect()
}
