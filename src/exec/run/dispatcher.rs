//! The one loop that owns the state of a run.
//!
//! Workers prepare and finish steps, the executor runs commands; both only send messages here. Every
//! change of a step's phase is made in this file, and every event of the run is emitted by it.

mod together;
mod work;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::Duration,
};

use crate::{
    base::{digest::Digest, process::open_files_max},
    exec::{
        executor::{CancelKind, Executor, ExecutorEvent, StepExit, StepHandle, StepResult},
        lock::LockName,
        run::{
            context::RunContext,
            finish::{Finished, give_up},
            prepare::{Attempting, Prepared, report},
            queue::Queue,
            rooms::rooms,
            step::{Holds, Phase, Step, link},
        },
        signal::{Signal, stop_ourselves},
        todo::Todo,
    },
    model::{
        event::{CheckReport, Listener, RunEvent, RunOutcome, StepError, StepIndex, StepOutcome, StepReport},
        key::AssetKey,
        plan::Plan,
        project::{NodeId, OpId},
        staleness::{Reason, ReasonCode},
    },
    plan::{backfill::Order, record::AttemptState},
};

use self::{
    together::{Group, Unit, UnitId, groups},
    work::{Message, Work, worker},
};

/// How often an attempt whose inputs moved is made again.
const VOIDS_MAX: u32 = 2;
/// How long a step that another process works on is left alone before it is tried again.
const CONTENDED_MS: u64 = 50;
/// The longest pause between two tries, however many there were.
const BACK_OFF_MAX_MS: u64 = 10 * 60 * 1000;
/// Steps that are prepared or finished beside those whose commands run, so that no slot waits for either. With
/// one job there are none: then things happen one after the other.
const AHEAD_MAX: usize = 4;
/// Open files of a whole run: state, logs, locks, the link to the supervisor.
const FILES_OF_A_RUN: usize = 32;
/// Open files of a step that is prepared or finished, at most.
const FILES_OF_A_WORKER: usize = 6;
const TICK: Duration = Duration::from_millis(100);

/// How a run is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Commands at work at once.
    pub jobs: usize,
    /// Start nothing more after the first failure.
    pub fail_fast: bool,
    /// Partitions in the order of time, instead of the longest way to the end first.
    pub order: Option<Order>,
}

impl Options {
    /// Steps at work at once, also where no command runs.
    fn at_once(&self) -> usize {
        self.jobs + if self.jobs > 1 { self.jobs.min(AHEAD_MAX) } else { 0 }
    }
}

/// What became of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    pub outcome: RunOutcome,
    /// One for each asset of each step, in the order in which they ended.
    pub reports: Vec<StepReport>,
    /// The signal that ended it early.
    pub signal: Option<Signal>,
    pub duration_ms: u64,
}

/// The end of the run ends the wait for news.
const NEWS_WAIT: Duration = Duration::from_secs(60);

/// Runs `plan` to its end, or to the end that `signals` ask for.
pub fn run(
    context: &RunContext<'_>,
    plan: &Plan,
    durations: &HashMap<OpId, u64>,
    options: Options,
    executor: &dyn Executor,
    signals: &Receiver<Signal>,
    listener: &mut dyn Listener,
) -> Summary {
    let (sender, messages) = channel();
    let (todo, over) = (Todo::default(), AtomicBool::new(false));
    let summary = std::thread::scope(|scope| {
        let _last = Ending { todo: &todo, over: &over, executor };
        // Preparing and finishing open files: with few to be had, steps wait for their turn instead of failing.
        let room = open_files_max().saturating_sub(FILES_OF_A_RUN) / FILES_OF_A_WORKER;
        for _ in 0..options.at_once().min(plan.steps.len()).min(room).max(1) {
            let (sender, todo) = (sender.clone(), &todo);
            scope.spawn(move || worker(context, plan, todo, &sender));
        }
        let (events, over) = (sender.clone(), &over);
        scope.spawn(move || {
            while !over.load(Ordering::Acquire) {
                if let Some(event) = executor.next_event(NEWS_WAIT)
                    && events.send(Message::Executor(event)).is_err()
                {
                    return;
                }
            }
        });
        let mut dispatcher = Dispatcher::new(context, plan, durations, options, executor, &todo, listener);
        dispatcher.run(&messages, signals);
        dispatcher.summary()
    });
    context.workspace.io.values().for_each(|it| it.rest());
    summary
}

