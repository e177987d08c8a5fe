//! The state of every asset in a scope: one pass over the graph, upstream first.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    base::{id::IdVec, path::ProjectPath, process, sabotage::Protection},
    model::{
        fingerprint::{Fingerprint, Part, PartValue},
        key::PartitionKey,
        node_set::NodeSet,
        partition::PartitionSet,
        project::{NodeBody, NodeId, OpId, Project, Source},
        staleness::{Reason, ReasonCode, State, Verdict},
    },
    plan::{
        compare::compare,
        examine::{Case, Examined, Upstream, examine},
        hash::{FileFact, Verified},
        observe::{Facts, SourceFacts, observe, sources_of},
        parted::{Parted, Recorded},
        partition_files::observe_partitions,
        record::{Attempt, AttemptState, Materialization, Observation, StoredOutput, TrackedFile},
        store::StoreError,
        world::{OutputState, World},
    },
};

/// What is asked.
pub struct Request<'a> {
    /// Assets whose state is wanted.
    pub scope: &'a NodeSet,
    /// Assets that are taken to be remade if they are not fresh; the others count as they stand.
    pub runs: &'a NodeSet,
    pub forced: Forced,
    /// Of these assets with partitions, those among them that are taken to be remade; else all.
    pub only: Option<&'a HashMap<NodeId, PartitionSet>>,
}

/// What is made although it is fresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Forced {
    #[default]
    Nothing,
    /// All of what is only added to otherwise.
    Incremental,
    All,
}

impl Forced {
    /// What asks for `node`, as it is typed.
    pub fn by(self, project: &Project, node: NodeId) -> Option<&'static str> {
        match self {
            Forced::Nothing => None,
            Forced::Incremental => project.is_added_to(node).then_some("--full-refresh"),
            Forced::All => Some("--force"),
        }
    }
}

/// What was found of one asset.
#[derive(Clone, PartialEq, Debug)]
pub struct Surveyed {
    pub verdict: Verdict,
    pub state: State,
    /// Known only if the versions of all dependencies are, and it was looked at.
    pub fingerprint: Option<Fingerprint>,
}

/// Everything that was found.
pub struct Survey {
    pub nodes: IdVec<NodeId, Option<Surveyed>>,
    /// Of those with partitions, what is true of which.
    pub parted: HashMap<NodeId, Parted>,
    pub facts: Facts,
    pub records: HashMap<NodeId, Materialization>,
    /// The latest attempt of each op.
    pub attempts: HashMap<OpId, Attempt>,
    /// Those without partitions that were never made, and read partitions of which none is there yet.
    pub waiting: HashSet<NodeId>,
    /// Records of partitions.
    pub recorded: HashMap<NodeId, BTreeMap<u64, Materialization>>,
    /// Records whose files were touched and are the same: new signatures to remember.
    pub refreshed: Vec<Materialization>,
}

impl Survey {
    pub fn get(&self, node: NodeId) -> Option<&Surveyed> {
        self.nodes.get(node)?.as_ref()
    }

    pub fn state(&self, node: NodeId) -> Option<State> {
        self.get(node).map(|it| it.state)
    }
}

/// What an earlier survey tells of a state of this generation: it found ops fresh.
pub struct Known {
    pub generation: u64,
    /// Ops that still are, with everything upstream of them: none of their files has moved since, and they
    /// need not be looked at again.
    pub ops: IdVec<OpId, bool>,
    /// Ops that rest on such ops only, and of whose own files nothing has moved but those of these parts of
    /// their fingerprints, told as they were.
    pub edited: HashMap<OpId, Vec<Part>>,
}

/// So many are always asked for one by one, as are up to a quarter of those that are not: more cost more
/// than all in one go.
const FEW: usize = 64;

/// Looks at every asset of `request.scope`.
///
/// # Errors
/// Only if the state cannot be read; files that cannot be read are reasons.
pub fn survey(world: &World<'_>, request: &Request<'_>) -> Result<Survey, StoreError> {
    survey_each(world, request, None)
}

/// Partitions of one op, or of none.
pub type Each = Option<(OpId, PartitionSet)>;

/// The same, and the fingerprints of these partitions of one op, whether anything is recorded of them or not.
///
/// # Errors
/// As [`survey`].
pub fn survey_each(world: &World<'_>, request: &Request<'_>, each: Each) -> Result<Survey, StoreError> {
    let ops = ops_of(world, request.scope);
    look_at(world, request, &ops, (Vec::new(), each), load_all(world)?)
}

