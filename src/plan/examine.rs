//! The one decision: is this output fresh, stale, or not known yet; and why.
//!
//! `status`, `why`, `plan`, a dry run and the run itself all ask here, with the same arguments, so
//! that they cannot disagree. Pure: what the world looks like is handed in.

use crate::{
    base::digest::Digest,
    model::{
        fingerprint::{Fingerprint, Part, PartKind, PartValue},
        key::{AssetKey, PartitionKey},
        partition::PartitionSet,
        project::{NodeId, Op, Project, Shape, VersionKind},
        staleness::{Reason, ReasonCode, Verdict},
    },
    plan::{
        compare::compare,
        observe::OpFacts,
        parted::part_name,
        partitions::PartitionKeys,
        record::{Materialization, RunId},
        world::OutputState,
    },
};

/// What a dependency is at the moment of asking.
#[derive(Clone, PartialEq, Debug)]
pub enum Upstream {
    /// It is there, and this is its data version.
    Version(Digest),
    /// This was its version when it was asked last, too long ago: it will be asked again first.
    Expired(Digest),
    /// It will be made, or made sure of, first.
    Pending,
    /// It is not there and nothing in this plan makes it. The text says why.
    Missing(String),
    /// It waits itself for partitions that are not there yet.
    Waiting,
    /// Of several partitions: what is true of them.
    Partitions(Partial),
}

/// Partitions of a dependency, as far as they are there.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Partial {
    /// So many are asked for.
    pub wanted: u64,
    pub known: Vec<(PartitionKey, Digest)>,
    /// Those that will be made, or made sure of, first.
    pub pending: PartitionSet,
    /// What is wrong with some.
    pub missing: Vec<String>,
}

impl Partial {
    /// Some are asked for, and none is there or will be.
    fn lacks_all(&self) -> bool {
        self.wanted > 0 && self.known.is_empty() && self.pending.is_empty() && self.missing.is_empty()
    }
}

/// What was found out about one output of an op.
#[derive(Clone, PartialEq, Debug)]
pub struct Examined {
    pub verdict: Verdict,
    /// Known only if every dependency's version is.
    pub fingerprint: Option<Fingerprint>,
    /// It cannot be made now.
    pub blocked: bool,
    /// Only because none of the partitions that it is made from is there yet.
    pub waiting: bool,
}

/// Everything that the decision depends on.
pub struct Case<'a> {
    pub project: &'a Project,
    pub partitions: &'a PartitionKeys,
    pub op: &'a Op,
    pub output: NodeId,
    pub partition: &'a PartitionKey,
    pub facts: &'a OpFacts,
    pub record: Option<&'a Materialization>,
    /// State of the recorded output; not asked if there is no record.
    pub stored: &'a OutputState,
    /// What asks for it although it may be fresh, as it is typed.
    pub forced: Option<&'static str>,
    /// What these runs made is not made again for that.
    pub spared: &'a [RunId],
    pub upstream: &'a dyn Fn(NodeId) -> Upstream,
    /// How the columns of a dependency are declared, if a database keeps it.
    pub declared: &'a dyn Fn(NodeId) -> Option<Box<str>>,
}

/// Decides.
pub fn examine(case: &Case<'_>) -> Examined {
    let inputs = Inputs::of(case);
    let blocked = !inputs.missing.is_empty() || !case.facts.missing.is_empty();
    let waiting = blocked && case.facts.missing.is_empty() && inputs.missing.len() == inputs.lacking;
    let now = inputs.fingerprint(case);
    // What keeps it from being made at all is told first.
    let mut reasons: Vec<Reason> = inputs.missing.iter().chain(&case.facts.missing).cloned().collect();
    reasons.extend(own_reasons(case, &inputs, &now));
    let is_whole = inputs.pending.is_empty() && !blocked;
    let verdict = if !reasons.is_empty() {
        Verdict::Stale(reasons)
    } else if inputs.pending.is_empty() && inputs.expired.is_empty() {
        Verdict::Fresh
    } else {
        let mut reasons: Vec<Reason> =
            inputs.pending.iter().map(|(it, _)| upstream_stale(case.project.key(*it))).collect();
        reasons.extend(inputs.expired.iter().map(|it| expired(case.project.key(*it))));
        let pending = inputs.pending.into_iter().map(|it| it.0);
        Verdict::Undecided { waits_for: pending.chain(inputs.expired).collect(), reasons }
    };
    Examined { verdict, fingerprint: is_whole.then_some(now), blocked, waiting }
}

/// The dependencies, sorted by what is known of them.
struct Inputs {
    known: Vec<Part>,
    /// Of a dependency with partitions, which of them.
    pending: Vec<(NodeId, Option<PartitionSet>)>,
    expired: Vec<NodeId>,
    missing: Vec<Reason>,
    /// So many of `missing` are partitions that are not there yet.
    lacking: usize,
}

