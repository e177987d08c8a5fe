//! Several partitions of one op that are made by one command.
//!
//! Each is an attempt of its own: it has its locks, its fingerprint, its staging place, its record. Only the
//! command is shared. It writes into a folder, one entry for each partition named after its key; when it has
//! ended well, each entry is moved to where its attempt expects it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use crate::{
    base::{digest::Digest, fs, sabotage},
    exec::{
        copies::Copies,
        executor::StepSpec,
        io::{Slice, Staged, fs::names},
        lock::Locked,
        run::{
            context::{RunContext, Workspace},
            given::given_inputs,
            partitions::ReadParts,
            prepare::{
                Attempting, Now, OutputAttempt, PrepareError, Prepared, SpecParts, file_name, inherit, lock,
                prepare_held, spec_told,
            },
            render::Place,
        },
    },
    model::{
        event::{StepError, StepIndex},
        key::PartitionKey,
        plan::Plan,
        project::{Action, NodeId},
    },
    plan::record::{Attempt, AttemptId},
};

/// A member of a batch that is ready to be made.
pub type Member = (StepIndex, Box<Attempting>);

/// Attempts that wait for one command.
pub struct Batch {
    /// In the order of their partitions; never empty.
    pub attempts: Vec<Member>,
    pub spec: StepSpec,
    folders: Folders,
    _copies: Copies,
}

/// Where the command writes, for each output; gone when it is dropped. A query writes to each place itself.
struct Folders(Vec<PathBuf>);

impl Drop for Folders {
    fn drop(&mut self) {
        // What stays is removed by whoever recovers the first attempt.
        self.0.iter().for_each(|it| drop(fs::remove(it)));
    }
}

/// What came of preparing the members of a batch.
pub struct Together {
    /// Those that are not part of it: settled, held by somebody else, failed.
    pub apart: Vec<(StepIndex, Result<Prepared, PrepareError>)>,
    /// The others; they could not be joined, or there are none.
    pub batch: Result<Option<Batch>, (Vec<Member>, PrepareError)>,
}

