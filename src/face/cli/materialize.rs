//! `assets materialize`: plan, then run the plan.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use crate::{
    base::{fs, process::host},
    exec::{
        executor::local::LocalExecutor,
        jobserver::{Jobserver, make_speaks_fifo},
        lock::LockTable,
        run::{
            context::{Offline, RunContext},
            dispatcher::{Options, Summary, run as dispatch},
        },
        signal::{self, Attention, Signal, SignalWatch},
    },
    face::{
        app::App,
        cli::{
            Context, again,
            args::{MaterializeArgs, RunArgs},
            choosing::{self, Chosen},
            defer,
            error::Failure,
            inside, plan, refresh, selecting, watch,
        },
        exit::Exit,
        quick::{self, Asking, Told},
        record::Recorder,
        report::{events::EventLog, json, materialize::Collector},
        ui::{
            github::GithubListener,
            line::{self, Columns},
            progress::{self, MultiListener, ProgressChoice, Setting},
            words,
        },
    },
    model::{
        event::{Listener, RunOutcome},
        key::AssetKey,
        node_set::NodeSet,
        plan::{Plan, PlanStep},
        project::{Durability, OpId, Project},
    },
    plan::{
        backfill::Order,
        hash::boot,
        planner,
        record::{Materialization, RunId, RunRecord},
        store::{Change, folder::Access},
        survey::{Forced, Known, Request, Survey, survey, survey_knowing},
        world::World,
    },
};

const JOBS_MAX: usize = 512;
/// Between the polite signal and the final one, if nobody says.
const GRACE_MS: u64 = 5_000;

pub fn run(context: &Context, args: &MaterializeArgs) -> Result<Exit, Failure> {
    if args.dry_run {
        return plan::dry_run(context, args);
    }
    if args.watch {
        return watch::keep(context, &args.words, &args.selection, &args.how, watch::DEBOUNCE_MS);
    }
    let vouched = match quick(context, args) {
        Told::AllFresh(assets) => {
            context.ui.say(&words::all_fresh(assets));
            return Ok(Exit::Done);
        }
        Told::Some(it) => Some(it),
        Told::Nothing => None,
    };
    let mut app = App::open(&context.opening, Access::Write, args.verify, &context.ui)?;
    let mut selected = selecting::select(app.project(), Some(&app), &args.words, &args.selection, &context.ui)?;
    let wanted = match &args.plan {
        Some(file) => Some(plan::read(&app, file)?),
        None => None,
    };
    if let Some(wanted) = &wanted {
        selected = wanted.selected(app.project())?;
    }
    let made = selecting::made_of(app.project(), &selected);
    defer::apply(context, &mut app, &args.defer, &made)?;
    if let Some(line) = defer::line(&app) {
        context.ui.say(&line);
    }
    let text = args.partition.as_deref().or_else(|| wanted.as_ref().and_then(|it| it.partition.as_deref()));
    let only = choosing::chosen(&app, &made, text, &context.ui)?;
    let forced = match &wanted {
        Some(wanted) => wanted.forced(),
        None => forced(args.force, args.full_refresh),
    };
    let signals = listen()?;
    let known = vouched.and_then(|it| it.known(&app));
    let answer = if context.json { Answer::Document } else { Answer::Nothing };
    let (wanted, known) = (wanted.as_ref(), known.as_ref());
    let asked =
        Asked { selected: &selected, only: only.as_ref(), forced, how: &args.how, wanted, known, answer, course: None };
    bring(context, &app, &signals, &asked).map(|it| exit_of(&it.summary))
}

/// What the flags ask for.
pub fn forced(force: bool, full_refresh: bool) -> Forced {
    match (force, full_refresh) {
        (true, _) => Forced::All,
        (false, true) => Forced::Incremental,
        (false, false) => Forced::Nothing,
    }
}

/// Signals as messages, for as long as it lives.
pub struct Signals {
    pub messages: Receiver<Signal>,
    sender: Sender<Signal>,
    watch: SignalWatch,
}

impl Signals {
    pub fn attention(&self) -> Attention {
        self.watch.attention()
    }

