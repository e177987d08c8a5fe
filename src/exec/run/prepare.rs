//! The first half of a step: lock, look again, and get everything ready for the command.
//!
//! What was planned is only a guess by the time a step's turn comes; here it is decided.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    base::{digest::Digest, sabotage::Protection},
    exec::{
        copies::Copies,
        executor::{SPEC_VERSION, StepSpec},
        io::{IoError, Slice, Staged, postgres::connect::secrets},
        lock::{LockError, LockGuard, LockName, Locked},
        run::{
            audit::{Audit, Audited},
            beneath::{Ground, beneath, parts_of},
            claim::claim,
            context::{RunContext, Workspace},
            finish::{Restoring, restore},
            given::given_inputs,
            incremental::extent,
            partitions::{self, ReadParts},
            query,
            recover::{recover_held, sweep},
            render::{Given, Place, render},
            version,
            witness::{StoredInput, Witnesses, Witnessing},
        },
    },
    model::{
        check::Rule,
        event::{Extent, StepError, StepOutcome, StepReport},
        fingerprint::Fingerprint,
        key::PartitionKey,
        partition::PartitionSet,
        plan::{PlanStep, StepAction},
        project::{Action, Check, CheckBody, NodeBody, NodeId, Op, OpId},
        staleness::Reason,
    },
    plan::{
        examine::{Case, Examined, Upstream, examine},
        observe::{Facts, SourceFacts, SourceParts, observe, sources_of},
        partition_files::observe_partitions,
        record::{Attempt, AttemptId, AttemptState, Materialization, Observation, StoredOutput, TrackedFile},
        store::{Change, StoreError},
        survey::{check_stored, load_observations, standing},
        world::{OutputState, World},
    },
};

/// What came of preparing.
pub enum Prepared {
    /// Nothing is left to do; the step's outputs are right.
    Settled(Vec<StepReport>),
    /// Another process works on it; try again soon.
    Contended { name: LockName },
    /// It cannot be run.
    Failed { error: StepError, reasons: Vec<Reason> },
    /// Hand over `spec`, then finish.
    Ready(Box<Attempting>),
}

/// An attempt between its preparation and its end. Holds the step's locks.
pub struct Attempting {
    pub id: AttemptId,
    /// Its own command; of one that is made together with others there is none.
    pub spec: Option<StepSpec>,
    pub started_at: Timestamp,
    pub outputs: Vec<OutputAttempt>,
    /// Outputs that the command may read, as they were when its fingerprint was taken (I3).
    pub inputs: Vec<TrackedFile>,
    /// The same of those that only their IO manager can look at.
    pub stored: Vec<StoredInput>,
    /// Why what it reads is not what its fingerprint tells of, if that is known before it is run.
    pub torn: Option<String>,
    /// The sources as they were found, to be recorded with the result.
    pub observations: Vec<Observation>,
    pub log: Option<String>,
    pub extent: Option<Extent>,
    pub facts: Facts,
    pub audit: Audit,
    /// What it reads, for the command that makes it together with others.
    pub read: Option<Box<Now>>,
    /// What it reads that lies elsewhere.
    _copies: Copies,
    pub locks: LockGuard,
}

/// One output of an attempt.
pub struct OutputAttempt {
    pub node: NodeId,
    pub staged: Staged,
    pub fingerprint: Fingerprint,
    /// Why it is made; of an output that is only made along, why the others are.
    pub reasons: Vec<Reason>,
    /// The record that stands, if its output does too.
    pub standing: Option<Materialization>,
    /// How many there were when it was made last, whatever has become of them.
    pub rows_before: Option<u64>,
}

/// Why preparing broke down.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{message}")]
    Render { message: String, help: Vec<String> },
}

impl PrepareError {
    /// What can be done about it, where something can.
    pub fn help(&self) -> Vec<String> {
        match self {
            PrepareError::Render { help, .. } => help.clone(),
            PrepareError::Io(error) => error.help().map(str::to_owned).into_iter().collect(),
            PrepareError::Store(_) | PrepareError::Lock(_) => Vec::new(),
        }
    }
}