/// The same verdicts; of what is known to be fresh, nothing but that is told.
///
/// # Errors
/// As [`survey`].
pub fn survey_knowing(world: &World<'_>, request: &Request<'_>, known: Option<&Known>) -> Result<Survey, StoreError> {
    survey_but(world, request, known, &HashMap::new())
}

/// The same verdicts and states, and nothing more of an op that its moved files decide: no facts, no
/// record and no fingerprint, so that nothing can be planned from it.
///
/// # Errors
/// As [`survey`].
pub fn survey_states(world: &World<'_>, request: &Request<'_>, known: Option<&Known>) -> Result<Survey, StoreError> {
    let edited = known.map(|it| &it.edited).filter(|it| it.len() <= FEW && request.forced == Forced::Nothing);
    let decided = match edited {
        Some(edited) => decide_by_files(world, request, edited)?,
        None => HashMap::new(),
    };
    survey_but(world, request, known, &decided)
}

/// But for what was decided already, in a state of the generation that `known` is of.
fn survey_but(
    world: &World<'_>,
    request: &Request<'_>,
    known: Option<&Known>,
    decided: &HashMap<OpId, Verdict>,
) -> Result<Survey, StoreError> {
    let Some(known) = known.filter(|_| request.forced == Forced::Nothing) else { return survey(world, request) };
    let verdict = |op: &OpId| if known.ops[*op] { Some(Verdict::Fresh) } else { decided.get(op).cloned() };
    let (mut settled, mut ops) = (Vec::new(), Vec::new());
    for op in ops_of(world, request.scope) {
        match verdict(&op) {
            Some(verdict) => settled.push((op, verdict)),
            None => ops.push(op),
        }
    }
    let recorded = if ops.len() <= FEW.max(settled.len() / 4) {
        // What will be made anew is no version of anything.
        let stale =
            |it: NodeId| world.project.op_of(it).and_then(|it| decided.get(&it)).is_some_and(|it| !it.is_fresh());
        (load_records_of(world, &ops, stale)?, load_attempts_of(world, &ops)?, Recorded::default())
    } else {
        load_all(world)?
    };
    // Read after them: they are of the same state.
    if world.store.generation()? != known.generation {
        return survey(world, request);
    }
    look_at(world, request, &ops, (settled, None), recorded)
}

/// The verdicts on ops that were fresh when files of theirs were as `edited` tells, and of which nothing
/// else has moved: none on an op with a file that is no plain file any more, or with a story to tell.
fn decide_by_files(
    world: &World<'_>,
    request: &Request<'_>,
    edited: &HashMap<OpId, Vec<Part>>,
) -> Result<HashMap<OpId, Verdict>, StoreError> {
    let mut decided = HashMap::new();
    for (op, were) in edited {
        let remade = world.project.ops[*op].outputs.iter().all(|it| request.runs.contains(*it));
        let attempt = world.store.last_attempt(&world.project.ops[*op].name, &PartitionKey::whole())?;
        let plain = attempt.is_none_or(|it| matches!(it.state, AttemptState::Succeeded(_)));
        if !remade || !plain {
            continue;
        }
        let Some(are) = parts_now(world, were) else { continue };
        let reasons = compare(&Fingerprint::new(were.clone()), &Fingerprint::new(are));
        decided.insert(*op, if reasons.is_empty() { Verdict::Fresh } else { Verdict::Stale(reasons) });
    }
    Ok(decided)
}

/// Parts that are files, as they are now. `None`: one of them is no plain file.
fn parts_now(world: &World<'_>, were: &[Part]) -> Option<Vec<Part>> {
    let paths = were.iter().map(|it| ProjectPath::from_normal(&it.name)).collect::<Option<Vec<_>>>()?;
    let facts = world.sweep.look_at_files(&paths);
    let now = |(part, fact): (&Part, Option<FileFact>)| {
        Some(Part { value: PartValue::Digest(fact?.digest()?), ..part.clone() })
    };
    were.iter().zip(facts).map(now).collect()
}