    /// Signals are messages while `work` goes on.
    pub fn heard<T>(&self, work: impl FnOnce() -> T) -> T {
        self.forget();
        self.attention().paid(work)
    }

    /// Where the program itself may ask for what signals ask for.
    pub fn sender(&self) -> Sender<Signal> {
        self.sender.clone()
    }

    /// What did by default what it does, a stop for instance, is no message any more.
    pub fn forget(&self) {
        while self.messages.try_recv().is_ok() {}
    }
}

/// While a run goes on, signals are messages, and whoever reads them decides what they mean. Before
/// and after, when looking at everything may take its time, they end the command at once.
pub fn listen() -> Result<Signals, Failure> {
    listen_and(|| ())
}

/// The same; `wake` is called when there is one.
pub fn listen_and(wake: impl Fn() + Send + 'static) -> Result<Signals, Failure> {
    let (sender, messages) = channel();
    let own = sender.clone();
    let send = move |it| {
        // Nobody reads any more: the command is over.
        let _ = sender.send(it);
        wake();
    };
    let watch =
        signal::watch(send).map_err(|it| Failure::new(Exit::Failed, format!("cannot listen to signals: {it}")))?;
    watch.attention().rest();
    Ok(Signals { messages, sender: own, watch })
}

/// What goes to stdout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Nothing: people read stderr.
    Nothing,
    /// One document when it is over.
    Document,
    /// A line for each event, as it happens.
    Events,
}

/// What a run is asked for.
pub struct Asked<'a> {
    pub selected: &'a NodeSet,
    /// Of assets with partitions, which of them; else all.
    pub only: Option<&'a Chosen>,
    pub forced: Forced,
    pub how: &'a RunArgs,
    pub wanted: Option<&'a plan::PlanFile>,
    /// What need not be looked at.
    pub known: Option<&'a Known>,
    pub answer: Answer,
    /// What is asked for by a backfill.
    pub course: Option<Course<'a>>,
}

/// How a backfill goes about it.
#[derive(Clone)]
pub struct Course<'a> {
    pub order: Order,
    /// Is told what was found before anything is begun.
    pub foretell: &'a dyn Fn(&Survey),
    /// What people type to go on, and to make again what failed.
    pub resume: String,
    pub retry: String,
    /// What these runs made is fresh, though everything is asked for again.
    pub spared: &'a [RunId],
    /// Is told of the run before it does anything.
    pub begun: &'a dyn Fn(&RunId) -> Result<(), Failure>,
}

/// What became of it.
pub struct Brought {
    pub summary: Summary,
    /// Nobody reads the events any more.
    pub unheard: bool,
}

/// Brings what is selected up to date, and tells what became of it.
pub fn bring(context: &Context, app: &App, signals: &Signals, asked: &Asked<'_>) -> Result<Brought, Failure> {
    let made = selecting::made_of(app.project(), asked.selected);
    let asked = &Asked { selected: &made, course: asked.course.clone(), ..*asked };
    let Asked { selected, forced, .. } = *asked;
    progress_choice(context, asked.how)?;
    let locks = app.locks()?;
    app.recover(&locks, &context.ui)?;
    refresh::sources(context, app, selected)?;
    let spared = asked.course.as_ref().map_or(&[][..], |it| it.spared);
    let world = World { spared, ..app.workspace.world() };
    let request = Request { scope: selected, runs: selected, forced, only: asked.only };
    let generation = app.workspace.store.generation()?;
    let surveyed = survey_knowing(&world, &request, asked.known)?;
    let plan = planner::plan(&world, &surveyed, selected)?;
    if let Some(wanted) = asked.wanted {
        wanted.check(app.project(), &surveyed, &plan)?;
    }
    if let Some(course) = &asked.course {
        (course.foretell)(&surveyed);
    }
    tell_waiting(context, app, asked, &plan);
    remember_touched(app, &surveyed)?;
    warn_unselected(context, app, selected, &plan)?;
    let prepared = Prepared { asked, plan: &plan, survey: &surveyed };
    let brought = signals.heard(|| start(context, app, &locks, signals, &prepared))?;
    still_recorded(app)?;
    if *selected == selecting::all_assets(app.project()) && brought.summary.signal.is_none() {
        if plan.steps.is_empty() && surveyed.refreshed.is_empty() && asked.known.is_none() {
            quick::keep(app, &context.opening, &surveyed, generation);
        } else {
            // Of two surveys of a million files one is enough to hold.
            drop(surveyed);
            keep_answer(context, app, selected)?;
        }
    }
    app.keep_cache(&context.ui);
    Ok(brought)
}

