//! What a step reads of dependencies that have partitions: which are there, and how they are handed over.

use std::{ffi::OsString, path::PathBuf};

use arrow::record_batch::RecordBatchIterator;

use crate::{
    base::fs,
    exec::{
        copies::Copies,
        io::Loaded,
        relation::{Relation, RelationError, relation},
        run::{
            context::{RunContext, Workspace},
            given::unread,
            prepare::PrepareError,
            render::Given,
        },
    },
    model::{
        format::TableFormat,
        key::PartitionKey,
        plan::PlanStep,
        project::{FileSet, IoId, NodeId, OpId},
    },
    plan::{
        examine::{Partial, Upstream},
        observe::{SourceFacts, SourceParts},
        partition_files::set_of,
        record::{Materialization, StoredOutput, TrackedFile},
        store::StoreError,
        survey::{check_each, standing},
        world::{OutputState, World},
    },
};

/// Beyond so many all records are read at once.
const FEW: u64 = 2_000;

/// The partitions of one dependency that a step reads.
pub struct ReadParts {
    pub node: NodeId,
    /// Those that are there: as recorded, and what became of what they hold.
    pub there: Vec<(Materialization, OutputState)>,
    /// So many belong to the step's own, there or not.
    pub wanted: u64,
}

/// The recorded partitions of `dep` that `op` reads for one of its own; `None` of one without partitions.
///
/// # Errors
/// State that cannot be read.
pub fn recorded(
    workspace: &Workspace,
    op: OpId,
    dep: NodeId,
    partition: &PartitionKey,
) -> Result<Option<(Vec<Materialization>, u64)>, StoreError> {
    let Some(places) = workspace.partitions.read_for(op, dep, partition) else { return Ok(None) };
    let keys = workspace.partitions.of_node(dep);
    let key = workspace.project.key(dep);
    let wanted = places.count();
    if let Some(lent) = workspace.deferred.as_ref().and_then(|it| it.parts().get(&dep)) {
        let of_place = |it: &std::ops::Range<u64>| lent.range(it.clone()).map(|it| it.1.clone()).collect::<Vec<_>>();
        return Ok(Some((places.ranges().iter().flat_map(of_place).collect(), wanted)));
    }
    let mut found = Vec::new();
    if wanted > FEW {
        let of_dep = workspace.store.latest_all()?.into_iter().filter(|it| it.key == *key);
        let mut placed: Vec<(u64, Materialization)> = of_dep
            .filter_map(|it| Some((keys.place(it.partition.as_str()).ok().filter(|it| places.contains(*it))?, it)))
            .collect();
        placed.sort_by_key(|it| it.0);
        found.extend(placed.into_iter().map(|it| it.1));
    } else {
        for key_of in places.iter().filter_map(|it| keys.key(it)) {
            found.extend(workspace.store.latest(key, &key_of)?);
        }
    }
    Ok(Some((found, wanted)))
}

impl ReadParts {
    /// Looks at what is there.
    pub fn look(
        world: &World<'_>,
        workspace: &Workspace,
        node: NodeId,
        (records, wanted): (Vec<Materialization>, u64),
    ) -> ReadParts {
        let (keeper, kept) = workspace.keeper(node);
        let pairs: Vec<(NodeId, &Materialization)> = records.iter().map(|it| (kept, it)).collect();
        let (states, refreshed) = match std::ptr::eq(keeper, workspace) {
            true => check_each(world, &pairs),
            false => check_each(&keeper.world(), &pairs),
        };
        let mut there: Vec<(Materialization, OutputState)> = records.into_iter().zip(states).collect();
        for (index, record) in refreshed {
            there[index].0 = record;
        }
        ReadParts { node, there, wanted }
    }

    pub fn upstream(&self, workspace: &Workspace) -> Upstream {
        let mut told = Partial { wanted: self.wanted, ..Partial::default() };
        for (record, state) in &self.there {
            match standing(Some(record), Some(state)) {
                Ok(version) => told.known.push((record.partition.clone(), version)),
                Err(why) => {
                    let key = workspace.project.key(self.node);
                    told.missing
                        .push(format!("upstream {key}@{} {why}, and is not selected", record.partition.as_str()));
                }
            }
        }
        Upstream::Partitions(told)
    }

