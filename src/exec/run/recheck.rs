//! Checks alone, on what is published: nothing is made, nothing replaced.
//!
//! Every asset is looked at under a shared lock of itself and of what it is made from, so that nobody
//! publishes meanwhile. Knows nothing of staleness: what is there is looked at.

use std::{
    collections::{HashMap, VecDeque},
    sync::mpsc::Receiver,
    time::Duration,
};

use crate::{
    base::{digest::Digest, id::Id},
    exec::{
        copies::Copies,
        executor::{CancelKind, Executor, ExecutorEvent, StepHandle},
        io::IoError,
        lock::{LockGuard, LockName, Locked},
        run::{
            audit::{Audit, Audited},
            context::RunContext,
            given::given_now,
            prepare::{PrepareError, SpecParts, last_number, upstream_locks},
            render::Place,
        },
        signal::Signal,
    },
    model::{
        event::CheckReport,
        key::PartitionKey,
        plan::{PlanStep, StepAction},
        project::{Check, NodeId},
    },
    plan::record::AttemptId,
};

const TICK: Duration = Duration::from_millis(100);

/// What came of an asset.
#[derive(Clone, PartialEq, Debug)]
pub enum Rechecked {
    /// Its checks, in the order declared, and the version that they looked at.
    Looked { checks: Vec<CheckReport>, data_version: Digest },
    /// Nothing is published.
    Missing,
    /// It could not be looked at.
    Broken(String),
}

/// An asset, or one partition of it.
pub type Part = (NodeId, PartitionKey);

struct Looking {
    part: Part,
    audit: Audit,
    data_version: Digest,
    /// What its commands read that lies elsewhere.
    _copies: Copies,
    _locks: LockGuard,
}

enum Begun {
    Looking(Box<Looking>),
    Over(Rechecked),
    /// Another process works on it.
    Busy,
}

/// Runs all checks of `parts`, which are of assets that have some, and tells of each when it is over. The signal
/// that ended it early is returned.
pub fn recheck(
    context: &RunContext<'_>,
    parts: &[Part],
    jobs: usize,
    executor: &dyn Executor,
    signals: &Receiver<Signal>,
    tell: &mut dyn FnMut(Part, Rechecked),
) -> Option<Signal> {
    let mut waiting: VecDeque<(usize, Part)> = parts.iter().cloned().enumerate().collect();
    let mut active: HashMap<StepHandle, Box<Looking>> = HashMap::new();
    let mut stopped: Option<Signal> = None;
    while !waiting.is_empty() || !active.is_empty() {
        // Those that another process works on are asked again at the next tick.
        for _ in 0..waiting.len() {
            if active.len() >= jobs.max(1) {
                break;
            }
            let Some((number, part)) = waiting.pop_front() else { break };
            match begin(context, &part, number) {
                Ok(Begun::Looking(it)) => go_on(it, executor, &mut active, tell),
                Ok(Begun::Over(it)) => tell(part, it),
                Ok(Begun::Busy) => waiting.push_back((number, part)),
                Err(error) => tell(part, Rechecked::Broken(error.to_string())),
            }
        }
        match executor.next_event(TICK) {
            Some(ExecutorEvent::Finished { handle, result }) => {
                if let Some(mut it) = active.remove(&handle) {
                    it.audit.take(result);
                    if stopped.is_none() {
                        go_on(it, executor, &mut active, tell);
                    }
                }
            }
            Some(ExecutorEvent::Broken(why)) => {
                for (_, it) in active.drain() {
                    tell(it.part, Rechecked::Broken(format!("the executor is gone: {why}")));
                }
            }
            Some(ExecutorEvent::Started { .. }) | None => {}
        }
        while let Ok(signal) = signals.try_recv() {
            if matches!(signal, Signal::Stop | Signal::Continue) {
                continue;
            }
            let how = if stopped.is_some() { CancelKind::Now } else { CancelKind::Polite };
            stopped.get_or_insert(signal);
            waiting.clear();
            for handle in active.keys() {
                // One that ended already says so by an event.
                let _ = executor.cancel(handle, how);
            }
        }
    }
    context.workspace.io.values().for_each(|it| it.rest());
    stopped
}

/// Starts the next process of an asset, or tells that all are done.
fn go_on(
    it: Box<Looking>,
    executor: &dyn Executor,
    active: &mut HashMap<StepHandle, Box<Looking>>,
    tell: &mut dyn FnMut(Part, Rechecked),
) {
    let Some(spec) = it.audit.next() else {
        let checks = it.audit.reports(it.part.0);
        return tell(it.part, Rechecked::Looked { checks, data_version: it.data_version });
    };
    match executor.submit(spec) {
        Ok(handle) => drop(active.insert(handle, it)),
        Err(error) => tell(it.part, Rechecked::Broken(error.to_string())),
    }
}

fn begin(context: &RunContext<'_>, part: &Part, number: usize) -> Result<Begun, PrepareError> {
    let workspace = context.workspace;
    let project = &*workspace.project;
    let (node, partition) = (part.0, part.1.clone());
    let op = project.op_of(node).expect("only assets have checks");
    let step = PlanStep { op, partition: partition.clone(), action: StepAction::Build, outputs: Vec::new() };
    let mut names = upstream_locks(context, &step)?;
    names.push(LockName::of(project.key(node), &partition));
    let locks = match context.locks.try_shared(&names)? {
        Locked::Held(guard) => guard,
        Locked::Busy(_) => return Ok(Begun::Busy),
    };
    let history = workspace.store.history(project.key(node), &partition)?;
    let target = workspace.target(node, &partition);
    let io = workspace.io_of(node);
    let (Some(record), Some(content)) = (history.first(), io.current(&target)?) else {
        return Ok(Begun::Over(Rechecked::Missing));
    };
    let before = if record.content() == content.data_version { history.get(1) } else { Some(record) };
    let data_version =
        if record.content() == content.data_version { record.data_version } else { content.data_version };
    let checks: Vec<Check> = project.ops[op].checks.iter().filter(|it| it.asset == node).cloned().collect();
    let mut copies = Copies::none(&workspace.root);
    let given = given_now(context, &step, &mut copies)?;
    // Where a command finds it. What asks rows knows the table by its name.
    let path = match checks.iter().any(|it| it.command().is_some()) {
        true => {
            let file = copies.file(project.key(node).as_str(), io.load(&target)?);
            file.map_err(|it| IoError::Other { path: project.key(node).to_string(), cause: it.to_string() })?
        }
        false => Default::default(),
    };
    let name: String = project.key(node).as_str().replace('/', ".").chars().take(80).collect();
    let tail = if partition.is_whole() { String::new() } else { format!(".{number}") };
    let log = format!("{}/{name}{tail}.log", context.log_folder);
    let parts = SpecParts {
        step: &step,
        attempt: &AttemptId::new(&context.run, node.index(), u32::try_from(number + 1).unwrap_or(u32::MAX)).0,
        action: &project.ops[op].action,
        outputs: &[Place { node, path }],
        given: &given,
        log: &log,
        together: &[],
        adds: false,
        timeout: None,
    };
    let last = |check: &Check| last_number(context, (check, &partition), before, Some(&data_version));
    let audited = Audited { parts, staged: &|_| None, last: &last };
    let audit = Audit::prepared(context, &checks, &audited)?;
    Ok(Begun::Looking(Box::new(Looking { part: part.clone(), audit, data_version, _copies: copies, _locks: locks })))
}
