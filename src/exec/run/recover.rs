//! What killed runs left behind: rolled forward or swept away, before anything is planned.
//!
//! Decides by kernel locks alone: an attempt whose locks can be taken has no living owner (I5).

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use crate::{
    base::fs,
    exec::{
        io::{Content, IoError, Recovered, Staged, Target},
        lock::{LockName, LockTable},
        run::{batch::sweep_folders, check, context::Workspace, prepare::PrepareError, query},
    },
    model::{event::StepOutcome, key::PartitionKey, project::NodeId},
    plan::{
        record::{Attempt, AttemptState, Materialization},
        store::Change,
    },
};

/// What was found, for people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    /// Attempts whose result was complete and is now recorded.
    pub finished: usize,
    /// Attempts that came to nothing.
    pub discarded: usize,
    pub notes: Vec<String>,
}

/// Goes through every attempt that never ended.
///
/// # Errors
/// State that cannot be read or written. Content that cannot be finished is a note.
pub fn recover(workspace: &Workspace, locks: &Arc<LockTable>) -> Result<Recovery, PrepareError> {
    let mut recovery = Recovery::default();
    for attempt in workspace.store.unfinished_attempts()? {
        let names: Vec<LockName> = attempt.outputs.iter().map(|it| LockName::of(it, &attempt.partition)).collect();
        let Some(_held) = locks.try_exclusive(&names)?.guard() else { continue };
        // Its owner may have ended it between our reading and our lock.
        match workspace.store.attempt(&attempt.id)? {
            Some(now) if now.state == attempt.state => match one(workspace, &now, &mut recovery) {
                // Only what is kept there has to wait until it can be asked; its own step asks again.
                Err(PrepareError::Io(error @ IoError::Store { .. })) => {
                    recovery
                        .notes
                        .push(format!("{}: what an interrupted run published is not known yet: {error}", now.op));
                }
                done => done?,
            },
            _ => {}
        }
    }
    Ok(recovery)
}

/// The same for one op whose locks the caller holds: their last owner may have died since the run began.
///
/// # Errors
/// As [`recover`].
pub fn recover_held(workspace: &Workspace, op: &str, partitions: &[&PartitionKey]) -> Result<(), PrepareError> {
    let held: HashSet<&PartitionKey> = partitions.iter().copied().collect();
    for attempt in workspace.store.unfinished_attempts()? {
        if attempt.op == op && held.contains(&attempt.partition) {
            one(workspace, &attempt, &mut Recovery::default())?;
        }
    }
    Ok(())
}

fn one(workspace: &Workspace, attempt: &Attempt, recovery: &mut Recovery) -> Result<(), PrepareError> {
    let at = workspace.clock.now();
    let mut changes = Vec::new();
    let mut whole = true;
    if let AttemptState::Committing(intents) = &attempt.state {
        for intent in intents {
            let wanted = &intent.materialization;
            let Some(node) = workspace.project.node(wanted.key.as_str()) else { continue };
            if workspace.project.nodes[node].asset().is_none() {
                continue;
            }
            match finish_one(workspace, node, wanted, &intent.staged)? {
                Some(record) => changes.push(Change::Materialized(Box::new(record))),
                None => {
                    whole = false;
                    recovery
                        .notes
                        .push(format!("{}: what an interrupted run was about to publish is gone", wanted.key));
                }
            }
        }
        recovery.finished += 1;
    } else {
        whole = false;
        recovery.discarded += 1;
    }
    sweep(workspace, attempt);
    let state = if whole { AttemptState::Succeeded(StepOutcome::Built) } else { AttemptState::Interrupted };
    changes.push(Change::AttemptEnded { id: attempt.id.clone(), state, at });
    workspace.store.commit(&changes)?;
    Ok(())
}

fn finish_one(
    workspace: &Workspace,
    node: NodeId,
    wanted: &Materialization,
    staged: &[u8],
) -> Result<Option<Materialization>, PrepareError> {
    let content = Content { data_version: wanted.content(), bytes: wanted.bytes, rows: wanted.rows };
    let target = workspace.target(node, &wanted.partition);
    Ok(match workspace.io_of(node).recover(&target, staged, &content)? {
        Recovered::Published(output) => {
            let record = Materialization { output, ..wanted.clone() };
            Some(after_hooks(workspace, node, &target, record)?)
        }
        Recovered::Lost => None,
    })
}

/// The record of what was just published as its hooks have left it.
///
/// # Errors
/// A database that cannot be asked.
pub fn after_hooks(
    workspace: &Workspace,
    node: NodeId,
    target: &Target,
    record: Materialization,
) -> Result<Materialization, IoError> {
    let io = workspace.io_of(node);
    if target.publishing.post_hooks.is_empty() {
        return Ok(record);
    }
    let record = Materialization { declared: io.declared(target, None)?, ..record };
    let left = io.after_hooks(target);
    Ok(left.into_iter().fold(record, |record, it| record.of_content(it.data_version, it.bytes, it.rows)))
}

/// Removes what the attempt staged, and moves back what it had moved aside.
pub fn sweep(workspace: &Workspace, attempt: &Attempt) {
    // What did not fit into memory: of a worker that was killed it stays.
    let nodes = attempt.outputs.iter().filter_map(|it| workspace.project.node(it.as_str()));
    let spills = nodes.map(|it| check::spill(&workspace.root, &attempt.id.0, it));
    for spill in spills.chain([query::spill(&workspace.root, &attempt.id.0)]) {
        let _ = fs::remove(&spill);
    }
    if !attempt.partition.is_whole() {
        sweep_folders(workspace, attempt);
    }
    for key in &attempt.outputs {
        if let Some(node) = workspace.project.node(key.as_str())
            && workspace.project.nodes[node].asset().is_some()
        {
            // After a crash the target and the attempt are all that is known of a stage.
            let target = workspace.target(node, &attempt.partition);
            let staged = Staged { target, attempt: attempt.id.clone(), path: PathBuf::new(), token: Vec::new() };
            let _ = workspace.io_of(node).discard(&staged);
        }
    }
}
