//! The state of assets with partitions: those that were recorded are examined one by one, all others as
//! the sets that they are. A million keys of which nothing is known are one piece.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
};

use crate::{
    model::{
        key::PartitionKey,
        partition::{Keys, PartitionSet},
        project::{NodeId, OpId},
        staleness::{Reason, ReasonCode, State, Verdict},
    },
    plan::{
        examine::{Case, Examined, Partial, Upstream, examine},
        observe::SourceFacts,
        record::{Attempt, Materialization},
        survey::{Surveyed, Walk, standing, state_of},
        world::OutputState,
    },
};

/// What was found of an asset with partitions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Parted {
    /// Together everything that was looked at, each partition in one of them.
    pub pieces: Vec<Piece>,
    /// Those that are fresh.
    pub fresh: PartitionSet,
    /// Those of which nothing is there that they could be made from, and that were never made.
    pub waiting: PartitionSet,
}

/// Partitions of which the same is true.
#[derive(Clone, PartialEq, Debug)]
pub struct Piece {
    pub places: PartitionSet,
    pub found: Surveyed,
}

/// What is recorded of partitions, by place.
#[derive(Default)]
pub struct Recorded {
    pub records: HashMap<NodeId, BTreeMap<u64, Materialization>>,
    pub attempts: HashMap<OpId, BTreeMap<u64, Attempt>>,
    /// What became of the stored outputs.
    pub stored: HashMap<(NodeId, u64), OutputState>,
}

impl Recorded {
    fn record(&self, node: NodeId, place: u64) -> Option<&Materialization> {
        self.records.get(&node)?.get(&place)
    }
}

impl Parted {
    /// What was found, in the order of places.
    pub fn by_place(&self) -> Places<'_> {
        let ranges = |it: &'_ Piece| it.places.ranges().to_vec();
        let mut places: Places<'_> =
            self.pieces.iter().flat_map(|it| ranges(it).into_iter().map(move |range| (range, &it.found))).collect();
        places.sort_by_key(|it| it.0.start);
        places
    }

    /// How many partitions are in a state; those that wait for data are in none.
    pub fn count(&self, state: State) -> u64 {
        let of = self.pieces.iter().filter(|it| it.found.state == state);
        of.map(|it| it.places.difference(&self.waiting).count()).sum()
    }

    pub fn total(&self) -> u64 {
        self.pieces.iter().map(|it| it.places.count()).sum()
    }

    /// Those that are not fresh and could be made.
    pub fn not_fresh(&self) -> PartitionSet {
        let stale = self.pieces.iter().filter(|it| !it.found.verdict.is_fresh());
        let all = stale.flat_map(|it| it.places.ranges().iter().cloned());
        PartitionSet::of(all).difference(&self.waiting)
    }

    /// Those of a state.
    pub fn in_state(&self, state: State) -> PartitionSet {
        let found = self.pieces.iter().filter(|it| it.found.state == state);
        PartitionSet::of(found.flat_map(|it| it.places.ranges().iter().cloned()))
    }
}

/// Ranges of places with what was found of them.
pub type Places<'a> = Vec<(Range<u64>, &'a Surveyed)>;

/// What was found of one partition.
pub fn found_at<'a>(places: &Places<'a>, place: u64) -> Option<&'a Surveyed> {
    let at = places.partition_point(|it| it.0.end <= place);
    places.get(at).filter(|it| it.0.contains(&place)).map(|it| it.1)
}

