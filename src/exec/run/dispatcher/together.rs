//! Steps that are made by one command: what of the run loop is theirs.
//!
//! A group waits until each of its steps is ready or will not come. Those that are ready then take one place and
//! one slot together, as a unit; when their command has ended, they are finished one after the other.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    exec::{
        executor::{StepExit, StepResult},
        jobserver::JobToken,
        run::{
            batch::{Batch, Member, Together},
            context::RunContext,
            finish::{Finished, give_up},
            rooms::RoomId,
            step::{Holds, Phase},
        },
    },
    model::{
        event::{RunEvent, StepError, StepIndex},
        plan::Plan,
    },
    plan::record::AttemptState,
};

use super::{Dispatcher, Message, Work};

/// Names a unit for as long as the run goes on.
pub type UnitId = usize;

/// Steps that are begun together, when all of them can be.
#[derive(Debug)]
pub struct Group {
    pub members: Vec<StepIndex>,
    /// So many are neither ready nor done: they may still become ready.
    pub pending: usize,
}

/// Steps of a group that are at work.
#[derive(Default)]
pub struct Unit {
    left: BTreeSet<StepIndex>,
    room: Option<RoomId>,
    has_slot: bool,
    token: Option<JobToken>,
    /// What happens to one happens to all: they are prepared, or their command runs.
    whole: bool,
    batch: Option<Batch>,
    /// Those that are yet to be finished.
    waiting: VecDeque<Member>,
    result: Option<StepResult>,
}

/// The groups of a plan, and of each step the one that it is in. Steps of one op lie side by side in a plan, in
/// the order of their partitions.
pub fn groups(context: &RunContext<'_>, plan: &Plan, rooms: &[Option<RoomId>]) -> (Vec<Group>, Vec<Option<usize>>) {
    let workspace = context.workspace;
    let mut groups: Vec<Group> = Vec::new();
    let mut of_step = vec![None; plan.steps.len()];
    if workspace.project.partitioning.batches.is_empty() {
        return (groups, of_step);
    }
    let at = |index: StepIndex| {
        let step = &plan.steps[index];
        let keys = workspace.partitions.of_op(step.op);
        let place = keys.place(step.partition.as_str()).unwrap_or_default();
        (place, keys.window(place))
    };
    for (index, step) in plan.steps.iter().enumerate() {
        let Some(max) = workspace.project.partitioning.batches.get(&step.op) else { continue };
        let joins = |it: &Group| {
            let last = it.members[it.members.len() - 1];
            let ((place, window), (next, then)) = (at(last), at(index));
            // One range of time, or several of another dimension at one time.
            let one_time = |a: StepIndex, b: StepIndex| at(a).1 == at(b).1;
            let fits = match (window, then) {
                (Some(window), Some(then)) if it.members.len() == 1 => window.end == then.start || window == then,
                (Some(window), Some(then)) if one_time(it.members[0], last) => window == then,
                (Some(window), Some(then)) => window.end == then.start,
                _ => true,
            };
            plan.steps[last].op == step.op
                && rooms[last] == rooms[index]
                && it.members.len() < *max
                && place + 1 == next
                && fits
        };
        match groups.last_mut().filter(|it| joins(it)) {
            Some(group) => group.members.push(index),
            None => groups.push(Group { members: vec![index], pending: 0 }),
        }
        let last = groups.len() - 1;
        groups[last].pending += 1;
        of_step[index] = Some(last);
    }
    (groups, of_step)
}

impl Dispatcher<'_, '_> {
    /// One of the group is ready, or will not come: perhaps those that are can be begun.
    pub(super) fn settle_pending(&mut self, group: usize) {
        self.groups[group].pending -= 1;
        if self.groups[group].pending > 0 || self.over() {
            return;
        }
        let ready = |it: &&StepIndex| matches!(self.steps[**it].phase, Phase::Ready);
        if let Some(first) = self.groups[group].members.iter().find(ready).copied() {
            self.queue.push(first, self.steps[first].weight);
        }
    }