fn look_at(
    world: &World<'_>,
    request: &Request<'_>,
    ops: &[OpId],
    (settled, each): (Vec<(OpId, Verdict)>, Each),
    (mut records, attempts, mut recorded): Loaded,
) -> Result<Survey, StoreError> {
    let project = world.project;
    let lent = world.deferred.into_iter().flatten();
    records.extend(lent.map(|(node, it)| (*node, it.clone())));
    let lent = world.deferred_parts.into_iter().flatten();
    recorded.records.extend(lent.map(|(node, them)| (*node, them.clone())));
    let sources = sources_of(world, ops);
    let facts = observe(world, ops, &sources, &load_observations(world, &sources)?);
    let survey = Survey {
        nodes: IdVec::filled(None, project.len()),
        parted: HashMap::new(),
        facts,
        records,
        attempts,
        waiting: HashSet::new(),
        recorded: HashMap::new(),
        refreshed: Vec::new(),
    };
    let mut walk = Walk { world, request, each, stored: HashMap::new(), recorded, survey };
    if !world.partitions.is_empty() {
        let all = |op: OpId| walk.looked(project.ops[op].outputs[0]);
        walk.survey.facts.partitions = observe_partitions(world, ops, &all);
    }
    for (op, verdict) in settled {
        let state = if verdict.is_fresh() { State::Fresh } else { State::Stale };
        for node in &project.ops[op].outputs {
            walk.survey.nodes[*node] = Some(Surveyed { verdict: verdict.clone(), state, fingerprint: None });
        }
    }
    walk.check_outputs(ops);
    for op in ops {
        match world.partitions.cuts_op(*op) {
            true => walk.parted_op(*op),
            false => walk.op(*op),
        }
    }
    walk.survey.recorded = walk.recorded.records;
    Ok(walk.survey)
}

/// The ops of the assets in `scope`, upstream before downstream, each once.
pub fn ops_of(world: &World<'_>, scope: &NodeSet) -> Vec<OpId> {
    let project = world.project;
    let mut seen = IdVec::<OpId, bool>::filled(false, project.ops.len());
    let mut ops = Vec::new();
    for node in project.graph.order().iter().filter(|it| scope.contains(**it)) {
        if let Some(op) = project.op_of(*node)
            && !seen[op]
        {
            seen[op] = true;
            ops.push(op);
        }
    }
    ops
}

/// Records and attempts, and those of partitions.
type Loaded = (HashMap<NodeId, Materialization>, HashMap<OpId, Attempt>, Recorded);

fn load_all(world: &World<'_>) -> Result<Loaded, StoreError> {
    let mut recorded = Recorded::default();
    let mut whole = HashMap::new();
    for record in world.store.latest_all()? {
        let Some(node) = world.project.node(record.key.as_str()) else { continue };
        if record.partition.is_whole() != world.partitions.cuts(node) {
            if record.partition.is_whole() {
                whole.insert(node, record);
            } else if let Ok(place) = world.partitions.of_node(node).place(record.partition.as_str()) {
                recorded.records.entry(node).or_default().insert(place, record);
            }
        }
    }
    let attempts = load_attempts(world, &mut recorded)?;
    Ok((whole, attempts, recorded))
}

/// Of what `ops` make and read, but for what is `left_out`.
fn load_records_of(
    world: &World<'_>,
    ops: &[OpId],
    left_out: impl Fn(NodeId) -> bool,
) -> Result<HashMap<NodeId, Materialization>, StoreError> {
    let project = world.project;
    let mut records = HashMap::new();
    for node in ops.iter().flat_map(|it| project.ops[*it].outputs.iter().chain(&project.ops[*it].deps)) {
        if project.nodes[*node].asset().is_some()
            && !records.contains_key(node)
            && !left_out(*node)
            && let Some(record) = world.store.latest(project.key(*node), &PartitionKey::whole())?
        {
            records.insert(*node, record);
        }
    }
    Ok(records)
}

fn load_attempts_of(world: &World<'_>, ops: &[OpId]) -> Result<HashMap<OpId, Attempt>, StoreError> {
    let mut attempts = HashMap::new();
    for op in ops {
        if let Some(attempt) = world.store.last_attempt(&world.project.ops[*op].name, &PartitionKey::whole())? {
            attempts.insert(*op, attempt);
        }
    }
    Ok(attempts)
}

/// The latest observations, if any of `sources` is one that only a run asks; else nothing is read.
pub fn load_observations(world: &World<'_>, sources: &[NodeId]) -> Result<HashMap<NodeId, Observation>, StoreError> {
    if sources.iter().all(|it| matches!(world.project.nodes[*it].source(), Some(Source::Files(_)))) {
        return Ok(HashMap::new());
    }
    let observed = world.store.observations()?;
    Ok(observed.into_iter().filter_map(|it| Some((world.project.node(it.key.as_str())?, it))).collect())
}

