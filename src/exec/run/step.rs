//! The steps of a run as the dispatcher keeps them: what each waits for, and what waits for it.
//!
//! Changes no phase: only the dispatcher does.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::{
    base::digest::Digest,
    exec::{
        jobserver::JobToken,
        run::{context::RunContext, prepare::Attempting, queue::weights, rooms::RoomId},
    },
    model::{
        event::StepIndex,
        plan::{Plan, PlanStep, StepAction},
        project::{Action, NodeId, OpId},
    },
    plan::{backfill::Order, partitions::PartitionKeys},
};

/// Where a step of a run is.
#[derive(Debug)]
pub enum Phase {
    /// For this many steps upstream.
    Waiting(usize),
    /// In the queue.
    Ready,
    /// Until then: a retry, or another process at work.
    Delayed,
    Preparing,
    /// Waits for a slot.
    Prepared,
    Running,
    Finishing,
    Done,
}

/// The place that a step takes among those at work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Holds {
    #[default]
    Nothing,
    Own,
    /// The one place of several steps that are made together.
    Of(usize),
}

/// One step of a plan, and what became of it so far.
pub struct Step<'p> {
    pub plan: &'p PlanStep,
    pub phase: Phase,
    pub dependents: Vec<StepIndex>,
    pub weight: u64,
    pub median_ms: Option<u64>,
    /// Attempts begun, voids included; names the next one.
    pub attempts: u32,
    pub failures: u32,
    pub voids: u32,
    pub started_ms: u64,
    pub said_waiting: bool,
    pub attempting: Option<Box<Attempting>>,
    /// A command of it runs, or is about to.
    pub has_slot: bool,
    /// The place among those at work that it takes.
    pub holds: Holds,
    /// The room that it needs to be begun.
    pub room: Option<RoomId>,
    /// The steps that it is begun with.
    pub group: Option<usize>,
    /// Identity of what the last attempt was made from, for each output.
    pub tried: Vec<Digest>,
    /// The right to run, given back to nested builds.
    pub token: Option<JobToken>,
}

/// Steps with their dependents and weights.
///
/// With an order, the partitions that it puts first weigh most.
pub fn link<'p>(
    context: &RunContext<'_>,
    plan: &'p Plan,
    durations: &HashMap<OpId, u64>,
    order: Option<Order>,
) -> Vec<Step<'p>> {
    let project = &*context.workspace.project;
    let partitions = &context.workspace.partitions;
    let place = |step: &PlanStep| partitions.of_op(step.op).place(step.partition.as_str()).unwrap_or_default();
    // By place; of what has no partitions there is one.
    let mut maker: HashMap<NodeId, BTreeMap<u64, StepIndex>> = HashMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        for output in &project.ops[step.op].outputs {
            maker.entry(*output).or_default().insert(place(step), index);
        }
    }
    let makers = |step: &PlanStep, dep: NodeId| -> Vec<StepIndex> {
        let Some(makers) = maker.get(&dep) else { return Vec::new() };
        match partitions.read_for(step.op, dep, &step.partition) {
            None => makers.values().copied().collect(),
            // A query that reads none of them wants to know their columns.
            Some(read) if read.is_empty() && matches!(project.ops[step.op].action, Action::Sql(_)) => {
                makers.values().take(1).copied().collect()
            }
            Some(read) => read.ranges().iter().flat_map(|it| makers.range(it.clone()).map(|it| *it.1)).collect(),
        }
    };
    let mut dependents = vec![Vec::new(); plan.steps.len()];
    let mut waits = vec![0; plan.steps.len()];
    for (index, step) in plan.steps.iter().enumerate() {
        let mut upstream: Vec<StepIndex> = project.ops[step.op].deps.iter().flat_map(|it| makers(step, *it)).collect();
        upstream.sort_unstable();
        upstream.dedup();
        waits[index] = upstream.len();
        for it in upstream {
            dependents[it].push(index);
        }
    }
    // What may be cut off counts for little: most of the time it is.
    let expected = |it: &PlanStep| match it.action {
        StepAction::Build => durations.get(&it.op).copied().unwrap_or(1000),
        StepAction::Maybe => durations.get(&it.op).copied().unwrap_or(1000) / 2,
        StepAction::Restore => 1,
    };
    let expected: Vec<u64> = plan.steps.iter().map(expected).collect();
    let weights = match order {
        Some(order) => in_order(partitions, plan, order),
        None => weights(&expected, &dependents),
    };
    plan.steps
        .iter()
        .zip(dependents)
        .zip(weights)
        .zip(waits)
        .map(|(((plan, dependents), weight), waits)| Step {
            plan,
            phase: Phase::Waiting(waits),
            dependents,
            weight,
            median_ms: durations.get(&plan.op).copied(),
            attempts: 0,
            failures: 0,
            voids: 0,
            started_ms: 0,
            said_waiting: false,
            attempting: None,
            has_slot: false,
            holds: Holds::Nothing,
            room: None,
            group: None,
            tried: Vec::new(),
            token: None,
        })
        .collect()
}

/// By the time that a partition is of, or else by its place.
fn in_order(partitions: &PartitionKeys, plan: &Plan, order: Order) -> Vec<u64> {
    let when = |index: StepIndex| {
        let step = &plan.steps[index];
        let keys = partitions.of_op(step.op);
        let place = keys.place(step.partition.as_str()).unwrap_or_default();
        (keys.window(place).map(|it| it.start), place)
    };
    let mut first: Vec<((Option<Timestamp>, u64), StepIndex)> =
        (0..plan.steps.len()).map(|it| (when(it), it)).collect();
    first.sort_unstable();
    if order == Order::OldestFirst {
        first.reverse();
    }
    // Of the same time the same, so that of those what is upstream goes first.
    let mut weights = vec![0; first.len()];
    let mut weight = 0;
    for (at, (when, index)) in first.iter().enumerate() {
        weight += u64::from(at == 0 || first[at - 1].0 != *when);
        weights[*index] = weight;
    }
    weights
}
