//! The second half of a step: look at what the command made, make sure that its inputs held still,
//! publish, record. The order of the steps is the crash protocol; `docs/reliability.md` tells it.

use std::{collections::HashMap, path::Path};

use crate::{
    base::{
        digest::Digest,
        path::ProjectPath,
        sabotage::{self, Protection},
    },
    exec::{
        executor::{StepExit, StepResult},
        io::{Content, IoError},
        run::{
            context::RunContext,
            emptied::{emptied, refusal, shrunk, taken_away},
            prepare::{Attempting, OutputAttempt, PrepareError, report, source_parts},
            recover::after_hooks,
            version,
        },
    },
    model::{
        event::{CheckReport, Extent, StepError, StepOutcome, StepReport},
        fingerprint::{PartKind, PartValue},
        plan::PlanStep,
        project::{Action, Identity, NodeId, Op},
        staleness::ReasonCode,
    },
    plan::{
        examine::Examined,
        explain::listings,
        hash::{FileFact, FileKind},
        observe::{OpFacts, SourceFacts, computation, observe, sources_of},
        recall::{Recalled, recall},
        record::{AttemptState, Intent, Materialization, StoredOutput, TrackedFile},
        store::{Change, StoreError},
        survey::load_observations,
    },
};

/// Code files up to this size are kept in state, so that `why` can show a diff.
const TEXT_BYTES_MAX: u64 = 64 << 10;
/// How an attempt ended.
pub enum Finished {
    Done(Vec<StepReport>),
    /// It was made, and a check of its data said no: nothing was published.
    Rejected(StepError, Vec<StepReport>),
    /// An input changed while the command read it: what it made means nothing.
    Void(String),
    Failed(StepError),
    /// It was told to end before it was done.
    Interrupted(StepError),
}

/// Why an attempt could not be finished.
#[derive(Debug, thiserror::Error)]
enum FinishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("{0}")]
    Version(String),
    /// From here on only recovery knows what became of the outputs; it is left to the next run.
    #[error("the result could not be published: {0}")]
    Publish(IoError),
    /// The same: what is published is complete, and only its record is missing.
    #[error("the result could not be recorded: {0}")]
    Record(StoreError),
}

/// Finishes an attempt whose command has ended. Whatever comes of it, nothing stays staged, and the
/// attempt is recorded as ended; only then are its locks let go.
pub fn finish(context: &RunContext<'_>, step: &PlanStep, attempting: Attempting, result: &StepResult) -> Finished {
    let mut left_to_recovery = false;
    let is_query = matches!(context.workspace.project.ops[step.op].action, Action::Sql(_));
    let message = match result.exit {
        // What the engine says stands below.
        StepExit::Code(1) if is_query => Some("the query failed".to_owned()),
        _ => exit_message(&result.exit),
    };
    let finished = match message {
        Some(message) => Finished::Failed(StepError { message, ..StepError::default() }),
        None => match settle(context, step, &attempting, result) {
            Ok(finished) => finished,
            Err(error) => {
                left_to_recovery = match &error {
                    // Of several outputs, others may be published.
                    FinishError::Publish(IoError::Refused { .. }) => attempting.outputs.len() > 1,
                    it => matches!(it, FinishError::Publish(_) | FinishError::Record(_)),
                };
                let (message, help) = (error.to_string(), help_for(context, step, &error));
                Finished::Failed(StepError { message, help, ..StepError::default() })
            }
        },
    };
    let finished = match finished {
        Finished::Failed(mut error) => {
            error.output_tail.clone_from(&result.tail);
            error.output_tail.extend(as_run(context, step, attempting.extent));
            error.log.clone_from(&attempting.log);
            match result.exit {
                StepExit::Cancelled => Finished::Interrupted(error),
                _ if attempting.audit.was_stopped() => Finished::Interrupted(error),
                _ => Finished::Failed(error),
            }
        }
        other => other,
    };
    let state = match &finished {
        Finished::Done(_) => return finished,
        Finished::Void(why) => AttemptState::Void(why.clone()),
        Finished::Interrupted(_) => AttemptState::Interrupted,
        Finished::Rejected(error, _) => AttemptState::Rejected(error.message.clone()),
        Finished::Failed(error) => AttemptState::Failed(error.message.clone()),
    };
    if !left_to_recovery {
        give_up(context, &attempting, state);
    }
    finished
}