/// Lets the threads of a run go when the loop is left, also by a panic.
struct Ending<'a> {
    todo: &'a Todo<Work>,
    over: &'a AtomicBool,
    executor: &'a dyn Executor,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.todo.close();
        self.over.store(true, Ordering::Release);
        self.executor.wake();
    }
}

struct Dispatcher<'a, 'p> {
    context: &'a RunContext<'a>,
    options: Options,
    executor: &'a dyn Executor,
    todo: &'a Todo<Work>,
    listener: &'a mut dyn Listener,
    steps: Vec<Step<'p>>,
    queue: Queue,
    groups: Vec<Group>,
    units: HashMap<UnitId, Unit>,
    units_begun: usize,
    /// Steps that wait for a time, soonest first.
    delayed: BTreeSet<(u64, StepIndex)>,
    by_handle: HashMap<StepHandle, StepIndex>,
    /// Steps that wait for a slot, heaviest first.
    prepared: BTreeSet<(std::cmp::Reverse<u64>, StepIndex)>,
    /// Steps between their turn and their end.
    active: usize,
    /// Those among them that hold a job slot.
    slots: usize,
    left: usize,
    reports: Vec<StepReport>,
    failed: bool,
    stopping: Option<Signal>,
    /// Nothing more is started.
    finishing: bool,
    started_ms: u64,
}

impl<'a, 'p> Dispatcher<'a, 'p> {
    fn new(
        context: &'a RunContext<'a>,
        plan: &'p Plan,
        durations: &HashMap<OpId, u64>,
        options: Options,
        executor: &'a dyn Executor,
        todo: &'a Todo<Work>,
        listener: &'a mut dyn Listener,
    ) -> Self {
        let (limits, rooms) = rooms(context, plan);
        let mut steps = link(context, plan, durations, options.order);
        steps.iter_mut().zip(&rooms).for_each(|(step, room)| step.room = *room);
        let (groups, of_step) = groups(context, plan, &rooms);
        steps.iter_mut().zip(of_step).for_each(|(step, group)| step.group = group);
        Dispatcher {
            context,
            options,
            executor,
            todo,
            listener,
            queue: Queue::new(limits),
            groups,
            units: HashMap::new(),
            units_begun: 0,
            delayed: BTreeSet::new(),
            by_handle: HashMap::new(),
            prepared: BTreeSet::new(),
            active: 0,
            slots: 0,
            left: steps.len(),
            steps,
            reports: Vec::new(),
            failed: false,
            stopping: None,
            finishing: false,
            started_ms: context.workspace.clock.monotonic_ms(),
        }
    }

    fn now(&self) -> u64 {
        self.context.workspace.clock.monotonic_ms()
    }

    fn emit(&mut self, event: RunEvent) {
        self.listener.on_event(&event);
    }

