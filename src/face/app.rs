//! Wiring: the one place where manifest, state, hashing, IO managers and clock come together.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    base::{
        clock::{Clock, SystemClock},
        diagnostic::Diagnostic,
        digest::Digest,
        env::Environment,
        fs,
        path::ProjectPath,
        span::SourceMap,
    },
    exec::{
        io::registry,
        lock::LockTable,
        run::{
            context::{Connections, Workspace},
            recover::recover,
        },
    },
    face::{cli::error::Failure, compiled, exit::Exit, ui::Ui},
    model::{
        manifest,
        partition::Names,
        project::{FileSet, IoManager, Pattern, Project},
    },
    plan::{
        checked::CheckHistory,
        hash::{FileCache, GlobError, Signature, Sweep, Trust, boot},
        partitions::PartitionKeys,
        record::Session,
        store::{
            Change, StateStore,
            dynamic::DynamicKeys,
            folder::{Access, StateFolder},
            sqlite::Disk,
        },
    },
};

pub const MANIFEST: &str = "assets.toml";
pub const STATE_FOLDER: &str = ".assets";

/// What the command line said about which project and which variant of it.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Where to start looking for the manifest.
    pub start: PathBuf,
    pub target: Option<String>,
    pub vars: Vec<(String, String)>,
    pub env: Environment,
}

/// A manifest that was read, with the texts that its diagnostics point into.
#[derive(Clone)]
pub struct Read {
    pub root: PathBuf,
    pub project: Project,
    pub sources: SourceMap,
    pub warnings: Vec<Diagnostic>,
    pub trace: Trace,
    /// Where further manifests were looked for.
    pub includes: FileSet,
}

/// What reading the manifest asked for: if none of it has moved, reading it again gives the same.
#[derive(Clone, Default)]
pub struct Trace {
    /// Files and what they held; `None`: they were not there.
    pub files: Vec<(ProjectPath, Option<Digest>)>,
    pub env: BTreeSet<String>,
    /// Folders that were searched, and whether each had changed too lately for its stamp to prove anything.
    pub folders: Vec<(ProjectPath, Signature, bool)>,
    /// Folders were searched in vain: what that depends on is not known here.
    pub searched: bool,
}

/// Walks up from `start` to the folder that holds the manifest.
pub fn find_root(start: &Path) -> Result<PathBuf, Failure> {
    let start = fs::canonical(start)?;
    for folder in start.ancestors() {
        if fs::look_through(&folder.join(MANIFEST))?.is_some_and(|it| it.is_file()) {
            return Ok(folder.to_owned());
        }
    }
    Err(Failure::usage(format!("no {MANIFEST} in {} or any folder above it", start.display()))
        .hint("`assets init` starts a project; `-C DIR` works in another folder"))
}

/// Finds and reads the manifest; all its mistakes are one failure.
pub fn read(opening: &Opening) -> Result<Read, Failure> {
    let root = find_root(&opening.start)?;
    let root_text = root.to_string_lossy().into_owned();
    let asked = RefCell::new(BTreeSet::new());
    let env = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        opening.env.get(name).map(str::to_owned)
    };
    let options = manifest::Options {
        target: opening.target.as_deref(),
        vars: &opening.vars,
        env: &env,
        project_root: &root_text,
    };
    let mut files = OnDisk { root: &root, trace: Trace::default(), includes: FileSet::default() };
    let loaded = manifest::load(&mut files, &options);
    let trace = Trace { env: asked.take(), ..files.trace };
    let includes = files.includes;
    match loaded.project {
        Some(project) => {
            Ok(Read { root, project, sources: loaded.sources, warnings: loaded.diagnostics, trace, includes })
        }
        None => Err(Failure::of_diagnostics(loaded.diagnostics, loaded.sources)),
    }
}

/// Manifest files as they are on disk.
struct OnDisk<'a> {
    root: &'a Path,
    trace: Trace,
    includes: FileSet,
}

impl manifest::Files for OnDisk<'_> {
    fn read(&mut self, path: &ProjectPath) -> Result<Option<Vec<u8>>, String> {
        let bytes = fs::read_if_there(&path.under(self.root)).map_err(|it| it.to_string())?;
        self.trace.files.push((path.clone(), bytes.as_deref().map(Digest::of)));
        Ok(bytes)
    }

    fn matches(&mut self, folder: &ProjectPath, pattern: &str) -> Result<Vec<ProjectPath>, String> {
        let pattern = Pattern { text: pattern.to_owned(), place: None };
        self.includes.patterns.push(pattern.clone());
        let patterns = vec![pattern];
        let sweep = Sweep::new(self.root, FileCache::default()).map_err(|it| it.to_string())?;
        match sweep.expand(&FileSet { folder: folder.clone(), patterns }) {
            Ok(listing) => {
                self.trace.folders.extend(listing.folders());
                Ok(listing.files())
            }
            Err(errors) if errors.iter().all(|it| matches!(it, GlobError::NoMatch { .. })) => {
                self.trace.searched = true;
                Ok(Vec::new())
            }
            Err(errors) => Err(errors[0].to_string()),
        }
    }
}

/// A project opened for work: everything that a command may need, and nothing opened that it may not.
pub struct App {
    pub workspace: Workspace,
    pub sources: SourceMap,
    /// Of the target, if there is one.
    pub state: StateFolder,
    /// What the manifest was made from; `None` if it has more to say than "fresh".
    pub trace: Option<Trace>,
    of_project: StateFolder,
}

