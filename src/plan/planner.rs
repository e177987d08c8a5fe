//! From a survey to the steps of a run. Pure.

use crate::{
    model::{
        key::PartitionKey,
        node_set::NodeSet,
        plan::{Plan, PlanStep, StepAction},
        project::{NodeId, OpId},
        staleness::{ReasonCode, Verdict},
    },
    plan::{
        recall::recall,
        store::StoreError,
        survey::{Survey, ops_of},
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
        let mut outputs = Vec::new();
        for node in &world.project.ops[op].outputs {
            let Some(surveyed) = survey.get(*node) else { continue };
            if surveyed.verdict.is_fresh() {
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
    let verdicts: Vec<_> = outputs.iter().filter_map(|it| survey.get(*it)).collect();
    if !verdicts.iter().any(|it| matches!(it.verdict, Verdict::Stale(_))) {
        return Ok(StepAction::Maybe);
    }
    Ok(if restorable(world, survey, outputs)? { StepAction::Restore } else { StepAction::Build })
}

/// Whether earlier materializations with today's fingerprints are known, and their content kept or in place.
fn restorable(world: &World<'_>, survey: &Survey, outputs: &[NodeId]) -> Result<bool, StoreError> {
    let mut wanted = Vec::with_capacity(outputs.len());
    for node in outputs {
        let Some(surveyed) = survey.get(*node) else { return Ok(false) };
        if surveyed.verdict.reasons().iter().any(|it| it.code == ReasonCode::Forced) {
            return Ok(false);
        }
        let Some(fingerprint) = &surveyed.fingerprint else { return Ok(false) };
        wanted.push((*node, fingerprint));
    }
    Ok(recall(world, &wanted, &PartitionKey::whole())?.is_some())
}