/// Partitions that were asked for and cannot be made yet.
fn tell_waiting(context: &Context, app: &App, asked: &Asked<'_>, plan: &Plan) {
    if asked.only.is_none() && !context.ui.is_verbose() {
        return;
    }
    for (node, places) in &plan.waiting {
        let keys = app.workspace.partitions.of_node(*node);
        let count = words::count(usize::try_from(places.count()).unwrap_or(usize::MAX), "partition");
        let key = app.project().key(*node);
        if !app.workspace.partitions.cuts(*node) {
            context.ui.warn(&format!("{key} cannot be made yet, as nothing is there to make it from"));
            continue;
        }
        context.ui.warn(&format!(
            "{key}: {count} cannot be made yet, as nothing is there to make them from: {}",
            keys.print(places)
        ));
    }
}

struct Prepared<'a> {
    asked: &'a Asked<'a>,
    plan: &'a Plan,
    survey: &'a Survey,
}

/// What was written to a database that was removed meanwhile is gone with it.
fn still_recorded(app: &App) -> Result<(), Failure> {
    if fs::look(&app.state.path().join("state.db"))?.is_some() {
        return Ok(());
    }
    let message = format!("{} was removed during the run: nothing of it is recorded", app.state.path().display());
    Err(Failure::new(Exit::State, message).hint("run again; what was published is made once more"))
}

/// What is known without opening the project, if this is the plain wish.
fn quick(context: &Context, args: &MaterializeArgs) -> Told {
    if args.force
        || args.full_refresh
        || args.verify
        || args.defer.defer.is_some()
        || args.partition.is_some()
        || args.plan.is_some()
        || args.watch
        || context.json
    {
        return Told::Nothing;
    }
    quick::ask(&context.opening, Asking::Run, &args.words, &args.selection)
}

/// After a run of everything what is fresh is looked at once more, so that the next question costs nothing.
fn keep_answer(context: &Context, app: &App, all: &NodeSet) -> Result<(), Failure> {
    if !app.project().partitioning.is_empty() {
        return Ok(());
    }
    let generation = app.workspace.store.generation()?;
    // What lies behind a connection was looked at a moment ago, and is no part of the index.
    let offline = Offline(&app.workspace);
    let world = World { probe: &offline, ..app.workspace.world() };
    let surveyed = survey(&world, &Request { scope: all, runs: all, forced: Forced::Nothing, only: None })?;
    quick::keep(app, &context.opening, &surveyed, generation);
    Ok(())
}

/// Signatures of outputs that were touched and are the same, so that they are not read again. What was
/// doubted after a power loss and turned out to be whole is from now on of a session that is sealed.
fn remember_touched(app: &App, surveyed: &Survey) -> Result<(), Failure> {
    let world = app.workspace.world();
    let session = match surveyed.refreshed.iter().any(|it| world.doubts(it)) {
        true => Some(RunId::new(world.now, random()?)),
        false => None,
    };
    if let Some(session) = &session {
        app.open_session(&session.0)?;
    }
    let remembered = |record: &Materialization| match &session {
        Some(session) if world.doubts(record) => Materialization { session: session.0.clone(), ..record.clone() },
        _ => record.clone(),
    };
    let changes: Vec<Change> =
        surveyed.refreshed.iter().map(|it| Change::Refreshed(Box::new(remembered(it)))).collect();
    if !changes.is_empty() {
        app.workspace.store.commit(&changes)?;
    }
    if let Some(session) = &session {
        seal(app, session);
    }
    Ok(())
}