    pub fn files(&self) -> impl Iterator<Item = &TrackedFile> {
        self.there.iter().flat_map(|(it, _)| match &it.output {
            StoredOutput::Files(files) => &files[..],
            StoredOutput::Token(_) => &[],
        })
    }

    /// Those that only their IO manager can look at.
    pub fn tokens(&self) -> impl Iterator<Item = (NodeId, PartitionKey, StoredOutput)> {
        let token = |it: &&(Materialization, OutputState)| matches!(it.0.output, StoredOutput::Token(_));
        self.there.iter().filter(token).map(|(it, _)| (self.node, it.partition.clone(), it.output.clone()))
    }

    /// As a query of a database gets those of one: which rows, where it is the same, and the rows of each otherwise.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub fn rows_given(&self, context: &RunContext<'_>, io: IoId, copies: &mut Copies) -> Result<Given, PrepareError> {
        let workspace = context.workspace;
        let (keeper, kept) = workspace.keeper(self.node);
        let is_here = workspace.project.nodes[self.node].asset().is_some_and(|it| it.io == io);
        if is_here && std::ptr::eq(keeper, workspace) {
            let slice = |it: &(Materialization, OutputState)| workspace.target(self.node, &it.0.partition).slice;
            return Ok(Given::Slices(self.there.iter().filter_map(slice).collect()));
        }
        let mut paths = Vec::with_capacity(self.there.len());
        for (record, _) in &self.there {
            let name = format!("{}@{}", record.key, record.partition.as_str());
            let path = match keeper.io_of(kept).load(&keeper.target(kept, &record.partition))? {
                Loaded::Path(path) => path,
                Loaded::Rows(rows) => {
                    copies.of_rows(&name, rows, TableFormat::Arrow).map_err(|it| unread(&name, it))?
                }
            };
            paths.push(path.into_os_string());
        }
        Ok(Given::Many(paths))
    }

    /// As a command gets them.
    ///
    /// # Errors
    /// Content that cannot be loaded.
    pub fn given(&self, context: &RunContext<'_>, step: &PlanStep, copies: &mut Copies) -> Result<Given, PrepareError> {
        let (keeper, kept) = context.workspace.keeper(self.node);
        let mut entries = Vec::with_capacity(self.there.len());
        for (record, _) in &self.there {
            let target = keeper.target(kept, &record.partition);
            let name = format!("{}@{}", record.key, record.partition.as_str());
            let loaded = keeper.io_of(kept).load(&target)?;
            let path = copies.file(&name, loaded).map_err(|it| unread(&name, it))?;
            entries.push((record.partition.clone(), vec![path]));
        }
        handed_over(context, step, self.node, entries, copies)
    }
}

/// What is there of a source.
pub fn upstream_of_source(
    workspace: &Workspace,
    op: OpId,
    dep: NodeId,
    own: &PartitionKey,
    parts: &SourceParts,
) -> Upstream {
    let wanted = workspace.partitions.read_for(op, dep, own).map_or(0, |it| it.count());
    let keys = workspace.partitions.of_node(dep);
    let mut told = Partial { wanted, ..Partial::default() };
    for (place, fact) in parts {
        match fact {
            SourceFacts::Known { observation, .. } => {
                told.known.push((keys.key(*place).unwrap_or_default(), observation.data_version));
            }
            SourceFacts::Missing(why) => told.missing.push(why.clone()),
        }
    }
    Upstream::Partitions(told)
}

/// The files of those partitions of a source, as a command gets them.
///
/// # Errors
/// A folder that cannot be made.
pub fn source_given(
    context: &RunContext<'_>,
    step: &PlanStep,
    dep: NodeId,
    (set, parts): (&FileSet, &SourceParts),
    copies: &mut Copies,
) -> Result<Given, PrepareError> {
    let workspace = context.workspace;
    let keys = workspace.partitions.of_node(dep);
    let files = |it: &SourceFacts| match it {
        SourceFacts::Known { observation, .. } => {
            observation.files.iter().map(|it| it.0.under(&workspace.root)).collect()
        }
        SourceFacts::Missing(_) => Vec::new(),
    };
    let entries: Vec<(PartitionKey, Vec<PathBuf>)> =
        parts.iter().map(|(place, it)| (keys.key(*place).unwrap_or_default(), files(it))).collect();
    // The one partition of a pattern that could match more is a list, as it is without partitions.
    if let [(key, paths)] = &entries[..]
        && is_given_as_one(workspace, step.op, dep)
    {
        let plain = set_of(set, key).patterns.iter().all(|it| !it.text.contains(['*', '?', '[']));
        return Ok(match &paths[..] {
            [one] if plain => Given::One(one.clone().into_os_string()),
            many => Given::Many(many.iter().map(|it| it.clone().into_os_string()).collect()),
        });
    }
    handed_over(context, step, dep, entries, copies)
}

