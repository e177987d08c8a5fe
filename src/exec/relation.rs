//! Where the rows of an asset or source can be read as they stand, without a run.

use crate::{
    exec::{
        io::{IoError, Loaded},
        query::From,
        run::context::Workspace,
    },
    model::{
        format::TableFormat,
        key::PartitionKey,
        project::{IoKind, NodeBody, NodeId},
        sql::inputs::{source_format, table_format},
    },
    plan::observe::{SourceFacts, observe},
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

/// What is published of an asset, or the files of a source.
///
/// # Errors
/// Something that is no table, is not there, or cannot be read.
pub fn relation(workspace: &Workspace, node: NodeId) -> Result<From, RelationError> {
    let project = &*workspace.project;
    let key = || project.key(node).to_string();
    match &project.nodes[node].body {
        NodeBody::Asset(asset) => {
            let kind = &project.io_managers[asset.io].kind;
            if let IoKind::Sqlite { path } = kind {
                let target = workspace.target(node, &PartitionKey::whole());
                if workspace.io_of(node).current(&target)?.is_none() {
                    return Err(RelationError::Missing(format!("{} was never built", key())));
                }
                return Ok(From::Sqlite { database: path.under(&workspace.root), table: asset.path.to_string() });
            }
            // A server's rows are fetched as a command would get them.
            let fetched = matches!(kind, IoKind::Postgres { .. }).then_some(TableFormat::Csv);
            let format = fetched.or_else(|| table_format(asset)).ok_or_else(|| RelationError::NoTable(key()))?;
            let loaded = workspace.io_of(node).load(&workspace.target(node, &PartitionKey::whole()));
            let Loaded::Path(path) = loaded.map_err(|error| match error {
                IoError::NotFound(_) => RelationError::Missing(format!("{} was never built", key())),
                other => RelationError::Io(other),
            })?;
            Ok(From::Files { paths: vec![path], format })
        }
        NodeBody::Source(source) => {
            let format = source_format(source).ok_or_else(|| RelationError::NoTable(key()))?;
            let facts = observe(&workspace.world(), &[], &[node], &std::collections::HashMap::new());
            match facts.sources.into_values().next() {
                Some(SourceFacts::Known { observation, .. }) => {
                    let paths = observation.files.iter().map(|it| it.0.under(&workspace.root)).collect();
                    Ok(From::Files { paths, format })
                }
                Some(SourceFacts::Missing(why)) => Err(RelationError::Missing(why)),
                None => Err(RelationError::NoTable(key())),
            }
        }
    }
}