impl Inputs {
    fn of(case: &Case<'_>) -> Inputs {
        let mut inputs =
            Inputs { known: Vec::new(), pending: Vec::new(), expired: Vec::new(), missing: Vec::new(), lacking: 0 };
        for dep in &case.op.deps {
            let node = &case.project.nodes[*dep];
            let kind = if node.asset().is_some() { PartKind::Input } else { PartKind::Source };
            let found = (case.upstream)(*dep);
            if let Upstream::Expired(_) = found {
                inputs.expired.push(*dep);
            }
            match found {
                Upstream::Version(version) | Upstream::Expired(version) => {
                    inputs.known.push(Part::new(kind, node.key.as_str(), PartValue::Digest(version)));
                    if case.project.reads_in_place(case.op, *dep)
                        && let Some(declared) = (case.declared)(*dep)
                    {
                        let part = PartValue::Text(declared);
                        inputs.known.push(Part::new(PartKind::Declared, node.key.as_str(), part));
                    }
                }
                Upstream::Pending => inputs.pending.push((*dep, None)),
                Upstream::Missing(message) => inputs.missing.push(upstream_missing(&node.key, message)),
                Upstream::Waiting => {
                    inputs.lacking += 1;
                    let message = format!("nothing that {} is made from is there yet", node.key);
                    inputs.missing.push(upstream_missing(&node.key, message));
                }
                Upstream::Partitions(it) => inputs.partitions(*dep, kind, &node.key, it),
            }
        }
        inputs
    }

    fn partitions(&mut self, dep: NodeId, kind: PartKind, key: &AssetKey, found: Partial) {
        if found.lacks_all() {
            self.lacking += 1;
            let message = format!("no partition of {key} that it is made from is there yet");
            self.missing.push(upstream_missing(key, message));
        }
        let part = |(partition, version): &(PartitionKey, Digest)| {
            Part::new(kind, part_name(key.as_str(), partition), PartValue::Digest(*version))
        };
        self.known.extend(found.known.iter().map(part));
        self.missing.extend(found.missing.into_iter().map(|it| upstream_missing(key, it)));
        if !found.pending.is_empty() {
            self.pending.push((dep, Some(found.pending)));
        }
    }

    /// Whether a part is a dependency of which nobody knows yet what it will be.
    fn leaves_open(&self, case: &Case<'_>, part: &Part) -> bool {
        let none = self.pending.is_empty() && self.missing.is_empty();
        if none || !matches!(part.kind, PartKind::Input | PartKind::Source | PartKind::Declared) {
            return false;
        }
        let name = String::from_utf8_lossy(&part.name);
        let (of, partition) = name.split_once('@').map_or((&*name, None), |it| (it.0, Some(it.1)));
        self.pending.iter().any(|(dep, places)| match (places, partition) {
            _ if case.project.key(*dep).as_str() != of => false,
            (None, None) => true,
            (Some(places), Some(key)) => case.partitions.of_node(*dep).place(key).is_ok_and(|it| places.contains(it)),
            _ => false,
        }) || self.missing.iter().any(|it| it.subject == of)
            && !self.known.iter().any(|it| it.kind == part.kind && it.name == part.name)
    }

    /// As far as dependencies are known.
    fn fingerprint(&self, case: &Case<'_>) -> Fingerprint {
        let of_output = output_parts(case.project, case.partitions, case.output, case.partition);
        let more = of_output.iter().chain(&self.known);
        // In a list of exactly that length: it may be one of a million files.
        let mut parts = Vec::with_capacity(case.facts.parts.len() + of_output.len() + self.known.len());
        parts.extend(case.facts.parts.iter().chain(more).cloned());
        Fingerprint::new(parts)
    }
}

/// Settings of one output that change what is stored; where it is stored is not among them.
pub fn output_parts(
    project: &Project,
    partitions: &PartitionKeys,
    output: NodeId,
    partition: &PartitionKey,
) -> Vec<Part> {
    let asset = project.nodes[output].asset().expect("an output is an asset");
    let mut parts = Vec::new();
    let mut config = |name: &str, value: &str| {
        parts.push(Part::new(PartKind::Config, name, PartValue::Text(value.into())));
    };
    if let Some(format) = &asset.format {
        config("format", format);
    }
    if asset.version != VersionKind::Content {
        config("version", asset.version.name());
    }
    if asset.shape == Shape::Folder {
        config("shape", "folder");
    }
    for (name, text) in asset.publishing.settings() {
        config(name, &text);
    }
    if let Some(name) = partition.name() {
        parts.push(Part::new(PartKind::Partition, "", PartValue::Text(name.into())));
        // The same key may stand for another time by now.
        let keys = partitions.of_node(output);
        if let Some(window) = keys.place(name).ok().and_then(|it| keys.window(it)) {
            let text = format!("{}/{}", window.start, window.end);
            parts.push(Part::new(PartKind::Partition, "window", PartValue::Text(text.into())));
        }
    }
    parts
}