/// Takes back what was staged and records how the attempt ended. Errors here leave only what the
/// next run sweeps away by itself.
pub fn give_up(context: &RunContext<'_>, attempting: &Attempting, state: AttemptState) {
    for it in &attempting.outputs {
        let _ = context.workspace.io_of(it.node).discard(&it.staged);
    }
    let at = context.workspace.clock.now();
    let _ = context.workspace.store.commit(&[Change::AttemptEnded { id: attempting.id.clone(), state, at }]);
}

/// The query of a step with everything inserted but secrets, if that is to be told.
fn as_run(context: &RunContext<'_>, step: &PlanStep, extent: Option<Extent>) -> Vec<String> {
    match &context.workspace.project.ops[step.op].action {
        Action::Sql(sql) if context.tells_queries => {
            let lines = sql
                .face(extent == Some(Extent::Added))
                .shown()
                .trim_end()
                .lines()
                .map(|it| format!("  {it}"))
                .collect();
            [vec!["as it was run:".to_owned()], lines].concat()
        }
        _ => Vec::new(),
    }
}

/// What an exit means, in words; `None` if all went well.
pub fn exit_message(exit: &StepExit) -> Option<String> {
    Some(match exit {
        StepExit::Code(0) => return None,
        StepExit::Code(code) => format!("exit status {code}"),
        StepExit::Signal(9) => "killed by signal 9 (likely out of memory, if nobody sent it)".to_owned(),
        StepExit::Signal(signal) => format!("killed by signal {signal}"),
        StepExit::TimedOut => "timed out".to_owned(),
        StepExit::Cancelled => "interrupted".to_owned(),
        StepExit::NotStarted(why) => format!("could not be started: {why}"),
        StepExit::Lost(why) => format!("was lost: {why}"),
    })
}

fn help_for(context: &RunContext<'_>, step: &PlanStep, error: &FinishError) -> Vec<String> {
    match error {
        FinishError::Io(IoError::OutputMissing(_))
            if context.workspace.project.partitioning.batches.contains_key(&step.op) =>
        {
            let key = step.partition.as_str();
            vec![format!(
                "the command makes an entry for each of ASSETS_PARTITION_KEYS in its output folder; none is named after {key}"
            )]
        }
        FinishError::Io(error) | FinishError::Publish(error) => error.help().map(str::to_owned).into_iter().collect(),
        FinishError::Version(_) => vec![version::HELP.to_owned()],
        FinishError::Store(_) | FinishError::Record(_) => Vec::new(),
    }
}