/// Upstream assets that are taken as they stand although they are not fresh: people want to know.
fn warn_unselected(context: &Context, app: &App, selected: &NodeSet, plan: &Plan) -> Result<(), Failure> {
    let project = app.project();
    let mut upstream = project.assets_with_upstream(selected);
    upstream.subtract(selected);
    upstream = defer::without(app, &upstream);
    if upstream.is_empty() || plan.steps.is_empty() {
        return Ok(());
    }
    let scope = defer::without(app, &project.assets_with_upstream(&upstream));
    let surveyed =
        survey(&app.workspace.world(), &Request { scope: &scope, runs: &scope, forced: Forced::Nothing, only: None })?;
    let stale: Vec<String> = upstream
        .iter()
        .filter(|it| surveyed.get(*it).is_some_and(|it| !it.verdict.is_fresh()))
        .map(|it| project.key(it).to_string())
        .collect();
    if !stale.is_empty() {
        let shown = stale.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let more = if stale.len() > 5 { format!(" and {} more", stale.len() - 5) } else { String::new() };
        context.ui.warn(&format!(
            "not fresh and not selected, so taken as it stands: {shown}{more} (put `+` before a name to take what is upstream too)"
        ));
    }
    Ok(())
}

fn start(
    context: &Context,
    app: &App,
    locks: &Arc<LockTable>,
    signals: &Signals,
    prepared: &Prepared<'_>,
) -> Result<Brought, Failure> {
    let asked = prepared.asked;
    let workspace = &app.workspace;
    if prepared.plan.steps.is_empty() {
        return nothing_to_do(context, prepared);
    }
    if boot::is_on_network(&workspace.root) {
        context.ui.warn(
            "the project is on a network or user-space file system: run it from one machine at a time (`assets doctor` says more)",
        );
    }
    let run = begin(context, app)?;
    if let Some(course) = &asked.course {
        (course.begun)(&run)?;
    }
    let jobs = jobs_of(asked.how.jobs);
    let state_error = |it: String| Failure::new(Exit::State, it);
    let log_folder = app.state.logs().join(&run.0);
    let jobs_folder = app.state.path().join("jobs").join(&run.0);
    let run_context = RunContext {
        forced: asked.selected.iter().filter_map(|it| Some((it, asked.forced.by(app.project(), it)?))).collect(),
        selected: asked.selected.iter().collect(),
        spared: asked.course.as_ref().map_or(&[][..], |it| it.spared),
        grace_ms: asked.how.grace.saturating_mul(1000),
        ..run_context(context, app, locks, &run, jobs)?
    };
    fs::create_folder(&log_folder)?;
    let shared = locks.share().map_err(|it| state_error(it.to_string()))?;
    let executor = inside::executor(app.project(), this_program(), LocalExecutor::new(this_program(), Some(shared)));
    let mut events = EventLog::new(fs::open_append(&log_folder.join("events.jsonl"))?, workspace.clock.clone());
    let mut told = EventLog::new(context.ui.out().sink().clone(), workspace.clock.clone());
    let mut collected = Collector::new(prepared.plan.fresh.len());
    let mut recorder = Recorder::new(&*workspace.store, &workspace.checked, &*workspace.clock, run.clone());
    let order = asked.course.as_ref().map(|it| it.order);
    let options = Options { jobs, fail_fast: asked.how.fail_fast, order };
    let summary = {
        let mut all = listeners(context, app, prepared)?;
        if asked.answer == Answer::Events {
            all.0.push(Box::new(&mut told));
        }
        all.0.push(Box::new(&mut collected));
        all.0.push(Box::new(&mut recorder));
        all.0.push(Box::new(&mut events));
        let durations = durations(app, prepared.survey);
        dispatch(&run_context, prepared.plan, &durations, options, &*executor, &signals.messages, &mut all)
    };
    let broken = events.failure().map(|it| format!("the event log of this run is not complete: {it}"));
    for trouble in recorder.trouble().into_iter().chain(broken) {
        context.ui.warn(&trouble);
    }
    // The FIFO has no use after the run; a folder left by a killed run is removed by `gc`.
    let _ = fs::remove(&jobs_folder);
    seal(app, &run);
    if asked.answer == Answer::Document {
        context.ui.print(&json(collected.document()))?;
    }
    match told.into_failure() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        failure => Ok(Brought { summary, unheard: failure.is_some() }),
    }
}