/// What a query is given of a dependency whose partitions it reads none of: no rows, of the columns that the others
/// have.
///
/// # Errors
/// Nobody knows the columns, as none is there; rows that cannot be read.
pub fn nothing_given(
    context: &RunContext<'_>,
    step: &PlanStep,
    dep: NodeId,
    copies: &mut Copies,
) -> Result<Given, PrepareError> {
    let project = &*context.workspace.project;
    let io = |node: NodeId| project.nodes[node].asset().map(|it| it.io);
    let (keeper, kept) = context.workspace.keeper(dep);
    let is_here = project.is_in_database(dep)
        && io(dep) == io(project.ops[step.op].outputs[0])
        && std::ptr::eq(keeper, context.workspace);
    let key = context.workspace.project.key(dep).as_str();
    let columns = match relation(keeper, kept) {
        Ok(Relation::Files { paths, .. }) if paths.is_empty() => None,
        Ok(it) => Some(it.rows().map_err(|it| unread(key, it))?.schema()),
        Err(RelationError::Missing(_)) => None,
        Err(error) => return Err(unread(key, error)),
    };
    let Some(columns) = columns else {
        let message =
            format!("it reads none of the partitions of {key}, and as none is there its columns are not known");
        let is_made = context.workspace.project.nodes[dep].asset().is_some();
        let help =
            if is_made { format!("make one first: assets materialize -s {key}") } else { "add a file".to_owned() };
        return Err(PrepareError::Render { message, help: vec![help] });
    };
    if is_here {
        return Ok(Given::Slices(Vec::new()));
    }
    let none = Box::new(RecordBatchIterator::new([], columns));
    let copy = copies.of_rows(key, none, TableFormat::Arrow).map_err(|it| unread(key, it))?;
    Ok(Given::Columns(copy.into_os_string()))
}

/// Whether a command of `op` is given at most one partition of `dep`: not if it makes several of its own.
fn is_given_as_one(workspace: &Workspace, op: OpId, dep: NodeId) -> bool {
    workspace.partitions.reads_one(op, dep) && !workspace.project.partitioning.batches.contains_key(&op)
}

/// One, if there is never more than one; else all in a folder of their own, named after their keys.
fn handed_over(
    context: &RunContext<'_>,
    step: &PlanStep,
    dep: NodeId,
    entries: Vec<(PartitionKey, Vec<PathBuf>)>,
    copies: &mut Copies,
) -> Result<Given, PrepareError> {
    let workspace = context.workspace;
    if is_given_as_one(workspace, step.op, dep) {
        let mut paths = entries.into_iter().flat_map(|it| it.1).map(PathBuf::into_os_string);
        return Ok(paths.next().map_or_else(|| Given::Many(Vec::new()), Given::One));
    }
    let failed = |it: fs::FsError| PrepareError::Render { message: it.to_string(), help: Vec::new() };
    let folder = copies.of_partitions(workspace.project.key(dep).as_str()).map_err(failed)?;
    let mut paths: Vec<OsString> = Vec::new();
    for (key, files) in entries {
        match &files[..] {
            [one] => {
                let ending = one.extension().map(|it| format!(".{}", it.to_string_lossy())).unwrap_or_default();
                fs::link_to(one, &folder.join(format!("{}{ending}", key.as_str()))).map_err(failed)?;
            }
            many => {
                let inner = folder.join(key.as_str());
                fs::create_folder(&inner).map_err(failed)?;
                for (index, file) in many.iter().enumerate() {
                    let name = file.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
                    fs::link_to(file, &inner.join(format!("{index}-{name}"))).map_err(failed)?;
                }
            }
        }
        paths.extend(files.into_iter().map(PathBuf::into_os_string));
    }
    Ok(Given::Folder { folder: folder.into_os_string(), paths })
}
