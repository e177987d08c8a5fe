//! Where the rows of an asset or source can be read as they stand, without a run.

use std::path::PathBuf;

use crate::{
    exec::{
        io::{IoError, Loaded},
        run::context::Workspace,
        table::{Rows, TableError, read},
    },
    model::{
        format::TableFormat,
        key::PartitionKey,
        project::{NodeBody, NodeId},
        sql::inputs::{source_format, table_format},
    },
    plan::{
        observe::{SourceFacts, observe},
        partition_files::observe_some,
    },
};

/// Why there are no rows to be read.
#[derive(Debug, thiserror::Error)]
pub enum RelationError {
    #[error("{0} holds no rows")]
    NoTable(String),
    #[error("{0}")]
    Missing(String),
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Rows that can be read, and where.
pub enum Relation {
    /// As often as one likes.
    Files { paths: Vec<PathBuf>, format: TableFormat },
    /// Once.
    Rows(Rows),
}

impl Relation {
    /// The rows, one after the other.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn rows(self) -> Result<Rows, TableError> {
        match self {
            Relation::Files { paths, format } => read::open(&paths, format),
            Relation::Rows(rows) => Ok(rows),
        }
    }
}

/// What is published of an asset, or the files of a source.
///
/// # Errors
/// Something that is no table, is not there, or cannot be read.
pub fn relation(workspace: &Workspace, node: NodeId) -> Result<Relation, RelationError> {
    let project = &*workspace.project;
    let key = || project.key(node).to_string();
    match &project.nodes[node].body {
        NodeBody::Asset(asset) => {
            let format = table_format(asset);
            if format.is_none() && project.io_managers[asset.io].kind.database().is_none() {
                return Err(RelationError::NoTable(key()));
            }
            let (mut paths, mut rows) = (Vec::new(), None);
            for partition in published(workspace, node)? {
                let loaded = workspace.io_of(node).load(&workspace.target(node, &partition));
                let loaded = loaded.map_err(|error| match error {
                    IoError::NotFound(_) => RelationError::Missing(format!("{} was never built", key())),
                    other => RelationError::Io(other),
                })?;
                match loaded {
                    Loaded::Rows(it) => rows = Some(it),
                    Loaded::Path(path) => paths.push(path),
                }
            }
            match (rows, format) {
                (Some(rows), _) => Ok(Relation::Rows(rows)),
                (None, Some(format)) => Ok(Relation::Files { paths, format }),
                (None, None) => Err(RelationError::NoTable(key())),
            }
        }
        NodeBody::Source(source) => {
            let format = source_format(source).ok_or_else(|| RelationError::NoTable(key()))?;
            let world = workspace.world();
            if workspace.partitions.cuts(node) {
                let all = workspace.partitions.of_node(node).all();
                let found = observe_some(&world, node, &all).into_values().filter_map(|it| match it {
                    SourceFacts::Known { observation, .. } => Some(observation.files),
                    SourceFacts::Missing(_) => None,
                });
                let paths = found.flatten().map(|it| it.0.under(&workspace.root)).collect();
                return Ok(Relation::Files { paths, format });
            }
            let facts = observe(&world, &[], &[node], &std::collections::HashMap::new());
            match facts.sources.into_values().next() {
                Some(SourceFacts::Known { observation, .. }) => {
                    let paths = observation.files.iter().map(|it| it.0.under(&workspace.root)).collect();
                    Ok(Relation::Files { paths, format })
                }
                Some(SourceFacts::Missing(why)) => Err(RelationError::Missing(why)),
                None => Err(RelationError::NoTable(key())),
            }
        }
    }
}

/// The one partition of an asset that has none; of others all that were made, in their order.
fn published(workspace: &Workspace, node: NodeId) -> Result<Vec<PartitionKey>, RelationError> {
    let is_table = is_one_table(workspace, node);
    if !workspace.partitions.cuts(node) || is_table {
        return Ok(vec![PartitionKey::whole()]);
    }
    let (key, keys) = (workspace.project.key(node), workspace.partitions.of_node(node));
    let records = workspace.store.latest_all().map_err(|it| RelationError::Missing(it.to_string()))?;
    let of_node = records.into_iter().filter(|it| it.key == *key);
    let mut placed: Vec<(u64, PartitionKey)> =
        of_node.filter_map(|it| Some((keys.place(it.partition.as_str()).ok()?, it.partition))).collect();
    placed.sort();
    if placed.is_empty() {
        return Err(RelationError::Missing(format!("{key} was never built")));
    }
    Ok(placed.into_iter().map(|it| it.1).collect())
}

/// Whether all partitions lie in one table.
fn is_one_table(workspace: &Workspace, node: NodeId) -> bool {
    workspace.project.partitioning.columns.contains_key(&node) && workspace.project.is_in_database(node)
}