fn own_reasons(case: &Case<'_>, inputs: &Inputs, now: &Fingerprint) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let is_spared = |it: &Materialization| case.spared.contains(&it.run);
    if let Some(flag) = case.forced.filter(|_| !case.record.is_some_and(is_spared)) {
        reasons.push(plain(ReasonCode::Forced, case, &format!("asked for with {flag}")));
    }
    let Some(record) = case.record else {
        reasons.push(plain(ReasonCode::NeverBuilt, case, "never built"));
        return reasons;
    };
    // Dependencies that are not known yet are left out on both sides: they decide later.
    let unknown = |part: &Part| inputs.leaves_open(case, part);
    let was = &record.fingerprint;
    reasons.extend(if was.parts().iter().any(unknown) {
        compare(&Fingerprint::new(was.parts().iter().filter(|it| !unknown(it)).cloned().collect()), now)
    } else {
        compare(was, now)
    });
    for (dep, places) in inputs.pending.iter() {
        let key = case.project.key(*dep);
        let kind = if case.project.nodes[*dep].asset().is_some() { PartKind::Input } else { PartKind::Source };
        let is_new = match places {
            None => was.get(kind, key.as_str().as_bytes()).is_none(),
            // As many as are pending were read the last time, or else some are new.
            Some(places) => {
                let read = was.parts().iter().filter(|it| inputs.leaves_open(case, it));
                let of_dep = |it: &&Part| it.name.starts_with(format!("{key}@").as_bytes());
                (read.filter(of_dep).count() as u64) < places.count()
            }
        };
        if is_new {
            reasons.push(Reason {
                code: ReasonCode::InputAdded,
                subject: key.to_string(),
                old: None,
                new: None,
                message: format!("input added: {key}"),
            });
        }
    }
    let mut reasons = if case.partitions.is_empty() { reasons } else { in_short(reasons) };
    match case.stored {
        OutputState::Same => {}
        OutputState::Missing(what) => reasons.push(output(ReasonCode::OutputMissing, what, "output is missing")),
        // A format that changed says it already.
        OutputState::Elsewhere(what) if reasons.is_empty() => {
            reasons.push(output(ReasonCode::OutputMissing, what, "output belongs elsewhere now"));
        }
        OutputState::Elsewhere(_) => {}
        OutputState::Modified(what) => {
            reasons.push(output(ReasonCode::OutputModified, what, "output was modified outside of assets"));
        }
        OutputState::Unknown(what) => reasons.push(output(ReasonCode::OutputModified, what, "output cannot be read")),
    }
    reasons
}

fn upstream_missing(key: &AssetKey, message: String) -> Reason {
    Reason { code: ReasonCode::UpstreamMissing, subject: key.to_string(), old: None, new: None, message }
}

/// Of many partitions of one dependency that changed alike, the first is told, and how many there are.
fn in_short(reasons: Vec<Reason>) -> Vec<Reason> {
    let mut told: Vec<(Reason, usize)> = Vec::with_capacity(reasons.len());
    for it in reasons {
        let of = it.subject.split_once('@').map(|it| it.0.to_owned());
        let alike = told.iter_mut().find(|(first, _)| {
            first.code == it.code && of.is_some() && first.subject.split_once('@').map(|it| it.0) == of.as_deref()
        });
        match alike {
            Some((_, more)) => *more += 1,
            None => told.push((it, 0)),
        }
    }
    let with_more = |(it, more): (Reason, usize)| match more {
        0 => it,
        _ => Reason { message: format!("{} and {more} more", it.message), ..it },
    };
    told.into_iter().map(with_more).collect()
}

fn output(code: ReasonCode, what: &str, message: &str) -> Reason {
    Reason { code, subject: what.to_owned(), old: None, new: None, message: format!("{message}: {what}") }
}

fn plain(code: ReasonCode, case: &Case<'_>, message: &str) -> Reason {
    Reason {
        code,
        subject: case.project.key(case.output).to_string(),
        old: None,
        new: None,
        message: message.to_owned(),
    }
}

fn expired(key: &AssetKey) -> Reason {
    Reason {
        code: ReasonCode::Expired,
        subject: key.to_string(),
        old: None,
        new: None,
        message: format!("source {key} was seen longer ago than its max_age, or at another address"),
    }
}

fn upstream_stale(key: &AssetKey) -> Reason {
    Reason {
        code: ReasonCode::UpstreamStale,
        subject: key.to_string(),
        old: None,
        new: None,
        message: format!("upstream {key} is not fresh"),
    }
}