/// So many steps at work at once.
pub fn jobs_of(wanted: Option<usize>) -> usize {
    wanted.filter(|it| *it > 0).unwrap_or_else(cores).min(JOBS_MAX)
}

/// What all steps of a run share, if nobody asks for more.
pub fn run_context<'a>(
    context: &Context,
    app: &'a App,
    locks: &'a Arc<LockTable>,
    run: &RunId,
    jobs: usize,
) -> Result<RunContext<'a>, Failure> {
    // Below another build its slots are shared; else ours are offered to builds below us.
    let outer = context.opening.env.get("MAKEFLAGS").and_then(Jobserver::join);
    let jobserver = match outer {
        Some(outer) => outer,
        None => Jobserver::serve(&app.state.path().join("jobs").join(&run.0), jobs)
            .map_err(|it| Failure::new(Exit::State, it))?,
    };
    Ok(RunContext {
        workspace: &app.workspace,
        run: run.clone(),
        locks,
        jobserver,
        make_speaks_fifo: makes_are_near(app)
            && make_speaks_fifo(context.opening.env.get_os("PATH").map_or(OsStr::new(""), |it| it)),
        host: host(),
        log_folder: below_root(app, &app.state.logs().join(&run.0)),
        forced: HashMap::new(),
        selected: HashSet::new(),
        spared: &[],
        grace_ms: GRACE_MS,
        tells_queries: context.ui.is_verbose(),
    })
}

fn below_root(app: &App, path: &Path) -> String {
    path.strip_prefix(&app.workspace.root).unwrap_or(path).to_string_lossy().into_owned()
}

/// Whether a command may start `make` itself, so that it is worth asking that for its version.
fn makes_are_near(app: &App) -> bool {
    let mut texts = app.project().ops.values().flat_map(|it| it.action.templates());
    texts.any(|it| it.text().contains("make"))
}

/// Names the run and records that it began.
fn begin(context: &Context, app: &App) -> Result<RunId, Failure> {
    let started_at = app.workspace.clock.now();
    let run = RunId::new(started_at, random()?);
    app.open_session(&run.0)?;
    if app.project().durability == Durability::Strict {
        // The names of the state's own files, which may be new.
        app.workspace.store.sync()?;
        fs::sync(&app.workspace.root)?;
    }
    let record = RunRecord {
        id: run.clone(),
        started_at,
        ended_at: None,
        outcome: None,
        command: context.typed.clone(),
        steps: Vec::new(),
        pid: std::process::id(),
        host: host(),
    };
    app.workspace.store.commit(&[Change::RunStarted(record)])?;
    Ok(run)
}

/// What each op took last time.
fn durations(app: &App, surveyed: &Survey) -> HashMap<OpId, u64> {
    let parts = surveyed.recorded.iter().filter_map(|(node, them)| Some((node, them.values().next_back()?)));
    let records = surveyed.records.iter().chain(parts);
    records.filter_map(|(node, record)| Some((app.project().op_of(*node)?, record.duration_ms))).collect()
}

fn nothing_to_do(context: &Context, prepared: &Prepared<'_>) -> Result<Brought, Failure> {
    let fresh = prepared.plan.fresh.len();
    match prepared.asked.answer {
        Answer::Document => context.ui.print(&json(Collector::new(fresh).document()))?,
        Answer::Nothing | Answer::Events => context.ui.say(&words::all_fresh(fresh)),
    }
    let summary = Summary { outcome: RunOutcome::Succeeded, reports: Vec::new(), signal: None, duration_ms: 0 };
    Ok(Brought { summary, unheard: false })
}

fn progress_choice(context: &Context, how: &RunArgs) -> Result<ProgressChoice, Failure> {
    match how.progress.as_deref().or_else(|| context.opening.env.get("ASSETS_PROGRESS")) {
        None | Some("") => Ok(ProgressChoice::Auto),
        Some(text) => ProgressChoice::parse(text).ok_or_else(|| {
            Failure::usage(format!("`{text}` is no way to show progress")).hint("auto, bar, plain or none")
        }),
    }
}