/// Prepares one attempt at `step`. `attempt` counts from 1 and is unique within the run's step.
///
/// # Errors
/// State that cannot be read or written, places that cannot be made.
pub fn prepare(
    context: &RunContext<'_>,
    step: &PlanStep,
    index: usize,
    attempt: u32,
) -> Result<Prepared, PrepareError> {
    let locks = match lock(context, step)? {
        Locked::Held(guard) => guard,
        Locked::Busy(name) => return Ok(Prepared::Contended { name }),
    };
    inherit(context, step.op, &[&step.partition])?;
    prepare_held(context, step, (AttemptId::new(&context.run, index, attempt), None), locks)
}

/// Its own locks and those of what it reads.
///
/// # Errors
/// State that cannot be read, locks that cannot be asked for.
pub fn lock(context: &RunContext<'_>, step: &PlanStep) -> Result<Locked, PrepareError> {
    let project = &*context.workspace.project;
    let op = &project.ops[step.op];
    let own: Vec<LockName> = op.outputs.iter().map(|it| LockName::of(project.key(*it), &step.partition)).collect();
    let upstream = upstream_locks(context, step)?;
    let locked = context.locks.try_lock(&upstream, &own)?;
    if let Locked::Busy(_) = locked {
        return Ok(locked);
    }
    let kept = op.outputs.iter().chain(&op.deps).filter(|it| project.nodes[**it].asset().is_some());
    for node in kept {
        if let Some(name) = context.workspace.io_of(*node).admit()? {
            return Ok(Locked::Busy(name));
        }
    }
    Ok(locked)
}

/// Finishes what the last owners of locks that are held now have left.
///
/// # Errors
/// State that cannot be read or written.
pub fn inherit(context: &RunContext<'_>, op: OpId, partitions: &[&PartitionKey]) -> Result<(), PrepareError> {
    // I5: whoever held these locks before us and died may have left a publication to finish, which must
    // never be finished over what we are about to make.
    if !Protection::Inheritance.is_off() {
        recover_held(context.workspace, &context.workspace.project.ops[op].name, partitions)?;
    }
    Ok(())
}

/// Prepares an attempt whose locks are held. `shared` is the log of the command that makes it together with
/// others, if one does.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_held(
    context: &RunContext<'_>,
    step: &PlanStep,
    (id, shared): (AttemptId, Option<&str>),
    locks: LockGuard,
) -> Result<Prepared, PrepareError> {
    let (mut now, mut examined) = Now::examined(context, step)?;
    let reasons = told_reasons(&examined);
    let blind = Protection::SecondLook.is_off() && step.action == StepAction::Build;
    if !blind && examined.iter().all(|(_, it)| it.verdict.is_fresh()) {
        return Ok(Prepared::Settled(now.settled(context, step, &examined)));
    }
    if !blind && !reasons.iter().any(|it| it.code == crate::model::staleness::ReasonCode::Forced) {
        match restore(context, step, &examined)? {
            Restoring::Done(reports) => return Ok(Prepared::Settled(reports)),
            Restoring::Nothing => {}
            Restoring::Broken => (now, examined) = Now::examined(context, step)?,
        }
    }
    if examined.iter().any(|(_, it)| it.blocked) {
        return Ok(Prepared::Failed { error: blocked_error(&reasons), reasons });
    }
    stage(context, step, (id, shared), now, examined, locks).map(|it| Prepared::Ready(Box::new(it)))
}

/// Of what the step reads. A partition that is recorded after this was asked for is not locked, and is
/// told by its files if it matters.
pub fn upstream_locks(context: &RunContext<'_>, step: &PlanStep) -> Result<Vec<LockName>, StoreError> {
    let workspace = context.workspace;
    let project = &*workspace.project;
    let mut names = Vec::new();
    for dep in project.ops[step.op].deps.iter().filter(|it| project.nodes[**it].asset().is_some()) {
        match partitions::recorded(workspace, step.op, *dep, &step.partition)? {
            Some((records, _)) => names.extend(records.iter().map(|it| LockName::of(&it.key, &it.partition))),
            None => {
                names.push(LockName::of(project.key(*dep), &PartitionKey::whole()));
                for shown in beneath(workspace, *dep) {
                    match parts_of(workspace, shown)? {
                        Some((records, _)) => {
                            names.extend(records.iter().map(|it| LockName::of(&it.key, &it.partition)));
                        }
                        None => names.push(LockName::of(project.key(shown.below), &PartitionKey::whole())),
                    }
                }
            }
        }
    }
    Ok(names)
}