fn settle(
    context: &RunContext<'_>,
    step: &PlanStep,
    attempting: &Attempting,
    result: &StepResult,
) -> Result<Finished, FinishError> {
    // I3: what was made is worth something only if it was made from what was fingerprinted.
    let is_checked = !Protection::InputCheck.is_off();
    if is_checked && let Some(what) = torn(context, step, attempting) {
        return Ok(Finished::Void(what));
    }
    let mut contents = Vec::with_capacity(attempting.outputs.len());
    for it in &attempting.outputs {
        contents.push(context.workspace.io_of(it.node).inspect(&it.staged)?);
    }
    if is_checked && let Some(what) = moved_input(context, step, attempting)? {
        return Ok(Finished::Void(what));
    }
    let failed = |message: &str| Finished::Failed(StepError { message: message.to_owned(), ..StepError::default() });
    if attempting.audit.was_stopped() {
        return Ok(failed("interrupted while its checks ran"));
    }
    if !Protection::AuditedAlone.is_off() && !attempting.audit.left_alone(contents.iter().map(|it| it.data_version)) {
        return Ok(failed("a check changed the data that it was to look at"));
    }
    let outputs = attempting.outputs.iter().zip(&contents);
    let emptied: Vec<(NodeId, CheckReport)> = outputs
        .filter_map(|(it, content)| {
            let told = emptied(context, it.node, content, it.rows_before);
            Some((it.node, told.or_else(|| shrunk(attempting.extent, content, it.rows_before))?))
        })
        .collect();
    if !Protection::Audit.is_off()
        && let Some(error) = attempting.audit.refusal().or_else(|| refusal(&emptied))
    {
        let reports = attempting.outputs.iter().map(|it| StepReport {
            checks: said(attempting, it.node, &emptied),
            ..report(context, it.node, &step.partition, StepOutcome::Failed)
        });
        return Ok(Finished::Rejected(error, reports.collect()));
    }
    publish(context, step, attempting, result, &Looked { contents, emptied })
}

/// What was seen of everything that is to be published.
struct Looked {
    contents: Vec<Content>,
    emptied: Vec<(NodeId, CheckReport)>,
}

/// What checks say of an output, and what is told like one.
fn said(attempting: &Attempting, node: NodeId, emptied: &[(NodeId, CheckReport)]) -> Vec<CheckReport> {
    let emptied = emptied.iter().filter(|it| it.0 == node).map(|it| it.1.clone());
    attempting.audit.reports(node).into_iter().chain(emptied).collect()
}

/// What was written to while it was read, where that shows only right after it. A query reads until it has ended; what
/// others are given was copied before they began. Next to somebody who writes to other tables all the time nothing would
/// ever be made: from the second attempt on it is what the tables hold that counts.
fn torn(context: &RunContext<'_>, step: &PlanStep, attempting: &Attempting) -> Option<String> {
    let workspace = context.workspace;
    if !attempting.id.is_first() {
        return None;
    }
    match workspace.project.ops[step.op].action {
        Action::Sql(_) => {
            attempting.torn.clone().or_else(|| attempting.stored.iter().find_map(|it| it.torn(workspace)))
        }
        _ => attempting.torn.clone(),
    }
}

/// The first input that is not what it was when its fingerprint was taken.
fn moved_input(
    context: &RunContext<'_>,
    step: &PlanStep,
    attempting: &Attempting,
) -> Result<Option<String>, StoreError> {
    let workspace = context.workspace;
    let verified = workspace.sweep.verify(&attempting.inputs);
    if let Some(index) = verified.changed.first() {
        return Ok(Some(format!("{} changed during the run", attempting.inputs[*index].path)));
    }
    if let Some((_, now)) = verified.refreshed.iter().find(|(index, now)| written(&attempting.inputs[*index], now)) {
        return Ok(Some(format!("{} was written during the run", now.path)));
    }
    if let Some(what) = attempting.stored.iter().find_map(|it| it.moved(workspace)) {
        return Ok(Some(what));
    }
    let world = workspace.world();
    let op = &world.project.ops[step.op];
    let listed = !op.code.patterns.is_empty() || !op.sources.patterns.is_empty();
    let sources = sources_of(&world, &[step.op]);
    let parts = source_parts(&world, step);
    if !listed && sources.is_empty() && parts.is_empty() {
        return Ok(None);
    }
    // A file that appeared in a pattern's reach may have been read, or not: nobody knows.
    let mut now = observe(&world, &[step.op], &sources, &load_observations(&world, &sources)?);
    now.partitions = parts;
    let before = &attempting.facts;
    if now.ops[&step.op].parts != before.ops[&step.op].parts {
        return Ok(Some("the files that it reads changed during the run".to_owned()));
    }
    let version = |facts: &crate::plan::observe::Facts, node: NodeId| match facts.sources.get(&node) {
        Some(SourceFacts::Known { observation, .. }) => Some(observation.data_version),
        _ => None,
    };
    let versions = |facts: &crate::plan::observe::Facts, node: NodeId| -> Option<Vec<(u64, Option<Digest>)>> {
        let version = |it: &SourceFacts| match it {
            SourceFacts::Known { observation, .. } => Some(observation.data_version),
            SourceFacts::Missing(_) => None,
        };
        Some(facts.partitions.get(&node)?.iter().map(|(place, it)| (*place, version(it))).collect())
    };
    if let Some(source) = now.partitions.keys().find(|it| versions(&now, **it) != versions(before, **it)) {
        return Ok(Some(format!("source {} changed during the run", world.project.key(*source))));
    }
    let moved = sources.iter().find(|it| version(&now, **it) != version(before, **it));
    if let Some(source) = moved {
        return Ok(Some(format!("source {} changed during the run", world.project.key(*source))));
    }
    let earlier: HashMap<&ProjectPath, &TrackedFile> = before.files().map(|it| (&it.path, it)).collect();
    let back = now.files().find(|it| earlier.get(&it.path).is_some_and(|before| written(before, it)));
    Ok(back.map(|it| format!("{} was written during the run", it.path)))
}

