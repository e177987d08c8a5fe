//! `assets watch`: keep the selection fresh as files change.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    base::{clock::SystemClock, diagnostic::Diagnostic, digest::Digest},
    exec::{
        run::dispatcher::Summary,
        signal::{Signal, stop_ourselves},
    },
    face::{
        app::{self, App, Read},
        cli::{
            Context,
            args::{RunArgs, Selection, WatchArgs},
            error::Failure,
            materialize::{self, Answer, Asked, Signals},
            selecting,
        },
        exit::Exit,
        watch::{
            Folder,
            debounce::Debounce,
            folders,
            keep::{self, Keeper},
            notify::SystemChanges,
        },
    },
    model::{event::StepOutcome, key::AssetKey, node_set::NodeSet, project::Project},
    plan::{
        store::folder::Access,
        survey::{Forced, Request, Survey, survey},
    },
};

/// Changes that come closer together than this are one.
pub const DEBOUNCE_MS: u64 = 50;
/// A look never waits longer than this for changes to pause.
const LONGEST_MS: u64 = 1000;

pub fn run(context: &Context, args: &WatchArgs) -> Result<Exit, Failure> {
    keep(context, &args.words, &args.selection, &args.how, args.debounce)
}

/// Brings the selection up to date now and whenever something changes, until a signal ends it.
pub fn keep(
    context: &Context,
    words: &[String],
    selection: &Selection,
    how: &RunArgs,
    debounce_ms: u64,
) -> Result<Exit, Failure> {
    let mut changes = SystemChanges::new();
    let read = app::read(&context.opening)?;
    let mut keeping = Keeping {
        context,
        words,
        selection,
        how,
        signals: materialize::listen_and(changes.waker())?,
        root: read.root.clone(),
        read,
        told: Told::default(),
        failed: HashMap::new(),
    };
    if let Some(exit) = keeping.begin()? {
        return Ok(exit);
    }
    context.ui.say("watching for changes; Ctrl-C ends it");
    let debounce = Debounce::new(debounce_ms, LONGEST_MS);
    let attention = keeping.signals.attention();
    Ok(attention.paid(|| keep::keep(&mut changes, &mut keeping, &SystemClock, debounce)))
}

struct Keeping<'a> {
    context: &'a Context,
    words: &'a [String],
    selection: &'a Selection,
    how: &'a RunArgs,
    signals: Signals,
    root: PathBuf,
    /// The last manifest that was in order.
    read: Read,
    told: Told,
    /// What failed, and what it was tried with; it would only fail again.
    failed: HashMap<AssetKey, Option<Digest>>,
}

/// What people know already: it is not said again at every look.
#[derive(Default)]
struct Told {
    /// Of a manifest that is not in order.
    broken: Option<(String, Vec<Diagnostic>)>,
    warnings: Vec<Diagnostic>,
    trouble: Option<String>,
}