fn listeners<'a>(context: &Context, app: &'a App, prepared: &Prepared<'_>) -> Result<MultiListener<'a>, Failure> {
    let env = &context.opening.env;
    let choice = progress_choice(context, prepared.asked.how)?;
    let fresh = prepared.plan.fresh.len();
    let course = prepared.asked.course.as_ref();
    let names: Vec<(String, &str)> = prepared.plan.steps.iter().flat_map(|it| shown_names(app.project(), it)).collect();
    let setting = Setting {
        fresh,
        columns: Columns::of(names.iter().map(|(name, io)| (name.as_str(), *io))),
        retry: course.map_or_else(|| again::retry(&context.opening), |it| it.retry.clone()),
        resume: course.map_or_else(|| again::as_typed(&context.typed), |it| it.resume.clone()),
    };
    let mut all: Vec<Box<dyn Listener + 'a>> = vec![progress::listener(&context.ui, choice, setting, env)];
    let place_of = Box::new(move |key: &AssetKey| {
        let project = app.project();
        let place = project.nodes[project.node(key.as_str())?].place;
        let (line, _) = app.sources.line_column(place);
        Some((app.sources.file(place.file).path.display().to_string(), line))
    });
    if let Some(github) = GithubListener::new(context.ui.err(), env, fresh, place_of) {
        all.push(Box::new(github));
    }
    Ok(MultiListener(all))
}

/// What a step makes and where that is kept, as its lines will say.
fn shown_names<'a>(project: &'a Project, step: &PlanStep) -> impl Iterator<Item = (String, &'a str)> {
    step.outputs.iter().map(|(node, _)| {
        let node = &project.nodes[*node];
        let io = node.asset().map_or("", |it| project.io_managers[it.io].name.as_str());
        (line::name(&node.key, &step.partition), io)
    })
}

/// Everything of this run is made to survive a power loss, and only then called so.
pub fn seal(app: &App, run: &RunId) {
    let workspace = &app.workspace;
    let project = app.project();
    if project.durability == Durability::Off {
        return;
    }
    // Of each folder that outputs lie in: another file system may be mounted below the others.
    let mut met = HashSet::new();
    let first = project.assets().filter(|(.., it)| met.insert((it.io, it.path.as_path().parent())));
    let folders: Vec<PathBuf> =
        first.filter_map(|(id, ..)| Some(project.output_path(id)?.parent()?.under(&workspace.root))).collect();
    let folders = [app.state.path()].into_iter().chain(folders.iter().map(PathBuf::as_path));
    // Not sealed is safe: after a power loss the outputs are read again before they are trusted.
    if boot::sync_file_systems(folders).is_ok()
        && workspace.store.sync().is_ok()
        && workspace.store.commit(&[Change::SessionSealed(run.0.clone())]).is_ok()
    {
        let _ = workspace.store.sync();
    }
}

pub fn exit_of(summary: &Summary) -> Exit {
    match (summary.outcome, summary.signal.filter(|it| *it != Signal::Finish)) {
        (_, Some(Signal::Interrupt | Signal::Quit)) => Exit::Interrupted,
        (_, Some(_)) => Exit::Terminated,
        (RunOutcome::Succeeded, None) => Exit::Done,
        (RunOutcome::Failed, None) if rejected(summary) => Exit::CheckFailed,
        (RunOutcome::Interrupted, None) => Exit::NotFresh,
        (RunOutcome::Failed, None) => Exit::Failed,
    }
}

/// Whether nothing worse happened than that checks said no.
fn rejected(summary: &Summary) -> bool {
    summary.reports.iter().filter_map(|it| it.error.as_ref()).all(|it| it.rejected)
}

/// This very program, also if its file was replaced meanwhile.
pub fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub fn random() -> Result<u16, Failure> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(|it| Failure::new(Exit::State, format!("no random numbers: {it}")))?;
    Ok(u16::from_le_bytes(bytes))
}