fn told_reasons(examined: &[(NodeId, Examined)]) -> Vec<Reason> {
    let mut told: Vec<Reason> = Vec::new();
    for (_, it) in examined {
        for reason in it.verdict.reasons() {
            if !told.contains(reason) {
                told.push(reason.clone());
            }
        }
    }
    told
}

fn blocked_error(reasons: &[Reason]) -> StepError {
    use crate::model::staleness::ReasonCode;
    let missing: Vec<&Reason> = reasons.iter().filter(|it| it.code == ReasonCode::UpstreamMissing).collect();
    let message = missing.first().map_or_else(|| "something upstream is missing".to_owned(), |it| it.message.clone());
    let mut help: Vec<String> = missing.iter().skip(1).map(|it| it.message.clone()).collect();
    if message.ends_with(MEANWHILE) {
        help.push("run again; if a hook of another asset changes it, let its own query do that".to_owned());
    }
    if message.contains("not selected") {
        help.push("select it too: put `+` before the name".to_owned());
    }
    StepError { message, help, ..StepError::default() }
}

/// What is said of something upstream that was right when its turn came.
const MEANWHILE: &str = "since this run has seen to it";

/// What is said of an upstream that cannot be read.
pub fn missing(context: &RunContext<'_>, dep: NodeId, why: &str) -> String {
    let key = context.workspace.project.key(dep);
    match context.selected.contains(&dep) {
        true => format!("upstream {key} {why} {MEANWHILE}"),
        false => format!("upstream {key} {why}, and is not selected"),
    }
}

/// The world around one step, looked at under its locks.
pub struct Now {
    pub facts: Facts,
    pub records: HashMap<NodeId, Materialization>,
    pub stored: HashMap<NodeId, OutputState>,
    /// Of dependencies with partitions.
    pub parts: HashMap<NodeId, ReadParts>,
    /// Beneath the views that it reads.
    pub ground: Ground,
    /// Of what only its IO manager can look at.
    pub witnesses: Witnesses,
}

impl Now {
    fn examined(context: &RunContext<'_>, step: &PlanStep) -> Result<(Now, Vec<(NodeId, Examined)>), StoreError> {
        let now = Now::look(context, step)?;
        let outputs = &context.workspace.project.ops[step.op].outputs;
        let examined = outputs.iter().map(|it| (*it, now.examine(context, step, *it))).collect();
        Ok((now, examined))
    }

    /// # Errors
    /// State that cannot be read.
    pub fn look(context: &RunContext<'_>, step: &PlanStep) -> Result<Now, StoreError> {
        let witnessing = Witnessing::new(context.workspace);
        let world = World { probe: &witnessing, ..context.workspace.world() };
        let op = &world.project.ops[step.op];
        let (mut records, mut parts, mut ground) = (HashMap::new(), HashMap::new(), Ground::default());
        for node in &op.outputs {
            if let Some(record) = world.store.latest(world.project.key(*node), &step.partition)? {
                records.insert(*node, record);
            }
        }
        for node in op.deps.iter().filter(|it| world.project.nodes[**it].asset().is_some()) {
            match partitions::recorded(context.workspace, step.op, *node, &step.partition)? {
                Some((them, wanted)) => {
                    parts.insert(*node, ReadParts::look(&world, context.workspace, *node, (them, wanted)));
                }
                None => {
                    let record = world.store.latest(world.project.key(*node), &PartitionKey::whole())?;
                    records.extend(record.map(|it| (*node, it)));
                    ground.look((&world, context.workspace), *node, &mut records)?;
                }
            }
        }
        let sources = sources_of(&world, &[step.op]);
        let mut facts = observe(&world, &[step.op], &sources, &load_observations(&world, &sources)?);
        facts.partitions = source_parts(&world, step);
        let (mut stored, refreshed) = check_stored(&world, records.iter().map(|(node, it)| (*node, it)));
        // What was only touched is from now on what it looks like now.
        for record in refreshed {
            if let Some(node) = world.project.node(record.key.as_str()) {
                records.insert(node, record);
            }
        }
        let lent = world.deferred.into_iter().flatten().filter(|it| op.deps.contains(it.0));
        for (node, record) in lent {
            records.insert(*node, record.clone());
            stored.insert(*node, OutputState::Same);
        }
        Ok(Now { facts, records, stored, parts, ground, witnesses: witnessing.seen() })
    }

