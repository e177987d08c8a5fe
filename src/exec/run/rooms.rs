//! The rooms that steps are begun in: one for each pool, or of a pool by dimension one for each value of that.

use std::collections::HashMap;

use crate::{
    exec::run::context::RunContext,
    model::{
        partition::Definition,
        plan::{Plan, PlanStep},
        project::PoolId,
    },
};

/// Names a room for as long as the run goes on.
pub type RoomId = usize;

/// How many each room holds, and of each step the room that it needs.
pub fn rooms(context: &RunContext<'_>, plan: &Plan) -> (Vec<usize>, Vec<Option<RoomId>>) {
    let project = &*context.workspace.project;
    let mut limits = Vec::new();
    let mut known: HashMap<(PoolId, String), RoomId> = HashMap::new();
    let mut room = |step: &PlanStep| {
        let pool = project.ops[step.op].pool?;
        let value = project.pools[pool].per.as_ref().map(|it| value_of(context, step, it)).unwrap_or_default();
        Some(*known.entry((pool, value)).or_insert_with(|| {
            limits.push(project.pools[pool].limit);
            limits.len() - 1
        }))
    };
    let of_step = plan.steps.iter().map(&mut room).collect();
    (limits, of_step)
}

/// The part of a step's key that is of this dimension; the manifest sees to it that there is one.
fn value_of(context: &RunContext<'_>, step: &PlanStep, dimension: &str) -> String {
    let partitioning = &context.workspace.project.partitioning;
    let output = context.workspace.project.ops[step.op].outputs[0];
    let definition = partitioning.of(output).map(|it| &partitioning.definitions[it].definition);
    let key = step.partition.as_str();
    match definition {
        Some(Definition::Multi(_)) => {
            let parts = key.split(',').filter_map(|it| it.split_once('='));
            parts.filter(|it| it.0 == dimension).map(|it| it.1.to_owned()).collect()
        }
        _ => key.to_owned(),
    }
}
