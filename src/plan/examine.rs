//! The one decision: is this output fresh, stale, or not known yet; and why.
//!
//! `status`, `why`, `plan`, a dry run and the run itself all ask here, with the same arguments, so
//! that they cannot disagree. Pure: what the world looks like is handed in.

use crate::{
    base::digest::Digest,
    model::{
        fingerprint::{Fingerprint, Part, PartKind, PartValue},
        key::{AssetKey, PartitionKey},
        project::{NodeId, Op, Project, Shape, VersionKind},
        staleness::{Reason, ReasonCode, Verdict},
    },
    plan::{compare::compare, observe::OpFacts, record::Materialization, world::OutputState},
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
}

/// What was found out about one output of an op.
#[derive(Clone, PartialEq, Debug)]
pub struct Examined {
    pub verdict: Verdict,
    /// Known only if every dependency's version is.
    pub fingerprint: Option<Fingerprint>,
    /// It cannot be made now.
    pub blocked: bool,
}

/// Everything that the decision depends on.
pub struct Case<'a> {
    pub project: &'a Project,
    pub op: &'a Op,
    pub output: NodeId,
    pub partition: &'a PartitionKey,
    pub facts: &'a OpFacts,
    pub record: Option<&'a Materialization>,
    /// State of the recorded output; not asked if there is no record.
    pub stored: &'a OutputState,
    /// What asks for it although it may be fresh, as it is typed.
    pub forced: Option<&'static str>,
    pub upstream: &'a dyn Fn(NodeId) -> Upstream,
}

/// Decides.
pub fn examine(case: &Case<'_>) -> Examined {
    let inputs = Inputs::of(case);
    let blocked = !inputs.missing.is_empty() || !case.facts.missing.is_empty();
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
        let mut reasons: Vec<Reason> = inputs.pending.iter().map(|it| upstream_stale(case.project.key(*it))).collect();
        reasons.extend(inputs.expired.iter().map(|it| expired(case.project.key(*it))));
        Verdict::Undecided { waits_for: inputs.pending.into_iter().chain(inputs.expired).collect(), reasons }
    };
    Examined { verdict, fingerprint: is_whole.then_some(now), blocked }
}

/// The dependencies, sorted by what is known of them.
struct Inputs {
    known: Vec<Part>,
    pending: Vec<NodeId>,
    expired: Vec<NodeId>,
    missing: Vec<Reason>,
}

impl Inputs {
    fn of(case: &Case<'_>) -> Inputs {
        let mut inputs = Inputs { known: Vec::new(), pending: Vec::new(), expired: Vec::new(), missing: Vec::new() };
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
                }
                Upstream::Pending => inputs.pending.push(*dep),
                Upstream::Missing(message) => inputs.missing.push(Reason {
                    code: ReasonCode::UpstreamMissing,
                    subject: node.key.to_string(),
                    old: None,
                    new: None,
                    message,
                }),
            }
        }
        inputs
    }

    /// As far as dependencies are known.
    fn fingerprint(&self, case: &Case<'_>) -> Fingerprint {
        let of_output = output_parts(case.project, case.output, case.partition);
        let more = of_output.iter().chain(&self.known);
        // In a list of exactly that length: it may be one of a million files.
        let mut parts = Vec::with_capacity(case.facts.parts.len() + of_output.len() + self.known.len());
        parts.extend(case.facts.parts.iter().chain(more).cloned());
        Fingerprint::new(parts)
    }
}

/// Settings of one output that change what is stored; where it is stored is not among them.
pub fn output_parts(project: &Project, output: NodeId, partition: &PartitionKey) -> Vec<Part> {
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
    if let Some(name) = partition.name() {
        parts.push(Part::new(PartKind::Partition, "", PartValue::Text(name.into())));
    }
    parts
}

fn own_reasons(case: &Case<'_>, inputs: &Inputs, now: &Fingerprint) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(flag) = case.forced {
        reasons.push(plain(ReasonCode::Forced, case, &format!("asked for with {flag}")));
    }
    let Some(record) = case.record else {
        reasons.push(plain(ReasonCode::NeverBuilt, case, "never built"));
        return reasons;
    };
    // Dependencies that are not known yet are left out on both sides: they decide later.
    let unknown = |part: &Part| {
        matches!(part.kind, PartKind::Input | PartKind::Source)
            && case.op.deps.iter().any(|it| {
                case.project.key(*it).as_str().as_bytes() == &*part.name
                    && !inputs.known.iter().any(|known| known.kind == part.kind && known.name == part.name)
            })
    };
    let was = &record.fingerprint;
    reasons.extend(if was.parts().iter().any(unknown) {
        compare(&Fingerprint::new(was.parts().iter().filter(|it| !unknown(it)).cloned().collect()), now)
    } else {
        compare(was, now)
    });
    for dep in inputs.pending.iter() {
        let key = case.project.key(*dep);
        let kind = if case.project.nodes[*dep].asset().is_some() { PartKind::Input } else { PartKind::Source };
        if record.fingerprint.get(kind, key.as_str().as_bytes()).is_none() {
            reasons.push(Reason {
                code: ReasonCode::InputAdded,
                subject: key.to_string(),
                old: None,
                new: None,
                message: format!("input added: {key}"),
            });
        }
    }
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
        message: format!("source {key} was seen longer ago than its max_age"),
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