    fn examine(&self, context: &RunContext<'_>, step: &PlanStep, output: NodeId) -> Examined {
        let project = &*context.workspace.project;
        examine(&Case {
            project,
            partitions: &context.workspace.partitions,
            op: &project.ops[step.op],
            output,
            partition: &step.partition,
            facts: &self.facts.ops[&step.op],
            record: self.records.get(&output),
            stored: self.stored.get(&output).unwrap_or(&OutputState::Same),
            forced: context.forced.get(&output).copied(),
            spared: context.spared,
            declared: &|dep| self.records.get(&dep)?.declared.clone(),
            upstream: &|dep| self.upstream(context, step, dep),
        })
    }

    /// The record of an output that is in place and is what was recorded.
    fn whole(&self, node: NodeId) -> Option<&Materialization> {
        self.records.get(&node).filter(|_| self.stored.get(&node) == Some(&OutputState::Same))
    }

    /// The version that is really there: nothing is pending any more.
    fn upstream(&self, context: &RunContext<'_>, step: &PlanStep, dep: NodeId) -> Upstream {
        let workspace = context.workspace;
        let project = &*workspace.project;
        if let Some(parts) = self.parts.get(&dep) {
            return parts.upstream(workspace);
        }
        if let Some(parts) = self.facts.partitions.get(&dep) {
            return partitions::upstream_of_source(workspace, step.op, dep, &step.partition, parts);
        }
        match &project.nodes[dep].body {
            NodeBody::Source(_) => match &self.facts.sources[&dep] {
                SourceFacts::Known { observation, .. } => Upstream::Version(observation.data_version),
                SourceFacts::Missing(why) => Upstream::Missing(why.clone()),
            },
            NodeBody::Asset(_) => match standing(self.records.get(&dep), self.stored.get(&dep)) {
                Ok(version) => match self.shifted(workspace, dep) {
                    Some(why) => Upstream::Missing(missing(context, dep, &why)),
                    None => Upstream::Version(version),
                },
                Err(why) => Upstream::Missing(missing(context, dep, why)),
            },
        }
    }

    /// Why a view that is read is not what is recorded of it.
    fn shifted(&self, workspace: &Workspace, dep: NodeId) -> Option<String> {
        self.ground.shifted(workspace, dep, |it| (self.records.get(&it), self.stored.get(&it)))
    }

    /// Which partitions are read of a dependency that has some.
    pub fn places(&self, workspace: &Workspace, dep: NodeId) -> Option<Vec<u64>> {
        if let Some(parts) = self.facts.partitions.get(&dep) {
            return Some(parts.keys().copied().collect());
        }
        let keys = workspace.partitions.of_node(dep);
        let place = |it: &Materialization| keys.place(it.partition.as_str()).ok();
        Some(self.parts.get(&dep)?.there.iter().filter_map(|it| place(&it.0)).collect())
    }

    fn settled(&self, context: &RunContext<'_>, step: &PlanStep, examined: &[(NodeId, Examined)]) -> Vec<StepReport> {
        let outcome = match step.action {
            StepAction::Maybe => StepOutcome::CutOff,
            StepAction::Build | StepAction::Restore => StepOutcome::Fresh,
        };
        examined
            .iter()
            .map(|(node, _)| {
                let record = self.records.get(node);
                StepReport {
                    data_version: record.map(|it| it.data_version),
                    bytes: record.and_then(|it| it.bytes),
                    rows: record.and_then(|it| it.rows),
                    ..report(context, *node, &step.partition, outcome)
                }
            })
            .collect()
    }