impl Keeping<'_> {
    fn begin(&mut self) -> Result<Option<Exit>, Failure> {
        let app = self.open()?;
        let selected = self.selected(&app)?;
        self.bring(&app, &selected)
    }

    /// Reads the manifest again; one that is not in order is shown, and the last good one kept.
    fn reread(&mut self) {
        match app::read(&self.context.opening) {
            Ok(read) => {
                if self.told.broken.take().is_some() {
                    self.context.ui.say("the manifest is in order again");
                }
                self.read = read;
            }
            Err(failure) => {
                let broken = Some((failure.message.clone(), failure.diagnostics.clone()));
                if self.told.broken != broken {
                    super::tell(&self.context.ui, &failure);
                    self.context.ui.say("going on with the manifest as it was");
                    self.told.broken = broken;
                }
            }
        }
    }

    /// Everything as it is now: what is kept in memory from one look to the next could be out of date.
    fn open(&mut self) -> Result<App, Failure> {
        let Read { warnings, sources, .. } = &self.read;
        if *warnings != self.told.warnings {
            if !warnings.is_empty() {
                self.context.ui.diagnostics(warnings, sources);
            }
            self.told.warnings.clone_from(warnings);
        }
        App::of(self.read.clone(), self.context.opening.env.clone(), Access::Write, false, &self.context.ui)
    }

    fn selected(&self, app: &App) -> Result<NodeSet, Failure> {
        let nodes = selecting::select(app.project(), Some(app), self.words, self.selection, &self.context.ui)?;
        Ok(selecting::assets_of(app.project(), &nodes))
    }

    /// Runs what is out of date, if anything is; says nothing if nothing is.
    fn bring_up_to_date(&mut self) -> Result<Option<Exit>, Failure> {
        let app = self.open()?;
        let mut selected = self.selected(&app)?;
        let request = Request { scope: &selected, runs: &selected, forced: Forced::Nothing, only: None };
        let surveyed = survey(&app.workspace.world(), &request)?;
        let hopeless = self.hopeless(app.project(), &selected, &surveyed);
        selected.subtract(&hopeless);
        let stale = selected.iter().any(|it| surveyed.get(it).is_some_and(|it| !it.verdict.is_fresh()));
        if !stale {
            app.keep_cache(&self.context.ui);
            return Ok(None);
        }
        let exit = self.bring(&app, &selected)?;
        if exit.is_none() && !hopeless.is_empty() {
            let keys: Vec<String> = hopeless.iter().take(5).map(|it| app.project().key(it).to_string()).collect();
            let more = if hopeless.len() > 5 { format!(" and {} more", hopeless.len() - 5) } else { String::new() };
            let keys = keys.join(", ");
            self.context.ui.say(&format!("left alone until what made it fail changes: {keys}{more}"));
        }
        Ok(exit)
    }

    fn bring(&mut self, app: &App, selected: &NodeSet) -> Result<Option<Exit>, Failure> {
        let answer = if self.context.json { Answer::Events } else { Answer::Nothing };
        let asked = Asked {
            selected,
            only: None,
            forced: Forced::Nothing,
            how: self.how,
            wanted: None,
            known: None,
            answer,
            course: None,
        };
        let brought = materialize::bring(self.context, app, &self.signals, &asked)?;
        self.remember(&brought.summary);
        if brought.unheard {
            return Ok(Some(Exit::Done));
        }
        let exit = materialize::exit_of(&brought.summary);
        Ok(matches!(exit, Exit::Interrupted | Exit::Terminated).then_some(exit))
    }

    fn remember(&mut self, summary: &Summary) {
        for report in &summary.reports {
            match report.outcome {
                StepOutcome::Failed => drop(self.failed.insert(report.key.clone(), report.tried)),
                StepOutcome::Skipped => {}
                _ => drop(self.failed.remove(&report.key)),
            }
        }
    }

    /// What failed and would be tried with the same again, and everything that is made from it.
    fn hopeless(&self, project: &Project, selected: &NodeSet, surveyed: &Survey) -> NodeSet {
        let mut hopeless = NodeSet::none(project.len());
        // Upstream first, so that one pass is enough.
        for node in project.graph.order().iter().filter(|it| selected.contains(**it)) {
            let Some(it) = surveyed.get(*node).filter(|it| !it.verdict.is_fresh()) else { continue };
            let now = it.fingerprint.as_ref().map(|it| it.digest());
            let as_it_was = self.failed.get(project.key(*node)).is_some_and(|tried| *tried == now);
            if as_it_was || project.graph.upstream(*node).iter().any(|it| hopeless.contains(*it)) {
                hopeless.insert(*node);
            }
        }
        hopeless
    }
}

impl Keeper for Keeping<'_> {
    fn look(&mut self) -> Option<Exit> {
        // Looking may take its time, and nothing is lost when it is broken off.
        let looked = self.signals.attention().unpaid(|| {
            self.reread();
            self.bring_up_to_date()
        });
        self.signals.forget();
        match looked {
            Ok(exit) => {
                self.told.trouble = None;
                exit
            }
            Err(failure) => {
                let trouble = Some(format!("{}{:?}", failure.message, failure.diagnostics));
                if self.told.trouble != trouble {
                    super::tell(&self.context.ui, &failure);
                    self.context.ui.say("waiting for a change that mends it");
                    self.told.trouble = trouble;
                }
                None
            }
        }
    }

    fn folders(&self) -> Vec<Folder> {
        folders::of(&self.read.project, &self.read.includes, &self.root)
    }

    /// State and staging are ours.
    fn is_own(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        below.components().any(|it| {
            let name = it.as_os_str().to_string_lossy();
            name == app::STATE_FOLDER || name == ".git" || name.starts_with(".assets-")
        })
    }

    fn ended(&mut self) -> Option<Exit> {
        loop {
            match self.signals.messages.try_recv().ok()? {
                Signal::Interrupt | Signal::Quit => return Some(Exit::Interrupted),
                Signal::Terminate | Signal::HangUp => return Some(Exit::Terminated),
                Signal::Stop => stop_ourselves(),
                Signal::Continue | Signal::Finish => {}
            }
        }
    }

    fn warn(&self, message: &str) {
        self.context.ui.warn(message);
    }
}