fn load_attempts(world: &World<'_>, recorded: &mut Recorded) -> Result<HashMap<OpId, Attempt>, StoreError> {
    let by_name: HashMap<&str, OpId> = world.project.ops.iter().map(|(id, op)| (op.name.as_str(), id)).collect();
    let mut attempts = HashMap::new();
    for attempt in world.store.last_attempts()? {
        let Some(op) = by_name.get(attempt.op.as_str()).copied() else { continue };
        if !world.partitions.cuts_op(op) {
            if attempt.partition.is_whole() {
                attempts.insert(op, attempt);
            }
        } else if let Ok(place) = world.partitions.of_op(op).place(attempt.partition.as_str())
            && !matches!(attempt.state, AttemptState::Succeeded(_))
        {
            // One that came to something has a record.
            recorded.attempts.entry(op).or_default().insert(place, attempt);
        }
    }
    Ok(attempts)
}

/// What became of the stored outputs of `records`, in one sweep. Files that were touched and are
/// the same give records to refresh.
pub fn check_stored<'r>(
    world: &World<'_>,
    records: impl Iterator<Item = (NodeId, &'r Materialization)>,
) -> (HashMap<NodeId, OutputState>, Vec<Materialization>) {
    let records: Vec<(NodeId, &Materialization)> = records.collect();
    let (states, refreshed) = check_each(world, &records);
    let states = records.iter().map(|it| it.0).zip(states).collect();
    (states, refreshed.into_iter().map(|it| it.1).collect())
}

/// The same, in the order of `records`; what is to be refreshed is told by its place among them.
pub fn check_each(
    world: &World<'_>,
    records: &[(NodeId, &Materialization)],
) -> (Vec<OutputState>, Vec<(usize, Materialization)>) {
    let mut states = vec![OutputState::Same; records.len()];
    let mut files: Vec<TrackedFile> = Vec::new();
    let mut owners: Vec<(usize, std::ops::Range<usize>)> = Vec::new();
    let mut asked: Vec<(NodeId, &PartitionKey, &StoredOutput)> = Vec::new();
    let mut askers: Vec<usize> = Vec::new();
    for (index, (node, record)) in records.iter().enumerate() {
        let node = *node;
        // Another target, `path`, `format`, root or IO manager: what lies in the old place is no answer for
        // the new one.
        if let StoredOutput::Files(them) = &record.output
            && let path = world.project.output_path_of(node, &record.partition)
            && them.first().is_none_or(|it| path.as_ref() != Some(&it.path))
            && !Protection::Place.is_off()
        {
            let place = path.map_or_else(|| world.project.key(node).to_string(), |it| it.to_string());
            states[index] = OutputState::Elsewhere(place);
            continue;
        }
        match &record.output {
            StoredOutput::Files(them) => {
                let start = files.len();
                // After a power loss the bytes behind a signature may be others.
                let doubted = world.doubts(record);
                if doubted {
                    // What was learnt of them before it is no proof either.
                    them.iter().for_each(|it| world.sweep.forget(&it.path));
                }
                files.extend(them.iter().cloned().map(|it| TrackedFile { racy: it.racy || doubted, ..it }));
                owners.push((index, start..files.len()));
            }
            StoredOutput::Token(_) => {
                asked.push((node, &record.partition, &record.output));
                askers.push(index);
            }
        }
    }
    for (index, told) in askers.into_iter().zip(world.probe.probe_all(&asked)) {
        states[index] = told;
    }
    let mut verified = if Protection::OutputCheck.is_off() { Verified::default() } else { world.sweep.verify(&files) };
    let mut refreshed = Vec::new();
    for (owner, range) in owners {
        let record = records[owner].1;
        let changed = verified.changed.partition_point(|it| *it < range.start);
        let state = match verified.changed.get(changed).filter(|it| range.contains(it)) {
            Some(index) => gone_or_modified(world, &files[*index]),
            None => OutputState::Same,
        };
        if state == OutputState::Same {
            let new: Vec<(usize, TrackedFile)> =
                verified.refreshed.extract_if(.., |(index, _)| range.contains(index)).collect();
            if !new.is_empty() {
                let StoredOutput::Files(mut now) = record.output.clone() else { continue };
                for (index, file) in new {
                    now[index - range.start] = file;
                }
                refreshed.push((owner, Materialization { output: StoredOutput::Files(now), ..record.clone() }));
            }
        }
        states[owner] = state;
    }
    (states, refreshed)
}