    fn run(&mut self, messages: &Receiver<Message>, signals: &Receiver<Signal>) {
        self.listener.on_tick(self.started_ms);
        let (run, steps, jobs) = (self.context.run.0.clone(), self.steps.len(), self.options.jobs);
        self.emit(RunEvent::RunStarted { run, steps, jobs });
        for index in 0..self.steps.len() {
            if matches!(self.steps[index].phase, Phase::Waiting(0)) {
                self.make_ready(index);
            }
        }
        // Asked to stop before it began.
        self.heed(signals);
        while self.left > 0 {
            self.start_what_can();
            let message = match messages.recv_timeout(TICK) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => unreachable!("this loop's caller holds a sender"),
            };
            let now = self.now();
            self.listener.on_tick(now);
            if let Some(message) = message {
                self.on_message(message);
            }
            self.heed(signals);
            self.wake_delayed();
        }
        let duration_ms = self.now() - self.started_ms;
        let (run, outcome) = (self.context.run.0.clone(), self.outcome());
        self.emit(RunEvent::RunFinished { run, outcome, duration_ms });
    }

    fn heed(&mut self, signals: &Receiver<Signal>) {
        while let Ok(signal) = signals.try_recv() {
            self.on_signal(signal);
        }
    }

    fn outcome(&self) -> RunOutcome {
        match (self.stopping, self.failed) {
            (Some(_), _) => RunOutcome::Interrupted,
            (None, true) => RunOutcome::Failed,
            (None, false) if self.finishing => RunOutcome::Interrupted,
            (None, false) => RunOutcome::Succeeded,
        }
    }

    fn summary(self) -> Summary {
        Summary {
            outcome: self.outcome(),
            signal: self.stopping.or(self.finishing.then_some(Signal::Finish)),
            duration_ms: self.now() - self.started_ms,
            reports: self.reports,
        }
    }

    fn make_ready(&mut self, index: StepIndex) {
        self.steps[index].phase = Phase::Ready;
        match self.steps[index].group {
            Some(group) => self.settle_pending(group),
            None => self.queue.push(index, self.steps[index].weight),
        }
    }

    fn start_what_can(&mut self) {
        self.submit_what_can();
        while self.active < self.options.at_once() && self.stopping.is_none() {
            let steps = &self.steps;
            let Some(index) = self.queue.pop(|it| steps[it].room) else { return };
            self.active += 1;
            if let Some(group) = self.steps[index].group {
                self.begin_together(index, group);
                continue;
            }
            let attempt = self.begin_preparing(index, Holds::Own);
            self.todo.push(Work::Prepare(index, attempt));
        }
    }

    /// Returns the number of the attempt.
    fn begin_preparing(&mut self, index: StepIndex, holds: Holds) -> u32 {
        let now = self.now();
        let step = &mut self.steps[index];
        step.phase = Phase::Preparing;
        step.holds = holds;
        step.attempts += 1;
        step.started_ms = now;
        step.attempts
    }

    fn submit_what_can(&mut self) {
        while self.slots < self.options.jobs && !self.prepared.is_empty() {
            // All slots are taken by nested builds: asked again at the next tick.
            let Some(token) = self.context.jobserver.try_take() else { return };
            let Some((_, index)) = self.prepared.pop_first() else { return };
            if let Holds::Of(id) = self.steps[index].holds {
                self.submit_unit(id, index, token);
                continue;
            }
            self.slots += 1;
            let now = self.now();
            let step = &mut self.steps[index];
            step.has_slot = true;
            step.token = Some(token);
            step.started_ms = now;
            let attempting = step.attempting.take().expect("a prepared step has its attempt");
            self.submit(index, attempting);
        }
    }

    /// Its command has ended.
    fn give_slot(&mut self, index: StepIndex) {
        let step = &mut self.steps[index];
        step.token = None;
        if std::mem::take(&mut step.has_slot) {
            self.slots -= 1;
        }
    }

    fn wake_delayed(&mut self) {
        let now = self.now();
        while let Some((until, index)) = self.delayed.first().copied()
            && until <= now
        {
            self.delayed.pop_first();
            self.make_ready(index);
        }
    }

    /// The step gives its slot and its place in the pool to others.
    fn leave(&mut self, index: StepIndex) {
        match std::mem::take(&mut self.steps[index].holds) {
            Holds::Nothing => {}
            Holds::Of(id) => self.leave_as_one_of(id, index),
            Holds::Own => {
                self.active -= 1;
                self.give_slot(index);
                self.queue.leave(self.steps[index].room);
            }
        }
    }

    fn delay(&mut self, index: StepIndex, by_ms: u64) {
        self.leave(index);
        if self.over() {
            self.skip(index, &[]);
            return;
        }
        self.steps[index].phase = Phase::Delayed;
        self.delayed.insert((self.now() + by_ms, index));
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Prepared(index, Ok(prepared)) => self.on_prepared(index, prepared),
            Message::Prepared(index, Err(error)) => {
                self.leave(index);
                let help = error.help();
                self.fail(index, StepError { message: error.to_string(), help, ..StepError::default() }, Vec::new());
            }
            Message::Made(index, attempting) => self.audit(index, attempting),
            Message::Finished(index, finished) => self.on_finished(index, finished),
            Message::Executor(event) => self.on_executor(event),
            Message::Panicked(index, text) => {
                let message = format!("internal error, please report it: {text}");
                let error = StepError { message, ..StepError::default() };
                match self.whole_unit(index) {
                    Some(id) => self.fail_unit(id, &error),
                    None => {
                        self.leave(index);
                        self.fail(index, error, Vec::new());
                    }
                }
            }
            Message::Together(id, together) => self.on_together(id, *together),
            Message::Parted(id, batch, parted) => self.on_parted(id, *batch, parted),
        }
    }

    fn on_prepared(&mut self, index: StepIndex, prepared: Prepared) {
        match prepared {
            Prepared::Settled(reports) => {
                self.leave(index);
                self.done(index, reports);
            }
            Prepared::Contended { name } => {
                if !std::mem::replace(&mut self.steps[index].said_waiting, true) {
                    let op = &self.context.workspace.project.ops[self.steps[index].plan.op];
                    let partition = &self.steps[index].plan.partition;
                    let key_of = |it: &NodeId| self.context.workspace.project.key(*it);
                    let node = op.outputs.iter().chain(&op.deps).find(|it| LockName::of(key_of(it), partition) == name);
                    let key = key_of(node.unwrap_or(&op.outputs[0])).clone();
                    let holder = self.holder_of(&key, name);
                    self.emit(RunEvent::Waiting { step: index, key, holder });
                }
                // Not an attempt: nothing was begun.
                self.steps[index].attempts -= 1;
                self.delay(index, CONTENDED_MS);
            }
            Prepared::Failed { error, reasons } => {
                self.leave(index);
                self.fail(index, error, reasons);
            }
            Prepared::Ready(attempting) => {
                let step = &mut self.steps[index];
                step.attempting = Some(attempting);
                step.phase = Phase::Prepared;
                self.prepared.insert((std::cmp::Reverse(step.weight), index));
                if self.over() {
                    self.abandon_prepared();
                }
            }
        }
    }

    /// Who works on it, as far as the records tell; for display only.
    fn holder_of(&self, key: &AssetKey, name: LockName) -> String {
        let attempts = self.context.workspace.store.unfinished_attempts().unwrap_or_default();
        let found = attempts.iter().rev().find(|it| it.outputs.contains(key) && it.run != self.context.run);
        match (found, self.context.locks.holder(name)) {
            (Some(it), _) => format!("run {} (process {} on {}, since {})", it.run.0, it.pid, it.host, it.started_at),
            (None, Some(holder)) => format!("process {} ({})", holder.pid, holder.command),
            (None, None) => "another process".to_owned(),
        }
    }

    /// Nothing more is to be begun.
    fn over(&self) -> bool {
        self.stopping.is_some() || self.finishing || self.failed && self.options.fail_fast
    }

    fn abandon_prepared(&mut self) {
        while let Some((_, index)) = self.prepared.pop_first() {
            if let Holds::Of(id) = self.steps[index].holds {
                self.abandon_unit(id);
                continue;
            }
            let attempting = self.steps[index].attempting.take().expect("a prepared step has its attempt");
            give_up(self.context, &attempting, AttemptState::Interrupted);
            drop(attempting);
            self.leave(index);
            self.skip(index, &[]);
        }
    }

    fn submit(&mut self, index: StepIndex, attempting: Box<Attempting>) {
        let spec = attempting.spec.as_ref().expect("a step that is made alone has a command");
        match self.executor.submit(spec) {
            Ok(handle) => {
                let step = &mut self.steps[index];
                step.tried = attempting.outputs.iter().map(|it| it.fingerprint.digest()).collect();
                step.attempting = Some(attempting);
                step.phase = Phase::Running;
                self.by_handle.insert(handle, index);
                let event = self.started(index, None);
                self.emit(event);
            }
            Err(error) => self.not_submitted(index, &attempting, error.to_string()),
        }
    }

    fn on_executor(&mut self, event: ExecutorEvent) {
        match event {
            ExecutorEvent::Started { .. } => {}
            ExecutorEvent::Finished { handle, result } => {
                let Some(index) = self.by_handle.remove(&handle) else { return };
                if let Some(id) = self.whole_unit(index) {
                    return self.on_unit_result(id, result);
                }
                let attempting = self.steps[index].attempting.take().expect("a running step has its attempt");
                self.on_result(index, attempting, result);
            }
            ExecutorEvent::Broken(why) => {
                let running: Vec<StepIndex> = self.by_handle.drain().map(|(_, index)| index).collect();
                for index in running {
                    let message = format!("the executor is gone: {why}");
                    let error = StepError { message, ..StepError::default() };
                    if let Some(id) = self.whole_unit(index) {
                        self.lose_unit(id, &error);
                        continue;
                    }
                    if let Some(attempting) = self.steps[index].attempting.take() {
                        give_up(self.context, &attempting, AttemptState::Interrupted);
                    }
                    self.leave(index);
                    self.fail(index, error, Vec::new());
                }
            }
        }
    }

    /// Of the command, or of a check of what that made.
    fn on_result(&mut self, index: StepIndex, mut attempting: Box<Attempting>, result: StepResult) {
        self.steps[index].phase = Phase::Finishing;
        if attempting.audit.made.is_some() {
            attempting.audit.take(result);
            return self.audit(index, attempting);
        }
        let checked = !attempting.audit.is_empty() && result.exit == StepExit::Code(0);
        let work = if checked { Work::Audit } else { Work::Finish };
        if !checked {
            self.give_slot(index);
        }
        self.todo.push(work(index, attempting, Box::new(result)));
    }

    /// Runs the next check, or goes on to the end of the attempt.
    fn audit(&mut self, index: StepIndex, mut attempting: Box<Attempting>) {
        if self.stopping.is_some() {
            attempting.audit.stop();
        }
        let Some(spec) = attempting.audit.next() else {
            self.give_slot(index);
            let made = attempting.audit.made.as_ref().expect("only what was made is checked");
            let result = Box::new(made.result.clone());
            let work = Work::Finish(index, attempting, result);
            return self.todo.push(work);
        };
        match self.executor.submit(spec) {
            Ok(handle) => {
                self.steps[index].attempting = Some(attempting);
                self.steps[index].phase = Phase::Running;
                self.by_handle.insert(handle, index);
            }
            Err(error) => self.not_submitted(index, &attempting, error.to_string()),
        }
    }

    fn not_submitted(&mut self, index: StepIndex, attempting: &Attempting, message: String) {
        give_up(self.context, attempting, AttemptState::Failed(message.clone()));
        self.leave(index);
        self.fail(index, StepError { message, ..StepError::default() }, Vec::new());
    }

    fn on_finished(&mut self, index: StepIndex, finished: Finished) {
        match finished {
            Finished::Done(reports) => {
                self.leave(index);
                self.done(index, reports);
            }
            // Made once more, it would be the same.
            Finished::Rejected(error, reports) => {
                self.leave(index);
                self.fail_with(index, error, Vec::new(), reports);
            }
            Finished::Void(why) => {
                self.steps[index].voids += 1;
                if self.steps[index].voids > VOIDS_MAX || self.stopping.is_some() {
                    self.leave(index);
                    let message = format!("{why}, {} times in a row", self.steps[index].voids);
                    let help = vec!["stop what writes to it, then run again".to_owned()];
                    self.fail(index, StepError { message, help, ..StepError::default() }, Vec::new());
                } else {
                    self.retry(index, self.steps[index].voids, VOIDS_MAX, 0, why);
                }
            }
            Finished::Interrupted(error) => {
                self.leave(index);
                let duration_ms = self.now() - self.steps[index].started_ms;
                let reports = self.blank(index, StepOutcome::Skipped).into_iter();
                let stopped = |it| StepReport { duration_ms, error: Some(error.clone()), ..it };
                self.end(index, reports.map(stopped).collect());
            }
            Finished::Failed(error) => {
                let op = &self.context.workspace.project.ops[self.steps[index].plan.op];
                let (retries, delay) = (op.retries, op.retry_delay);
                self.steps[index].failures += 1;
                let failures = self.steps[index].failures;
                if failures > retries || self.stopping.is_some() {
                    self.leave(index);
                    self.fail(index, error, Vec::new());
                } else {
                    let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    let delay = delay.saturating_mul(1 << (failures - 1).min(20)).min(BACK_OFF_MAX_MS);
                    self.retry(index, failures, retries, delay, error.message);
                }
            }
        }
    }

    fn retry(&mut self, index: StepIndex, attempt: u32, of: u32, delay_ms: u64, reason: String) {
        let node = self.context.workspace.project.ops[self.steps[index].plan.op].outputs[0];
        let key = self.context.workspace.project.key(node).clone();
        self.emit(RunEvent::Retrying { step: index, key, attempt, of, delay_ms, reason });
        self.delay(index, delay_ms);
    }

    fn done(&mut self, index: StepIndex, reports: Vec<StepReport>) {
        // Published all the same, and no success.
        self.failed |= reports.iter().flat_map(|it| &it.checks).any(CheckReport::is_error);
        self.end(index, reports);
        for dependent in self.steps[index].dependents.clone() {
            if let Phase::Waiting(left) = &mut self.steps[dependent].phase {
                *left -= 1;
                if *left == 0 {
                    self.make_ready(dependent);
                }
            }
        }
        if self.stopping.is_some() {
            self.skip_the_rest();
        }
    }

    fn fail(&mut self, index: StepIndex, error: StepError, reasons: Vec<Reason>) {
        let reports = self.blank(index, StepOutcome::Failed);
        self.fail_with(index, error, reasons, reports);
    }

    fn fail_with(&mut self, index: StepIndex, error: StepError, reasons: Vec<Reason>, reports: Vec<StepReport>) {
        self.failed = true;
        let duration_ms = self.now() - self.steps[index].started_ms;
        let tried = std::mem::take(&mut self.steps[index].tried);
        let tried = tried.into_iter().map(Some).chain(std::iter::repeat(None));
        let failed = |(it, tried): (StepReport, Option<Digest>)| StepReport {
            duration_ms,
            reasons: reasons.clone(),
            error: Some(error.clone()),
            tried,
            ..it
        };
        let reports = reports.into_iter().zip(tried).map(failed).collect();
        self.end(index, reports);
        let outputs = &self.context.workspace.project.ops[self.steps[index].plan.op].outputs;
        let root: Vec<NodeId> = outputs.clone();
        self.skip_below(index, &root);
        if self.options.fail_fast || self.stopping.is_some() {
            self.skip_the_rest();
        }
    }

    fn skip_below(&mut self, index: StepIndex, root: &[NodeId]) {
        let mut below: BTreeSet<StepIndex> = self.steps[index].dependents.iter().copied().collect();
        while let Some(next) = below.pop_first() {
            if !matches!(self.steps[next].phase, Phase::Done) {
                self.skip(next, root);
                below.extend(self.steps[next].dependents.iter().copied());
            }
        }
    }

    /// Ends what was not begun: nothing more is started in this run.
    fn skip_the_rest(&mut self) {
        self.queue.clear();
        self.delayed.clear();
        self.abandon_prepared();
        for index in 0..self.steps.len() {
            if matches!(self.steps[index].phase, Phase::Waiting(_) | Phase::Ready | Phase::Delayed) {
                self.skip(index, &[]);
            }
        }
    }

    fn skip(&mut self, index: StepIndex, because_of: &[NodeId]) {
        let reasons: Vec<Reason> = because_of
            .iter()
            .take(1)
            .map(|it| self.context.workspace.project.key(*it))
            .map(|key| Reason {
                code: ReasonCode::UpstreamMissing,
                subject: key.to_string(),
                old: None,
                new: None,
                message: format!("upstream {key} failed"),
            })
            .collect();
        let reports = self.blank(index, StepOutcome::Skipped);
        let reports = reports.into_iter().map(|it| StepReport { reasons: reasons.clone(), ..it }).collect();
        self.end(index, reports);
    }

    fn blank(&self, index: StepIndex, outcome: StepOutcome) -> Vec<StepReport> {
        let step = self.steps[index].plan;
        let outputs = &self.context.workspace.project.ops[step.op].outputs;
        outputs.iter().map(|it| report(self.context, *it, &step.partition, outcome)).collect()
    }

    fn end(&mut self, index: StepIndex, reports: Vec<StepReport>) {
        let was = std::mem::replace(&mut self.steps[index].phase, Phase::Done);
        self.left -= 1;
        self.reports.extend(reports.iter().cloned());
        for message in reports.iter().flat_map(warnings) {
            self.emit(RunEvent::Note { message });
        }
        self.emit(RunEvent::StepFinished { step: index, reports });
        if let Some(group) = self.steps[index].group.filter(|_| !matches!(was, Phase::Ready)) {
            self.settle_pending(group);
        }
    }

    /// The first polite request lets what runs end by itself for a while; the second kills.
    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Stop => {
                let _ = self.executor.pause(true);
                self.emit(RunEvent::Paused);
                let since = self.now();
                stop_ourselves();
                let _ = self.executor.pause(false);
                self.emit(RunEvent::Resumed { paused_ms: self.now().saturating_sub(since) });
            }
            Signal::Continue => {}
            Signal::Finish => {
                self.finishing = true;
                let message = "nothing more is started; what is at work is finished".to_owned();
                self.emit(RunEvent::Note { message });
                self.skip_the_rest();
            }
            Signal::Interrupt | Signal::Terminate | Signal::HangUp | Signal::Quit => {
                let (how, grace_ms) = match self.stopping {
                    None => (CancelKind::Polite, self.context.grace_ms),
                    Some(_) => (CancelKind::Now, 0),
                };
                self.stopping.get_or_insert(signal);
                self.emit(RunEvent::Interrupted { running: self.by_handle.len(), grace_ms });
                for handle in self.by_handle.keys() {
                    // One that ended already, or an executor that is gone, says so by an event.
                    let _ = self.executor.cancel(handle, how);
                }
                self.skip_the_rest();
            }
        }
    }
}

/// Of checks that failed and are no reason not to publish.
fn warnings(report: &StepReport) -> impl Iterator<Item = String> {
    let failed = report.checks.iter().filter(|it| !it.refuses());
    failed.filter_map(|it| {
        let said = it.said.iter().map(|it| format!(": {it}")).collect::<String>();
        Some(format!("{}: check `{}` failed: {}{said}", report.key, it.name, it.finding.failure.as_ref()?))
    })
}
