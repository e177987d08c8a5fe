//! From a survey to the steps of a run. Pure.

use crate::{
    model::{
        key::PartitionKey,
        node_set::NodeSet,
        partition::PartitionSet,
        plan::{Plan, PlanStep, StepAction},
        project::{NodeId, OpId},
        staleness::{ReasonCode, Verdict},
    },
    plan::{
        parted::{Places, found_at},
        recall::recall,
        store::StoreError,
        survey::{Survey, Surveyed, ops_of},
        world::World,
    },
};

/// The steps that bring `runs` up to date, upstream first.
///
/// # Errors
/// Only if the state cannot be read.
pub fn plan(world: &World<'_>, survey: &Survey, runs: &NodeSet) -> Result<Plan, StoreError> {
    let mut plan = Plan::default();
    for op in ops_of(world, runs) {
        if world.partitions.cuts_op(op) {
            plan_partitions(world, survey, runs, op, &mut plan)?;
            continue;
        }
        let mut outputs = Vec::new();
        for node in &world.project.ops[op].outputs {
            let Some(surveyed) = survey.get(*node) else { continue };
            if survey.waiting.contains(node) {
                plan.waiting.push((*node, PartitionSet::one(0)));
            } else if surveyed.verdict.is_fresh() {
                if runs.contains(*node) {
                    plan.fresh.push(*node);
                }
            } else {
                outputs.push((*node, surveyed.verdict.reasons().to_vec()));
            }
        }
        if !outputs.is_empty() {
            let action = action(world, survey, op)?;
            plan.steps.push(PlanStep { op, partition: PartitionKey::whole(), action, outputs });
        }
    }
    Ok(plan)
}

fn action(world: &World<'_>, survey: &Survey, op: OpId) -> Result<StepAction, StoreError> {
    let outputs = &world.project.ops[op].outputs;
    let found: Vec<_> = outputs.iter().filter_map(|it| Some((*it, survey.get(*it)?))).collect();
    action_of(world, outputs.len(), &found, &PartitionKey::whole())
}

/// One step for each partition that is not fresh and could be made.
fn plan_partitions(
    world: &World<'_>,
    survey: &Survey,
    runs: &NodeSet,
    op: OpId,
    plan: &mut Plan,
) -> Result<(), StoreError> {
    let outputs = &world.project.ops[op].outputs;
    let mut places = PartitionSet::empty();
    for node in outputs.iter().filter(|it| runs.contains(**it)) {
        let Some(parted) = survey.parted.get(node) else { continue };
        let not_fresh = parted.not_fresh();
        if not_fresh.is_empty() {
            plan.fresh.push(*node);
        }
        if !parted.waiting.is_empty() {
            plan.waiting.push((*node, parted.waiting.clone()));
        }
        places = places.union(&not_fresh);
    }
    let keys = world.partitions.of_op(op);
    let parted: Vec<(NodeId, Places<'_>)> =
        outputs.iter().filter_map(|it| Some((*it, survey.parted.get(it)?.by_place()))).collect();
    for place in places.iter() {
        let Some(partition) = keys.key(place) else { continue };
        let found: Vec<(NodeId, &Surveyed)> =
            parted.iter().filter_map(|(node, places)| Some((*node, found_at(places, place)?))).collect();
        let action = action_of(world, outputs.len(), &found, &partition)?;
        let stale = found.iter().filter(|it| !it.1.verdict.is_fresh());
        let outputs = stale.map(|(node, it)| (*node, it.verdict.reasons().to_vec())).collect();
        plan.steps.push(PlanStep { op, partition, action, outputs });
    }
    Ok(())
}

fn action_of(
    world: &World<'_>,
    outputs: usize,
    found: &[(NodeId, &Surveyed)],
    partition: &PartitionKey,
) -> Result<StepAction, StoreError> {
    if !found.iter().any(|it| matches!(it.1.verdict, Verdict::Stale(_))) {
        return Ok(StepAction::Maybe);
    }
    let whole = found.len() == outputs;
    Ok(if whole && restorable(world, found, partition)? { StepAction::Restore } else { StepAction::Build })
}

/// Whether earlier materializations with today's fingerprints are known, and their content kept or in place.
fn restorable(
    world: &World<'_>,
    outputs: &[(NodeId, &Surveyed)],
    partition: &PartitionKey,
) -> Result<bool, StoreError> {
    let mut wanted = Vec::with_capacity(outputs.len());
    for (node, surveyed) in outputs {
        if surveyed.verdict.reasons().iter().any(|it| it.code == ReasonCode::Forced) {
            return Ok(false);
        }
        let Some(fingerprint) = &surveyed.fingerprint else { return Ok(false) };
        wanted.push((*node, fingerprint));
    }
    Ok(recall(world, &wanted, partition)?.is_some())
}