/// Prepares each member by itself, and then the command for all that are to be made. `members` are steps of one
/// op with the numbers of their attempts.
pub fn prepare_together(context: &RunContext<'_>, plan: &Plan, members: &[(StepIndex, u32)]) -> Together {
    let (first, attempt) = members[0];
    let op = &context.workspace.project.ops[plan.steps[first].op];
    let id = AttemptId::new(&context.run, first, attempt);
    let log = format!("{}/{}.log", context.log_folder, file_name(op, &id));
    let (mut apart, mut ready, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for (index, attempt) in members {
        match lock(context, &plan.steps[*index]) {
            Ok(Locked::Held(guard)) => held.push((*index, *attempt, guard)),
            Ok(Locked::Busy(name)) => apart.push((*index, Ok(Prepared::Contended { name }))),
            Err(error) => apart.push((*index, Err(error))),
        }
    }
    // Once for all: who has many at work has many to look through.
    let partitions: Vec<&PartitionKey> = held.iter().map(|it| &plan.steps[it.0].partition).collect();
    if let Err(error) = inherit(context, plan.steps[first].op, &partitions) {
        let message = error.to_string();
        apart.extend(held.into_iter().map(|it| (it.0, Err(broken(&message)))));
        return Together { apart, batch: Ok(None) };
    }
    for (index, attempt, guard) in held {
        let id = AttemptId::new(&context.run, index, attempt);
        let prepared = std::panic::catch_unwind(AssertUnwindSafe(|| {
            sabotage::panic_if_told("preparing", &op.name);
            prepare_held(context, &plan.steps[index], (id, Some(&log)), guard)
        }));
        match prepared {
            Ok(Ok(Prepared::Ready(it))) => ready.push((index, it)),
            Ok(other) => apart.push((index, other)),
            Err(_) => apart.push((index, Err(broken("internal error, please report it: its preparation panicked")))),
        }
    }
    if ready.is_empty() {
        return Together { apart, batch: Ok(None) };
    }
    let batch = match join(context, plan, &mut ready, &log) {
        Ok((spec, folders, copies)) => Ok(Some(Batch { attempts: ready, spec, folders, _copies: copies })),
        Err(error) => Err((ready, error)),
    };
    Together { apart, batch }
}

fn broken(message: &str) -> PrepareError {
    PrepareError::Render { message: message.to_owned(), help: Vec::new() }
}

/// The command of all, and what it needs.
fn join(
    context: &RunContext<'_>,
    plan: &Plan,
    ready: &mut [Member],
    log: &str,
) -> Result<(StepSpec, Folders, Copies), PrepareError> {
    let workspace = context.workspace;
    let step = &plan.steps[ready[0].0];
    let op = &workspace.project.ops[step.op];
    let mut copies = Copies::none(&workspace.root);
    let read = united(context, ready);
    let given = given_inputs(context, step, &read, &mut copies)?;
    let mut folders = Folders(Vec::new());
    let mut outputs = Vec::new();
    for (number, output) in ready[0].1.outputs.iter().enumerate() {
        if matches!(op.action, Action::Sql(_)) {
            outputs.push(Place { node: output.node, path: output.staged.path.clone() });
            continue;
        }
        let beside = output.staged.path.parent().unwrap_or(&workspace.root);
        let folder = beside.join(folder_name(&ready[0].1.id, number));
        folders.0.push(folder.clone());
        fs::create_folder(&folder).map_err(|it| PrepareError::Render { message: it.to_string(), help: Vec::new() })?;
        outputs.push(Place { node: output.node, path: folder });
    }
    let keys = workspace.partitions.of_op(step.op);
    let partitions: Vec<&PartitionKey> = ready.iter().map(|it| &plan.steps[it.0].partition).collect();
    let windows = partitions.iter().filter_map(|it| keys.window(keys.place(it.as_str()).ok()?));
    let (starts, ends): (Vec<_>, Vec<_>) = windows.map(|it| (it.start, it.end)).unzip();
    let hull = [("start", starts.iter().min()), ("end", ends.iter().max())];
    let told: BTreeMap<String, String> =
        hull.into_iter().filter_map(|(name, at)| Some((name.to_owned(), at?.to_string()))).collect();
    let slice =
        |it: &OutputAttempt| Some((workspace.slice(it.node, &it.staged.target.partition)?, it.staged.path.clone()));
    let together: Vec<(Slice, PathBuf)> = match op.action {
        Action::Sql(_) => ready.iter().filter_map(|it| slice(&it.1.outputs[0])).collect(),
        Action::Argv(_) | Action::Shell(_) => Vec::new(),
    };
    let attempt = ready[0].1.id.0.clone();
    let parts = SpecParts {
        step,
        attempt: &attempt,
        action: &op.action,
        outputs: &outputs,
        given: &given,
        log,
        together: &together,
        adds: false,
        timeout: op.timeout,
    };
    let mut spec = spec_told(context, &parts, &told)?;
    let listed = partitions.iter().map(|it| it.as_str()).collect::<Vec<_>>().join("\n");
    spec.env.push((b"ASSETS_PARTITION_KEYS".to_vec(), listed.into_bytes()));
    Ok((spec, folders, copies))
}

fn folder_name(first: &AttemptId, output: usize) -> OsString {
    names::staging(first, format!("batch-{output}").as_ref())
}

/// Removes the folders of a batch that was killed, whose first attempt this was.
pub fn sweep_folders(workspace: &Workspace, attempt: &Attempt) {
    for (number, key) in attempt.outputs.iter().enumerate() {
        let node = workspace.project.node(key.as_str());
        let path = node.and_then(|it| workspace.project.output_path_of(it, &attempt.partition));
        if let Some(beside) = path.and_then(|it| it.parent()) {
            let folder = beside.join(folder_name(&attempt.id, number)).under(&workspace.root);
            // What stays is in nobody's way.
            let _ = fs::remove(&folder);
        }
    }
}

/// Everything that any of them reads, each partition once and in order.
fn united(context: &RunContext<'_>, ready: &mut [Member]) -> Now {
    let partitions = &context.workspace.partitions;
    let mut all: Option<Now> = None;
    for (_, attempting) in ready {
        let Some(more) = attempting.read.take() else { continue };
        let Some(all) = &mut all else {
            all = Some(*more);
            continue;
        };
        for (node, parts) in more.facts.partitions {
            all.facts.partitions.entry(node).or_default().extend(parts);
        }
        for (node, parts) in more.parts {
            let none = || ReadParts { node, there: Vec::new(), wanted: 0 };
            all.parts.entry(node).or_insert_with(none).there.extend(parts.there);
        }
    }
    let mut all = all.expect("whoever is ready has read something, or knows that it reads nothing");
    for (node, parts) in &mut all.parts {
        let keys = partitions.of_node(*node);
        parts.there.sort_by_key(|it| keys.place(it.0.partition.as_str()).unwrap_or(u64::MAX));
        let mut met = BTreeSet::new();
        parts.there.retain(|it| met.insert(it.0.partition.as_str().to_owned()));
    }
    all
}

impl Batch {
    /// Identity of what each output of a member is made from.
    pub fn tried(attempting: &Attempting) -> Vec<Digest> {
        attempting.outputs.iter().map(|it| it.fingerprint.digest()).collect()
    }

    pub fn into_attempts(self) -> Vec<Member> {
        self.attempts
    }

    /// Moves what the command made to where each attempt expects it. What is missing is told by that attempt.
    ///
    /// # Errors
    /// Something that belongs to no partition of the batch, a place that cannot be written to.
    pub fn part(&self, context: &RunContext<'_>) -> Result<(), StepError> {
        let failed = |message: String| StepError { message, ..StepError::default() };
        for (number, folder) in self.folders.0.iter().enumerate() {
            let outputs = self.attempts.iter().map(|it| &it.1.outputs[number]);
            let wanted: BTreeMap<String, &Path> =
                outputs.map(|it| (entry_name(context, it.node, &it.staged), it.staged.path.as_path())).collect();
            let entries = fs::list(folder).map_err(|it| failed(it.to_string()))?.unwrap_or_default();
            for entry in &entries {
                let name = entry.file_name();
                let Some(to) = name.to_str().and_then(|it| wanted.get(it)) else {
                    let example = wanted.keys().next().map(String::as_str).unwrap_or_default();
                    let message = format!("it made `{}`, which is none of its partitions", name.to_string_lossy());
                    let help = vec![format!("each is an entry of the output folder that is named as `{example}`")];
                    return Err(StepError { help, ..failed(message) });
                };
                fs::rename(&entry.path(), to).map_err(|it| failed(it.to_string()))?;
            }
        }
        Ok(())
    }
}

/// The key, with the ending that the path of the asset has; of a table, that of what is handed over.
fn entry_name(context: &RunContext<'_>, node: NodeId, staged: &Staged) -> String {
    let project = &*context.workspace.project;
    let asset = project.nodes[node].asset().expect("only assets are made");
    if project.is_in_database(node) {
        return format!("{}.{}", staged.target.partition.as_str(), staged.target.handed_over().name());
    }
    let path = asset.path.to_string();
    // A key may have a dot in it; what stands behind the last of its names does not belong to it.
    let last = path.rsplit('/').next().unwrap_or_default();
    let behind = last.rsplit("}}").next().unwrap_or_default();
    let ending = behind.rfind('.').map_or("", |at| &behind[at..]);
    format!("{}{ending}", staged.target.partition.as_str())
}