/// Whether a file with the same content is not the same file, untouched: it may have held something
/// else for a while, and the command may have read that. The change time alone tells nothing here:
/// a new name or mode changes it too.
fn written(before: &TrackedFile, now: &TrackedFile) -> bool {
    let identity = |it: &TrackedFile| (it.signature.dev, it.signature.ino, it.signature.size, it.signature.mtime_ns);
    before.signature.kind == FileKind::File && !Protection::WrittenBack.is_off() && identity(before) != identity(now)
}

fn publish(
    context: &RunContext<'_>,
    step: &PlanStep,
    attempting: &Attempting,
    result: &StepResult,
    looked: &Looked,
) -> Result<Finished, FinishError> {
    let workspace = context.workspace;
    let contents = &looked.contents;
    let new: Vec<Materialization> = attempting
        .outputs
        .iter()
        .zip(contents)
        .map(|(it, content)| materialization(context, step, attempting, result, it, content))
        .collect::<Result<_, _>>()?;
    let unchanged: Vec<Option<StoredOutput>> =
        attempting.outputs.iter().zip(&new).map(|(it, record)| unchanged(context, it, record)).collect();
    if unchanged.iter().any(Option::is_none) && !Protection::Intent.is_off() {
        // I4, I5: from here on a crash is rolled forward from this record, which also tells of outputs that
        // stay: they have a new fingerprint.
        let intent = |(it, record): (&OutputAttempt, &Materialization)| Intent {
            materialization: record.clone(),
            staged: it.staged.token.clone(),
        };
        let intents = attempting.outputs.iter().zip(&new).map(intent).collect();
        workspace.store.commit(&[Change::AttemptCommitting { id: attempting.id.clone(), intents }])?;
    }
    let mut changes = Vec::new();
    let mut reports = Vec::new();
    if Protection::RecordLast.is_off() {
        let state = AttemptState::Succeeded(StepOutcome::Built);
        let at = workspace.clock.now();
        workspace.store.commit(&[Change::AttemptEnded { id: attempting.id.clone(), state, at }])?;
    }
    for (((it, mut record), same), content) in attempting.outputs.iter().zip(new).zip(unchanged).zip(contents) {
        let kept = same.is_some() && it.standing.as_ref().is_some_and(|it| it.data_version == record.data_version);
        record.output = match same {
            // Same content: the old file and its times stay, and nothing downstream is disturbed.
            Some(output) => {
                workspace.io_of(it.node).discard(&it.staged).map_err(FinishError::Publish)?;
                output
            }
            None => published(context, it, content).map_err(FinishError::Publish)?,
        };
        record = after_hooks(workspace, it.node, &it.staged.target, record).map_err(FinishError::Publish)?;
        let gone = taken_away(&workspace.io_of(it.node).taken_away(&it.staged.target));
        reports.push(StepReport {
            duration_ms: record.duration_ms,
            data_version: Some(record.data_version),
            unchanged: kept,
            extent: attempting.extent,
            bytes: record.bytes,
            rows: record.rows,
            reasons: it.reasons.clone(),
            checks: said(attempting, it.node, &looked.emptied).into_iter().chain(gone).collect(),
            ..report(context, it.node, &step.partition, StepOutcome::Built)
        });
        changes.push(Change::Materialized(Box::new(record)));
    }
    sabotage::panic_if_told("recording", &workspace.project.ops[step.op].name);
    changes.extend(attempting.observations.iter().cloned().map(Change::Observed));
    changes.extend(texts(&workspace.root, &workspace.project.ops[step.op], &attempting.facts.ops[&step.op]));
    let listings = listings(&workspace.project, &attempting.facts).into_iter();
    changes.extend(listings.map(|(digest, text)| Change::Text { digest, text }));
    let state = AttemptState::Succeeded(StepOutcome::Built);
    changes.push(Change::AttemptEnded { id: attempting.id.clone(), state, at: workspace.clock.now() });
    workspace.store.commit(&changes).map_err(FinishError::Record)?;
    Ok(Finished::Done(reports))
}