    /// Begins all of its group that are ready, in the one place that `first` was given.
    pub(super) fn begin_together(&mut self, first: StepIndex, group: usize) {
        let ready = |it: &StepIndex| matches!(self.steps[*it].phase, Phase::Ready);
        let left: BTreeSet<StepIndex> = self.groups[group].members.iter().copied().filter(ready).collect();
        let id = self.units_begun;
        self.units_begun += 1;
        let mut members = Vec::with_capacity(left.len());
        self.groups[group].pending += left.len();
        for index in &left {
            let attempt = self.begin_preparing(*index, Holds::Of(id));
            members.push((*index, attempt));
        }
        let unit = Unit { left, room: self.steps[first].room, whole: true, ..Unit::default() };
        self.units.insert(id, unit);
        self.todo.push(Work::PrepareTogether(id, members));
    }

    pub(super) fn on_together(&mut self, id: UnitId, together: Together) {
        for (index, _) in &together.apart {
            self.set_apart(id, *index);
        }
        match together.batch {
            Ok(Some(batch)) => {
                let first = batch.attempts[0].0;
                batch.attempts.iter().for_each(|it| self.steps[it.0].phase = Phase::Prepared);
                self.unit(id).batch = Some(batch);
                self.prepared.insert((std::cmp::Reverse(self.steps[first].weight), first));
            }
            Ok(None) => self.leave_unit(id),
            Err((members, error)) => {
                let (message, help) = (error.to_string(), error.help());
                let error = StepError { message, help, ..StepError::default() };
                self.give_up_all(members, &error);
            }
        }
        for (index, prepared) in together.apart {
            self.on_message(Message::Prepared(index, prepared));
        }
        if self.over() {
            self.abandon_prepared();
        }
    }

    /// Whether `index` is one of a unit whose fate all share now.
    pub(super) fn whole_unit(&self, index: StepIndex) -> Option<UnitId> {
        match self.steps[index].holds {
            Holds::Of(id) => Some(id).filter(|id| self.units.get(id).is_some_and(|it| it.whole)),
            Holds::Own | Holds::Nothing => None,
        }
    }

    /// A panic on the way took its attempts with it.
    pub(super) fn fail_unit(&mut self, id: UnitId, error: &StepError) {
        for index in self.unit(id).left.clone() {
            self.leave(index);
            self.fail(index, error.clone(), Vec::new());
        }
    }

    pub(super) fn submit_unit(&mut self, id: UnitId, first: StepIndex, token: JobToken) {
        let unit = self.unit(id);
        (unit.has_slot, unit.token) = (true, Some(token));
        let Some(batch) = unit.batch.take() else { return };
        self.slots += 1;
        match self.executor.submit(&batch.spec) {
            Ok(handle) => {
                self.by_handle.insert(handle, first);
                for (index, attempting) in &batch.attempts {
                    self.steps[*index].tried = Batch::tried(attempting);
                    self.steps[*index].phase = Phase::Running;
                    self.steps[*index].started_ms = self.now();
                    let event = self.started(*index, Some(first).filter(|it| it != index));
                    self.emit(event);
                }
                self.unit(id).batch = Some(batch);
            }
            Err(error) => {
                let error = StepError { message: error.to_string(), ..StepError::default() };
                self.give_up_all(batch.attempts, &error);
            }
        }
    }

    /// Their command has ended.
    pub(super) fn on_unit_result(&mut self, id: UnitId, result: StepResult) {
        let unit = self.unit(id);
        let Some(batch) = unit.batch.take() else { return };
        let several = batch.attempts.len().max(1) as u64;
        // Each is told its share.
        let ended = result.exit == StepExit::Code(0);
        unit.result = Some(StepResult { wall_ms: result.wall_ms / several, cpu_ms: result.cpu_ms / several, ..result });
        if ended {
            self.todo.push(Work::Part(id, Box::new(batch)));
            return;
        }
        self.give_unit_slot(id);
        self.finish_each(id, batch.attempts);
    }