    /// What the command may read: what is added to is read too.
    fn read(&self, workspace: &Workspace, op: &Op, extent: Option<Extent>) -> Vec<NodeId> {
        let own = op.outputs.iter().filter(|_| extent == Some(Extent::Added));
        let below = op.deps.iter().flat_map(|it| beneath(workspace, *it)).map(|it| it.below);
        let mut read: Vec<NodeId> = op.deps.iter().chain(own).copied().chain(below).collect();
        read.sort_unstable();
        read.dedup();
        read
    }

    /// The outputs that the command may read, as they are now (I3). Code and sources are looked at
    /// anew after the run instead: links among them are followed.
    fn inputs(&self, read: &[NodeId]) -> Vec<TrackedFile> {
        let mut inputs = Vec::new();
        for dep in read {
            if let Some(Materialization { output: StoredOutput::Files(files), .. }) = self.records.get(dep) {
                inputs.extend(files.iter().cloned());
            }
        }
        inputs.extend(self.parts.values().flat_map(ReadParts::files).cloned());
        inputs
    }

    fn stored_inputs(&self, read: &[NodeId]) -> Vec<StoredInput> {
        let output = |dep: &NodeId| Some((*dep, PartitionKey::whole(), self.records.get(dep)?.output.clone()));
        let whole = read.iter().filter_map(output).filter(|it| matches!(it.2, StoredOutput::Token(_)));
        let parts = self.parts.values().chain(self.ground.parts.values());
        let mut all: Vec<_> = whole.chain(parts.flat_map(ReadParts::tokens)).collect();
        all.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        all.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
        let input = |(node, partition, output): (NodeId, PartitionKey, StoredOutput)| {
            let witness = self.witnesses.get(&(node, partition.clone())).cloned();
            StoredInput { node, partition, output, witness }
        };
        all.into_iter().map(input).collect()
    }
}

/// A report with nothing in it but whose it is and how it went.
pub fn report(context: &RunContext<'_>, node: NodeId, partition: &PartitionKey, outcome: StepOutcome) -> StepReport {
    let project = &*context.workspace.project;
    let asset = project.nodes[node].asset().expect("only assets are made");
    StepReport {
        key: project.key(node).clone(),
        partition: partition.clone(),
        io: project.io_managers[asset.io].name.clone(),
        outcome,
        duration_ms: 0,
        data_version: None,
        tried: None,
        unchanged: false,
        extent: None,
        bytes: None,
        rows: None,
        reasons: Vec::new(),
        error: None,
        checks: Vec::new(),
    }
}