/// What is replaced is kept for a while if it is a version that was recorded.
fn published(context: &RunContext<'_>, output: &OutputAttempt, content: &Content) -> Result<StoredOutput, IoError> {
    let io = context.workspace.io_of(output.node);
    match &output.standing {
        Some(older) => io.publish_keeping(&output.staged, content, &older.content()),
        None => io.publish(&output.staged, content),
    }
}

fn materialization(
    context: &RunContext<'_>,
    step: &PlanStep,
    attempting: &Attempting,
    result: &StepResult,
    output: &OutputAttempt,
    content: &Content,
) -> Result<Materialization, FinishError> {
    let kind = context.workspace.project.nodes[output.node].asset().expect("an output is an asset").version;
    let data_version = version::of(context, attempting, output, kind, content).map_err(FinishError::Version)?;
    Ok(Materialization {
        key: context.workspace.project.key(output.node).clone(),
        partition: step.partition.clone(),
        attempt: attempting.id.clone(),
        run: context.run.clone(),
        at: context.workspace.clock.now(),
        duration_ms: result.wall_ms,
        fingerprint: output.fingerprint.clone(),
        data_version,
        content: (data_version != content.data_version).then_some(content.data_version),
        declared: context.workspace.io_of(output.node).declared(&output.staged.target, Some(&output.staged))?,
        output: StoredOutput::Files(Vec::new()),
        bytes: content.bytes,
        rows: content.rows,
        accepted: None,
        session: context.run.0.clone(),
    })
}

/// The stored output, if what is visible is known to be what was just made, its columns declared the same.
fn unchanged(context: &RunContext<'_>, output: &OutputAttempt, new: &Materialization) -> Option<StoredOutput> {
    let standing = output.standing.as_ref()?;
    let target = &output.staged.target;
    if target.in_place
        || target.publishing.does_more()
        || standing.content() != new.content()
        || standing.declared != new.declared
    {
        return None;
    }
    let forced = output.reasons.iter().any(|it| it.code == ReasonCode::Forced);
    if forced && !has_same_bytes(context, output, &standing.output) {
        return None;
    }
    Some(standing.output.clone())
}

