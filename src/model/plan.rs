//! What a run will do, step by step. Pure data; made by `plan::planner`.

use crate::model::{
    key::PartitionKey,
    partition::PartitionSet,
    project::{NodeId, OpId},
    staleness::Reason,
};

/// What is meant to happen to an op's partition. The names are stable in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StepAction {
    /// It will be run.
    Build,
    /// It will be run only if what is upstream turns out different.
    Maybe,
    /// An earlier materialization with this fingerprint is still stored and is put back.
    Restore,
}

impl StepAction {
    pub fn name(self) -> &'static str {
        match self {
            StepAction::Build => "build",
            StepAction::Maybe => "maybe",
            StepAction::Restore => "restore",
        }
    }
}

/// One op, one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanStep {
    pub op: OpId,
    pub partition: PartitionKey,
    pub action: StepAction,
    /// The selected outputs of the op that are not known to be fresh, each with its reasons.
    pub outputs: Vec<(NodeId, Vec<Reason>)>,
}

/// Steps in an order in which they can be run one by one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    pub steps: Vec<PlanStep>,
    /// Selected assets that are fresh already.
    pub fresh: Vec<NodeId>,
    /// Partitions of selected assets of which nothing is there yet that they could be made from.
    pub waiting: Vec<(NodeId, PartitionSet)>,
}