impl App {
    /// Opens the project with its state.
    pub fn open(opening: &Opening, access: Access, verify: bool, ui: &Ui) -> Result<App, Failure> {
        if let Some(read) = compiled::read(opening) {
            return App::of(read, opening.env.clone(), access, verify, ui);
        }
        let read = read(opening)?;
        if !read.warnings.is_empty() {
            ui.diagnostics(&read.warnings, &read.sources);
        }
        let of_project = StateFolder::open(&read.root, access)?;
        compiled::keep(&read, opening, &of_project, &of_target(&of_project, read.project.target.as_deref())?);
        App::of(read, opening.env.clone(), access, verify, ui)
    }

    /// The same with a manifest that was read before.
    pub fn of(read: Read, env: Environment, access: Access, verify: bool, ui: &Ui) -> Result<App, Failure> {
        let of_project = StateFolder::open(&read.root, access)?;
        let durability = read.project.durability;
        let state = of_target(&of_project, read.project.target.as_deref())?.durable(durability);
        let disk = if boot::is_on_network(&read.root) { Disk::Network } else { Disk::Local };
        let opened = state.store(disk)?;
        for note in &opened.notes {
            ui.warn(note);
        }
        let project = Arc::new(read.project);
        let open =
            |it: &IoManager| registry::open((&project.name, &read.root), &it.kind, durability, &project.vars, &env);
        let io = project.io_managers.values().map(open).collect();
        let cache = FileCache::later(&state.path().join("files.idx"));
        let trust = if verify { Trust::Nothing } else { Trust::Signatures };
        let sweep = Sweep::new(&read.root, cache)?.trusting(trust);
        let doubted = doubted(&opened.store.sessions()?);
        let clock = SystemClock;
        let partitions = Arc::new(partitions(&project, &state, clock.now())?);
        let workspace = Workspace {
            project,
            partitions,
            // Without a key nothing was hashed with one, so that there is nothing to compare.
            secret_key: of_project.secret_key()?.unwrap_or_default(),
            root: read.root,
            env,
            sweep,
            store: Box::new(opened.store),
            io,
            clock: Arc::new(clock),
            doubted,
            connections: match access {
                _ if verify => Connections::InFull,
                Access::Write => Connections::Opened,
                Access::Read => Connections::Avoided,
            },
            deferred: None,
            checked: CheckHistory::new(state.path().join("checks")),
        };
        let trace = (read.warnings.is_empty() && !verify).then_some(read.trace);
        Ok(App { workspace, sources: read.sources, state, trace, of_project })
    }

    pub fn project(&self) -> &Project {
        &self.workspace.project
    }

    /// Where this project's locks are.
    pub fn locks_folder(&self) -> PathBuf {
        self.of_project.locks()
    }

    /// The locks of this project's assets.
    pub fn locks(&self) -> Result<Arc<LockTable>, Failure> {
        LockTable::open(&self.of_project.locks().join("assets")).map_err(|it| Failure::new(Exit::State, it.to_string()))
    }

    /// Ends what killed runs left half done, and says what that was.
    pub fn recover(&self, locks: &Arc<LockTable>, ui: &Ui) -> Result<(), Failure> {
        let recovery = recover(&self.workspace, locks).map_err(|it| Failure::new(Exit::State, it.to_string()))?;
        recovery.notes.iter().for_each(|it| ui.warn(it));
        Ok(())
    }

    /// Opens a session of the given name in the state.
    pub fn open_session(&self, id: &str) -> Result<(), Failure> {
        let session = Session { id: id.to_owned(), boot: this_boot(), sealed: false };
        Ok(self.workspace.store.commit(&[Change::SessionOpened(session)])?)
    }

    /// Remembers signatures that were learnt. They change no decision, so that it may fail.
    ///
    /// Also tells what the state mended behind the command's back.
    pub fn keep_cache(&self, ui: &Ui) {
        for note in self.workspace.store.notes() {
            ui.warn(&note);
        }
        for (op, why) in self.workspace.partitions.all_unrelated() {
            ui.warn(&format!("{}: {why}", self.project().ops[op].name));
        }
        let _ = self.workspace.sweep.save(&self.state.path().join("files.idx"));
    }
}

/// The partitions that there are at this moment.
fn partitions(project: &Project, state: &StateFolder, now: Timestamp) -> Result<PartitionKeys, Failure> {
    if project.partitioning.is_empty() {
        return Ok(PartitionKeys::default());
    }
    let dynamic = DynamicKeys::new(state.path());
    let unreadable = RefCell::new(None);
    let names = |name: &str| {
        dynamic.read(name).unwrap_or_else(|error| {
            *unreadable.borrow_mut() = Some(error);
            Names::default()
        })
    };
    let keys = PartitionKeys::of(project, now, &names);
    if let Some(error) = unreadable.into_inner() {
        return Err(Failure::new(Exit::State, error.to_string()));
    }
    keys.map_err(|it| Failure::usage(it.to_string()))
}

fn of_target(of_project: &StateFolder, target: Option<&str>) -> Result<StateFolder, Failure> {
    Ok(match target {
        Some(target) => of_project.of_target(target)?,
        None => of_project.clone(),
    })
}

/// Where the system does not tell boots apart, no two are the same: what is not sealed is doubted.
fn this_boot() -> String {
    boot::boot_id().unwrap_or_default()
}

/// Sessions that a power loss may have cut short: not sealed, and of another boot.
fn doubted(sessions: &[Session]) -> HashSet<String> {
    let boot = this_boot();
    sessions.iter().filter(|it| !it.sealed && (it.boot != boot || boot.is_empty())).map(|it| it.id.clone()).collect()
}