fn gone_or_modified(world: &World<'_>, file: &TrackedFile) -> OutputState {
    let shown = file.path.to_string();
    match world.sweep.look_at(&file.path) {
        FileFact::Missing => OutputState::Missing(shown),
        FileFact::Unreadable(why) => OutputState::Unknown(format!("{shown}: {why}")),
        FileFact::Present { .. } | FileFact::Odd => OutputState::Modified(shown),
    }
}

pub(super) struct Walk<'a, 'w> {
    pub(super) world: &'a World<'w>,
    pub(super) request: &'a Request<'a>,
    /// Partitions of one op that are looked at one by one although nothing is recorded of them.
    pub(super) each: Each,
    stored: HashMap<NodeId, OutputState>,
    /// What is recorded of partitions.
    pub(super) recorded: Recorded,
    pub(super) survey: Survey,
}

impl Walk<'_, '_> {
    /// Looks at the outputs of `ops` and of what they read, all at once.
    fn check_outputs(&mut self, ops: &[OpId]) {
        let project = self.world.project;
        let mut wanted = NodeSet::none(project.len());
        for op in ops {
            for node in project.ops[*op].outputs.iter().chain(&project.ops[*op].deps) {
                wanted.insert(*node);
            }
        }
        let records = &self.survey.records;
        // What another target lends was looked at there.
        let is_lent = |it: &NodeId| self.world.deferred.is_some_and(|lent| lent.contains_key(it));
        let pairs = wanted.iter().filter(|it| !is_lent(it)).filter_map(|it| Some((it, records.get(&it)?)));
        let (stored, refreshed) = check_stored(self.world, pairs);
        self.stored = stored;
        self.survey.refreshed = refreshed;
        let (mut places, mut pairs) = (Vec::new(), Vec::new());
        let is_lent = |it: &NodeId| self.world.deferred_parts.is_some_and(|lent| lent.contains_key(it));
        let own = self.recorded.records.iter().filter(|it| wanted.contains(*it.0) && !is_lent(it.0));
        for (node, them) in own {
            for (place, record) in them {
                places.push((*node, *place));
                pairs.push((*node, record));
            }
        }
        let (states, refreshed) = check_each(self.world, &pairs);
        self.recorded.stored = places.into_iter().zip(states).filter(|it| it.1 != OutputState::Same).collect();
        self.survey.refreshed.extend(refreshed.into_iter().map(|it| it.1));
    }

    fn op(&mut self, id: OpId) {
        let op = &self.world.project.ops[id];
        let found: Vec<(NodeId, Examined)> = op.outputs.iter().map(|it| (*it, self.examine(id, *it))).collect();
        let runs = found.iter().find(|(_, it)| !it.verdict.is_fresh()).map(|(node, _)| *node);
        let upstream_fails = op.deps.iter().any(|it| {
            matches!(self.survey.state(*it), Some(State::Failed | State::Blocked)) && self.request.runs.contains(*it)
        });
        for (node, examined) in found {
            let mut verdict = examined.verdict;
            if let (true, Some(with)) = (verdict.is_fresh(), runs) {
                verdict = Verdict::Undecided { waits_for: vec![with], reasons: vec![self.made_with(with)] };
            }
            let (attempt, record) = (self.survey.attempts.get(&id), self.survey.records.get(&node));
            let blocked = examined.blocked || upstream_fails;
            if examined.waiting && record.is_none() {
                self.survey.waiting.insert(node);
            }
            let state = state_of(attempt, record, self.world.project.key(node).as_str(), &mut verdict, blocked);
            self.survey.nodes[node] = Some(Surveyed { verdict, state, fingerprint: examined.fingerprint });
        }
    }