/// Whether what is staged is what stands, also where equal versions do not say so: of files that are known by what
/// they say. Who forces an asset wants what is made now, in this very form.
fn has_same_bytes(context: &RunContext<'_>, output: &OutputAttempt, standing: &StoredOutput) -> bool {
    let workspace = context.workspace;
    if !matches!(output.staged.target.identity, Identity::Rows | Identity::Json)
        || workspace.project.is_in_database(output.node)
    {
        return true;
    }
    let StoredOutput::Files(files) = standing else { return false };
    let Ok(below) = output.staged.path.strip_prefix(&workspace.root) else { return false };
    let Ok(path) = ProjectPath::resolve(&ProjectPath::root(), below) else { return false };
    let fact = workspace.sweep.look_at(&path);
    workspace.sweep.forget(&path);
    matches!((fact, &files[..]), (FileFact::Present { digest, .. }, [file]) if digest == file.digest)
}

/// Small code files and the query, kept by digest for the diffs of `why`.
pub fn texts(root: &Path, op: &Op, facts: &OpFacts) -> Vec<Change> {
    let mut changes = Vec::new();
    if let (Action::Sql(sql), PartValue::Digest(digest)) = (&op.action, computation(&op.action).value) {
        changes.push(Change::Text { digest, text: sql.told() });
    }
    for part in facts.parts.iter().filter(|it| it.kind == PartKind::Code) {
        let PartValue::Digest(digest) = &part.value else { continue };
        let Some(file) = facts.files.iter().find(|it| it.path.as_bytes() == &*part.name) else { continue };
        if file.signature.size > TEXT_BYTES_MAX {
            continue;
        }
        let bytes = crate::base::fs::read_at_most(&file.path.under(root), TEXT_BYTES_MAX);
        if let Ok(Some(bytes)) = bytes
            && Digest::of(&bytes) == *digest
            && let Ok(text) = String::from_utf8(bytes)
        {
            changes.push(Change::Text { digest: *digest, text });
        }
    }
    changes
}

/// What came of putting back.
pub enum Restoring {
    Done(Vec<StepReport>),
    /// Nothing is known, or it was not what it should be; nothing was touched.
    Nothing,
    /// Some outputs were put back before one could not be: nothing that was seen of them before holds.
    Broken,
}

/// Puts back earlier materializations with today's fingerprints, if the content of every output is
/// in place or kept.
///
/// # Errors
/// State or content that cannot be read or moved.
pub fn restore(
    context: &RunContext<'_>,
    step: &PlanStep,
    examined: &[(NodeId, Examined)],
) -> Result<Restoring, PrepareError> {
    let workspace = context.workspace;
    let wanted = examined.iter().map(|(node, it)| Some((*node, it.fingerprint.as_ref()?))).collect::<Option<Vec<_>>>();
    let Some(wanted) = wanted else { return Ok(Restoring::Nothing) };
    let Some(known) = recall(&workspace.world(), &wanted, &step.partition)? else { return Ok(Restoring::Nothing) };
    let mut moved = false;
    let (mut reports, mut changes) = (Vec::new(), Vec::new());
    for (recalled, (node, it)) in known.into_iter().zip(examined) {
        let record = match recalled {
            Recalled::InPlace(record) => record,
            Recalled::Kept(record) => {
                let target = workspace.target(*node, &step.partition);
                match workspace.io_of(*node).restore(&target, &record.content())? {
                    Some(output) => {
                        moved = true;
                        Materialization { output, ..record }
                    }
                    None if moved => return Ok(Restoring::Broken),
                    None => return Ok(Restoring::Nothing),
                }
            }
        };
        let restored = Materialization {
            run: context.run.clone(),
            at: workspace.clock.now(),
            session: context.run.0.clone(),
            ..record
        };
        reports.push(StepReport {
            data_version: Some(restored.data_version),
            bytes: restored.bytes,
            rows: restored.rows,
            reasons: it.verdict.reasons().to_vec(),
            ..report(context, *node, &step.partition, StepOutcome::Restored)
        });
        changes.push(Change::Materialized(Box::new(restored)));
    }
    workspace.store.commit(&changes)?;
    Ok(Restoring::Done(reports))
}
