//! Earlier materializations that are what is wanted now: A, B, A needs no third run.
//!
//! Decides whether, never moves anything; the run does that.

use crate::{
    model::{
        fingerprint::Fingerprint,
        key::PartitionKey,
        project::{Check, NodeId},
    },
    plan::{
        record::{AttemptId, Materialization, StoredOutput},
        store::StoreError,
        survey::check_each,
        world::{OutputState, World},
    },
};

/// An earlier materialization of the fingerprint that is asked for.
#[derive(Clone, PartialEq, Debug)]
pub enum Recalled {
    /// Its content is where it belongs; `output` of the record is how it looks now.
    InPlace(Materialization),
    /// Its content is kept aside.
    Kept(Materialization),
}

/// The newest materializations with these fingerprints whose content is still there; of several outputs
/// those that one attempt made, as another attempt's may not fit them. What is in place goes first.
///
/// # Errors
/// Only if the state cannot be read.
pub fn recall(
    world: &World<'_>,
    outputs: &[(NodeId, &Fingerprint)],
    partition: &PartitionKey,
) -> Result<Option<Vec<Recalled>>, StoreError> {
    // What was made of the same was added to since: it is what is there that counts.
    if outputs.iter().any(|it| world.project.is_added_to(it.0)) {
        return Ok(None);
    }
    // It passed what depends on more than what it was made from only then.
    let mut ops = outputs.iter().filter_map(|it| world.project.op_of(it.0));
    if !ops.all(|it| world.project.ops[it].checks.iter().all(Check::is_lasting)) {
        return Ok(None);
    }
    let mut known: Vec<Vec<Materialization>> = Vec::with_capacity(outputs.len());
    for (node, fingerprint) in outputs {
        let mut history = world.store.history(world.project.key(*node), partition)?;
        history.retain(|it| it.fingerprint == **fingerprint);
        known.push(history);
    }
    let Some(first) = known.first() else { return Ok(None) };
    let of_attempt = |attempt: &AttemptId, find: &dyn Fn(NodeId, &Materialization) -> Option<Recalled>| {
        let of = |(node, history): (NodeId, &Vec<Materialization>)| {
            history.iter().filter(|it| it.attempt == *attempt).find_map(|it| find(node, it))
        };
        outputs.iter().map(|it| it.0).zip(&known).map(of).collect::<Option<Vec<_>>>()
    };
    let find_in_place = |node, it: &Materialization| in_place(world, node, it);
    let find_any = |node, it: &Materialization| {
        let kept = || world.probe.keeps(node, partition, &it.content()).then(|| Recalled::Kept(it.clone()));
        in_place(world, node, it).or_else(kept)
    };
    let found = first.iter().find_map(|it| of_attempt(&it.attempt, &find_in_place));
    Ok(found.or_else(|| first.iter().find_map(|it| of_attempt(&it.attempt, &find_any))))
}

fn in_place(world: &World<'_>, node: NodeId, record: &Materialization) -> Option<Recalled> {
    let StoredOutput::Files(_) = record.output else { return None };
    let (states, refreshed) = check_each(world, &[(node, record)]);
    let same = states[0] == OutputState::Same;
    same.then(|| Recalled::InPlace(refreshed.into_iter().next().map_or_else(|| record.clone(), |it| it.1)))
}