    /// What asks for an output, fresh or not.
    pub(super) fn forced(&self, output: NodeId) -> Option<&'static str> {
        self.request.forced.by(self.world.project, output).filter(|_| self.request.runs.contains(output))
    }

    pub(super) fn made_with(&self, sibling: NodeId) -> Reason {
        let key = self.world.project.key(sibling);
        Reason {
            code: ReasonCode::UpstreamStale,
            subject: key.to_string(),
            old: None,
            new: None,
            message: format!("made together with {key}, which is not fresh"),
        }
    }

    fn examine(&self, id: OpId, output: NodeId) -> Examined {
        examine(&Case {
            project: self.world.project,
            partitions: self.world.partitions,
            op: &self.world.project.ops[id],
            output,
            partition: &PartitionKey::whole(),
            facts: &self.survey.facts.ops[&id],
            record: self.survey.records.get(&output),
            stored: self.stored.get(&output).unwrap_or(&OutputState::Same),
            forced: self.forced(output),
            spared: self.world.spared,
            declared: &|dep| self.survey.records.get(&dep)?.declared.clone(),
            upstream: &|dep| match self.world.partitions.related(id, dep) {
                Some(related) => self.upstream_partitions(dep, &related.upstream(&PartitionSet::one(0))),
                None => self.upstream(dep),
            },
        })
    }

    pub(super) fn upstream(&self, dep: NodeId) -> Upstream {
        if let NodeBody::Source(_) = self.world.project.nodes[dep].body {
            return match &self.survey.facts.sources[&dep] {
                SourceFacts::Known { observation, expired: true, .. } => Upstream::Expired(observation.data_version),
                SourceFacts::Known { observation, .. } => Upstream::Version(observation.data_version),
                SourceFacts::Missing(why) => Upstream::Missing(why.clone()),
            };
        }
        let record = self.survey.records.get(&dep);
        if self.request.runs.contains(dep) {
            return match (self.survey.get(dep), record) {
                (Some(it), Some(record)) if it.verdict.is_fresh() => Upstream::Version(record.data_version),
                _ if self.survey.waiting.contains(&dep) => Upstream::Waiting,
                _ => Upstream::Pending,
            };
        }
        let key = self.world.project.key(dep);
        standing(record, self.stored.get(&dep)).map_or_else(
            |why| Upstream::Missing(format!("upstream {key} {why}, and is not selected")),
            Upstream::Version,
        )
    }
}

/// What people are told of an output, or of one of its partitions: its latest attempt has a say too.
pub(super) fn state_of(
    attempt: Option<&Attempt>,
    record: Option<&Materialization>,
    subject: &str,
    verdict: &mut Verdict,
    blocked: bool,
) -> State {
    if verdict.is_fresh() {
        return State::Fresh;
    }
    if attempt.is_some_and(is_running) {
        return State::Running;
    }
    let failed = attempt.and_then(|it| match &it.state {
        AttemptState::Failed(why) | AttemptState::Void(why) => {
            Some((it, ReasonCode::PreviousFailed, format!("the last attempt failed: {why}")))
        }
        AttemptState::Rejected(why) => Some((it, ReasonCode::CheckFailed, format!("what was made last: {why}"))),
        _ => None,
    });
    // A failure older than the record that stands is history.
    let failed = failed.filter(|(attempt, ..)| record.is_none_or(|it| it.at < attempt.started_at));
    let has_failed = failed.is_some();
    if let Some((_, code, message)) = failed {
        let reason = Reason { code, subject: subject.to_owned(), old: None, new: None, message };
        match verdict {
            Verdict::Stale(reasons) | Verdict::Undecided { reasons, .. } => reasons.push(reason),
            Verdict::Fresh => {}
        }
    }
    let gone = |it: &Reason| matches!(it.code, ReasonCode::NeverBuilt | ReasonCode::OutputMissing);
    match (has_failed, blocked) {
        (true, _) => State::Failed,
        (false, true) => State::Blocked,
        (false, false) if verdict.reasons().iter().any(gone) => State::Missing,
        (false, false) => State::Stale,
    }
}

/// Whether an attempt seems to be at work; for display only, as process ids come back.
fn is_running(attempt: &Attempt) -> bool {
    matches!(attempt.state, AttemptState::Running | AttemptState::Committing(_))
        && attempt.host == process::host()
        && process::is_there(attempt.pid)
}

/// The version of an asset that is taken as it stands; or why it cannot be.
pub fn standing(
    record: Option<&Materialization>,
    stored: Option<&OutputState>,
) -> Result<crate::base::digest::Digest, &'static str> {
    match (record, stored) {
        (None, _) => Err("was never built"),
        (Some(_), Some(OutputState::Missing(_))) => Err("has lost its output"),
        (Some(_), Some(OutputState::Elsewhere(_))) => Err("was made for another place"),
        (Some(_), Some(OutputState::Modified(_))) => Err("was modified outside of assets"),
        (Some(_), Some(OutputState::Unknown(_))) => Err("cannot be looked at"),
        (Some(record), _) => Ok(record.data_version),
    }
}