fn stage(
    context: &RunContext<'_>,
    step: &PlanStep,
    (id, shared): (AttemptId, Option<&str>),
    now: Now,
    examined: Vec<(NodeId, Examined)>,
    locks: LockGuard,
) -> Result<Attempting, PrepareError> {
    let workspace = context.workspace;
    let project = &*workspace.project;
    let op = &project.ops[step.op];
    let started_at = workspace.clock.now();
    let mut outputs: Vec<OutputAttempt> = Vec::new();
    let mut copies = Copies::none(&workspace.root);
    let all_reasons = told_reasons(&examined);
    let extent = extent(op, &examined, |it| now.whole(it));
    let own_log = format!("{}/{}.log", context.log_folder, file_name(op, &id));
    let log = shared.map_or_else(|| own_log.clone(), str::to_owned);
    // Before anything is staged: what a crash leaves behind belongs to an attempt that is known.
    let attempt = begun(context, step, &id, started_at, &log);
    if !Protection::AttemptFirst.is_off() {
        workspace.store.commit(&[Change::AttemptStarted(attempt.clone())])?;
    }
    let made = (|| {
        for (node, it) in examined {
            let own = it.verdict.reasons();
            let reasons = if own.is_empty() { all_reasons.clone() } else { own.to_vec() };
            let target = workspace.target_to_make(node, &step.partition);
            claim(context, node, &target, now.records.get(&node))?;
            let staged = workspace.io_of(node).stage(&target, &id)?;
            outputs.push(OutputAttempt {
                node,
                staged,
                fingerprint: it.fingerprint.expect("nothing is pending and nothing blocks"),
                reasons,
                standing: now.whole(node).cloned(),
                rows_before: now.records.get(&node).and_then(|it| it.rows),
            });
        }
        if Protection::AttemptFirst.is_off() {
            workspace.store.commit(&[Change::AttemptStarted(attempt.clone())])?;
        }
        // Made together with others, only its checks are its own.
        let given = match shared.is_some() && op.checks.is_empty() {
            true => Vec::new(),
            false => given_inputs(context, step, &now, &mut copies)?,
        };
        let places: Vec<Place> =
            outputs.iter().map(|it| Place { node: it.node, path: it.staged.path.clone() }).collect();
        // Rows of another partition are refused; a database does that itself.
        let of = |it: &Place| Some((workspace.slice(it.node, &step.partition)?, it.path.clone()));
        let in_files = matches!(op.action, Action::Sql(_)) && !project.is_in_database(places[0].node);
        let together: Vec<(Slice, PathBuf)> = places.iter().filter(|_| in_files).filter_map(of).collect();
        let parts = SpecParts {
            step,
            attempt: &id.0,
            action: &op.action,
            outputs: &places,
            given: &given,
            log: &own_log,
            together: &together,
            adds: extent == Some(Extent::Added),
            timeout: op.timeout,
        };
        let of = |node: NodeId| outputs.iter().find(|it| it.node == node);
        let audited = Audited {
            parts,
            staged: &|node| of(node).map(|it| &it.staged),
            last: &|check| {
                last_number(
                    context,
                    (check, &step.partition),
                    of(check.asset).and_then(|it| it.standing.as_ref()),
                    None,
                )
            },
        };
        let spec = if shared.is_some() { None } else { Some(spec(context, &parts)?) };
        Ok::<_, PrepareError>((spec, Audit::prepared(context, &op.checks, &audited)?))
    })();
    let (spec, audit) = match made {
        Ok(it) => it,
        Err(error) => {
            // Of the output at which it failed, too, something may be there.
            sweep(workspace, &attempt);
            let state = AttemptState::Failed(error.to_string());
            workspace.store.commit(&[Change::AttemptEnded { id, state, at: workspace.clock.now() }])?;
            return Err(error);
        }
    };
    let observations = now
        .facts
        .sources
        .values()
        .filter_map(|it| match it {
            SourceFacts::Known { observation, .. } => Some(observation.clone()),
            SourceFacts::Missing(_) => None,
        })
        .collect();
    let read = now.read(workspace, op, extent);
    let (inputs, stored) = (now.inputs(&read), now.stored_inputs(&read));
    let torn = if copies.any() { stored.iter().find_map(|it| it.torn(workspace)) } else { None };
    let (facts, read) = match shared {
        Some(_) => (now.facts.clone(), Some(Box::new(now))),
        None => (now.facts, None),
    };
    Ok(Attempting {
        id,
        spec,
        started_at,
        outputs,
        inputs,
        stored,
        torn,
        observations,
        log: Some(log),
        extent,
        facts,
        audit,
        read,
        _copies: copies,
        locks,
    })
}

/// The number that `check` judged in the version published before, if it asks for that and it is remembered.
/// `standing` is that version, `now` the one that is looked at, if it is published.
pub fn last_number(
    context: &RunContext<'_>,
    (check, partition): (&Check, &PartitionKey),
    standing: Option<&Materialization>,
    now: Option<&Digest>,
) -> Option<f64> {
    let CheckBody::Data(data) = &check.body else { return None };
    data.rule.bounds()?.change?;
    // Of a file that is known by its bytes only the check itself has counted the rows.
    if matches!(data.rule, Rule::RowCount { .. })
        && data.filter.is_none()
        && let Some(rows) = standing?.rows
    {
        return Some(rows as f64);
    }
    let workspace = context.workspace;
    workspace.checked.last_number((workspace.project.key(check.asset), partition), &check.name, now)
}