impl Walk<'_, '_> {
    /// The same as for an op without partitions, for each of its own.
    pub(super) fn parted_op(&mut self, id: OpId) {
        let project = self.world.project;
        let op = &project.ops[id];
        let looked = self.looked(op.outputs[0]);
        let recorded: BTreeSet<u64> = op
            .outputs
            .iter()
            .filter_map(|it| self.recorded.records.get(it))
            .flat_map(|it| it.keys().copied())
            .chain(self.each.iter().filter(|it| it.0 == id).flat_map(|it| it.1.iter()))
            .filter(|it| looked.contains(*it))
            .collect();
        let mut found: Vec<Parted> = op.outputs.iter().map(|_| Parted::default()).collect();
        for place in &recorded {
            self.recorded_partition(id, *place, &mut found);
        }
        let unknown = looked.difference(&recorded.into_iter().collect());
        self.never_built(id, &unknown, &mut found);
        let nodes: Vec<NodeId> = op.outputs.clone();
        for (node, mut parted) in nodes.into_iter().zip(found) {
            joined(&mut parted);
            self.survey.nodes[node] = Some(summary(&parted, self.world.partitions.of_node(node)));
            self.survey.parted.insert(node, parted);
        }
    }

    /// The partitions of a node that are asked about.
    pub(super) fn looked(&self, node: NodeId) -> PartitionSet {
        let all = self.world.partitions.of_node(node).all();
        match self.request.only.filter(|_| self.request.runs.contains(node)).and_then(|it| it.get(&node)) {
            Some(only) => only.intersection(&all),
            None => all,
        }
    }

    fn recorded_partition(&mut self, id: OpId, place: u64, found: &mut [Parted]) {
        let project = self.world.project;
        let op = &project.ops[id];
        let Some(key) = self.world.partitions.of_op(id).key(place) else { return };
        let examined: Vec<(NodeId, Examined)> =
            op.outputs.iter().map(|it| (*it, self.examine_partition(id, *it, place, &key))).collect();
        let runs = examined.iter().find(|(_, it)| !it.verdict.is_fresh()).map(|(node, _)| *node);
        for ((node, examined), parted) in examined.into_iter().zip(found) {
            let mut verdict = examined.verdict;
            if let (true, Some(with)) = (verdict.is_fresh(), runs) {
                verdict = Verdict::Undecided { waits_for: vec![with], reasons: vec![self.made_with(with)] };
            }
            let attempt = self.recorded.attempts.get(&id).and_then(|it| it.get(&place));
            let record = self.recorded.record(node, place);
            let subject = format!("{}@{}", project.key(node), key.as_str());
            let state = state_of(attempt, record, &subject, &mut verdict, examined.blocked);
            let places = PartitionSet::one(place);
            if examined.waiting && record.is_none() {
                parted.waiting = parted.waiting.union(&places);
            }
            let fingerprint = examined.fingerprint.filter(|_| !verdict.is_fresh());
            parted.pieces.push(Piece { places, found: Surveyed { verdict, state, fingerprint } });
        }
    }

    fn examine_partition(&self, id: OpId, output: NodeId, place: u64, key: &PartitionKey) -> Examined {
        examine(&Case {
            project: self.world.project,
            partitions: self.world.partitions,
            op: &self.world.project.ops[id],
            output,
            partition: key,
            facts: &self.survey.facts.ops[&id],
            record: self.recorded.record(output, place),
            stored: self.recorded.stored.get(&(output, place)).unwrap_or(&OutputState::Same),
            forced: self.forced(output),
            spared: self.world.spared,
            declared: &|dep| self.survey.records.get(&dep)?.declared.clone(),
            upstream: &|dep| match self.world.partitions.related(id, dep) {
                Some(related) => self.upstream_partitions(dep, &related.upstream(&PartitionSet::one(place))),
                None => self.upstream(dep),
            },
        })
    }