    /// What it made was laid where each expects it, or could not be.
    pub(super) fn on_parted(&mut self, id: UnitId, batch: Batch, parted: Result<(), StepError>) {
        let log = batch.attempts[0].1.log.clone();
        let checked = batch.attempts.iter().any(|it| !it.1.audit.is_empty());
        let members = batch.into_attempts();
        let Err(error) = parted else {
            // Checks take turns in the slot.
            if !checked {
                self.give_unit_slot(id);
            }
            return self.finish_each(id, members);
        };
        let tail = self.unit(id).result.as_ref().map(|it| it.tail.clone()).unwrap_or_default();
        let error = StepError { log, output_tail: tail, ..error };
        for (index, attempting) in members {
            give_up(self.context, &attempting, AttemptState::Failed(error.message.clone()));
            drop(attempting);
            self.on_finished(index, Finished::Failed(error.clone()));
        }
    }

    fn finish_each(&mut self, id: UnitId, members: Vec<Member>) {
        let unit = self.unit(id);
        unit.whole = false;
        unit.waiting = members.into();
        self.finish_next(id);
    }

    fn finish_next(&mut self, id: UnitId) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        let (Some((index, attempting)), Some(result)) = (unit.waiting.pop_front(), unit.result.clone()) else { return };
        self.steps[index].phase = Phase::Finishing;
        let work =
            if !attempting.audit.is_empty() && result.exit == StepExit::Code(0) { Work::Audit } else { Work::Finish };
        self.todo.push(work(index, attempting, Box::new(result)));
    }

    /// `index` is done with, as far as its unit is concerned.
    pub(super) fn leave_as_one_of(&mut self, id: UnitId, index: StepIndex) {
        let unit = self.unit(id);
        unit.left.remove(&index);
        match unit.left.is_empty() {
            true => self.leave_unit(id),
            false => self.finish_next(id),
        }
    }

    fn leave_unit(&mut self, id: UnitId) {
        self.give_unit_slot(id);
        if let Some(unit) = self.units.remove(&id) {
            self.active -= 1;
            self.queue.leave(unit.room);
        }
    }

    fn give_unit_slot(&mut self, id: UnitId) {
        let unit = self.unit(id);
        unit.token = None;
        if std::mem::take(&mut unit.has_slot) {
            self.slots -= 1;
        }
    }

    fn set_apart(&mut self, id: UnitId, index: StepIndex) {
        self.steps[index].holds = Holds::Nothing;
        self.unit(id).left.remove(&index);
    }

    /// Takes back attempts of a unit whose command is not run, or is gone.
    fn give_up_all(&mut self, members: Vec<Member>, error: &StepError) {
        for (index, attempting) in members {
            give_up(self.context, &attempting, AttemptState::Failed(error.message.clone()));
            drop(attempting);
            self.leave(index);
            self.fail(index, error.clone(), Vec::new());
        }
    }

    /// The executor is gone, and the command of this unit with it.
    pub(super) fn lose_unit(&mut self, id: UnitId, error: &StepError) {
        let Some(batch) = self.unit(id).batch.take() else { return };
        self.give_up_all(batch.into_attempts(), error);
    }

    /// Nothing more is begun: not their command either.
    pub(super) fn abandon_unit(&mut self, id: UnitId) {
        let Some(batch) = self.unit(id).batch.take() else { return };
        for (index, attempting) in batch.into_attempts() {
            give_up(self.context, &attempting, AttemptState::Interrupted);
            drop(attempting);
            self.leave(index);
            self.skip(index, &[]);
        }
    }

    fn unit(&mut self, id: UnitId) -> &mut Unit {
        self.units.get_mut(&id).expect("a unit is there as long as one of its steps holds it")
    }

    pub(super) fn started(&self, index: StepIndex, together_with: Option<StepIndex>) -> RunEvent {
        let step = &self.steps[index];
        let node = self.context.workspace.project.ops[step.plan.op].outputs[0];
        RunEvent::StepStarted {
            step: index,
            key: self.context.workspace.project.key(node).clone(),
            partition: step.plan.partition.clone(),
            attempt: step.attempts,
            together_with,
            median_ms: step.median_ms,
        }
    }
}