fn begun(context: &RunContext<'_>, step: &PlanStep, id: &AttemptId, started_at: Timestamp, log: &str) -> Attempt {
    let project = &*context.workspace.project;
    let op = &project.ops[step.op];
    Attempt {
        id: id.clone(),
        run: context.run.clone(),
        op: op.name.clone(),
        partition: step.partition.clone(),
        outputs: op.outputs.iter().map(|it| project.key(*it).clone()).collect(),
        started_at,
        ended_at: None,
        state: AttemptState::Running,
        log: Some(log.to_owned()),
        pid: std::process::id(),
        host: context.host.clone(),
    }
}

/// A name for people: the op, then what makes it unique.
pub fn file_name(op: &Op, id: &AttemptId) -> String {
    let tail = id.0.splitn(3, '-').nth(2).unwrap_or(&id.0).to_owned();
    let name: String = op.name.chars().take(80).map(|it| if it == '/' { '.' } else { it }).collect();
    format!("{name}.{tail}")
}

/// The partitions of sources that a step reads, as far as they are there.
pub fn source_parts(world: &World<'_>, step: &PlanStep) -> HashMap<NodeId, SourceParts> {
    if world.partitions.is_empty() {
        return HashMap::new();
    }
    let own = world.partitions.of_op(step.op).place(step.partition.as_str());
    let own = own.map_or_else(|_| PartitionSet::empty(), PartitionSet::one);
    observe_partitions(world, &[step.op], &|_| own.clone())
}

/// What a command of a step is made of: the one that makes its outputs, or one that checks them.
#[derive(Clone, Copy)]
pub struct SpecParts<'a> {
    pub step: &'a PlanStep,
    /// Unique; see [`StepSpec::attempt`].
    pub attempt: &'a str,
    pub action: &'a Action,
    /// Those that it may name.
    pub outputs: &'a [Place],
    pub given: &'a [(NodeId, Given)],
    /// Relative to the project.
    pub log: &'a str,
    /// Which rows of a query go where, where that is told by them.
    pub together: &'a [(Slice, PathBuf)],
    /// What it makes is added to what is there.
    pub adds: bool,
    pub timeout: Option<Duration>,
}

/// # Errors
/// A template that names what is not there.
pub fn spec(context: &RunContext<'_>, parts: &SpecParts<'_>) -> Result<StepSpec, PrepareError> {
    let told = context.workspace.partitions.told(parts.step.op, &parts.step.partition);
    spec_told(context, parts, &told)
}

/// The same, with what is told of its partitions.
///
/// # Errors
/// As [`spec`].
pub fn spec_told(
    context: &RunContext<'_>,
    parts: &SpecParts<'_>,
    told: &BTreeMap<String, String>,
) -> Result<StepSpec, PrepareError> {
    let workspace = context.workspace;
    let op = &workspace.project.ops[parts.step.op];
    let mut rendered = render(context, op, parts.action, parts.outputs, parts.given, told)?;
    if let Action::Sql(sql) = parts.action {
        rendered.argv = query::query_argv(context, sql, parts, told)?;
        for (name, url) in query::connections(context) {
            let parts = secrets(&url);
            rendered.environment.set_secret(&name, url, parts);
        }
    }
    for (name, value) in version::variables(context, parts, told) {
        rendered.environment.set(name, value);
    }
    // Finds what the command left behind, whatever that did to hide.
    rendered.environment.set("ASSETS_ATTEMPT", parts.attempt);
    Ok(StepSpec {
        version: SPEC_VERSION,
        run: context.run.0.clone(),
        attempt: parts.attempt.to_owned(),
        key: op.name.clone(),
        partition: parts.step.partition.as_str().to_owned(),
        argv: rendered.argv,
        secrets: if Protection::Redaction.is_off() { Vec::new() } else { rendered.environment.secrets.clone() },
        env: rendered.environment.into_pairs(),
        folder: op.folder.under(&workspace.root),
        log: workspace.root.join(parts.log),
        timeout_ms: parts.timeout.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
        grace_ms: context.grace_ms,
        log_bytes_max: 64 << 20,
    })
}