    /// What of these partitions of a dependency is there.
    pub(super) fn upstream_partitions(&self, dep: NodeId, places: &PartitionSet) -> Upstream {
        let keys = self.world.partitions.of_node(dep);
        let mut told = Partial { wanted: places.count(), ..Partial::default() };
        let of_range = |place: u64| keys.key(place).unwrap_or_default();
        if self.world.project.nodes[dep].source().is_some() {
            let none = BTreeMap::new();
            let there = self.survey.facts.partitions.get(&dep).unwrap_or(&none);
            for (place, fact) in places.ranges().iter().flat_map(|it| there.range(it.clone())) {
                match fact {
                    SourceFacts::Known { observation, .. } => {
                        told.known.push((of_range(*place), observation.data_version));
                    }
                    SourceFacts::Missing(why) => told.missing.push(why.clone()),
                }
            }
            return Upstream::Partitions(told);
        }
        let runs = match self.request.runs.contains(dep) {
            true => self.looked(dep).intersection(places),
            false => PartitionSet::empty(),
        };
        let nothing = Parted::default();
        let parted = self.survey.parted.get(&dep).unwrap_or(&nothing);
        told.pending = runs.difference(&parted.fresh).difference(&parted.waiting);
        let none = BTreeMap::new();
        let records = self.recorded.records.get(&dep).unwrap_or(&none);
        for (place, record) in places.ranges().iter().flat_map(|it| records.range(it.clone())) {
            if told.pending.contains(*place) {
                continue;
            }
            match standing(Some(record), self.recorded.stored.get(&(dep, *place))) {
                Ok(version) => told.known.push((record.partition.clone(), version)),
                Err(why) => {
                    let key = self.world.project.key(dep);
                    told.missing.push(format!("upstream {key}@{} {why}", record.partition.as_str()));
                }
            }
        }
        Upstream::Partitions(told)
    }

    /// Those of which nothing is recorded, as few pieces as there are differences.
    fn never_built(&mut self, id: OpId, unknown: &PartitionSet, found: &mut [Parted]) {
        if unknown.is_empty() {
            return;
        }
        let project = self.world.project;
        let (lacking, mut blocked) = self.lacking(id, unknown);
        blocked.extend(self.survey.facts.ops[&id].missing.iter().cloned());
        let none = BTreeMap::new();
        let attempts = self.recorded.attempts.get(&id).unwrap_or(&none);
        let tried: PartitionSet = attempts.keys().copied().filter(|it| unknown.contains(*it)).collect();
        let mut pieces: Vec<(PartitionSet, Option<u64>)> =
            tried.iter().map(|it| (PartitionSet::one(it), Some(it))).collect();
        pieces.push((unknown.difference(&tried), None));
        for (node, parted) in project.ops[id].outputs.clone().into_iter().zip(found) {
            for (places, attempt) in &pieces {
                let (waits, made) = (places.intersection(&lacking), places.difference(&lacking));
                parted.waiting = parted.waiting.union(&waits);
                for (places, waits) in [(waits, true), (made, false)] {
                    if places.is_empty() {
                        continue;
                    }
                    let mut reasons = blocked.clone();
                    if waits {
                        reasons.push(reason(
                            ReasonCode::UpstreamMissing,
                            project.key(node).as_str(),
                            "nothing that it is made from is there yet",
                        ));
                    }
                    if let Some(by) = self.forced(node) {
                        reasons.push(reason(
                            ReasonCode::Forced,
                            project.key(node).as_str(),
                            &format!("asked for with {by}"),
                        ));
                    }
                    reasons.push(reason(ReasonCode::NeverBuilt, project.key(node).as_str(), "never built"));
                    let is_blocked = waits || !blocked.is_empty();
                    let mut verdict = Verdict::Stale(reasons);
                    let attempt = attempt.and_then(|it| attempts.get(&it));
                    let state = state_of(attempt, None, project.key(node).as_str(), &mut verdict, is_blocked);
                    parted.pieces.push(Piece { places, found: Surveyed { verdict, state, fingerprint: None } });
                }
            }
        }
    }

    /// Those among `own` that nothing is there for, and why none of them can be made.
    fn lacking(&self, id: OpId, own: &PartitionSet) -> (PartitionSet, Vec<Reason>) {
        let (mut lacking, mut blocked) = (PartitionSet::empty(), Vec::new());
        for dep in &self.world.project.ops[id].deps {
            let Some(related) = self.world.partitions.related(id, *dep) else {
                match self.upstream(*dep) {
                    Upstream::Missing(message) => blocked.push(Reason {
                        message,
                        ..reason(ReasonCode::UpstreamMissing, self.world.project.key(*dep).as_str(), "")
                    }),
                    Upstream::Waiting => lacking = own.clone(),
                    _ => {}
                }
                continue;
            };
            let some = related.downstream(&self.available(*dep));
            let all = related.downstream(&self.world.partitions.of_node(*dep).all());
            // What reads none at all, before the first for instance, lacks nothing.
            lacking = lacking.union(&own.intersection(&all).difference(&some));
        }
        (lacking, blocked)
    }

    /// The partitions of a dependency that are there or will be made first.
    fn available(&self, dep: NodeId) -> PartitionSet {
        if self.world.project.nodes[dep].source().is_some() {
            return self.survey.facts.partitions.get(&dep).map(|it| it.keys().copied().collect()).unwrap_or_default();
        }
        let recorded = self.recorded.records.get(&dep).map(|it| it.keys().copied().collect()).unwrap_or_default();
        if !self.request.runs.contains(dep) {
            return recorded;
        }
        let waiting = self.survey.parted.get(&dep).map(|it| it.waiting.clone()).unwrap_or_default();
        recorded.union(&self.looked(dep).difference(&waiting))
    }
}

/// Pieces of which the same is true become one.
fn joined(parted: &mut Parted) {
    let mut fresh: Option<Piece> = None;
    let mut fresh_places: Vec<u64> = Vec::new();
    parted.pieces.retain(|it| {
        if it.found.verdict.is_fresh() {
            fresh_places.extend(it.places.iter());
            fresh.get_or_insert_with(|| it.clone());
            return false;
        }
        true
    });
    if let Some(piece) = fresh {
        parted.fresh = fresh_places.into_iter().collect();
        parted.pieces.push(Piece { places: parted.fresh.clone(), ..piece });
    }
    parted.pieces.sort_by_key(|it| it.places.first());
}

/// What is told of the asset as a whole: the worst that is true of any of its partitions.
fn summary(parted: &Parted, keys: &Keys) -> Surveyed {
    let made = |it: &&Piece| !it.places.difference(&parted.waiting).is_empty();
    let worst = [State::Running, State::Failed, State::Missing, State::Stale, State::Blocked];
    let state = worst.into_iter().find(|state| parted.pieces.iter().filter(made).any(|it| it.found.state == *state));
    let all_wait = parted.total() > 0 && parted.waiting.count() == parted.total();
    let state = state.unwrap_or(if all_wait { State::Blocked } else { State::Fresh });
    let pieces: Vec<&Piece> =
        parted.pieces.iter().filter(|it| it.found.state == state && (all_wait || made(it))).collect();
    let mut reasons: Vec<Reason> = Vec::new();
    let missing: PartitionSet =
        PartitionSet::of(pieces.iter().filter(|it| never_built(it)).flat_map(|it| it.places.ranges().iter().cloned()));
    let missing = missing.difference(&parted.waiting);
    if !missing.is_empty() && state == State::Missing {
        let told = keys.print(&missing);
        reasons.push(reason(ReasonCode::PartitionMissing, &told, &format!("never built: {told}")));
    }
    for it in pieces.iter().flat_map(|it| it.found.verdict.reasons()) {
        let known = it.code == ReasonCode::NeverBuilt && !reasons.is_empty();
        if !known && reasons.len() < TOLD_MAX && !reasons.contains(it) {
            reasons.push(it.clone());
        }
    }
    let verdict = if state == State::Fresh { Verdict::Fresh } else { Verdict::Stale(reasons) };
    Surveyed { verdict, state, fingerprint: None }
}

/// So many reasons of partitions are told of the asset.
const TOLD_MAX: usize = 20;

fn never_built(piece: &Piece) -> bool {
    piece.found.verdict.reasons().iter().any(|it| it.code == ReasonCode::NeverBuilt)
}

fn reason(code: ReasonCode, subject: &str, message: &str) -> Reason {
    Reason { code, subject: subject.to_owned(), old: None, new: None, message: message.to_owned() }
}

/// The name in a fingerprint of one partition of a dependency. Keys of assets hold no `@`.
pub fn part_name(dep: &str, partition: &PartitionKey) -> String {
    format!("{dep}@{}", partition.as_str())
}
